"""From variants to embedders: a pass is loaded when its turn comes, and proven before its use."""

import pytest
import torch

from searchkit import catalog, places
from searchkit.encode import embedder, language_models, weights
from searchkit.encode.engines import packed
from searchkit.encode.loading import every_design, load_unproven, open_embedders, remember
from searchkit.encode.variant import ATTENTION, POOLING, parse
from searchkit.errors import BadInput, BrokenPromise, NeedsTraining, UnknownName

TEXTS = ["The quick brown fox jumps over the lazy dog.", "Short."]


@pytest.fixture
def variants(tiny_model):
    def make(*designs, **fields):
        return [parse(design, base=str(tiny_model("llama")), **fields) for design in designs]

    return make


def test_every_combination_is_a_design():
    designs = every_design()
    assert len(designs) == len(set(designs))
    assert len(designs) == len(catalog.names(POOLING)) * len(catalog.names(ATTENTION))
    assert {parse(design).name for design in designs} == set(designs)


def test_all_designs_take_one_pass_an_attention_mode(variants):
    designs = variants(*every_design())
    opened = list(open_embedders(designs, dtype="float32", allow_untrained=True))
    assert sorted(name for loaded in opened for name in loaded.names) == sorted(every_design())
    assert len(opened) == len(catalog.names(ATTENTION))
    for loaded in opened:
        assert loaded.engine_name == "packed" and loaded.engine.dtype == torch.float32
        assert set(loaded.encode(TEXTS).vectors) == set(loaded.names)


def test_opened_embedders_are_proven_and_unproven_ones_are_not(variants):
    [opened] = open_embedders(variants("mean-causal"), dtype="float32")
    assert "every text ends with EOS" in opened.verdict
    assert opened.facts("mean-causal")["proof"] == opened.verdict
    [unproven] = load_unproven(variants("mean-causal"), dtype="float32")
    assert unproven.verdict == {}


@pytest.mark.parametrize("engine", catalog.names(embedder.ENGINES))
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_engine_and_dtype_that_are_named_are_not_measured(variants, engine, dtype):
    [loaded] = open_embedders(variants("mean-causal"), engine=engine, dtype=dtype, device="cpu")
    assert loaded.engine_name == engine
    assert loaded.engine.dtype == getattr(torch, dtype)
    assert not (places.home() / "calibration.json").exists()


def test_what_is_not_named_is_calibrated(variants):
    [loaded] = open_embedders(variants("mean-causal"))
    assert (places.home() / "calibration.json").is_file()
    assert loaded.engine_name == "packed"


def test_a_pass_is_loaded_when_its_turn_comes(variants, tiny_model):
    """The second base is not even there: that is found when it is asked for."""
    nowhere = parse("mean-causal", base="/nowhere/at/all", label="nowhere")
    opened = open_embedders([*variants("mean-causal"), nowhere], dtype="float32")
    assert next(opened).names == ("mean-causal",)
    with pytest.raises(UnknownName, match="/nowhere/at/all"):
        next(opened)


@pytest.mark.parametrize("design", ["last_layer-causal", "multi_layer-bidirectional"])
def test_untrained_poolings_are_refused_before_anything_is_loaded(design):
    nowhere = parse("mean-causal", base="/nowhere/at/all", label="nowhere")
    untrained = parse(design, base="/nowhere/at/all")
    with pytest.raises(NeedsTraining, match=design):
        next(open_embedders([nowhere, untrained]))


def test_an_engine_that_breaks_its_promise_is_not_handed_out(variants, monkeypatch):
    """The oldest defect of this field: silently causal where bidirectional was asked for."""
    real = packed.load
    monkeypatch.setattr(
        packed, "load", lambda *args, **how: real(*args, **{**how, "is_causal": True})
    )
    [kept] = open_embedders(variants("mean-causal"), dtype="float32")
    assert kept.verdict
    with pytest.raises(BrokenPromise, match="attention is bidirectional, alone"):
        next(open_embedders(variants("mean-bidirectional"), dtype="float32"))
    [unproven] = load_unproven(variants("mean-bidirectional"), dtype="float32")
    assert unproven.names == ("mean-bidirectional",)


def test_an_engine_that_cannot_run_the_base_is_refused(tiny_model):
    variant = parse("mean-causal", base=str(tiny_model("gemma3")))
    for dtype in (None, "float32"):
        with pytest.raises(BadInput, match="the packed engine cannot run"):
            next(open_embedders([variant], engine="packed", dtype=dtype))
    [loaded] = open_embedders([variant], dtype="float32")
    assert loaded.engine_name == "transformers"


@pytest.mark.parametrize(
    ("how", "error", "words"),
    [
        ({"dtype": "int4"}, BadInput, "no dtype 'int4'; there are: float32, bfloat16, int8"),
        ({"engine": "steam", "dtype": "float32"}, UnknownName, "there are: packed, transformers"),
        ({"engine": "steam"}, UnknownName, "there are: packed, transformers"),
        ({"device": "toaster"}, BadInput, "no device 'toaster'"),
    ],
)
def test_unknown_choices_are_refused_in_a_line(variants, how, error, words):
    with pytest.raises(error, match=words) as refusal:
        next(open_embedders(variants("mean-causal"), **how))
    assert "\n" not in str(refusal.value)


def test_weights_are_read_with_the_model_and_not_again(tiny_model, tmp_path, monkeypatch):
    """Nor would an embedder go by weights that were trained again since it has loaded its own."""
    variant = parse("last_layer-bidirectional", base=str(tiny_model("llama")))
    base = language_models.resolve(variant.base)
    _, pooling = embedder.pooling_of(variant, base)
    weights.write(
        tmp_path / "mine",
        row=variant.to_row(),
        base=base.name,
        base_hash=base.hash,
        factors={},
        alpha=1.0,
        dropout=0.0,
        pooling=pooling.state_dict(),
        training={},
    )
    one = parse(str(tmp_path / "mine"))
    (opened,) = remember([one], tmp_path / "memories", device="cpu", dtype="float32")
    opened.encode(TEXTS)
    facts = opened.facts("mine")

    def resolve(name):
        raise AssertionError(f"{name} was read")

    monkeypatch.setattr(weights, "resolve", resolve)
    opened.encode(["Another text.", *TEXTS])
    assert opened.unknown_tokens(opened.prepare(TEXTS, "passage")) == 0
    assert opened.facts("mine") == facts
