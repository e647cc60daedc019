"""Every pooling keeps the same promises; NumPy and the paper's formulas are the oracle."""

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf
from torch.testing import assert_close

from searchkit import catalog
from searchkit.encode.states import ALL, LAST_EOS, LAST_TOKENS, LAYER_EOS, LAYER_MEANS, RAW
from searchkit.encode.variant import options_of
from searchkit.errors import EmptyText, UnknownName

FOLDER = "searchkit.encode.pooling"
DIM, DEPTH = 6, 3
SMALL = {"latents": 5, "heads": 2, "head_dim": 4, "ff_multiplier": 2, "latent_scale": 0.7}

every_pooling = pytest.mark.parametrize("name", catalog.names(FOLDER))
every_attention = pytest.mark.parametrize("attention", catalog.names("searchkit.encode.attention"))
OVER_TOKENS = [  # the others read one state, or one a layer: there is nothing to pad
    (name, attention)
    for name in catalog.names(FOLDER)
    for attention in catalog.names("searchkit.encode.attention")
    if catalog.load(FOLDER, name).reads(attention) == LAST_TOKENS
]

seeds = st.integers(0, 10**6)
lengths_of_texts = st.lists(st.integers(1, 6), min_size=1, max_size=4)


def build(name, **options):
    """A small seeded pooling whose weights are all lively: norms are not 1, biases not 0."""
    module = catalog.load(FOLDER, name)
    known = options_of(module.build)
    torch.manual_seed(0)
    pooling = module.build(
        DIM, DEPTH, **{key: value for key, value in {**SMALL, **options}.items() if key in known}
    ).eval()
    with torch.no_grad():
        for weight in pooling.parameters():
            if weight.requires_grad:
                weight += 0.3 * torch.randn_like(weight)
    return pooling


def texts_for(name, attention, lengths, seed):
    """What the pooling reads of each text: a list of (N, D)."""
    reads = catalog.load(FOLDER, name).reads(attention)
    rows = {LAST_TOKENS: None, LAST_EOS: 1}.get(reads, DEPTH)
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(rows or length, DIM, generator=generator) for length in lengths]


def pad(texts, *, extra=0, left=False, fill=0.0):
    """Lay texts into a batch: states (B, T, D) and mask (B, T)."""
    width = max(len(text) for text in texts) + extra
    states = torch.full((len(texts), width, DIM), fill)
    mask = torch.zeros(len(texts), width, dtype=torch.bool)
    for row, text in enumerate(texts):
        place = slice(width - len(text), width) if left else slice(0, len(text))
        states[row, place], mask[row, place] = text, True
    return states, mask


@torch.no_grad()
def each_alone(pool, texts):
    return torch.cat([pool(*pad([text])) for text in texts])


@every_attention
@every_pooling
def test_a_pooling_reads_what_engines_can_give(name, attention):
    module = catalog.load(FOLDER, name)
    assert module.reads(attention) in ALL
    assert list(inspect.signature(module.build).parameters)[:2] == ["dim", "n_layers"]
    assert bool(list(module.build(DIM, DEPTH).parameters())) == module.TRAINABLE


@every_attention
@every_pooling
@settings(max_examples=40)
@given(
    lengths=lengths_of_texts,
    seed=seeds,
    extra=st.integers(0, 9),
    left=st.booleans(),
    fill=st.sampled_from([1e6, -1e30, float("inf"), float("nan")]),
)
@torch.no_grad()
def test_a_vector_does_not_depend_on_padding(name, attention, lengths, seed, extra, left, fill):
    pool, texts = build(name), texts_for(name, attention, lengths, seed)
    if (name, attention) not in OVER_TOKENS:
        extra = 0
    vectors = pool(*pad(texts, extra=extra, left=left, fill=fill))
    assert vectors.shape == (len(texts), DIM)
    assert_close(vectors, each_alone(pool, texts))


@every_attention
@every_pooling
@settings(max_examples=40)
@given(lengths=lengths_of_texts, seed=seeds, data=st.data())
@torch.no_grad()
def test_a_vector_does_not_depend_on_its_place_or_mates(name, attention, lengths, seed, data):
    pool, texts = build(name), texts_for(name, attention, lengths, seed)
    alone = each_alone(pool, texts)
    rows = data.draw(st.lists(st.sampled_from(range(len(texts))), min_size=1, max_size=6))
    assert_close(pool(*pad([texts[row] for row in rows])), alone[rows])


@every_attention
@every_pooling
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@torch.no_grad()
def test_vectors_are_float32_whatever_comes_in(name, attention, dtype):
    pool, texts = build(name), texts_for(name, attention, [4, 2, 5], seed=1)
    states, mask = pad(texts)
    coarse = states.to(dtype)
    before = coarse.clone()
    vectors = pool(coarse, mask)
    assert vectors.dtype == torch.float32
    assert_close(vectors, pool(coarse.float(), mask))  # nothing is rounded on the way
    assert torch.equal(coarse, before)


