"""The page: a pure function of saved numbers, whose tables and sentences say what they are."""

import re
from dataclasses import replace

import pytest

from searchkit.study.page import render
from searchkit.study.study import OTHER_BATCHES

DESIGNS = {"a-0": ("a", 0), "a-1": ("a", 1), "b-0": ("b", 0), "b-1": ("b", 1)}
KINDS = {"bm25": "bm25"}


@pytest.fixture
def page(evaluation, recorded):
    """Eight sets: a has 0.4 and 0.5 over its seeds, b 0.1 more, untrained a 0.2, bm25 0.6."""
    scores = {
        f"set{number}": {
            "bm25": [0.6 + number / 100] * 2,
            "a-untrained": [0.2] * 2,
            "a-0": [0.4] * 2,
            "a-1": [0.5] * 2,
            "b-0": [0.5 + number / 100] * 2,
            "b-1": [0.6 + number / 100] * 2,
        }
        for number in range(8)
    }
    scores["alike"] = {name: of[:1] for name, of in scores["set0"].items() if name != "bm25"}
    return render(
        evaluation(scores, designs=DESIGNS, kinds=KINDS, tasks={"alike": "sts"}),
        recorded(["a", "b"], untrained=["a"], deviations={"b": ["regime pooling"]}),
    )


def tables(page):
    """Every table as rows of cells."""
    blocks = [block.splitlines() for block in page.split("\n\n") if block.startswith("|")]
    return [
        [[cell.strip() for cell in line.strip("|").split(" | ")] for line in block]
        for block in blocks
    ]


def test_the_first_tables_are_the_designs_and_the_papers_own(page):
    described, paper, *_ = tables(page)
    assert described[2:] == [
        ["`a`", "`mean-causal`", "", ""],
        ["`b`", "`mean-causal`", "first\\_layer 2", "regime pooling"],
    ]
    assert paper == [
        ["mean score", "retrieval<br>nDCG@10, 8 sets", "sts<br>nDCG@10, 1 set"],
        [":--", "--:", "--:"],
        ["`a`", "0.450", "0.450"],
        ["`b - a`", "+0.135 (.008, .003)", "+0.100"],
    ]
    assert "Not trained as the others: b (regime pooling)." in page


def test_differences_have_intervals_p_and_the_spread_of_seeds(page):
    *_, of_retrieval, of_sts = tables(page)[:4]
    assert of_retrieval[0] == [
        *("design", "mean", "difference [95%]", "p<br>by sets", "Holm<br>by sets"),
        *("[95%]<br>by items", "p<br>by items", "Holm<br>by items", "between seeds"),
    ]
    assert of_retrieval[2] == ["`a`", "0.450", "baseline", *[""] * 5, "0.071"]
    name, mean, difference, p, holm, *by_items, spread = of_retrieval[3]
    assert (name, mean, p, holm, spread) == ("`b`", "0.585", ".008", ".008", "0.071")
    assert re.fullmatch(r"\+0\.135 \[\+0\.1\d\d, \+0\.1\d\d\]", difference)
    # In each set, all items differ by the same; of 300 signs of 16 items, none is as far from 0.
    assert by_items == ["[+0.135, +0.135]", ".003", ".003"]
    assert of_sts[3] == ["`b`", "0.550", "+0.100", *[""] * 5, "0.071"]


def test_words_say_what_was_found(page):
    for said in (
        "# By hand",
        "2 designs of embedders over one language model, tiny, each trained with 2 seeds, shown "
        "the same 32 pairs in the same order for each seed, and compared on 9 sets, beside bm25.",
        "retrieval (8 sets, nDCG@10): the highest mean is b's, 0.585, +0.135 from a. A corrected p "
        "below .05 has the difference of b. Given these sets, by items, b has one.",
        "- sts (1 set, nDCG@10): the highest mean is b's, 0.550, +0.100 from a.\n",
        "retrieval (8 sets, nDCG@10): of 1 design, 1 gained by training, with an interval above "
        "zero. Given these sets, by items: 1.",
        "retrieval (8 sets, nDCG@10): the best is b, -0.050 from bm25 (-0.050 to -0.050), "
        "corrected p .016; given these sets, by items, -0.050 to -0.050, corrected p .007.",
        "With 8 sets no p by sets can be below .008, and none below .008 when corrected over 1 "
        "difference.",
    ):
        assert said in page


def test_costs_are_of_one_training(page):
    (costs,) = [table for table in tables(page) if "trained parameters" in table[0]]
    assert costs[0][1:] == [
        "trained parameters", "pairs seen", "minutes", "last loss", "tokens/s", "bytes a text",
    ]  # fmt: skip
    assert costs[2:] == [
        ["`a`", "1,234", "32", "1.5", "1.000", "", "128"],
        ["`b`", "1,234", "32", "1.5", "1.000", "", "128"],
    ]


