"""Every engine computes what the model's own code computes for one text at a time."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.testing import assert_close

from searchkit import catalog
from searchkit.encode.language_models import read_config
from searchkit.encode.states import (
    ALL,
    LAST_EOS,
    LAST_TOKENS,
    LAYER_EOS,
    LAYER_MEANS,
    RAW,
    Reader,
    TokenBatch,
)
from searchkit.errors import BadInput

FOLDER = "searchkit.encode.engines"
DEPTH = 3
PACKED_RUNS = {"llama", "llama_biases", "mistral", "qwen2", "qwen3"}

every_engine = pytest.mark.parametrize("engine", catalog.names(FOLDER))
every_attention = pytest.mark.parametrize("attention", catalog.names("searchkit.encode.attention"))


@pytest.fixture(scope="module")
def open_engine(tiny_model):
    """Load an engine, or skip the test with the reason the engine gives."""

    def open_(engine, model, attention="causal", *, last_layer=DEPTH, dtype=torch.float32):
        folder = tiny_model(model) if isinstance(model, str) else model
        module, config = catalog.load(FOLDER, engine), read_config(folder)
        if reason := module.unsupported(config):
            pytest.skip(f"{engine} says: {reason}")
        is_causal = catalog.load("searchkit.encode.attention", attention).IS_CAUSAL
        return module.load(
            folder,
            config,
            is_causal=is_causal,
            last_layer=last_layer,
            dtype=dtype,
            device=torch.device("cpu"),
        )

    return open_


def draw(*lengths, seed=0):
    """Texts of random ids, none of them a mark."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(3, 448, (length,), generator=generator) for length in lengths]


def lay(texts, instruction=0):
    """A batch; the first `instruction` tokens of a text are not pooled, unless it has no more."""
    pooled = torch.cat(
        [torch.arange(len(text)) >= min(instruction, len(text) - 1) for text in texts]
    )
    return TokenBatch(torch.cat(texts), torch.tensor([len(text) for text in texts]), pooled)


def run(engine, texts, *, wanted=ALL, first=1, last=DEPTH, instruction=0):
    batch = lay(texts, instruction)
    reader = Reader(wanted, batch, first_layer=first, last_layer=last)
    engine.run(batch, reader)
    return reader


def last_tokens(engine, texts, last=DEPTH):
    """(T, D) of each text, float32."""
    states, mask = run(engine, texts, wanted=[LAST_TOKENS], last=last).read(LAST_TOKENS)
    return [row[kept].float() for row, kept in zip(states, mask, strict=True)]


def expected_read(name, layers, instruction):
    """(N, D) of one text, out of the oracle's (L, T, D), by the definitions alone."""
    layers = layers.double()
    pooled = slice(min(instruction, layers.shape[1] - 1), None)
    if name == LAST_TOKENS:
        return layers[-1, pooled]
    if name == LAST_EOS:
        return layers[-1, -1:]
    if not name.endswith(RAW):
        layers = layers / (layers.square().mean(dim=-1, keepdim=True) + 1e-6).sqrt()
    return layers[:, -1] if name.startswith(LAYER_EOS) else layers[:, pooled].mean(dim=1)


@pytest.mark.parametrize("model", ["llama", "mistral_window", "gemma2", "gemma3"])
def test_the_oracle_itself_is_causal_or_not(hidden_states, model):
    """A later token of the text reaches the first one's state in the one mode and not the other."""
    [text] = draw(8)
    changed = text.clone()
    changed[-1] += 1
    for is_causal in (True, False):
        before, after = hidden_states(model, is_causal, [text, changed])
        assert bool((before[-1, 0] != after[-1, 0]).any()) == (not is_causal)


@every_attention
@every_engine
def test_every_read_equals_the_model_run_on_one_text_alone(
    open_engine, hidden_states, engine, architecture, attention
):
    texts = draw(1, 40, 7, 7, 2, 23, 13, 7, 3, 31, 1)
    oracle = hidden_states(architecture, attention == "causal", texts)
    reader = run(open_engine(engine, architecture, attention), texts, instruction=2)
    for name in ALL:
        states, mask = reader.read(name)
        for row, kept, layers in zip(states, mask, oracle, strict=True):
            expected = expected_read(name, layers, instruction=2)
            got = row[kept].double()
            cosines = torch.cosine_similarity(got, expected, dim=-1)
            assert cosines.min() > 0.99999, f"{name} of {layers.shape[1]} tokens"
            assert_close(got, expected, rtol=1e-3, atol=1e-4)  # lengths too, not angles alone


