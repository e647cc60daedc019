"""Jupyter notebooks: the source of each cell is a unit; what a cell has put out is left out.

Source: nbformat 4.5, and 3.0, whose cells stand in worksheets.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from searchkit.corpus.extracted import Extracted, Unreadable
from searchkit.corpus.formats import _decoding, _titles, markdown
from searchkit.corpus.formats._writing import Writing

SUFFIXES = (".ipynb",)
TEXT = True
TRUSTED = True


def read(path: Path) -> Iterator[Extracted]:
    """The notebook; headings are those of its Markdown cells.

    Raises:
        Unreadable: it is no notebook.
        OSError: it cannot be read.
    """
    try:
        notebook = json.loads(_decoding.read_text(path))
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON, which a notebook is: {error}") from error
    if not isinstance(notebook, dict):
        raise Unreadable("not a notebook: its JSON is no object")
    writing = Writing()
    for cell in _cells(notebook):
        writing.unit()
        _write(writing, cell)
    metadata = notebook.get("metadata")
    title = metadata.get("title") if isinstance(metadata, dict) else ""
    yield writing.extracted(_titles.sane(title) if isinstance(title, str) else "")


def _cells(notebook: dict[str, Any]) -> Iterator[dict[str, Any]]:
    sheets = notebook.get("worksheets", [notebook])
    for sheet in sheets if isinstance(sheets, list) else ():
        cells = sheet.get("cells") if isinstance(sheet, dict) else None
        for cell in cells if isinstance(cells, list) else ():
            if isinstance(cell, dict):
                yield cell


def _write(writing: Writing, cell: dict[str, Any]) -> None:
    lines = cell.get("source", cell.get("input", ""))
    source = "".join(map(str, lines)) if isinstance(lines, list) else str(lines)
    source = _decoding.with_line_feeds(_decoding.storable(source))
    match cell.get("cell_type"):
        case "markdown":
            writing.block(source, headings=markdown.headings(source))
        case "heading":  # of version 3
            level = cell.get("level")
            writing.heading(level if isinstance(level, int) and level > 0 else 1, source)
        case _:
            writing.block(source)
