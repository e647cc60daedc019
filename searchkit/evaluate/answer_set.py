"""Questions with their answers, and an index from which half of the articles were taken away.

A collection with answers has `answers.jsonl` beside its queries, plain or gzip: a line is
`{"_id": "q7", "corpus-id": "d3", "answers": ["1973", "October 1973"]}`. Documents of one title are
an article; where a document has none, it is one by itself.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from searchkit.corpus.collection import Collection, Corpus, open_collection
from searchkit.corpus.lines import identifier, json_object, lines, shown, string
from searchkit.errors import BadInput
from searchkit.files import write_text

_EXAMPLE = '{"_id": "q7", "corpus-id": "d3", "answers": ["1973"]}'


@dataclass(frozen=True, slots=True)
class Question:
    """A question that one document answers.

    Attributes:
        query_id: of the query.
        text: of the question.
        doc_id: of the document.
        answers: any of them is right; at least one.
        article: the document's.
    """

    query_id: str
    text: str
    doc_id: str
    answers: tuple[str, ...]
    article: str


@dataclass(frozen=True, slots=True)
class AnswerSet:
    """A collection with answers.

    Attributes:
        collection: its corpus, queries and judgements.
        questions: those of the split that have answers, in file order.
        articles: the article of every document.
        halves: the articles of the questions, drawn into two halves.
    """

    collection: Collection
    questions: tuple[Question, ...]
    articles: dict[str, str]
    halves: tuple[frozenset[str], frozenset[str]]

    def without(self, half: int, folder: Path) -> Corpus:
        """The corpus without the articles of a half, as a file below a folder."""
        taken = self.halves[half]
        name = f"{self.collection.name}-half"
        kept = [
            json.dumps({"_id": one.doc_id, "title": one.title, "text": one.text})
            for one in self.collection.documents()
            if self.articles[one.doc_id] not in taken
        ]
        path = folder / name / "corpus.jsonl"
        text = "\n".join(kept) + "\n"
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
        return Corpus(name, path)

    def sample(self, half: int, questions: int, seed: int) -> tuple[Question, ...]:
        """Some questions about the articles of a half, drawn; all of them where there are fewer."""
        there = [one for one in self.questions if one.article in self.halves[half]]
        drawn = np.random.default_rng([seed, half]).permutation(len(there))[:questions]
        return tuple(there[place] for place in sorted(drawn))


def open_answers(folder: Path, split: str, seed: int) -> AnswerSet:
    """The answers in a folder.

    Args:
        folder: of a collection in BEIR's layout, with answers.
        split: whose questions.
        seed: by which articles are drawn into halves.

    Raises:
        BadInput: a file is missing or malformed, or the questions are about one article alone.
    """
    collection = open_collection(folder, split)
    articles = {one.doc_id: one.title or one.doc_id for one in collection.documents()}
    answers = _read(folder)
    questions = tuple(
        Question(query.query_id, query.text, doc_id, found, articles[doc_id])
        for query in collection.queries
        if query.query_id in answers
        for doc_id, found in [answers[query.query_id]]
        if doc_id in articles
    )
    about = sorted({one.article for one in questions})
    if len(about) < 2:
        raise BadInput(
            f"{folder} has questions with answers about {len(about)} articles; at least 2 are "
            "needed, one of which is taken away"
        )
    return AnswerSet(collection, questions, articles, _halves(questions, about, seed))


def _read(folder: Path) -> dict[str, tuple[str, tuple[str, ...]]]:
    there = [
        path for name in ("answers.jsonl", "answers.jsonl.gz") if (path := folder / name).exists()
    ]
    if not there:
        raise BadInput(
            f"{folder} has no answers.jsonl and no answers.jsonl.gz; a line of it is {_EXAMPLE}"
        )
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for line in lines(there[0]):
        record = json_object(line, _EXAMPLE)
        texts = record.get("answers")
        if (
            not isinstance(texts, list)
            or not texts
            or not all(isinstance(one, str) for one in texts)
        ):
            raise line.wrong(f"'answers' is {shown(texts)}; it must be a list of strings")
        found[identifier(line, record)] = (string(line, record, "corpus-id"), tuple(texts))
    return found


def _halves(
    questions: Iterable[Question], about: Sequence[str], seed: int
) -> tuple[frozenset[str], frozenset[str]]:
    """Articles in two halves with about as many questions: each goes where there are fewer."""
    counts = dict.fromkeys(about, 0)
    for one in questions:
        counts[one.article] += 1
    halves: tuple[set[str], set[str]] = (set(), set())
    totals = [0, 0]
    for place in np.random.default_rng(seed).permutation(len(about)):
        fewer = int(totals[1] < totals[0])
        halves[fewer].add(about[place])
        totals[fewer] += counts[about[place]]
    return frozenset(halves[0]), frozenset(halves[1])
