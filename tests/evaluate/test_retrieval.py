"""The retrieval task: runs that exact search makes, what indexes lose, and files of both."""

import json

import numpy as np
import pytest
import pytrec_eval
import torch

from searchkit.corpus.collection import Collection, joined, open_collection
from searchkit.encode.embedder import Embedder
from searchkit.encode.variant import parse
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.runs import read_run
from searchkit.evaluate.tasks import retrieval
from searchkit.index.store import Store
from searchkit.index.text import bm25
from searchkit.index.vector import ivf_pq
from searchkit.search import build
from searchkit.search.build import Plan
from searchkit.search.retrieve import Dense, open_encoders, open_retriever, query_encoder

WORDS = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "lamp", "oil"]


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture(scope="module")
def write_collection(tmp_path_factory):
    def write(documents, queries, judged, name="toy") -> Collection:
        folder = tmp_path_factory.mktemp("collections") / name
        (folder / "qrels").mkdir(parents=True)
        for file, rows in (("corpus", documents), ("queries", queries)):
            lines = (json.dumps({"_id": one, "text": text}) + "\n" for one, text in rows)
            (folder / f"{file}.jsonl").write_text("".join(lines))
        lines = (f"{query}\t{document}\t{grade}\n" for query, document, grade in judged)
        (folder / "qrels/test.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(lines))
        return open_collection(folder)

    return write


@pytest.fixture(scope="module")
def collection(write_collection):
    """300 documents of drawn words, 12 queries of two words, relevance drawn too."""
    draw = np.random.default_rng(5)
    documents = [(f"d{i}", " ".join(draw.choice(WORDS, size=8))) for i in range(300)]
    queries = [(f"q{i}", " ".join(draw.choice(WORDS, size=2))) for i in range(12)]
    queries.append(("q-nothing", "zebra"))
    judged = [
        (query, f"d{number}", int(draw.integers(0, 3)))
        for query, _ in queries
        for number in draw.choice(300, size=25, replace=False)
    ]
    return write_collection(documents, queries, judged)


@pytest.fixture(scope="module")
def plan(tiny_model):
    def make(*designs, **fields):
        base = str(tiny_model("llama"))
        variants = tuple(parse(design, base=base, max_tokens=40) for design in designs)
        return Plan(variants=variants, dtype="float32", **fields)

    return make


@pytest.fixture(scope="module")
def ranked(tmp_path_factory, collection, plan):
    """Runs, and the index they come from."""
    path = tmp_path_factory.mktemp("index")
    asked = plan("mean-causal", "eos_last-causal", "mean-bidirectional")
    runs, losses = retrieval.rank(
        collection, path, asked, hybrids=["mean-bidirectional", "mean-causal"], depth=150
    )
    assert losses == []
    return runs, Store.open(path)


def ids(run):
    return {query: [hit.doc_id for hit in ranking] for query, ranking in run.items()}


def test_systems_are_in_the_order_they_were_named(ranked):
    runs, _ = ranked
    assert list(runs) == [
        "bm25",
        "mean-causal",
        "eos_last-causal",
        "mean-bidirectional",
        "hybrid(mean-bidirectional)",
        "hybrid(mean-causal)",
    ]


def test_every_system_answers_every_query_to_the_depth(ranked, collection):
    runs, _ = ranked
    for name, run in runs.items():
        assert list(run) == [query.query_id for query in collection.queries]
        for query, ranking in run.items():
            assert [hit.rank for hit in ranking] == list(range(1, len(ranking) + 1))
            if name != "bm25" and not (name.startswith("hybrid") and query == "q-nothing"):
                assert len(ranking) == 150
    assert runs["bm25"]["q-nothing"] == []


def test_bm25_is_that_of_its_room(ranked, collection):
    runs, _ = ranked
    documents = list(collection.documents())
    index = bm25.build([joined(document) for document in documents], bm25.Parameters())
    found = index.search(
        [query.text for query in collection.queries], 150, [one.doc_id for one in documents]
    )
    assert list(runs["bm25"].values()) == found


@pytest.mark.parametrize("name", ["mean-causal", "eos_last-causal", "mean-bidirectional"])
def test_encoders_rank_by_exact_search(ranked, collection, name):
    runs, store = ranked
    (encoder,) = open_encoders(store, [name])
    texts = [query.text for query in collection.queries]
    queries = encoder.encode(texts, "query").vectors[name].astype(np.float64)
    products = queries @ build.vectors_of(store, name).astype(np.float64).T
    names = [document.doc_id for document in collection.documents()]
    for scores, ranking in zip(products, runs[name].values(), strict=True):
        expected = sorted(scores, reverse=True)[:150]
        assert [hit.score for hit in ranking] == pytest.approx(expected, abs=2e-6)
        by_id = dict(zip(names, scores, strict=True))
        assert [by_id[hit.doc_id] for hit in ranking] == pytest.approx(expected, abs=2e-6)


def test_hybrids_are_what_a_search_of_the_same_index_shows(ranked, collection):
    runs, store = ranked
    for name in ("mean-bidirectional", "mean-causal"):
        retriever = open_retriever(store.path, "hybrid", variant=name)
        shown = retriever.search([query.text for query in collection.queries], 150)
        assert [run for run in runs[f"hybrid({name})"].values()] == shown


def test_queries_are_encoded_once_for_all_variants_that_share_a_pass(
    tmp_path, collection, plan, monkeypatch
):
    roles = []
    prepare = Embedder.prepare

    def counted(self, texts, role, names=None):
        roles.append(role)
        return prepare(self, texts, role, names)

    monkeypatch.setattr(Embedder, "prepare", counted)
    asked = plan("mean-causal", "eos_last-causal", "mean-bidirectional", vector_indexes=["hnsw"])
    retrieval.rank(collection, tmp_path, asked, hybrids=["mean-causal"], measured=["AP"])
    assert roles.count("query") == 2  # causal and bidirectional


def trec_eval(run, collection):
    """The oracle: mean AP of a run by pytrec_eval, ties kept in the run's order."""
    qrels = {}
    for one in collection.judgements:
        qrels.setdefault(one.query_id, {})[one.doc_id] = one.grade
    scores = {q: {hit.doc_id: -float(hit.rank) for hit in hits} for q, hits in run.items()}
    found = pytrec_eval.RelevanceEvaluator(qrels, {"map"}).evaluate(scores)
    return sum(values["map"] for values in found.values()) / len(qrels)


def test_a_vector_index_is_measured_apart_and_changes_no_run(
    tmp_path, collection, plan, ranked, monkeypatch
):
    monkeypatch.setattr(ivf_pq, "_LISTS_READ", 1)  # of seven: much is lost
    monkeypatch.setattr(ivf_pq, "_CANDIDATES", 1)
    asked = plan("mean-causal", vector_indexes=["flat", "ivf_pq"])
    runs, losses = retrieval.rank(collection, tmp_path, asked, depth=30, measured=["AP"])
    exact = {query: ranking[:30] for query, ranking in ranked[0]["mean-causal"].items()}
    assert runs["mean-causal"] == exact
    (loss,) = losses
    assert (loss.system, loss.collection, loss.vector_index) == ("mean-causal", "toy", "ivf_pq")

    store = Store.open(tmp_path)
    (encoder,) = open_encoders(store, ["mean-causal"])
    texts = [query.text for query in collection.queries]
    lossy = Dense(
        build.open_vector_index(store, "mean-causal", "ivf_pq"),
        query_encoder(encoder, "mean-causal"),
        [document.doc_id for document in collection.documents()],
    )
    top, run = (dict(zip(exact, lossy.search(texts, k), strict=True)) for k in (10, 30))
    shares = [len({*ids(top)[q]} & {*found[:10]}) / 10 for q, found in ids(exact).items()]
    assert loss.recall == pytest.approx(np.mean(shares))
    assert 0 < loss.recall < 0.9
    difference = trec_eval(run, collection) - trec_eval(exact, collection)
    assert loss.differences == pytest.approx({"AP": difference}, abs=1e-9)
    assert difference != 0


def test_the_index_of_a_collection_is_that_of_its_corpus(collection, write_collection, tmp_path):
    other = write_collection([("d1", "rain")], [("q", "rain")], [("q", "d1", 1)])
    (tmp_path / "queries.tsv").write_text("q1\tstorm\n")
    same = open_collection(collection.corpus.path.parent, queries=tmp_path / "queries.tsv")
    paths = [retrieval.index_of(one, tmp_path) for one in (collection, other, same)]
    assert paths[0] == tmp_path / f"toy-{collection.corpus.fingerprint[:12]}"
    assert paths[0] == paths[2] != paths[1]


class TestSystems:
    def test_are_bm25_the_encoders_and_the_hybrids(self, plan, tmp_path):
        asked = plan("mean-causal", "model1", references=[("minilm", tmp_path)])
        assert retrieval.systems(asked, ["minilm", "mean-causal", "minilm"]) == [
            "bm25",
            "mean-causal",
            "eos_last-causal",
            "minilm",
            "hybrid(minilm)",
            "hybrid(mean-causal)",
        ]

    def test_named_twice_are_one(self, plan):
        assert retrieval.systems(plan("mean-causal", "mean-causal")) == ["bm25", "mean-causal"]

    def test_a_hybrid_needs_its_encoder(self, plan, collection, tmp_path):
        message = (
            "no hybrid of 'minilm': it is none of the systems mean-causal; name it with "
            "--variant or --embedder, too"
        )
        for call in (
            lambda: retrieval.systems(plan("mean-causal"), ["minilm"]),
            lambda: retrieval.rank(
                collection, tmp_path / "new", plan("mean-causal"), hybrids=["minilm"]
            ),
        ):
            with pytest.raises(UnknownName) as caught:
                call()
            assert str(caught.value) == message
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(UnknownName, match=r"none of the systems \(none\);"):
            retrieval.systems(Plan(), ["minilm"])

    @pytest.mark.parametrize("name", ["bm25", "hybrid(mean-causal)"])
    def test_no_two_go_by_one_name(self, plan, tmp_path, name):
        asked = plan("mean-causal", references=[(name, tmp_path)])
        with pytest.raises(BadInput) as caught:
            retrieval.systems(asked, ["mean-causal"])
        assert str(caught.value) == (
            f"two systems are called {name!r}; give the encoder another name"
        )


class TestFiles:
    def test_runs_are_saved_as_they_are(self, ranked, collection, tmp_path, plan):
        runs, store = ranked
        retrieval.save(tmp_path, collection, runs, store.path, plan("mean-causal"))
        assert {file.stem for file in (tmp_path / "runs/toy").iterdir()} == set(runs)
        for name, run in runs.items():
            saved = read_run(tmp_path / "runs/toy" / f"{name}.trec")
            assert ids(saved) == {query: found for query, found in ids(run).items() if found}
            assert retrieval.load(tmp_path / "runs/toy" / f"{name}.trec", collection) == saved

    def test_what_is_said_of_them_is_what_the_index_holds(self, ranked, collection, tmp_path, plan):
        runs, store = ranked
        asked = plan("eos_last-causal")
        found = retrieval.save(tmp_path, collection, runs, store.path, asked)
        assert json.loads(json.dumps(found)) == found
        assert found["fingerprint"] == collection.fingerprint
        assert (found["split"], found["queries"], found["bm25"]["k1"]) == ("test", 13, 1.5)
        assert found["encoders"] == {
            "eos_last-causal": build.encoders(store)["eos_last-causal"],
        }

    def test_ids_that_no_run_can_hold_are_escaped_and_come_back(self, write_collection, tmp_path):
        names = ["a b", "a/b", "a%20b", "100%", "tab\there", "ä ö", "plain", "c%2Fd"]
        collection = write_collection(
            [(name, f"rain {i}x") for i, name in enumerate(names)],
            [("q 1", "rain"), ("q%201", "rain 2x")],
            [(query, name, 1) for query in ("q 1", "q%201") for name in names if "\t" not in name],
            name="odd / names %",
        )
        runs, _ = retrieval.rank(collection, tmp_path / "index", Plan())
        retrieval.save(tmp_path, collection, runs, tmp_path / "index", Plan())
        (file,) = (tmp_path / "runs").rglob("*.trec")
        assert all(len(line.split()) == 6 for line in file.read_text().splitlines())
        loaded, tab = retrieval.load(file, collection), "tab%09here"
        assert ids(loaded) == {
            query: [tab if name == "tab\there" else name for name in found]  # nobody judged it
            for query, found in ids(runs["bm25"]).items()
        }

    def test_ids_of_a_run_from_elsewhere_are_taken_as_they_are(self, write_collection, tmp_path):
        collection = write_collection(
            [("http://x/a%20b", "rain"), ("c", "rain")],
            [("1", "rain")],
            [("1", "http://x/a%20b", 1)],
        )
        (tmp_path / "run").write_text("1 Q0 http://x/a%20b 1 2.5 t\n1 Q0 c%20d 2 1.5 t\n")
        assert ids(retrieval.load(tmp_path / "run", collection)) == {
            "1": ["http://x/a%20b", "c%20d"]
        }
