"""The command line as a user meets it, a toy collection on disk, and an index of it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

# Read when the console is made: whatever terminal the tests run in, this is what they see.
os.environ["COLUMNS"] = "80"
for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

DOCUMENTS = [
    ("d1", "Autoclave", "Clean the autoclave with distilled water after each run."),
    ("d2", "", "Sheep graze on the western cliffs all winter long."),
    ("d3", "Radio", "Channel eight is kept free for emergencies at sea."),
    ("d4", "Ferry", "On Sundays the ferry to the island does not run."),
    ("d5", "Leave", "Ask for leave twice as many days ahead as you want off."),
    ("d6", "Tides", "The ferry leaves two hours before high water."),
    ("d7", "Généric", "Die Fähre fährt bei Sturm nicht, ∑ ≥ 7 Bft."),
    ("d8", "Stores", "Distilled water is kept in the cold store, behind the lamp oil."),
]
QUERIES = [
    ("q1", "distilled water", "keyword"),
    ("q2", "ferry island", "keyword"),
    ("q3", "who eats grass by the sea", "question"),
    ("q4", "how do I ask for days off", "question"),
    ("q5", "zebra crossing", "question"),
]
JUDGED = [
    ("q1", "d8", 2),
    ("q1", "d1", 1),
    ("q2", "d4", 2),
    ("q2", "d6", 1),
    ("q3", "d2", 1),
    ("q4", "d5", 1),
    ("q5", "d7", 1),
    ("q5", "d3", 0),
]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture
def searchkit(capsys) -> Callable[..., SimpleNamespace]:
    """Runs `main` here: code, out and err."""
    from searchkit.commands.app import main

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return run


@pytest.fixture
def refused(searchkit) -> Callable[..., str]:
    """Runs a command that must fail with exit code 1 and one line on stderr: the line."""

    def run(*arguments):
        done = searchkit(*arguments)
        assert done.code == 1, done
        assert done.out == ""
        lines = done.err.splitlines()
        assert len(lines) == 1, done.err
        assert lines[0].startswith("searchkit: ")
        return lines[0].removeprefix("searchkit: ")

    return run


@pytest.fixture
def process() -> Callable[..., subprocess.CompletedProcess]:
    """Runs `python -m searchkit` in a process of its own; keywords are environment variables."""

    def run(*arguments, stdin=None, **environment):
        return subprocess.run(
            [sys.executable, "-m", "searchkit", *map(str, arguments)],
            env=os.environ | environment,
            input=stdin,
            capture_output=True,
        )

    return run


@pytest.fixture(scope="session")
def write_collection(tmp_path_factory) -> Callable[..., Path]:
    """A collection's folder; that of the toy by default."""

    def write(documents=DOCUMENTS, queries=QUERIES, judged=JUDGED, name="toy") -> Path:
        folder = tmp_path_factory.mktemp("collections") / name
        (folder / "qrels").mkdir(parents=True)
        rows = [{"_id": one, "title": title, "text": text} for one, title, text in documents]
        write_lines(folder / "corpus.jsonl", map(json.dumps, rows))
        rows = [{"_id": q, "text": text, "metadata": {"kind": kind}} for q, text, kind in queries]
        write_lines(folder / "queries.jsonl", map(json.dumps, rows))
        lines = [f"{query}\t{document}\t{grade}" for query, document, grade in judged]
        write_lines(folder / "qrels/test.tsv", ["query-id\tcorpus-id\tscore", *lines])
        return folder

    return write


def write_lines(path, lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="session")
def toy(write_collection) -> Path:
    """The toy collection; read it."""
    return write_collection()


@pytest.fixture(scope="session")
def tiny(tiny_model) -> list[str]:
    """The options that name the tiny base model and make it quick."""
    base = str(tiny_model("llama"))
    return ["--base", base, "--max-tokens", "24", "--dtype", "float32"]


@pytest.fixture(scope="session")
def built(tmp_path_factory, toy, tiny) -> Path:
    from searchkit.commands.app import main

    with pytest.MonkeyPatch.context() as patch:
        path = tmp_path_factory.mktemp("built")
        patch.setenv("SEARCHKIT_HOME", str(path))
        assert main(["index", str(toy), "--variant", "mean-causal", *tiny]) == 0
    return path / "indexes" / "toy"


@pytest.fixture
def index(home, built) -> str:
    """The name of an index of the toy collection, with one variant; in the test's own home."""
    shutil.copytree(built, home / "indexes" / "toy")
    return "toy"