@pytest.mark.parametrize(("name", "attention"), OVER_TOKENS)
def test_a_text_without_a_single_token_has_no_vector(name, attention):
    states, mask = pad(texts_for(name, attention, [3, 2], seed=0))
    mask[1] = False
    with pytest.raises(EmptyText):
        build(name)(states, mask)


@torch.no_grad()
def test_the_mean_of_bfloat16_tokens_is_summed_in_float32():
    states = torch.ones(1, 1000, DIM, dtype=torch.bfloat16)  # bfloat16 sums stop at 256
    mask = torch.ones(1, 1000, dtype=torch.bool)
    for name in ("mean", "weighted_mean"):
        assert_close(build(name)(states, mask), torch.ones(1, DIM))


@torch.no_grad()
def test_poolings_without_weights_worked_by_hand():
    states = torch.tensor([[[9.0, 9.0], [1.0, 2.0], [3.0, 0.0], [5.0, 4.0]]])
    mask = torch.tensor([[False, True, True, True]])
    build_of = {name: catalog.load(FOLDER, name).build(2, 1) for name in catalog.names(FOLDER)}
    assert_close(build_of["mean"](states, mask), torch.tensor([[3.0, 2.0]]))
    # (1 x (1, 2) + 2 x (3, 0) + 3 x (5, 4)) / 6
    assert_close(build_of["weighted_mean"](states, mask), torch.tensor([[22 / 6, 14 / 6]]))
    eos = build_of["eos_last"](states[:, 3:], mask[:, 3:])
    assert_close(eos, torch.tensor([[5.0, 4.0]]))


def layer_norm(x, norm):
    """One row; weight, bias and eps 1e-5."""
    centred = x - x.mean()
    scaled = centred / np.sqrt((centred**2).mean() + 1e-5)
    return scaled * numpy(norm.weight) + numpy(norm.bias)


def gelu(x):
    return x * 0.5 * (1 + erf(x / np.sqrt(2)))


def numpy(tensor):
    return tensor.detach().numpy().astype(np.float64)


