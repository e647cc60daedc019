"""LaTeX as it stands, comments included: what a search finds is on the line that it names.

Sections in comments and in verbatim text are no headings.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.extracted import Extracted, Heading
from searchkit.corpus.formats import _decoding, _titles

SUFFIXES = (".tex", ".latex", ".ltx")
TEXT = True
TRUSTED = True

_SECTIONS = (
    "part", "chapter", "section", "subsection", "subsubsection", "paragraph", "subparagraph",
)  # fmt: skip
_HIDDEN = r"verbatim\*?|Verbatim|lstlisting|minted|comment|filecontents\*?"
_TOKEN = re.compile(
    r"\\[^a-zA-Z]"  # such as \%, which begins no comment
    r"|%[^\n]*"
    rf"|\\begin\{{(?P<hidden>{_HIDDEN})\}}"
    rf"|\\(?P<command>title|{'|'.join(_SECTIONS)})\*?\s*(?:\[[^\[\]]*\]\s*)?\{{"
)
_COMMAND = re.compile(
    r"\\(?:label|footnote|thanks|index)\s*\{[^{}]*\}|\\[a-zA-Z]+\*?\s*|\\([%&$#_{}])"
)
_MARKUP = re.compile(r"[{}$]|~")
_LONGEST = 1000  # characters between the braces of a title


def read(path: Path) -> Iterator[Extracted]:
    """The file, line for line.

    Raises:
        Unreadable: it is not text.
        OSError: it cannot be read.
    """
    text = _decoding.read_text(path)
    title, found = _outline(text)
    yield Extracted(text=text, title=title or _titles.sole(found), headings=found, verbatim=True)


def _outline(text: str) -> tuple[str, tuple[Heading, ...]]:
    """The title and the headings of a document."""
    title = ""
    found: list[tuple[int, int, str]] = []  # start of the line, depth, text
    place = 0
    while token := _TOKEN.search(text, place):
        place = token.end()
        if token["hidden"]:
            end = text.find(f"\\end{{{token['hidden']}}}", place)
            place = end if end >= 0 else len(text)
        elif token["command"]:
            shown = _titles.short(_shown(_braced(text, place)))
            if token["command"] == "title":
                title = title or shown
                continue
            start = text.rfind("\n", 0, token.start()) + 1
            if shown and (not found or found[-1][0] < start):
                found.append((start, _SECTIONS.index(token["command"]), shown))
    highest = min((depth for _, depth, _ in found), default=0)
    return title, tuple(Heading(start, depth - highest + 1, line) for start, depth, line in found)


def _braced(text: str, begin: int) -> str:
    """What stands before the brace that closes one opened just before `begin`; "" without one."""
    depth = 1
    for place in range(begin, min(begin + _LONGEST, len(text))):
        if text[place] in "{}" and text[place - 1] != "\\":
            depth += 1 if text[place] == "{" else -1
            if not depth:
                return text[begin:place]
    return ""


def _shown(markup: str) -> str:
    """A title without its commands."""
    text = _COMMAND.sub(lambda command: command[1] or "", markup)
    return _MARKUP.sub(lambda mark: " " if mark[0] == "~" else "", text)
