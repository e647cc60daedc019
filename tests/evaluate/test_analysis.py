"""All pairs, families, seeds and warnings: by hand, against SciPy, and blind to every order."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from searchkit.evaluate.analysis import SeedSpread, analyse, seed_spreads
from searchkit.evaluate.families import over_sets
from searchkit.evaluate.results import Results, SetFacts, SystemFacts
from searchkit.evaluate.samples import set_means
from searchkit.evaluate.significance import benjamini_hochberg, holm, paired, signed_rank


def evaluation(
    scores, *, tasks=None, judged=None, designs=None, systems=None, resamples=500, seed=0, base=None
):
    """Results of {set: {system: {measure: values}}}; values are a list, or by item."""
    named = {
        name: {
            system: {
                measure: values
                if isinstance(values, dict)
                else dict(zip(IDS, values, strict=False))
                for measure, values in by_measure.items()
            }
            for system, by_measure in by_system.items()
        }
        for name, by_system in scores.items()
    }
    systems = systems or list(dict.fromkeys(one for by in named.values() for one in by))
    return Results(
        scores=named,
        sets={
            name: SetFacts(
                name=name,
                task=(tasks or {}).get(name, "retrieval"),
                split="test",
                item="query",
                items=0,
                measures=list(next(iter(by_system.values()))),
                fingerprint="",
                judged_at_10=(judged or {}).get(name, {}),
            )
            for name, by_system in named.items()
        },
        systems={
            name: SystemFacts(
                name=name,
                kind="run",
                design=(designs or {}).get(name, (name, None))[0],
                seed=(designs or {}).get(name, (name, None))[1],
            )
            for name in systems
        },
        baseline=base or systems[0],
        resamples=resamples,
        seed=seed,
        command="",
        versions={},
    )


IDS = [f"q{number:03}" for number in range(300)]


def random_scores(sets=2, systems=3, items=30, measures=("nDCG@10", "R@100"), seed=0):
    """One decimal: ties, zeros and ones among them."""
    rng = np.random.default_rng(seed)
    return {
        f"set {place}": {
            f"system {number}": {
                measure: list(rng.random(items).round(1) ** (1 + number / 4))
                for measure in measures
            }
            for number in range(systems)
        }
        for place in range(sets)
    }


def test_a_pair_by_hand():
    """Differences 0.5, 0.5, 0.25, 0.25, 0, -0.25, 0.5, 0.25: mean 0.25.

    Their sum is 2, and that of their sizes 2.5. Of 2^7 signs, five have a sum of 2 or more: all
    plus, and those with one of the four 0.25 minus; and five more mirror them.
    """
    a = [1.0, 0.5, 0.75, 0.25, 0.0, 0.0, 0.5, 1.0]
    b = [0.5, 0.0, 0.50, 0.00, 0.0, 0.25, 0.0, 0.75]
    (pair,) = analyse(evaluation({"s": {"a": {"m": a}, "b": {"m": b}}})).pairs
    assert (pair.set, pair.measure, pair.a, pair.b, pair.items) == ("s", "m", "a", "b", 8)
    assert pair.difference == 0.25
    assert (pair.wins, pair.ties, pair.losses) == (6, 1, 1)
    assert pair.p == pair.holm_p == pair.bh_p == 10 / 128
    # The squares of the distances from the mean: 3 of 1/16, 3 of 0, one of 1/16, one of 1/4.
    deviation = math.sqrt((3 / 16 + 1 / 16 + 1 / 4) / 7)
    assert pair.effect == pytest.approx(0.25 / deviation)
    # Statsmodels' TTestPower().solve_power(nobs=8, alpha=0.05, power=0.8) is 1.1560.
    assert pair.detectable == pytest.approx(1.156 * deviation, rel=1e-3)
    assert pair.low < 0.25 < pair.high


def test_pairs_agree_with_the_comparison_of_two():
    """Draws differ by the set's name: 10,000 leave a standard error of 0.005 in a p of 0.5."""
    scores = random_scores(sets=1, items=60)
    analysis = analyse(evaluation(scores, resamples=10_000))
    assert len(analysis.pairs) == 3 * 2
    for pair in analysis.pairs:
        a, b = (scores[pair.set][name][pair.measure] for name in (pair.a, pair.b))
        found = paired(a, b)
        error = np.subtract(a, b).std() / math.sqrt(60)
        assert pair.difference == pytest.approx(found.mean)
        assert (pair.wins, pair.ties, pair.losses) == (found.wins, found.ties, found.losses)
        assert (pair.low, pair.high) == pytest.approx((found.low, found.high), abs=0.2 * error)
        assert pair.p == pytest.approx(found.p, abs=0.03)
        assert pair.wilcoxon_p == signed_rank(np.subtract(a, b))


