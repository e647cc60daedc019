"""A forest plot in plain characters: differences with intervals around a line at zero."""

from collections.abc import Sequence
from dataclasses import dataclass

from searchkit.evaluate.numbers import signed


@dataclass(frozen=True, slots=True)
class Marks:
    """The characters of a plot."""

    zero: str
    bar: str
    crossing: str
    left: str
    right: str
    sure: str
    unsure: str
    sure_mean: str
    unsure_mean: str


UNICODE = Marks("│", "─", "┼", "├", "┤", "●", "○", "◆", "◇")
ASCII = Marks(":", "-", "+", "|", "|", "*", "o", "#", "=")


@dataclass(frozen=True, slots=True)
class Branch:
    """One line: a difference, its interval, and whether it is significant after correction.

    `over_sets` marks a mean over sets, which has a mark of its own.
    """

    difference: float
    low: float
    high: float
    significant: bool
    over_sets: bool = False


@dataclass(frozen=True, slots=True)
class Scale:
    """Differences to columns: from the lowest end of an interval, or zero, to the highest."""

    low: float
    high: float
    width: int

    @classmethod
    def of(cls, branches: Sequence[Branch], width: int) -> "Scale":
        """The scale on which all of these fit into `width` columns."""
        ends = [end for branch in branches for end in (branch.low, branch.difference, branch.high)]
        return cls(min(0.0, *ends), max(0.0, *ends), width)

    def column(self, value: float) -> int:
        """From 0 to width - 1. What is not zero leaves the column of zero, where there is room."""
        zero, place = self._column(0.0), self._column(value)
        if place == zero and value > 0:
            return min(zero + 1, self.width - 1)
        if place == zero and value < 0:
            return max(zero - 1, 0)
        return place

    def _column(self, value: float) -> int:
        extent = (self.high - self.low) or 1.0
        return round((value - self.low) / extent * (self.width - 1))


def draw(branch: Branch, scale: Scale, marks: Marks) -> str:
    """One line of `scale.width` characters."""
    line = [" "] * scale.width
    zero = scale.column(0.0)
    low, high = scale.column(branch.low), scale.column(branch.high)
    line[zero] = marks.zero
    for column in range(low, high + 1):
        line[column] = marks.crossing if column == zero else marks.bar
    line[low], line[high] = marks.left, marks.right
    sure, unsure = marks.sure, marks.unsure
    if branch.over_sets:
        sure, unsure = marks.sure_mean, marks.unsure_mean
    line[scale.column(branch.difference)] = sure if branch.significant else unsure
    return "".join(line)


def axis(scale: Scale) -> str:
    """The line below: the ends of the scale and zero, of those that do not touch each other."""
    line = [" "] * scale.width
    zero = scale.column(0.0)
    line[zero] = "0"
    ends = [(signed(scale.low), 0)] if scale.low < 0 else []
    if scale.high > 0:
        ends.append((signed(scale.high), scale.width - len(signed(scale.high))))
    for text, start in ends:
        end = start + len(text)
        if start >= 0 and not set("".join(line[max(0, start - 1) : end + 1])) - {" "}:
            line[start:end] = text
    return "".join(line)
