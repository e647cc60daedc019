"""What a request may cost, and what it is told when it would cost more."""

import asyncio
import json
import socket
import threading
import time
from contextlib import ExitStack, suppress
from urllib.parse import quote

import httpx2
import pytest

from searchkit.serve.cache import Cache
from searchkit.serve.client import ServerError
from searchkit.serve.guard import Limits
from tests.serve.conftest import until

JSON = {"Content-Type": "application/json"}


def test_a_long_body_is_refused_before_it_has_come(serve, manual):
    server = serve(manual, limits=Limits(body=1000))
    with server.http() as http:
        answer = http.post("/v1/embeddings", content=b"x" * 1001, headers=JSON)
        assert answer.status_code == 413
        assert answer.json()["error"]["message"] == "the body has 1001 bytes; at most 1000 are read"
        parts = iter([b"x" * 600] * 3)  # of which nobody knows beforehand how many
        assert http.post("/v1/embeddings", content=parts, headers=JSON).status_code == 413
        assert http.get("/api/indexes").status_code == 200


def test_a_slow_body_is_refused(serve, manual):
    server = serve(manual, limits=Limits(body_s=0.2))
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    answer = server.raw(head + b"Content-Length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body had not come after 0.2 s" in answer


BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"query"',
    b'{"query": NaN}',
    b'{"query": "a", "k": NaN}',
    b'{"query": "a", "k": Infinity}',
    b'{"query": "a", "k": 1e400}',
    b'{"query": "a", "k": ' + b"9" * 5000 + b"}",
    b'{"query": "a", "k": 99999999999999999999}',
    b'{"query": "a", "k": 1.5}',
    b'{"query": "a", "k": "1"}',
    b'{"query": "a", "k": true}',
    b'{"query": "a", "k": 0}',
    b'{"query": "a", "k": 1001}',
    b'{"query": "\\ud800"}',
    b'{"query": "\xff\xfe"}',
    b'{"query": ["a"]}',
    b'{"query": "a", "mode": "magic"}',
    b'{"query": "a", "path": "x"}',
    b'{"query": "a", "path": [' + b'"x",' * 100 + b'"x"]}',
    b'{"query": "a", "more": 1}',
    b'{"query": "a", "\\ud800": 1}',
    b'{"query": "' + b"a" * 9000 + b'"}',
    b'{"query": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b'{"query":' * 50_000 + b"1" + b"}" * 50_000,
    b'{"query": "a", "after": "\\u0000"}',
    b'{"query": "a", "after": "99999-01-01"}',
    b'{"query": "a", "rerank": "cross_encoder:/etc"}',
    b'{"query": "a", "compare": {"mode": "dense", "variant": "nope"}}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:40].decode(errors="replace"))
def test_no_body_is_too_odd_for_a_clear_answer(server, body):
    with server.http() as http:
        answer = http.post("/api/indexes/manual/search", content=body, headers=JSON)
    assert answer.status_code in (400, 404, 422)
    message = answer.json()["error"]["message"]
    assert message
    assert "\n" not in message
    assert len(message) < 600


ODD = [
    "\u0000",
    "a\u0000b",
    "\U0010ffff",
    "\N{RIGHT-TO-LEFT OVERRIDE}abc",
    "(" * 500,
    "*",
    "~2",
    "-",
]


def test_odd_words_are_words(serve, manual, notes):
    server = serve(manual, notes.path)
    with server.http() as http:
        for name in ("manual", "notes"):
            for query in ODD:
                for how in ({"mode": "bm25"}, {"mode": "hybrid", "variant": "mean-causal"}):
                    asked = {"query": query, **how}
                    answer = http.post(f"/api/indexes/{name}/search", json=asked)
                    assert answer.status_code in (200, 422), answer.text


def test_the_longest_id_and_query_fit_into_an_address(server):
    name, query = (quote("\N{SEAL}" * length) for length in (4096, 8192))
    for more, status in (("", 404), ("x", 422)):
        address = f"/api/indexes/manual/passages?id={name}&q={query}{more}"
        head = f"GET {address} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        assert server.raw(head.encode()).startswith(f"HTTP/1.1 {status}".encode())


def test_what_is_no_json_is_refused(server):
    with server.http() as http:
        content = b'{"query": "a"}'
        for kind in ("text/plain", "application/x-www-form-urlencoded", "application/jsonp"):
            answer = http.post(
                "/api/indexes/manual/search", content=content, headers={"Content-Type": kind}
            )
            assert answer.status_code == 415
        packed = {**JSON, "Content-Encoding": "gzip"}
        answer = http.post("/api/indexes/manual/search", content=content, headers=packed)
        assert answer.status_code == 415
        told = {"Content-Type": "application/json; charset=utf-8"}
        answer = http.post("/api/indexes/manual/search", content=content, headers=told)
        assert answer.status_code == 200


def test_what_is_no_http_is_refused(server):
    for request in (
        b"\x16\x03\x01\x02\x00",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n"
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
    ):
        answer = server.raw(request + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 4") or not answer
    with server.http() as http:
        assert http.get("/api/health").status_code == 200
        assert http.put("/api/indexes").status_code == 405


class Held:
    """An encoder of a server that waits until it is let go."""

    def __init__(self, server) -> None:
        store = server.shelf.get("manual").now().source.store
        self.batcher = server.shelf.batcher(store, "mean-causal")
        self.batcher.submit("warm up", "query").result(60)
        self.began, self.go = threading.Event(), threading.Event()
        encode = self.batcher.encoder.encode_prepared

        def slow(prepared):
            self.began.set()
            assert self.go.wait(60)
            return encode(prepared)

        self.batcher.encoder.encode_prepared = slow


DENSE = {"mode": "dense", "variant": "mean-causal"}


def test_one_too_many_is_told_when_to_come_again(serve, manual):
    server = serve(manual, limits=Limits(requests=2))
    held = Held(server)
    found = []

    def ask(query):
        with server.client() as client:
            found.append(client.search("manual", query, **DENSE))

    threads = [threading.Thread(target=ask, args=[query]) for query in ("one", "two")]
    for thread in threads:
        thread.start()
    while server.app.running < 2:
        time.sleep(0.01)
    with server.http() as http:
        answer = http.post("/api/indexes/manual/search", json={"query": "three", **DENSE})
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "1"
        assert http.get("/api/health").status_code == 200
        held.go.set()
        for thread in threads:
            thread.join()
        assert len(found) == 2
        answer = http.post("/api/indexes/manual/search", json={"query": "three", **DENSE})
        assert answer.status_code == 200


def test_an_answer_that_takes_too_long_is_given_up(serve, manual):
    server = serve(manual, limits=Limits(answer_s=0.5))
    held = Held(server)
    with server.http() as http:
        answer = http.post("/api/indexes/manual/search", json={"query": "one", **DENSE})
        assert answer.status_code == 408
        assert "no answer after 0.5 s" in answer.json()["error"]["message"]
        assert server.app.running == 0
        held.go.set()


def test_a_client_that_goes_away_frees_its_slot(serve, manual):
    server = serve(manual)
    held = Held(server)
    body = json.dumps({"query": "one", **DENSE}).encode()
    head = "POST /api/indexes/manual/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
    head += f"application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    other = body.replace(b"one", b"two")
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + body)
        assert held.began.wait(60)  # it is being computed
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + other)
        while not held.batcher.waiting():
            time.sleep(0.01)
    while server.app.running:  # both are gone before anything was let go
        time.sleep(0.01)
    held.go.set()
    before = held.batcher.work.texts
    held.batcher.submit("three", "query").result(60)
    assert held.batcher.work.texts <= before + 2  # "two" was never computed
    assert "two" not in held.batcher._known
    until(lambda: " 499 " in server.log.getvalue())


def test_kept_answers_have_an_end(serve, manual):
    server = serve(manual, cache=20_000)
    with server.client() as client:
        for number in range(40):
            client.search("manual", f"ferry {number}", mode="bm25")
    with server.http() as http:
        text = http.get("/metrics").text
    (size,) = [line for line in text.splitlines() if line.startswith("searchkit_cache_bytes ")]
    assert 0 < int(size.split()[1]) <= 20_000


def test_metrics_count_what_happened(serve, manual):
    server = serve(manual)
    with server.client() as client, server.http() as http:
        client.search("manual", "ferry", mode="bm25")
        client.search("manual", "ferry", mode="bm25")
        http.get("/api/indexes/nowhere")
        until(lambda: len(server.log.getvalue().splitlines()) == 3)  # they are counted, too
        text = http.get("/metrics").text
    lines = text.splitlines()
    route = 'route="/api/indexes/{index}/search"'
    assert f'searchkit_requests_total{{method="POST",{route},status="200"}} 2' in lines
    assert (
        'searchkit_requests_total{method="GET",route="/api/indexes/{index}",status="404"} 1'
        in lines
    )
    assert f"searchkit_request_seconds_count{{{route}}} 2" in lines
    assert "searchkit_cache_hits_total 1" in lines
    assert 'searchkit_index_documents{index="manual"} 3' in lines
    typed = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    for line in lines:
        name = line.partition("{")[0].split()[0]
        assert line.startswith("#") or any(name.startswith(one) for one in typed)
        assert line.startswith("#") or float(line.rpartition(" ")[2]) >= 0


def test_what_reads_no_body_is_sent_none(serve, manual):
    server = serve(manual)
    with server.http() as http:
        for path in ("/", "/api/health", "/metrics", "/static/app.js"):
            answer = http.request("GET", path, content=b"{}", headers=JSON)
            assert answer.status_code == 413
            assert answer.headers["connection"] == "close"


def test_a_request_counts_from_its_head_on(serve, manual):
    server = serve(manual, limits=Limits(requests=1))
    head = b"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head + b"Content-Length: 100\r\n\r\n{")
        until(lambda: server.app.running == 1)
        with server.http() as http:
            assert http.get("/api/indexes").status_code == 429
            assert http.get("/api/health").status_code == 200
    until(lambda: server.app.running == 0)


def test_who_is_refused_sends_no_more(serve, manual):
    server = serve(manual, limits=Limits(body=10))
    head = (
        "POST /v1/embeddings HTTP/1.1\r\nHost: {}\r\nContent-Type: {}\r\nContent-Length: {}\r\n\r\n"
    )
    for host, kind, length, status in (
        ("localhost", "application/json", 1 << 20, b"413"),
        ("localhost", "text/plain", 4, b"415"),
        ("evil.example", "application/json", 1 << 20, b"421"),
    ):
        request = head.format(host, kind, length).encode() + b"1234"
        assert server.raw(request).startswith(b"HTTP/1.1 " + status)  # and the connection ends


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: loc"])
def test_a_head_that_does_not_come_is_not_waited_for(serve, manual, begun):
    server = serve(manual, limits=Limits(head_s=0.3))
    with suppress(ConnectionResetError):
        assert server.raw(begun) == b""
    after = b"GET /api/health HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HTT"  # the second one's
    with suppress(ConnectionResetError):
        assert server.raw(after).startswith(b"HTTP/1.1 200")


def answers(server) -> bool:
    try:
        with server.http() as http:
            return http.get("/api/health").status_code == 200
    except httpx2.TransportError:
        return False


def test_there_are_so_many_connections_and_no_more(serve, manual):
    server = serve(manual, limits=Limits(requests=2, waiting=1))
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(socket.create_connection(("127.0.0.1", server.port)))
        with suppress(ConnectionResetError):
            assert server.raw(b"") == b""
    until(lambda: answers(server))


def test_who_reads_nothing_is_let_go(serve, manual):
    server = serve(manual, limits=Limits(unread_s=0.3, requests=1, waiting=0))
    body = json.dumps({"model": "mean-causal", "input": ["sheep"] * 2048}).encode()
    head = "POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(("127.0.0.1", server.port))
        for _ in range(6):  # more than all buffers on the way hold
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        until(lambda: "/v1/embeddings" in server.log.getvalue())
        until(lambda: answers(server))  # there is room for one connection


def test_a_key_counts_among_what_is_kept():
    async def fill():
        cache = Cache(10_000)

        async def answer():
            return b"{}"

        for number in range(1000):
            await cache.get(number, answer)
        return cache

    cache = asyncio.run(fill())
    assert 0 < len(cache) < 40
    assert cache.size <= cache.most


def test_long_texts_are_not_remembered_and_longer_ones_refused(serve, manual):
    server = serve(manual)
    batcher = server.shelf.models()["mean-causal"]
    with server.client() as client:
        client.embeddings("mean-causal", ["short", "long " * 5000], input_type="query")
        assert "short" in batcher._known
        assert "long " * 5000 not in batcher._known
        with pytest.raises(ServerError, match="422: input"):
            client.embeddings("mean-causal", ["x" * 100_001])


def test_a_text_is_tokenised_once(serve, manual):
    batcher = serve(manual).shelf.models()["mean-causal"]
    batcher.submit("warm up", "query").result(60)
    prepare, seen = batcher.encoder.prepare, []

    def counted(texts, role, names=None):
        seen.extend(texts)
        return prepare(texts, role, names)

    batcher.encoder.prepare = counted
    batcher.submit("A ferry leaves", "passage").result(60)
    assert seen == ["A ferry leaves"]


def test_too_many_fields_are_one_error(server):
    body = json.dumps({"query": "a", **{f"field {n}": n for n in range(1000)}})
    with server.http() as http:
        answer = http.post("/api/indexes/manual/search", content=body, headers=JSON)
    assert answer.status_code == 422
    assert "it has 1001 fields; at most 64" in answer.json()["error"]["message"]


def test_dimensions_are_looked_at_before_all_is_computed(serve, manual):
    server = serve(manual)
    batcher = server.shelf.models()["mean-causal"]
    before = batcher.work.texts
    with server.client() as client, pytest.raises(ServerError, match="422: dimensions is 999"):
        client.embeddings("mean-causal", ["sheep"] * 500, dimensions=999)
    assert batcher.work.texts <= before + 1
