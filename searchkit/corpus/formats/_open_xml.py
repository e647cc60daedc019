"""What DOCX, PPTX and XLSX share: parts of a package, and how they refer to each other.

Source: ECMA-376, Office Open XML, part 2: Open Packaging Conventions.
"""

import posixpath
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from searchkit.corpus.extracted import Unreadable
from searchkit.corpus.formats import _titles, _xml
from searchkit.corpus.formats._archive import Archive

_DRAWN = ("diagramData", "chart")  # kinds of relations to a drawing that has words


class Relation(NamedTuple):
    """What a part refers to: the last word of the relation's type, and a member's name."""

    kind: str
    target: str


def relations(archive: Archive, part: str = "") -> dict[str, Relation]:
    """By their ids, the relations of a part to members of the archive; those of all without one."""
    folder, name = posixpath.split(part)
    listed = posixpath.join(folder, "_rels", f"{name}.rels")
    if listed not in archive.names:
        return {}
    found = {}
    for event in archive.events(listed):
        if event.kind == _xml.START and event.name == "rel:Relationship":
            about = event.attributes
            if about.get("TargetMode") != "External":
                target = posixpath.join("/", folder, about.get("Target", ""))
                found[about.get("Id", "")] = Relation(
                    about.get("Type", "").rpartition("/")[2], posixpath.normpath(target)[1:]
                )
    return found


def main_part(archive: Archive) -> str:
    """The name of the document itself.

    Raises:
        Unreadable: the archive says of no part that it is the document.
    """
    for relation in relations(archive).values():
        if relation.kind == "officeDocument" and relation.target in archive.names:
            return relation.target
    raise Unreadable("a zip file without a document inside")


def title(archive: Archive) -> str:
    """The title among the document's properties, or nothing where it is no title."""
    for relation in relations(archive).values():
        if relation.kind == "core-properties" and relation.target in archive.names:
            return _titles.sane(text_of(archive, relation.target, "dc:title"))
    return ""


def drawn(archive: Archive, related: Iterable[Relation]) -> Iterator[str]:
    """The words of each diagram and chart among relations, on lines of their own."""
    for relation in related:
        if relation.kind in _DRAWN and relation.target in archive.names:
            # The series of a chart repeat the names of what they have in common.
            yield "\n".join(filter(None, dict.fromkeys(_lines(archive, relation.target))))


def _lines(archive: Archive, part: str) -> Iterator[str]:
    """The paragraphs of a drawing, and the names that a chart shows of cells."""
    line, reading, names = "", False, False
    for event in archive.events(part):
        starts = event.kind == _xml.START
        match event.name:
            case "" if event.kind == _xml.TEXT:
                line += event.text if reading else ""
            case "c:strCache" | "c:strLit" | "c:multiLvlStrCache":
                names = starts
            case "a:t" | "c:v":
                reading = starts and (names or event.name == "a:t")
            case "a:br" if starts:
                line += "\n"
            case "a:p" | "c:pt" if starts:
                line = ""
            case "a:p" | "c:pt":
                yield line


def text_of(archive: Archive, part: str, element: str) -> str:
    """The text of the first such element of a part, without what is nested in it."""
    pieces: list[str] = []
    inside = False
    for event in archive.events(part):
        if event.kind == _xml.START and event.name == element:
            inside = True
        elif event.kind == _xml.END and event.name == element:
            break
        elif inside and event.kind == _xml.TEXT:
            pieces.append(event.text)
    return "".join(pieces)