def test_p_agrees_with_scipys_permutation_test():
    """Both draw 10,000: the standard error of a p near 0.02 is 0.0014, that of two 0.002."""
    scores = random_scores(sets=1, systems=2, items=40, seed=75)
    a, b = (np.array(scores["set 0"][name]["nDCG@10"]) for name in ("system 0", "system 1"))
    theirs = stats.permutation_test(
        (a, b),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    ).pvalue
    pair = analyse(evaluation(scores, resamples=9999)).pairs[0]
    assert 0.01 < theirs < 0.05
    assert pair.p == pytest.approx(theirs, abs=0.008)


def test_corrections_are_over_all_pairs_of_all_sets_of_a_measure():
    analysis = analyse(evaluation(random_scores(sets=3)))
    for measure in ("nDCG@10", "R@100"):
        pairs = [pair for pair in analysis.pairs if pair.measure == measure]
        assert len(pairs) == 3 * 3
        p_values = [pair.p for pair in pairs]
        assert [pair.holm_p for pair in pairs] == holm(p_values)
        assert [pair.bh_p for pair in pairs] == benjamini_hochberg(p_values)


def test_pairs_come_by_set_measure_and_systems_in_the_order_of_the_evaluation():
    scores = random_scores(sets=2, systems=3, items=8)
    order = ["system 2", "system 0", "system 1"]
    pairs = analyse(evaluation(scores, systems=order)).pairs
    assert [(one.set, one.measure) for one in pairs[::3]] == [
        (name, measure) for name in ("set 0", "set 1") for measure in ("nDCG@10", "R@100")
    ]
    assert [(one.a, one.b) for one in pairs[:3]] == [
        ("system 2", "system 0"),
        ("system 2", "system 1"),
        ("system 0", "system 1"),
    ]


def test_no_order_moves_a_result():
    """Not that of items, sets or systems; the comparisons of reversed systems are turned round."""
    scores = random_scores(sets=3, systems=4)
    shuffled = {
        name: {
            system: {
                measure: dict(sorted(zip(IDS, values, strict=False), key=lambda one: one[0][::-1]))
                for measure, values in by_measure.items()
            }
            for system, by_measure in reversed(by_system.items())
        }
        for name, by_system in reversed(scores.items())
    }
    one, other = analyse(evaluation(scores)), analyse(evaluation(shuffled))
    assert one.systems == other.systems[::-1]
    assert one.means == other.means
    for pair in one.pairs:
        assert other.pair(pair.set, pair.measure, pair.a, pair.b) == pair
    mirrored = {(pair.b, pair.a): pair for pair in other.families}
    for family in one.families:
        turned = mirrored[family.a, family.b]
        assert (turned.low, turned.high) == (-family.high, -family.low)
        assert turned.holm_p == family.holm_p


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(*[st.sampled_from([0.0, 0.387, 0.5, 1.0]) | st.floats(0, 1)] * 2),
        min_size=1,
        max_size=25,
    )
)
def test_swapped_systems_mirror_everything_but_p(rows):
    a, b = ({"m": list(column)} for column in zip(*rows, strict=True))
    one = analyse(evaluation({"s": {"a": a, "b": b}, "t": {"a": a, "b": b}}, resamples=200))
    other = analyse(evaluation({"s": {"b": b, "a": a}, "t": {"b": b, "a": a}}, resamples=200))
    assert one.systems == other.systems[::-1]
    pair, turned = one.pairs[0], other.pairs[0]
    assert (turned.a, turned.b) == (pair.b, pair.a)
    assert turned.difference == -pair.difference
    assert (turned.low, turned.high) == (-pair.high, -pair.low)
    assert turned.effect == -pair.effect
    assert (turned.wins, turned.ties, turned.losses) == (pair.losses, pair.ties, pair.wins)
    for field in ("items", "p", "wilcoxon_p", "holm_p", "bh_p", "detectable"):
        assert getattr(turned, field) == getattr(pair, field)
    assert one.pair("s", "m", "b", "a") == turned
    assert pair.low <= pair.difference + 1e-12
    assert pair.difference <= pair.high + 1e-12
    family, mirrored = one.families[0], other.families[0]
    assert mirrored.difference == -family.difference
    assert (mirrored.low, mirrored.high) == (-family.high, -family.low)
    assert mirrored.p == family.p
    assert (mirrored.items_low, mirrored.items_high) == (-family.items_high, -family.items_low)
    assert mirrored.items_p == family.items_p


