"""Markdown as GitHub shows it: tables, lists, code, and words in which nothing is markup."""

import re
from collections.abc import Iterable, Iterator

from searchkit.evaluate.grid import Cell, Column, Grid


def table(grid: Grid, before: str = "") -> Iterator[str]:
    """The parts of a section: title, what is said before the table, the table, its caption."""
    yield f"## {escaped(grid.title)}"
    if before:
        yield escaped(before)
    yield rows(grid)
    yield escaped(grid.caption)


def rows(grid: Grid) -> str:
    """The table alone."""
    lines = [
        [_head(column) for column in grid.columns],
        ["--:" if column.right else ":--" for column in grid.columns],
        *([_cell(cell) for cell in row] for row in grid.rows),
    ]
    whole = ([text.replace("|", "\\|") for text in line] for line in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in whole)


def bullets(lines: Iterable[str]) -> str:
    """A list, of Markdown."""
    return "\n".join(f"- {line}" for line in lines)


def code(text: str) -> str:
    """A name as it is, whatever it holds: underscores in it are no emphasis."""
    line = " ".join(text.split())
    ticks = _ticks(line, 1)
    apart = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{apart}{line}{apart}{ticks}"


def fenced(text: str, language: str) -> str:
    """Lines as they are."""
    fence = _ticks(text, 3)
    return f"{fence}{language}\n{text}\n{fence}"


def escaped(text: str) -> str:
    """Words, in which nothing is markup: a lone bracket or less-than sign never is."""
    line = " ".join(text.split())
    return re.sub(r"[\\`*_~]|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])|\](?=[(\[:])", r"\\\g<0>", line)


def _head(column: Column) -> str:
    head = code(column.head) if column.kind == "name" else escaped(column.head)
    return f"{head}<br>{escaped(column.under)}" if column.under else head


def _cell(cell: Cell) -> str:
    text = code(cell.text) if cell.kind == "name" else escaped(cell.text)
    strong = f"**{text}**" if cell.strong else text
    return f"{strong}<sup>{cell.letters}</sup>" if cell.letters else strong


def _ticks(text: str, least: int) -> str:
    """More backticks than stand together anywhere in a text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))
