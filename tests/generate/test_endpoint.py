"""Any server that speaks the protocol: what is sent to it, what it may say, and how it may fail."""

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2
import pytest

from searchkit.encode import language_models
from searchkit.errors import BadInput, SearchkitError
from searchkit.generate import endpoint
from searchkit.generate.endpoint import open_endpoint
from searchkit.generate.messages import Message

ASKED = [Message("system", "Be brief."), Message("user", "Wer schläft?")]


def event(text=None, **choice):
    delta = {} if text is None else {"content": text}
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, **choice}]})}\n\n"


DONE = "data: [DONE]\n\n"
GOOD = [event("Der "), event("Hund"), event(".", finish_reason="stop"), DONE]


class Server:
    """A real server on loopback; what it answers is set by the test."""

    def __init__(self):
        self.models = {"data": [{"id": "small", "max_model_len": 2048}, {"id": "large"}]}
        self.status, self.headers = 200, {}
        self.parts: list[str] = GOOD
        self.asked: list[tuple[str, dict, dict]] = []
        self.broken = threading.Event()
        self.endless = False
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked.append((self.path, dict(self.headers), {}))
                found = outer.models
                self._send(found if isinstance(found, str) else json.dumps(found))

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.asked.append((self.path, dict(self.headers), json.loads(body)))
                if outer.endless:
                    self._start(None)
                    try:
                        while True:
                            self.wfile.write(event("more ").encode())
                            self.wfile.flush()
                            time.sleep(0.01)
                    except OSError:
                        outer.broken.set()
                    return
                self._send("".join(outer.parts))

            def _send(self, text):
                self._start(len(text.encode()) + int(outer.headers.get("missing", 0)))
                self.wfile.write(text.encode())

            def _start(self, length):
                self.send_response(outer.status)
                self.send_header("Content-Type", "text/event-stream")
                for name, value in outer.headers.items():
                    self.send_header(name, value)
                if length is not None:
                    self.send_header("Content-Length", str(length))
                self.end_headers()

            def log_message(self, *given):
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        threading.Thread(target=self._http.serve_forever, daemon=True).start()

    def close(self):
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture
def server(monkeypatch):
    for name in (endpoint.TOKEN, "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = Server()
    yield made
    made.close()


@pytest.fixture
def answer(server) -> Callable[[], str]:
    def ask():
        generator = open_endpoint(server.url, "small")
        return "".join(generator.stream(ASKED, max_tokens=9))

    return ask


@pytest.fixture
def refused(answer) -> Callable[[], str]:
    """What goes wrong with an answer, on one line."""

    def ask():
        with pytest.raises(SearchkitError) as error:
            answer()
        assert "\n" not in str(error.value)
        return str(error.value)

    return ask


def test_a_conversation_goes_out_and_the_answer_comes_in_pieces(server):
    generator = open_endpoint(server.url, "small")
    pieces = generator.stream(ASKED, max_tokens=9, temperature=0.5, seed=4)
    assert list(pieces) == ["Der ", "Hund", "."]
    ((path, headers, body),) = server.asked
    assert path == "/v1/chat/completions"
    assert "Authorization" not in headers
    assert body == {
        "model": "small",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Wer schläft?"},
        ],
        "max_tokens": 9,
        "temperature": 0.5,
        "seed": 4,
        "stream": True,
    }


@pytest.mark.parametrize(
    ("ending", "path"),
    [
        ("", "/v1"),
        ("/", "/v1"),
        ("/v1", "/v1"),
        ("/v1/", "/v1"),
        ("/v1/chat/completions", "/v1"),
        ("/openai/v1beta", "/openai/v1beta"),
    ],
)
def test_a_url_may_end_in_v1_or_not(server, ending, path):
    list(open_endpoint(server.url + ending).stream(ASKED, max_tokens=9))
    assert [one[0] for one in server.asked] == [f"{path}/models", f"{path}/chat/completions"]


def test_the_first_model_of_the_list_answers_unless_one_is_named(server):
    first = open_endpoint(server.url)
    assert (first.name, first.context_tokens) == ("small", 2048)
    named = open_endpoint(server.url, "large")
    assert (named.name, named.context_tokens) == ("large", 4096)


def test_the_token_comes_from_the_environment_or_is_given(server, monkeypatch):
    monkeypatch.setenv(endpoint.TOKEN, "s3cret")
    open_endpoint(server.url)
    open_endpoint(server.url, token="other")
    assert [headers["Authorization"] for _, headers, _ in server.asked] == [
        "Bearer s3cret",
        "Bearer other",
    ]


def test_tokens_are_counted_on_the_safe_side(server):
    generator = open_endpoint(server.url, "small")
    assert generator.count_tokens("") == 0
    text = "Which documents answer the query, and how far down do they stand?"
    assert len(text.split()) < generator.count_tokens(text) < len(text)
    assert generator.count_tokens("東京都") == 3


def test_events_that_say_nothing_are_passed_over(server, answer):
    server.parts = [
        ": a comment\n\n",
        event(role="assistant"),
        'data: {"choices": []}\n\n',
        'data: {"choices": [{"delta": {"content": null}}]}\n\n',
        "event: message\n",
        *GOOD,
    ]
    assert answer() == "Der Hund."