def test_a_seed_decides_the_result():
    scores = random_scores()
    assert analyse(evaluation(scores, seed=1)) == analyse(evaluation(scores, seed=1))
    one, other = (analyse(evaluation(scores, seed=seed)).pairs[0] for seed in (1, 2))
    assert one.low != other.low
    assert one.p != other.p


def test_sets_with_the_same_scores_have_draws_of_their_own():
    """Over sets, shared draws would pass for sets that agree."""
    same = random_scores(sets=1, systems=2)["set 0"]
    analysis = analyse(evaluation({"set": same, "copy": same}))
    one, other = (
        analysis.pair(name, "nDCG@10", "system 0", "system 1") for name in ("set", "copy")
    )
    assert one.difference == other.difference
    assert one.low != other.low
    assert one.p != other.p


def test_another_system_or_set_moves_nothing_but_corrections():
    few, many = random_scores(sets=1, systems=2), random_scores(sets=3, systems=2)
    many["set 0"] = {**few["set 0"], "another": few["set 0"]["system 1"]}
    (pair, _), found = analyse(evaluation(few)).pairs, analyse(evaluation(many))
    again = found.pair("set 0", pair.measure, pair.a, pair.b)
    assert again.holm_p != pair.holm_p
    assert (again.low, again.high) == pytest.approx((pair.low, pair.high), abs=1e-14)
    same = dataclasses.replace(again, low=pair.low, high=pair.high)
    assert dataclasses.replace(same, holm_p=pair.holm_p, bh_p=pair.bh_p) == pair


def test_many_comparisons_can_still_be_significant():
    """Ten resamples alone leave no p below 1/11, and Holm multiplies by three."""
    scores = {
        "s": {
            name: {"m": list(np.linspace(0, 0.5, 40) + shift)}
            for name, shift in (("a", 0.0), ("b", 0.1), ("c", 0.3))
        }
    }
    for pair in analyse(evaluation(scores, resamples=10)).pairs:
        assert pair.p == 1 / 301
        assert pair.holm_p == pytest.approx(3 / 301)


def test_letters_name_those_that_are_beaten():
    """Ten items all alike have p 2 / 1024; b and c win five each; six have 2 / 64, and Holm 4 / 64.

    That is the fourth of five p-values, so that two are left when it comes to it.
    """
    scores = {
        "s": {
            "a": {"m": [0.2] * 10},
            "b": {"m": [0.4] * 10},
            "c": {"m": [0.5] * 5 + [0.3] * 5},
        },
        "t": {"c": {"m": [0.5] * 20}, "b": {"m": [0.0] * 20}},
        "u": {"a": {"m": [0.9] * 6}, "b": {"m": [0.0] * 6}},
    }
    analysis = analyse(evaluation(scores))
    assert [analysis.letter(name) for name in analysis.systems] == ["a", "b", "c"]
    assert analysis.letters("s", "m") == {"a": "", "b": "a", "c": "a"}
    assert analysis.letters("t", "m") == {"b": "", "c": "b"}
    assert analysis.letters("u", "m") == {"a": "", "b": ""}
    assert analysis.pair("u", "m", "a", "b").holm_p == 4 / 64


