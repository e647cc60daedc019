"""Word documents.

Read from their XML: headings are known by the outline level of a paragraph or its style, and by the
names of styles, which is all that publishers' templates have.

Source: ECMA-376, Office Open XML, part 1, section 17: WordprocessingML.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _archive, _blocks, _open_xml, _xml
from searchkit.corpus.formats._archive import Archive
from searchkit.corpus.formats._blocks import Block

SUFFIXES = (".docx", ".docm", ".dotx", ".dotm")
TEXT = False
TRUSTED = False

_HEADING = re.compile(r"heading ?([1-9])|h([1-6])|head ?([a-e])(?:number|exercise)?", re.IGNORECASE)
_TITLE = re.compile(r"(?!.*(table|box|figure|list|sub|sidebar))\w* ?title", re.IGNORECASE)
_CLOSE = re.compile(r"code|listing|preformatted|source|program|list|bullet|toc", re.IGNORECASE)
_NO_HEADING = 9  # the outline level of body text

# Text that was moved away, how a word is read aloud, copies for older programs, and settings named
# like text. What a tracked change deleted is no "w:t", and may hold the break at which a page
# begins.
_UNREAD = frozenset(
    {"w:moveFrom", "w:rt", "w:pPrChange", "w:rPrChange", "w:sectPr", "w:tabs", "mc:Fallback"}
)
_CHARACTERS = {"w:tab": "\t", "w:br": "\n", "w:cr": "\n", "w:noBreakHyphen": "-"}


@dataclass(frozen=True, slots=True)
class _Style:
    name: str
    parent: str
    outline: int | None


def read(path: Path) -> Iterator[Extracted]:
    """The document; its pages are those of its last layout, where Word has stored that.

    Footnotes and endnotes follow the text, then the words of diagrams and charts.

    Raises:
        Unreadable, Encrypted: see `_archive.opened`.
        OSError: the file cannot be read.
    """
    with _archive.opened(path) as archive:
        part = _open_xml.main_part(archive)
        related = [
            relation
            for relation in _open_xml.relations(archive, part).values()
            if relation.target in archive.names
        ]
        styles: dict[str, _Style] = {}
        for relation in related:
            if relation.kind == "styles":
                styles = _styles(archive, relation.target)
        notes = [one.target for one in related if one.kind in ("footnotes", "endnotes")]
        blocks = chain.from_iterable(_found(archive, one, styles) for one in (part, *notes))
        drawn = (Block(one) for one in _open_xml.drawn(archive, related))
        yield _blocks.extracted(chain(blocks, drawn), _open_xml.title(archive))


def _styles(archive: Archive, part: str) -> dict[str, _Style]:
    """The styles by their ids."""
    found = {}
    identifier = name = parent = ""
    outline: int | None = None
    for event in archive.events(part):
        value = event.attributes.get("w:val", "")
        match event.kind, event.name:
            case _xml.START, "w:style":
                identifier = event.attributes.get("w:styleId", "")
                name, parent, outline = "", "", None
            case _xml.START, "w:name":
                name = value
            case _xml.START, "w:basedOn":
                parent = value
            case _xml.START, "w:outlineLvl":
                outline = _number(value)
            case _xml.END, "w:style":
                found[identifier] = _Style(name, parent, outline)
    return found


def _found(archive: Archive, part: str, styles: Mapping[str, _Style]) -> Iterator[Block]:
    """The blocks of a part in order; the text of a box comes before the paragraph that has it."""
    paragraphs: list[_Paragraph] = []  # each within the one before
    tables = table = pages = 0
    cells: list[list[str]] = []
    reading = False
    for event in _xml.without(archive.events(part), _UNREAD):
        starts = event.kind == _xml.START
        value = event.attributes.get("w:val", "")
        paragraph = paragraphs[-1] if paragraphs else _Paragraph()  # outside of any: nobody's
        match event.name:
            case "" if event.kind == _xml.TEXT:
                paragraph.block.text += event.text if reading else ""
            case "w:t" | "m:t":
                reading = starts
            case "w:p" if starts:
                paragraphs.append(_Paragraph())
            case "w:p" if paragraphs:
                paragraphs.pop()
                if not tables:
                    yield paragraph.finished(styles)
                elif cells:
                    cells[-1].append(paragraph.block.text)
                    pages += len(paragraph.block.pages)
            case "w:pStyle" if starts:
                paragraph.style = value
            case "w:outlineLvl" if starts:
                paragraph.outline = _number(value)
            case "w:numPr" if starts:
                paragraph.numbered = True
            case "w:lastRenderedPageBreak" if starts:
                paragraph.block.pages.append(len(paragraph.block.text))
            case name if starts and name in _CHARACTERS:
                paragraph.block.text += _CHARACTERS[name]
            case "w:tbl":
                tables += 1 if starts else -1
                table += starts
            case "w:tr" if tables == 1 and starts:
                cells, pages = [], 0
            case "w:tr" if tables == 1:
                yield _blocks.row_block(cells, table, pages)
            case "w:tc" if starts and tables == 1:
                cells.append([])


class _Paragraph:
    """A paragraph while it is read."""

    def __init__(self) -> None:
        self.block = Block()
        self.style = ""
        self.outline: int | None = None
        self.numbered = False

    def finished(self, styles: Mapping[str, _Style]) -> Block:
        """The block, with what its style makes of it."""
        name = styles[self.style].name if self.style in styles else self.style
        self.block.level = self._level(name, styles)
        self.block.title = bool(_TITLE.fullmatch(name))
        if self.numbered or _CLOSE.search(name):
            self.block.together = name or "list"
        return self.block

    def _level(self, name: str, styles: Mapping[str, _Style]) -> int:
        outline, style = self.outline, self.style
        passed: set[str] = set()
        while outline is None and style in styles and style not in passed:
            passed.add(style)
            outline, style = styles[style].outline, styles[style].parent
        if outline is not None:
            return outline + 1 if outline < _NO_HEADING else 0
        if named := _HEADING.fullmatch(name):
            number, short, letter = named.groups()
            return int(number or short or 1 + "abcde".index(letter.lower()))
        return int(bool(_TITLE.fullmatch(name)))


def _number(value: str) -> int | None:
    return int(value) if value.isdecimal() else None
