"""A toy corpus, and variants of a real but tiny language model to index it with."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from searchkit.corpus.collection import Corpus
from searchkit.encode.variant import Variant, parse
from searchkit.search.build import Plan, build_index

# Ids that sort otherwise than the rows do, two documents that are one text, one without a title.
DOCUMENTS = [
    ("d7", "Tides", "The ferry leaves two hours before high water."),
    ("d10", "Ferry", "On Sundays the ferry to the island does not run."),
    ("d9", "", "Sheep graze on the western cliffs all winter long."),
    ("d1", "Autoclave", "Clean the autoclave with distilled water after each run."),
    ("d2", "", "Sheep graze on the western cliffs all winter long."),
    ("d3", "Radio", "Channel eight is kept free for emergencies at sea."),
    ("d8", "Généric", "Die Fähre fährt bei Sturm nicht, ∑ ≥ 7 Bft."),
    ("d5", "Leave", "Ask for leave twice as many days ahead as you want off."),
]


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture(scope="session")
def write_corpus(tmp_path_factory) -> Callable[..., Corpus]:
    """(id, title, text) triples to a corpus on disk; those of the toy corpus by default."""

    def write(documents=DOCUMENTS, name="toy", kind=Corpus) -> Corpus:
        folder = tmp_path_factory.mktemp("corpora") / name
        folder.mkdir()
        lines = (
            json.dumps({"_id": doc_id, "title": title, "text": text}) + "\n"
            for doc_id, title, text in documents
        )
        (folder / "corpus.jsonl").write_text("".join(lines), encoding="utf-8")
        return kind(name, folder / "corpus.jsonl")

    return write


@pytest.fixture(scope="session")
def tiny(tiny_model) -> Callable[..., tuple[Variant, ...]]:
    """Names of designs to variants of the tiny Llama; keywords are fields of all of them."""

    def make(*designs, **fields) -> tuple[Variant, ...]:
        given = {"base": str(tiny_model("llama")), "max_tokens": 24, **fields}
        return tuple(parse(design, **given) for design in designs)

    return make


@pytest.fixture(scope="session")
def toy_index(tmp_path_factory, write_corpus, tiny) -> Path:
    """The toy corpus with two variants, one of them with a graph too; read it, or copy it."""
    path = tmp_path_factory.mktemp("indexes") / "toy"
    plan = Plan(variants=tiny("mean-causal", "eos_last-bidirectional"), dtype="float32")
    build_index(path, write_corpus(), plan)
    plan = Plan(variants=tiny("mean-causal"), dtype="float32", vector_indexes=["hnsw"])
    build_index(path, write_corpus(), plan)
    return path
