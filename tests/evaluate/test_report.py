"""Reports: the rows, files, tables and sentences that saved scores give."""

import csv
import io
import json
import random
import re
from dataclasses import fields, replace

import pytest
from rich.console import Console

from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.report import (
    Row,
    compare,
    headline,
    read_scores,
    table,
    write_csv,
    write_json,
    write_scores,
)
from searchkit.evaluate.significance import holm, paired

NAMES = ["bm25", "weighted_mean-bidirectional", "hybrid(weighted_mean-bidirectional)"]


@pytest.fixture
def scores():
    """Three systems on two collections; the second is better than the baseline on the first."""
    draw = random.Random(0)
    gains = {"handbook": (0, 0.2, 0.02), "scifact": (0, -0.2, 0.0)}
    return {
        collection: {
            name: {
                measure: {f"q{i}": 0.4 + gain + draw.uniform(-0.2, 0.2) for i in range(40)}
                for measure in ("nDCG@10", "AP")
            }
            for name, gain in zip(NAMES, by_system, strict=True)
        }
        for collection, by_system in gains.items()
    }


def test_rows_hold_means_and_paired_differences(scores):
    rows = compare(scores, "bm25", resamples=500, seed=3)
    assert [(row.measure, row.collection, row.system) for row in rows] == [
        (measure, collection, system)
        for measure in ("nDCG@10", "AP")
        for collection in scores
        for system in NAMES
    ]
    for row in rows:
        values, base = (
            list(scores[row.collection][system][row.measure].values())
            for system in (row.system, "bm25")
        )
        assert row.queries == 40
        assert row.mean == pytest.approx(sum(values) / 40)
        if row.system == "bm25":
            assert (row.difference, row.low, row.high, row.p) == (None,) * 4
        else:
            found = paired(values, base, resamples=500, seed=3)
            assert (row.low, row.high) == pytest.approx((found.low, found.high), abs=0.02)
            assert row.difference == pytest.approx(row.mean - sum(base) / 40)


def test_p_is_corrected_within_each_measure_over_collections_and_systems(scores):
    rows = compare(scores, "bm25", resamples=500)
    # A second measure changes nothing; alone, one collection and system are not corrected at all.
    for measure in ("nDCG@10", "AP"):
        raw = [
            compare(
                {collection: {name: {measure: scores[collection][name][measure]} for name in pair}},
                "bm25",
                resamples=500,
            )[1].p
            for collection in scores
            for pair in (["bm25", NAMES[1]], ["bm25", NAMES[2]])
        ]
        found = [row.p for row in rows if row.measure == measure and row.p is not None]
        assert len(found) == 4
        assert found == holm(raw)
        assert found != raw


def test_rows_do_not_depend_on_the_order_of_systems_or_queries(scores):
    def shuffled(mapping, depth=3):
        items = list(mapping.items())
        random.Random(1).shuffle(items)
        return {key: shuffled(value, depth - 1) if depth else value for key, value in items}

    again = {collection: shuffled(scores[collection], 2) for collection in scores}
    assert list(again["handbook"]) != list(scores["handbook"])
    rows, other = (compare(each, "bm25", resamples=500) for each in (scores, again))
    assert set(rows) == set(other)


def test_systems_must_be_measured_alike(scores):
    with pytest.raises(
        UnknownName, match=r"handbook has no scores of the baseline 'BM25'; .*bm25, "
    ):
        compare(scores, "BM25")
    del scores["scifact"][NAMES[2]]["AP"]["q7"]
    with pytest.raises(ValueError, match=r"on scifact, AP of hybrid.* 1 queries, such as 'q7'"):
        compare(scores, "bm25")
    del scores["scifact"][NAMES[2]]["AP"]
    with pytest.raises(ValueError, match="on scifact, bm25 has the measures"):
        compare(scores, "bm25")
    with pytest.raises(ValueError, match="AP of bm25 has no queries"):
        compare({"handbook": {"bm25": {"AP": {}}}}, "bm25")


def test_json_and_csv_hold_the_rows(scores, tmp_path):
    rows = compare(scores, "bm25", resamples=100)
    write_json(tmp_path / "report.json", rows)
    objects = json.loads((tmp_path / "report.json").read_text())
    keys = [field.name for field in fields(Row)]
    assert [list(each) for each in objects] == [keys] * len(rows)
    assert [Row(**each) for each in objects] == rows

    write_csv(tmp_path / "report.csv", rows)
    text = (tmp_path / "report.csv").read_text()
    lines = list(csv.reader(io.StringIO(text)))
    assert lines[0] == keys
    assert lines[1][5:] == [""] * 4
    assert [float(cell) for cell in lines[2][5:]] == [
        rows[1].difference,
        rows[1].low,
        rows[1].high,
        rows[1].p,
    ]

    for write, name in ((write_json, "report.json"), (write_csv, "report.csv")):
        before = (tmp_path / name).read_bytes()
        write(tmp_path / name, compare(scores, "bm25", resamples=100))
        assert (tmp_path / name).read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.csv", "report.json"]


