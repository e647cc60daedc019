"""Labelled sets other than retrieval collections: sentence pairs, texts with labels, reranking.

What a set is can be seen from its columns, which are those of MTEB's data sets and their older
forms: sentence1, sentence2, score; text, label; query, positive, negative.

Source: Muennighoff et al. 2023, MTEB, arXiv:2210.07316.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from blake3 import blake3

from searchkit.corpus import cells
from searchkit.corpus.cells import EmptyCell, Row
from searchkit.corpus.notes import hashed, note
from searchkit.corpus.published import hub, hub_configs
from searchkit.corpus.tables import name_of, rows, splits
from searchkit.errors import BadInput

_SCORES = ("score", "similarity_score", "label")
_TEXTS = ("text", "sentence", "sentences")
_LABELS = ("label_text", "label", "labels")
_ID_DIGITS = 16  # 64 bits of a text's hash: one set in 37 million of a million texts has two alike

_Item = TypeVar("_Item", "ScoredPair", "LabelledText", "CandidateList")


@dataclass(frozen=True, slots=True)
class ScoredPair:
    """Two texts, and how similar people found them, on whatever scale the set has."""

    pair_id: str
    first: str
    second: str
    score: float


@dataclass(frozen=True, slots=True)
class LabelledText:
    """A text and its one label; `text_id` is the number of its row."""

    text_id: str
    text: str
    label: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document to be ranked; `grade` 0 is not relevant. Equal texts have equal ids."""

    doc_id: str
    text: str
    grade: int


