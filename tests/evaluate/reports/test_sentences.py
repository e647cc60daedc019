"""Sentences say what the numbers say, and no more."""

from dataclasses import replace

import pytest

from searchkit.evaluate.analysis import analyse
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.numbers import amount, counted, difference, fixed, p_value
from searchkit.evaluate.reports._order import Family
from searchkit.evaluate.reports._sentences import caption, family_caption, finding, headline

SET = "handbook"


def family_pair(a, b, difference, low, high, *, p, holm_p, sets=8, items=None):
    items_low, items_high, items_p = items or (low, high, holm_p)
    return FamilyPair(
        task="retrieval",
        measure="nDCG@10",
        a=a,
        b=b,
        sets=sets,
        difference=difference,
        low=low,
        high=high,
        p=p,
        holm_p=holm_p,
        bh_p=holm_p,
        least_p=2 / 2**sets,
        items=50 * sets,
        items_low=items_low,
        items_high=items_high,
        items_p=items_p,
        items_holm_p=items_p,
        items_bh_p=items_p,
    )


def test_a_system_that_is_surely_better_beats_the_baseline(build):
    means = {SET: {"bm25": 0.660, "mean-causal": 0.691, "other": 0.5}}
    pairs = {
        (SET, "bm25", "mean-causal"): (-0.050, -0.012, 0.002, 0.006),
        (SET, "bm25", "other"): (0.1, 0.2, 0.0001, 0.0003),
    }
    # Holm over two comparisons: .0001 times two, .002 times one.
    assert headline(*build(means, pairs)) == (
        "mean-causal beats bm25 on handbook by 0.031 nDCG@10 (0.012 to 0.050), "
        "p .002 corrected among 2 comparisons."
    )


def test_what_may_be_chance_is_called_that(build):
    means = {SET: {"bm25": 0.660, "mean-causal": 0.673}}
    pairs = {(SET, "bm25", "mean-causal"): (-0.038, 0.013, 0.318, 0.318)}
    assert headline(*build(means, pairs)) == (
        "mean-causal is 0.013 nDCG@10 above bm25 on handbook (-0.013 to 0.038), "
        "which may be chance: p .318."
    )


def test_a_steadier_system_is_named_beside_a_best_one_that_may_be_chance(build):
    means = {SET: {"bm25": 0.5, "lucky": 0.6, "steady": 0.55}}
    pairs = {
        (SET, "bm25", "lucky"): (-0.3, 0.1, 0.2, 0.4),
        (SET, "bm25", "steady"): (-0.06, -0.04, 0.001, 0.003),
    }
    assert headline(*build(means, pairs)) == (
        "lucky is 0.100 nDCG@10 above bm25 on handbook (-0.100 to 0.300), which may be chance: "
        "p .200 corrected among 2 comparisons; steady beats bm25 by 0.050 nDCG@10 (0.040 to "
        "0.060), p .002 corrected among 2 comparisons."
    )


@pytest.mark.parametrize(
    ("p", "said"),
    [(0.0001, ", p <.001."), (0.3, ", which may be chance: p .300.")],
)
def test_where_nothing_reaches_the_baseline_distances_are_positive(build, p, said):
    means = {SET: {"bm25": 0.660, "mean-causal": 0.359}}
    pairs = {(SET, "bm25", "mean-causal"): (0.25, 0.351, p, p)}
    assert headline(*build(means, pairs)) == (
        "Nothing is above bm25 on handbook: mean-causal is the closest, 0.301 nDCG@10 below it "
        f"(0.250 to 0.351){said}"
    )


def test_a_draw_is_no_win(build):
    means = {SET: {"bm25": 0.5, "twin": 0.5}}
    assert headline(*build(means, {(SET, "bm25", "twin"): (-0.1, 0.1, 1.0, 1.0)})) == (
        "Nothing is above bm25 on handbook: twin is level with it (-0.100 to 0.100), "
        "which may be chance: p 1.000."
    )


