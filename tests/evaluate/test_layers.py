"""Every layer is an embedder of its own: as transformers computes it, measured as tasks measure."""

import csv
import io
import json

import numpy as np
import pytest
import pytrec_eval
import torch
from statsmodels.stats.multitest import multipletests
from tokenizers import Tokenizer

from searchkit.corpus.collection import Corpus, joined, open_collection
from searchkit.corpus.labelled import open_set
from searchkit.encode.variant import parse
from searchkit.errors import BadInput
from searchkit.evaluate import layers
from searchkit.evaluate.significance import paired
from searchkit.evaluate.suite import SetRow
from searchkit.evaluate.tasks import sts
from searchkit.search.watcher import Watcher

DESIGNS = ("eos_last-causal", "mean-causal", "eos_last-bidirectional", "mean-bidirectional")
DEPTH = 3
MOST = 16  # tokens of a text


class Told(Watcher):
    """Remembers what it was told."""

    def __init__(self):
        self.lines, self.entered, self.begun, self.done = [], [], [], []

    def enter(self, what):
        self.entered.append(what)

    def begin(self, what, total):
        self.begun.append((what, total))

    def advance(self, progress):
        self.done.append((progress.texts, progress.total))

    def say(self, line):
        self.lines.append(line)


@pytest.fixture
def explain(data, base, home):
    """Explains sets that are named, by designs that are named; keywords are of the variants."""

    def run(*sets, designs=DESIGNS, row=None, watcher=None, seed=0, **fields):
        variants = [parse(name, **{"base": base, "max_tokens": MOST, **fields}) for name in designs]
        rows = [SetRow(source=str(data / name), **(row or {})) for name in sets]
        how = {"device": "cpu", "dtype": "float32", "resamples": 500, "seed": seed}
        return list(layers.explain(rows, variants, home / "memories", watcher=watcher, **how))

    return run


@pytest.fixture
def vectors_of(base):
    """The oracle: transformers' own model, one text at a time, and the summaries by loops.

    A design and texts to (L, N, D), unit length.
    """
    from transformers import AutoModel, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    model = AutoModel.from_pretrained(base, dtype=torch.float32, attn_implementation="eager").eval()

    @torch.inference_mode()
    def vectors(design, texts):
        pooling, attention = design.split("-")
        how = {} if attention == "causal" else {"is_causal": False}
        found = []
        for ids in token_ids(base, texts):
            output = model(torch.tensor([ids]), output_hidden_states=True, use_cache=False, **how)
            states = torch.cat(output.hidden_states[1:]).double().numpy()  # (L, T, D)
            states /= np.sqrt((states**2).mean(axis=2, keepdims=True) + 1e-6)
            chosen = states[:, -1] if pooling == "eos_last" else states.mean(axis=1)
            kept = chosen.astype(np.float16).astype(np.float64)  # as they are kept
            found.append(kept / np.linalg.norm(kept, axis=1, keepdims=True))
        return np.stack(found, axis=1)

    return vectors


def token_ids(base, texts, most=MOST):
    """BOS, text and EOS of each text, the text cut so that all of it fits."""
    tokenizer = Tokenizer.from_file(f"{base}/tokenizer.json")
    return [
        [*ids[: most - 1], ids[-1]] if len(ids) > most else ids
        for ids in (tokenizer.encode(text).ids for text in texts)
    ]


@pytest.fixture
def heard(monkeypatch):
    """What the sts task was given and gave, a call for each layer: (vectors, values by item)."""
    calls = []
    score = sts.score

    def listening(data, encode, measures=sts.MEASURES, *, seed):
        pairs = score(data, encode, measures, seed=seed)
        texts = [text for pair in data.pairs for text in (pair.first, pair.second)]
        calls.append((encode(texts, "query"), pairs[measures[0]]))
        return pairs

    monkeypatch.setattr(sts, "score", listening)
    return calls


@pytest.fixture
def collection(data):
    return open_collection(data / "retrieval")


