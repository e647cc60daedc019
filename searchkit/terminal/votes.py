"""Votes between two systems whose names were hidden, and which of them won.

The interval is a confidence sequence: it holds its level however often it is looked at, so one may
vote until it excludes a half. An interval for a number of votes fixed beforehand, such as Wilson's,
would then call a winner between equals far more often than it says.

Source: Robbins 1970, Statistical Methods Related to the Law of the Iterated Logarithm, Annals of
Mathematical Statistics 41(5): the mixture of likelihood ratios, here with a uniform prior.
"""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from searchkit.terminal import state
from searchkit.terminal.state import Row, Rows

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Tally:
    """The votes between two systems; `ties` counts those for neither."""

    first: str
    second: str
    for_first: int
    for_second: int
    ties: int

    @property
    def votes(self) -> int:
        """All of them."""
        return self.for_first + self.for_second + self.ties


class Votes:
    """The votes about one index, kept across runs.

    Args:
        index: its name.
        folder: where the file is; by default `votes` of the state folder.
    """

    def __init__(self, index: str, folder: Path | None = None) -> None:
        self._rows = Rows((folder or state.folder() / "votes") / f"{index}.jsonl")

    def add(self, query: str, pair: tuple[str, str], winner: str | None) -> None:
        """Note a vote; a later one about the same query and systems takes its place.

        Args:
            query: what was searched for.
            pair: both systems.
            winner: one of them, or None for a tie.

        Raises:
            ValueError: the winner is none of them.
            OSError: it cannot be written.
        """
        if winner is not None and winner not in pair:
            raise ValueError(f"{winner!r} is none of {pair}")
        systems = sorted(pair)
        when = datetime.now(UTC).isoformat(timespec="seconds")
        new: Row = {"query": query, "systems": systems, "winner": winner, "when": when}

        def with_it(rows: list[Row]) -> list[Row]:
            same = (query, systems)
            return [*(r for r in rows if (r.get("query"), r.get("systems")) != same), new]

        self._rows.change(with_it)

    def tally(self, pair: tuple[str, str]) -> Tally:
        """The votes between two systems, in the order in which they are named."""
        systems = sorted(pair)
        winners = [row.get("winner") for row in self._rows.read() if row.get("systems") == systems]
        counts = (winners.count(one) for one in (*pair, None))
        return Tally(*pair, *counts)


def interval(wins: int, losses: int, level: float = LEVEL) -> tuple[float, float]:
    """Where the true share of wins lies, ties left out, after any number of votes.

    Returns:
        (low, high) in [0, 1]; the chance that it ever leaves the truth out, looked at after every
        vote, is at most 1 - level.
    """
    return _lowest(wins, losses, level), 1.0 - _lowest(losses, wins, level)


def _lowest(wins: int, losses: int, level: float) -> float:
    from scipy.optimize import brentq

    if not wins:
        return 0.0
    # The mixture's likelihood of these votes is B(wins + 1, losses + 1); a share is left out once
    # the mixture is 1 / (1 - level) times as likely.
    mixed = math.lgamma(wins + 1) + math.lgamma(losses + 1) - math.lgamma(wins + losses + 2)

    def excess(share: float) -> float:
        own = wins * math.log(share) + (losses * math.log1p(-share) if losses else 0.0)
        return mixed - own + math.log1p(-level)

    return float(brentq(excess, 1e-300, wins / (wins + losses)))


def verdict(tally: Tally) -> str:
    """Who won, in a sentence that says no more than the votes do."""
    decided = tally.for_first + tally.for_second
    if not decided:
        return f"{_votes(tally)}: nothing can be said yet of {tally.first} and {tally.second}."
    first_leads = tally.for_first >= tally.for_second
    leader, other = (tally.first, tally.second) if first_leads else (tally.second, tally.first)
    wins = max(tally.for_first, tally.for_second)
    low, high = interval(wins, decided - wins)
    share = (
        f"{leader} was preferred in {wins} of {decided}, {wins / decided:.0%} "
        f"(95 % interval {low:.0%} to {high:.0%})"
    )
    if low > 0.5:
        return f"{_votes(tally)}: {leader} won against {other}. {share}."
    return f"{_votes(tally)}: not enough yet to say which is better. {share}; 50 % is within."


def decided(tally: Tally) -> bool:
    """Whether the votes name a winner."""
    wins, losses = sorted((tally.for_first, tally.for_second), reverse=True)
    return interval(wins, losses)[0] > 0.5


def _votes(tally: Tally) -> str:
    ties = {0: "", 1: ", 1 tie"}.get(tally.ties, f", {tally.ties} ties")
    return f"{tally.votes} vote{'s' * (tally.votes != 1)}{ties}"
