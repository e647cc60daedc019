"""A proof holds on every model that keeps its promises, and names the promise that is broken."""

import dataclasses

import pytest
import torch

from searchkit import catalog
from searchkit.encode import embedder, proof
from searchkit.encode.embedder import ENGINES, Embedder
from searchkit.encode.engines.transformers import TransformersEngine
from searchkit.encode.language_models import read_config
from searchkit.encode.variant import parse
from searchkit.errors import BrokenPromise

every_attention = pytest.mark.parametrize("attention", catalog.names("searchkit.encode.attention"))
every_engine = pytest.mark.parametrize("engine", catalog.names(ENGINES))


class Disturbed:
    """A real engine whose states somebody meddles with on their way to the reader."""

    def __init__(self, engine, meddle):
        self._engine, self._meddle = engine, meddle
        self.device, self.dtype = engine.device, engine.dtype

    @property
    def padding_side(self):
        return self._engine.padding_side

    @padding_side.setter
    def padding_side(self, side):
        self._engine.padding_side = side

    def run(self, batch, reader):
        meddle = self._meddle

        class Between:
            needs = staticmethod(reader.needs)

            @staticmethod
            def take(layer, states, back=None):
                reader.take(layer, meddle(batch, states), back)

        self._engine.run(batch, Between)


def with_engine(loaded, engine, **fields):
    """The same embedder around another engine."""
    variants = [dataclasses.replace(variant, **fields) for variant in loaded.variants]
    return Embedder(variants, loaded.base, engine, engine_name="other", allow_untrained=True)


def broken(loaded):
    """The names of the checks that fail."""
    return [check.name for check in proof.check(loaded) if not check.holds]


@every_attention
@every_engine
def test_it_holds_on_every_model_that_an_engine_runs(
    open_tiny, tiny_model, engine, architecture, attention
):
    if reason := catalog.load(ENGINES, engine).unsupported(read_config(tiny_model(architecture))):
        pytest.skip(f"{engine} says: {reason}")
    designs = [f"{pooling}-{attention}" for pooling in catalog.names("searchkit.encode.pooling")]
    loaded = open_tiny(*designs, model=architecture, engine=engine)
    side = loaded.engine.padding_side
    checks = proof.check(loaded)
    assert [check for check in checks if not check.holds] == []
    assert loaded.engine.padding_side == side
    assert proof.prove(loaded) is loaded
    assert loaded.verdict == {check.name: check.found for check in checks}
    assert loaded.facts(designs[0])["proof"] == loaded.verdict


@every_engine
def test_it_looks_at_attention_batches_and_eos(open_tiny, engine):
    names = [check.name for check in proof.check(open_tiny("mean-causal", engine=engine))]
    sides = ["", ""] if engine == "packed" else ["", ", padded right", ", padded left"]
    places = ["alone", *["beside a longer text"] * (len(sides) - 1)]
    assert names == [
        *[f"attention is causal, {place}{side}" for place, side in zip(places, sides, strict=True)],
        "vectors of mean-causal do not depend on the batch",
        "every text ends with EOS",
    ]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("last_layer", [1, 2])
@every_engine
def test_it_holds_at_other_depths_and_dtypes(open_tiny, engine, last_layer, dtype):
    for attention in ("causal", "bidirectional"):
        loaded = open_tiny(f"mean-{attention}", engine=engine, last_layer=last_layer, dtype=dtype)
        assert broken(loaded) == []


@pytest.mark.parametrize("model", ["llama", "qwen3"])
@every_attention
@every_engine
def test_the_other_attention_than_promised_is_found(open_tiny, engine, model, attention):
    """Silently causal where bidirectional was asked for, and the reverse."""
    other = {"causal": "bidirectional", "bidirectional": "causal"}[attention]
    loaded = open_tiny("mean-" + other, model=model, engine=engine)
    wrong = with_engine(loaded, loaded.engine, attention=attention)
    failed = [name for name in broken(wrong) if name.startswith(f"attention is {attention}")]
    assert len(failed) == (2 if engine == "packed" else 3)
    with pytest.raises(BrokenPromise, match=f"attention is {attention}, alone") as refusal:
        proof.prove(wrong)
    message = str(refusal.value)
    assert f"mean-{attention}" in message and "the last token moves" in message
    assert "\n" not in message
    assert wrong.verdict == {}


def decoder(folder):
    from transformers import AutoModel

    return AutoModel.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa").eval()


@pytest.mark.parametrize("model", ["llama", "mistral", "qwen2", "qwen3"])
def test_the_old_recipe_of_flags_on_modules_is_found(open_tiny, tiny_model, model):
    """Right without padding, causal as soon as a batch holds some: no single text shows it."""
    loaded = open_tiny("mean-bidirectional", model=model)
    language_model = decoder(tiny_model(model))
    engine = TransformersEngine(language_model, is_causal=True, last_layer=3)
    del language_model.config.is_causal  # the recipe is older than this setting
    for module in language_model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = False
    wrong = with_engine(loaded, engine)
    failed = broken(wrong)
    assert "attention is bidirectional, alone" not in failed
    assert "attention is bidirectional, beside a longer text, padded right" in failed
    with pytest.raises(BrokenPromise, match="padded"):
        proof.prove(wrong)


