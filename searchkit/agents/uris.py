"""The addresses of documents: `searchkit://notes/documents/lab%2Fcare.md`."""

from urllib.parse import quote, unquote

from searchkit.agents.quoting import line
from searchkit.errors import UnknownName

TEMPLATE = "searchkit://{index}/documents/{doc_id}"
_SCHEME, _FOLDER = "searchkit://", "/documents/"


def uri_of(index: str, doc_id: str) -> str:
    """The address of a document; whatever an id holds, it has nothing but ASCII."""
    return f"{_SCHEME}{quote(index, safe='')}{_FOLDER}{quote(doc_id, safe='')}"


def parts_of(uri: str) -> tuple[str, str]:
    """The index and the id that an address names; whether they are there, it does not say.

    Raises:
        UnknownName: it is no such address.
    """
    index, folder, doc_id = uri.removeprefix(_SCHEME).partition(_FOLDER)
    if not (uri.startswith(_SCHEME) and index and folder and doc_id):
        raise UnknownName(f"no resource {uri[:200]!r}; the address of a document is {TEMPLATE}")
    return unquote(index), unquote(doc_id)


def handle(index: str, doc_id: str) -> str:
    """What a client calls a document: its id, or its address where the id has hidden characters."""
    return doc_id if doc_id == line(doc_id) else uri_of(index, doc_id)
