"""Where results stand in a list: which stay in place when better ones come, and which moved."""

from collections.abc import Sequence
from dataclasses import replace

from searchkit.search.source import Result


def keep_in_place(results: Sequence[Result], held: Result | None, row: int) -> tuple[Result, ...]:
    """A new ranking around a result that a person is at: it keeps its row, the others give way.

    Args:
        results: the new ranking, best first.
        held: what stays where it is; None for the plain ranking. If the new ranking lacks it, it
            stays all the same, with rank 0.
        row: where it is, from 0.

    Returns:
        All of them; the held one has the rank that the new ranking gives it.
    """
    if held is None:
        return tuple(results)
    others = [result for result in results if result.key != held.key]
    same = [result for result in results if result.key == held.key]
    kept = same[0] if same else replace(held, rank=0, lists=())
    return (*others[:row], kept, *others[row:])


def by_rank(results: Sequence[Result]) -> tuple[Result, ...]:
    """Results in rank order; what has no rank stands at the end."""
    return tuple(sorted(results, key=lambda result: (result.rank == 0, result.rank)))


def in_rank_order(results: Sequence[Result]) -> bool:
    """Whether no result was held where it was."""
    return tuple(results) == by_rank(results)


def changes(left: Sequence[Result], right: Sequence[Result]) -> dict[str, int | None]:
    """How far each result of the right ranking stands above its place in the left one.

    Returns:
        By key: positive where it rose, negative where it fell, None where the left one lacks it;
        nothing for what the right one lacks, and only holds in place.
    """
    ranks = {result.key: result.rank for result in left if result.rank}
    return {
        result.key: ranks[result.key] - result.rank if result.key in ranks else None
        for result in right
        if result.rank
    }


def change_shown(change: int | None) -> str:
    """A change as it is written beside a result: ↑3, ↓1, = or new."""
    if change is None:
        return "new"
    return f"↑{change}" if change > 0 else f"↓{-change}" if change < 0 else "="


def with_current(passages: Sequence[Result], current: Result) -> list[Result]:
    """Passages of a document in the order of its text, the one that is shown among them.

    It may have none of the words, as what vectors found.
    """
    others = [passage for passage in passages if passage.start != current.start]
    return sorted([*others, current], key=lambda passage: passage.start)