@dataclass(frozen=True, slots=True)
class CandidateList:
    """A query and the documents that are ranked for it, each once."""

    query_id: str
    query: str
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True)
class PairSet:
    """Semantic textual similarity. `notes` say what a reader of the scores should know."""

    name: str
    split: str
    pairs: tuple[ScoredPair, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """BLAKE3 of texts and scores in order, 64 hexadecimal digits."""
        return hashed([one.first, one.second, one.score] for one in self.pairs)


@dataclass(frozen=True)
class ClassificationSet:
    """Texts to learn labels from, and texts to predict them for; `split` is that of `test`."""

    name: str
    split: str
    train: tuple[LabelledText, ...]
    test: tuple[LabelledText, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """BLAKE3 of texts and labels in order, train apart from test; 64 hexadecimal digits."""
        return hashed([[one.text, one.label] for one in texts] for texts in (self.train, self.test))


@dataclass(frozen=True)
class ClusteringSet:
    """Texts to be grouped as their labels group them.

    `parts` are the places in `texts` of each part that is clustered by itself, for sets published
    in such parts, else nothing.
    """

    name: str
    split: str
    texts: tuple[LabelledText, ...]
    notes: tuple[str, ...] = ()
    parts: tuple[tuple[int, ...], ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """BLAKE3 of texts, labels and parts in order, 64 hexadecimal digits."""
        return hashed([[[one.text, one.label] for one in self.texts], self.parts])


@dataclass(frozen=True)
class RerankingSet:
    """Queries, each with its own documents to rank."""

    name: str
    split: str
    lists: tuple[CandidateList, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def fingerprint(self) -> str:
        """BLAKE3 of queries, texts and grades in order, 64 hexadecimal digits."""
        return hashed(
            [one.query, [[candidate.text, candidate.grade] for candidate in one.candidates]]
            for one in self.lists
        )


LabelledSet = PairSet | ClassificationSet | ClusteringSet | RerankingSet


def kind_of(source: str | Path) -> str:
    """What a source is, by its files and the columns of its test split, or else its first.

    Returns:
        "retrieval", "sts", "classification", "clustering" or "reranking". Texts with labels are
        for classification where there are a train and a test split, else for clustering; so are
        `sentences` with labels always.

    Raises:
        BadInput: there is no such source, or it is nothing of the kind.
    """
    pinned = hub(source)
    of_beir = ("corpus.jsonl", "corpus.jsonl.gz", "qrels")
    if not pinned and any((Path(source) / name).exists() for name in of_beir):
        return "retrieval"
    parts = hub_configs(pinned) if pinned and not pinned.config else splits(source)
    if {"corpus", "queries"} <= set(parts):
        return "retrieval"

    there = splits(source)
    row = next(rows(source, "test" if "test" in there else there[0]), None)
    found = list(row.values) if row else []
    if {"sentence1", "sentence2"} <= set(found) and not set(_SCORES).isdisjoint(found):
        return "sts"
    if {"query", "positive", "negative"} <= set(found):
        return "reranking"
    if not (set(_TEXTS).isdisjoint(found) or set(_LABELS).isdisjoint(found)):
        both = {"train", "test"} <= set(there) and "sentences" not in found
        return "classification" if both else "clustering"
    raise BadInput(
        f"{source} is no labelled set: its columns are {', '.join(found) or 'none'}; one has "
        "sentence1, sentence2 and score, or text and label, or query, positive and negative"
    )


def open_set(
    source: str | Path,
    *,
    kind: str | None = None,
    split: str = "test",
    train_split: str = "train",
    sample: int | None = None,
    seed: int = 0,
) -> LabelledSet:
    """The labelled set at a source: a folder with a file for each split, or a hub's data set.

    Args:
        source: see `tables` and `published`.
        kind: one of `kind_of`, which is asked where this is None.
        split: the one that is scored.
        train_split: the one that classification learns from.
        sample: at most so many pairs, texts or queries, the same on every machine, and a smaller
            sample is part of a larger one. The set's name then ends in their number. Training
            texts are all kept.
        seed: of the sample.

    Raises:
        BadInput: the source is not a set of the kind, or a row of it is not what it must be. An
            empty text is an error in a text file, where it can be mended; published as Parquet or
            on a hub, its row is left out and noted.
    """
    if sample is not None and sample < 1:
        raise BadInput(f"a sample of {sample} items; take 1 or more, or leave it out")
    draw = _Draw(sample, seed)
    match kind or kind_of(source):
        case "sts":
            return _pair_set(source, split, draw)
        case "classification":
            return _classification_set(source, split, train_split, draw)
        case "clustering":
            return _clustering_set(source, split, draw)
        case "reranking":
            return _reranking_set(source, split, draw)
        case other:
            raise BadInput(
                f"{source} cannot be opened as {other!r}: a labelled set is for sts, "
                "classification, clustering or reranking"
            )


@dataclass(frozen=True, slots=True)
class _Draw:
    """At most `size` items of a set, or all of them where it is None."""

    size: int | None
    seed: int

    def of(self, items: Mapping[str, _Item]) -> tuple[dict[str, _Item], tuple[str, ...]]:
        """Those drawn, in their order, and a note where they are not all.

        Each id's hash is its lot: no generator's version can change the draw.
        """
        if self.size is None or self.size >= len(items):
            return dict(items), ()

        def lot(item_id: str) -> bytes:
            return blake3(f"{self.seed} {item_id}".encode()).digest()

        kept = set(heapq.nsmallest(self.size, items, key=lot))
        drawn = {item_id: item for item_id, item in items.items() if item_id in kept}
        return drawn, (
            f"a sample of {len(drawn):,} of {len(items):,}, drawn with seed {self.seed}",
        )

    def name(self, source: str | Path, drawn: Sequence[str]) -> str:
        """The name of the set, of which there are these notes of a draw."""
        return f"{name_of(source)}-{self.size}" if drawn else name_of(source)


def _pair_set(source: str | Path, split: str, draw: _Draw) -> PairSet:
    def pair(pair_id: str, row: Row) -> ScoredPair:
        return ScoredPair(
            pair_id,
            cells.text(row, "sentence1"),
            cells.text(row, "sentence2"),
            cells.number(row, *_SCORES),
        )

    found, empty = _read(source, split, _numbered(rows(source, split)), pair)
    pairs, drawn = draw.of(found)
    return PairSet(draw.name(source, drawn), split, tuple(pairs.values()), (*empty, *drawn))


def _classification_set(
    source: str | Path, split: str, train_split: str, draw: _Draw
) -> ClassificationSet:
    if split == train_split:
        raise BadInput(
            f"{source}: split {split!r} is both learnt from and scored; name two different ones"
        )
    learnt, empty_train = _read(
        source, train_split, _numbered(rows(source, train_split)), _labelled_text
    )
    found, empty = _read(source, split, _numbered(rows(source, split)), _labelled_text)
    test, drawn = draw.of(found)

    texts = {one.text for one in learnt.values()}
    labels = {one.label for one in learnt.values()}
    unknown = dict.fromkeys(one.label for one in test.values() if one.label not in labels)
    remarks = (
        *empty_train,
        *empty,
        *drawn,
        *note("labels that no training text has", list(unknown), "no classifier predicts them"),
        *note(
            "texts that are training texts too",
            [text_id for text_id, one in test.items() if one.text in texts],
            "a classifier may know them by heart",
        ),
        *_contradictions("training texts", learnt.values()),
        *_contradictions("texts", test.values()),
    )
    name = draw.name(source, drawn)
    return ClassificationSet(name, split, tuple(learnt.values()), tuple(test.values()), remarks)


def _clustering_set(source: str | Path, split: str, draw: _Draw) -> ClusteringSet:
    part_of: dict[str, int] = {}

    def numbered() -> Iterator[tuple[str, Row]]:
        for number, (part, row) in enumerate(_single_texts(rows(source, split)), start=1):
            if part is not None:
                part_of[str(number)] = part
            yield str(number), row

    found, empty = _read(source, split, numbered(), _labelled_text)
    texts, drawn = draw.of(found)
    parts: defaultdict[int, list[int]] = defaultdict(list)
    if part_of:
        for place, text_id in enumerate(texts):
            parts[part_of[text_id]].append(place)
    return ClusteringSet(
        draw.name(source, drawn),
        split,
        tuple(texts.values()),
        (*empty, *drawn, *(() if parts else _contradictions("texts", texts.values()))),
        tuple(map(tuple, parts.values())),
    )


def _reranking_set(source: str | Path, split: str, draw: _Draw) -> RerankingSet:
    repeated: set[str] = set()
    raised: set[str] = set()

    def candidate_list(query_id: str, row: Row) -> CandidateList:
        query = cells.text(row, "query")
        positive, negative = cells.texts(row, "positive"), cells.texts(row, "negative")
        grades = (1,) * len(positive) + (0,) * len(negative)
        if "grades" in row.values:
            grades = cells.grades(row, "grades")
        if len(grades) != len(positive) + len(negative) or not grades:
            raise row.wrong(
                f"{len(grades)} grades for {len(positive)} positive and {len(negative)} negative "
                "candidates; there must be one for each, and at least one candidate"
            )
        best: dict[str, int] = {}
        for text, grade in zip((*positive, *negative), grades, strict=True):
            best[text] = max(grade, best.get(text, 0))
        if len(best) < len(grades):
            repeated.add(query_id)
        if any(grades[len(positive) :]):
            raised.add(query_id)
        return CandidateList(
            query_id,
            query,
            tuple(Candidate(_content_id(text), text, grade) for text, grade in best.items()),
        )

    found, empty = _read(source, split, _identified(rows(source, split)), candidate_list)
    lists, drawn = draw.of(found)
    alike = Counter(one.query for one in lists.values())
    relevant = {
        query_id: sum(candidate.grade > 0 for candidate in one.candidates)
        for query_id, one in lists.items()
    }
    remarks = (
        *empty,
        *drawn,
        *note(
            "queries with a candidate given twice",
            [query_id for query_id in lists if query_id in repeated],
            "it is kept once, with its highest grade",
        ),
        *note(
            "queries with negative candidates of a grade above 0",
            [query_id for query_id in lists if query_id in raised],
            "what counts any such grade as relevant counts them",
        ),
        *note(
            "queries with the text of another",
            [query_id for query_id, one in lists.items() if alike[one.query] > 1],
            "they differ in their candidates or grades alone",
        ),
        *note(
            "queries without a relevant candidate",
            [query_id for query_id, count in relevant.items() if not count],
            "every order of them scores 0",
        ),
        *note(
            "queries with relevant candidates alone",
            [
                query_id
                for query_id, count in relevant.items()
                if count == len(lists[query_id].candidates)
            ],
            "every order of them is right, but for their grades",
        ),
    )
    return RerankingSet(draw.name(source, drawn), split, tuple(lists.values()), remarks)


def _read(
    source: str | Path,
    split: str,
    identified: Iterable[tuple[str, Row]],
    make: Callable[[str, Row], _Item],
) -> tuple[dict[str, _Item], tuple[str, ...]]:
    """The items of a split by id, and a note about rows that were published without a text."""
    found: dict[str, _Item] = {}
    empty: list[str] = []
    for item_id, row in identified:
        try:
            found[item_id] = make(item_id, row)
        except EmptyCell:
            if not row.published:
                raise
            empty.append(item_id)
    if not found:
        raise BadInput(f"{source} has nothing in its split {split!r}; name another split")
    return found, note(f"rows of {split} with an empty text", empty, "left out")


def _labelled_text(text_id: str, row: Row) -> LabelledText:
    return LabelledText(text_id, cells.text(row, *_TEXTS), cells.label(row, *_LABELS))


def _numbered(found: Iterable[Row]) -> Iterator[tuple[str, Row]]:
    """Rows with their numbers, from 1."""
    return ((str(number), row) for number, row in enumerate(found, start=1))


def _identified(found: Iterable[Row]) -> Iterator[tuple[str, Row]]:
    """Rows with the ids they have, or else their numbers."""
    first: dict[str, str] = {}
    for number, row in _numbered(found):
        row_id = cells.identifier(row, "id") if "id" in row.values else number
        before = first.setdefault(row_id, row.place)
        if before != row.place:
            raise row.wrong(f"the id {row_id!r} was already used at {before}; give each its own")
        yield row_id, row


def _single_texts(found: Iterable[Row]) -> Iterator[tuple[int | None, Row]]:
    """Each text as a row, with the number of its part where a row of the set holds a whole part."""
    divided = None
    for part, row in enumerate(found):
        texts, labels = cells.column(row, *_TEXTS), cells.column(row, *_LABELS)
        before, divided = divided, isinstance(row.values[texts], list)
        if before not in (None, divided):
            raise row.wrong(f"{texts!r} is one text in some rows and a list in others; choose one")
        if not divided:
            yield None, row
            continue
        if not isinstance(row.values[labels], list):
            raise row.wrong(f"{texts!r} is a list and {labels!r} is not; give each text its label")
        if len(row.values[texts]) != len(row.values[labels]) or not row.values[texts]:
            raise row.wrong(
                f"{len(row.values[texts])} {texts} with {len(row.values[labels])} {labels}; each "
                "text has one label, and a part at least one text"
            )
        for number, (text, label) in enumerate(
            zip(row.values[texts], row.values[labels], strict=True), start=1
        ):
            place = f"{row.place}, text {number}"
            yield part, Row(place, {texts: text, labels: label}, row.published)


def _contradictions(which: str, texts: Iterable[LabelledText]) -> tuple[str, ...]:
    labels: defaultdict[str, set[str]] = defaultdict(set)
    for one in texts:
        labels[one.text].add(one.label)
    ids = [one.text_id for one in texts if len(labels[one.text]) > 1]
    return note(f"{which} that come again with another label", ids, "not all can be right")


def _content_id(text: str) -> str:
    return blake3(text.encode()).hexdigest()[:_ID_DIGITS]
