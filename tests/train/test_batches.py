"""Batches: what none may hold, what a pass uses, and how like the lengths of a batch are."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.errors import BadInput
from searchkit.records import Pair
from searchkit.train.batches import left_out, plan
from searchkit.train.pairs import comparable


def make(*, source="s", queries, positives=None):
    """Pairs of one source with these texts; passages are all different where none are given."""
    positives = positives or [f"passage of {source} {n}" for n in range(len(queries))]
    return [
        Pair(f"{source}:{n}", query, positive, source)
        for n, (query, positive) in enumerate(zip(queries, positives, strict=True))
    ]


def distinct(source, count):
    return make(source=source, queries=[f"question of {source} {n}" for n in range(count)])


def lists(batches):
    return [batch.tolist() for batch in batches]


# Pairs whose few texts come again and again, in three sources, beside enough that never do.
@st.composite
def training(draw):
    batch_size = draw(st.integers(1, 6))
    text = st.sampled_from([f"Text {n}." for n in range(12)])
    pairs = distinct("z", 2 * batch_size)
    for source in draw(st.sets(st.sampled_from("abc"))):
        found = draw(st.lists(st.tuples(text, text), max_size=25))
        queries = [query for query, _ in found]
        positives = [draw(st.sampled_from([one, one.upper()])) for _, one in found]
        pairs += make(source=source, queries=queries, positives=positives)
    pairs = draw(st.permutations(pairs))
    lengths = draw(st.lists(st.integers(1, 300), min_size=len(pairs), max_size=len(pairs)))
    return pairs, lengths, batch_size


@given(training(), st.integers(1, 25), st.integers(0, 2**40), st.booleans())
def test_no_batch_holds_a_text_twice_or_two_sources(training, steps, seed, mixed):
    pairs, lengths, batch_size = training
    batches = plan(pairs, lengths, batch_size=batch_size, steps=steps, seed=seed, mixed=mixed)
    assert len(batches) == steps
    for batch in batches:
        assert batch.shape == (batch_size,)
        assert batch.dtype == np.int64
        members = [pairs[row] for row in batch]
        texts = [{comparable(one.query), comparable(one.positive)} for one in members]
        assert sum(map(len, texts)) == len(set().union(*texts))
        assert mixed or len({one.source for one in members}) == 1
        assert all(lengths[one] <= lengths[other] for one, other in pairwise(batch))


@given(training(), st.integers(1, 25), st.integers(0, 2**40), st.booleans())
def test_equal_arguments_give_equal_plans(training, steps, seed, mixed):
    pairs, lengths, batch_size = training
    arguments = {"batch_size": batch_size, "steps": steps, "seed": seed, "mixed": mixed}
    assert lists(plan(pairs, lengths, **arguments)) == lists(plan(pairs, lengths, **arguments))


@given(st.integers(1, 5), st.integers(1, 40), st.integers(1, 4), st.integers(0, 99), st.booleans())
def test_in_a_pass_a_pair_is_used_once_and_less_than_a_batch_is_left(
    batch_size, extra, passes, seed, same_length
):
    pairs = distinct("a", batch_size + extra)
    lengths = [7 if same_length else n + 1 for n in range(len(pairs))]
    in_a_pass = len(pairs) // batch_size
    batches = plan(pairs, lengths, batch_size=batch_size, steps=passes * in_a_pass, seed=seed)
    for start in range(0, len(batches), in_a_pass):
        used = np.concatenate(batches[start : start + in_a_pass])
        assert len(set(used.tolist())) == len(used) == in_a_pass * batch_size


def test_another_seed_gives_another_plan():
    pairs = distinct("a", 40)
    plans = [lists(plan(pairs, [9] * 40, batch_size=4, steps=10, seed=seed)) for seed in range(20)]
    assert len({str(one) for one in plans}) == 20


def test_a_plan_is_the_same_on_every_machine():
    """Its first use was written down here; a change of it is a change of every training."""
    pairs = distinct("a", 7) + distinct("b", 5)
    lengths = [3, 90, 8, 41, 12, 77, 25, 5, 5, 60, 14, 33]
    written_down = [[8, 10], [0, 2], [5, 1], [4, 3], [5, 1], [11, 9]]
    assert lists(plan(pairs, lengths, batch_size=2, steps=6, seed=5)) == written_down


@given(st.lists(st.integers(4, 60), min_size=1, max_size=6), st.integers(1, 80), st.integers(0, 9))
def test_sources_share_the_steps_in_proportion_to_their_sizes(sizes, steps, seed):
    pairs = [pair for number, size in enumerate(sizes) for pair in distinct(str(number), size)]
    batches = plan(pairs, [9] * len(pairs), batch_size=4, steps=steps, seed=seed)
    counts = Counter(int(pairs[batch[0]].source) for batch in batches)
    for number, size in enumerate(sizes):
        assert abs(counts[number] - steps * size / sum(sizes)) < 1


def test_sources_take_turns_at_random():
    pairs = distinct("a", 400) + distinct("b", 400)
    batches = plan(pairs, [9] * 800, batch_size=4, steps=200, seed=0)
    turns = [pairs[batch[0]].source for batch in batches]
    changes = sum(one != other for one, other in pairwise(turns))
    assert 70 < changes < 130  # 100 are expected of a fair coin, with a deviation of 7


def test_every_pair_has_its_turn_whatever_its_length():
    """A quarter is left out of each pass; it is not always the longest, nor the shortest."""
    pairs = distinct("a", 20)
    lengths = list(range(10, 210, 10))
    batches = plan(pairs, lengths, batch_size=15, steps=400, seed=0)
    used = np.bincount(np.concatenate(batches), minlength=20)
    assert used.min() > 260  # 300 are expected, with a deviation of 9
    assert used.max() < 340


def test_duplicates_are_left_out_by_turns():
    """A query of 30 pairs meets each of 10 batches once; the other 20 pairs wait."""
    pairs = make(queries=["again"] * 30 + [f"once {n}" for n in range(60)])
    batches = plan(pairs, [9] * 90, batch_size=6, steps=240, seed=0)
    for start in range(0, 240, 12):  # 12 batches: 12 of the 30, and the 60
        used = np.concatenate(batches[start : start + 12])
        assert len(set(used.tolist())) == 72
        assert (used < 30).sum() == 12
    times = np.bincount(np.concatenate(batches), minlength=90)
    assert times[30:].tolist() == [20] * 60
    assert times[:30].min() > 0


@pytest.mark.parametrize("seed", range(5))
def test_a_pair_of_equal_texts_is_one_duplicate(seed):
    pairs = make(queries=["a", "a", "b", "c"], positives=["a", "a", "d", "e"])
    batches = plan(pairs, [9] * 4, batch_size=2, steps=2, seed=seed)
    assert sorted(np.concatenate(batches).tolist()) == [0, 1, 2, 3]


def test_a_batch_holds_pairs_of_like_lengths():
    draw = np.random.default_rng(0)
    lengths = np.exp(draw.normal(4.5, 0.8, size=4000)).astype(int) + 1
    batches = plan(distinct("a", 4000), lengths.tolist(), batch_size=32, steps=125, seed=0)
    padded = sum(32 * lengths[batch].max() for batch in batches) / lengths.sum()
    at_random = lengths[draw.permutation(4000)].reshape(125, 32)
    assert padded < 1.15 < 3 < 32 * at_random.max(axis=1).sum() / lengths.sum()


def test_batches_of_all_lengths_appear_throughout():
    lengths = list(range(1, 1001))
    batches = plan(distinct("a", 1000), lengths, batch_size=10, steps=100, seed=0)
    thirds = np.array([np.mean([lengths[row] for row in batch]) // 334 for batch in batches])
    for part in thirds.reshape(5, 20):
        assert np.bincount(part.astype(int), minlength=3).min() >= 3  # 6 or 7 are expected


def test_pairs_of_equal_length_meet_others_in_each_pass():
    batches = plan(distinct("a", 64), [9] * 64, batch_size=8, steps=16, seed=0)
    first, second = (
        {frozenset(batch) for batch in lists(half)} for half in (batches[:8], batches[8:])
    )
    assert not first & second


def test_duplicates_go_to_batches_near_their_length():
    """A passage with five questions, of which each batch of like length can take one."""
    queries = [f"question {n}" for n in range(500)]
    positives = [f"passage {n // 5}" for n in range(500)]
    lengths = [10 + 4 * (n // 5) for n in range(500)]  # 10, ..., 406
    batches = plan(
        make(queries=queries, positives=positives), lengths, batch_size=10, steps=50, seed=0
    )
    assert len(set(np.concatenate(batches).tolist())) == 500
    widths = [lengths[batch[-1]] - lengths[batch[0]] for batch in batches]
    assert np.median(widths) < 100  # ten different passages are at least 36 apart; at random, 330


def test_a_source_too_small_for_a_batch_is_left_out_and_counted():
    pairs = distinct("big", 20) + distinct("small", 3) + make(source="same", queries=["a"] * 9)
    batches = plan(pairs, [9] * 32, batch_size=4, steps=10, seed=0)
    assert {pairs[row].source for batch in batches for row in batch} == {"big"}
    assert left_out(pairs, batches) == (
        "sources in no batch: 2 (small: 3, same: 9); too few pairs without duplicates or too few "
        "steps; smaller batches, mixed ones or more steps may use them",
        "pairs in no batch: 12 of 32",
    )


def test_nothing_is_said_where_all_pairs_are_used():
    pairs = distinct("a", 20)
    assert left_out(pairs, plan(pairs, [9] * 20, batch_size=4, steps=5, seed=0)) == ()
    assert left_out(pairs, plan(pairs, [9] * 20, batch_size=4, steps=4, seed=0)) == (
        "pairs in no batch: 4 of 20",
    )


def test_mixing_fills_batches_that_no_source_does():
    pairs = distinct("a", 3) + distinct("b", 3)
    (batch,) = plan(pairs, [9] * 6, batch_size=6, steps=1, seed=0, mixed=True)
    assert sorted(batch.tolist()) == list(range(6))


@pytest.mark.parametrize(
    ("pairs", "options", "said"),
    [
        (
            distinct("a", 3) + distinct("b", 5),
            {},
            "no source fills a batch of 6 pairs without a text twice (the largest is 'b' with 5 "
            "pairs); take smaller batches, or mix the sources",
        ),
        (
            make(queries=["?"] * 2000),
            {},
            "2,000 pairs do not fill a batch of 6 without a text twice; take smaller batches",
        ),
        (
            distinct("a", 3) + distinct("b", 2),
            {"mixed": True},
            "5 pairs do not fill a batch of 6 without a text twice; take smaller batches",
        ),
        ([], {}, "no pairs to train on; give a file of pairs"),
        (
            distinct("a", 6),
            {"steps": 0},
            "0 steps of 6 pairs train nothing; take 1 or more of each",
        ),
    ],
)
def test_what_fills_no_batch_is_refused(pairs, options, said):
    with pytest.raises(BadInput) as caught:
        plan(pairs, [9] * len(pairs), **{"batch_size": 6, "steps": 2, "seed": 0, **options})
    assert str(caught.value) == said


def test_there_is_a_length_for_each_pair():
    with pytest.raises(ValueError, match="2 lengths for 3 pairs"):
        plan(distinct("a", 3), [9, 9], batch_size=1, steps=1, seed=0)
