"""PowerPoint presentations: one page a slide, headed by its title, with the speaker's notes.

The words of diagrams and charts come between the two.

Source: ECMA-376, Office Open XML, part 1, section 19: PresentationML.
"""

from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.extracted import Extracted
from searchkit.corpus.formats import _archive, _open_xml, _xml
from searchkit.corpus.formats._archive import Archive
from searchkit.corpus.formats._writing import Writing, row

SUFFIXES = (".pptx", ".pptm", ".ppsx", ".potx")
TEXT = False
TRUSTED = False

_TITLES = ("title", "ctrTitle")
_FURNITURE = ("dt", "ftr", "hdr", "sldNum", "sldImg")  # the same on every slide, or no text
_UNREAD = frozenset({"mc:Fallback"})


def read(path: Path) -> Iterator[Extracted]:
    """The presentation, hidden slides included; its title, or else that of its first slide.

    Raises:
        Unreadable, Encrypted: see `_archive.opened`.
        OSError: the file cannot be read.
    """
    with _archive.opened(path) as archive:
        part = _open_xml.main_part(archive)
        related = _open_xml.relations(archive, part)
        writing = Writing()
        for event in archive.events(part):
            if event.kind == _xml.START and event.name == "p:sldId":
                slide = related.get(event.attributes.get("r:id", ""))
                if slide and slide.target in archive.names:
                    _write_slide(writing, archive, slide.target)
        title = _open_xml.title(archive)
        first = writing.headings[:1]
        yield writing.extracted(title or (first[0].text if first else ""))


def _write_slide(writing: Writing, archive: Archive, part: str) -> None:
    shapes = list(_shapes(archive, part))
    writing.page()
    for kind, text in shapes:
        if kind in _TITLES:
            writing.heading(1, text)
    for kind, text in shapes:
        if kind not in _TITLES:
            writing.block(text)
    related = _open_xml.relations(archive, part).values()
    for text in _open_xml.drawn(archive, related):
        writing.block(text)
    for relation in related:
        if relation.kind == "notesSlide" and relation.target in archive.names:
            for _, text in _shapes(archive, relation.target):
                writing.block(text)


def _shapes(archive: Archive, part: str) -> Iterator[tuple[str, str]]:
    """The shapes of a slide in order: what each is a placeholder for, if at all, and its text."""
    kind, reading = "", False
    lines: list[str] = []
    line = ""
    cells: list[str] | None = None  # of the row being read
    for event in _xml.without(archive.events(part), _UNREAD):
        starts = event.kind == _xml.START
        if event.kind == _xml.TEXT:
            line += event.text if reading else ""
            continue
        match event.name:
            case "p:sp" | "p:graphicFrame" if starts:
                kind, lines = "", []
            case "p:sp" | "p:graphicFrame" if kind not in _FURNITURE:
                yield kind, "\n".join(lines)
            case "p:ph" if starts:
                kind = event.attributes.get("type", "body")
            case "a:t":
                reading = starts
            case "a:br" if starts:
                line += "\n"
            case "a:p" if starts:
                line = ""
            case "a:p" if cells is None:
                lines.append(line)
            case "a:p" if cells:
                cells[-1] += f" {line}"
            case "a:tr" if starts:
                cells = []
            case "a:tc" if starts and cells is not None:
                cells.append("")
            case "a:tr" if cells is not None:
                lines.append(row(cells))
                cells = None