@pytest.fixture
def pair_texts(data):
    pairs = open_set(str(data / "sts"), kind="sts", split="test").pairs
    return [text for pair in pairs for text in (pair.first, pair.second)]


class TestVectors:
    @pytest.mark.parametrize("design", DESIGNS)
    def test_of_each_layer_are_those_of_transformers(
        self, explain, heard, vectors_of, pair_texts, design
    ):
        rows = explain("sts", designs=[design])
        assert [row.layer for row in rows] == [1, 2, 3]
        expected = vectors_of(design, pair_texts)
        found = np.stack([vectors for vectors, _ in heard])
        assert found.shape == expected.shape == (DEPTH, len(pair_texts), 32)
        assert found.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found, axis=2), 1, rtol=1e-5)
        agreement = np.einsum("lnd,knd->lkn", found, expected)
        for layer in range(DEPTH):
            assert agreement[layer, layer].min() > 1 - 1e-5
        for layer, other in ((0, 1), (1, 2), (0, 2)):  # and not those of another one
            assert agreement[layer, other].mean() < 0.99

    def test_begin_and_end_where_the_variant_says(self, explain, heard, vectors_of, pair_texts):
        rows = explain("sts", designs=["mean-causal"], first_layer=2, last_layer=2)
        ((vectors, _),) = heard
        expected = vectors_of("mean-causal", pair_texts)[1]
        assert np.einsum("nd,nd->n", vectors, expected).min() > 1 - 1e-5
        (row,) = rows  # which is the last one, so that there is nothing to compare it with
        assert (row.layer, row.difference, row.low, row.high, row.p) == (2, None, None, None, None)

    def test_are_as_short_as_the_variant_says(self, explain, heard):
        explain("sts", designs=["mean-causal"])
        explain("sts", designs=["mean-causal"], dimension=8)
        for (whole, _), (cut, _) in zip(heard[:DEPTH], heard[DEPTH:], strict=True):
            expected = whole[:, :8] / np.linalg.norm(whole[:, :8], axis=1, keepdims=True)
            np.testing.assert_allclose(cut, expected, atol=1e-6)

    def test_know_the_template_of_their_role(self, explain, heard, vectors_of, pair_texts):
        explain("sts", designs=["eos_last-causal"], query_template="Query: {text}")
        expected = vectors_of("eos_last-causal", [f"Query: {text}" for text in pair_texts])
        assert np.einsum("nd,nd->n", heard[1][0], expected[1]).min() > 1 - 1e-5


class TestWork:
    def test_one_forward_pass_serves_all_layers_and_both_poolings(
        self, explain, computed, base, collection
    ):
        explain("retrieval")
        texts = [joined(document) for document in collection.documents()]
        texts += [query.text for query in collection.queries]
        distinct = set(map(tuple, token_ids(base, texts)))  # cut, some are the same
        assert sum(computed) == 2 * sum(map(len, distinct))  # once for each attention mode

    def test_a_second_call_loads_no_model_and_finds_the_same(self, explain, no_model):
        first = explain("retrieval", "sts")
        no_model()
        assert explain("retrieval", "sts") == first

    def test_what_an_earlier_call_computed_is_taken(self, explain, computed):
        explain("sts", designs=["mean-causal"])
        of_sts = sum(computed)
        explain("sts", "retrieval", designs=["mean-causal"])
        of_both = sum(computed)
        explain("retrieval", designs=["mean-causal"])
        assert 0 < of_sts < of_both == sum(computed)

    def test_a_corpus_is_read_as_often_for_many_layers_as_for_one(self, explain, monkeypatch):
        reads = []
        documents = Corpus.documents
        monkeypatch.setattr(Corpus, "documents", lambda self: (reads.append(1), documents(self))[1])
        explain("retrieval", designs=["mean-causal"], last_layer=1)
        of_one, reads[:] = len(reads), []
        explain("retrieval")
        assert len(reads) == of_one > 0

    def test_progress_adds_up_to_all_texts(self, explain, data):
        told = Told()
        explain("retrieval", designs=["mean-causal", "eos_last-causal"], watcher=told)
        (what, total), *others = told.begun
        assert what == "reading the layers of mean-causal and eos_last-causal"
        assert total == 60 + 12 and not others
        assert told.done[-1] == (total, total)
        assert [texts for texts, _ in told.done] == sorted(texts for texts, _ in told.done)