@every_attention
def test_padding_that_is_attended_to_is_found(open_tiny, tiny_model, attention):
    """Under causal attention that takes padding on the left."""
    loaded = open_tiny(f"mean-{attention}")
    language_model = decoder(tiny_model("llama"))

    def forget_padding(module, args, kwargs):
        return args, {**kwargs, "attention_mask": torch.ones_like(kwargs["attention_mask"])}

    language_model.register_forward_pre_hook(forget_padding, with_kwargs=True)
    engine = TransformersEngine(language_model, is_causal=attention == "causal", last_layer=3)
    wrong = with_engine(loaded, engine)
    assert broken(wrong) == [f"vectors of mean-{attention} do not depend on the batch"]
    with pytest.raises(BrokenPromise, match=f"vectors of mean-{attention} do not depend"):
        proof.prove(wrong)
    assert engine.padding_side == "right"


def test_states_that_leak_from_a_later_text_are_found(open_tiny):
    """A packed kernel that loses the border between texts, in both modes."""

    def leak(batch, states):
        return states + 0.1 * states.roll(-1, dims=0)

    for attention in ("causal", "bidirectional"):
        loaded = open_tiny(f"eos_last-{attention}", model="qwen2")
        wrong = with_engine(loaded, Disturbed(loaded.engine, leak))
        assert f"vectors of eos_last-{attention} do not depend on the batch" in broken(wrong)


def test_a_causal_engine_that_leaks_a_single_bit_of_the_future_is_found(open_tiny):
    def whisper(batch, states):
        return states + 1e-6 * states.sum()

    loaded = open_tiny("mean-causal")
    wrong = with_engine(loaded, Disturbed(loaded.engine, whisper))
    assert "attention is causal, alone" in broken(wrong)


@pytest.mark.parametrize("pooling", catalog.names("searchkit.encode.pooling"))
def test_states_that_depend_on_the_batch_are_found_by_every_pooling(open_tiny, pooling):
    def tilt(batch, states):
        tilted = states.clone()
        tilted[:, 0] += 3.0 * (len(batch.lengths) - 1)
        return tilted

    loaded = open_tiny(f"{pooling}-causal")
    wrong = with_engine(loaded, Disturbed(loaded.engine, tilt))
    assert broken(wrong) == [f"vectors of {pooling}-causal do not depend on the batch"]


def test_vectors_that_are_not_numbers_are_found(open_tiny):
    loaded = open_tiny("mean-causal")
    wrong = with_engine(loaded, Disturbed(loaded.engine, lambda batch, states: states * torch.nan))
    assert "vectors of mean-causal do not depend on the batch" in broken(wrong)


def test_a_tokenizer_that_drops_eos_is_found(open_tiny):
    loaded = open_tiny("eos_last-causal")
    real = loaded.tokenizer

    class Dropping:
        eos_id = real.eos_id

        def tokenise(self, texts, **how):
            whole = real.tokenise(texts, **how)
            return [dataclasses.replace(text, ids=text.ids[:-1]) for text in whole]

    loaded.tokenizer = Dropping()
    assert broken(loaded) == ["every text ends with EOS"]
    with pytest.raises(BrokenPromise, match="every text ends with EOS"):
        proof.prove(loaded)


def test_a_tokenizer_that_drops_eos_from_long_texts_only_is_found(open_tiny):
    loaded = open_tiny("eos_last-causal")
    real = loaded.tokenizer

    class Cutting:
        eos_id = real.eos_id

        def tokenise(self, texts, *, max_tokens, **how):
            whole = real.tokenise(texts, max_tokens=10_000, **how)
            return [
                dataclasses.replace(
                    text, ids=text.ids[:max_tokens], truncated=len(text.ids) > max_tokens
                )
                for text in whole
            ]

    loaded.tokenizer = Cutting()
    assert broken(loaded) == ["every text ends with EOS"]


@every_engine
def test_the_found_numbers_are_measured(open_tiny, hidden_states, engine):
    """The influence that the proof reports is the oracle's own."""
    loaded = open_tiny("mean-bidirectional", engine=engine)
    [alone, *_] = proof.check(loaded)
    [text] = loaded.tokenizer.tokenise(
        ["The quick brown fox jumps over the lazy dog."], template="{text}", max_tokens=64
    )
    changed = text.ids.copy()
    changed[-1] = text.ids[1]
    before, after = (layers[-1, 0] for layers in hidden_states("llama", False, [text.ids, changed]))
    moved = float((before - after).abs().max() / before.abs().max())
    assert alone.found == f"the last token moves the first one's state by {moved:.2g}"


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_attention
@every_engine
def test_it_holds_on_the_real_base(real_base, engine, attention, dtype):
    designs = [f"{pooling}-{attention}" for pooling in catalog.names("searchkit.encode.pooling")]
    loaded = embedder.load(
        [parse(design, base=real_base) for design in designs],
        engine=engine,
        dtype=dtype,
        device=torch.device("cpu"),
        allow_untrained=True,
    )
    assert [check for check in proof.check(loaded) if not check.holds] == []
