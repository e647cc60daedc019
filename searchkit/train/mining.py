"""Hard negatives: passages that a search ranks high for a query, and that do not answer it.

Some of what ranks high does answer it, and nobody said so. Of the candidates of a pair, these are
no negatives:

- the positives of its query, in whatever pair they are, as `comparable` compares texts;
- near-copies of such a positive: one of the two texts holds the whole other, which has at least
  20 letters and digits (a command of two words is part of many others that do something else);
- where an embedder judges, candidates whose similarity to the query is more than `margin` times
  that of the positive.

Source: Moreira et al. 2024, NV-Retriever, arXiv:2407.15831, section 3: "TopK-PercPos", there the
best of the ways to choose, with a margin of 0.95.
"""

import gzip
import io
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from searchkit import files
from searchkit.encode import blocks
from searchkit.encode.blocks import Progress
from searchkit.errors import BadInput
from searchkit.index import ranking
from searchkit.index.text import bm25
from searchkit.records import Hit, Pair
from searchkit.search.watcher import Watcher
from searchkit.train.pairs import comparable

if TYPE_CHECKING:
    from searchkit.encode.embedder import Role, TextEncoder

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str], "Role"], Vectors]
"""Texts and their role to vectors of unit length: (N, D) float32 in the order of the texts."""

_Search = Callable[[Sequence[str], int], list[list[Hit]]]  # the id of a hit is the passage itself
_Similarity = Callable[[str, Sequence[str]], npt.NDArray[np.float64]]

