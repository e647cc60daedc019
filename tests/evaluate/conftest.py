"""A small set of each task on disk, and variants of a real but tiny language model."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

WORDS = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "lamp", "oil"]
KINDS = ["keyword", "question"]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture
def at_home(monkeypatch) -> Callable[[Path], None]:
    """Moves to another SEARCHKIT_HOME, such as that of an earlier evaluation."""
    return lambda home: monkeypatch.setenv("SEARCHKIT_HOME", str(home))


@pytest.fixture(scope="session")
def texts() -> Callable[..., list[str]]:
    """Distinct texts of drawn words that end in what they are and a number."""

    def draw(count, words=7, what="text") -> list[str]:
        drawn = np.random.default_rng([*what.encode()]).choice(WORDS, size=(count, words))
        return [f"{' '.join(row)} {what} {number}" for number, row in enumerate(drawn)]

    return draw


def write_lines(path, lines):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


@pytest.fixture(scope="session")
def write_retrieval() -> Callable[..., Path]:
    """(id, title, text) documents, (id, text, metadata) queries and judgements by split."""

    def write(folder, documents, queries, **judged) -> Path:
        rows = [{"_id": one, "title": title, "text": text} for one, title, text in documents]
        write_lines(folder / "corpus.jsonl", map(json.dumps, rows))
        rows = [{"_id": one, "text": text, "metadata": data} for one, text, data in queries]
        write_lines(folder / "queries.jsonl", map(json.dumps, rows))
        for split, judgements in judged.items():
            lines = ("\t".join(map(str, one)) for one in judgements)
            write_lines(folder / f"qrels/{split}.tsv", ["query-id\tcorpus-id\tscore", *lines])
        return folder

    return write


@pytest.fixture(scope="session")
def data(tmp_path_factory, texts, write_retrieval) -> Path:
    """A folder with a set of each task, called after it; read it.

    Retrieval has 60 documents, 12 queries in `test` and 8 others in `dev`, one of them alone in
    that it shares no word with any document.
    """
    folder = tmp_path_factory.mktemp("data")
    draw = np.random.default_rng(4)
    documents = [
        (f"d{number}", f"Title {number}" if number % 2 else "", text)
        for number, text in enumerate(texts(60, words=9, what="document"))
    ]
    asked = [" ".join(row) for row in draw.choice(WORDS, size=(19, 3))]
    queries = [
        (f"q{number}", f"{text} asked {number}", {"kind": KINDS[number % 3 > 0]})
        for number, text in enumerate(asked)
    ]
    queries.insert(11, ("q-nothing", "zebra", {"kind": "question"}))

    def judged(some):
        return [
            (query, f"d{number}", int(draw.integers(0, 3)))
            for query, _, _ in some
            for number in draw.choice(60, size=8, replace=False)
        ]

    write_retrieval(
        folder / "retrieval",
        documents,
        queries,
        test=judged(queries[:12]),
        dev=judged(queries[12:]),
    )
    candidates = texts(40, what="candidate")
    lists = [
        {
            "query": text,
            "positive": candidates[5 * place : 5 * place + 2],
            "negative": candidates[5 * place + 2 : 5 * place + 5],
        }
        for place, text in enumerate(texts(8, words=2, what="wanted"))
    ]
    write_lines(folder / "reranking/test.jsonl", map(json.dumps, lists))
    pairs = zip(texts(24, what="one"), texts(24, what="other"), draw.random(24), strict=True)
    lines = (f"{first}\t{second}\t{5 * score:.2f}" for first, second, score in pairs)
    write_lines(folder / "sts/test.tsv", ["sentence1\tsentence2\tscore", *lines])
    for name, split, count in (
        ("classification", "train", 30),
        ("classification", "test", 20),
        ("clustering", "test", 50),
    ):
        lines = (
            f"{text}\t{WORDS.index(text.split()[0]) % 3}"
            for text in texts(count, what=name + split)
        )
        write_lines(folder / name / f"{split}.tsv", ["text\tlabel", *lines])
    return folder


@pytest.fixture(scope="session")
def base(tiny_model) -> str:
    """The folder of the tiny Llama."""
    return str(tiny_model("llama"))


@pytest.fixture
def no_model(monkeypatch) -> Callable[[], None]:
    """A switch: from then on a language model that is loaded fails the test."""
    from searchkit.encode import embedder

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    return lambda: monkeypatch.setattr(embedder, "load_engine", load_engine)


@pytest.fixture
def computed(monkeypatch) -> list[int]:
    """How many tokens each pass over texts that no memory knew has had."""
    from searchkit.encode.memory import Memory

    passes: list[int] = []
    add = Memory.add

    def counting(self, keys, rows, *, tokens, seconds):
        passes.append(tokens)
        add(self, keys, rows, tokens=tokens, seconds=seconds)

    monkeypatch.setattr(Memory, "add", counting)
    return passes
