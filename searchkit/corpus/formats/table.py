"""Tables and data as they stand, a unit a row: CSV, TSV, JSON lines, and JSON.

A row of JSON is a member of the whole, or an object in a list.
"""

import csv
import re
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _decoding

SUFFIXES = (".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".json", ".geojson", ".webmanifest")
TEXT = True
TRUSTED = True

_DELIMITERS = (",", ";", "\t", "|")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|[\[\]{},:]|[^\s\[\]{},:"]+', re.DOTALL)
_ESCAPE = re.compile(
    r"\\(?:u(?P<high>d[89ab][0-9a-f]{2})\\u(?P<low>d[c-f][0-9a-f]{2})|u(?P<one>[0-9a-f]{4})|.)",
    re.IGNORECASE | re.DOTALL,
)


def read(path: Path) -> Iterator[Extracted]:
    r"""The file, line for line; JSON has its letters for escapes such as \u00e9.

    Nothing is checked: a table with a broken row is still text that can be found.

    Raises:
        Unreadable: it is not text.
        OSError: it cannot be read.
    """
    text = _decoding.read_text(path)
    match path.suffix.lower():
        case ".csv" | ".tsv" | ".tab":
            units = _records(text)
        case ".jsonl" | ".ndjson":
            text = _unescaped(text)
            units = _lines(text)
        case _:
            text = _unescaped(text)
            units = _members(text)
    yield Extracted(text=text, units=tuple(units), verbatim=True)


def _records(text: str) -> Iterator[int]:
    """Where each record begins; a quoted field may hold line ends."""
    lines = text.split("\n")
    starts = list(accumulate((len(line) + 1 for line in lines), initial=0))
    delimiter = max(_DELIMITERS, key=lines[0].count)
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=delimiter)
    begin = 0
    try:
        for record in reader:
            if record:
                yield starts[begin]
            begin = reader.line_num
    except csv.Error:  # not CSV from here on, such as a quote that is never closed
        yield from (starts[begin] + unit for unit in _lines(text[starts[begin] :]))


def _lines(text: str) -> Iterator[int]:
    """Where each line begins that is not blank."""
    begin = 0
    for line in text.split("\n"):
        if line.strip():
            yield begin
        begin += len(line) + 1


def _members(text: str) -> Iterator[int]:
    """Where each member of a JSON text begins, and each object in a list, but for nested ones."""
    inside: list[str] = []  # the brackets around a place
    row = 0  # how many brackets are around the object in a list that the place is in
    fresh = True  # whether a member begins here
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in ("]", "}"):
            if inside:
                inside.pop()
            row = 0 if len(inside) < row else row
        else:
            first = fresh and token not in (",", ":")
            if first and not row:
                listed = token == "{" and inside[-1:] == ["["]
                if len(inside) == 1 or listed:
                    yield match.start()
                row = len(inside) + 1 if listed else 0
            if token in ("[", "{"):
                inside.append(token)
        fresh = token in ("[", "{", ",")


def _unescaped(text: str) -> str:
    """JSON with its letters in place of their escapes; it means what it meant, line for line."""
    return _ESCAPE.sub(_letter, text) if "\\u" in text else text


def _letter(escape: re.Match[str]) -> str:
    if escape["high"]:
        return bytes.fromhex(escape["high"] + escape["low"]).decode("utf-16-be")
    letter = chr(int(escape["one"], 16)) if escape["one"] else ""
    return letter if letter.isprintable() and letter not in ('"', "\\", "") else escape[0]