def test_letters_do_not_run_out():
    scores = {"s": {f"{number:02}": {"m": [0.5]} for number in range(54)}}
    analysis = analyse(evaluation(scores, resamples=10))
    letters = [analysis.letter(name) for name in analysis.systems]
    assert letters[24:28] == ["y", "z", "a1", "b1"]
    assert letters[51:] == ["z1", "a2", "b2"]


def test_a_set_without_the_baseline_is_compared_with_its_first_system():
    scores = {
        "s": {"bm25": {"m": [0.1]}, "one": {"m": [0.2]}},
        "t": {"two": {"m": [0.1]}, "one": {"m": [0.2]}},
    }
    analysis = analyse(evaluation(scores, base="bm25"))
    assert analysis.systems == ("bm25", "one", "two")
    assert analysis.baseline("s") == "bm25"
    assert analysis.baseline("t") == "one"


def test_measures_of_a_set_may_have_items_of_their_own():
    texts = {f"t{number}": number % 2 for number in range(30)}
    parts = {f"p{number}": number / 10 for number in range(7)}
    other = {name: 1 - value for name, value in texts.items()}
    scores = {"s": {"a": {"F1": parts, "accuracy": texts}, "b": {"F1": parts, "accuracy": other}}}
    f1, accuracy = analyse(evaluation(scores)).pairs
    assert (f1.measure, f1.items, f1.ties) == ("F1", 7, 7)
    assert (accuracy.measure, accuracy.items, accuracy.wins) == ("accuracy", 30, 15)


def test_nothing_to_compare():
    analysis = analyse(evaluation({"s": {"only": {"m": [0.25, 0.75]}}}))
    assert analysis.means == {"s": {"m": {"only": 0.5}}}
    assert analysis.pairs == analysis.families == analysis.seeds == analysis.warnings == ()
    assert analysis.letters("s", "m") == {"only": ""}
    with pytest.raises(ValueError, match="only and other were not compared by m on s"):
        analysis.pair("s", "m", "only", "other")


# Families


def family_scores():
    """Eight sets of 20 items; `c` is missing from the last two."""
    scores = random_scores(sets=8, systems=2, items=20, measures=("nDCG@10",), seed=1)
    for place, systems in enumerate(scores.values()):
        values = systems.pop("system 1")["nDCG@10"]
        systems["a"] = systems.pop("system 0")
        systems["b"] = {"nDCG@10": [value - 0.01 * (place + 1) for value in values]}
        if place < 6:
            systems["c"] = {"nDCG@10": [value / 2 for value in values]}
    return scores


def test_a_family_is_tested_over_the_means_of_its_sets():
    scores = family_scores()
    analysis = analyse(evaluation(scores))
    ab, ac, bc = analysis.families
    assert [(one.a, one.b, one.sets) for one in (ab, ac, bc)] == [
        ("a", "b", 8),
        ("a", "c", 6),
        ("b", "c", 6),
    ]
    for pair in (ab, ac, bc):
        differences = [
            np.mean(systems[pair.a]["nDCG@10"]) - np.mean(systems[pair.b]["nDCG@10"])
            for systems in scores.values()
            if pair.b in systems
        ]
        assert (pair.task, pair.measure) == ("retrieval", "nDCG@10")
        assert pair.difference == pytest.approx(np.mean(differences))
        assert pair.p == pytest.approx(stats.wilcoxon(differences, method="exact").pvalue)
        assert pair.least_p == 2 / 2**pair.sets <= pair.p
        assert pair.low < pair.difference < pair.high
    p_values = [one.p for one in analysis.families]
    assert [one.holm_p for one in analysis.families] == holm(p_values)
    assert [one.bh_p for one in analysis.families] == benjamini_hochberg(p_values)


