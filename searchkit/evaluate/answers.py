"""How good answers are: on questions that an index can answer, and on as many that it cannot.

Half of the articles that a split asks about are taken out of the index. Questions about the others
say how good answers are, all of them together how well it is known when there is none. Every
question is asked with a threshold of 0, so that an answer is there to be looked at; whether it
would have been given is told by its confidence.

Exact match and F1 are SQuAD's: of the words of an answer and of the best of the right ones, without
case, punctuation and articles. For chosen sentences they are those of the best sentence.

Source: Rajpurkar et al. 2016, SQuAD: 100,000+ Questions for Machine Comprehension of Text,
arXiv:1606.05250.
"""

import csv
import io
import json
import re
import string
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from blake3 import blake3

from searchkit.answer import calibration, verification
from searchkit.answer.answering import Answer, Passages, answer
from searchkit.errors import BadInput
from searchkit.evaluate.answer_set import AnswerSet, Question, open_answers
from searchkit.evaluate.significance import (
    Floats,
    expanded,
)
from searchkit.search.source import Source
from searchkit.search.watcher import Watcher

if TYPE_CHECKING:
    from searchkit.encode.variant import Variant
    from searchkit.generate.messages import Generator

KEPT, REMOVED = 0, 1  # halves: the second one is taken out of the index
K = 8
_DRAWS = 2_000  # bootstrap samples

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of one question.

    Attributes:
        query_id: of the question.
        article: that it is about.
        in_index: whether its article is there.
        in_passages: whether a passage has a right answer in it, as a string of words.
        in_first: whether the best sentence, or the first claim, has one.
        in_answer: whether any of them has one.
        exact: whether the answer is a right one.
        f1: of the answer and the best of the right ones.
        claims: how many sentences were made.
        verified: of them, the share that was verified.
        answered: whether anything would be answered at a threshold of 0.
        confidence: that the evidence carries an answer.
        seconds: from the question to the answer.
    """

    query_id: str
    article: str
    in_index: bool
    in_passages: bool
    in_first: bool
    in_answer: bool
    exact: float
    f1: float
    claims: int
    verified: float
    answered: bool
    confidence: float
    seconds: float


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """One figure.

    Attributes:
        system: what found the evidence.
        mode: "extractive", or the name of what generated.
        measure: see `MEASURES`.
        value: a mean, a share or an area.
        low: of its 95 % bootstrap interval over articles, each with all its questions.
        high: of it.
        questions: how many it is about.
    """

    system: str
    mode: str
    measure: str
    value: float
    low: float
    high: float
    questions: int


MEASURES = {
    "answer in passages": "a passage that may be cited has a right answer; article in the index",
    "answer in best sentence": "the first sentence has one",
    "answer in answer": "one of the sentences has one",
    "exact match": "SQuAD's",
    "F1": "SQuAD's",
    "verified": "the share of generated sentences that stand, of those answers that have any",
    "verified, no article": "the same where the article is not in the index",
    "AUROC": "confidence: article in the index or not",
    "error": "at the shipped threshold: the mean of the two below",
    "answers without article": "answered though the article is not there",
    "abstains with article": "not answered though it is there",
}


@dataclass(frozen=True, slots=True)
class System:
    """One way to search, by the name that tables have for it; None where words are enough."""

    name: str
    variant: "Variant | None" = None


def evaluate(
    folder: Path,
    systems: Sequence[System],
    work: Path,
    *,
    split: str = "test",
    questions: int = 300,
    seed: int = 0,
    generator: "Generator | None" = None,
    generator_id: str = "",
    device: str | None = None,
    watcher: Watcher | None = None,
) -> list[AnswerRow]:
    """Ask each system the same questions, and say how good its answers are.

    Args:
        folder: a collection with answers; see `answer_set`.
        systems: those with a variant search as `searchkit search` does by default.
        work: where indexes and what became of each question are kept: a run that was ended goes
            on, and one that is whole is read.
        split: whose questions.
        questions: so many of each half, or all where there are fewer.
        seed: of the halves and the samples.
        generator: writes the answers; by default sentences are chosen.
        generator_id: what tells it from others of its name; see `generators.identity`.
        device: where queries are encoded.
        watcher: told how it goes on.

    Raises:
        BadInput: the collection has no answers, or cannot be read; or what was kept of an earlier
            run does not fit.
    """
    watcher = watcher or Watcher()
    found = open_answers(folder, split, seed)
    sample = [
        (one, half == KEPT)
        for half in (KEPT, REMOVED)
        for one in found.sample(half, questions, seed)
    ]
    rows: list[AnswerRow] = []
    for system in systems:
        source = open_half(found, REMOVED, system, work, device, watcher)
        name = generator.name if generator else "extractive"
        encoder = source.version(system.variant.name) if system.variant else ""
        name_id = [generator.name, generator_id] if generator else []
        path = work / "asked" / f"{_key(found, system, encoder, name_id)}.jsonl"
        asked = _ask_all(source, sample, generator, path, f"{system.name}, {name}", watcher)
        rows += of_questions(system.name, name, asked, _threshold(system), seed)
    return rows


def open_half(
    found: AnswerSet,
    half: int,
    system: System,
    work: Path,
    device: str | None,
    watcher: Watcher,
) -> Source:
    """An index without the articles of a half, built if it is not there, open for a system."""
    from searchkit.search.build import Plan, build_index
    from searchkit.search.retrieve import open_retriever
    from searchkit.search.source import of_retriever

    key = blake3(
        json.dumps([found.collection.corpus.fingerprint, sorted(found.halves[half])]).encode()
    )
    place = work / "halves" / key.hexdigest(length=8)
    variants = (system.variant,) if system.variant else ()
    plan = Plan(variants=variants, memories=work.parent / "memories", device=device)
    build_index(place / "index", found.without(half, place), plan, watcher)
    retriever = (
        open_retriever(place / "index", variant=system.variant.name, device=device, say=watcher.say)
        if system.variant
        else open_retriever(place / "index", "bm25", say=watcher.say)
    )
    return of_retriever(retriever, device)


def of_questions(
    system: str, mode: str, asked: Sequence[Asked], threshold: float, seed: int
) -> Iterator[AnswerRow]:
    """The figures of one system."""
    there = [one for one in asked if one.in_index]
    gone = [one for one in asked if not one.in_index]
    made = [one for one in there if one.claims]

    def mean(
        measure: str, of: Sequence[Asked], value: Callable[[Asked], float]
    ) -> Iterator[AnswerRow]:
        if not of:
            return
        values = np.array([value(one) for one in of], dtype=np.float64)
        drawn = _resampled(of, np.random.default_rng(seed)) @ values
        yield _row(system, mode, measure, float(values.mean()), drawn, of)

    yield from mean("answer in passages", there, lambda one: one.in_passages)
    yield from mean("answer in best sentence", there, lambda one: one.in_first)
    yield from mean("answer in answer", there, lambda one: one.in_answer)
    yield from mean("exact match", there, lambda one: one.exact)
    yield from mean("F1", there, lambda one: one.f1)
    yield from mean("verified", made, lambda one: one.verified)
    yield from mean(
        "verified, no article", [one for one in gone if one.claims], lambda one: one.verified
    )
    if there and gone:
        yield from _abstaining(system, mode, there, gone, threshold, seed)

    def given(one: Asked) -> bool:
        return one.answered and one.confidence >= threshold

    yield from mean("answers without article", gone, given)
    yield from mean("abstains with article", there, lambda one: not given(one))


def scores(text: str, answers: Sequence[str]) -> tuple[float, float]:
    """Exact match and F1 of a text, by the best of some right answers."""
    words = _words(text)
    return (
        max(float(words == _words(one)) for one in answers),
        max(_f1(words, _words(one)) for one in answers),
    )


def holds(text: str, answers: Sequence[str]) -> bool:
    """Whether a text has one of some answers in it, word for word."""
    words = f" {' '.join(_words(text))} "
    return any(f" {' '.join(wanted)} " in words for one in answers if (wanted := _words(one)))


def json_of(rows: Sequence[AnswerRow]) -> str:
    """Rows as a JSON list of objects with the fields of `AnswerRow`."""
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


def csv_of(rows: Sequence[AnswerRow]) -> str:
    """Rows as CSV with the fields of `AnswerRow` for columns."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [one.name for one in fields(AnswerRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