def test_a_baseline_alone_has_nothing_beside_it(build):
    results, analysis = build({SET: {"bm25": 0.66}})
    assert headline(results, analysis) == (
        "On handbook, bm25 scores 0.660 nDCG@10, with nothing beside it."
    )
    assert caption(results, analysis, SET, "nDCG@10") == (
        "Mean over 60 queries. bm25 is alone: there is nothing to compare it with."
    )


def test_the_best_is_called_untrained_and_one_of_several_seeds(build):
    means = {SET: {"bm25": 0.5, "mean@1": 0.6, "mean@2": 0.55}}
    pairs = {(SET, "bm25", "mean@1"): (-0.2, -0.05, 0.001, 0.001)}
    said = headline(*build(means, pairs, trained=False))
    assert said.startswith("mean@1 (untrained, the best of 2 seeds) beats bm25 on handbook by")
    assert "untrained" not in headline(*build(means, pairs, trained=True))
    assert "untrained" not in headline(*build(means, pairs, trained=None))


EIGHT = {f"set{i}": {"bm25": 0.5, "minilm": 0.6} for i in range(8)}


def significant(names):
    return {(name, "bm25", "minilm"): (-0.15, -0.05, 0.0001, 0.0001) for name in names}


def test_over_several_sets_the_tally_follows_the_family(build):
    pair = family_pair("bm25", "minilm", -0.1, -0.12, -0.08, p=0.0078125, holm_p=0.0078125)
    results, analysis = build(EIGHT, significant(EIGHT), families=[pair])
    assert headline(results, analysis).splitlines() == [
        "minilm beats bm25 on average over 8 retrieval sets by 0.100 nDCG@10 (0.080 to 0.120), "
        "p .008. Given these sets, by their 400 items: 0.080 to 0.120, p .008.",
        "Set by set, minilm beats bm25 on all 8 sets.",
    ]
    assert finding(results, analysis, "set3") == (
        "minilm beats bm25 on set3 by 0.100 nDCG@10 (0.050 to 0.150), "
        "p <.001 corrected among 8 comparisons."
    )


def test_gains_losses_and_chance_are_counted_apart(build):
    means = {**EIGHT, "set0": {"bm25": 0.5, "minilm": 0.3}, "set1": {"bm25": 0.5, "minilm": 0.4}}
    pairs = significant(["set2", "set3", "set4", "set5"]) | {
        ("set0", "bm25", "minilm"): (0.1, 0.3, 0.0001, 0.0001)
    }
    pair = family_pair("bm25", "minilm", -0.05, -0.2, 0.1, p=0.3, holm_p=0.3)
    assert headline(*build(means, pairs, families=[pair])).splitlines() == [
        "minilm is 0.050 nDCG@10 above bm25 on average over 8 retrieval sets (-0.100 to 0.200), "
        "which may be chance: p .300. Given these sets, by their 400 items: -0.100 to 0.200, "
        "p .300.",
        "Set by set, minilm beats bm25 on 4 of 8 sets, loses to bm25 on set0 and may differ from "
        "it by chance alone on set1, set6 and set7.",
    ]


def test_too_few_sets_for_the_test_are_not_taken_for_chance(build):
    """With 3 sets no p is below 2 / 2**3, and with 8 and 28 pairs none below 28 * 2 / 2**8."""
    three = {name: EIGHT[name] for name in list(EIGHT)[:3]}
    items = (-0.11, -0.09, 0.0004)
    pair = family_pair(
        "bm25", "minilm", -0.1, -0.12, -0.08, p=0.25, holm_p=0.25, sets=3, items=items
    )
    results, analysis = build(three, families=[pair])
    assert headline(results, analysis).splitlines() == [
        "minilm is 0.100 nDCG@10 above bm25 on average over 3 retrieval sets (0.080 to 0.120); "
        "with so few sets, no difference could be significant: the least p there can be, .250, is "
        "corrected among 1 pair. Given these sets, by their 150 items: 0.090 to 0.110, p <.001.",
        "On none of these sets alone do minilm and bm25 differ by more than chance may.",
    ]
    others = [
        family_pair("bm25", f"x{i}", 0.1, 0.0, 0.2, p=0.0078125, holm_p=0.2) for i in range(27)
    ]
    pair = family_pair("bm25", "minilm", -0.1, -0.12, -0.08, p=0.0078125, holm_p=0.21875)
    results, analysis = build(EIGHT, families=[pair, *others])
    assert "is corrected among 28 pairs." in headline(results, analysis)
    said = family_caption(analysis, Family("retrieval", "nDCG@10", tuple(EIGHT)))
    assert "With 8 sets, no p can be below .008, and none below .219 when corrected." in said
    assert "By items: the same difference with these sets taken as given" in said


