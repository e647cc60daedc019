"""The retrieval task: runs that exact search makes, what is tuned, and what indexes lose."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import pytrec_eval

from searchkit.corpus.collection import Collection, joined, open_collection
from searchkit.encode.embedder import Embedder
from searchkit.encode.variant import parse
from searchkit.evaluate.runs import fuse, load_run, read_run, save_runs
from searchkit.evaluate.tasks import retrieval
from searchkit.index.store import Store
from searchkit.index.text import bm25
from searchkit.index.vector import ivf_pq
from searchkit.search import contents
from searchkit.search.build import Plan
from searchkit.search.encoders import open_encoders, query_encoder
from searchkit.search.retrieve import Dense, open_retriever

WORDS = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "lamp", "oil"]


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
    """What ranking brought, and the index that it comes from."""
    path = tmp_path_factory.mktemp("index")
    asked = plan("mean-causal", "eos_last-causal", "mean-bidirectional")
    lexical = {"bm25-low": bm25.Parameters(k1=0.3), "bm25-words": bm25.Parameters(stemmer="none")}
    found = retrieval.rank(collection, path, asked, lexical=lexical, depth=150)
    assert found.losses == []
    return found, Store.open(path)


def ids(run):
    return {query: [hit.doc_id for hit in ranking] for query, ranking in run.items()}


def test_systems_are_in_the_order_they_were_named(ranked):
    found, _ = ranked
    assert list(found.runs) == [
        "bm25",
        "bm25-low",
        "bm25-words",
        "mean-causal",
        "eos_last-causal",
        "mean-bidirectional",
    ]
    assert found.facts.keys() == found.runs.keys()


def test_a_system_that_is_named_twice_is_one(tmp_path, collection, plan):
    found = retrieval.rank(collection, tmp_path, plan("mean-causal", "mean-causal"), depth=5)
    assert list(found.runs) == ["bm25", "mean-causal"]


def test_every_system_answers_every_query_to_the_depth(ranked, collection):
    found, _ = ranked
    for name, run in found.runs.items():
        assert list(run) == [query.query_id for query in collection.queries]
        for ranking in run.values():
            assert [hit.rank for hit in ranking] == list(range(1, len(ranking) + 1))
            if not name.startswith("bm25"):
                assert len(ranking) == 150
    assert found.runs["bm25"]["q-nothing"] == found.runs["bm25-low"]["q-nothing"] == []


@pytest.mark.parametrize(
    ("name", "fields"),
    [("bm25", {}), ("bm25-low", {"k1": 0.3}), ("bm25-words", {"stemmer": "none"})],
)
def test_bm25_is_that_of_its_room(ranked, collection, name, fields):
    runs = ranked[0].runs
    documents = list(collection.documents())
    index = bm25.build([joined(document) for document in documents], bm25.Parameters(**fields))
    found = index.search(
        [query.text for query in collection.queries], 150, [one.doc_id for one in documents]
    )
    assert list(runs[name].values()) == found
    assert runs["bm25-low"] != runs["bm25"]


@pytest.mark.parametrize("name", ["mean-causal", "eos_last-causal", "mean-bidirectional"])
def test_encoders_rank_by_exact_search(ranked, collection, name):
    runs, store = ranked[0].runs, ranked[1]
    (encoder,) = open_encoders(store, [name])
    texts = [query.text for query in collection.queries]
    queries = encoder.encode(texts, "query").vectors[name].astype(np.float64)
    products = queries @ contents.vectors_of(store, name).astype(np.float64).T
    names = [document.doc_id for document in collection.documents()]
    for scores, ranking in zip(products, runs[name].values(), strict=True):
        expected = sorted(scores, reverse=True)[:150]
        assert [hit.score for hit in ranking] == pytest.approx(expected, abs=2e-6)
        by_id = dict(zip(names, scores, strict=True))
        assert [by_id[hit.doc_id] for hit in ranking] == pytest.approx(expected, abs=2e-6)


def test_fused_runs_are_what_a_search_of_the_same_index_shows(collection, ranked):
    """Where both see the whole of each ranking; a search fuses at least the first thousand."""
    store = ranked[1]
    whole = retrieval.rank(collection, store.path, Plan(), depth=300).runs["bm25"]
    for name in ("mean-bidirectional", "mean-causal"):
        (encoder,) = open_encoders(store, [name])
        dense = Dense(
            contents.open_vector_index(store, name),
            query_encoder(encoder, name),
            [document.doc_id for document in collection.documents()],
        )
        texts = [query.text for query in collection.queries]
        run = dict(zip(whole, dense.search(texts, 300), strict=True))
        shown = open_retriever(store.path, "hybrid", variant=name).search(texts, 150)
        assert [*fuse([run, whole], 150).values()] == shown


def test_runs_are_saved_and_read_as_they_are(ranked, collection, tmp_path):
    runs = ranked[0].runs
    save_runs(tmp_path, runs)
    assert {file.stem for file in tmp_path.iterdir()} == set(runs)
    for name, run in runs.items():
        saved = read_run(tmp_path / f"{name}.trec")
        assert ids(saved) == {query: found for query, found in ids(run).items() if found}
        assert load_run(tmp_path / f"{name}.trec", collection.judgements) == saved


def test_what_is_said_of_systems_is_what_the_index_holds(ranked):
    found, store = ranked
    assert json.loads(json.dumps(found.facts)) == found.facts
    assert found.facts["bm25"] == dict(store.facts("bm25"))
    assert found.facts["bm25-low"] == {**found.facts["bm25"], "k1": 0.3}
    for name, known in contents.encoders(store).items():
        assert found.facts[name] == {**known, "tokens_per_s": None}  # nothing remembers here


def test_what_a_memory_knows_is_not_encoded_again(tmp_path, collection, plan, ranked, monkeypatch):
    asked = replace(plan("mean-causal"), memories=tmp_path / "memories")
    first = retrieval.rank(collection, tmp_path / "one", asked, depth=150)
    assert ids(first.runs["mean-causal"]) == ids(ranked[0].runs["mean-causal"])
    assert first.facts["mean-causal"]["tokens_per_s"] > 0

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("searchkit.encode.embedder.load_engine", load_engine)
    again = retrieval.rank(collection, tmp_path / "two", asked, depth=150)
    assert again.runs == first.runs


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
    retrieval.rank(collection, tmp_path, asked, measured=["AP"])
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
    found = retrieval.rank(collection, tmp_path, asked, depth=30, measured=["AP"])
    exact = {query: ranking[:30] for query, ranking in ranked[0].runs["mean-causal"].items()}
    assert found.runs["mean-causal"] == exact
    (loss,) = found.losses
    assert (loss.system, loss.collection, loss.vector_index) == ("mean-causal", "toy", "ivf_pq")

    store = Store.open(tmp_path)
    (encoder,) = open_encoders(store, ["mean-causal"])
    texts = [query.text for query in collection.queries]
    lossy = Dense(
        contents.open_vector_index(store, "mean-causal", "ivf_pq"),
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


@pytest.fixture(scope="module")
def dev(write_collection):
    """Long documents repeat words and are not what is asked for, so that k1 and b matter."""
    draw = np.random.default_rng(8)
    documents = [
        (f"d{i}", " ".join(draw.choice(WORDS, size=int(draw.integers(2, 60))))) for i in range(80)
    ]
    queries = [(f"q{i}", " ".join(draw.choice(WORDS, size=2))) for i in range(6)]
    short = sorted(range(80), key=lambda i: len(documents[i][1]))[:30]
    judged = [(query, f"d{i}", 1) for query, _ in queries for i in draw.choice(short, size=6)]
    return write_collection(documents, queries, sorted(set(judged)))


class TestTuning:
    @pytest.mark.parametrize(("measure", "name"), [("AP", "map"), ("nDCG@10", "ndcg_cut_10")])
    def test_finds_the_best_of_its_grid_and_of_equals_the_first(self, dev, measure, name):
        documents = list(dev.documents())
        texts = [query.text for query in dev.queries]
        qrels = {}
        for one in dev.judgements:
            qrels.setdefault(one.query_id, {})[one.doc_id] = one.grade
        evaluator = pytrec_eval.RelevanceEvaluator(qrels, {name})
        means = {}
        for k1, b in itertools.product((0.6, 0.9, 1.2, 1.5, 1.8, 2.4), (0.2, 0.4, 0.6, 0.75, 0.9)):
            index = bm25.build(map(joined, documents), bm25.Parameters(k1=k1, b=b))
            rankings = index.search(texts, 40, [one.doc_id for one in documents])
            run = {
                query.query_id: {hit.doc_id: -float(hit.rank) for hit in ranking}
                for query, ranking in zip(dev.queries, rankings, strict=True)
            }
            means[k1, b] = np.mean([of[name] for of in evaluator.evaluate(run).values()])
        best = max(means, key=lambda pair: round(means[pair], 12))
        assert retrieval.tune(dev, measure, 40) == bm25.Parameters(k1=best[0], b=best[1])
        assert max(means.values()) > min(means.values()) + 0.05

    def test_of_parameters_that_make_no_difference_takes_the_first(self, write_collection):
        alone = write_collection([("d1", "rain")], [("q", "rain")], [("q", "d1", 1)])
        assert retrieval.tune(alone) == bm25.Parameters(k1=0.6, b=0.2)
