"""Means, differences, tests and spreads over sets, worked by hand."""

import math

import pytest

from searchkit.study.figures import BESIDE, DESIGNS, TRAINING, Figures

SEEDS = {"a-0": ("a", 0), "a-1": ("a", 1), "b-0": ("b", 0), "b-1": ("b", 1)}
# Averaged over seeds: a has 0.3, 0.5 and 0.1, 0.3; b has 0.6, 0.8 and 0.3, 0.5.
TWO = {
    "isles": {"a-0": [0.2, 0.4], "a-1": [0.4, 0.6], "b-0": [0.5, 0.7], "b-1": [0.7, 0.9]},
    "coast": {"a-0": [0.0, 0.2], "a-1": [0.2, 0.4], "b-0": [0.3, 0.5], "b-1": [0.3, 0.5]},
}


def test_means_and_differences_are_of_averaged_seeds(evaluation, recorded):
    figures = Figures(evaluation(TWO, designs=SEEDS), recorded(["a", "b"]))
    (family,) = figures.families
    assert (family.task, family.measure, family.sets) == (
        "retrieval",
        "nDCG@10",
        ("isles", "coast"),
    )
    assert figures.mean(family, "a") == pytest.approx((0.4 + 0.2) / 2)
    assert figures.mean(family, "b") == pytest.approx((0.7 + 0.4) / 2)
    assert figures.on("isles", "b") == pytest.approx(0.7)
    (pair,) = figures.pairs(DESIGNS.format("a"), family)
    assert (pair.a, pair.b) == ("b", "a")
    assert pair.difference == pytest.approx(0.25)
    assert pair.p == pair.holm_p == 0.5  # both signs alike: two of four


def test_seeds_spread_around_their_mean_over_sets(evaluation, recorded):
    figures = Figures(evaluation(TWO, designs=SEEDS), recorded(["a", "b"]))
    (family,) = figures.families
    # a: 0.3 and 0.1, then 0.5 and 0.3; b: 0.6 and 0.4, then 0.8 and 0.4.
    assert figures.between_seeds(family, "a") == pytest.approx((0.4 - 0.2) / math.sqrt(2))
    assert figures.between_seeds(family, "b") == pytest.approx((0.6 - 0.5) / math.sqrt(2))
    assert figures.spreads["isles", "b"] == pytest.approx((0.8 - 0.6) / math.sqrt(2))
    assert figures.spreads["coast", "b"] == 0


def test_p_is_corrected_over_the_differences_of_one_question(evaluation, recorded):
    """Six sets: b always above a, 2 of 64 signs; c below it on one, by least: 4 of 64."""
    scores = {
        f"set {number}": {
            "a": [0.5, 0.5],
            "b": [0.6 + number / 100] * 2,
            "c": [0.6 + number / 100 if number else 0.49] * 2,
            "a-untrained": [0.1 + number / 100] * 2,
        }
        for number in range(6)
    }
    figures = Figures(evaluation(scores), recorded(["a", "b", "c"], untrained=["a"]))
    (family,) = figures.families
    found = {pair.a: (pair.p, pair.holm_p) for pair in figures.pairs(DESIGNS.format("a"), family)}
    assert found == {"b": (2 / 64, 4 / 64), "c": (4 / 64, 4 / 64)}
    (pair,) = figures.pairs(TRAINING, family)
    assert (pair.a, pair.b, pair.p, pair.holm_p) == ("a", "a-untrained", 2 / 64, 2 / 64)


def test_others_are_compared_where_they_take_part(evaluation, recorded):
    scores = {
        **{one: {**of, "bm25": [0.3, 0.3], "h-0": [0.9, 0.9]} for one, of in TWO.items()},
        "alike": {"a-0": [0.1], "a-1": [0.2], "b-0": [0.3], "b-1": [0.4], "minilm": [0.8]},
    }
    figures = Figures(
        evaluation(
            scores,
            designs={**SEEDS, "h-0": ("h", 0)},
            kinds={"bm25": "bm25", "h-0": "hybrid", "minilm": "reference"},
            tasks={"alike": "sts"},
        ),
        recorded(["a", "b"]),
    )
    retrieval, sts = figures.families
    assert figures.others == ["bm25", "minilm"]
    assert list(figures.trained) == ["a", "b", "h"]
    found = {pair.a: pair.difference for pair in figures.pairs(BESIDE.format("bm25"), retrieval)}
    assert found == pytest.approx({"a": 0.0, "b": 0.25, "h": 0.6})
    assert figures.mean(sts, "bm25") is None and figures.on("alike", "bm25") is None
    assert figures.mean(sts, "a") == pytest.approx(0.15)
    assert figures.pairs(BESIDE.format("minilm"), sts) == []  # one set alone has no test over sets
    assert figures.between_seeds(retrieval, "bm25") is None


def test_rows_are_compared_with_the_row_that_they_name(evaluation, recorded):
    scores = {
        f"set {number}": {"a": [0.1], "b": [0.5], "c": [0.4], "d": [0.3]} for number in range(2)
    }
    figures = Figures(evaluation(scores), recorded(["a", "b", "c", "d"], against={"c": "b"}))
    assert figures.groups == {"a": ["a", "b", "d"], "b": ["b", "c"]}
    (family,) = figures.families
    (pair,) = figures.pairs(DESIGNS.format("b"), family)
    assert (pair.a, pair.b, pair.difference) == ("c", "b", pytest.approx(-0.1))
    assert [pair.a for pair in figures.pairs(DESIGNS.format("a"), family)] == ["b", "d"]


def test_untrained_poolings_are_averaged_over_their_seeds_and_are_no_training(evaluation, recorded):
    bare = {"b-untrained-0": [0.1, 0.3], "b-untrained-1": [0.3, 0.1]}
    scores = {name: {**of, **bare} for name, of in TWO.items()}
    seeds = {**SEEDS, "b-untrained-0": ("b-untrained", 0), "b-untrained-1": ("b-untrained", 1)}
    figures = Figures(evaluation(scores, designs=seeds), recorded(["a", "b"], untrained=["b"]))
    (family,) = figures.families
    (pair,) = figures.pairs(TRAINING, family)
    assert (pair.a, pair.b, pair.difference) == ("b", "b-untrained", pytest.approx(0.55 - 0.2))
    assert list(figures.trained) == ["a", "b"]
