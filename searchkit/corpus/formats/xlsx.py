"""Excel workbooks: one page a sheet, headed by its name, one line and one unit a row.

Source: ECMA-376, Office Open XML, part 1, section 18: SpreadsheetML.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _archive, _open_xml, _xml
from searchkit.corpus.formats._archive import Archive
from searchkit.corpus.formats._writing import Writing, row

SUFFIXES = (".xlsx", ".xlsm", ".xltx")
TEXT = False
TRUSTED = False

# Numbers that Excel shows as dates: the built-in formats, and own ones by their letters.
_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_QUOTED = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')
_DATE_LETTERS = re.compile(r"[dmyhs]", re.IGNORECASE)

_PHONETIC = frozenset({"x:rPh"})  # how a Japanese name is read aloud, beside the name
_DAY_ZERO = datetime(1899, 12, 30)  # so that day 61 is 1900-03-01: Excel has a 1900-02-29
_DAY_ZERO_1904 = datetime(1904, 1, 1)
_LAST_DAY = 2_958_465  # 9999-12-31


class _Book(NamedTuple):
    """What the cells of all sheets refer to."""

    strings: Sequence[str]
    dates: Sequence[bool]  # by the index of a cell's format
    day_zero: datetime


def read(path: Path) -> Iterator[Extracted]:
    """The workbook with the values its formulas had when it was saved, hidden sheets included.

    Raises:
        Unreadable, Encrypted: see `_archive.opened`.
        OSError: the file cannot be read.
    """
    with _archive.opened(path) as archive:
        part = _open_xml.main_part(archive)
        related = _open_xml.relations(archive, part)
        parts = {relation.kind: relation.target for relation in related.values()}
        sheets, day_zero = [], _DAY_ZERO
        for event in archive.events(part):
            about = event.attributes  # only starts have any
            if event.name == "x:sheet" and about:
                sheets.append((about.get("name", ""), about.get("r:id", "")))
            elif event.name == "x:workbookPr" and about.get("date1904") in ("1", "true"):
                day_zero = _DAY_ZERO_1904
        book = _Book(
            strings=list(_strings(archive, parts.get("sharedStrings", ""))),
            dates=_date_formats(archive, parts.get("styles", "")),
            day_zero=day_zero,
        )
        writing = Writing()
        for name, identifier in sheets:
            sheet = related.get(identifier)
            if sheet and sheet.kind == "worksheet" and sheet.target in archive.names:
                writing.page()
                writing.heading(1, name)
                for number, line in enumerate(_rows(archive, sheet.target, book)):
                    writing.unit()
                    writing.block(line, close=number > 0)
        yield writing.extracted(_open_xml.title(archive))


def _rows(archive: Archive, part: str, book: _Book) -> Iterator[str]:
    """The rows of a sheet that hold anything."""
    about: Mapping[str, str] = {}
    cells: list[str] = []
    value, reading = "", False
    for event in _xml.without(archive.events(part), _PHONETIC):
        match event.kind, event.name:
            case _xml.TEXT, _:
                value += event.text if reading else ""
            case _xml.START, "x:row":
                cells = []
            case _xml.START, "x:c":
                about, value = event.attributes, ""
            case kind, "x:v" | "x:t":
                reading = kind == _xml.START
            case _xml.END, "x:c":
                cells.append(_shown(value, about, book))
            case _xml.END, "x:row":
                if line := row(cells):
                    yield line


def _shown(value: str, about: Mapping[str, str], book: _Book) -> str:
    """A cell as a reader of the sheet knows it, near enough to search for it."""
    kind = about.get("t", "n")
    if kind == "s" and value.isdecimal():
        return book.strings[int(value)] if int(value) < len(book.strings) else ""
    if kind == "b":
        return "TRUE" if value == "1" else "FALSE"
    if kind != "n" or not value:
        return value
    try:
        number = float(value)
    except ValueError:
        return value
    style = about.get("s", "")
    if style.isdecimal() and int(style) < len(book.dates) and book.dates[int(style)]:
        return _date(number, book.day_zero) or value
    return format(number, ".15g")  # 0.1, where the file has 0.10000000000000001


def _date(number: float, day_zero: datetime) -> str:
    """Days since day zero as a date, a time or both; nothing where they are no date."""
    if not 0 <= number <= _LAST_DAY:
        return ""
    moment = day_zero + timedelta(seconds=round(number * 86_400))
    if number < 1:
        return moment.strftime("%H:%M:%S")
    return moment.isoformat(" ") if moment.hour or moment.minute else moment.date().isoformat()


def _strings(archive: Archive, part: str) -> Iterator[str]:
    """The strings that cells refer to by number."""
    if part not in archive.names:
        return
    string, reading = "", False
    for event in _xml.without(archive.events(part), _PHONETIC):
        match event.kind, event.name:
            case _xml.START, "x:si":
                string = ""
            case _xml.END, "x:si":
                yield string
            case _xml.TEXT, _:
                string += event.text if reading else ""
            case kind, "x:t":
                reading = kind == _xml.START


def _date_formats(archive: Archive, part: str) -> list[bool]:
    """Of each format of cells, by its index, whether it shows a number as a date."""
    if part not in archive.names:
        return []
    own: dict[str, bool] = {}
    found: list[bool] = []
    cells = False
    for event in archive.events(part):
        about = event.attributes
        match event.kind, event.name:
            case _xml.START, "x:numFmt":
                code = _QUOTED.sub("", about.get("formatCode", ""))
                own[about.get("numFmtId", "")] = bool(_DATE_LETTERS.search(code))
            case kind, "x:cellXfs":
                cells = kind == _xml.START
            case _xml.START, "x:xf" if cells:
                number = about.get("numFmtId", "")
                found.append(own.get(number, number.isdecimal() and int(number) in _DATES))
    return found
