"""reStructuredText as it stands; titles of sections are known by their underlines.

Source: Docutils, reStructuredText Markup Specification, "Sections".
"""

import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.extracted import Extracted, Heading
from searchkit.corpus.formats import _decoding, _titles

SUFFIXES = (".rst", ".rest")
TEXT = True
TRUSTED = True

_ADORNMENT = re.compile(r"([!-/:-@[-`{-~])\1*[ \t]*")
_SHORTEST = 4  # an underline of so many characters may be shorter than its title


def read(path: Path) -> Iterator[Extracted]:
    """The file, line for line.

    Raises:
        Unreadable: it is not text.
        OSError: it cannot be read.
    """
    text = _decoding.read_text(path)
    found = tuple(_headings(text))
    yield Extracted(text=text, title=_titles.sole(found), headings=found, verbatim=True)


def _headings(text: str) -> Iterator[Heading]:
    """The titles of sections: a line underlined, maybe overlined, after a blank or indented one.

    Which level an adornment means is not fixed: the first to be met is the highest.
    """
    lines = text.split("\n")
    levels: dict[tuple[str, bool], int] = {}
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    number = 0
    while number + 1 < len(lines):
        over = _adorns(lines[number])
        title = lines[number + over] if number + over < len(lines) else ""
        under = number + over + 1
        apart = number == 0 or not lines[number - 1].strip() or lines[number - 1][0] in " \t"
        if (
            apart
            and title.strip()
            and not _adorns(title)
            and (over or not title[0].isspace())
            and under < len(lines)
            and _underlines(lines[under], title.rstrip())
            and (not over or lines[number].rstrip() == lines[under].rstrip())
        ):
            kind = lines[under][0], over
            level = levels.setdefault(kind, len(levels) + 1)
            yield Heading(starts[number + over], level, _titles.short(title))
            number = under
        number += 1


def _adorns(line: str) -> bool:
    return bool(_ADORNMENT.fullmatch(line))


def _underlines(line: str, title: str) -> bool:
    return _adorns(line) and len(line.rstrip()) >= min(_width(title), _SHORTEST)


def _width(text: str) -> int:
    """Columns that a text takes up; Chinese, Japanese and Korean letters take two."""
    return sum(
        2 if unicodedata.east_asian_width(letter) in "WF" else not unicodedata.combining(letter)
        for letter in text
    )
