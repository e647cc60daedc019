"""The lines of a file, plain or gzip, each knowing where it stands, so that an error can name it.

Only a line feed ends a line. A JSON string may hold U+2028, U+0085 or a form feed, at each of which
`str.splitlines` would cut it.
"""

import codecs
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from searchkit.errors import BadInput

_GZIP = b"\x1f\x8b"
_SHOWN = 60  # characters of a wrong value that an error repeats


class Place(Protocol):
    """Where something was read: a line of a file, a row of a table."""

    def wrong(self, what: str) -> BadInput:
        """The error that says what is wrong there."""
        ...


class Line(NamedTuple):
    """One line without its line end; `number` counts from 1, `source` is a path or a name."""

    source: str
    number: int
    text: str

    def wrong(self, what: str) -> BadInput:
        """The error that says what is wrong with this line."""
        return BadInput(f"{self.source}:{self.number}: {what}")


def lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file that hold more than white space.

    Raises:
        BadInput: as for `all_lines`.
    """
    return (line for line in all_lines(path) if line.text.strip())


def all_lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file, blank ones too.

    Whether the file is gzip is read from its first bytes, not from its name. A byte order mark at
    the beginning is dropped, and so is a carriage return before a line end.

    Raises:
        BadInput: the file cannot be read, is not whole gzip, or a line of it is not UTF-8.
    """
    try:
        with path.open("rb") as raw:
            packed = raw.peek(2)[:2] == _GZIP
            stream: Iterable[bytes] = gzip.GzipFile(fileobj=raw) if packed else raw
            for number, content in enumerate(stream, start=1):
                yield Line(str(path), number, _decoded(path, number, content))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise BadInput(f"{path} is not a whole gzip file ({error}); copy it again") from error
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror or error}") from error


def lines_of(text: str, source: str) -> Iterator[Line]:
    """The lines of a text that hold more than white space; `source` names it in errors."""
    for number, content in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if content.strip():
            yield Line(source, number, content.removesuffix("\r"))


def json_object(line: Line, example: str = '{"_id": "7", "text": "..."}') -> dict[str, Any]:
    """The JSON object that a line holds; an error shows `example` as what is right.

    Raises:
        BadInput: the line is not JSON, or not an object.
    """
    try:
        record = json.loads(line.text)
    except (ValueError, RecursionError) as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else error
        raise line.wrong(
            f"not JSON ({why}), found {shown(line.text)}; a line holds one object such as {example}"
        ) from error
    if not isinstance(record, dict):
        raise line.wrong(f"found {shown(record)}; a line holds one object such as {example}")
    return record


def string(line: Place, record: Mapping[str, Any], key: str, default: str | None = None) -> str:
    """The string under a key of the object on a line; `default` stands in for a missing key.

    Raises:
        BadInput: the key is missing, or its value is not a string, or not one that UTF-8 can hold.
    """
    value = record.get(key, default)
    if value is None and key not in record:
        found = ", ".join(record) or "none"
        raise line.wrong(f"no {key!r}; it must be there, as a string (found fields: {found})")
    if not isinstance(value, str):
        raise line.wrong(
            f"{key!r} is {shown(value)}; it must be a string: "
            f"write {json.dumps('' if value is None else str(value)[:_SHOWN])}"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise line.wrong(
            f"{key!r} holds half a surrogate pair, {value[error.start]!r}, at character "
            f"{error.start}; write the whole character"
        ) from error
    return value


def identifier(line: Line, record: dict[str, Any]) -> str:
    """The `_id` of the object on a line: a string that is not empty.

    Raises:
        BadInput: as for `string`, or the id is empty.
    """
    value = string(line, record, "_id")
    if not value.strip():
        raise line.wrong(f"'_id' is {value!r}; every line needs an id of its own")
    return value


def shown(value: object) -> str:
    """A value as an error repeats it: on one line, and not too much of it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _decoded(path: Path, number: int, content: bytes) -> str:
    if number == 1:
        content = content.removeprefix(codecs.BOM_UTF8)
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise BadInput(
            f"{path}:{number}: byte {error.start + 1} of the line is 0x{content[error.start]:02x}, "
            "which is not UTF-8; convert the file, for example with iconv -f latin1 -t utf-8"
        ) from error
    return text.removesuffix("\n").removesuffix("\r")
