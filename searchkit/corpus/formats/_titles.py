"""What may stand as a title or a heading."""

import re
from collections.abc import Sequence

from searchkit.corpus.extracted import Heading
from searchkit.corpus.formats._decoding import storable

LONGEST = 300  # characters; more is a paragraph in the wrong field

# What programs write where nobody gave a title.
_PLACEHOLDER = re.compile(
    r"(untitled|no title|title|document|doc|slide|presentation|powerpoint presentation|workbook"
    r"|book|sheet|page|microsoft word)[\s_-]*\d*",
    re.IGNORECASE,
)
_FILE_NAME = re.compile(
    r"\S.*\.(docx?|pptx?|xlsx?|odt|rtf|pdf|txt|html?|tex|dvi|e?ps|indd|qxd|pages|key|fm|p65|wpd)",
    re.IGNORECASE,
)
_PROGRAM = re.compile(r"^microsoft (word|powerpoint|excel) - ", re.IGNORECASE)


def one_line(text: str) -> str:
    """The text on one line, without white space around it and with single spaces inside."""
    return " ".join(storable(text).split())


def short(text: str) -> str:
    """A title or a heading on one line; the beginning of one that is as long as a paragraph.

    Every chunk below it repeats it, so a long one would be stored as often as it is long.
    """
    line = one_line(text)
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}…"


def sane(title: str | None) -> str:
    """A title out of a file's metadata, or nothing where it is no title.

    Names of files, numbers, what programs fill in and whole paragraphs are none.
    """
    line = _PROGRAM.sub("", one_line(title or ""))
    words = sum(letter.isalpha() for letter in line)
    if (
        words < 2
        or 2 * words < len(line.replace(" ", ""))
        or len(line) > LONGEST
        or _PLACEHOLDER.fullmatch(line)
        or _FILE_NAME.fullmatch(line)
    ):
        return ""
    return line


def sole(headings: Sequence[Heading]) -> str:
    """The heading that heads all the others, if there is one: the first, alone on its level."""
    if not headings:
        return ""
    first, *others = headings
    return first.text if all(first.level < other.level for other in others) else ""
