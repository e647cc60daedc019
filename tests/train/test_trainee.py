"""A variant in training, what it writes, and what an embedder makes of that."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from searchkit.encode import embedder, language_models, weights
from searchkit.encode.loading import load_unproven, remember
from searchkit.encode.variant import parse
from searchkit.errors import BadInput, CorruptFile, NeedsTraining
from searchkit.train.lora import Lora
from searchkit.train.trainee import Adapted, Remembered, Trainee

CPU = torch.device("cpu")
TEXTS = ["Which document answers?", "One that was read, of some twenty words or so.", "Yes."]


def adapted(folder, design, *, seed=1, **fields):
    """A trainee whose additions and pooling are not what they were drawn as."""
    variant = parse(design, base=str(folder), **fields)
    base = language_models.resolve(variant.base)
    lora = Lora(rank=4, alpha=8.0, seed=seed)
    states = Adapted(variant, base, lora, dtype=torch.float32, device=CPU)
    trainee = Trainee(variant, base, states, lora)
    generator = torch.Generator().manual_seed(seed)
    for parameter in trainee.parameters().values():
        parameter.data += torch.randn(parameter.shape, generator=generator) * 0.05
        parameter.data = parameter.data.bfloat16().float()  # what is saved is what was there
    return trainee


@torch.no_grad()
def vectors_of(trainee):
    return trainee.vectors(trainee.prepare(TEXTS, "passage")).numpy()


def encode(variant, engine):
    loaded = embedder.load([variant], engine=engine, dtype=torch.float32, device=CPU)
    return loaded.encode(TEXTS).vectors[variant.name]


@pytest.mark.parametrize("engine", ["packed", "transformers"])
@pytest.mark.parametrize(
    "design", ["mean-causal", "multi_layer-bidirectional", "last_layer-bidirectional"]
)
def test_what_was_trained_is_what_an_embedder_loads(tiny_model, tmp_path, design, engine):
    trainee = adapted(tiny_model("qwen3"), design)
    trainee.save(tmp_path / "mine", {"steps": 3})
    variant = parse(str(tmp_path / "mine"))
    assert variant.name == "mine"
    np.testing.assert_allclose(encode(variant, engine), vectors_of(trainee), atol=2e-5)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # of peft itself
def test_the_peft_library_loads_the_adapter(tiny_model, tmp_path):
    from peft import PeftModel
    from transformers import AutoModel

    folder = tiny_model("llama")
    trainee = adapted(folder, "mean-causal")
    trainee.save(tmp_path, {})
    model = PeftModel.from_pretrained(AutoModel.from_pretrained(folder), str(tmp_path)).eval()
    expected = vectors_of(trainee)
    for row, text in enumerate(trainee.prepare(TEXTS, "passage")):
        with torch.no_grad():
            states = model(input_ids=torch.from_numpy(text.ids)[None]).last_hidden_state[0]
        mean = states.mean(0)
        np.testing.assert_allclose((mean / mean.norm()).numpy(), expected[row], atol=2e-5)


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # of peft itself
def test_an_adapter_of_the_peft_library_is_read(tiny_model, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    folder = tiny_model("llama")
    trainee = adapted(folder, "mean-causal")
    trainee.save(tmp_path / "ours", {})
    model = get_peft_model(
        AutoModel.from_pretrained(folder),
        LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "up_proj"]),
    )
    model.save_pretrained(str(tmp_path / "theirs"))
    from searchkit.encode import adapter

    found = adapter.read(tmp_path / "theirs")
    assert found.scale == 2.0
    assert len(found.factors) == 2 * 3
    assert set(found.factors) < set(adapter.read(tmp_path / "ours").factors)


def test_nothing_but_additions_and_pooling_moves(tiny_model):
    trainee = adapted(tiny_model("llama"), "multi_layer-causal")
    engine = trainee._states._engine._engine
    before = [layer.gated_weight.clone() for layer in engine.layers]
    optimizer = torch.optim.AdamW(trainee.parameters().values(), lr=0.1)
    trainee.vectors(trainee.prepare(TEXTS, "query")).sum().backward()
    optimizer.step()
    for layer, old in zip(engine.layers, before, strict=True):
        assert torch.equal(layer.gated_weight, old)
        assert not layer.gated_weight.requires_grad


def test_remembered_states_train_a_pooling(tiny_model, tmp_path):
    variant = parse("multi_layer-bidirectional", base=str(tiny_model("llama")))
    base = language_models.resolve(variant.base)
    (encoder,) = remember([variant], tmp_path, dtype="float32", allow_untrained=True)
    trainee = Trainee(variant, base, Remembered(encoder), None)
    assert all(name.startswith("pooling.") for name in trainee.parameters())
    trainee.save(tmp_path / "head", {})
    (loaded,) = load_unproven([parse(str(tmp_path / "head"))], dtype="float32", engine="packed")
    expected = vectors_of(trainee)
    # Remembered summaries are float16, and saved weights bfloat16.
    assert (loaded.encode(TEXTS).vectors["head"] * expected).sum(1).min() > 0.9999
    assert not (tmp_path / "head" / "adapter_model.safetensors").exists()


def test_a_trained_pooling_shares_the_pass_of_the_base_that_it_left_alone(tiny_model, tmp_path):
    variant = parse("multi_layer-causal", base=str(tiny_model("llama")))
    base = language_models.resolve(variant.base)
    (encoder,) = remember([variant], tmp_path, dtype="float32", allow_untrained=True)
    Trainee(variant, base, Remembered(encoder), None).save(tmp_path / "head", {})
    head, plain = parse(str(tmp_path / "head")), parse("mean-causal", base=variant.base)
    assert len(embedder.share_a_pass([head, plain])) == 1
    adapted(tiny_model("llama"), "mean-causal").save(tmp_path / "lora", {})
    assert len(embedder.share_a_pass([parse(str(tmp_path / "lora")), plain])) == 2


def test_a_memory_tells_weights_apart(tiny_model, tmp_path):
    folder = tiny_model("llama")
    vectors = []
    for seed in (1, 2):
        trainee = adapted(folder, "mean-causal", seed=seed)
        trainee.save(tmp_path / "mine", {})
        (encoder,) = remember([parse(str(tmp_path / "mine"))], tmp_path / "memory", dtype="float32")
        vectors.append(encoder.encode(TEXTS).vectors["mine"])
        np.testing.assert_allclose(vectors[-1], vectors_of(trainee), atol=2e-5)
    assert np.abs(vectors[0] - vectors[1]).max() > 1e-3


def test_another_base_is_refused(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "mean-causal").save(tmp_path / "mine", {})
    other = parse(str(tmp_path / "mine"), base=str(tiny_model("mistral")))
    with pytest.raises(BadInput, match="were trained on a base model of hash"):
        encode(other, "packed")


def test_another_attention_is_refused(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "mean-causal").save(tmp_path / "mine", {})
    other = parse(str(tmp_path / "mine"), attention="bidirectional")
    with pytest.raises(BadInput, match=r"attention bidirectional.*trained with causal"):
        encode(other, "packed")


def test_a_pooling_without_weights_may_read_an_adapter_of_another(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "mean-causal").save(tmp_path / "mine", {})
    assert encode(parse(str(tmp_path / "mine"), pooling="eos_last"), "packed").shape == (3, 32)


def test_a_trainable_pooling_of_other_sizes_is_refused(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "last_layer-causal").save(tmp_path / "mine", {})
    other = parse(str(tmp_path / "mine"), pooling_options={"latents": 8})
    with pytest.raises(BadInput, match="pooling_options"):
        encode(other, "packed")


def test_a_changed_file_is_named(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "mean-causal").save(tmp_path / "mine", {})
    path = tmp_path / "mine" / "adapter_model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CorruptFile, match=r"adapter_model\.safetensors is not the file"):
        parse(str(tmp_path / "mine"))


def test_a_manifest_without_what_it_must_say_is_named(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "mean-causal").save(tmp_path, {})
    manifest = json.loads((tmp_path / weights.MANIFEST).read_text())
    del manifest["base"]
    (tmp_path / weights.MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(BadInput, match="does not describe trained weights"):
        weights.resolve(str(tmp_path))


def test_nothing_to_train_is_said(tiny_model, tmp_path):
    variant = parse("mean-causal", base=str(tiny_model("llama")))
    base = language_models.resolve(variant.base)
    (encoder,) = remember([variant], tmp_path, dtype="float32")
    with pytest.raises(BadInput, match="has nothing to train"):
        Trainee(variant, base, Remembered(encoder), None)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_tokens": 100_000}, "was trained on texts of at most"),
        ({"dimension": 33}, "dimension 33"),
    ],
)
def test_what_no_embedder_could_load_is_not_trained(tiny_model, fields, said):
    with pytest.raises(BadInput, match=said):
        adapted(tiny_model("llama"), "mean-causal", **fields)


def test_untrained_weights_are_still_refused(tiny_model):
    with pytest.raises(NeedsTraining, match="searchkit train"):
        encode(parse("multi_layer-causal", base=str(tiny_model("llama"))), "packed")


def test_saved_weights_are_bfloat16(tiny_model, tmp_path):
    adapted(tiny_model("llama"), "last_layer-causal").save(tmp_path, {})
    for name in ("adapter_model.safetensors", "pooling.safetensors"):
        assert {tensor.dtype for tensor in load_file(tmp_path / name).values()} == {torch.bfloat16}
