"""Seeds of a design become one system, by hand."""

import pytest

from searchkit.study.seeds import averaged, by_design, main_measures


def test_scores_are_averaged_item_by_item(evaluation):
    results = evaluation(
        {
            "isles": {"a-0": [0.2, 0.4], "a-1": [0.4, 0.8], "bm25": [0.1, 0.3]},
            "coast": {"a-0": [0.0, 1.0], "a-1": [0.5, 0.0]},
        },
        designs={"a-0": ("a", 0), "a-1": ("a", 1)},
    )
    found = averaged(results)
    assert {name: list(of) for name, of in found.scores.items()} == {
        "isles": ["a", "bm25"],
        "coast": ["a"],
    }
    assert found.scores["isles"]["a"]["nDCG@10"] == pytest.approx({"q0": 0.3, "q1": 0.6})
    assert found.scores["coast"]["a"]["nDCG@10"] == pytest.approx({"q0": 0.25, "q1": 0.5})
    assert found.scores["isles"]["bm25"] == results.scores["isles"]["bm25"]
    assert list(found.systems) == ["a", "bm25"]
    assert (found.systems["a"].name, found.systems["a"].seed) == ("a", None)


def test_speeds_are_averaged_over_those_that_are_known(evaluation):
    results = evaluation(
        {"isles": {"a-0": [0.1], "a-1": [0.1], "a-2": [0.1], "b": [0.1]}},
        designs={f"a-{seed}": ("a", seed) for seed in range(3)},
        speeds={"a-0": 100.0, "a-2": 200.0},
    )
    systems = averaged(results).systems
    assert systems["a"].tokens_per_s == 150.0
    assert systems["b"].tokens_per_s is None


def test_designs_are_in_the_order_of_the_evaluation(evaluation):
    results = evaluation(
        {"isles": {"b-0": [0.1], "a-0": [0.1], "b-1": [0.1]}},
        designs={"b-0": ("b", 0), "b-1": ("b", 1), "a-0": ("a", 0)},
    )
    assert by_design(results) == {"b": ["b-0", "b-1"], "a": ["a-0"]}


def test_what_is_kept_is_the_main_measure(evaluation):
    results = evaluation({"isles": {"a": [0.1, 0.2]}}, measures=("nDCG@10", "AP"))
    kept = main_measures(results)
    assert kept.scores == {"isles": {"a": {"nDCG@10": {"q0": 0.1, "q1": 0.2}}}}
    assert kept.sets["isles"].measures == ("nDCG@10",)
