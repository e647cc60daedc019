"""Real servers on free ports of loopback, over tiny indexes with a tiny real model."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import httpx2
import pytest
import torch

from searchkit.corpus.collection import Corpus
from searchkit.encode.variant import Variant, parse
from searchkit.search.build import Plan as BuildPlan
from searchkit.search.build import build_index
from searchkit.search.live.sync import Plan, sync
from searchkit.serve import running
from searchkit.serve.app import Settings, create_app
from searchkit.serve.client import Client
from searchkit.serve.guard import Guard
from searchkit.serve.logs import Log
from searchkit.serve.shelf import Shelf

FILES = {
    "lab/autoclave.md": "# Autoclave\n\n## After the run\n\nClean the chamber of the autoclave "
    "with distilled water after each run.\n\nThe door stays open overnight.\n",
    "boats/ferry.txt": "The ferry leaves two hours before high water.\n",
    "my notes/radio.md": "# Radio\n\nChannel eight is kept free for emergencies at sea.\n",
}
DOCUMENTS = [
    ("d7", "Tides", "The ferry leaves two hours before high water."),
    ("a/b?c=d&e#f", "Autoclave", "Clean the autoclave with distilled water after each run."),
    ("d1", "Sheep", "Sheep graze on the western cliffs all winter long. " * 100 + "A ferry comes."),
]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture(scope="session")
def tiny_variants(tiny_model) -> tuple[Variant, ...]:
    base = str(tiny_model("llama"))
    designs = ("mean-causal", "eos_last-bidirectional")
    return tuple(parse(design, base=base, max_tokens=24) for design in designs)


@dataclass(frozen=True)
class Notes:
    """A folder and its index."""

    folder: Path
    path: Path
    plan: Plan

    def follow(self) -> None:
        """Bring the words of the index into step, in one commit; vectors would be another."""
        sync(self.path, (), self.plan)


@pytest.fixture
def notes(tmp_path, tiny_model, tiny_variants) -> Notes:
    folder = tmp_path / "files"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    base = str(tiny_model("llama"))
    plan = Plan(variants=tiny_variants[:1], base=base, dtype="float32", workers=1)
    sync(tmp_path / "notes", (folder,), plan)
    return Notes(folder, tmp_path / "notes", Plan(workers=1, encode=False))


@pytest.fixture(scope="session")
def write_manual(tmp_path_factory, tiny_variants) -> Callable[..., Path]:
    """Makes an index of a collection of (id, title, text), with two encoders."""

    def write(path: Path, documents) -> Path:
        folder = tmp_path_factory.mktemp("corpora")
        lines = (
            json.dumps(dict(zip(("_id", "title", "text"), one, strict=True))) for one in documents
        )
        (folder / "corpus.jsonl").write_text("\n".join(lines))
        plan = BuildPlan(variants=tiny_variants, dtype="float32", replace=True)
        build_index(path, Corpus("manual", folder / "corpus.jsonl"), plan)
        return path

    return write


@pytest.fixture(scope="session")
def manual(tmp_path_factory, write_manual) -> Path:
    """The index of a collection; only to be read."""
    return write_manual(tmp_path_factory.mktemp("indexes") / "manual", DOCUMENTS)


@dataclass(frozen=True)
class Running:
    """A server that runs, and ways to ask it."""

    url: str
    port: int
    shelf: Shelf
    app: Guard
    log: StringIO

    def client(self, token: str | None = None) -> Client:
        return Client(self.url, token)

    def http(self, **headers: str) -> httpx2.Client:
        return httpx2.Client(base_url=self.url, headers=headers, timeout=60, trust_env=False)

    def raw(self, request: bytes, timeout: float = 60.0) -> bytes:
        """What the server says to some bytes, until it closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout) as connection:
            connection.sendall(request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        return answer


def until(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for something that happens in another thread."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def starting() -> Iterator[Callable[..., Running]]:
    """A function that starts servers, which end with the block."""
    with ExitStack() as stack:

        def start(*paths: Path, batch: int = 64, extra=None, **settings) -> Running:
            log = StringIO()
            shelf = Shelf({path.name: path for path in paths}, batch=batch, extra=extra)
            shelf.look()
            app = create_app(shelf, Settings(**{"log": Log(log), **settings}))
            listening = running.listen("127.0.0.1", 0)
            url, port = running.address_of(listening), listening.getsockname()[1]
            ready = threading.Event()
            server = running.server_of(app, drain_s=10, ready=ready.set)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()

            def stop() -> None:
                server.should_exit = True
                thread.join(60)
                assert not thread.is_alive()

            stack.callback(stop)
            assert ready.wait(60)
            return Running(url, port, shelf, app, log)

        yield start


@pytest.fixture
def serve() -> Iterator[Callable[..., Running]]:
    """Starts servers of indexes; keywords are those of `Settings`, `batch` and `extra`."""
    with starting() as start:
        yield start


@pytest.fixture(scope="module")
def server(manual) -> Iterator[Running]:
    """A server of the collection that the tests of a module share."""
    with starting() as start:
        yield start(manual)
