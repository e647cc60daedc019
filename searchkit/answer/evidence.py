"""Passages that were found, numbered, and what they hold of a question."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, pstdev

from searchkit.answer import terms
from searchkit.answer.terms import Asked
from searchkit.search.source import Result

WORDS = "bm25"  # what the list of what words find is called, in every source


@dataclass(frozen=True, slots=True)
class Evidence:
    """A passage, and the number by which it is cited, from 1."""

    number: int
    result: Result


@dataclass(frozen=True)
class Found:
    """What a question found.

    Attributes:
        asked: the question.
        evidence: what may be cited, the best first.
        pool: all that was found, `evidence` included: against it, words and vectors are compared.
    """

    asked: Asked
    evidence: Sequence[Evidence]
    pool: Sequence[Result]

    @cached_property
    def rarities(self) -> Mapping[str, float]:
        """How much each term of the question tells."""
        return terms.rarity(self.asked, [wording(one) for one in self.pool])

    def covered(self, held: Iterable[str]) -> float:
        """The share of the question that some terms are."""
        return terms.coverage(self.asked.terms, set(held), self.rarities)

    def named(self, held: Iterable[str]) -> float:
        """The share of the names and numbers of the question that some terms are; 1 of none."""
        if not self.asked.names:
            return 1.0
        return terms.coverage(self.asked.names, set(held), self.rarities)

    @cached_property
    def missing(self) -> tuple[str, ...]:
        """The words of the question that no passage has, as they were written."""
        held = {term for one in self.evidence for term in terms.terms(wording(one.result))}
        return tuple(word for term, word in self.asked.words.items() if term not in held)

    @cached_property
    def has_vectors(self) -> bool:
        """Whether vectors took part in finding it."""
        return any(name != WORDS for one in self.pool for name, _, _ in one.lists)

    def similarity(self, result: Result) -> float:
        """By how many standard deviations a passage's vector is nearer than those of the pool."""
        scores = [score for one in self.pool for score in _similarities(one)]
        own = _similarities(result)
        if not own or len(scores) < 2 or not (spread := pstdev(scores)):
            return 0.0
        return (own[0] - fmean(scores)) / spread


def wording(result: Result) -> str:
    """A passage with the title and headings above it, which often name what it is about."""
    return "\n".join([context(result), result.text])


def context(result: Result) -> str:
    """Title and headings above a passage."""
    return "\n".join(part for part in (result.title, *result.headings) if part)


def _similarities(result: Result) -> list[float]:
    return [score for name, _, score in result.lists if name != WORDS]