def test_a_familys_interval_is_that_of_sets_and_items_drawn_one_by_one():
    """A thousand draws leave a quantile a standard error of 0.08 of the spread, or less."""
    scores = family_scores()
    pair = next(one for one in analyse(evaluation(scores, resamples=4000)).families if one.b == "c")
    differences = [
        np.subtract(systems["a"]["nDCG@10"], systems["c"]["nDCG@10"])
        for systems in scores.values()
        if "c" in systems
    ]
    rng = np.random.default_rng(0)
    means = [
        np.mean([rng.choice(differences[place], 20).mean() for place in rng.integers(0, 6, 6)])
        for _ in range(1000)
    ]
    tail = stats.norm.sf(stats.t.ppf(0.975, 5) * math.sqrt(6 / 5))
    low, high = np.quantile(means, [tail, 1 - tail])
    spread = np.std(means)
    assert pair.high - pair.low == pytest.approx(high - low, rel=0.2)
    assert (pair.low, pair.high) == pytest.approx((low, high), abs=0.7 * spread)
    middle = np.mean([one.mean() for one in differences])
    assert (pair.low + pair.high) / 2 == pytest.approx(middle, abs=0.4 * spread)


def test_sets_of_a_task_with_another_main_measure_are_another_family():
    """Each of these families has a table, and corrections are over the differences of a table."""
    scores = random_scores(sets=6, systems=2, items=10, measures=("nDCG@10",))
    for name in ("set 4", "set 5"):
        scores[name] = {
            system: {"RR@10": by_measure["nDCG@10"], "nDCG@10": by_measure["nDCG@10"]}
            for system, by_measure in scores[name].items()
        }
    found = analyse(evaluation(scores)).families
    assert [(one.measure, one.sets, one.least_p) for one in found] == [
        ("nDCG@10", 4, 1 / 8),
        ("RR@10", 2, 1 / 2),
    ]
    assert [one.holm_p for one in found] == [one.p for one in found]


def test_one_set_and_sets_of_another_task_are_no_family():
    scores = random_scores(sets=3, systems=2, items=10)
    tasks = {"set 0": "sts", "set 1": "retrieval", "set 2": "retrieval"}
    (family,) = analyse(evaluation(scores, tasks=tasks)).families
    assert (family.task, family.sets) == ("retrieval", 2)


# Seeds


def test_seeds_by_hand():
    """Means 0.2 and 0.4: a standard deviation of 0.1 sqrt 2; items have 0.1 sqrt 2 and 0.2 sqrt 2.

    Over two items, the standard errors are 0.1 and 0.2. What has no seed, or another design, is
    left out.
    """
    scores = {
        "s": {
            "a-1": {"m": [0.1, 0.3]},
            "a-2": {"m": [0.2, 0.6]},
            "a": {"m": [0.9, 0.9]},
            "b-1": {"m": [0.9, 0.9]},
            "bm25": {"m": [0.5, 0.5]},
        },
        "t": {"a-1": {"m": [0.4]}, "a-2": {"m": [0.4]}},
    }
    designs = {"a-1": ("a", 1), "a-2": ("a", 2), "a": ("a", None), "b-1": ("b", 1)}
    one, other = analyse(evaluation(scores, designs=designs)).seeds
    assert one == SeedSpread(
        set="s",
        measure="m",
        design="a",
        seeds=2,
        mean=pytest.approx(0.3),
        spread=pytest.approx(0.1 * math.sqrt(2)),
        sampling=pytest.approx(0.15),
    )
    assert (other.set, other.spread, other.sampling) == ("t", 0.0, math.inf)


# Warnings


def warnings(scores, **kwargs):
    return analyse(evaluation(scores, **kwargs)).warnings


def two_systems(items):
    return {
        "a": {"m": [0.5] * items, "n": [0.5] * items},
        "b": {"m": [1] * items, "n": [1] * items},
    }


def test_too_few_items_are_said_once():
    assert warnings({"s": two_systems(5), "t": two_systems(12)}) == (
        "s: with 5 items, no p can be below 0.062; it takes 6 to get below 0.05",
        "retrieval over sets: with 2 sets, no p can be below 0.5; it takes 6 to get below 0.05",
    )


def test_items_that_correction_makes_too_few():
    """2 / 2^7 is 0.0156: below 0.05 times three, and above times six. What t has goes first."""
    three = {**two_systems(7), "c": two_systems(7)["b"]}
    many = {**two_systems(20), "c": two_systems(20)["b"]}
    tasks = {"s": "retrieval", "t": "sts", "u": "clustering"}
    assert warnings({"s": three}) == warnings({"s": three, "t": many}, tasks=tasks) == ()
    assert warnings({"s": three, "u": three, "t": many}, tasks=tasks) == (
        "s: with 7 items, no p can be below 0.016, nor below 0.094 when it is Holm-corrected "
        "for 9 comparisons",
        "u: with 7 items, no p can be below 0.016, nor below 0.094 when it is Holm-corrected "
        "for 9 comparisons",
    )


