"""Trained variants of a suite, told apart by all but their seeds."""

import pytest
import torch

from searchkit.encode import weights
from searchkit.encode.variant import parse
from searchkit.evaluate import trainings


@pytest.fixture
def trained(tmp_path):
    """A name, a seed and a learning rate to a variant with weights; nobody loads them."""

    def make(name, seed, rate=0.1, design="mean-causal"):
        variant = parse(design, seed=seed, label=name)
        factors = {"layers.0.mlp.up_proj": (torch.ones(2, 4), torch.ones(4, 2) * seed)}
        weights.write(
            tmp_path / name,
            row=variant.to_row(),
            base=variant.base,
            base_hash="0" * 64,
            factors=factors,
            alpha=4.0,
            dropout=0.0,
            pooling={},
            training={
                "settings": {"seed": seed, "learning_rate": rate},
                "facts": {"lora": {"seed": seed}},
                "files": [],
            },
        )
        return parse(str(tmp_path / name))

    return make


def test_seeds_of_one_training_are_one_design(trained):
    variants = [trained("mine-0", 0), trained("mine-1", 1), trained("other", 0, rate=0.2)]
    assert trainings.of(variants) == {
        "mine-0": ("mine", 0),
        "mine-1": ("mine", 1),
        "other": ("other", 0),
    }


def test_numbers_that_belong_to_the_name_stay(trained):
    variants = [
        trained(f"model{number}-{seed}", seed, rate=number) for number in (1, 5) for seed in (0, 1)
    ]
    assert [design for design, _ in trainings.of(variants).values()] == [
        "model1", "model1", "model5", "model5"
    ]  # fmt: skip


def test_names_with_nothing_in_common_are_called_after_what_they_are(trained):
    variants = [trained("first", 0), trained("second", 1)]
    assert {design for design, _ in trainings.of(variants).values()} == {"mean-causal"}


def test_an_untrained_variant_has_no_training():
    assert trainings.of([parse("mean-causal")]) == {}


def test_two_recipes_have_two_names(trained):
    """Where what names have in common, or what variants are, is common to both."""
    variants = [trained("first", 0), trained("second", 1)]
    variants += [trained("third", 0, rate=0.2), trained("other", 1, rate=0.2)]
    assert [design for design, _ in trainings.of(variants).values()] == [
        "first + second", "first + second", "third + other", "third + other"
    ]  # fmt: skip
    alike = [trained("mine-0", 0), trained("mine-1", 1), trained("mine", 0, rate=0.2)]
    found = {name: design for name, (design, _) in trainings.of(alike).items()}
    assert found == {"mine-0": "mine-0 + mine-1", "mine-1": "mine-0 + mine-1", "mine": "mine"}


def test_a_design_has_not_the_name_of_a_variant_that_nobody_trained(trained):
    variants = [trained("first", 0), trained("second", 1), parse("mean-causal")]
    assert {design for design, _ in trainings.of(variants).values()} == {"first + second"}


def test_a_variant_that_is_named_twice_is_one(trained):
    one = trained("mine-0", 0)
    assert trainings.of([one, one]) == {"mine-0": ("mine-0", 0)}
