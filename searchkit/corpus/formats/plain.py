"""Plain text, as it stands."""

from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _decoding

SUFFIXES = (
    ".txt", ".text", ".log", ".asc", ".nfo", ".diff", ".patch", ".po", ".pot", ".srt", ".vtt",
    ".org", ".adoc", ".asciidoc", ".textile", ".wiki", ".bib", ".ris",
)  # fmt: skip
TEXT = True
TRUSTED = True


def read(path: Path) -> Iterator[Extracted]:
    """The file, line for line.

    Raises:
        Unreadable: it is not text.
        OSError: it cannot be read.
    """
    yield Extracted(text=_decoding.read_text(path), verbatim=True)
