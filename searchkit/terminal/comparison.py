"""Which systems rank the columns; in the blind mode, which column is whose, and the votes."""

import random

from searchkit.search.source import Source, System
from searchkit.terminal.votes import Tally, Votes

LEFT, RIGHT = 0, 1


class Comparison:
    """One system, or two side by side.

    Attributes:
        systems: of the left column and the right one.
        two: whether both are shown.
        blind: whether their names are hidden, and each query has them in an order of its own.
    """

    def __init__(self, source: Source, votes: Votes, chance: random.Random) -> None:
        self._source, self._votes, self._chance = source, votes, chance
        self.systems = [source.default, self._other_than(source.default)]
        self.two = self.blind = False
        self._flipped: dict[str, bool] = {}

    @property
    def asked(self) -> list[System]:
        """The systems that are shown."""
        return self.systems[: 1 + self.two]

    def find_other(self) -> bool:
        """Whether the index can be searched in two ways; perhaps since a moment ago."""
        if self.systems[LEFT] == self.systems[RIGHT]:
            self.systems[RIGHT] = self._other_than(self.systems[LEFT])
        return self.systems[LEFT] != self.systems[RIGHT]

    def choices(self) -> list[System]:
        """All ways to search the index."""
        vectors = [
            System(mode, variant)
            for variant in self._source.encoders
            for mode in ("hybrid", "dense")
        ]
        return [System("bm25"), *vectors]

    def choose(self, column: int, system: System) -> None:
        """Search a column otherwise; if the other one is searched so, the two change places."""
        if self.systems[1 - column] == system:
            self.systems[1 - column] = self.systems[column]
        self.systems[column] = system

    def show_two(self, two: bool) -> None:
        """Show both systems, by name, or the left one alone."""
        self.two, self.blind = two, False

    def hide_names(self, blind: bool) -> None:
        """Hide which column is which, in a new order for every query from now on, or show it."""
        self.blind = blind
        self._flipped.clear()

    def column_of(self, query: str, system: int) -> int:
        """Where a system stands for a query; the same at every call as long as names are hidden."""
        if not self.blind:
            return system
        if query not in self._flipped:
            self._flipped[query] = self._chance.random() < 0.5
        return 1 - system if self._flipped[query] else system

    def name_of(self, column: int) -> str:
        """What stands above a column."""
        return ("left", "right")[column] if self.blind else self.systems[column].name

    def vote(self, query: str, need: str, column: int | None) -> Tally:
        """Note that a column was better, or none of them, and count.

        Args:
            query: whose results were shown.
            need: what it asks for; a second vote about the same takes the place of the first.
            column: the better one; None for a tie.

        Raises:
            OSError: the vote cannot be written.
        """
        pair = self._pair()
        # A swap of two undoes itself: the system of a column is the column of a system.
        winner = None if column is None else pair[self.column_of(query, column)]
        self._votes.add(need, pair, winner)
        return self.tally()

    def tally(self) -> Tally:
        """The votes between the two systems, those of earlier runs among them."""
        return self._votes.tally(self._pair())

    def _other_than(self, system: System) -> System:
        return next((one for one in self.choices() if one != system), system)

    def _pair(self) -> tuple[str, str]:
        """Both systems by name, told from earlier encoders of the same names."""
        left, right = (
            f"{one.name} ({self._source.version(one.variant)})" if one.variant else one.name
            for one in self.systems
        )
        return left, right
