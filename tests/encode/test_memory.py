"""What was computed once is found again, whole, and by what went into the model."""

import gc
import json

import numpy as np
import psutil
import pytest

from searchkit import catalog
from searchkit.encode import embedder, loading
from searchkit.encode.memory import Memory, key_of, memory_of
from searchkit.encode.states import LAST_EOS, LAYER_MEANS
from searchkit.encode.variant import ATTENTION, POOLING, parse

TEXTS = [f"{'pooling turns states into vectors ' * i}and number {i} ends here" for i in range(7)]


@pytest.fixture
def remember(tiny_model, tmp_path):
    """Designs to one embedder with a memory; the same memory for the same pass."""

    def open_(*designs, **fields):
        base = str(tiny_model("llama"))
        variants = [parse(design, base=base, seed=3, **fields) for design in designs]
        (opened,) = loading.remember(
            variants, tmp_path / "memories", device="cpu", dtype="float32", allow_untrained=True
        )
        return opened

    return open_


@pytest.fixture
def no_model(monkeypatch):
    """A switch: from then on a language model that is loaded fails the test."""

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    return lambda: monkeypatch.setattr(embedder, "load_engine", load_engine)


@pytest.mark.parametrize("attention", catalog.names(ATTENTION))
@pytest.mark.parametrize("pooling", catalog.names(POOLING))
def test_vectors_out_of_a_memory_are_those_of_the_model(remember, open_tiny, pooling, attention):
    design = f"{pooling}-{attention}"
    expected = open_tiny(design, seed=3).encode(TEXTS).vectors[design]
    first, again = (remember(design).encode(TEXTS).vectors[design] for _ in range(2))
    assert (first == again).all()
    # Layers are kept in float16.
    least = 1 - (1e-5 if pooling == "multi_layer" else 1e-6)
    assert (first * expected).sum(axis=1).min() > least


def test_another_pooling_of_the_same_states_costs_no_forward_pass(remember, no_model):
    first = remember("multi_layer-bidirectional", "eos_last-bidirectional")
    first.encode(TEXTS)
    no_model()
    fewer = remember("multi_layer-bidirectional", pooling_options={"latents": 2}).encode(TEXTS)
    assert fewer.vectors["multi_layer-bidirectional"].shape == (len(TEXTS), 32)
    cut = remember("eos_last-bidirectional", dimension=8)
    assert cut.encode(TEXTS).vectors["eos_last-bidirectional"].shape == (len(TEXTS), 8)
    assert cut.verdict == first.verdict != {}
    with pytest.raises(AssertionError, match="a model was loaded"):
        remember("mean-bidirectional").encode(TEXTS)  # reads tokens, which nobody kept


def test_only_what_is_new_is_computed(remember):
    opened = remember("mean-causal")
    opened.encode(TEXTS[:4])
    seen = []
    run = opened.engine.run
    opened.engine.run = lambda batch, reader: (seen.extend(batch.lengths), run(batch, reader))
    told = []
    prepared = opened.prepare([*TEXTS, TEXTS[5]], "passage")
    opened.encode_prepared(prepared, lambda texts, tokens: told.append((texts, tokens)))
    assert sorted(seen) == sorted(len(text.ids) for text in prepared[4:7])
    assert sum(texts for texts, _ in told) == len(prepared)
    assert sum(tokens for _, tokens in told) == sum(seen)


def test_a_template_makes_another_text_and_no_text_needs_no_model(remember, no_model):
    queries = remember("mean-causal", query_template="Query: {text}")
    as_query = queries.encode(TEXTS[:2], "query").vectors["mean-causal"]
    as_passage = queries.encode(TEXTS[:2], "passage").vectors["mean-causal"]
    assert np.abs(as_query - as_passage).max() > 1e-3
    no_model()
    assert (queries.encode(TEXTS[:2], "query").vectors["mean-causal"] == as_query).all()
    assert remember("eos_last-causal").encode([]).vectors["eos_last-causal"].shape == (0, 32)


