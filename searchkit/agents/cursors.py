"""Where an answer goes on: a cursor names the place, what it is in, and what was asked.

A server remembers none of them. There is nothing secret in a cursor, and nothing can be won by
making one up: a place outside of what was asked is refused like any other.
"""

import json
import re
from typing import Any

from blake3 import blake3

from searchkit.errors import BadInput

_CURSOR = re.compile(r"([0-9a-f]{1,10})\.([0-9a-f]{12})\.([0-9a-f]{12})")


def cursor_of(place: int, version: str, asked: Any) -> str:
    """A cursor.

    Args:
        place: from 0.
        version: of what it is a place in.
        asked: the arguments of the call that it belongs to, as JSON has them.
    """
    return f"{place:x}.{_digest(version)}.{_digest([place, asked])}"


def place_of(cursor: str | None, version: str, asked: Any, changed: str) -> int:
    """The place that a cursor names; 0 without one.

    Args:
        cursor: as a client gave it.
        version: see `cursor_of`.
        asked: see `cursor_of`.
        changed: what to say where the version is another one.

    Raises:
        BadInput: it is none, or of another call, or of another version.
    """
    if cursor is None:
        return 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise BadInput(
            f"cursor {cursor[:60]!r} is none that was given here; repeat a call with its "
            "next_cursor, or leave cursor out"
        )
    place = int(match[1], 16)
    if match[3] != _digest([place, asked]):
        raise BadInput(
            f"cursor {cursor!r} belongs to other arguments; repeat the call that gave it, with "
            "nothing changed but cursor, k and max_tokens"
        )
    if match[2] != _digest(version):
        raise BadInput(changed)
    return place


def _digest(value: Any) -> str:
    return blake3(json.dumps(value, sort_keys=True).encode()).hexdigest(length=6)