def test_every_set_has_its_figures_with_the_spread_of_seeds(page):
    of_sets = next(table for table in tables(page) if "`set0`" in table[0])
    assert of_sets[0] == ["system", *(f"`set{number}`" for number in range(8)), "mean"]
    assert [line[0] for line in of_sets[2:]] == ["`bm25`", "`a-untrained`", "`a`", "`b`"]
    assert of_sets[4][1:] == ["0.450 ± 0.071"] * 8 + ["0.450"]
    assert of_sets[2][1:3] == ["0.600", "0.610"]


def test_it_is_said_how_it_was_made(page):
    made = page.partition("## How it was made")[2]
    for said in (
        "searchkit study run study.toml -o out",
        "The pairs, 39 in all:",
        f"`faq.jsonl`: 40, CC0 1.0, `{'b' * 64}`",
        "asks: 1 (faq.jsonl:3); dropped",
        "- steps: `4`\n",
        f"`b-1`: seed 1, `{'w' * 16}`",
        f"`set3`: retrieval, split test, 2 queries, `{'f' * 64}`",
        "torch 2.0, searchkit 0.1.0. Tests and intervals: 300 resamples, seed 0.",
    ):
        assert said in made
    assert "dims" not in made  # nothing is said of what was left at nothing


def test_few_sets_are_said_to_be_too_few(evaluation, recorded):
    scores = {
        name: {"a-0": [0.1], "a-1": [0.1], "b-0": [0.2], "b-1": [0.3]}
        for name in ("isles", "coast")
    }
    page = render(evaluation(scores, designs=DESIGNS), recorded(["a", "b"]))
    assert (
        "So few sets cannot tell: the least corrected p there can be for one of 1 difference is "
        ".500." in page
    )
    assert "## Trained and untrained" not in page


def test_each_group_of_designs_has_a_section(evaluation, recorded):
    means = {"a": [0.1], "b": [0.5], "c": [0.4]}
    scores = dict.fromkeys(("isles", "coast"), means)
    page = render(evaluation(scores), recorded(["a", "b", "c"], against={"c": "b"}))
    first, second = page.partition("## Against `b`")[::2]
    assert "## Against `a`" in first and "`b - a`" in first and "`c - " not in first
    assert "`c - b` | -0.100 (.500, .500) |" in second


def test_designs_with_other_templates_are_said_to_have_other_batches(evaluation, recorded):
    scores = {name: {"a": [0.1], "b": [0.5]} for name in ("isles", "coast")}
    page = render(
        evaluation(scores), recorded(["a", "b"], seeds=(0,), deviations={"b": [OTHER_BATCHES]})
    )
    assert (
        "shown the same 32 pairs in the same order for each seed (but for b, whose templates "
        "change the batches), and compared on 2 sets." in page
    )
    assert "All trainings have in common, but for deviations:" in page


def test_nothing_is_said_of_a_family_where_the_other_takes_part_in_some_sets(evaluation, recorded):
    """Of six sets, bm25 has two, and a hybrid with it as many."""
    scores = {
        f"set{number}": {
            "a": [0.2],
            "b": [0.3],
            **({"bm25": [0.1], "h": [0.9]} if number < 2 else {}),
            "minilm": [0.4],
        }
        for number in range(6)
    }
    kinds = {"bm25": "bm25", "h": "hybrid", "minilm": "reference"}
    page = render(
        evaluation(scores, designs={"h": ("h", 0), "a": ("a", 0), "b": ("b", 0)}, kinds=kinds),
        recorded(["a", "b"], seeds=(0,)),
    )
    bm25, minilm = page.partition("## Beside `bm25`")[2].partition("## Beside `minilm`")[::2]
    assert "the best is" not in bm25
    assert "- retrieval (6 sets, nDCG@10): the best is b, -0.100 from minilm" in minilm
    assert "With 6 sets no p by sets can be below .031" in minilm


def test_items_can_tell_where_sets_are_too_few(evaluation, recorded):
    """Five sets of eight items: no corrected p by sets is below .062, and by items b is above a."""
    scores = {
        f"set{number}": {
            "a": [0.1 * item for item in range(8)],
            "b": [0.1 * item + 0.05 * (item + number) for item in range(8)],
            "a-untrained": [0.1 * item + 0.05 * (-1) ** item for item in range(8)],
        }
        for number in range(5)
    }
    page = render(evaluation(scores), recorded(["a", "b"], seeds=(0,), untrained=["a"]))
    assert (
        "So few sets cannot tell: the least corrected p there can be for one of 1 difference is "
        ".062. Given these sets, by items, b has one." in page
    )
    assert (
        "of 1 design, 0 (not a) gained by training, with an interval above zero. Given these sets, "
        "by items: 0 (not a)." in page
    )
    assert "every set counts the same" in page


def test_resamplings_are_said_to_share_their_texts(evaluation, recorded):
    scores = {name: {"a": [0.1, 0.2], "b": [0.5, 0.4]} for name in ("isles", "coast")}
    results = evaluation(scores, tasks=dict.fromkeys(scores, "clustering"))
    pooled = {name: replace(facts, item="resampling") for name, facts in results.sets.items()}
    page = render(replace(results, sets=pooled), recorded(["a", "b"], seeds=(0,)))
    assert "By items: isles, coast: the resamplings of a set share its texts" in page