def test_summaries_are_what_poolings_read(remember, open_tiny):
    direct, kept = open_tiny("mean-causal"), remember("mean-causal")
    for reads, layers in ((LAST_EOS, 1), (LAYER_MEANS, 3)):
        expected = direct.summaries(direct.prepare(TEXTS, "passage"), [reads])[reads]
        found = kept.summaries(kept.prepare(TEXTS, "passage"), [reads])[reads]
        assert found.shape == (len(TEXTS), layers, 32)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_block_that_was_damaged_is_computed_again(remember, tmp_path):
    before = remember("mean-causal").encode(TEXTS).vectors["mean-causal"]
    (block,) = (tmp_path / "memories").rglob("*.npy")
    content = bytearray(block.read_bytes())
    content[-1] ^= 1
    block.write_bytes(content)
    gc.collect()  # nobody holds the memory any more: the next one is opened, and verified, anew
    after = remember("mean-causal").encode(TEXTS).vectors["mean-causal"]
    np.testing.assert_allclose(after, before, atol=1e-6)
    assert bytes(content) != block.read_bytes()


def test_rows_come_in_the_order_of_the_keys_and_the_speed_adds_up(tmp_path):
    memory = Memory(tmp_path)
    assert memory.speed() is None
    keys = [key_of(bytes([number])) for number in range(5)]
    rows = np.arange(10, dtype=np.float32).reshape(5, 2)
    memory.add(keys[:3], {"a": rows[:3], "b": rows[:3]}, tokens=30, seconds=1.0)
    memory.add(keys[3:], {"a": rows[3:]}, tokens=30, seconds=2.0)
    opened = Memory(tmp_path)
    assert (opened.rows("a", [keys[4], keys[0], keys[4]]) == rows[[4, 0, 4]]).all()
    assert opened.knows(["a", "b"], keys[0]) and not opened.knows(["a", "b"], keys[4])
    assert opened.speed() == 20.0  # a block of two slots was computed once
    note = next((tmp_path / "b").glob("*.json"))
    note.write_text(json.dumps({"blake3": "0" * 64}))
    assert not Memory(tmp_path).knows(["b"], keys[0])


def test_keys_tell_apart_what_joins_to_the_same_bytes():
    assert key_of(b"ab", b"c") != key_of(b"a", b"bc")
    assert len(key_of(b"")) == 32


def test_holders_of_one_folder_share_what_each_adds(tmp_path):
    first, second = memory_of(tmp_path / "a"), memory_of(tmp_path / "x" / ".." / "a")
    key = key_of(b"text")
    assert not second.knows(["slot"], key)
    first.add([key], {"slot": np.ones((1, 2), np.float32)}, tokens=1, seconds=1.0)
    assert second.knows(["slot"], key)
    assert not memory_of(tmp_path / "b").knows(["slot"], key)


def test_what_nobody_holds_is_read_anew(tmp_path):
    key = key_of(b"text")
    memory_of(tmp_path).add([key], {"slot": np.ones((1, 2), np.float32)}, tokens=1, seconds=1.0)
    (block,) = (tmp_path / "slot").glob("*.npy")
    block.write_bytes(block.read_bytes()[:-1] + b"\0")
    assert not memory_of(tmp_path).knows(["slot"], key)


def test_few_blocks_are_open_at_a_time(tmp_path):
    opened = memory_of(tmp_path)
    keys = [key_of(bytes([number])) for number in range(200)]
    for number, key in enumerate(keys):
        rows = np.full((1, 2), number, np.float32)
        opened.add([key], {"slot": rows}, tokens=1, seconds=1.0)
    process = psutil.Process()
    before = process.num_fds()
    for _ in range(2):
        assert opened.rows("slot", keys)[:, 0].tolist() == list(range(200))
    assert 100 < process.num_fds() - before <= 128


def test_a_memory_that_was_cleared_away_while_it_was_held_is_empty(tmp_path):
    held, key = memory_of(tmp_path / "a"), "0" * 32
    held.add([key], {"slot": np.ones((1, 2), np.float32)}, tokens=1, seconds=1.0)
    (tmp_path / "a").rename(tmp_path / "b")
    assert not memory_of(tmp_path / "a").knows(["slot"], key)
    assert memory_of(tmp_path / "b").knows(["slot"], key)