def resample(module, states):
    """The paper's formulas, one latent, head and state at a time; (N, D) to (D,), float64."""
    wq, wkv, wo = (numpy(m.weight).T for m in (module.to_q, module.to_kv, module.to_out))
    w1, b1 = numpy(module.ff_in.weight).T, numpy(module.ff_in.bias)
    w2, b2 = numpy(module.ff_out.weight).T, numpy(module.ff_out.bias)
    inner = wq.shape[1]
    keys_and_values = [layer_norm(z, module.states_norm) @ wkv for z in numpy(states)]
    outputs = []
    for latent in numpy(module.latents):
        q = layer_norm(latent, module.latents_norm) @ wq
        heads = []
        for start in range(0, inner, inner // module.heads):
            head = slice(start, start + inner // module.heads)
            scores = [q[head] @ kv[:inner][head] / np.sqrt(len(q[head])) for kv in keys_and_values]
            shares = np.exp(scores) / np.exp(scores).sum()
            values = [kv[inner:][head] for kv in keys_and_values]
            heads.append(sum(share * v for share, v in zip(shares, values, strict=True)))
        x = np.concatenate(heads) @ wo + latent
        value, gate = np.split(layer_norm(x, module.ff_norm) @ w1 + b1, 2)
        outputs.append((value * gelu(gate)) @ w2 + b2 + x)
    return np.mean(outputs, axis=0)


@every_attention
@given(lengths=lengths_of_texts, seed=seeds)
@settings(max_examples=15)
@torch.no_grad()
def test_last_layer_equals_the_papers_formulas(attention, lengths, seed):
    pool = build("last_layer")
    texts = texts_for("last_layer", attention, lengths, seed)
    expected = np.array([resample(pool.resampler, text) for text in texts])
    np.testing.assert_allclose(pool(*pad(texts)).numpy(), expected, rtol=1e-4, atol=1e-5)


@every_attention
@given(seed=seeds, layer_scale=st.sampled_from([0.0, 0.02, 1.0]))
@settings(max_examples=15)
@torch.no_grad()
def test_multi_layer_equals_the_papers_formulas(attention, seed, layer_scale):
    pool = build("multi_layer", layer_scale=layer_scale)
    texts = texts_for("multi_layer", attention, [1, 1], seed)
    expected = np.array([resample(pool.resampler, text + pool.layer_rows) for text in texts])
    np.testing.assert_allclose(pool(*pad(texts)).numpy(), expected, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_attention_weights_of_model_2_change_nothing():
    """With one key the softmax is 1: what reaches the feed-forward is v Wo + Q, whatever Wq is."""
    pool = build("last_layer")
    states, mask = pad(texts_for("last_layer", "causal", [1, 1], seed=3))
    before = pool(states, mask)
    tokens, all_of_them = pad(texts_for("last_layer", "bidirectional", [4, 3], seed=3))
    model4_before = pool(tokens, all_of_them)
    pool.resampler.to_q.weight.normal_(std=3)
    assert torch.equal(pool(states, mask), before)
    assert (pool(tokens, all_of_them) - model4_before).abs().max() > 1e-3  # model 4 does attend


def test_layer_scale_0_leaves_the_layer_rows_out():
    pool = build("multi_layer", layer_scale=0.0)
    assert not pool.layer_rows.requires_grad
    states, mask = pad(texts_for("multi_layer", "bidirectional", [1, 1, 1], seed=5))
    assert torch.equal(pool(states, mask), pool.resampler(states, mask))
    pool(states, mask).sum().backward()
    assert pool.layer_rows.grad is None and not pool.layer_rows.any()


def test_layer_rows_are_drawn_at_their_scale_and_trained():
    torch.manual_seed(0)
    rows = catalog.load(FOLDER, "multi_layer").build(500, 20, layer_scale=0.5).layer_rows
    assert rows.shape == (20, 500) and rows.requires_grad
    assert float(rows.detach().std()) == pytest.approx(0.5, rel=0.05)


@torch.no_grad()
def test_multi_layer_tells_layers_apart_by_its_rows_alone():
    """Keys have no order: without W the resampler cannot know which layer a summary is of."""
    states, mask = pad(texts_for("multi_layer", "causal", [1], seed=2))
    for layer_scale, blind in ((0.0, True), (1.0, False)):
        pool = build("multi_layer", layer_scale=layer_scale)
        moved = float((pool(states, mask) - pool(states.flip(1), mask)).abs().max())
        assert (moved < 1e-5) == blind


def test_normalise_states_says_what_multi_layer_reads():
    reads = catalog.load(FOLDER, "multi_layer").reads
    assert reads("causal") == reads("causal", normalise_states=True) == LAYER_EOS
    assert reads("causal", normalise_states=False) == LAYER_EOS + RAW
    assert reads("bidirectional", normalise_states=True) == LAYER_MEANS
    assert reads("bidirectional", normalise_states=False) == LAYER_MEANS + RAW


def test_summaries_say_what_multi_layer_reads_whatever_the_attention():
    reads = catalog.load(FOLDER, "multi_layer").reads
    for attention in ("causal", "bidirectional"):
        assert reads(attention, summaries="eos") == LAYER_EOS
        assert reads(attention, summaries="mean") == LAYER_MEANS
        assert reads(attention, summaries="eos", normalise_states=False) == LAYER_EOS + RAW
    with pytest.raises(UnknownName, match="no summaries 'first'; there are: eos, mean"):
        reads("causal", summaries="first")


def test_the_five_models_read_what_the_paper_gives_them():
    read = {
        (name, attention): catalog.load(FOLDER, name).reads(attention)
        for name in ("eos_last", "last_layer", "multi_layer")
        for attention in ("causal", "bidirectional")
    }
    assert read == {
        ("eos_last", "causal"): LAST_EOS,
        ("eos_last", "bidirectional"): LAST_EOS,
        ("last_layer", "causal"): LAST_EOS,
        ("last_layer", "bidirectional"): LAST_TOKENS,
        ("multi_layer", "causal"): LAYER_EOS,
        ("multi_layer", "bidirectional"): LAYER_MEANS,
    }


@pytest.mark.parametrize("name", ["last_layer", "multi_layer"])
def test_the_papers_own_sizes_have_its_1_28_billion_parameters(name):
    with torch.device("meta"):  # shapes without memory
        pool = catalog.load(FOLDER, name).build(
            4096, 32, latents=768, heads=32, head_dim=2048, latent_scale=1.0
        )
    count = sum(weight.numel() for weight in pool.parameters())
    assert round(count / 1e9, 3) == 1.278
    assert count - (32 * 4096 if name == "multi_layer" else 0) == (
        4 * 4096 * 65_536  # Wq, Wk, Wv and Wo, without biases
        + 768 * 4096  # the latents
        + 3 * 2 * 4096  # three layer norms
        + 4096 * 8 * 4096 + 8 * 4096  # the feed-forward's way in
        + 4 * 4096 * 4096 + 4096  # and out
    )  # fmt: skip


@every_pooling
def test_gradients_reach_every_weight(name):
    pool = build(name)
    states, mask = pad(texts_for(name, "bidirectional", [4, 3], seed=1))
    states.requires_grad_()
    pool(states, mask).square().sum().backward()
    assert torch.isfinite(states.grad).all() and states.grad.any()
    for weight in pool.parameters():
        assert weight.grad is not None and torch.isfinite(weight.grad).all() and weight.grad.any()
