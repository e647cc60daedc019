"""Documents as resources, for clients that let a person attach them."""

import base64
import binascii
import json

from mcp.types import (
    Annotations,
    ListResourcesResult,
    ListResourceTemplatesResult,
    ReadResourceResult,
    Resource,
    ResourceTemplate,
    TextResourceContents,
)

from searchkit.agents.fitting import end_of
from searchkit.agents.quoting import line, visible
from searchkit.agents.shelf import Shelf
from searchkit.agents.tools.read import find, moment
from searchkit.agents.uris import TEMPLATE, parts_of, uri_of
from searchkit.errors import BadInput, SearchkitError
from searchkit.search.source import About

PAGE = 100
MOST_TOKENS = 20_000  # of a document that is attached
_TEXT = "text/plain"  # whatever the file was, the index holds its text


def templates() -> ListResourceTemplatesResult:
    """The one form that addresses have."""
    return ListResourceTemplatesResult(
        resource_templates=[
            ResourceTemplate(
                name="document",
                title="A document of an index",
                uri_template=TEMPLATE,
                description="index as list_indexes names it, doc_id as search returns it, both "
                "percent-encoded, slashes too.",
                mime_type=_TEXT,
            )
        ]
    )


def listed(shelf: Shelf, cursor: str | None) -> ListResourcesResult:
    """A page of the documents of all indexes.

    An index that cannot be opened is passed over; list_indexes says what is wrong with it.

    Raises:
        BadInput: the cursor is none, or its document is gone.
    """
    first, after = _read(cursor)
    resources: list[Resource] = []
    for name in shelf.names():
        if name < first:
            continue
        try:
            source = shelf.source(name)
            page = source.page(after if name == first else None, PAGE + 1 - len(resources))
        except (SearchkitError, OSError) as error:
            if name == first:
                raise BadInput(
                    "the index has changed since this cursor was given; list again without it"
                ) from error
            continue
        resources += [_resource(name, about) for about in page]
        if len(resources) > PAGE:
            following = _cursor(*parts_of(resources[PAGE - 1].uri))
            return ListResourcesResult(resources=resources[:PAGE], next_cursor=following)
    return ListResourcesResult(resources=resources)


def read(shelf: Shelf, uri: str) -> ReadResourceResult:
    """The text of a document, cut where it is very long; the cut is said at its end.

    Raises:
        UnknownName: there is no such document.
    """
    index, doc_id = parts_of(uri)
    name, source, about = find(shelf, index, doc_id)
    text = source.text(about.doc_id)
    end = end_of(text, 0, MOST_TOKENS)
    shown = visible(text[:end])
    if end < len(text):
        shown += (
            f"\n\n[Cut at character {end} of {len(text)}. To read on, call the tool read with "
            f"index {name!r}, doc_id {uri!r} and start {end}.]"
        )
    return ReadResourceResult(contents=[TextResourceContents(uri=uri, mime_type=_TEXT, text=shown)])


def _resource(name: str, about: About) -> Resource:
    modified = moment(about)
    return Resource(
        uri=uri_of(name, about.doc_id),
        name=line(about.doc_id),
        title=line(about.title) or None,
        mime_type=_TEXT,
        annotations=None if modified is None else Annotations(last_modified=modified),
    )


def _cursor(name: str, doc_id: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([name, doc_id]).encode()).decode()


def _read(cursor: str | None) -> tuple[str, str | None]:
    """The index and the document behind which a list goes on."""
    if cursor is None:
        return "", None
    try:
        place = json.loads(base64.b64decode(cursor, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError):
        place = None
    match place:
        case [str(name), str(doc_id)]:
            return name, doc_id
    raise BadInput(f"cursor {cursor[:60]!r} is none that was given here; list again without it")
