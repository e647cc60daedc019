"""Ignore files: what a .gitignore, or a list written like one, says of a path.

The patterns are those of git: the last one that matches decides, `!` takes a path back in, a slash
at the end means folders alone, one elsewhere ties a pattern to the folder of the file, and `**`
stands for any folders. One difference: a `?` is a character and not a byte.

Such a file comes with the folder that it is in, so it is not trusted: a pattern becomes a regular
expression that tries no star in two ways, where the usual one needs minutes for `*a*a*a*a*b` and a
single long name.

Source: https://git-scm.com/docs/gitignore; wildmatch.c and dir.c of git for what it leaves open.
"""

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

# Of ASCII, whatever the locale.
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f",
    "digit": "0-9",
    "graph": r"\x21-\x7e",
    "lower": "a-z",
    "print": r"\x20-\x7e",
    "punct": r"\x21-\x2f\x3a-\x40\x5b-\x60\x7b-\x7e",
    "space": r"\t-\r ",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_NAMED_CLASS = re.compile(r"\[:([^\]]*):\]")
_FOLDERS = "(?:[^/]+/)*?"

# What a pattern has between two slashes: an expression for each character, "*", and "**" for more.
_Component = list[str]


class Pattern(NamedTuple):
    """One line of an ignore file.

    Attributes:
        number: of the line, from 1.
        text: the line without its end.
        ignores: False where it takes a path back in.
        folders_only: whether it says nothing of files.
        by_name: whether it is about names, wherever they are, and not about paths.
        expression: a regular expression that the whole name or path matches.
    """

    number: int
    text: str
    ignores: bool
    folders_only: bool
    by_name: bool
    expression: str


class Patterns:
    """Patterns in the order of their lines; false if there are none."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._patterns = tuple(patterns)
        self._folders = _matchers(self._patterns)
        self._files = _matchers([one for one in self._patterns if not one.folders_only])

    def __bool__(self) -> bool:
        return bool(self._patterns)

    def last_match(self, path: str, *, is_folder: bool) -> Pattern | None:
        """The pattern that decides about a path, None if none does.

        Args:
            path: relative to the folder of the ignore file, with slashes and none at its end.
            is_folder: whether it is one; to git a symbolic link is none.
        """
        name = path[path.rfind("/") + 1 :]
        found = None
        for matcher in self._folders if is_folder else self._files:
            match = matcher.match(name if matcher.by_name else path)
            if match and (found is None or match.number > found.number):
                found = match
        return found


class _Matcher:
    """Patterns, all of them by name or none: most names match none, which one expression tells."""

    def __init__(self, patterns: list[Pattern]) -> None:
        self.by_name = patterns[0].by_name
        self._patterns = patterns
        self._any = _compiled("|".join(one.expression for one in patterns))
        self._each: list[re.Pattern[str]] = []

    def match(self, text: str) -> Pattern | None:
        if not self._any.fullmatch(text):
            return None
        self._each = self._each or [_compiled(one.expression) for one in self._patterns]
        last_first = zip(reversed(self._patterns), reversed(self._each), strict=True)
        return next(one for one, expression in last_first if expression.fullmatch(text))


def _matchers(patterns: Sequence[Pattern]) -> list[_Matcher]:
    by_name = [one for one in patterns if one.by_name]
    by_path = [one for one in patterns if not one.by_name]
    return [_Matcher(chosen) for chosen in (by_name, by_path) if chosen]


def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression, re.DOTALL)


def parse(content: str) -> Patterns:
    """The patterns of an ignore file; a line that can match nothing is left out, as git does."""
    lines = content.removeprefix("\ufeff").split("\n")
    found = (
        pattern(line.removesuffix("\r"), number)
        for number, line in enumerate(lines, start=1)
        if not line.startswith("#")
    )
    return Patterns(one for one in found if one)


def pattern(line: str, number: int = 1) -> Pattern | None:
    """The pattern of a line, None if it can match nothing."""
    text = line.rstrip(" ")
    backslashes = len(text) - len(text.rstrip("\\"))
    if backslashes % 2 and len(text) < len(line):
        text += " "  # it is escaped
    ignores = not text.startswith("!")
    glob = text if ignores else text[1:]
    folders_only = glob.endswith("/")
    glob = glob.removesuffix("/")
    by_name = "/" not in glob
    components = _components(glob.removeprefix("/"))
    if not glob or components is None:
        return None
    expression = _name(components[0]) if by_name else _path(components)
    return Pattern(number, text, ignores, folders_only, by_name, expression)


def _components(glob: str) -> list[_Component] | None:
    """What stands between the slashes of a pattern; None if it can match nothing."""
    components: list[_Component] = [[]]
    place = 0
    while place < len(glob):
        character = glob[place]
        place += 1
        if character == "/":
            components.append([])
        elif character == "*":
            stars = len(glob) - len(glob[place:].lstrip("*")) - place
            components[-1].append("**" if stars else "*")
            place += stars
        elif character == "?":
            components[-1].append("[^/]")
        elif character == "[":
            found = _set(glob, place)
            if found is None:
                return None
            expression, place = found
            components[-1].append(expression)
        else:
            if character == "\\":
                if place == len(glob):
                    return None
                character = glob[place]
                place += 1
            components[-1].append(re.escape(character))
    return components


def _set(glob: str, place: int) -> tuple[str, int] | None:
    """What is in brackets from `place` on, and the place behind them; None if nothing can be."""
    negated = glob.startswith(("!", "^"), place)
    place += negated
    start = place
    items: list[str] = []
    before = ""  # what a range would begin with
    while place < len(glob):
        if glob[place] == "]" and place > start:
            return f"(?!/)[{'^' if negated else ''}{''.join(items)}]", place + 1
        if named := _NAMED_CLASS.match(glob, place):
            if named[1] not in _CLASSES:
                return None
            items.append(_CLASSES[named[1]])
            place, before = named.end(), ""
            continue
        is_range = glob[place] == "-" and before != "" and glob[place + 1 : place + 2] not in "]"
        place += is_range
        place += glob[place] == "\\"
        if place == len(glob):
            return None
        character = glob[place]
        place += 1
        if not is_range:
            items.append(re.escape(character))
        elif before <= character:
            items.append(f"{re.escape(before)}-{re.escape(character)}")
        before = "" if is_range else character
    return None


def _name(component: _Component) -> str:
    """The expression of one name.

    What stands between two stars is looked for once, where it comes first: if the rest does not
    match behind that, it does not match behind a later one.
    """
    pieces = [""]
    for item in component:
        if item in ("*", "**"):
            pieces.append("")
        else:
            pieces[-1] += item
    first, *rest = pieces
    if not rest:
        return first
    *inner, last = rest
    return first + "".join(f"(?>[^/]*?{piece})" for piece in inner if piece) + f"[^/]*{last}"


def _path(components: list[_Component]) -> str:
    """The expression of a path; what stands between two `**` is looked for once too."""
    expression = names = folders = ""
    for component in components[:-1]:
        if component != ["**"]:
            names += _name(component) + "/"
            continue
        expression += f"(?>{folders}{names})" if names else ""
        names, folders = "", _FOLDERS
    if components[-1] == ["**"]:
        return expression + (f"(?>{folders}{names})" if names else "") + ".+"
    return expression + folders + names + _name(components[-1])