def test_either_end_of_an_answer_will_do(server, answer):
    server.parts = GOOD[:3]
    assert answer() == "Der Hund."
    server.parts = [*GOOD[:2], DONE]
    assert answer() == "Der Hund"


def test_whoever_closes_the_answer_ends_the_connection(server):
    server.endless = True
    pieces = open_endpoint(server.url, "small").stream(ASKED, max_tokens=9)
    assert next(pieces) == "more "
    pieces.close()
    assert server.broken.wait(30)


def test_an_answer_that_is_not_finished_is_an_error(server, refused):
    server.parts = GOOD[:2]
    assert "ended the answer before it was finished" in refused()


def test_a_stream_that_breaks_is_an_error(server, refused):
    server.parts = GOOD[:2]
    server.headers = {"missing": "50"}  # bytes that were promised and do not come
    assert "cannot be talked to" in refused()


def test_an_error_in_the_stream_is_told(server, refused):
    server.parts = [event("Der "), 'data: {"error": {"message": "out\\nof memory"}}\n\n']
    assert r"broke off: 'out\nof memory'" in refused()


@pytest.mark.parametrize(
    "part",
    [
        "data: {half\n\n",
        "data: []\n\n",
        'data: {"id": 7}\n\n',
        'data: {"choices": [7]}\n\n',
        'data: {"choices": [{"delta": "x"}]}\n\n',
    ],
)
def test_what_is_not_of_the_protocol_is_shown(server, refused, part):
    server.parts = [part]
    message = refused()
    assert "does not speak OpenAI's protocol" in message
    assert part.strip().removeprefix("data: ") in message


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, '{"error": {"message": "no such key"}}', f"'no such key'; set {endpoint.TOKEN}"),
        (404, '{"detail": "Not Found"}', "'Not Found'; check the URL and the model"),
        (500, "<html>\x1b[31mno</html>", r"'<html>\x1b[31mno</html>'"),
        (503, '{"error": "loading"}', "'loading'"),
    ],
)
def test_a_status_that_is_no_success_is_told(server, refused, status, body, said):
    server.status, server.parts = status, [body]
    message = refused()
    assert f"/v1/chat/completions answered {status}" in message
    assert said in message


def test_a_redirection_is_not_followed_with_the_token(server, refused):
    server.status, server.parts = 302, ["moved"]
    server.headers = {"Location": "http://127.0.0.1:9/v1/chat/completions"}
    assert "answered 302" in refused()
    assert len(server.asked) == 1


def test_a_server_that_is_not_there_is_told():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(SearchkitError, match=rf"^{url}/v1 cannot be talked to: .*; check that"):
        open_endpoint(url)


def test_a_server_that_says_nothing_is_not_waited_for_for_ever(server, monkeypatch):
    monkeypatch.setattr(endpoint, "_TIMEOUT", httpx2.Timeout(5.0, read=0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(SearchkitError, match=r"cannot be talked to: .*timed out"):
            open_endpoint(url)


@pytest.mark.parametrize("models", ["<html>", "{}", '{"data": 7}', '{"data": [{}]}'])
def test_a_list_of_models_that_is_none_is_shown(server, models):
    server.models = models
    with pytest.raises(SearchkitError, match=f"/models is '{models}'".replace("[{", r"\[{")):
        open_endpoint(server.url)


def test_a_server_without_models_is_told(server):
    server.models = {"data": []}
    with pytest.raises(SearchkitError, match="lists no model; name one"):
        open_endpoint(server.url)


@pytest.mark.parametrize(
    "url",
    ["localhost:8000", "ftp://host/v1", "http://", "v1", "\x1b[2J", "http://h:port", "http://[::1"],
)
def test_what_is_no_url_is_refused(url):
    with pytest.raises(BadInput, match="is no endpoint; give a URL such as http://"):
        open_endpoint(url)


def test_a_password_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(BadInput, match=f"set {endpoint.TOKEN} instead") as error:
        open_endpoint("http://me:hunter2@host/v1")
    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize("token", ["two\nlines", "schlüssel"])
def test_a_token_that_no_header_can_hold_is_refused_and_not_repeated(token):
    with pytest.raises(BadInput, match="holds a character that none has") as error:
        open_endpoint("http://127.0.0.1:9", token=token)
    assert token not in str(error.value)


@pytest.mark.slow
def test_transformers_serves_the_real_base(real_base, chat_template, tmp_path):
    """The library's own server, with the weights that find."""
    folder = shutil.copytree(language_models.resolve(real_base).folder, tmp_path / "model")
    (folder / "chat_template.jinja").write_text(chat_template)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = Path(sys.executable).with_name("transformers")
    how = ["--host", "127.0.0.1", "--port", str(port), "--device", "cpu"]
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [command, "serve", str(folder), *how],
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
        stdout=log,
        stderr=log,
    )
    try:
        for _ in range(240):
            time.sleep(0.5)
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                generator = open_endpoint(f"http://127.0.0.1:{port}", str(folder))
                asked = [Message("user", "What is the capital of France? Answer in one word.")]
                text = "".join(generator.stream(asked, max_tokens=12))
                break
            except SearchkitError as error:
                assert "cannot be talked to" in str(error), (tmp_path / "log").read_text()
        assert "Paris" in text
    finally:
        process.terminate()
        process.wait(30)
        log.close()


@pytest.fixture
def chat_template():
    from searchkit.generate.prompts import _CHATML

    return _CHATML