def test_sets_that_correction_makes_too_few():
    """Seven sets have a p of 0.0156 at least, and four systems six pairs."""
    rows = {name: {"m": [0.5] * 30} for name in "abcd"}
    assert warnings({f"set {place}": rows for place in range(7)}) == (
        "retrieval over sets: with 7 sets, no p can be below 0.016, nor below 0.094 when it is "
        "Holm-corrected for 6 comparisons",
    )


def test_documents_that_nobody_judged():
    scores = {"s": two_systems(20)}
    assert warnings(scores, judged={"s": {"a": 0.95, "b": 0.86}}) == ()
    assert warnings(scores, judged={"s": {"a": 0.95, "b": 0.84}}) == (
        "s: fewer of the first ten documents are judged for b (84%) than for a (95%); those not "
        "judged count as not relevant, which favours a",
    )
    assert warnings(scores, judged={"s": {"a": 0.55, "b": 0.3}}) == (
        "s: fewer than half of the first ten documents are judged, for b (30%); the others count "
        "as not relevant, which can decide a small difference",
    )
    (line,) = warnings(scores, judged={"s": {"a": 0.1, "b": 0.3}})
    assert "for every system" in line


# Broken promises


@pytest.mark.parametrize(
    ("b", "said"),
    [
        ({"m": {"q1": 1.0, "q3": 1.0}}, "m of a and b differ in 2 items, such as 'q2'"),
        ({"m": {"q1": 1.0}}, "m of a and b differ in 1 items, such as 'q2'"),
        ({"n": {"q1": 1.0}}, r"on s, b has the measures \['n'\], not \['m'\]"),
        ({"m": {"q1": 1.0, "q2": math.nan}}, "on s, m of b for 'q2' is nan"),
    ],
)
def test_systems_that_cannot_be_paired(b, said):
    scores = {"s": {"a": {"m": {"q1": 0.5, "q2": 0.5}}, "b": b}}
    with pytest.raises(ValueError, match=said):
        analyse(evaluation(scores))


def test_scores_that_are_missing():
    with pytest.raises(ValueError, match="on s, m of a has no items"):
        analyse(evaluation({"s": {"a": {"m": {}}}}))
    results = evaluation({"s": {"a": {"m": [1.0]}}})
    with pytest.raises(ValueError, match="scores but no facts of a"):
        analyse(dataclasses.replace(results, systems={}))
    with pytest.raises(ValueError, match="scores but no facts of s"):
        analyse(dataclasses.replace(results, sets={}))
    with pytest.raises(ValueError, match="s has no scores"):
        analyse(dataclasses.replace(results, scores={"s": {}}))


def test_resamplings_of_one_pool_are_warned_of():
    results = evaluation(random_scores(sets=2, items=10))
    assert not any("share its texts" in line for line in analyse(results).warnings)
    first, *_ = results.sets
    sets = {**results.sets, first: dataclasses.replace(results.sets[first], item="resampling")}
    (line,) = [
        line
        for line in analyse(dataclasses.replace(results, sets=sets)).warnings
        if "share its texts" in line
    ]
    assert line.startswith(f"{first}: the resamplings of a set")


def test_parts_of_a_set_are_compared_but_are_no_further_sets_of_their_task():
    results = evaluation(random_scores(sets=3, systems=2, items=12))
    whole, *parts = results.sets
    assert len(analyse(results).families) == 1
    sets = {
        name: dataclasses.replace(facts, part_of=whole if name in parts else None)
        for name, facts in results.sets.items()
    }
    divided = analyse(dataclasses.replace(results, sets=sets))
    assert divided.families == ()
    assert {pair.set for pair in divided.pairs} == {whole, *parts}