def auroc(positive: Floats, negative: Floats) -> float:
    """How often a positive has the higher score than a negative; a tie is half."""
    return float(_above(positive, negative).mean())


def _abstaining(
    system: str,
    mode: str,
    there: Sequence[Asked],
    gone: Sequence[Asked],
    threshold: float,
    seed: int,
) -> Iterator[AnswerRow]:
    """AUROC and error; each half is resampled for itself."""
    above = _above(
        np.array([one.confidence for one in there]), np.array([one.confidence for one in gone])
    )
    missed = np.array(
        [not one.answered or one.confidence < threshold for one in there], dtype=float
    )
    given = np.array([one.answered and one.confidence >= threshold for one in gone], dtype=float)
    rng = np.random.default_rng(seed)
    first, second = _resampled(there, rng), _resampled(gone, rng)
    areas = ((first @ above) * second).sum(axis=1)
    errors = (first @ missed + second @ given) / 2
    for measure, value, drawn in (
        ("AUROC", above.mean(), areas),
        ("error", (missed.mean() + given.mean()) / 2, errors),
    ):
        yield _row(system, mode, measure, float(value), drawn, [*there, *gone])


def _resampled(of: Sequence[Asked], rng: np.random.Generator) -> Floats:
    """How much each question weighs in bootstrap samples of their articles: (draws, questions).

    Questions about one article resemble each other; as if each were by itself, intervals would be
    too narrow.
    """
    articles, place = np.unique([one.article for one in of], return_inverse=True)
    count = len(articles)
    drawn = rng.multinomial(count, np.full(count, 1 / count), _DRAWS)[:, place]
    return np.asarray(drawn / drawn.sum(axis=1, keepdims=True), dtype=np.float64)