_QUERIES_AT_ONCE = 1024  # bounds the rankings that are held: 50 places each take 10 MB
_LEAST_COPY = 20  # letters and digits


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How negatives are chosen.

    Attributes:
        negatives: how many to add to each pair.
        depth: how many places of a query's ranking are its candidates.
        skip: how many of the first candidates to leave out that neither answer the query nor are
            negatives of the pair already.
        margin: above 0, up to 1: what share of the positive's similarity a candidate may reach.
        across_sources: let passages of all sources be candidates, not those of the pair's alone.
        seed: of a draw among the candidates that pass; None takes those that rank first.

    Raises:
        BadInput: a value outside these, or a depth that cannot hold what is asked of it.
    """

    negatives: int = 4
    depth: int = 50
    skip: int = 0
    margin: float = 0.95
    across_sources: bool = False
    seed: int | None = None

    def __post_init__(self) -> None:
        if self.negatives < 1:
            raise BadInput(f"{self.negatives} negatives a pair are nothing to mine; take 1 or more")
        if self.skip < 0:
            raise BadInput(f"skip is {self.skip}; it must be 0 or more")
        if not 0 < self.margin <= 1:
            raise BadInput(f"margin is {self.margin}; it must be above 0 and at most 1")
        if self.depth < self.skip + self.negatives:
            raise BadInput(
                f"of {self.depth} candidates, {self.skip} are skipped and {self.negatives} wanted; "
                f"raise the depth to {self.skip + self.negatives} or more"
            )


class Reason(StrEnum):
    """Why a candidate was dropped, in the order in which that is looked at."""

    positive = "positives of the query"
    copy = "near-copies of these"
    known = "negatives of the pair already"
    skipped = "skipped as the first"
    margin = "beyond the margin"


@dataclass(frozen=True, slots=True)
class Mined:
    """What mining found.

    Attributes:
        pairs: those that came in, in their order, with negatives after those that they had.
        full: how many of them got as many negatives as were asked for.
        without: how many got none.
        candidates: how many passages were looked at, counted for each pair.
        dropped: how many of them each reason took, one reason a candidate.
    """

    pairs: tuple[Pair, ...]
    full: int
    without: int
    candidates: int
    dropped: dict[Reason, int]


def mine(
    pairs: Sequence[Pair],
    settings: Settings,
    *,
    by: Encode | None = None,
    judge: Encode | None = None,
    watcher: Watcher | None = None,
) -> Mined:
    """Add hard negatives to pairs; the same arguments give the same negatives.

    The candidates are the positives and the negatives that the pairs of a source have, each
    distinct text once. A query that BM25 finds little for has fewer than `depth` of them.

    Args:
        pairs: to add negatives to.
        settings: how to choose them.
        by: vectors to search with, exactly; None searches with BM25.
        judge: vectors to measure the margin with; None leaves it out.
        watcher: told how it goes on.
    """
    watcher = watcher or Watcher()
    mined = list(pairs)
    screen = _Screen(pairs, settings)
    added: Counter[int] = Counter()
    for source, rows in _by_source(pairs, settings.across_sources).items():
        group = [pairs[row] for row in rows]
        pool = _distinct(group)
        search, similarity = _tools(group, pool, by, judge, source, watcher)
        watcher.begin(f"searching {source}", len(rows))
        start = time.perf_counter()
        for first in range(0, len(rows), _QUERIES_AT_ONCE):
            some = rows[first : first + _QUERIES_AT_ONCE]
            rankings = search([pairs[row].query for row in some], settings.depth)
            for row, hits in zip(some, rankings, strict=True):
                pair, found = pairs[row], {hit.doc_id: pool[hit.doc_id] for hit in hits}
                chosen = _chosen(screen.passing(pair, found, similarity), settings, row)
                mined[row] = replace(pair, negatives=(*pair.negatives, *chosen))
                added[len(chosen)] += 1
            seconds = time.perf_counter() - start
            watcher.advance(Progress(first + len(some), len(rows), 0, 0, seconds, 0))
    dropped = {reason: screen.dropped[reason] for reason in Reason}
    return Mined(tuple(mined), added[settings.negatives], added[0], screen.seen, dropped)


def write(path: Path, pairs: Iterable[Pair]) -> None:
    """Write pairs as lines that `pairs.read` takes, atomically; equal pairs give equal bytes.

    Args:
        path: a .jsonl.gz, or a .jsonl for plain lines.
        pairs: their ids are not kept: a line has that of its place.
    """
    with files.atomic(path) as temporary, temporary.open("wb") as raw:
        packed = path.name.endswith(".gz")
        # No name and no time in the header.
        stream = gzip.GzipFile("", "wb", 6, fileobj=raw, mtime=0) if packed else raw
        with io.TextIOWrapper(stream, encoding="utf-8", newline="\n") as text:
            for pair in pairs:
                record: dict[str, object] = {"query": pair.query, "positive": pair.positive}
                record["source"] = pair.source
                if pair.negatives:
                    record["negatives"] = pair.negatives
                text.write(json.dumps(record, ensure_ascii=False) + "\n")


def encoding(encoder: "TextEncoder", watcher: Watcher) -> Encode:
    """The first of an encoder's designs as a function of texts.

    Texts are encoded in blocks, so that a killed run loses one at most where there is a memory.

    Args:
        encoder: who makes the vectors.
        watcher: told of every block, and of texts that were cut.
    """
    name = encoder.names[0]

    def encode(texts: Sequence[str], role: "Role") -> Vectors:
        watcher.begin(
            f"encoding {name}: {'queries' if role == 'query' else 'passages'}", len(texts)
        )
        vectors, done = blocks.vectors_of(encoder, name, texts, role, report=watcher.advance)
        if done.truncated:
            watcher.say(
                f"{name}: {done.truncated:,} of {len(texts):,} texts have over "
                f"{encoder.max_tokens} tokens and were cut"
            )
        return vectors

    return encode


class _Space:
    """What one encoder makes of the queries and passages of a group."""

    def __init__(self, encode: Encode, group: Sequence[Pair], pool: Collection[str]) -> None:
        queries = dict.fromkeys(pair.query for pair in group)
        # The pool leads, so that its vectors are the first rows. A positive can be missing there:
        # another text that compares as equal stands for it.
        passages = dict.fromkeys([*pool, *(pair.positive for pair in group)])
        self._pool = [*pool]
        self._query_rows = {text: row for row, text in enumerate(queries)}
        self._passage_rows = {text: row for row, text in enumerate(passages)}
        self._queries = encode([*queries], "query")
        self._passages = encode([*passages], "passage")

    def search(self) -> _Search:
        """A search of the pool."""
        from searchkit.index.vector import flat  # FAISS loads here

        index = flat.build(self._passages[: len(self._pool)])

        def search(queries: Sequence[str], k: int) -> list[list[Hit]]:
            vectors = self._queries[[self._query_rows[query] for query in queries]]
            return ranking.top(index.search, vectors, k, self._pool)

        return search

    def similarity(self, query: str, passages: Sequence[str]) -> npt.NDArray[np.float64]:
        """The cosine of a query and each of n passages, (n,)."""
        rows = [self._passage_rows[text] for text in passages]
        vector = self._queries[self._query_rows[query]].astype(np.float64)
        cosines: npt.NDArray[np.float64] = np.vecdot(
            self._passages[rows].astype(np.float64), vector
        )
        return cosines


def _tools(
    group: Sequence[Pair],
    pool: Collection[str],
    by: Encode | None,
    judge: Encode | None,
    source: str,
    watcher: Watcher,
) -> tuple[_Search, _Similarity | None]:
    """How to search the pool, and how to compare a query of the group with passages."""
    searched = _Space(by, group, pool) if by else None
    judged = searched if judge is by else _Space(judge, group, pool) if judge else None
    similarity = judged.similarity if judged else None
    if searched:
        return searched.search(), similarity
    watcher.begin(f"indexing the words of {source}", 0)
    index, texts = bm25.build(pool, bm25.Parameters()), [*pool]
    return lambda queries, k: index.search(queries, k, texts), similarity


class _Screen:
    """Which candidates can be negatives; counts those it has seen, and those it has dropped."""

    def __init__(self, pairs: Iterable[Pair], settings: Settings) -> None:
        self._settings = settings
        self._answers: dict[str, set[str]] = defaultdict(set)  # of a query, in all its pairs
        for pair in pairs:
            self._answers[comparable(pair.query)].add(comparable(pair.positive))
        self.seen = 0
        self.dropped: Counter[Reason] = Counter()

    def passing(
        self, pair: Pair, candidates: Mapping[str, str], similarity: _Similarity | None
    ) -> list[str]:
        """What can be negatives of a pair, in the order of the candidates.

        Args:
            pair: it may have negatives.
            candidates: texts, each with its comparable form, best first.
            similarity: of the query and some texts; None measures no margin.
        """
        self.seen += len(candidates)
        answers = self._answers[comparable(pair.query)]
        known = {comparable(text) for text in pair.negatives}
        left = []
        for text, form in candidates.items():
            if form in answers:
                self.dropped[Reason.positive] += 1
            elif any(_is_copy(form, answer) for answer in answers):
                self.dropped[Reason.copy] += 1
            elif form in known:
                self.dropped[Reason.known] += 1
            else:
                left.append(text)
        self.dropped[Reason.skipped] += min(self._settings.skip, len(left))
        left = left[self._settings.skip :]
        return self._within_margin(pair, left, similarity) if similarity else left

    def _within_margin(self, pair: Pair, texts: list[str], similarity: _Similarity) -> list[str]:
        positive, *others = similarity(pair.query, [pair.positive, *texts]).tolist()
        # A share of a similarity below 0 lies above it.
        most = min(positive, self._settings.margin * positive)
        passing = [text for text, value in zip(texts, others, strict=True) if value <= most]
        self.dropped[Reason.margin] += len(texts) - len(passing)
        return passing


def _chosen(passing: list[str], settings: Settings, row: int) -> list[str]:
    """The negatives of the pair at a row, in the order of their rank."""
    if settings.seed is None or len(passing) <= settings.negatives:
        return passing[: settings.negatives]
    draw = np.random.default_rng([settings.seed, row])
    places = draw.choice(len(passing), settings.negatives, replace=False)
    return [passing[place] for place in sorted(places.tolist())]


def _is_copy(first: str, second: str) -> bool:
    """Whether one of two texts, as `comparable` leaves them, holds the other."""
    short, long = sorted((first, second), key=len)
    return len(short) >= _LEAST_COPY and short in long


def _distinct(group: Iterable[Pair]) -> dict[str, str]:
    """The passages of some pairs, each with its comparable form; of equal forms the first."""
    firsts: dict[str, str] = {}
    for pair in group:
        for text in (pair.positive, *pair.negatives):
            firsts.setdefault(comparable(text), text)
    return {text: form for form, text in firsts.items()}


def _by_source(pairs: Sequence[Pair], across_sources: bool) -> dict[str, list[int]]:
    """The rows of the pairs that share candidates."""
    if across_sources:
        return {"all sources": list(range(len(pairs)))}
    rows: dict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        rows[pair.source].append(row)
    return rows
