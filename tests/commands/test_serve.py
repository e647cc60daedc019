"""searchkit serve as a process of its own: where it listens, what it wants, and how it ends."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from searchkit.commands.app import main
from searchkit.search.live.sync import Plan, sync
from searchkit.serve.client import Client, ServerError


@pytest.fixture
def index(tmp_path, home, tiny_model):
    from searchkit.encode.variant import parse

    folder, base = tmp_path / "files", str(tiny_model("llama"))
    folder.mkdir()
    (folder / "ferry.md").write_text("# Ferry\n\nThe ferry leaves two hours before high water.\n")
    variant = parse("mean-causal", base=base, max_tokens=24)
    plan = Plan(variants=(variant,), base=base, dtype="float32", workers=1)
    sync(home / "indexes" / "notes", (folder,), plan)
    return home / "indexes" / "notes"


class Served:
    """The command, from the line that tells its address."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "searchkit", "serve", "--port", "0", "--llm", "none"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*command, *arguments],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        match = re.search(r"http://\S+", self.line)
        assert match, self.process.stderr.read()
        self.url = match[0]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=120)
        return self.process.returncode, errors


def test_sigterm_lets_a_request_that_is_under_way_be_answered(index):
    served = Served("--timeout", "280", "--drain", "280")
    assert served.line.startswith("serving notes at http://127.0.0.1:")
    texts = [f"The ferry number {n} leaves two hours before high water." for n in range(2048)]
    found: list[object] = []

    def ask() -> None:
        with Client(served.url, timeout=290) as client:
            try:
                found.append(client.embeddings("mean-causal", texts))
            except Exception as error:
                found.append(error)

    asking = threading.Thread(target=ask)
    asking.start()
    while "searchkit_requests_running 1" not in _get(f"{served.url}metrics"):
        assert not found
        time.sleep(0.02)
    code, errors = served.end()
    asking.join(120)
    (vectors,) = found
    assert isinstance(vectors, list), vectors
    assert len(vectors) == 2048
    assert code == 0
    assert "POST /v1/embeddings 200" in errors
    assert "Traceback" not in errors


def test_other_addresses_want_a_token(index, capsys, home):
    assert main(["serve", "--host", "0.0.0.0", "--port", "0"]) == 1
    assert "make one with: searchkit serve --new-token" in capsys.readouterr().err
    assert main(["serve", "--allow-host", "search.lan", "--port", "0"]) == 1
    assert "search.lan leads here, so the server needs a token" in capsys.readouterr().err
    assert main(["serve", "--new-token"]) == 0
    out, err = capsys.readouterr()
    token = out.strip()
    assert "this is shown once" in err
    assert token not in (home / "serve-token").read_text()
    served = Served("--host", "0.0.0.0")
    port = served.url.rstrip("/").rpartition(":")[2]
    try:
        nobody = Client(f"http://127.0.0.1:{port}")
        with nobody, pytest.raises(ServerError, match="401"):
            nobody.indexes()
        with Client(f"http://127.0.0.1:{port}", token) as client:
            assert client.search("notes", "ferry", mode="bm25")["results"]
    finally:
        code, errors = served.end(signal.SIGINT)
    assert code == 0
    assert "every request needs the token" in errors
    assert token not in errors


def test_what_cannot_be_served_is_told_in_a_line(index, capsys):
    assert main(["serve", "other"]) == 1
    assert "no index 'other'; there are: notes" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--port", port]) == 1
        assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
    assert main(["serve", "--host", "no such host"]) == 1
    assert "is not an address of this machine" in capsys.readouterr().err
    assert main(["serve", "--token-file", str(index / "none")]) == 1
    assert "there is none in" in capsys.readouterr().err
    assert main(["serve", "--rerank", "magic"]) == 1
    assert "magic" in capsys.readouterr().err


BUSY = """
import sys, threading, time
from pathlib import Path
from searchkit.serve import running
from searchkit.serve.app import Settings, create_app
from searchkit.serve.shelf import Shelf

def load():
    print("loading", flush=True)
    time.sleep(200)

shelf = Shelf({"notes": Path(sys.argv[1])})
shelf.look()
listening = running.listen("127.0.0.1", 0)
print(listening.getsockname()[1], flush=True)
app = create_app(shelf, Settings(rerankers={"slow": load}))
running.run(running.server_of(app, drain_s=1), listening)
running.leave()
"""


def test_sigterm_waits_for_no_thread_longer_than_it_says(index):
    process = subprocess.Popen(
        [sys.executable, "-c", BUSY, str(index)], stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        body = b'{"query": "ferry", "mode": "bm25", "rerank": "slow"}'
        head = "POST /api/indexes/notes/search HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Length: {len(body)}"
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(head.encode() + b"\r\nContent-Type: application/json\r\n\r\n" + body)
            assert process.stdout.readline() == "loading\n"
            process.send_signal(signal.SIGTERM)
            assert process.wait(100) == 0


def _get(url: str) -> str:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=60) as answer:
        text = answer.read().decode()
    return text if not text.startswith("{") else json.loads(text)
