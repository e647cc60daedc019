"""Patterns of paths: what `path:` in a query, or a filter, says of the files it means.

One pattern is a regular expression for the index of words, whose automata take time in proportion
to a path whatever the pattern is. Python's backtrack: a dozen stars, and one path takes hours. So
here a pattern of many stars is matched by walking through the path with all places of the pattern
that it may have come to.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_ANY = r"[^\x00]*"  # no path has a NUL; a dot would stop at a line feed, which a path can have
_WILD = {"*": "[^/]*", "?": "[^/]"}
_STARS = re.compile(r"\*+")
_FEW = 2  # stars with which backtracking stays cheap; what a pattern begins or ends with stops at
# slashes, of which a path has few
_KNOWN = 10_000  # steps that are remembered of a pattern: paths have their beginnings in common
_IN_NAME, _ANYWHERE = "*", "**"  # what a star runs over: all but a slash, or that too

Match = Callable[[str], bool]


@lru_cache(maxsize=256)
def path_regex(pattern: str) -> str:
    """A path pattern of `Filters` as a regular expression that matches whole keys (`path_key`).

    It is of the kind that Python and Rust read alike.
    """
    parts = []
    for piece in _pieces(pattern):
        if piece == "**/":
            parts.append(f"({_ANY}/)?")
        elif piece == "/**":
            parts.append(f"(/{_ANY})?")
        elif piece == _ANYWHERE:
            parts.append(_ANY)
        elif piece in _WILD:
            parts.append(_WILD[piece])
        else:
            parts.append(re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", piece))
    return "".join(parts)


def path_key(path: str) -> str:
    """A path as it is compared: composed (NFC), and without bytes that are not UTF-8."""
    return unicodedata.normalize("NFC", re.sub("[\ud800-\udfff]", "\ufffd", path))


@lru_cache(maxsize=256)
def matcher(pattern: str) -> Match:
    """Whether a key matches a pattern, in time that no pattern can make long."""
    if len(_STARS.findall(pattern)) > _FEW:
        return _walker(_pieces(pattern))
    compiled = re.compile(path_regex(pattern))
    return lambda key: compiled.fullmatch(key) is not None


def _pieces(pattern: str) -> list[str]:
    """A pattern in parts: `**/` any folders or none, `/**` what is inside or none, stars, text."""
    pattern = path_key(pattern).strip()
    pattern = pattern[1:] if pattern.startswith("./") else pattern
    body, is_folder = pattern.rstrip("/"), pattern.endswith("/")
    if body in ("", "."):
        return [_ANYWHERE]
    pieces = [] if "/" in body else ["**/"]
    for piece in re.split(r"(\*\*/|\*+|\?)", body.lstrip("/")):
        if piece:
            pieces.append(_ANYWHERE if set(piece) == {"*"} and len(piece) > 1 else piece)
    return [*pieces, *(["/", _ANYWHERE] if is_folder else ["/**"])]


def _walker(pieces: list[str]) -> Match:
    """The pieces as an automaton: places in a row, each with what it runs over and what it awaits.

    `skips[i]` is where the place i may be left for without a character.
    """
    runs: list[str] = [""]
    awaits: list[str] = [""]
    skips: list[list[int]] = [[]]

    def go_on(awaited: str) -> None:
        """One place more, behind a character; behind none if it awaits nothing."""
        awaits[-1] = awaited
        if not awaited:
            skips[-1].append(len(runs))
        runs.append("")
        awaits.append("")
        skips.append([])

    for piece in pieces:
        first = len(runs) - 1
        if piece == "**/":
            go_on("")
            runs[-1] = _ANYWHERE
            go_on("/")
            skips[first].append(len(runs) - 1)
        elif piece == "/**":
            go_on("/")
            runs[-1] = _ANYWHERE
            go_on("")
            skips[first].append(len(runs) - 1)
        elif piece in (_IN_NAME, _ANYWHERE):
            go_on("")
            runs[-1] = piece
            go_on("")
        else:
            for character in piece:
                go_on(character)

    def reached(places: set[int]) -> frozenset[int]:
        waiting = list(places)
        while waiting:
            for other in skips[waiting.pop()]:
                if other not in places:
                    places.add(other)
                    waiting.append(other)
        return frozenset(places)

    known: dict[tuple[frozenset[int], str], frozenset[int]] = {}

    def step(places: frozenset[int], character: str) -> frozenset[int]:
        plain = character != "/"
        after = set()
        for place in places:
            run, awaited = runs[place], awaits[place]
            if run and (plain or run == _ANYWHERE):
                after.add(place)
            if awaited and (awaited == character or (awaited == "?" and plain)):
                after.add(place + 1)
        if len(known) > _KNOWN:
            known.clear()
        known[places, character] = found = reached(after)
        return found

    start, last = reached({0}), len(runs) - 1

    def match(key: str) -> bool:
        places = start
        for character in key:
            places = known.get((places, character)) or step(places, character)
            if not places:
                return False
        return last in places

    return match