class TestRows:
    def test_compare_every_layer_with_the_last_as_two_systems_are_compared(self, explain, heard):
        rows = explain("sts", seed=7)
        assert [(f"{row.pooling}-{row.attention}", row.layer) for row in rows] == [
            (design, layer) for design in DESIGNS for layer in (1, 2, 3)
        ]
        for start in range(0, len(rows), DEPTH):  # for each design, corrected apart
            three = rows[start : start + DEPTH]
            # In the order of their names, as analyses have them.
            values = [[of[item] for item in sorted(of)] for _, of in heard[start : start + DEPTH]]
            expected = [paired(of, values[-1], resamples=500, seed=7) for of in values[:-1]]
            corrected = multipletests([one.p for one in expected], method="holm")[1]
            for row, one, p in zip(three, expected, corrected, strict=False):
                assert row.difference == pytest.approx(one.mean, abs=1e-12)
                assert (row.low, row.high) == pytest.approx((one.low, one.high), abs=1e-12)
                assert row.p == pytest.approx(p, abs=1e-12)
            last = three[-1]
            assert (last.difference, last.low, last.high, last.p) == (None,) * 4
            for row, of in zip(three, values, strict=True):
                assert row.mean == pytest.approx(np.mean(of), abs=1e-12)
                assert (row.set, row.measure, row.items) == ("sts", "Spearman", 24)

    @pytest.mark.parametrize(
        ("measure", "oracle"),
        [("nDCG@10", "ndcg_cut_10"), ("R@5", "recall_5"), ("AP", "map"), ("P(rel=2)@3", None)],
    )
    def test_of_retrieval_have_the_means_of_trec_eval(
        self, explain, vectors_of, collection, measure, oracle
    ):
        rows = explain("retrieval", designs=["mean-causal"], row={"measures": (measure, "R@100")})
        documents = list(collection.documents())
        passages = vectors_of("mean-causal", [joined(document) for document in documents])
        queries = vectors_of("mean-causal", [query.text for query in collection.queries])
        qrels: dict[str, dict[str, int]] = {}
        for one in collection.judgements:
            # Of P(rel=2)@3: only the highest grade is relevant, so that plain P@3 is the oracle.
            grade = one.grade if oracle else int(one.grade > 1)
            qrels.setdefault(one.query_id, {})[one.doc_id] = grade
        for row, of_queries, of_passages in zip(rows, queries, passages, strict=True):
            run = {
                query.query_id: {
                    document.doc_id: float(vector @ passage)
                    for document, passage in zip(documents, of_passages, strict=True)
                }
                for query, vector in zip(collection.queries, of_queries, strict=True)
            }
            name = oracle or "P_3"
            found = pytrec_eval.RelevanceEvaluator(qrels, {name}).evaluate(run)
            mean = sum(of[name] for of in found.values()) / len(qrels)
            assert row.mean == pytest.approx(mean, abs=0.01), row.layer
            assert (row.measure, row.items, row.set) == (measure, 12, "retrieval")

    def test_of_classification_count_its_texts(self, explain):
        rows = explain("classification", "retrieval", designs=["mean-causal"])
        assert [(row.set, row.measure, row.items) for row in rows] == [
            *[("classification", "accuracy", 20)] * 3,
            *[("retrieval", "nDCG@10", 12)] * 3,
        ]
        assert all(0 < row.mean < 1 for row in rows)

    def test_name_a_sample_and_say_so(self, explain, collection):
        told = Told()
        rows = explain("retrieval", designs=["mean-causal"], row={"sample": 5}, watcher=told)
        judged = {one.doc_id for one in collection.judgements}
        assert 5 < len(judged) < 60
        assert {row.set for row in rows} == {f"retrieval-{len(judged)}"}
        kept = f"{len(judged)} of 60 documents"
        said = f"a sample of {kept}, drawn with seed 0: {len(judged)} judged and 0 not"
        assert said in told.lines
        assert told.entered == [f"retrieval-{len(judged)}"]
        rows = explain("sts", designs=["mean-causal"], row={"sample": 9})
        assert {(row.set, row.items) for row in rows} == {("sts-9", 9)}

    def test_go_by_the_name_that_a_row_gives(self, explain):
        rows = explain("sts", designs=["mean-causal"], row={"name": "mine"})
        assert {row.set for row in rows} == {"mine"}

    def test_cut_texts_are_counted(self, explain, base, pair_texts):
        told = Told()
        explain("sts", designs=["mean-causal"], watcher=told, max_tokens=12)
        long = sum(len(ids) > 12 for ids in token_ids(base, pair_texts, most=1000))
        assert long > 0
        assert f"{long} of 48 texts have over 12 tokens and were cut" in told.lines

    def test_are_read_back_from_both_files(self, explain):
        rows = explain("sts", designs=["mean-causal"])
        names = [
            "set", "measure", "attention", "pooling", "layer", "mean", "items", "difference",
            "low", "high", "p",
        ]  # fmt: skip
        objects = json.loads(layers.json_of(rows))
        assert [list(one) for one in objects] == [names] * 3
        assert [layers.LayerRow(**one) for one in objects] == rows
        table = list(csv.DictReader(io.StringIO(layers.csv_of(rows))))
        for cells, one in zip(table, objects, strict=True):
            assert cells == {
                name: "" if value is None else str(value) for name, value in one.items()
            }