def test_sets_that_were_hardly_judged_are_warned_of_together():
    scores = random_scores(sets=3, systems=2, items=12)
    first, second, third = scores
    judged = {
        first: {"a": 0.1, "b": 0.2},
        second: {"a": 0.3, "b": 0.1},
        third: {"a": 0.9, "b": 0.4},
    }
    names = list(scores[first])
    judged = {
        name: dict(zip(names, shares.values(), strict=True)) for name, shares in judged.items()
    }
    lines = [line for line in analyse(evaluation(scores, judged=judged)).warnings if "half" in line]
    assert [line.partition(":")[0] for line in lines] == [f"{first}, {second}", third]


class TestChosenPairs:
    """`over_sets` says of some pairs what `analyse` says of all."""

    def test_all_pairs_are_those_of_the_analysis(self):
        results = evaluation(random_scores(sets=7, systems=4))
        analysis = analyse(results)
        pairs = [(pair.a, pair.b) for pair in analysis.families]
        assert len(pairs) == 6
        assert over_sets(results, {"all": pairs}) == {"all": analysis.families}

    def test_corrected_over_the_pairs_of_a_question_alone(self):
        results = evaluation(random_scores(sets=7, systems=4), resamples=1000)
        known = {(pair.a, pair.b): pair for pair in analyse(results).families}
        asked = {
            "first": [("system 0", "system 1"), ("system 0", "system 2")],
            "second": [("system 2", "system 3")],
        }
        for question, pairs in asked.items():
            found = over_sets(results, asked)[question]
            assert [(pair.a, pair.b) for pair in found] == pairs
            same = [known[pair] for pair in pairs]
            assert [(one.difference, one.low, one.high, one.p) for one in found] == [
                (one.difference, one.low, one.high, one.p) for one in same
            ]
            assert [one.holm_p for one in found] == holm([one.p for one in same])
            assert [one.items_p for one in found] == [one.items_p for one in same]
            assert [one.items_holm_p for one in found] == holm([one.items_p for one in same])

    def test_a_pair_the_other_way_round_is_the_same_with_the_other_sign(self):
        results = evaluation(random_scores(sets=7, systems=2))
        (one,) = over_sets(results, {"": [("system 0", "system 1")]})[""]
        (other,) = over_sets(results, {"": [("system 1", "system 0")]})[""]
        assert other.difference == pytest.approx(-one.difference)
        assert (other.low, other.high) == pytest.approx((-one.high, -one.low))
        assert other.p == one.p

    def test_parts_of_sets_and_single_sets_have_no_pair(self):
        results = evaluation(random_scores(sets=1, systems=2))
        assert over_sets(results, {"": [("system 0", "system 1")]}) == {"": ()}
        two = evaluation(random_scores(sets=2, systems=2))
        part = dataclasses.replace(two.sets["set 1"], part_of="set 0")
        two = dataclasses.replace(two, sets={**two.sets, "set 1": part})
        assert over_sets(two, {"": [("system 0", "system 1")]}) == {"": ()}


def test_means_and_spreads_alone_are_those_of_the_analysis():
    designs = {"system 0": ("d", 0), "system 1": ("d", 1)}
    results = evaluation(random_scores(), designs=designs)
    analysis = analyse(results)
    assert set_means(results) == analysis.means
    assert seed_spreads(results) == analysis.seeds != ()


