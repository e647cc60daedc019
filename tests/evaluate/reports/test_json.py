"""The rows as JSON: the published form, which other programs read."""

import json

import pytest

from searchkit.evaluate.reports import json as report

COLUMNS = [
    *("system", "collection", "measure", "mean", "queries"),
    *("difference", "low", "high", "p"),
]


def holm(p_values):
    """Holm's step-down correction, from its definition."""
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    corrected, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, p_values[place] * (len(p_values) - rank)))
        corrected[place] = highest
    return corrected


def test_each_system_set_and_measure_is_an_object_in_the_published_order(results, analysis):
    rows = json.loads(report.render(results, analysis))
    assert [list(row) for row in rows] == [COLUMNS] * len(rows)
    assert [(row["measure"], row["collection"], row["system"]) for row in rows] == [
        (measure, name, system)
        for measures, sets in (
            (("nDCG@10", "R@100"), ("scifact", "cranfield", "cacm")),
            (("Spearman", "Pearson"), ("stsb", "sts13")),
        )
        for measure in measures
        for name in sets
        for system in results.scores[name]
    ]


def test_rows_hold_the_means_and_the_comparisons_of_the_analysis(results, analysis):
    for row in json.loads(report.render(results, analysis)):
        name, measure, system = row["collection"], row["measure"], row["system"]
        values = results.scores[name][system][measure].values()
        assert row["queries"] == len(values)
        assert row["mean"] == pytest.approx(sum(values) / len(values))
        base = "minilm" if "sts" in name else "bm25"  # bm25 takes no part in similarity
        if system == base:
            assert [row[key] for key in COLUMNS[5:]] == [None] * 4
        else:
            pair = analysis.pair(name, measure, system, base)
            assert [row[key] for key in COLUMNS[5:8]] == [pair.difference, pair.low, pair.high]


def test_p_is_corrected_within_a_measure_over_comparisons_with_the_baseline_alone(
    results, analysis
):
    rows = json.loads(report.render(results, analysis))
    for measure, number, base in (("nDCG@10", 9, "bm25"), ("Spearman", 4, "minilm")):
        compared = [row for row in rows if row["measure"] == measure and row["p"] is not None]
        raw = [analysis.pair(row["collection"], measure, row["system"], base).p for row in compared]
        assert len(raw) == number
        assert [row["p"] for row in compared] == pytest.approx(holm(raw), abs=1e-12)
        assert [row["p"] for row in compared] != raw


def test_a_number_that_json_cannot_hold_is_refused(build):
    results, analysis = build({"handbook": {"bm25": 0.5, "other": float("inf")}})
    with pytest.raises(ValueError, match="JSON"):
        report.render(results, analysis)


def test_the_same_input_gives_the_same_text(results, analysis):
    assert report.render(results, analysis) == report.render(results, analysis)
    assert report.render(results, analysis).endswith("]\n")
