"""A client of `searchkit serve` for Python programs, of the standard library alone.

client = Client("http://127.0.0.1:8765")
for result in client.search("notes", "how do I clean the autoclave", k=5)["results"]:
    print(result["place"], result["text"])
"""

import base64
import http.client
import json
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NotRequired, TypedDict
from urllib.parse import quote, urlencode, urlsplit

Mode = Literal["hybrid", "dense", "bm25"]


class Listed(TypedDict):
    """What one of the lists that were fused said of a result."""

    name: str
    rank: int
    score: float
    share: NotRequired[float]


class Result(TypedDict):
    """One place of a ranking; `start` counts in the document, `best` and `marks` in `text`."""

    rank: int
    score: float
    doc_id: str
    title: str
    trail: list[str]
    place: str
    line: int | None
    lines: list[int] | None
    page: int | None
    text: str
    start: int
    best: list[int]
    marks: list[list[int]]
    lists: list[Listed]


class System(TypedDict):
    """How was searched."""

    mode: Mode
    variant: str | None
    name: str
    rerank: NotRequired[str | None]


class Compared(TypedDict):
    """What the second way found."""

    system: System
    results: list[Result]


class Found(TypedDict):
    """The answer to a search."""

    query: str
    system: System
    results: list[Result]
    compared: Compared | None
    explanation: str | None
    notes: list[str]
    generation: str
    cached: bool
    took_ms: float


class Event(TypedDict):
    """One event of an answer: passages, text, answer or done, with its data."""

    event: str
    data: dict[str, Any]


class Document(TypedDict):
    """A document; `text` and `length` only where one is asked for."""

    doc_id: str
    title: str
    format: str
    language: str
    modified: float | None
    text: NotRequired[str]
    length: NotRequired[int]


class Span(TypedDict):
    """Characters [start, end) of a document's text, which has `length`."""

    doc_id: str
    start: int
    end: int
    text: str
    length: int


class Judgement(TypedDict):
    """What somebody said of a document as an answer to a query."""

    query: str
    doc_id: str
    grade: int
    literal: bool


