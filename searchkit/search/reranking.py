"""The top of a ranking read again, by something that reads a query and a passage together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from searchkit import catalog
from searchkit.errors import BadInput
from searchkit.rank import reranker as rank

if TYPE_CHECKING:
    from searchkit.search.live.passages import Passage
    from searchkit.search.source import Result

RERANKERS = "searchkit.rank.rerank"
"""Where the ways of reading a query and a passage together are."""

DEPTH = 20  # of a ranking is read again, unless somebody says otherwise
BASE = "smollm2-135m"  # the language model that reads, unless somebody names another
_SLOT = "scores"

Item = TypeVar("Item")  # a frozen dataclass with `rank` and `score`: a Hit, a Passage, a Result


@dataclass(frozen=True, slots=True)
class Placed(Generic[Item]):
    """One place of a ranking that was reranked.

    Attributes:
        item: with its new rank and score. Scores fall from place to place: below the depth each is
            one less than the one above it.
        rank_before: in the ranking that was given.
        score_before: in it.
        reranked: what the reranker gave; None below the depth.
    """

    item: Item
    rank_before: int
    score_before: float
    reranked: float | None


class Reranker:
    """A reranker that is open, and remembers what it was asked.

    Args:
        name: what tables call it.
        reranker: a choice of rank/rerank, built.
        memories: where scores are kept by content; None keeps nothing.

    Attributes:
        name: as above.
        passages, truncated: how many were read so far, and how many of them were cut.
    """

    def __init__(self, name: str, reranker: rank.Reranker, memories: Path | None = None) -> None:
        self.name = name
        self._reranker = reranker
        self._memory: Any = None
        if memories is not None:
            from searchkit.encode.memory import key_of, memory_of

            self._memory = memory_of(memories / key_of(reranker.fingerprint.encode()))
        self.passages = self.truncated = 0

    @property
    def fingerprint(self) -> str:
        """What differs wherever a score may."""
        return self._reranker.fingerprint

    @property
    def passages_per_s(self) -> float | None:
        """How fast it was whenever it computed for its memory; None if it never did."""
        found: float | None = self._memory.speed() if self._memory else None
        return found

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers the query; higher is better."""
        self.passages += len(passages)
        self.truncated += self._reranker.truncated(query, passages)
        if self._memory is None:
            return self._reranker.score(query, passages)
        return self._remembered(query, passages)

    def note(self) -> str:
        """What a reader of its scores should know, on one line; empty if nothing."""
        if not self.truncated:
            return ""
        return (
            f"{self.name}: {self.truncated:,} of {self.passages:,} passages are longer than it "
            "reads, and were cut"
        )

    def _remembered(self, query: str, passages: Sequence[str]) -> list[float]:
        """Scores out of the memory; what it does not know yet is computed for it."""
        import time

        import numpy as np

        from searchkit.encode.memory import key_of

        keys = [key_of(query.encode(), passage.encode()) for passage in passages]
        unknown = {
            key: passage
            for key, passage in zip(keys, passages, strict=True)
            if not self._memory.knows([_SLOT], key)
        }
        if unknown:
            start = time.perf_counter()
            found = self._reranker.score(query, [*unknown.values()])
            self._memory.add(
                [*unknown],
                {_SLOT: np.array(found, dtype=np.float64)},
                tokens=len(unknown),  # the memory's speed is one of passages
                seconds=time.perf_counter() - start,
            )
        return [float(one) for one in self._memory.rows(_SLOT, keys)] if keys else []


def open_reranker(
    name: str, *, base: str = BASE, device: str | None = None, memories: Path | None = None
) -> Reranker:
    """Open a reranker.

    Args:
        name: `query_likelihood` or `llm_yes_no`, perhaps with the base model behind a colon, or
            `cross_encoder:DIR`.
        base: the language model of those that need one and name none.
        device: where to compute; the best there is by default.
        memories: see `Reranker`.

    Raises:
        UnknownName: there is no such reranker, or no such base model.
        BadInput: a directory is missing, or is not what it should be.
        MissingExtra: a library that it needs is not installed.
    """
    kind, _, rest = name.partition(":")
    module = catalog.load(RERANKERS, kind)
    if module.NEEDS == "directory":
        if not rest:
            raise BadInput(f"{kind} needs a directory; write {kind}:DIR")
        return Reranker(label(name), module.build(Path(rest).expanduser(), device=device), memories)
    from searchkit.generate.likelihood import open_language_model

    model = open_language_model(rest or base, device)
    return Reranker(label(name), module.build(model), memories)


def label(name: str) -> str:
    """What a reranker is called in tables: a directory by its last part."""
    kind, _, rest = name.partition(":")
    return f"{kind}:{Path(rest).expanduser().absolute().name}" if rest else kind


def rerank(
    reranker: Reranker,
    query: str,
    ranking: Sequence[Item],
    text_of: Callable[[Item], str],
    *,
    depth: int = DEPTH,
) -> list[Placed[Item]]:
    """Order the first `depth` items by what the reranker makes of them; the rest stay below.

    Args:
        reranker: it is open.
        query: in plain words.
        ranking: best first; items are not changed.
        text_of: what of an item is to be read.
        depth: how many are read.

    Returns:
        As many as there were. Equal scores stay in the order they were in.

    Raises:
        BadInput: the depth is below 1, or there are no words in the query.
    """
    if depth < 1:
        raise BadInput(f"the depth of reranking is {depth}; read at least 1 passage")
    if ranking and not query.strip():
        raise BadInput(
            "the query has no words that passages could be read for; add some, or leave --rerank "
            "out"
        )
    top: list[Any] = list(ranking[:depth])
    scores = reranker.score(query, [text_of(one) for one in top])
    placed: list[tuple[Any, float, float | None]] = [
        (top[place], scores[place], scores[place]) for place in rank.order(scores)
    ]
    least = min(scores, default=0.0)
    for below, one in enumerate(ranking[depth:], start=1):
        placed.append((one, least - below, None))
    return [
        Placed(replace(one, rank=number, score=score), one.rank, one.score, reranked)
        for number, (one, score, reranked) in enumerate(placed, start=1)
    ]


def text_of_passage(passage: "Passage | Result") -> str:
    """What of a passage is read: the title and headings above it, and its text."""
    headings = dict.fromkeys(one for one in (passage.title, *passage.headings) if one)
    return "\n".join(part for part in (" › ".join(headings), passage.text) if part)
