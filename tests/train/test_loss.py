"""Losses against NumPy, values worked by hand, and what must not change them."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax, logsumexp
from torch.testing import assert_close

from searchkit.train.loss import Outcome, distilled, duplicates, info_nce, nested

EYE = torch.eye(2)


def unit(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    vectors = torch.randn(*shape, generator=generator, dtype=torch.float64)
    return torch.nn.functional.normalize(vectors, dim=1).to(dtype)


@st.composite
def batches(draw):
    """Queries (B, D), passages (B + N, D) and a mask off the diagonal, as float64."""
    size, negatives = draw(st.integers(1, 6)), draw(st.integers(0, 5))
    seed = draw(st.integers(0, 10**6))
    masked = np.random.default_rng(seed).random((size, size + negatives)) < 0.3
    np.fill_diagonal(masked, False)
    vectors = unit(2 * size + negatives, 4, seed=seed)
    return vectors[:size], vectors[size:], torch.from_numpy(masked)


temperatures = st.floats(0.02, 2)


def numpy_info_nce(queries, passages, temperature, masked, both_ways):
    """The definition, a query at a time."""
    q, p, size = queries.numpy(), passages.numpy(), len(queries)
    terms = []
    for i in range(size):
        cosines = np.array([q[i] @ p[j] for j in range(len(p)) if not masked[i, j]]) / temperature
        term = logsumexp(cosines) - q[i] @ p[i] / temperature
        if both_ways:
            cosines = np.array([q[j] @ p[i] for j in range(size) if not masked[j, i]]) / temperature
            term = (term + logsumexp(cosines) - q[i] @ p[i] / temperature) / 2
        terms.append(term)
    return float(np.mean(terms))


@settings(max_examples=60)
@given(batch=batches(), temperature=temperatures, both_ways=st.booleans())
def test_info_nce_is_what_numpy_computes(batch, temperature, both_ways):
    queries, passages, masked = batch
    outcome = info_nce(
        queries, passages, temperature=temperature, masked=masked, both_ways=both_ways
    )
    expected = numpy_info_nce(queries, passages, temperature, masked, both_ways)
    assert outcome.loss.item() == pytest.approx(expected, rel=1e-10, abs=1e-10)
    cosines = np.where(masked, -np.inf, queries.numpy() @ passages.numpy().T)
    assert outcome.accuracy == pytest.approx(np.mean(cosines.argmax(axis=1) == range(len(queries))))


@given(size=st.integers(1, 40), both_ways=st.booleans(), temperature=temperatures)
def test_equal_pairs_cannot_be_told_apart(size, both_ways, temperature):
    vectors = EYE[:1].expand(size, -1)
    outcome = info_nce(vectors, vectors, temperature=temperature, both_ways=both_ways)
    assert outcome.loss.item() == pytest.approx(math.log(size), abs=1e-5)
    assert outcome.accuracy == (size == 1)  # a tie is not nearest


def test_info_nce_worked_by_hand():
    # Cosines 1 and 0 at temperature 1 / log 3: odds of 3 to 1, so each picks right with 3 / 4.
    odds = 1 / math.log(3)
    assert info_nce(EYE, EYE, temperature=odds).loss.item() == pytest.approx(math.log(4 / 3))
    # A hard negative that is query 0's positive again: odds of 3 to 1 and 3, and of 3 to 1 and 1.
    passages = torch.cat([EYE, EYE[:1]])
    one_way = info_nce(EYE, passages, temperature=odds, both_ways=False)
    assert one_way.loss.item() == pytest.approx(math.log(7 / 3 * 5 / 3) / 2)
    assert one_way.accuracy == 0.5
    # Positives pick among queries alone.
    both = info_nce(EYE, passages, temperature=odds)
    assert both.loss.item() == pytest.approx((one_way.loss.item() + math.log(4 / 3)) / 2)
    # The positive is the furthest of all: odds of 1 to 3.
    assert info_nce(EYE, EYE.flip(0), temperature=odds).loss.item() == pytest.approx(math.log(4))
    assert info_nce(EYE, EYE.flip(0), temperature=odds).accuracy == 0


@settings(max_examples=40)
@given(batch=batches(), temperature=temperatures, data=st.data())
def test_the_order_of_pairs_and_of_hard_negatives_says_nothing(batch, temperature, data):
    queries, passages, masked = batch
    size = len(queries)
    pairs = data.draw(st.permutations(range(size)))
    columns = pairs + data.draw(st.permutations(range(size, len(passages))))
    plain = info_nce(queries, passages, temperature=temperature, masked=masked)
    moved = info_nce(
        queries[pairs],
        passages[columns],
        temperature=temperature,
        masked=masked[pairs][:, columns],
    )
    assert_close(moved.loss, plain.loss)
    assert moved.accuracy == pytest.approx(plain.accuracy)


@settings(max_examples=40)
@given(batch=batches(), temperature=temperatures, seed=st.integers(0, 10**6))
def test_only_angles_count(batch, temperature, seed):
    queries, passages, _ = batch
    turn = torch.linalg.qr(unit(4, 4, seed=seed)).Q
    assert_close(
        info_nce(queries @ turn, passages @ turn, temperature=temperature).loss,
        info_nce(queries, passages, temperature=temperature).loss,
    )


@settings(max_examples=40)
@given(batch=batches(), temperature=temperatures)
def test_a_masked_passage_counts_for_nothing(batch, temperature):
    queries, passages, masked = batch
    size = len(queries)
    masked[:, size:] = True  # every hard negative, from every query
    without = info_nce(queries, passages[:size], temperature=temperature, masked=masked[:, :size])
    passages = passages.clone().requires_grad_()
    outcome = info_nce(queries, passages, temperature=temperature, masked=masked)
    assert_close(outcome.loss, without.loss)
    outcome.loss.backward()
    assert not passages.grad[size:].any()


@given(batch=batches(), temperature=temperatures)
def test_both_ways_is_blind_to_which_side_asks(batch, temperature):
    queries, passages, masked = batch
    size = len(queries)
    masked, passages = masked[:, :size], passages[:size]
    assert_close(
        info_nce(passages, queries, temperature=temperature, masked=masked.T).loss,
        info_nce(queries, passages, temperature=temperature, masked=masked).loss,
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("autocast", [False, True])
def test_logits_are_float32_whatever_comes_in(dtype, autocast):
    queries, passages = unit(5, 16, seed=1, dtype=dtype), unit(9, 16, seed=2, dtype=dtype)
    exact = info_nce(queries.double(), passages.double(), temperature=0.01).loss
    teacher = unit(5, 7, seed=3, dtype=dtype), unit(9, 7, seed=4, dtype=dtype)
    settings = {"temperature": 0.01, "teacher_temperature": 0.02}
    exact_kl = distilled(
        queries.double(), passages.double(), *(side.double() for side in teacher), **settings
    )
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        loss = info_nce(queries, passages, temperature=0.01).loss
        kl = distilled(queries, passages, *teacher, **settings)
    assert loss.dtype == kl.dtype == torch.float32
    assert_close(loss, exact.float(), rtol=1e-5, atol=1e-5)  # bfloat16 is off by 0.1
    assert_close(kl, exact_kl.float(), rtol=1e-5, atol=1e-5)


def test_a_learned_temperature_gets_its_gradient():
    queries, passages = unit(4, 8, seed=1), unit(7, 8, seed=2)

    def loss(temperature):
        return info_nce(queries, passages, temperature=temperature).loss

    assert torch.autograd.gradcheck(loss, torch.tensor(0.3, dtype=torch.float64).requires_grad_())


@pytest.mark.parametrize(
    ("queries", "passages"), [((3, 4), (2, 4)), ((3, 4), (3, 5)), ((0, 4), (3, 4))]
)
def test_vectors_that_do_not_fit_are_named(queries, passages):
    with pytest.raises(ValueError, match=rf"\({queries[0]}, {queries[1]}\).*\({passages[0]}, "):
        info_nce(torch.ones(queries), torch.ones(passages), temperature=1.0)


def test_a_mask_hides_no_positive():
    masked = torch.zeros(3, 5, dtype=torch.bool)
    masked[1, 1] = True
    with pytest.raises(ValueError, match=r"\(3, 5\) hides the positives of queries \[1\]"):
        info_nce(unit(3, 4), unit(5, 4), temperature=1.0, masked=masked)


@pytest.mark.parametrize(("shape", "dtype"), [((3, 4), torch.bool), ((3, 5), torch.int64)])
def test_a_mask_that_does_not_fit_is_named(shape, dtype):
    with pytest.raises(ValueError, match=r"must be \(3, 5\) of torch.bool"):
        masked = torch.zeros(shape, dtype=dtype)
        info_nce(unit(3, 4), unit(5, 4), temperature=1.0, masked=masked)


def test_what_answers_a_query_does_not_count_against_it():
    #                        0     1     2     3    | hard negatives
    queries = ["who", "what", "who", "why"]
    passages = ["ann", "bread", "bob", "bread", "bob", "ann", "tea"]
    assert duplicates(queries, passages).int().tolist() == [
        [0, 0, 1, 0, 1, 1, 0],  # bob answers "who" as well, wherever he stands
        [0, 0, 0, 1, 0, 0, 0],  # the same bread
        [1, 0, 0, 0, 1, 1, 0],
        [0, 1, 0, 0, 0, 0, 0],
    ]


keys = st.sampled_from("abc")


@given(pairs=st.lists(st.tuples(keys, keys), max_size=7), negatives=st.lists(keys, max_size=5))
def test_duplicates_are_those_of_the_definition(pairs, negatives):
    queries, positives = [query for query, _ in pairs], [positive for _, positive in pairs]
    passages = positives + negatives
    masked = duplicates(queries, passages)
    assert masked.shape == (len(queries), len(passages))
    for i, query in enumerate(queries):
        for j, passage in enumerate(passages):
            assert masked[i, j] == (i != j and (query, passage) in pairs)


def test_each_query_needs_its_positive():
    with pytest.raises(ValueError, match="2 queries have 1 passages"):
        duplicates(["a", "b"], ["c"])


def test_one_pair_and_its_copies_have_nothing_to_tell_apart():
    vectors, passages = EYE[:1].expand(4, -1), EYE[:1].expand(6, -1)
    masked = duplicates(["who"] * 4, ["ann"] * 6)
    outcome = info_nce(vectors, passages, temperature=0.1, masked=masked)
    assert (outcome.loss, outcome.accuracy) == (0, 1)


@settings(max_examples=40)
@given(
    batch=batches(),
    seed=st.integers(0, 10**6),
    temperature=temperatures,
    teacher_temperature=temperatures,
)
def test_distillation_is_the_divergence_that_numpy_computes(
    batch, seed, temperature, teacher_temperature
):
    queries, passages, _ = batch
    teacher = unit(len(queries), 3, seed=seed), unit(len(passages), 3, seed=seed + 1)
    found = distilled(
        queries,
        passages,
        *teacher,
        temperature=temperature,
        teacher_temperature=teacher_temperature,
    )
    log_p = log_softmax(teacher[0].numpy() @ teacher[1].numpy().T / teacher_temperature, axis=1)
    log_q = log_softmax(queries.numpy() @ passages.numpy().T / temperature, axis=1)
    expected = np.mean(np.sum(np.exp(log_p) * (log_p - log_q), axis=1))
    assert found.item() == pytest.approx(expected, rel=1e-9, abs=1e-9)
    own = {"temperature": temperature, "teacher_temperature": temperature}
    assert distilled(queries, passages, queries, passages, **own).item() == pytest.approx(0)


def test_distillation_worked_by_hand():
    # The teacher is sure at odds of 3 to 1, the student undecided.
    found = distilled(
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([[0.0, 1.0], [0.0, -1.0]]),
        EYE[:1],
        EYE,
        temperature=0.5,
        teacher_temperature=1 / math.log(3),
    )
    assert found.item() == pytest.approx(0.75 * math.log(0.75 * 2) + 0.25 * math.log(0.25 * 2))


def test_a_teacher_of_other_texts_is_refused():
    with pytest.raises(ValueError, match=r"student \(3, 5\) and of the teacher \(3, 4\)"):
        distilled(
            unit(3, 4), unit(5, 4), unit(3, 2), unit(4, 2), temperature=1.0, teacher_temperature=1.0
        )


def objective(queries, passages):
    return info_nce(queries, passages, temperature=0.1)


def test_nested_is_the_mean_over_leading_dimensions_at_unit_length():
    queries, passages = unit(5, 8, seed=1), unit(7, 8, seed=2)
    found = nested(objective, queries, passages, [8, 2, 5])
    each = []
    for dim in (8, 2, 5):
        q, p = queries.numpy()[:, :dim], passages.numpy()[:, :dim]
        q = torch.from_numpy(q / np.linalg.norm(q, axis=1, keepdims=True))
        p = torch.from_numpy(p / np.linalg.norm(p, axis=1, keepdims=True))
        each.append(objective(q, p))
    assert found.loss.item() == pytest.approx(np.mean([outcome.loss.item() for outcome in each]))
    assert found.accuracy == pytest.approx(np.mean([outcome.accuracy for outcome in each]))


def test_nested_over_all_dimensions_is_the_objective():
    queries, passages = unit(5, 8, seed=1), unit(7, 8, seed=2)
    assert_close(nested(objective, queries, passages, [8]).loss, objective(queries, passages).loss)


@pytest.mark.parametrize("dims", [(), (9,), (0, 4), (-1,)])
def test_dimensions_that_vectors_do_not_have_are_named(dims):
    with pytest.raises(ValueError, match=r"vectors \(5, 8\) have no leading dimensions"):
        nested(objective, unit(5, 8), unit(7, 8), dims)


def test_losses_leave_their_inputs_alone():
    queries, passages = unit(3, 4, seed=1), unit(5, 4, seed=2)
    masked = torch.zeros(3, 5, dtype=torch.bool)
    masked[0, 4] = True
    before = queries.clone(), passages.clone(), masked.clone()
    outcome = info_nce(queries, passages, temperature=0.1, masked=masked)
    nested(objective, queries, passages, [2])
    assert isinstance(outcome, Outcome) and outcome.loss.shape == ()
    for now, then in zip((queries, passages, masked), before, strict=True):
        assert torch.equal(now, then)


def test_an_answer_known_from_elsewhere_does_not_count_as_wrong():
    masked = duplicates(["a", "b"], ["x", "y", "z"], {"a": {"x", "y", "w"}, "c": {"z"}})
    assert masked.tolist() == [[False, True, False], [False, False, False]]