class TestItemsOfGivenSets:
    """Where few sets cannot tell, items can, and they say so of these sets alone."""

    def scores(self, seed=5, items=(5, 3, 4)):
        rng = np.random.default_rng(seed)
        return {
            f"set {number}": {name: {"m": list(rng.integers(0, 9, size) / 8)} for name in "ab"}
            for number, size in enumerate(items)
        }

    def test_p_is_that_of_all_signs_of_items_where_every_set_counts_the_same(self):
        scores = self.scores()
        (pair,) = analyse(evaluation(scores)).families
        weighed = [
            (a - b) / (3 * len(of["a"]["m"]))
            for of in scores.values()
            for a, b in zip(of["a"]["m"], of["b"]["m"], strict=True)
        ]
        assert (pair.sets, pair.items) == (3, 12)
        assert pair.difference == pytest.approx(math.fsum(weighed))
        sums = [
            abs(sum(sign * one for sign, one in zip(signs, weighed, strict=True)))
            for signs in itertools.product((1, -1), repeat=12)
        ]
        extreme = sum(one >= abs(pair.difference) - 1e-12 for one in sums)
        assert pair.items_p == extreme / 2**12
        # One long set must not decide for three: by items that count the same, it would be another.
        alike = [
            a - b for of in scores.values() for a, b in zip(of["a"]["m"], of["b"]["m"], strict=True)
        ]
        assert paired(alike, [0] * 12).p != pair.items_p

    def test_drawn_signs_agree_with_scipy(self):
        scores = self.scores(seed=2, items=(12, 20, 8))
        (pair,) = analyse(evaluation(scores, resamples=20_000)).families
        weighed = np.concatenate(
            [
                (np.array(of["a"]["m"]) - of["b"]["m"]) / (3 * len(of["a"]["m"]))
                for of in scores.values()
            ]
        )
        oracle = stats.permutation_test(
            (weighed,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1
        )
        assert pair.items_p == pytest.approx(oracle.pvalue, abs=0.02)

    def test_the_interval_is_that_of_items_drawn_within_each_set(self):
        scores = self.scores(seed=3, items=(40, 60, 30))
        (pair,) = analyse(evaluation(scores, resamples=10_000)).families
        rng = np.random.default_rng(9)
        strata = [np.array(of["a"]["m"]) - of["b"]["m"] for of in scores.values()]
        means = np.mean(
            [rng.choice(one, (10_000, len(one))).mean(axis=1) for one in strata], axis=0
        )
        variances = [one.var(ddof=1) / len(one) for one in strata]
        freedom = sum(variances) ** 2 / sum(
            v**2 / (len(one) - 1) for v, one in zip(variances, strata, strict=True)
        )
        t_interval = stats.t.interval(0.95, freedom, pair.difference, math.sqrt(sum(variances)) / 3)
        assert (pair.items_low, pair.items_high) == pytest.approx(t_interval, abs=0.006)
        plain = np.quantile(means, [0.025, 0.975])
        assert pair.items_low == pytest.approx(plain[0], abs=0.008) and pair.items_low < plain[0]
        assert pair.items_high == pytest.approx(plain[1], abs=0.008)

    def test_they_can_tell_where_five_sets_cannot(self):
        rng = np.random.default_rng(0)
        scores = {}
        for number in range(5):
            b = rng.random(30)
            better, worse = b + 0.1 + rng.normal(0, 0.1, 30), b + rng.normal(0, 0.1, 30)
            scores[f"set {number}"] = {
                name: {"m": list(values)}
                for name, values in zip("abc", (better, b, worse), strict=True)
            }
        found = {(one.a, one.b): one for one in analyse(evaluation(scores)).families}
        ab, bc = found["a", "b"], found["b", "c"]
        assert ab.p == ab.least_p == 1 / 16 and ab.holm_p > 0.05
        assert ab.items_holm_p < 0.02 and ab.items_low > 0
        assert bc.items_p > 0.05 and bc.items_low < 0 < bc.items_high
        p_values = [one.items_p for one in found.values()]
        assert [one.items_holm_p for one in found.values()] == holm(p_values)
        assert [one.items_bh_p for one in found.values()] == benjamini_hochberg(p_values)

    def test_enough_signs_are_drawn_for_what_they_are_corrected_over(self):
        rng = np.random.default_rng(1)
        scores = {
            f"set {number}": {
                f"s{place:02}": {"m": list(place + rng.random(20))} for place in range(12)
            }
            for number in range(2)
        }
        found = analyse(evaluation(scores, resamples=500)).families
        assert len(found) == 66
        assert [one.items_holm_p for one in found] == pytest.approx([66 / 6601] * 66)

    def test_single_items_have_no_spread_and_no_interval(self):
        scores = {f"set {number}": {"a": {"m": [0.5]}, "b": {"m": [0.25]}} for number in range(2)}
        (pair,) = analyse(evaluation(scores)).families
        assert (pair.items_low, pair.items_high, pair.items_p) == (0.25, 0.25, 0.5)
