"""Questions over HTTP: server-sent events, as clients read them."""

import json
import socket
import threading
import time
from contextlib import ExitStack

import httpx2
import pytest

from searchkit.serve.client import ServerError
from searchkit.serve.guard import Limits
from searchkit.serve.searching import TURNS
from tests.serve.conftest import until

QUESTION = "What is the chamber of the autoclave cleaned with?"


def test_an_answer_has_its_passages_and_where_each_sentence_stands(serve, notes):
    with serve(notes.path).client() as client:
        events = list(client.ask("notes", QUESTION, mode="bm25", threshold=0.0))
        assert [one["event"] for one in events] == ["passages", "answer", "done"]
        passages = {one["number"]: one for one in events[0]["data"]["passages"]}
        answer = events[1]["data"]
        assert answer["mode"] == "extractive"
        assert not answer["abstained"]
        sentence = answer["sentences"][0]
        assert sentence["verified"]
        passage = passages[sentence["citations"][0]]
        assert sentence["doc_id"] == passage["doc_id"] == "lab/autoclave.md"
        whole = client.document("notes", "lab/autoclave.md")["text"]
        assert whole[sentence["start"] : sentence["end"]] == sentence["text"]


def test_a_sentence_stands_where_it_says_in_a_long_document_of_which_a_part_is_shown(serve, manual):
    with serve(manual).client() as client:
        asked = {"mode": "bm25", "threshold": 0.0}
        events = list(client.ask("manual", "Which ferry comes?", **asked))
        long = {one["doc_id"]: one for one in events[0]["data"]["passages"]}["d1"]
        assert long["start"] > 0
        sentences = events[1]["data"]["sentences"]
        assert "d1" in {one["doc_id"] for one in sentences}
        for one in sentences:
            whole = client.document("manual", one["doc_id"])["text"]
            assert whole[one["start"] : one["end"]] == one["text"]


def test_events_are_framed_as_browsers_read_them(serve, notes):
    with (
        serve(notes.path).http() as http,
        http.stream(
            "POST", "/api/indexes/notes/ask", json={"question": QUESTION, "mode": "bm25"}
        ) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["x-index-generation"]
        text = "".join(answer.iter_text())
    blocks = text.split("\n\n")
    assert blocks.pop() == ""
    for block in blocks:
        name, data = block.split("\n")
        assert name.startswith("event: ")
        json.loads(data.removeprefix("data: "))


def test_what_the_index_does_not_say_is_not_answered(serve, notes):
    with serve(notes.path).client() as client:
        question = "Who won the chess championship in Reykjavik?"
        events = list(client.ask("notes", question, mode="bm25"))
        answer = events[-2]["data"]
        assert answer["abstained"]
        assert answer["missing"]
        assert answer["sentences"] == []


def test_a_question_that_cannot_be_answered_says_so_at_once(serve, notes):
    with serve(notes.path).client() as client:
        with pytest.raises(ServerError, match="422: the question is empty"):
            list(client.ask("notes", " "))
        with pytest.raises(ServerError, match="422: this server writes no answers"):
            list(client.ask("notes", QUESTION, generate=True))
        with pytest.raises(
            ServerError, match="404: there is no reranker 'x' here; there are: none"
        ):
            list(client.ask("notes", QUESTION, rerank="x"))
        with pytest.raises(ServerError, match="404: notes holds vectors of mean-causal, not of x"):
            list(client.ask("notes", QUESTION, variant="x", mode="dense"))


class Writer:
    """A language model that writes one word after another, until it is closed."""

    name, context_tokens = "writer", 4096

    def __init__(self) -> None:
        self.closed = threading.Event()
        self.written = 0

    def count_tokens(self, text):
        return len(text.split())

    def stream(self, messages, *, max_tokens, temperature=0.0, seed=0):
        try:
            yield "Clean the chamber of the autoclave with distilled water after each run [1]. "
            while True:
                self.written += 1
                yield f"Word {self.written} is made up. "
                time.sleep(0.001)
        finally:
            self.closed.set()


def test_a_model_writes_and_stops_when_nobody_listens(serve, notes):
    writer = Writer()
    server = serve(notes.path, generator=lambda: writer)
    asked = {"mode": "bm25", "threshold": 0.0, "generate": True}
    with server.client() as client:
        events = client.ask("notes", QUESTION, **asked)
        assert next(events)["event"] == "passages"
        assert "[1]" in next(events)["data"]["text"]
        events.close()
    assert writer.closed.wait(60)
    while server.app.running:
        time.sleep(0.01)
    with server.client() as client:  # the thread is free again
        assert next(client.ask("notes", QUESTION, **asked))["event"] == "passages"


def test_a_fault_amid_an_answer_is_told(serve, notes):
    from searchkit.errors import SearchkitError

    def load():
        raise SearchkitError(f"the weights in {notes.path}/x are torn")

    server = serve(notes.path, generator=load)
    with server.client() as client:
        events = client.ask("notes", QUESTION, mode="bm25", threshold=0.0, generate=True)
        with pytest.raises(ServerError, match="the weights in x are torn"):
            list(events)


def test_a_stream_without_a_first_event_is_given_up(serve, notes):
    go = threading.Event()

    def load():
        assert go.wait(60)
        return Writer()

    server = serve(notes.path, generator=load, limits=Limits(answer_s=0.5))
    asked = {"mode": "bm25", "threshold": 0.0, "generate": True}
    try:
        with (
            server.client() as client,
            pytest.raises(ServerError, match="408: no answer"),
        ):
            list(client.ask("notes", QUESTION, **asked))
        assert server.app.running == 0
    finally:
        go.set()


class Pondering(Writer):
    """One that writes a sentence, and no more until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()

    def stream(self, messages, *, max_tokens, temperature=0.0, seed=0):
        yield "Clean the chamber of the autoclave with distilled water after each run [1]. "
        yield "And "
        assert self.go.wait(60)


def test_a_stream_has_an_end(serve, notes):
    writer = Pondering()
    limits = Limits(answer_s=60, stream_s=0.5)
    server = serve(notes.path, generator=lambda: writer, limits=limits)
    asked = {"question": QUESTION, "mode": "bm25", "threshold": 0.0, "generate": True}
    try:
        with server.http() as http, pytest.raises(httpx2.RemoteProtocolError, match="peer closed"):
            http.post("/api/indexes/notes/ask", json=asked)
        until(lambda: not server.app.running)
    finally:
        writer.go.set()


def test_who_would_wait_too_long_for_the_model_is_told_so(serve, notes):
    go = threading.Event()

    def load():
        assert go.wait(60)
        return Writer()

    server = serve(notes.path, generator=load)
    asked = {"question": QUESTION, "mode": "bm25", "generate": True}
    body = json.dumps(asked).encode()
    head = "POST /api/indexes/notes/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    head += f"application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    with ExitStack() as stack:
        stack.callback(go.set)
        for number in range(TURNS):
            connection = socket.create_connection(("127.0.0.1", server.port))
            stack.enter_context(connection)
            connection.sendall(head.encode() + body)
            until(lambda number=number: server.app.running == number + 1)
        with server.http() as http:
            answer = http.post("/api/indexes/notes/ask", json=asked)
            assert answer.status_code == 429
            assert answer.headers["retry-after"] == "10"
            assert "which is the most" in answer.json()["error"]["message"]
            found = http.post("/api/indexes/notes/search", json={"query": "ferry"})
            assert found.status_code == 200
