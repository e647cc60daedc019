"""XML as a stream of events, without anything that lets a small file become a large one.

Expat of the standard library does the parsing. A document type may be named, as EPUB does, but not
defined: its entities are what a "billion laughs" is made of, and no document format needs them.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol
from xml.parsers import expat

from searchkit.corpus.extracted import Unreadable

START, END, TEXT = "start", "end", "text"

_CHUNK = 1 << 16  # bytes
_DEEPEST = 5000  # elements within each other

_OPEN_XML = "http://schemas.openxmlformats.org/"
_STRICT = "http://purl.oclc.org/ooxml/"
_ODF = "urn:oasis:names:tc:opendocument:xmlns:"

# By namespace, the prefix that the formats' own specifications use.
_PREFIXES = {
    f"{_OPEN_XML}wordprocessingml/2006/main": "w",
    f"{_STRICT}wordprocessingml/main": "w",
    f"{_OPEN_XML}drawingml/2006/main": "a",
    f"{_STRICT}drawingml/main": "a",
    f"{_OPEN_XML}drawingml/2006/chart": "c",
    f"{_STRICT}drawingml/chart": "c",
    f"{_OPEN_XML}presentationml/2006/main": "p",
    f"{_STRICT}presentationml/main": "p",
    f"{_OPEN_XML}spreadsheetml/2006/main": "x",
    f"{_STRICT}spreadsheetml/main": "x",
    f"{_OPEN_XML}officeDocument/2006/relationships": "r",
    f"{_STRICT}officeDocument/relationships": "r",
    f"{_OPEN_XML}package/2006/relationships": "rel",
    f"{_OPEN_XML}officeDocument/2006/math": "m",
    f"{_STRICT}officeDocument/math": "m",
    f"{_OPEN_XML}markup-compatibility/2006": "mc",
    "http://purl.org/dc/elements/1.1/": "dc",
    f"{_ODF}office:1.0": "office",
    f"{_ODF}text:1.0": "text",
    f"{_ODF}table:1.0": "table",
    f"{_ODF}style:1.0": "style",
    f"{_ODF}manifest:1.0": "manifest",
    f"{_ODF}container": "container",
    "http://www.idpf.org/2007/opf": "opf",
    "http://www.w3.org/2001/04/xmlenc#": "enc",
}


class Event(NamedTuple):
    """The start or the end of an element, or text.

    `name` is that of the element with its usual prefix, such as "w:p", and nothing for a text;
    elements of other namespaces have ":" before it. `attributes` are those of a start, named
    likewise but without a prefix where they have no namespace.
    """

    kind: str
    name: str
    attributes: dict[str, str]
    text: str


class Source(Protocol):
    """Where the bytes come from."""

    def read(self, size: int, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def events(source: Source, name: str) -> Iterator[Event]:
    """The events of a document in order.

    Args:
        source: its bytes.
        name: what an error calls it.

    Raises:
        Unreadable: it is not well-formed, defines a document type of its own, or nests too deeply.
    """
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    found: list[Event] = []
    names: dict[str, str] = {}
    depth = 0

    def known(name: str) -> str:
        if name not in names:
            space, _, local = name.rpartition(" ")
            names[name] = f"{_PREFIXES.get(space, '')}:{local}" if space else local
        return names[name]

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > _DEEPEST:
            raise Unreadable(f"its XML nests more than {_DEEPEST:,} elements")
        if attributes:
            attributes = {known(key): value for key, value in attributes.items()}
        found.append(Event(START, known(name), attributes, ""))

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        found.append(Event(END, known(name), {}, ""))

    def text(data: str) -> None:
        found.append(Event(TEXT, "", {}, data))

    def document_type(_name: str, _system: str | None, _public: str | None, defined: bool) -> None:
        if defined:
            raise Unreadable("its XML defines entities, which no document needs")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = document_type

    try:
        while chunk := source.read(_CHUNK):
            parser.Parse(chunk, False)
            yield from found
            found.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise Unreadable(f"damaged: {name}: {error}") from error
    yield from found


def without(found: Iterator[Event], names: frozenset[str]) -> Iterator[Event]:
    """The events outside of the elements of these names."""
    depth = 0
    for event in found:
        if depth:
            depth += (event.kind == START) - (event.kind == END)
        elif event.kind == START and event.name in names:
            depth = 1
        else:
            yield event
