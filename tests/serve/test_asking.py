"""Questions over HTTP: server-sent events, as clients read them."""

import json
import threading
import time

import pytest

from searchkit.serve.client import ServerError

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
        assert passage["text"][sentence["start"] : sentence["end"]] == sentence["text"]
        assert sentence["doc_id"] == passage["doc_id"] == "lab/autoclave.md"
        whole = client.document("notes", "lab/autoclave.md")["text"]
        start, end = (passage["start"] + sentence[key] for key in ("start", "end"))
        assert whole[start:end] == sentence["text"]


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
