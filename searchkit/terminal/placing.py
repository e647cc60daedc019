"""Where results stand in a list: which stay in place when better ones come, and which moved."""

from collections.abc import Sequence
from dataclasses import replace

from searchkit.terminal.source import Result


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
    kept = same[0] if same else replace(held, rank=0)
    return (*others[:row], kept, *others[row:])


def in_rank_order(results: Sequence[Result]) -> bool:
    """Whether no result was held where it was."""
    return all(result.rank == number for number, result in enumerate(results, start=1))


def changes(left: Sequence[Result], right: Sequence[Result]) -> dict[str, int | None]:
    """How far each result of the right ranking stands above its place in the left one.

    Returns:
        By key: positive where it rose, negative where it fell, None where the left one lacks it.
    """
    ranks = {result.key: result.rank for result in left}
    return {
        result.key: ranks[result.key] - result.rank if result.key in ranks else None
        for result in right
    }


def change_shown(change: int | None) -> str:
    """A change as it is written beside a result: ↑3, ↓1, = or new."""
    if change is None:
        return "new"
    return f"↑{change}" if change > 0 else f"↓{-change}" if change < 0 else "="
