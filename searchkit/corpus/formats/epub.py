"""EPUB books: one page a chapter, as the spine orders them.

Source: W3C, EPUB 3.3, sections 4.2 (the container) and 5 (the package document).
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from searchkit.corpus.extracted import Encrypted, Extracted, Unreadable
from searchkit.corpus.formats import _archive, _open_xml, _titles, _xml, html
from searchkit.corpus.formats._archive import Archive
from searchkit.corpus.formats._writing import Writing

SUFFIXES = (".epub",)
TEXT = False
TRUSTED = False

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"
_PAGE = re.compile(r"application/xhtml\+xml|text/html|application/x-dtbook\+xml")


def read(path: Path) -> Iterator[Extracted]:
    """The book.

    Raises:
        Unreadable: see `_archive.opened`, or no package document tells the order of its chapters.
        Encrypted: its chapters are under digital rights management.
        OSError: the file cannot be read.
    """
    with _archive.opened(path) as archive:
        package = _package(archive)
        chapters = list(_chapters(archive, package))
        locked = _locked(archive)
        if chapters and locked.issuperset(chapters):
            raise Encrypted("its chapters are encrypted (digital rights management)")
        writing = Writing()
        for chapter in chapters:
            if chapter in archive.names and chapter not in locked:
                writing.page()
                html.write(writing, html.decoded(archive.read(chapter)))
        yield writing.extracted(_titles.sane(_open_xml.text_of(archive, package, "dc:title")))


def _package(archive: Archive) -> str:
    for event in archive.events(_CONTAINER):
        name = event.attributes.get("full-path", "")
        if event.name == "container:rootfile" and name in archive.names:
            return name
    raise Unreadable("a zip file without a book inside")


def _chapters(archive: Archive, package: str) -> Iterator[str]:
    """The names of the members that hold the chapters, in reading order."""
    members: dict[str, str] = {}
    for event in archive.events(package):
        about = event.attributes
        if event.kind != _xml.START:
            continue
        if event.name == "opf:item" and _PAGE.fullmatch(about.get("media-type", "")):
            target = unquote(about.get("href", "").partition("#")[0])
            member = posixpath.normpath(posixpath.join("/", posixpath.dirname(package), target))
            members[about.get("id", "")] = member[1:]
        elif event.name == "opf:itemref" and about.get("idref", "") in members:
            yield members[about["idref"]]


def _locked(archive: Archive) -> frozenset[str]:
    """The members that are encrypted; fonts often are, in books that anyone can read."""
    if _ENCRYPTION not in archive.names:
        return frozenset()
    return frozenset(
        unquote(event.attributes.get("URI", ""))
        for event in archive.events(_ENCRYPTION)
        if event.name == "enc:CipherReference"
    )
