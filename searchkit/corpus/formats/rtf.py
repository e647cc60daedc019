"""Rich Text Format, by striprtf: its words, and no headings, which it hides in its layout.

striprtf leaves out footnotes, so they are told to it as a part of the text, between two marks.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.extracted import Extracted, Unreadable
from searchkit.corpus.formats import _titles
from searchkit.corpus.formats._writing import Writing, row

SUFFIXES = (".rtf",)
TEXT = False
TRUSTED = False

_BEGINNING = b"{\\rtf"
_TITLE = re.compile(r"\{\\title ([^{}]*)\}")
_ROW_END = "|"
_GROUP = re.compile(r"\\[\\{}]|(?P<note>\{(?:\\\*)?\\footnote(?![a-z]))|[{}]")
_NOTE, _NOTE_END = "\ufdd0", "\ufdd1"  # no characters, and for such uses
_NOTES = re.compile(rf"{_NOTE}([^{_NOTE_END}]*){_NOTE_END}?")


def read(path: Path) -> Iterator[Extracted]:
    """The document; footnotes and endnotes follow the text.

    Raises:
        Unreadable: the file is not RTF.
        OSError: it cannot be read.
    """
    content = path.read_bytes()
    if not content.lstrip().startswith(_BEGINNING):
        raise Unreadable("not RTF, which begins with {\\rtf")
    rtf = content.decode("latin-1")  # other characters are written in ASCII
    writing = Writing()
    in_table = False
    words = _words(_with_marks(rtf) if "\\footnote" in rtf else rtf)
    notes = map(str.strip, _NOTES.findall(words))
    for line in "\n".join([_NOTES.sub("", words), *notes]).split("\n"):
        cells = line.removesuffix(_ROW_END).split(_ROW_END) if line.endswith(_ROW_END) else []
        writing.block(row(cells) if cells else line, close=in_table and bool(cells))
        in_table = bool(cells)
    title = _TITLE.search(rtf)
    yield writing.extracted(_titles.sane(_words(f"{{\\rtf1 {title[1]}}}")) if title else "")


def _with_marks(rtf: str) -> str:
    """The document with marks around what its notes say, as if they stood in the text."""
    notes: list[bool] = []  # of each group around a place, whether it is one

    def marked(found: re.Match[str]) -> str:
        match found[0]:
            case "{":
                notes.append(False)
            case "}":
                return f"}}{_NOTE_END}" if notes and notes.pop() else "}"
            case _ if found["note"]:
                notes.append(True)
                return f"{{{_NOTE}"
        return found[0]

    return _GROUP.sub(marked, rtf)


def _words(rtf: str) -> str:
    """What a reader would see, a line feed behind each paragraph."""
    from striprtf.striprtf import rtf_to_text

    text: str = rtf_to_text(rtf, errors="replace")
    # An emoji is written as the two halves of a surrogate pair.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
