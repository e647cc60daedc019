"""A table before it has a form: cells that know what they are, in rows."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Cell:
    """What a place in a table says.

    Attributes:
        text: plain, without any markup.
        kind: a name, of which no character may be lost; a number; or words of ours.
        letters: of the systems that this one is significantly better than; behind the text.
        strong: whether it is the best of its kind.
        tone: 1 significantly better than the baseline, -1 significantly worse, else 0.
    """

    text: str
    kind: Literal["name", "number", "words"] = "words"
    letters: str = ""
    strong: bool = False
    tone: int = 0


@dataclass(frozen=True, slots=True)
class Column:
    """The head of a column: one line of it, and another below where there is more to say."""

    head: str
    under: str = ""
    right: bool = False
    kind: Literal["name", "words"] = "words"


@dataclass(frozen=True, slots=True)
class Grid:
    """A table; every row has a cell for each column."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    caption: str
