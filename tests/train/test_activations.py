"""States of the layers below the additions are computed once a text, and change nothing."""

import shutil

import pytest
import torch

from searchkit import catalog
from searchkit.encode import embedder, language_models
from searchkit.encode.states import LAST_TOKENS, LAYER_EOS, LAYER_MEANS
from searchkit.encode.variant import ATTENTION, parse
from searchkit.errors import BadInput, SearchkitError
from searchkit.train import loop
from searchkit.train.loop import Settings, train
from searchkit.train.lora import Lora
from searchkit.train.trainee import Adapted, Trainee

CPU = torch.device("cpu")
TEXTS = [
    "one",
    "A text of some more words, none of them long.",
    "Attention decides which states know what, and pooling turns the states into one vector.",
    "two words",
]
TEMPLATE = {"query_template": "Query of somebody: {text}", "pool_instruction": False}


@pytest.fixture
def open_trainee(tiny_model, tmp_path):
    """Makes trainees of one seed, with additions from layer `begins` of 3 on."""

    def make(
        design, *, keep="kept", model="qwen3", begins=3, dtype=torch.float32, rank=4, **fields
    ):
        variant = parse(design, base=str(tiny_model(model)), **fields)
        base = language_models.resolve(variant.base)
        lora = Lora(rank=rank, alpha=8.0, first_layer=begins, seed=3)
        folder = keep and tmp_path / keep
        states = Adapted(variant, base, lora, dtype=dtype, device=CPU, keep=folder)
        trainee = Trainee(variant, base, states, lora)
        generator = torch.Generator().manual_seed(5)
        for name, parameter in trainee.parameters().items():
            if name.endswith(".B"):  # zero at first, when A would get no gradient
                parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
        return trainee

    return make


@pytest.fixture
def no_model(monkeypatch):
    """A switch: from then on lower layers that are loaded fail the test."""

    def load_engine(*_, **__):
        raise AssertionError("a model was loaded")

    return lambda: monkeypatch.setattr(embedder, "load_engine", load_engine)


def gradients(trainee):
    vectors = trainee.vectors(trainee.prepare(TEXTS, "query"))
    wanted = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(7))
    parameters = trainee.parameters()
    found = torch.autograd.grad((vectors * wanted).sum(), [*parameters.values()])
    return vectors.detach(), dict(zip(parameters, found, strict=True))


@torch.no_grad()
def vectors_of(trainee, texts=TEXTS, role="query"):
    return trainee.vectors(trainee.prepare(texts, role))


def computed_by(trainee):
    """A list that gets the length of each text that the lower layers compute from now on."""
    lower = trainee._states.activations._engine
    run, lengths = lower.run, []

    def counted(batch, reader):
        lengths.extend(batch.lengths.tolist())
        run(batch, reader)

    lower.run = counted
    return lengths


@pytest.mark.parametrize("fields", [{}, TEMPLATE], ids=["plain", "template"])
@pytest.mark.parametrize("begins", [2, 3])
@pytest.mark.parametrize("attention", catalog.names(ATTENTION))
@pytest.mark.parametrize("pooling", ["eos_last", "mean", "last_layer", "multi_layer"])
def test_vectors_and_gradients_are_those_of_one_pass(
    open_trainee, pooling, attention, begins, fields
):
    design = f"{pooling}-{attention}"
    expected = gradients(open_trainee(design, keep=None, begins=begins, **fields))
    kept = open_trainee(design, begins=begins, **fields)
    for _ in range(2):  # computed, then found
        vectors, found = gradients(kept)
        torch.testing.assert_close(vectors, expected[0], rtol=1e-5, atol=1e-6)
        assert found.keys() == expected[1].keys()
        for name, gradient in expected[1].items():
            largest = float(gradient.abs().max())
            assert largest > 0, name
            torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-7 + 1e-5 * largest)


