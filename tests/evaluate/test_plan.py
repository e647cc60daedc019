"""What a suite would take: distinct texts, tokens that nobody computed yet, and their time."""

import random
from dataclasses import replace

import pytest

from searchkit.encode.variant import parse
from searchkit.errors import BadInput
from searchkit.evaluate import runner
from searchkit.evaluate.plan import Step, plan
from searchkit.evaluate.suite import SetRow, Suite

# Texts of each set, counted by hand: 60 documents and 12 queries; 40 candidates and 8 queries; two
# for each of 24 pairs; 30 to learn from, of which no label has more than it draws in ten times, and
# 20 to label; 50 to cluster.
TEXTS = {
    "retrieval": 60 + 12,
    "reranking": 40 + 8,
    "sts": 2 * 24,
    "classification": 30 + 20,
    "clustering": 50,
}


@pytest.fixture(scope="module")
def make(data, base):
    def suite(*sets, designs=("mean-causal", "eos_last-causal", "mean-bidirectional")) -> Suite:
        rows = (one if isinstance(one, SetRow) else SetRow(source=str(data / one)) for one in sets)
        return Suite(
            sets=tuple(rows),
            lexical={"bm25": None},
            variants=tuple(parse(design, base=base, max_tokens=64) for design in designs),
            dtype="float32",
            device="cpu",
        )

    return suite


@pytest.mark.parametrize("name", TEXTS)
def test_tokens_of_a_small_set_are_those_that_are_then_computed(make, computed, name):
    suite = make(name)
    steps = list(plan(suite))
    assert [step.systems for step in steps] == [
        ("mean-causal", "eos_last-causal"),
        ("mean-bidirectional",),
    ]
    assert {(step.set, step.texts) for step in steps} == {(name, TEXTS[name])}
    assert {step.seconds for step in steps} == {None}  # nothing ever ran here
    assert computed == []
    runner.evaluate(suite)
    assert sum(step.tokens for step in steps) == sum(computed) > 0
    for step in plan(suite):
        assert (step.tokens, step.seconds) == (0, 0.0)


def test_texts_are_counted_once(make, tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    (folder / "test.tsv").write_text(
        "sentence1\tsentence2\tscore\na ferry\ta tide\t1\na tide\ta ferry\t2\na ferry\ta sheep\t3\n"
    )
    (step,) = plan(make(SetRow(source=str(folder)), designs=["mean-causal"]))
    assert (step.texts, step.size, step.task) == (3, "3 pairs", "sts")


def test_what_an_earlier_run_computed_is_not_counted(make, data):
    row = SetRow(source=str(data / "sts"), sample=12)
    (before,) = plan(make("sts", designs=["mean-causal"]))
    runner.evaluate(make(row, designs=["mean-causal"]))
    (half,) = plan(make("sts", designs=["mean-causal"]))
    assert half.tokens == pytest.approx(before.tokens / 2, rel=0.1)
    assert half.texts == before.texts
    assert 0 < half.seconds < 60  # the speed is known now


def test_tokens_of_a_large_set_are_estimated(make, computed, write_retrieval, tmp_path):
    draw = random.Random(2)
    documents = [
        (
            f"d{i}",
            "",
            f"{' '.join(draw.choices(['sea', 'ferry', 'tide'], k=draw.randint(3, 15)))} {i}",
        )
        for i in range(900)
    ]
    folder = write_retrieval(
        tmp_path / "large", documents, [("q", "ferry", {})], test=[("q", "d0", 1)]
    )
    suite = make(SetRow(source=str(folder)), designs=["eos_last-causal"])
    (step,) = plan(suite)
    assert (step.texts, step.size) == (901, "1 queries")
    runner.evaluate(suite)
    assert step.tokens == pytest.approx(sum(computed), rel=0.2)
    (step,) = plan(suite)
    assert (step.tokens, step.seconds) == (0, 0.0)


def test_a_plan_builds_no_index_and_loads_no_model(make, home, no_model):
    no_model()
    assert len(list(plan(make(*TEXTS)))) == 2 * len(TEXTS)
    assert not list(home.rglob("*.npy"))
    assert not (home / "evaluations/indexes").exists()


def test_a_plan_without_encoders_names_the_sets(make):
    suite = make("retrieval", "reranking", designs=[])
    assert list(plan(suite)) == [
        Step("retrieval", "retrieval", "12 queries", (), TEXTS["retrieval"], 0, 0.0),
        Step("reranking", "reranking", "8 queries", (), TEXTS["reranking"], 0, 0.0),
    ]


def test_a_plan_refuses_what_an_evaluation_would(make, data):
    suite = make("sts", SetRow(source=str(data / "retrieval"), name="sts"))
    for call in (lambda: next(plan(suite)), lambda: runner.evaluate(suite)):
        with pytest.raises(BadInput, match="two sets are called 'sts'"):
            call()
    with pytest.raises(BadInput, match="'AP' is no measure of sts"):
        next(plan(replace(make("sts"), measures={"sts": ("AP",)})))