def test_the_headline_of_the_whole_evaluation_has_each_task(results, analysis):
    said = headline(results, analysis)
    assert "over 3 retrieval sets" in said
    assert "over 2 sts sets" in said
    assert "minilm beats bm25 on scifact, loses to bm25 on cacm" in said
    assert finding(results, analysis, "cranfield").startswith("minilm is 0.056 nDCG@10 above bm25")
    assert headline(results, analysis) == said


def test_the_caption_counts_items_resamples_and_comparisons(results, analysis):
    assert caption(results, analysis, "stsb", "Pearson") == (
        "Mean over 50 pairs; difference from minilm, 400 resamples; p Holm-corrected over 4 "
        "comparisons, letters over 6 pairs."
    )
    assert "9 comparisons, letters over 18 pairs" in caption(results, analysis, "cacm", "nDCG@10")


def test_families_count_the_pairs_of_their_task_alone(build):
    pair = family_pair("bm25", "minilm", -0.1, -0.12, -0.08, p=0.0078125, holm_p=0.0078125)
    foreign = replace(pair, task="sts")
    _, analysis = build(EIGHT, families=[pair, foreign])
    said = family_caption(analysis, Family("retrieval", "nDCG@10", tuple(EIGHT)))
    assert "corrected over 1 pair." in said


def test_numbers_are_written_alike_everywhere():
    assert [fixed(0.71), fixed(-0.0001), fixed(1)] == ["0.710", "0.000", "1.000"]
    assert difference(0.05, -0.0004, 0.1) == "+0.050 [+0.000, +0.100]"
    assert [p_value(p) for p in (0.0009, 0.001, 0.0204, 0.9999, 1.0)] == [
        *("<.001", ".001", ".020", "1.000", "1.000"),
    ]
    assert [amount(-0.031, "AP"), amount(0.0004, "AP"), amount(0.0, "AP")] == [
        *("0.031 AP", "less than 0.001 AP", "0.000 AP"),
    ]
    assert [counted(1, "query"), counted(2000, "query"), counted(3, "text")] == [
        *("1 query", "2,000 queries", "3 texts"),
    ]


def test_parts_of_a_set_are_not_counted_as_sets(results):
    whole, *others = [name for name, facts in results.sets.items() if facts.task == "retrieval"]
    sets = {
        name: replace(facts, part_of=whole if name in others else None)
        for name, facts in results.sets.items()
        if facts.task == "retrieval"
    }
    scores = {name: results.scores[name] for name in sets}
    divided = replace(results, sets=sets, scores=scores)
    (line,) = headline(divided, analyse(divided)).splitlines()
    assert f"on {whole}" in line.lower() or f"On {whole}" in line


def test_sets_that_one_system_has_for_itself_are_told_together(results):
    names = [name for name, facts in results.sets.items() if facts.task == "sts"]
    system = next(iter(results.scores[names[0]]))
    scores = {name: {system: results.scores[name][system]} for name in names}
    sets = {name: results.sets[name] for name in names}
    alone = replace(results, scores=scores, sets=sets, explorer={})
    measure = sets[names[0]].measures[0]
    means = [sum(of.values()) / len(of) for of in (one[system][measure] for one in scores.values())]
    assert headline(alone, analyse(alone)) == (
        f"On 2 sts sets, {system} scores a mean {measure} of {sum(means) / 2:.3f}, alone."
    )
