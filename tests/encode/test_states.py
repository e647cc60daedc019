"""A reader keeps what a pooling asked for, and equals a computation from all hidden states."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.multiprocessing.reductions import StorageWeakRef
from torch.testing import assert_close

from searchkit.encode.states import (
    ALL,
    LAST_EOS,
    LAST_TOKENS,
    LAYER_EOS,
    LAYER_MEANS,
    RAW,
    Reader,
    TokenBatch,
    unit_rms,
)

DEPTH, DIM = 4, 3


@st.composite
def batches(draw):
    """Texts of a few tokens, the leading ones an instruction, and states for every layer."""
    lengths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=4))
    instructions = [draw(st.integers(0, length - 1)) for length in lengths]
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    scale = 10.0 ** rng.integers(-2, 3, size=(DEPTH, sum(lengths), 1))  # sinks and whispers
    states = rng.normal(size=(DEPTH, sum(lengths), DIM)) * scale
    return lengths, instructions, states.astype(np.float32)


def token_batch(lengths, instructions=None):
    pooled = [
        place >= instruction
        for length, instruction in zip(lengths, instructions or [0] * len(lengths), strict=True)
        for place in range(length)
    ]
    return TokenBatch(
        torch.zeros(sum(lengths), dtype=torch.int64), torch.tensor(lengths), torch.tensor(pooled)
    )


def brute_force(name, lengths, instructions, states, first, last):
    """What a pooling should see of each text, a list of (N, D), in float64 and from loops."""
    results, start = [], 0
    for length, instruction in zip(lengths, instructions, strict=True):
        layers = states[first - 1 : last, start : start + length].astype(np.float64)
        start += length
        if name.startswith((LAYER_EOS, LAYER_MEANS)) and not name.endswith(RAW):
            layers = np.array(
                [[t / np.sqrt((t**2).mean() + 1e-6) for t in layer] for layer in layers]
            )
        if name.startswith(LAYER_MEANS):
            results.append(np.array([layer[instruction:].mean(axis=0) for layer in layers]))
        elif name.startswith(LAYER_EOS):
            results.append(np.array([layer[-1] for layer in layers]))
        elif name == LAST_EOS:
            results.append(layers[-1][-1:])
        else:
            results.append(layers[-1][instruction:])
    return results


@given(batches(), st.integers(1, DEPTH), st.integers(1, DEPTH))
def test_every_read_equals_brute_force_over_all_hidden_states(texts, one, other):
    lengths, instructions, states = texts
    first, last = sorted((one, other))
    reader = Reader(ALL, token_batch(lengths, instructions), first_layer=first, last_layer=last)
    for layer in range(1, last + 1):
        reader.take(layer, torch.from_numpy(states[layer - 1]))
    for name in ALL:
        got, mask = reader.read(name)
        assert mask.dtype == torch.bool and mask.shape == got.shape[:2]
        expected = brute_force(name, lengths, instructions, states, first, last)
        assert got.shape == (len(lengths), max(map(len, expected)), DIM)
        for row, kept, wanted in zip(got, mask, expected, strict=True):
            assert_close(row[kept].double(), torch.from_numpy(wanted), rtol=1e-5, atol=1e-5)


@given(batches())
def test_what_is_read_does_not_depend_on_what_else_is_read(texts):
    lengths, instructions, states = texts
    batch = token_batch(lengths, instructions)
    together = Reader(ALL, batch, first_layer=1, last_layer=DEPTH)
    for layer in range(1, DEPTH + 1):
        together.take(layer, torch.from_numpy(states[layer - 1]))
    for name in ALL:
        alone = Reader({name}, batch, first_layer=1, last_layer=DEPTH)
        for layer in range(1, DEPTH + 1):
            if alone.needs(layer):
                alone.take(layer, torch.from_numpy(states[layer - 1]))
        for got, expected in zip(alone.read(name), together.read(name), strict=True):
            assert torch.equal(got, expected)


def test_a_layer_is_only_needed_if_somebody_reads_it():
    batch = token_batch([2])
    last_only = Reader({LAST_TOKENS, LAST_EOS}, batch, first_layer=2, last_layer=4)
    assert [layer for layer in range(1, 5) if last_only.needs(layer)] == [4]
    summaries = Reader({LAST_EOS, LAYER_EOS}, batch, first_layer=2, last_layer=4)
    assert [layer for layer in range(1, 5) if summaries.needs(layer)] == [2, 3, 4]


@pytest.mark.parametrize("name", [name for name in ALL if name != LAST_TOKENS])
def test_summaries_keep_no_token_states(name):
    """L x B x T x D numbers are never held: each layer's states die once they were taken."""
    reader = Reader({name}, token_batch([3, 5, 2]), first_layer=1, last_layer=DEPTH)
    for layer in range(1, DEPTH + 1):
        states = torch.randn(10, DIM)
        storage = StorageWeakRef(states.untyped_storage())
        reader.take(layer, states)
        del states
        assert storage.expired(), f"layer {layer} is still held"
    kept, _ = reader.read(name)
    assert kept.untyped_storage().nbytes() <= 3 * DEPTH * DIM * 4


def test_the_last_layers_tokens_are_the_only_ones_kept():
    reader = Reader({LAST_TOKENS, LAYER_MEANS}, token_batch([4]), first_layer=1, last_layer=2)
    storages = []
    for layer in (1, 2):
        states = torch.randn(4, DIM)
        storages.append(StorageWeakRef(states.untyped_storage()))
        reader.take(layer, states)
        del states
    assert [storage.expired() for storage in storages] == [True, False]


@pytest.mark.parametrize("name", ALL)
def test_states_that_were_handed_in_are_not_changed(name):
    reader = Reader({name}, token_batch([3, 1], [1, 0]), first_layer=1, last_layer=1)
    states = torch.randn(4, DIM)
    before = states.clone()
    reader.take(1, states)
    reader.read(name)
    assert torch.equal(states, before)


@pytest.mark.parametrize("name", [LAYER_MEANS, LAYER_MEANS + RAW])
def test_means_of_bfloat16_states_are_summed_in_float32(name):
    reader = Reader({name}, token_batch([1000]), first_layer=1, last_layer=1)
    reader.take(1, torch.ones(1000, 2, dtype=torch.bfloat16))  # bfloat16 sums stop at 256
    means, _ = reader.read(name)
    assert means.dtype == torch.float32
    assert_close(means, torch.ones(1, 1, 2), rtol=1e-5, atol=0)


def test_unit_rms_gives_an_attention_sink_the_weight_of_any_token():
    sink, other = unit_rms(torch.tensor([[3e4, 4e4], [-0.6, 0.8]]))
    assert_close(sink, torch.tensor([0.6, 0.8]) * 2**0.5, rtol=1e-5, atol=0)
    assert_close(other, torch.tensor([-0.6, 0.8]) * 2**0.5, rtol=1e-5, atol=0)
    assert torch.equal(unit_rms(torch.zeros(1, 4)), torch.zeros(1, 4))