@pytest.mark.parametrize("first_layer", [1, 2, 3])
@pytest.mark.parametrize("normalise_states", [True, False])
def test_a_pooling_gets_the_layers_that_it_reads(open_trainee, first_layer, normalise_states):
    fields = {
        "first_layer": first_layer,
        "pooling_options": {"normalise_states": normalise_states},
    }
    whole, kept = (
        vectors_of(open_trainee("multi_layer-bidirectional", keep=keep, **fields))
        for keep in (None, "kept")
    )
    torch.testing.assert_close(kept, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("model", ["llama", "llama_biases", "mistral", "qwen2"])
def test_a_lower_layer_may_be_the_last_that_is_added_to(open_trainee, model):
    whole, kept = (
        vectors_of(open_trainee("mean-causal", keep=keep, model=model, begins=2, last_layer=2))
        for keep in (None, "kept")
    )
    torch.testing.assert_close(kept, whole, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("design", ["mean-bidirectional", "multi_layer-bidirectional"])
def test_bfloat16_costs_no_more_than_its_products_do(open_trainee, design):
    def of(dtype, keep):
        return vectors_of(open_trainee(design, dtype=dtype, keep=keep))

    exact = of(torch.float32, None)
    whole, kept = of(torch.bfloat16, None), of(torch.bfloat16, "kept")
    assert (whole * kept).sum(1).min() > 0.9998
    assert (kept - exact).norm() < 1.5 * (whole - exact).norm()


def test_a_text_is_computed_once(open_trainee, no_model):
    first = open_trainee("mean-causal", query_template="Query: {text}")
    lengths = computed_by(first)
    batch = [*TEXTS[:3], TEXTS[0]]
    before = vectors_of(first, batch)
    assert (before[0] == before[3]).all()
    vectors_of(first)
    expected = [len(text.ids) for text in first.prepare(TEXTS, "query")]
    assert sorted(lengths) == sorted(expected)
    vectors_of(first, TEXTS[:1], "passage")  # without the template, another text
    assert len(lengths) == len(expected) + 1

    no_model()
    again = open_trainee("mean-causal", query_template="Query: {text}")
    assert (vectors_of(again, batch) == before).all()
    # Whatever is trained above them, and reads them, the lower layers are the same.
    vectors_of(open_trainee("last_layer-causal", query_template="Query: {text}", rank=2))
    with pytest.raises(AssertionError, match="a model was loaded"):
        vectors_of(again, ["something new"])


def test_summaries_are_computed_for_states_that_have_none(open_trainee, tmp_path, no_model):
    vectors_of(open_trainee("mean-bidirectional", **TEMPLATE))
    design = "multi_layer-bidirectional"
    expected = vectors_of(open_trainee(design, keep=None, **TEMPLATE))
    for _ in range(2):
        found = vectors_of(open_trainee(design, **TEMPLATE))
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
        no_model()
    assert len([*(tmp_path / "kept").glob(f"*/{LAST_TOKENS}/*.npy")]) == 1
    assert len([*(tmp_path / "kept").glob(f"*/{LAYER_MEANS}/*.npy")]) == 1


def test_tokens_that_are_left_out_make_another_summary_of_the_same_states(open_trainee, tmp_path):
    design = "multi_layer-bidirectional"
    vectors_of(open_trainee(design, **TEMPLATE))
    lengths = [*(tmp_path / "kept").glob(f"*/{LAST_TOKENS}/*.npy")]
    fields = TEMPLATE | {"pool_instruction": True}
    found = vectors_of(open_trainee(design, **fields))
    torch.testing.assert_close(
        found, vectors_of(open_trainee(design, keep=None, **fields)), rtol=1e-5, atol=1e-6
    )
    assert [*(tmp_path / "kept").glob(f"*/{LAST_TOKENS}/*.npy")] == lengths


@pytest.mark.parametrize(
    "other",
    [
        {"model": "qwen2"},
        {"begins": 2},
        {"dtype": torch.bfloat16},
        {"design": "mean-bidirectional"},
    ],
)
def test_other_lower_layers_keep_their_own_states(open_trainee, no_model, other):
    options = {"design": "mean-causal"}
    vectors_of(open_trainee(**options))
    no_model()
    vectors_of(open_trainee(**options))
    with pytest.raises(AssertionError, match="a model was loaded"):
        vectors_of(open_trainee(**options | other))


def flip_the_last_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "suffix, damage",
    [
        (".npy", flip_the_last_bit),
        (".npy", lambda path: path.write_bytes(path.read_bytes()[:-10])),
        (".npy", lambda path: path.write_bytes(b"")),
        (".npy", lambda path: path.unlink()),
        (".json", lambda path: path.unlink()),
        (".json", lambda path: path.write_text("{}")),
        (".json", lambda path: path.write_text(path.read_text()[:40])),
    ],
    ids=["bit", "cut", "empty", "gone", "no note", "note empty", "note cut"],
)
def test_a_torn_block_is_computed_again(open_trainee, tmp_path, no_model, suffix, damage):
    design = "multi_layer-causal"
    before = vectors_of(open_trainee(design))
    (tokens,) = (tmp_path / "kept").glob(f"*/{LAST_TOKENS}/*{suffix}")
    (summaries,) = (tmp_path / "kept").glob(f"*/{LAYER_EOS}/*{suffix}")
    for path in (tokens, summaries):
        damage(path)
        trainee = open_trainee(design)
        lengths = computed_by(trainee)
        for _ in range(2):
            assert (vectors_of(trainee) == before).all()
        assert len(lengths) == len(TEXTS)
    no_model()
    assert (vectors_of(open_trainee(design)) == before).all()


def test_another_process_of_the_training_is_listened_to(open_trainee):
    ours, theirs = open_trainee("mean-causal"), open_trainee("mean-causal")
    lengths = computed_by(ours)
    vectors_of(ours, TEXTS[:1])
    vectors_of(theirs, TEXTS[1:])
    vectors_of(ours, TEXTS)
    assert len(lengths) == 1


def test_a_broken_run_ends_in_the_weights_of_an_unbroken_one(open_trainee, random_pairs, tmp_path):
    pairs = random_pairs(12)
    settings = Settings(batch_size=4, steps=6, chunk=3, negatives=1, checkpoint_every=2)

    def run(output, keep, on_step=lambda step: None):
        trainee = open_trainee("multi_layer-causal", keep=keep)
        train(
            trainee, pairs, settings, tmp_path / output, on_step=on_step, on_note=lambda note: None
        )
        return {name: one.detach().clone() for name, one in trainee.parameters().items()}

    def break_off(step):
        if step.step == 3:
            raise KeyboardInterrupt

    expected = run("unbroken", "first")
    with pytest.raises(KeyboardInterrupt):
        run("broken", "second", break_off)
    untrained = open_trainee("multi_layer-causal").parameters()
    # Gone on with, from states that were computed in part; and with all states there.
    for found in (run("broken", "second"), run("again", "first")):
        for name, weights in expected.items():
            assert (found[name] == weights).all(), name
            assert (weights != untrained[name]).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("design", "fields", "slots"),
    [
        ("multi_layer-causal", {}, 2),
        ("multi_layer-causal", {"first_layer": 3}, 1),
        ("mean-causal", {}, 1),
    ],
)
def test_the_size_is_known_beforehand(open_trainee, tmp_path, dtype, design, fields, slots):
    trainee = open_trainee(design, dtype=dtype, **fields)
    kept = trainee._states.activations

    def missing(texts):
        return kept.missing_bytes(trainee.prepare(texts, "query"), trainee._reads)

    expected = missing([*TEXTS, TEXTS[0]])
    vectors_of(trainee)
    header = 128  # of an .npy file
    paths = [*(tmp_path / "kept").rglob("*.npy")]
    assert len(paths) == slots
    assert sum(path.stat().st_size - header for path in paths) == expected
    assert missing(TEXTS) == 0 < missing([*TEXTS, "another"])