@pytest.mark.parametrize(
    ("dtype", "a_token", "on_average"),
    [(torch.bfloat16, 0.99, 0.999), (torch.int8, 0.99, 0.999)],
    ids=["bfloat16", "int8"],
)
@every_attention
@every_engine
def test_coarser_arithmetic_stays_close_to_the_model_in_float32(
    open_engine, hidden_states, engine, architecture, attention, dtype, a_token, on_average
):
    if dtype not in catalog.load(FOLDER, engine).dtypes(torch.device("cpu")):
        pytest.skip(f"{engine} does not compute in it")
    texts = draw(1, 40, 7, 7, 2, 23, 13, 7, 3, 31, 1)
    oracle = hidden_states(architecture, attention == "causal", texts)
    loaded = open_engine(engine, architecture, attention, dtype=dtype)
    assert loaded.dtype == dtype
    reader = run(loaded, texts, instruction=2)
    for name in ALL:
        states, mask = reader.read(name)
        cosines = [
            torch.cosine_similarity(row[kept].double(), expected_read(name, layers, 2), dim=-1)
            for row, kept, layers in zip(states, mask, oracle, strict=True)
        ]
        # One token of a random model may be unlucky; texts are not.
        assert torch.cat(cosines).min() > a_token, name
        assert torch.stack([cosine.mean() for cosine in cosines]).mean() > on_average, name


def test_engines_say_which_models_they_cannot_run(tiny_model, architecture):
    config = read_config(tiny_model(architecture))
    reasons = {
        name: catalog.load(FOLDER, name).unsupported(config) for name in catalog.names(FOLDER)
    }
    assert reasons["transformers"] is None
    assert (reasons["packed"] is None) == (architecture in PACKED_RUNS)
    assert all(reason is None or isinstance(reason, str) for reason in reasons.values())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"hidden_act": "gelu"}, "activation 'gelu'"),
        ({"mlp_bias": True}, "biases in the feed-forward"),
        ({"rope_parameters": {"rope_type": "llama3", "rope_theta": 1e4}}, "'llama3'"),
        ({"rope_parameters": None, "rope_scaling": {"type": "linear", "factor": 2}}, "'linear'"),
        ({"rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "a part of"),
        ({"model_type": "mistral", "sliding_window": 64}, "sliding window of 64"),
        ({"model_type": "gpt2"}, "model type 'gpt2'"),
        ({"quantization_config": {"quant_method": "fp8"}}, "quantised weights"),
        ({"model_type": "qwen2", "sliding_window": 64, "use_sliding_window": False}, None),
        ({"model_type": "mistral", "sliding_window": None}, None),
    ],
)
def test_packed_refuses_what_it_would_get_wrong(tiny_model, change, reason):
    config = {**read_config(tiny_model("llama")), **change}
    found = catalog.load(FOLDER, "packed").unsupported(config)
    assert found is None if reason is None else reason in found


def test_engines_are_preferred_in_an_order_without_ties():
    modules = [catalog.load(FOLDER, name) for name in catalog.names(FOLDER)]
    assert len({module.PREFERENCE for module in modules}) == len(modules)


@every_attention
@pytest.mark.parametrize("last_layer", [1, 2])
@every_engine
def test_a_shortened_model_gives_the_raw_residual_stream_of_its_last_layer(
    open_engine, hidden_states, engine, architecture, last_layer, attention
):
    texts = draw(9, 4, 17)
    loaded = open_engine(engine, architecture, attention, last_layer=last_layer)
    oracle = hidden_states(architecture, attention == "causal", texts)
    got = last_tokens(loaded, texts, last=last_layer)
    for states, layers in zip(got, oracle, strict=True):
        assert_close(states, layers[last_layer - 1], rtol=1e-3, atol=1e-4)