def _row(
    system: str, mode: str, measure: str, value: float, drawn: Floats, of: Sequence[Asked]
) -> AnswerRow:
    """A figure and the interval of its bootstrap samples, which holds it."""
    low = high = value
    if (articles := len({one.article for one in of})) > 1:
        ends = expanded(drawn[:, None], articles)
        low, high = (float(end[0]) for end in ends)
    return AnswerRow(system, mode, measure, value, min(low, value), max(high, value), len(of))


def _above(positive: Floats, negative: Floats) -> Floats:
    first, second = positive[:, None], negative[None, :]
    return np.asarray((first > second) + 0.5 * (first == second), dtype=np.float64)


def _ask_all(
    source: Source,
    sample: Sequence[tuple[Question, bool]],
    generator: "Generator | None",
    path: Path,
    what: str,
    watcher: Watcher,
) -> list[Asked]:
    """Every question of a sample, asked now or read from what an earlier run kept."""
    known = _kept(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    watcher.begin(f"asking {what}", len(sample))
    made: list[Asked] = []
    with path.open("a", encoding="utf-8") as file:
        for number, (question, in_index) in enumerate(sample, start=1):
            one = known.get(question.query_id)
            if one is not None and (one.in_index, one.article) != (in_index, question.article):
                raise BadInput(
                    f"{path} has {question.query_id!r} of an article that was "
                    f"{'' if one.in_index else 'not '}in the index, and now it is"
                    f"{'' if in_index else ' not'}; delete it"
                )
            if one is None:
                one = _ask(source, question, in_index, generator)
                file.write(json.dumps(asdict(one)) + "\n")
                file.flush()
            made.append(one)
            watcher.advance(_Progress(number))
    return made


@dataclass(frozen=True, slots=True)
class _Progress:
    """How many questions were asked; no speed is told."""

    texts: int
    tokens: int = 0
    seconds: float = 0.0
    resumed: int = 0


def _ask(
    source: Source, question: Question, in_index: bool, generator: "Generator | None"
) -> Asked:
    start = time.perf_counter()
    passages, made = _ends(answer(source, question.text, k=K, generator=generator, threshold=0.0))
    seconds = time.perf_counter() - start
    # Sentences in place of a text that does not stand are none of the model's.
    written = generator is None or made.mode == "generative"
    texts = [one.text for one in made.claims] if written else []
    text = " ".join(texts) if generator else "".join(texts[:1])
    exact, f1 = scores(text, question.answers)
    return Asked(
        query_id=question.query_id,
        article=question.article,
        in_index=in_index,
        in_passages=any(holds(one.result.text, question.answers) for one in passages.evidence),
        in_first=bool(texts) and holds(texts[0], question.answers),
        in_answer=any(holds(one, question.answers) for one in texts),
        exact=exact,
        f1=f1,
        claims=made.sentences,
        verified=made.verified_share,
        answered=bool(texts),
        confidence=made.confidence,
        seconds=round(seconds, 4),
    )


def _ends(events: Iterator[Any]) -> tuple[Passages, Answer]:
    first, *_, last = events
    return first, last


def _kept(path: Path) -> dict[str, Asked]:
    """What an earlier run kept; a line that it did not end is not there."""
    if not path.is_file():
        return {}
    whole, _, torn = path.read_text(encoding="utf-8").rpartition("\n")
    if torn:
        path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
    try:
        found = [Asked(**json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError) as error:
        raise BadInput(f"{path} is not what searchkit wrote ({error}); delete it") from error
    return {one.query_id: one for one in found}


def _key(found: AnswerSet, system: System, encoder: str, generator: Sequence[str]) -> str:
    """Names all that an answer depends on: data, encoder, generator, rules, what was calibrated."""
    parts: list[object] = [
        found.collection.fingerprint,
        [asdict(one) for one in found.questions],
        [sorted(half) for half in found.halves],
        system.name,
        encoder,
        generator,
        K,
        verification.RULES,
        calibration.to_json(calibration.shipped()),
    ]
    return blake3(json.dumps(parts, sort_keys=True).encode()).hexdigest(length=8)


def _threshold(system: System) -> float:
    return calibration.shipped().judge(has_vectors=system.variant is not None).threshold


def _words(text: str) -> list[str]:
    return _ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _f1(found: Sequence[str], right: Sequence[str]) -> float:
    same = sum((Counter(found) & Counter(right)).values())
    if not same:
        return float(not found and not right)
    precision, recall = same / len(found), same / len(right)
    return 2 * precision * recall / (precision + recall)
