"""A step: which texts it reads, which loss it takes, and what it refuses to go on from."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from searchkit.errors import TrainingFailed
from searchkit.records import Pair
from searchkit.train.learner import Learner, hard_negatives, known_answers
from searchkit.train.settings import Settings


@pytest.fixture
def pairs(random_pairs):
    return random_pairs(6).pairs


def vectors(trainee, texts, role="passage"):
    with torch.no_grad():
        return trainee.vectors(trainee.prepare(texts, role)).double().numpy()


def sides(trainee, pairs):
    """Vectors of queries and positives, as they are before a step."""
    queries = vectors(trainee, [pair.query for pair in pairs], "query")
    return queries, vectors(trainee, [pair.positive for pair in pairs])


def log_softmax(logits):
    logits = logits - logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def nce(queries, passages, temperature=0.05):
    """Of each query the surprise at its positive, the mean."""
    return -np.diagonal(log_softmax(queries @ passages.T / temperature)).mean()


def learn(trainee, pairs, *, teacher=None, step=1, **settings):
    settings = Settings(**{"batch_size": len(pairs), "steps": 10, **settings})
    return Learner(trainee, settings, teacher).learn(pairs, step)


@pytest.fixture
def trainee(table_trainee):
    return table_trainee(dropout=0.0)


def test_the_loss_is_that_of_the_batch_before_the_step(trainee, pairs):
    queries, positives = sides(trainee, pairs)
    step = learn(trainee, pairs, both_ways=False)
    assert step.loss == pytest.approx(nce(queries, positives), rel=1e-4)
    assert step.temperature == 0.05


def test_both_ways_is_the_mean_of_queries_and_positives_that_look_for_each_other(trainee, pairs):
    queries, positives = sides(trainee, pairs)
    wanted = (nce(queries, positives) + nce(positives, queries)) / 2
    assert learn(trainee, pairs).loss == pytest.approx(wanted, rel=1e-4)


def test_hard_negatives_are_passages_of_every_query(trainee, pairs):
    queries, positives = sides(trainee, pairs)
    # One a pair is all there is: which is drawn does not matter.
    single = [replace(pair, negatives=pair.negatives[:1]) for pair in pairs]
    hard = vectors(trainee, [pair.negatives[0] for pair in single])
    step = learn(trainee, single, both_ways=False, negatives=2)
    wanted = nce(queries, np.concatenate([positives, hard]))
    assert step.loss == pytest.approx(wanted, rel=1e-4)


def test_tokens_are_those_of_all_texts(trainee, pairs):
    prepared = trainee.prepare([pair.query for pair in pairs], "query")
    for texts in ([pair.positive for pair in pairs], [n for pair in pairs for n in pair.negatives]):
        prepared += trainee.prepare(texts, "passage")
    wanted = sum(len(text.ids) for text in prepared)
    assert learn(trainee, pairs, negatives=2).tokens == wanted


def test_a_positive_among_the_negatives_of_another_pair_is_masked(trainee, pairs):
    first, second = (replace(pair, negatives=()) for pair in pairs[:2])
    # But for capital letters and a full stop.
    second = replace(second, negatives=(f"{first.positive}.".title(),))
    queries, positives = sides(trainee, [first, second])
    hard = vectors(trainee, list(second.negatives))
    surprises = [
        nce(queries[:1], positives),
        nce(queries[1:], np.concatenate([positives[::-1], hard])),
    ]
    step = learn(trainee, [first, second], both_ways=False, negatives=1)
    assert step.loss == pytest.approx(np.mean(surprises), rel=1e-4)


def teacher_of(texts):
    """Any unit vectors that texts decide."""
    drawn = np.array([np.random.default_rng([*text.encode()]).normal(size=5) for text in texts])
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


def divergence(trainee, pairs, teacher_temperature):
    queries, positives = sides(trainee, pairs)
    student = log_softmax(queries @ positives.T / 0.05)
    asked, found = (teacher_of([getattr(p, side) for p in pairs]) for side in ("query", "positive"))
    taught = log_softmax(asked @ found.T / teacher_temperature)
    return (np.exp(taught) * (taught - student)).sum(axis=1).mean()


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_distillation_takes_its_share_of_the_loss(share, trainee, pairs):
    wanted = (1 - share) * nce(*sides(trainee, pairs)) + share * divergence(trainee, pairs, 0.2)
    step = learn(
        trainee,
        pairs,
        both_ways=False,
        distillation=share,
        teacher_temperature=0.2,
        teacher=teacher_of,
    )
    assert step.loss == pytest.approx(wanted, rel=1e-4)


@pytest.mark.parametrize("dims", [(4,), (8, 4), (16, 4)])
def test_dims_are_leading_dimensions_at_unit_length_beside_the_whole(trainee, pairs, dims):
    losses = []
    for dim in {16, *dims}:
        cut = (torch.from_numpy(side[:, :dim]) for side in sides(trainee, pairs))
        losses.append(nce(*(functional.normalize(side).numpy() for side in cut)))
    step = learn(trainee, pairs, both_ways=False, dims=dims)
    assert step.loss == pytest.approx(np.mean(losses), rel=1e-4)


def test_a_learned_temperature_is_a_parameter_that_moves_and_stays_above_zero(trainee, pairs):
    settings = Settings(batch_size=6, steps=10, learn_temperature=True, learning_rate=0.5)
    learner = Learner(trainee, settings, None)
    assert "log_temperature" in learner.parameters
    assert "log_temperature" not in trainee.parameters()
    before = learner.temperature
    assert before == pytest.approx(0.05)
    assert learner.learn(pairs, 1).temperature == before
    # AdamW's first step is the rate, whatever the gradient: the logarithm moves by 0.5.
    assert abs(math.log(learner.temperature / before)) == pytest.approx(0.5, rel=1e-3)


def test_a_given_temperature_stays(trainee, pairs):
    learner = Learner(trainee, Settings(batch_size=6, steps=10, temperature=0.1), None)
    learner.learn(pairs, 1)
    assert learner.temperature == 0.1
    assert learner.parameters.keys() == trainee.parameters().keys()


def test_dropout_is_drawn_by_seed_and_step_alone(table_trainee, pairs):
    def loss(*, step=1, before=0, **settings):
        trainee = table_trainee(dropout=0.5)
        torch.rand(before)
        return learn(trainee, pairs, step=step, **settings).loss

    assert loss(before=3) == loss(before=5)
    assert len({loss(), loss(step=2), loss(seed=1)}) == 3


def test_a_batch_in_chunks_is_the_same_step(table_trainee, pairs):
    def moved(chunk):
        trainee = table_trainee(dropout=0.0)
        step = learn(trainee, pairs, chunk=chunk, negatives=2, clip=0.1)
        return step, trainee.parameters()

    (whole, wanted), (parts, found) = moved(64), moved(2)
    assert parts.loss == pytest.approx(whole.loss, rel=1e-5)
    assert parts.gradient_norm == pytest.approx(whole.gradient_norm, rel=1e-4)
    for name, parameter in wanted.items():
        torch.testing.assert_close(found[name], parameter, rtol=1e-3, atol=1e-5)


def test_gradients_are_clipped_but_told_as_they_were(trainee, table_trainee, pairs):
    norms = {}
    for clip in (1e9, 1e-3):
        trainee = table_trainee(dropout=0.0)
        learner = Learner(trainee, Settings(batch_size=6, steps=10, clip=clip), None)
        told = learner.learn(pairs, 1).gradient_norm
        kept = torch.stack([one.grad.norm() for one in trainee.parameters().values()]).norm().item()
        norms[clip] = told, kept
    assert norms[1e9][0] == norms[1e-3][0] == pytest.approx(norms[1e9][1], rel=1e-5)
    assert norms[1e-3][1] == pytest.approx(1e-3, rel=1e-3)


def test_the_rate_of_a_step_is_the_schedules(trainee, pairs):
    settings = {"learning_rate": 0.8, "warm_up": 4, "steps": 9}
    assert learn(trainee, pairs, step=3, **settings).learning_rate == pytest.approx(0.6)
    assert learn(trainee, pairs, step=9, **settings).learning_rate == pytest.approx(0.8 / 6)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_step_and_the_pairs(value, trainee, pairs):
    trainee.table.data[:] = value
    before = trainee.linear.weight.detach().clone()
    with pytest.raises(TrainingFailed) as raised:
        learn(trainee, pairs, step=7)
    assert str(raised.value).startswith("step 7: the loss is nan, in the batch of made.jsonl:1, ")
    assert all(pair.pair_id in str(raised.value) for pair in pairs)
    assert torch.equal(trainee.linear.weight, before)


def test_a_gradient_that_is_not_finite_stops_too(trainee, random_pairs):
    class Steep(torch.autograd.Function):
        @staticmethod
        def forward(context, x):
            return x.clone()

        @staticmethod
        def backward(context, gradient):
            return gradient * math.inf

    plain = trainee.vectors
    trainee.vectors = lambda texts: Steep.apply(plain(texts))
    before = trainee.table.detach().clone()
    with pytest.raises(TrainingFailed) as raised:
        learn(trainee, random_pairs(10).pairs)
    assert "step 1: the gradient's norm is" in str(raised.value)
    assert "made.jsonl:8 and 2 more (all in history.jsonl)" in str(raised.value)
    assert torch.equal(trainee.table, before)


def test_hard_negatives_are_drawn_without_replacement_by_seed_and_step(random_pairs):
    pairs = random_pairs(5, negatives=4).pairs
    drawn = hard_negatives(pairs, 2, seed=0, step=1)
    each = [set(drawn[place : place + 2]) for place in range(0, 10, 2)]
    assert len(drawn) == 10
    assert all(len(own) == 2 and own <= {*p.negatives} for own, p in zip(each, pairs, strict=True))
    assert hard_negatives(pairs, 2, seed=0, step=1) == drawn
    assert hard_negatives(pairs, 2, seed=0, step=2) != drawn
    assert hard_negatives(pairs, 2, seed=1, step=1) != drawn
    # Over many steps every one has its turn, as often as the others.
    times = [hard_negatives(pairs, 1, seed=0, step=step)[0] for step in range(400)]
    assert all(60 < times.count(text) < 140 for text in pairs[0].negatives)


def test_a_pair_with_fewer_negatives_gives_all_it_has():
    pairs = [
        Pair("a", "q", "p", "s", ("x",)),
        Pair("b", "q", "p", "s"),
        Pair("c", "q", "p", "s", ("y", "z")),
    ]
    drawn = hard_negatives(pairs, 2, seed=0, step=1)
    assert drawn[0] == "x" and {*drawn[1:]} == {"y", "z"} and len(drawn) == 3
    assert hard_negatives(pairs, 0, seed=0, step=1) == []


def test_queries_with_several_answers_are_known():
    pairs = [
        Pair("1", "Who?", "Ann.", "s"),
        Pair("2", "who", "Bob", "s"),
        Pair("3", "where", "here", "s"),
    ]
    assert known_answers(pairs) == {"who": {"ann", "bob"}}