@every_engine
def test_layers_behind_the_last_one_read_play_no_part(open_engine, tiny_model, tmp_path, engine):
    folder = shutil.copytree(tiny_model("llama"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    for name, weight in weights.items():
        if ".layers.2." in name or name == "model.norm.weight":
            weight.fill_(torch.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    texts = draw(6, 3)
    poisoned = last_tokens(open_engine(engine, folder, last_layer=2), texts, last=2)
    whole = last_tokens(open_engine(engine, "llama", last_layer=2), texts, last=2)
    for got, expected in zip(poisoned, whole, strict=True):
        assert torch.equal(got, expected)


@every_engine
def test_every_layer_is_handed_over_once_and_in_order(open_engine, engine):
    class Log(Reader):
        def take(self, layer, states, back=None):
            taken.append((layer, tuple(states.shape)))
            super().take(layer, states, back)

    loaded, batch = open_engine(engine, "llama"), lay(draw(5, 2))
    for wanted, first in (([LAYER_EOS, LAST_TOKENS], 1), ([LAYER_MEANS], 2), ([LAST_EOS], 1)):
        taken = []
        reader = Log(wanted, batch, first_layer=first, last_layer=DEPTH)
        loaded.run(batch, reader)
        needed = [(layer, shape) for layer, shape in taken if reader.needs(layer)]
        assert needed == [(layer, (7, 32)) for layer in range(1, 4) if reader.needs(layer)]


@every_engine
def test_a_causal_engine_is_blind_to_later_tokens(open_engine, engine, architecture):
    loaded = open_engine(engine, architecture, "causal")
    [text] = draw(12)
    before = last_tokens(loaded, [text])[0]
    for place in (1, 5, 11):
        changed = text.clone()
        changed[place] = (changed[place] + 1) % 448
        after = last_tokens(loaded, [changed])[0]
        assert torch.equal(after[:place], before[:place])
        assert (after[place] - before[place]).abs().max() > 1e-3


@every_engine
def test_a_bidirectional_engine_lets_later_tokens_reach_earlier_ones(
    open_engine, engine, architecture
):
    loaded = open_engine(engine, architecture, "bidirectional")
    [text] = draw(8)
    before = last_tokens(loaded, [text])[0]
    changed = text.clone()
    changed[-1] = (changed[-1] + 1) % 448
    after = last_tokens(loaded, [changed])[0]
    assert ((after - before).abs().amax(dim=-1) > 1e-3).all()


@every_attention
@every_engine
def test_a_text_has_the_same_states_beside_any_others(open_engine, engine, architecture, attention):
    loaded = open_engine(engine, architecture, attention)
    texts = draw(6, 1, 33, 6, 12, 6, 33)
    alone = [last_tokens(loaded, [text])[0] for text in texts]
    for order in (range(7), reversed(range(7)), (2, 0, 3, 5), (1, 1, 6, 6, 0), (4,)):
        rows = list(order)
        for row, states in zip(rows, last_tokens(loaded, [texts[r] for r in rows]), strict=True):
            assert_close(states, alone[row], rtol=1e-3, atol=1e-4)


@every_attention
@every_engine
def test_padding_on_either_side_gives_the_same_states(open_engine, engine, architecture, attention):
    loaded = open_engine(engine, architecture, attention)
    if loaded.padding_side is None:
        pytest.skip(f"{engine} does not pad")
    texts = draw(5, 21, 1, 13)
    readers = []
    for side in ("right", "left"):
        loaded.padding_side = side
        readers.append(run(loaded, texts))
    for name in ALL:
        (right, mask), (left, same_mask) = (reader.read(name) for reader in readers)
        assert torch.equal(mask, same_mask)
        assert_close(right, left, rtol=1e-3, atol=1e-4)


@every_engine
def test_running_a_batch_leaves_no_trace_in_the_next(open_engine, engine):
    loaded = open_engine(engine, "llama")
    texts = draw(9, 4)
    first = last_tokens(loaded, texts)
    run(loaded, draw(30, 2, 2, seed=1))
    for again, before in zip(last_tokens(loaded, texts), first, strict=True):
        assert torch.equal(again, before)


@every_engine
def test_a_failed_run_leaves_the_engine_usable(open_engine, engine):
    class Broken(Reader):
        def take(self, layer, states, back=None):
            raise MemoryError

    loaded = open_engine(engine, "llama")
    texts = draw(9, 4)
    before = last_tokens(loaded, texts)
    for _ in range(2):
        with pytest.raises(MemoryError):
            loaded.run(lay(texts), Broken(ALL, lay(texts), first_layer=1, last_layer=DEPTH))
    for again, expected in zip(last_tokens(loaded, texts), before, strict=True):
        assert torch.equal(again, expected)


@every_engine
def test_weights_may_be_spread_over_several_files(open_engine, tiny_model, tmp_path, engine):
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model("qwen3"))
    model.save_pretrained(tmp_path / "sharded", max_shard_size="40KB")
    assert len(list((tmp_path / "sharded").glob("*.safetensors"))) > 2
    [text] = draw(11)
    whole = last_tokens(open_engine(engine, "qwen3"), [text])[0]
    assert torch.equal(last_tokens(open_engine(engine, tmp_path / "sharded"), [text])[0], whole)


@every_engine
def test_a_model_may_be_saved_without_its_language_head(open_engine, tiny_model, tmp_path, engine):
    """`AutoModel` writes names without the prefix `model.`, `AutoModelForCausalLM` with it."""
    from transformers import AutoModel

    AutoModel.from_pretrained(tiny_model("qwen2")).save_pretrained(tmp_path / "bare")
    [text] = draw(11)
    whole = last_tokens(open_engine(engine, "qwen2"), [text])[0]
    assert torch.equal(last_tokens(open_engine(engine, tmp_path / "bare"), [text])[0], whole)


@every_engine
def test_rotary_settings_are_read_in_their_old_form_too(open_engine, tiny_model, tmp_path, engine):
    """Configurations before transformers 5 have rope_theta at the top and no rope_parameters."""
    folder = shutil.copytree(tiny_model("qwen3"), tmp_path / "model")
    config = json.loads((folder / "config.json").read_text())
    config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
    assert config["rope_theta"] != 10_000.0
    (folder / "config.json").write_text(json.dumps(config))
    [text] = draw(11)
    new = last_tokens(open_engine(engine, "qwen3"), [text])[0]
    assert_close(last_tokens(open_engine(engine, folder), [text])[0], new)


@every_engine
@pytest.mark.parametrize("lost", ["embed_tokens", "layers.1.self_attn.k_proj", "norm"])
def test_a_weight_that_the_files_lack_is_named_not_invented(
    open_engine, tiny_model, tmp_path, engine, lost
):
    folder = shutil.copytree(tiny_model("llama"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights[f"model.{lost}.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match=f"{lost}.weight") as refusal:
        open_engine(engine, folder)
    assert "\n" not in str(refusal.value)


def test_packed_refuses_biases_on_some_projections_only(open_engine, tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("qwen2"), tmp_path / "model")
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.self_attn.k_proj.bias"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(BadInput, match="biases for some of q, k and v only"):
        open_engine("packed", folder)


def test_packed_reads_a_decoder_inside_a_larger_model(open_engine, tiny_model, tmp_path):
    """Models that read images, too, keep the decoder's weights below a name of its own."""
    [text] = draw(11)
    whole = last_tokens(open_engine("packed", "qwen3"), [text])[0]
    weights = load_file(tiny_model("qwen3") / "model.safetensors")
    for number, outer in enumerate(("model.language_model.", "language_model.model.")):
        folder = shutil.copytree(tiny_model("qwen3"), tmp_path / f"model{number}")
        inside = {name.replace("model.", outer, 1): weight for name, weight in weights.items()}
        save_file(inside, folder / "model.safetensors", metadata={"format": "pt"})
        assert torch.equal(last_tokens(open_engine("packed", folder), [text])[0], whole)


def test_transformers_refuses_what_is_no_decoder(tmp_path):
    from transformers import BertConfig, BertModel

    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    BertModel(BertConfig(vocab_size=9, intermediate_size=8, **shape)).save_pretrained(tmp_path)
    with pytest.raises(BadInput, match="BertModel is not a decoder"):
        catalog.load(FOLDER, "transformers").load(
            tmp_path,
            read_config(tmp_path),
            is_causal=True,
            last_layer=1,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )


def test_transformers_refuses_a_kind_of_model_it_does_not_know(tiny_model, tmp_path):
    folder = shutil.copytree(tiny_model("llama"), tmp_path / "model")
    config = {**json.loads((folder / "config.json").read_text()), "model_type": "abacus"}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(BadInput, match="cannot be loaded as a decoder") as refusal:
        catalog.load(FOLDER, "transformers").load(
            folder,
            config,
            is_causal=True,
            last_layer=DEPTH,
            dtype=torch.float32,
            device=torch.device("cpu"),
        )
    assert "\n" not in str(refusal.value)
