"""OpenDocument texts.

Source: OASIS, OpenDocument 1.3, part 3, sections 4 to 6, 9 and 16.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.extracted import Encrypted, Extracted
from searchkit.corpus.formats import _archive, _blocks, _open_xml, _titles, _xml
from searchkit.corpus.formats._archive import Archive
from searchkit.corpus.formats._blocks import Block

SUFFIXES = (".odt", ".ott")
TEXT = False
TRUSTED = False

_MANIFEST, _META, _CONTENT = "META-INF/manifest.xml", "meta.xml", "content.xml"
_UNREAD = frozenset(
    # The last is how a word is read aloud, in the midst of the sentence.
    {"text:tracked-changes", "office:annotation", "text:note-citation", "text:ruby-text"}
)
_SPACE = re.compile(r"\s+")
_CLOSE = re.compile(r"preformatted|code|source", re.IGNORECASE)
_MOST_SPACES = 100  # that one element may stand for


def read(path: Path) -> Iterator[Extracted]:
    """The document; its pages are those of its last layout, where that is stored.

    Raises:
        Unreadable, Encrypted: see `_archive.opened`.
        OSError: the file cannot be read.
    """
    with _archive.opened(path) as archive:
        if _MANIFEST in archive.names and any(
            event.name == "manifest:encryption-data" for event in archive.events(_MANIFEST)
        ):
            raise Encrypted("opens with a password only")
        title = ""
        if _META in archive.names:
            title = _titles.sane(_open_xml.text_of(archive, _META, "dc:title"))
        yield _blocks.extracted(_found(archive), title)


def _found(archive: Archive) -> Iterator[Block]:
    """The blocks of the document in order; a note or a frame comes before its paragraph."""
    parents: dict[str, str] = {}  # of the styles that were made for single paragraphs
    paragraphs: list[Block] = []  # each within the one before
    tables = table = lists = pages = 0
    cells: list[list[str]] = []
    for event in _xml.without(archive.events(_CONTENT), _UNREAD):
        about = event.attributes
        starts = event.kind == _xml.START
        block = paragraphs[-1] if paragraphs else Block()  # text outside of any is nobody's
        match event.name:
            case "" if event.kind == _xml.TEXT:
                block.text += _SPACE.sub(" ", event.text)
            case "style:style" if starts:
                parents[about.get("style:name", "")] = about.get("style:parent-style-name", "")
            case "text:p" | "text:h" if starts:
                style = about.get("text:style-name", "")
                block = _opened(event, parents.get(style) or style, in_list=lists > 0)
                paragraphs.append(block)
                if not tables:
                    block.pages, pages = [0] * pages, 0
            case "text:p" | "text:h" if paragraphs:
                paragraphs.pop()
                if not tables:
                    yield block
                elif cells:
                    cells[-1].append(block.text)
                    pages += len(block.pages)
            case "text:s" if starts:
                count = about.get("text:c", "1")
                block.text += " " * (min(int(count), _MOST_SPACES) if count.isdecimal() else 1)
            case "text:tab" if starts:
                block.text += "\t"
            case "text:line-break" if starts:
                block.text += "\n"
            case "text:soft-page-break" if starts and paragraphs:
                block.pages.append(len(block.text))
            case "text:soft-page-break" if starts:
                pages += 1  # the next block begins with them
            case "text:list":
                lists += 1 if starts else -1
            case "table:table":
                tables += 1 if starts else -1
                table += starts
            case "table:table-row" if tables == 1 and starts:
                cells = []
            case "table:table-row" if tables == 1:
                yield _blocks.row_block(cells, table, pages)
                pages = 0
            case "table:table-cell" if starts and tables == 1:
                cells.append([])


def _opened(event: _xml.Event, style: str, *, in_list: bool) -> Block:
    """The block that a paragraph or a heading begins."""
    title = style == "Title"
    level = int(title)
    if event.name == "text:h":
        outline = event.attributes.get("text:outline-level", "1")
        level = max(int(outline), 1) if outline.isdecimal() else 1
    together = "list" if in_list else style if _CLOSE.search(style) else ""
    return Block(level=level, title=title, together=together)
