"""Clustering: V-measures by hand, and draws that stay in their pool."""

import math
import random

import numpy as np
import pytest
from sklearn.cluster import MiniBatchKMeans
from sklearn.metrics import v_measure_score
from threadpoolctl import threadpool_limits

from searchkit.corpus.labelled import ClusteringSet, LabelledText
from searchkit.errors import BadInput
from searchkit.evaluate.tasks import clustering


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):  # a tiny product is slower on two
        yield


def toy(labels, parts=()):
    texts = (LabelledText(str(i), f"text {i}", label) for i, label in enumerate(labels))
    return ClusteringSet("toy", "test", tuple(texts), parts=parts)


def places(positions, calls=None):
    """An encoder that puts text i where positions[i] says, (D,) each."""

    def encode(texts, role):
        if calls is not None:
            calls.append((list(texts), role))
        rows = [positions[int(text.removeprefix("text "))] for text in texts]
        return np.array(rows, dtype=np.float32)

    return encode


# Two places far apart: what k-means with k = 2 finds is no question.
LEFT, RIGHT = (0.0, 1.0), (1.0, 0.0)
SMALL = {"pool": 40, "draws": 60, "resamplings": 3}


def test_labels_that_lie_apart_are_found_and_labels_that_lie_alike_are_not():
    data = toy("ab" * 30)
    apart = clustering.score(data, places([LEFT, RIGHT] * 30), **SMALL)
    assert apart == {"V-measure": {f"resampling {i}": pytest.approx(1) for i in (1, 2, 3)}}
    # Places in pairs: each holds as many of either label.
    alike = clustering.score(data, places([LEFT, LEFT, RIGHT, RIGHT] * 15), **SMALL)
    assert all(0 <= value < 0.1 for value in alike["V-measure"].values())


def test_parts_are_clustered_one_by_one_by_v_measure():
    # Part 1 is clear. In part 2, the labels a a b b are found as {a a b} and {b}: homogeneity
    # 1 - H(label | cluster) / H(label), completeness the same turned round. Part 3 has one label.
    data = toy("ab" + "aabb" + "cc", parts=((0, 1), (2, 3, 4, 5), (6, 7)))
    found = clustering.score(
        data, places([LEFT, RIGHT, LEFT, LEFT, LEFT, RIGHT, LEFT, RIGHT]), resamplings=99
    )
    three_quarters = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    thirds = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    homogeneity = 1 - 0.75 * thirds / math.log(2)
    completeness = 1 - 0.5 * math.log(2) / three_quarters
    by_hand = 2 * homogeneity * completeness / (homogeneity + completeness)
    assert found == {
        "V-measure": {
            "part 1": pytest.approx(1),
            "part 2": pytest.approx(by_hand),
            "part 3": 1,
        }
    }


def test_resamplings_are_clustered_by_mini_batches_into_as_many_as_the_pool_has_labels():
    draw = np.random.default_rng(2)
    labels = "".join(draw.choice(list("abcd"), p=[0.4, 0.3, 0.27, 0.03], size=300))
    positions = draw.normal(size=(300, 6)) + np.eye(6)[[ord(one) - ord("a") for one in labels]]
    found = clustering.score(
        toy(labels), places(positions), seed=5, pool=90, draws=30, resamplings=4
    )
    pooled, drawn = clustering.draw(300, pool=90, draws=30, resamplings=4, seed=5)
    k = len({labels[row] for row in pooled})
    assert k == 4 > min(len({labels[row] for row in rows}) for rows in drawn)
    for rows, value in zip(drawn, found["V-measure"].values(), strict=True):
        kmeans = MiniBatchKMeans(k, batch_size=512, n_init=1, random_state=47)
        clusters = kmeans.fit_predict(positions[rows].astype(np.float32))
        assert value == pytest.approx(v_measure_score([labels[row] for row in rows], clusters))


class TestDraw:
    def test_is_out_of_a_pool_without_repetition_with_repetition(self):
        pooled, drawn = clustering.draw(1000, pool=50, draws=400, resamplings=3)
        assert len(set(pooled)) == 50 and set(pooled) <= set(range(1000))
        for rows in drawn:
            assert len(rows) == 400 and set(rows) <= set(pooled)
        assert len({tuple(rows) for rows in drawn}) == 3

    def test_pools_all_texts_of_a_small_set(self):
        pooled, _ = clustering.draw(30, pool=50, draws=10, resamplings=1)
        assert sorted(pooled) == list(range(30))

    def test_depends_on_the_seed_alone(self):
        def draws(seed):
            random.seed()
            np.random.seed(random.randrange(2**32))  # noqa: NPY002
            pooled, drawn = clustering.draw(100, pool=50, draws=9, resamplings=2, seed=seed)
            return pooled.tolist(), [rows.tolist() for rows in drawn]

        assert draws(1) == draws(1) != draws(2)


def test_only_texts_that_are_drawn_are_encoded_once_as_queries_and_the_same_for_all_systems():
    calls = []
    for positions in ([LEFT, RIGHT] * 50, [LEFT, LEFT, RIGHT, RIGHT] * 25):
        clustering.score(toy("ab" * 50), places(positions, calls), pool=20, draws=12, resamplings=2)
    _, drawn = clustering.draw(100, pool=20, draws=12, resamplings=2)
    used = {f"text {row}" for rows in drawn for row in rows}
    assert len(used) < 20
    for texts, role in calls:
        assert (role, len(texts), set(texts)) == ("query", len(used), used)


def test_vectors_that_are_all_equal_are_one_cluster():
    found = clustering.score(toy("ab" * 30), places([LEFT] * 60), **SMALL)
    assert set(found["V-measure"].values()) == {0}


def test_what_cannot_be_measured_is_refused_before_anything_is_encoded():
    with pytest.raises(BadInput, match=r"^clustering is not measured by 'AP'; there are V-measure"):
        clustering.score(toy("ab"), None, ["AP"])
    with pytest.raises(BadInput, match=r"^toy has 1 label; clustering needs at least 2"):
        clustering.score(toy("aaa"), None)
