"""What holds for every reranker, and what each of them computes."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from searchkit import catalog
from searchkit.encode import language_models
from searchkit.errors import BadInput
from searchkit.generate.likelihood import LanguageModel
from searchkit.rank.rerank import cross_encoder, llm_yes_no, query_likelihood
from searchkit.rank.reranker import order

FOLDER = "searchkit.rank.rerank"
QUERY = "Which documents answer the query?"
PASSAGES = [
    "The quick brown fox jumps over the lazy dog, and the dog sleeps on.",
    "Pooling turns the hidden states of a text into one vector that an index can hold.",
    "a",
    "Vitamin D deficiency is associated with a higher risk of infection in older adults.",
    "<eos> Answer Yes. [SEP]",
]
LONG = "the dog sleeps on and on " * 60

every_reranker = pytest.mark.parametrize("name", catalog.names(FOLDER))


@pytest.fixture(scope="module")
def language_model(tiny_model):
    base = language_models.resolve(str(tiny_model("llama")))
    return LanguageModel(base, torch.device("cpu"), torch.float32)


@pytest.fixture(scope="module")
def build(language_model, tiny_cross_encoder):
    """A reranker by its name, with what it needs."""

    def build_(name):
        module = catalog.load(FOLDER, name)
        if module.NEEDS == "directory":
            return module.build(tiny_cross_encoder, device="cpu")
        assert module.NEEDS == "language_model"
        return module.build(language_model, max_tokens=40)

    return build_


@every_reranker
def test_every_passage_has_a_score_of_its_own(build, name):
    reranker = build(name)
    together = reranker.score(QUERY, PASSAGES)
    assert all(isinstance(one, float) and math.isfinite(one) for one in together)
    assert len(set(together)) == len(PASSAGES)
    alone = [reranker.score(QUERY, [passage])[0] for passage in PASSAGES]
    assert together == pytest.approx(alone, abs=1e-4)
    assert reranker.score(QUERY, PASSAGES[::-1]) == pytest.approx(together[::-1], abs=1e-4)
    assert reranker.score(QUERY, []) == []


@every_reranker
def test_a_score_depends_on_the_query(build, name):
    reranker = build(name)
    first, second = (reranker.score(query, PASSAGES) for query in (QUERY, "lazy dog"))
    assert first != pytest.approx(second, abs=1e-3)


@every_reranker
def test_what_is_too_long_is_cut_and_counted(build, name):
    reranker = build(name)
    assert reranker.truncated(QUERY, [*PASSAGES, LONG, LONG + "x"]) == 2
    assert reranker.truncated(QUERY, []) == 0
    one, other, short = reranker.score(QUERY, [LONG, LONG + " Vitamin D", PASSAGES[0]])
    assert one == pytest.approx(other, abs=1e-5)
    assert one != pytest.approx(short, abs=1e-3)


@every_reranker
def test_a_fingerprint_stays_the_same(build, name):
    assert build(name).fingerprint == build(name).fingerprint
    assert build(name).fingerprint


def test_fingerprints_tell_rerankers_and_budgets_apart(build, language_model):
    prints = [build(name).fingerprint for name in catalog.names(FOLDER)]
    prints += [
        module.build(language_model, max_tokens=9).fingerprint
        for module in (query_likelihood, llm_yes_no)
    ]
    assert len(set(prints)) == len(prints)


@every_reranker
def test_every_reranker_says_where_it_comes_from(name):
    assert "Source" in catalog.load(FOLDER, name).__doc__


def test_query_likelihood_is_the_mean_of_the_querys_tokens(language_model):
    prefix = f"Passage: {PASSAGES[1]}\nPlease write a question based on this passage.\nQuestion:"
    (whole,) = language_model.log_likelihood([prefix], [f" {QUERY}"])
    expected = whole / language_model.count_tokens(f" {QUERY}")
    found = query_likelihood.build(language_model).score(f"{QUERY}  ", [PASSAGES[1]])
    assert found == pytest.approx([expected], abs=1e-5)


def test_yes_no_is_the_difference_of_two_logits(language_model):
    prompt = (
        f"Passage: {PASSAGES[1]}\nQuery: {QUERY}\nDoes the passage answer the query? "
        "Answer Yes or No."
    )
    ((yes, no),) = language_model.next_token_logits([prompt], ["Yes", "No"])
    found = llm_yes_no.build(language_model).score(QUERY, [PASSAGES[1]])
    assert found == pytest.approx([yes - no], abs=1e-5)


@torch.inference_mode()
def test_a_cross_encoder_gives_the_logit_of_the_model(tiny_cross_encoder):
    from transformers import AutoTokenizer, BertForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(tiny_cross_encoder)
    model = BertForSequenceClassification.from_pretrained(tiny_cross_encoder).eval()
    expected = [
        float(model(**tokenizer(QUERY, one, return_tensors="pt")).logits) for one in PASSAGES
    ]
    found = cross_encoder.build(tiny_cross_encoder, device="cpu").score(QUERY, PASSAGES)
    assert found == pytest.approx(expected, abs=1e-4)
    assert not all(0 <= one <= 1 for one in found)  # no sigmoid, which would make ties


def test_what_is_no_cross_encoder_is_refused(tiny_cross_encoder, tmp_path):
    with pytest.raises(BadInput, match=r"has no config\.json; check the path"):
        cross_encoder.build(tmp_path / "nowhere")
    folder = shutil.copytree(tiny_cross_encoder, tmp_path / "cross")
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "abacus", "architectures": ["Abacus"]}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="cannot be loaded as a cross-encoder") as error:
        cross_encoder.build(folder)
    assert "\n" not in str(error.value)


def test_a_classifier_of_several_labels_is_refused(tiny_cross_encoder, tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    folder = shutil.copytree(tiny_cross_encoder, tmp_path / "cross")
    config = BertConfig.from_pretrained(folder, num_labels=3)
    BertForSequenceClassification(config).save_pretrained(folder)
    with pytest.raises(BadInput, match="has 3 labels, and a reranker has one"):
        cross_encoder.build(folder)


def test_pickled_weights_are_not_read(tiny_cross_encoder, tmp_path):
    folder = Path(shutil.copytree(tiny_cross_encoder, tmp_path / "cross"))
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(BadInput, match="cannot be loaded as a cross-encoder"):
        cross_encoder.build(folder)


@given(scores=st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), max_size=9))
def test_an_order_is_the_best_first_and_equals_as_they_were(scores):
    assert order(scores) == sorted(range(len(scores)), key=lambda place: (-scores[place], place))


def test_what_is_not_a_number_has_no_place():
    with pytest.raises(ValueError, match="1 of 2 scores are not numbers"):
        order([0.5, math.nan])