@pytest.mark.parametrize("free", [10_000, 1_000_000])
def test_a_disk_without_room_is_known_before_the_first_step(
    free, open_trainee, random_pairs, tmp_path, monkeypatch
):
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=free))
    trainee, pairs, notes = open_trainee("mean-causal"), random_pairs(12), []
    settings = Settings(batch_size=4, steps=2, negatives=1)

    def run():
        return train(
            trainee, pairs, settings, tmp_path / "run", on_step=lambda _: None, on_note=notes.append
        )

    if free < 100_000:
        with pytest.raises(SearchkitError, match=r"takes 0\.0 GB in .*kept.*make room there"):
            run()
        assert not (tmp_path / "kept").exists()
    else:
        run()
        assert any("is kept: 0.0 GB in " in note for note in notes)
        texts = loop._texts(
            trainee, pairs.pairs, loop._plan(trainee, pairs.pairs, settings), settings
        )
        assert trainee.room(texts) == ()  # all that the steps read is there now


def test_an_engine_that_begins_at_the_embedding_keeps_nothing(open_trainee, tmp_path):
    trainee = open_trainee("mean-causal", model="gemma3")
    assert trainee._states.activations is None
    expected = vectors_of(open_trainee("mean-causal", model="gemma3", keep=None))
    assert (vectors_of(trainee) == expected).all()
    assert not (tmp_path / "kept").exists()


def test_no_layer_below_the_additions_is_said(open_trainee):
    with pytest.raises(BadInput, match="begin at layer 1, so there is no layer below"):
        open_trainee("mean-causal", begins=1)


def test_a_place_that_cannot_be_written_is_named(open_trainee, tmp_path):
    (tmp_path / "kept").write_text("a file, where a folder would have to be")
    with pytest.raises(SearchkitError, match=r"cannot be kept in .*kept.*make room there"):
        vectors_of(open_trainee("mean-causal"))
