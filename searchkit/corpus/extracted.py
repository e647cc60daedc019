"""What a reader finds in a file: one text, and where its parts begin."""

from dataclasses import dataclass
from datetime import datetime

from searchkit.errors import BadInput


class Unreadable(BadInput):
    """A file that gives no text; the message is the reason alone, without the path."""


class Encrypted(Unreadable):
    """A file that opens with a password only."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading, whose line begins at the character `start` of the text; `level` counts from 1."""

    start: int
    level: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """One document of a file; most files hold one, a mailbox one for each mail.

    Attributes:
        text: all that can be searched; offsets count characters; lines end in line feeds.
        title: the document's own; empty where it has none, and never the file's name.
        headings: in order of `start`.
        pages: where each page, slide, sheet or chapter begins, the first at 0; () without any.
        units: where something begins that should rather not be cut: a function, a cell of a
            notebook, a row of a table; ascending.
        verbatim: whether its lines are those of the file.
        part: which of the file's documents it is, such as "17"; empty where it holds one.
        modified: when it was written, where it says so itself, as a mail does.
        language: ISO 639-1, such as "en"; empty where it is not known.
    """

    text: str
    title: str = ""
    headings: tuple[Heading, ...] = ()
    pages: tuple[int, ...] = ()
    units: tuple[int, ...] = ()
    verbatim: bool = False
    part: str = ""
    modified: datetime | None = None
    language: str = ""