def test_saved_scores_are_read_as_they_were(scores, tmp_path):
    scores["handbook"]["bm25"]["nDCG@10"] = {'a, "quoted"\nid': 1 / 3, "é": 0.1}
    path = tmp_path / "scores.csv"
    write_scores(path, scores)
    read = read_scores(path)
    assert read == scores
    assert [list(read), list(read["handbook"])] == [list(scores), list(scores["handbook"])]
    assert path.read_bytes().startswith(
        b"collection,system,measure,query_id,value\nhandbook,bm25,nDC"
    )
    before = path.read_bytes()
    write_scores(path, read)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ":1: the columns must be collection,system,measure,query_id,value"),
        ("a,b\n", ":1: the columns must be"),
        ("HEADERx,bm25,AP,q1\n", ":2: 4 columns, not 5"),
        ("HEADERx,bm25,AP,q1,high\n", ":2: the value is 'high'; it must be a finite number"),
        ("HEADERx,bm25,AP,q1,inf\n", ":2: the value is 'inf'"),
        ("HEADERx,bm25,AP,q1,1\nx,bm25,AP,q1,2\n", ":3: a second AP of bm25 for query 'q1' of x"),
    ],
)
def test_wrong_scores_are_named_with_their_line(tmp_path, content, said):
    path = tmp_path / "scores.csv"
    path.write_text(content.replace("HEADER", "collection,system,measure,query_id,value\n"))
    with pytest.raises(BadInput, match=re.escape(f"{path}{said}")):
        read_scores(path)
    with pytest.raises(BadInput, match="cannot read scores from"):
        read_scores(tmp_path / "nowhere.csv")


def test_a_score_that_is_not_finite_is_not_saved(tmp_path):
    with pytest.raises(ValueError, match="AP of bm25 for 'q1' is nan"):
        write_scores(tmp_path / "scores.csv", {"x": {"bm25": {"AP": {"q1": float("nan")}}}})


BASE = Row("bm25", "handbook", "nDCG@10", 0.660, 60, None, None, None, None)
BETTER = Row("mean-causal", "handbook", "nDCG@10", 0.71, 60, 0.05, 0.01, 0.09, 0.0204)
WORSE = Row(NAMES[2], "handbook", "nDCG@10", 0.6, 60, -0.06, -0.1, -0.02, 0.0004)
CLOSE = Row(NAMES[1], "handbook", "nDCG@10", 0.664, 60, 0.004, -0.03, 0.04, 1.0)
ROWS = [
    *(BASE, WORSE, BETTER, CLOSE),
    *(replace(row, collection="scifact", queries=1000) for row in (BASE, WORSE)),
    replace(BASE, measure="AP"),
]


def rendered(**kwargs):
    console = Console(file=io.StringIO(), width=80, **kwargs)
    console.print(table(ROWS, measure="nDCG@10", resamples=10_000))
    return console.file.getvalue()


def test_the_table_fits_80_columns_and_reads_without_colour():
    lines = [line.rstrip() for line in rendered().splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[1:] == [
        "system                                   mean          difference [95%]       p",
        "─" * 79,
        "handbook, 60 queries",
        "  mean-causal                           0.710   +0.050 [+0.010, +0.090]    .020",
        "  weighted_mean-bidirectional           0.664   +0.004 [-0.030, +0.040]   1.000",
        "  bm25                                  0.660                  baseline",
        "  hybrid(weighted_mean-bidirectional)   0.600   -0.060 [-0.100, -0.020]   <.001",
        "",
        "scifact, 1,000 queries",
        "  bm25                                  0.660                  baseline",
        "  hybrid(weighted_mean-bidirectional)   0.600   -0.060 [-0.100, -0.020]   <.001",
        "",
        "Best first. Difference from bm25 on the same queries, with its 95% bootstrap",
        "interval (not corrected). p: two-sided paired permutation test, Holm-corrected",
        "over the 4 comparisons of this table; coloured below 0.05. 10,000 resamples.",
    ]


def test_the_best_is_bold_and_only_what_is_significant_is_coloured():
    text = rendered(force_terminal=True, color_system="standard")
    bold, green, red = "\x1b[1m", "\x1b[32m", "\x1b[31m"
    best, close = (
        next(line for line in text.splitlines() if part in line) for part in ("mean-c", "+0.004")
    )
    assert bold in best and green in best
    assert not any(code in close for code in (bold, green, red))
    assert text.count(red) == 2 and text.count(green) == 1


def test_no_colour_is_no_colour():
    text = rendered(force_terminal=True, color_system="standard", no_color=True)
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]", text)


def test_the_headline_says_what_the_numbers_say():
    better, worse = headline(ROWS, "nDCG@10").splitlines()
    assert better == (
        "On handbook, mean-causal scores 0.710 nDCG@10, 0.050 above bm25 "
        "(95% interval 0.010 to 0.090, corrected p 0.020, 60 queries)."
    )
    assert worse == (
        "On scifact, nothing reaches bm25: hybrid(weighted_mean-bidirectional) scores "
        "0.600 nDCG@10, 0.060 below it (95% interval -0.100 to -0.020, "
        "corrected p below 0.001, 1,000 queries)."
    )
    assert headline([BASE, CLOSE], "nDCG@10") == (
        "On handbook, weighted_mean-bidirectional scores 0.664 nDCG@10, 0.004 above bm25, "
        "which among 1 comparison may be chance "
        "(95% interval -0.030 to 0.040, corrected p 1.000, 60 queries)."
    )
    assert headline(ROWS, "AP") == "On handbook, bm25 scores 0.660 AP, with nothing beside it."


def test_a_measure_without_rows_is_a_broken_promise():
    for act in (lambda: headline(ROWS, "RR"), lambda: table(ROWS, measure="RR")):
        with pytest.raises(ValueError, match="no row has the measure 'RR'; there are: nDCG@10, AP"):
            act()