class ServerError(Exception):
    """An answer that is none.

    Attributes:
        status: of the HTTP answer; 0 of an answer that broke off.
        message: one line: what was wrong, and what would be right.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}" if status else message)
        self.status, self.message = status, message


class Client:
    """A server; one connection is kept, so a client belongs to one thread.

    Args:
        url: as `searchkit serve` prints it.
        token: that `searchkit serve --new-token` printed, where one is needed.
        timeout: seconds without a byte of the answer.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = 60.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address; give one such as http://127.0.0.1:8765")
        kind = (
            http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        )
        self._connection = kind(parts.hostname, parts.port, timeout=timeout)
        self._headers = {"Accept": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._connection.close()

    def indexes(self) -> list[dict[str, Any]]:
        """The indexes that are served."""
        found: list[dict[str, Any]] = self._get("/api/indexes")["indexes"]
        return found

    def index(self, name: str) -> dict[str, Any]:
        """One index, with the state of its files."""
        found: dict[str, Any] = self._get(_place(name))
        return found

    def search(
        self,
        index: str,
        query: str,
        *,
        k: int = 10,
        mode: Mode | None = None,
        variant: str | None = None,
        compare: tuple[Mode | None, str | None] | None = None,
        **more: Any,
    ) -> Found:
        """The best results of a query.

        Args:
            index: its name.
            query: in the index's syntax.
            k: how many.
            mode: the index's default if left out.
            variant: whose vectors, where there are several.
            compare: mode and variant of a second way.
            more: other fields of the request: path, format, lang, after, before, literal, explain,
                all_passages, rerank, rerank_depth.

        Raises:
            ServerError: the server refused it.
        """
        asked = {"query": query, "k": k, "mode": mode, "variant": variant, **more}
        if compare is not None:
            asked["compare"] = {"mode": compare[0], "variant": compare[1]}
        found: Found = self._post(f"{_place(index)}/search", asked)
        return found

    def ask(self, index: str, question: str, *, k: int = 8, **more: Any) -> Iterator[Event]:
        """The events of an answer, as they come; to stop listening stops the work.

        Args:
            index: its name.
            question: as a person asks it.
            k: how many passages may be cited.
            more: other fields of the request: generate, threshold, history, mode, variant, rerank,
                and filters as for `search`.

        Raises:
            ServerError: the server refused it, or could not go on.
        """
        asked = {"question": question, "k": k, **more}
        response = self._send("POST", f"{_place(index)}/ask", asked)
        name, data = "", ""
        try:
            for raw in response:
                line = raw.decode().rstrip("\r\n")
                if line:
                    field, _, value = line.partition(": ")
                    name = value if field == "event" else name
                    data += value if field == "data" else ""
                    continue
                told = json.loads(data or "{}")
                if name == "error":
                    raise ServerError(0, told["message"])
                yield {"event": name, "data": told}
                if name == "done":
                    return
                name, data = "", ""
            raise ServerError(0, "the answer broke off")
        finally:
            if not response.isclosed():
                self._connection.close()  # what is still to come is not wanted

    def documents(self, index: str) -> Iterator[Document]:
        """All documents of an index, read page by page."""
        after: str | None = None
        while True:
            query = {} if after is None else {"after": after}
            page = self._get(f"{_place(index)}/documents", **query)
            yield from page["documents"]
            if (after := page["next"]) is None:
                return

    def document(self, index: str, doc_id: str) -> Document:
        """A document with its text, or the first 100,000 characters of it."""
        found: Document = self._get(f"{_place(index)}/document", id=doc_id)
        return found

    def span(self, index: str, doc_id: str, start: int, end: int) -> Span:
        """A stretch of a document's text."""
        found: Span = self._get(f"{_place(index)}/span", id=doc_id, start=start, end=end)
        return found

    def passages(self, index: str, doc_id: str, query: str) -> list[Result]:
        """The passages of a document with words of a query."""
        found: list[Result] = self._get(f"{_place(index)}/passages", id=doc_id, q=query)["results"]
        return found

    def judgements(self, index: str) -> list[Judgement]:
        """What was said of documents as answers."""
        found: list[Judgement] = self._get(f"{_place(index)}/judgements")["judgements"]
        return found

    def judge(
        self, index: str, query: str, doc_id: str, grade: int, *, literal: bool = False
    ) -> Judgement:
        """Say how well a document answers a query: 0 for not at all, up to 3."""
        asked = {"query": query, "doc_id": doc_id, "grade": grade, "literal": literal}
        found: Judgement = self._post(f"{_place(index)}/judgements", asked)
        return found

    def embeddings(
        self,
        model: str,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        input_type: Literal["query", "passage"] = "passage",
    ) -> list[list[float]]:
        """The vectors of texts, of unit length."""
        asked = {
            "model": model,
            "input": list(texts),
            "encoding_format": "base64",
            "dimensions": dimensions,
            "input_type": input_type,
        }
        return [
            array("f", base64.b64decode(one["embedding"])).tolist()
            for one in self._post("/v1/embeddings", asked)["data"]
        ]

    def _get(self, path: str, **query: Any) -> Any:
        return self._read(self._send("GET", f"{path}?{urlencode(query)}" if query else path))

    def _post(self, path: str, body: Any) -> Any:
        return self._read(self._send("POST", path, body))

    def _send(self, method: str, path: str, body: Any = None) -> http.client.HTTPResponse:
        content = None if body is None else json.dumps(body).encode()
        headers = dict(self._headers)
        if content is not None:
            headers["Content-Type"] = "application/json"
        try:
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError, http.client.CannotSendRequest):
            self._connection.close()  # it was idle for too long: once more, on a new one
            self._connection.request(method, path, content, headers)
            response = self._connection.getresponse()
        if response.status >= 300:
            told = response.read().decode(errors="replace")
            try:
                message = json.loads(told)["error"]["message"]
            except (ValueError, KeyError, TypeError):
                message = told[:200]
            raise ServerError(response.status, message)
        return response

    @staticmethod
    def _read(response: http.client.HTTPResponse) -> Any:
        return json.loads(response.read())


def _place(index: str) -> str:
    return f"/api/indexes/{quote(index, safe='')}"
