"""Rows of tables, and what their cells must hold: a text, a label, a number, a list.

Sets name the same column differently, so a cell is asked for by its names, the usual one first.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from searchkit.corpus.lines import shown, string
from searchkit.errors import BadInput


class EmptyCell(BadInput):
    """A row without a text where there must be one."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        place: where it stands, for errors: `<file>:<line>`, or `<file>, row <number>`.
        values: by column; strings alone where the table is TSV or CSV.
        published: it comes from a file that its publisher made and no editor opens.
    """

    place: str
    values: Mapping[str, Any]
    published: bool = False

    def wrong(self, what: str) -> BadInput:
        """The error that says what is wrong with this row."""
        return BadInput(f"{self.place}: {what}")


def column(row: Row, *names: str) -> str:
    """The first of some names that is a column of the row.

    Raises:
        BadInput: none is.
    """
    for name in names:
        if name in row.values:
            return name
    found = ", ".join(row.values) or "none"
    raise row.wrong(f"no column {' or '.join(map(repr, names))}; found columns: {found}")


def text(row: Row, *names: str) -> str:
    """The text of a cell, as it stands.

    Raises:
        BadInput: no such column, no string, or half a surrogate pair in it.
        EmptyCell: nothing but white space, or null.
    """
    name = column(row, *names)
    if row.values[name] is None or not (value := string(row, row.values, name)).strip():
        raise EmptyCell(f"{row.place}: {name!r} is empty; write the text or delete the row")
    return value


def texts(row: Row, *names: str) -> tuple[str, ...]:
    """The texts of a cell that holds a list of them, maybe none.

    Raises:
        BadInput: no such column, no list, or an item is no string.
        EmptyCell: an item is nothing but white space, or null.
    """
    name, items = _list(row, names)
    return tuple(
        text(Row(row.place, {f"{name}[{number}]": item}), f"{name}[{number}]")
        for number, item in enumerate(items)
    )


def label(row: Row, *names: str) -> str:
    """The label of a cell; numbers are written out.

    Raises:
        BadInput: no such column, an empty label, or more than one.
    """
    name = column(row, *names)
    value = row.values[name]
    if isinstance(value, str) and value.strip():
        return string(row, row.values, name)
    if isinstance(value, int | float) and math.isfinite(value):
        return str(value)
    raise row.wrong(f"{name!r} is {shown(value)}; a label is one name or number for each text")


def number(row: Row, *names: str) -> float:
    """The finite number of a cell, which may be written as a string.

    Raises:
        BadInput: no such column, or no such number.
    """
    name = column(row, *names)
    value = row.values[name]
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            found = float(value)
            if math.isfinite(found):
                return found
    except (ValueError, OverflowError):
        pass
    raise row.wrong(f"{name!r} is {shown(value)}; it must be a number such as 3.5")


def grades(row: Row, name: str) -> tuple[int, ...]:
    """The grades of a cell that holds a list of integers, 0 (not relevant) or more.

    Raises:
        BadInput: no such column, no list, or an item is no such integer.
    """
    _, items = _list(row, [name])
    for item in items:
        if not isinstance(item, int) or isinstance(item, bool) or item < 0:
            raise row.wrong(f"{name!r} holds {shown(item)}; a grade is 0, 1, 2, ...")
    return tuple(items)


def identifier(row: Row, *names: str) -> str:
    """The id of a cell, a string or an integer.

    Raises:
        BadInput: no such column, no id, or white space in it that would break a line of a file.
    """
    name = column(row, *names)
    value = row.values[name]
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    found = string(row, row.values, name)
    if not found.strip() or found != found.strip() or any(mark in found for mark in "\t\n\r"):
        raise row.wrong(f"{name!r} is {shown(found)}; an id is on one line, without tabs")
    return found


def _list(row: Row, names: tuple[str, ...] | list[str]) -> tuple[str, list[Any]]:
    name = column(row, *names)
    items = row.values[name]
    if not isinstance(items, list):
        raise row.wrong(f"{name!r} is {shown(items)}; it must be a list")
    return name, items
