"""Trainings that differ in more than design and seed are not compared."""

import copy

import pytest
import torch

from searchkit.encode import weights
from searchkit.encode.variant import parse
from searchkit.errors import BadInput
from searchkit.study.alike import Trained, recipe, refuse_other, refuse_unlike
from searchkit.study.study import Row

TRAINING = {
    "settings": {"seed": 0, "steps": 4, "learning_rate": 0.1, "checkpoint_every": 2},
    "facts": {
        "regime": "lora",
        "lora": {"rank": 2, "alpha": 4.0, "dropout": 0.0, "first_layer": 1, "seed": 0},
        "arithmetic": {"engine": "packed", "dtype": "float32"},
        "parameters": 77,
        "study": {"pairs": "aa", "from_layer": 1},
    },
    "files": [{"name": "faq.jsonl", "blake3": "bb", "pairs": 40}],
    "batches": "cc",
    "device": "cpu",
    "versions": {"searchkit": "0.1.0", "torch": "2.0"},
}
POOLING = {"facts.regime": "pooling", "facts.lora": None}


@pytest.fixture
def trained(tmp_path):
    """A row trained with a seed; `changed` has other values, with dots between keys."""

    def make(name, seed=0, *, changed=None, base="0" * 64, **fields):
        training = copy.deepcopy(TRAINING)
        training["settings"]["seed"] = training["facts"]["lora"]["seed"] = seed
        training["batches"] += str(seed)
        for keys, value in (changed or {}).items():
            place = training
            *outer, last = keys.split(".")
            for key in outer:
                place = place[key]
            place[last] = value
        variant = parse("mean-causal", seed=seed, **fields)
        row = Row(name=name, variant=variant, regime=training["facts"]["regime"], against="a")
        folder = tmp_path / row.system(seed)
        weights.write(
            folder,
            row=variant.to_row(),
            base=variant.base,
            base_hash=base,
            factors={"layers.0.mlp.up_proj": (torch.ones(2, 4), torch.ones(4, 2))},
            alpha=4.0,
            dropout=0.0,
            pooling={},
            training=training,
        )
        return Trained(row, seed, weights.resolve(str(folder)))

    return make


def test_rows_and_seeds_of_one_recipe_are_alike(trained):
    refuse_unlike([trained(name, seed) for seed in (0, 1) for name in ("a", "b")])


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"settings.steps": 5}, "settings.steps 5, not 4"),
        ({"settings.learning_rate": 0.2}, "settings.learning_rate 0.2, not 0.1"),
        ({"files": [{"name": "faq.jsonl", "blake3": "dd"}]}, "files.faq.jsonl dd, not bb"),
        ({"facts.study.pairs": "ee"}, "pairs ee, not aa"),
        ({"facts.lora.rank": 3}, "lora.rank 3, not 2"),
        ({"facts.arithmetic.dtype": "bfloat16"}, "arithmetic.dtype bfloat16, not float32"),
        ({"batches": "other"}, "other batches"),
        ({"device": "cuda"}, "device cuda, not cpu"),
        ({"versions.torch": "3.0"}, r"versions\.torch 3\.0, not 2\.0"),
    ],
)
def test_what_differs_is_named(trained, changed, said):
    with pytest.raises(BadInput, match=f"^b-0 was trained unlike a-0: with {said}; a study"):
        refuse_unlike([trained("a"), trained("b", changed=changed)])


def test_bases_and_lengths_are_the_same(trained):
    with pytest.raises(BadInput, match="with base 1111"):
        refuse_unlike([trained("a"), trained("b", base="1" * 64)])
    with pytest.raises(BadInput, match="with max_tokens 32, not 256"):
        refuse_unlike([trained("a"), trained("b", max_tokens=32)])


def test_each_seed_has_an_order_of_batches_for_all(trained):
    rows = [
        trained("a"),
        trained("a", 1),
        trained("b"),
        trained("b", 1, changed={"batches": "cc0"}),
    ]
    with pytest.raises(BadInput, match=r"^b-1 was trained unlike a-1: with other batches"):
        refuse_unlike(rows)


def test_a_regime_may_differ_and_nothing_beside_it(trained):
    refuse_unlike([trained("a"), trained("b", changed=POOLING), trained("c", changed=POOLING)])
    with pytest.raises(BadInput, match=r"^b-0 was trained unlike a-0: with settings\.steps 5"):
        refuse_unlike([trained("a"), trained("b", changed={**POOLING, "settings.steps": 5})])


def test_templates_may_change_the_batches(trained):
    other = {"batches": "other"}
    prompted = trained("b", changed=other, query_template="Query: {text}")
    refuse_unlike([trained("a"), prompted])
    same = trained("c", changed={"batches": "third"}, query_template="Query: {text}")
    with pytest.raises(BadInput, match=r"^c-0 was trained unlike b-0: with other batches"):
        refuse_unlike([trained("a"), prompted, same])


def test_other_versions_are_no_reason_to_train_again(trained):
    """What is finished is compared by its recipe, and with its like by what computed it, too."""
    one = trained("a", changed={"versions.torch": "1.0", "device": "cuda"})
    wanted = recipe(one.weights.row, one.weights.base_hash, TRAINING)
    refuse_other(one.weights.folder, one.row.variant, wanted)
    refuse_unlike([one])


def test_weights_of_another_design_are_refused(trained, tmp_path):
    one = trained("a")
    wanted = recipe(one.weights.row, one.weights.base_hash, one.weights.training)
    refuse_other(one.weights.folder, one.row.variant, wanted)
    with pytest.raises(BadInput) as refusal:
        refuse_other(one.weights.folder, parse("mean-bidirectional"), wanted)
    assert str(refusal.value).startswith(
        f"{tmp_path}/a-0 was trained with variant.attention causal, not bidirectional; put the "
    )