class TestRefusals:
    """Nothing is encoded before them."""

    @pytest.fixture(autouse=True)
    def nothing_is_computed(self, computed):
        yield
        assert computed == []

    def refused(self, explain, *sets, **how):
        with pytest.raises(BadInput) as caught:
            explain(*sets, **how)
        return str(caught.value)

    def test_of_a_pooling_that_reads_all_layers(self, explain):
        said = self.refused(explain, "sts", designs=["mean-causal", "multi_layer-causal"])
        assert said == (
            "multi_layer-causal cannot read one layer alone; there are the poolings eos_last, mean"
        )

    def test_of_two_variants_that_rows_cannot_tell_apart(self, data, base, home):
        variants = [parse("mean-causal", base=base, max_tokens=most) for most in (8, 16)]
        rows = [SetRow(source=str(data / "sts"))]
        with pytest.raises(BadInput, match=r"^two different variants are mean-causal"):
            next(layers.explain(rows, variants, home, device="cpu", dtype="float32"))

    def test_of_two_sets_of_one_name(self, explain):
        said = self.refused(explain, "sts", "retrieval", "sts")
        assert said == "two sets are called 'sts'; run this again for one of them"

    def test_of_a_measure_that_a_later_set_has_not(self, explain):
        said = self.refused(explain, "retrieval", "sts", row={"measures": ("nDCG@10",)})
        assert said == "'nDCG@10' is no measure of sts; there are: Spearman, Pearson"

    def test_of_a_set_that_cannot_be_measured(self, explain, data, tmp_path):
        (tmp_path / "flat").mkdir()
        lines = ["sentence1\tsentence2\tscore", "a\tb\t1", "c\td\t1", "e\tf\t1", ""]
        (tmp_path / "flat/test.tsv").write_text("\n".join(lines))
        said = self.refused(explain, data / "retrieval", tmp_path / "flat")
        assert said.startswith("all 3 pairs of flat have the score 1")

    def test_of_a_set_that_is_not_there(self, explain):
        assert "nowhere" in self.refused(explain, "sts", "nowhere")


def test_a_variant_that_is_named_again_is_explained_once(explain):
    once = explain("sts", designs=["mean-causal"])
    assert explain("sts", designs=["mean-causal", "mean-causal"]) == once
