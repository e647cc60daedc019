"""Classification: can a linear classifier learn the labels from a few vectors of each?

MTEB's protocol. Ten times, a logistic regression is fitted to a few training texts of every label
and labels the whole test set. The training texts are drawn as MTEB draws them, and with its seed,
so that its published accuracies can be met: on emotion, all-MiniLM-L6-v2 has an accuracy of 0.408
on these draws, and of 0.384 and 0.383 on those of two other seeds. Systems are compared on equal
draws. But an interval over test texts knows these draws alone; F1, by experiment, shows how much
they matter.

Sources: Muennighoff et al. 2023, MTEB, arXiv:2210.07316, section 3.2; Enevoldsen et al. 2025,
MMTEB, arXiv:2502.13595. How many texts of a label are drawn is in the package `mteb`, 2.26.
"""

import re
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searchkit.corpus.labelled import ClassificationSet
from searchkit.errors import BadInput
from searchkit.evaluate.tasks._encoding import Encode, Vectors, vectors_of

ITEM = "text"
MEASURES = ("accuracy", "F1")
EXPERIMENTS = 10

_MTEB_SEED = 42
_MAX_ITERATIONS = 100
_SAMPLES_PER_LABEL = 8
# Of the English sets of MTEB, those that draw more, by the beginning of their name on a hub.
_MORE_SAMPLES = {
    "amazon_counterfactual": 32,
    "emotion": 16,
    "toxic_conversations": 16,
    "tweet_sentiment_extraction": 32,
    "yahoo_answers_topics": 32,
    "yelp_review_full": 128,
}

Labels = NDArray[np.str_]


def score(
    data: ClassificationSet,
    encode: Encode,
    measures: Sequence[str] = MEASURES,
    *,
    seed: int = 0,
    per_label: int | None = None,
    experiments: int = EXPERIMENTS,
) -> dict[str, dict[str, float]]:
    """Measure how well few-shot classifiers label the test texts.

    Args:
        data: training texts of at least two labels.
        encode: of the texts that are drawn and the test texts, in the role of a query.
        measures: out of `MEASURES`.
        seed: of the draws; 0 draws what MTEB draws.
        per_label: how many training texts of each label; by default `samples_per_label`.
        experiments: how many classifiers.

    Returns:
        "accuracy" by test text: the share of experiments that gave it its label. "F1" by
        experiment, as "experiment 1": the mean over labels, macro-averaged.

    Raises:
        BadInput: an unknown measure, or training texts of one label only.
    """
    if unknown := [name for name in measures if name not in MEASURES]:
        raise BadInput(
            f"classification is not measured by {unknown[0]!r}; there are {', '.join(MEASURES)}"
        )
    if len(found := {one.label for one in data.train}) < 2:
        raise BadInput(
            f"the training texts of {data.name} have {len(found)} label; "
            "a classifier needs at least 2"
        )
    draws = draw(
        [one.label for one in data.train],
        per_label=per_label or samples_per_label(data.name),
        experiments=experiments,
        seed=seed,
    )
    used = [data.train[row].text for row in sorted({row for rows in draws for row in rows})]
    vectors = vectors_of(used + [one.text for one in data.test], "query", encode)
    test = np.stack([vectors[one.text] for one in data.test])
    labels = np.array([one.label for one in data.test])
    right = np.zeros(len(labels))
    f1 = {}
    for number, rows in enumerate(draws, start=1):
        train = [data.train[row] for row in rows]
        predicted = _labelled(
            np.stack([vectors[one.text] for one in train]), [one.label for one in train], test
        )
        right += predicted == labels
        f1[f"experiment {number}"] = _macro_f1(labels, predicted)
    ids = (one.text_id for one in data.test)
    values = {
        "accuracy": dict(zip(ids, (right / experiments).tolist(), strict=True)),
        "F1": f1,
    }
    return {name: values[name] for name in measures}


def samples_per_label(name: str) -> int:
    """How many training texts of each label MTEB draws: 8, but for some of its sets.

    Args:
        name: of the set; what follows a separator, as in `emotion-500`, does not matter.
    """
    known = re.sub("[^a-z0-9]+", "_", name.lower()) + "_"
    found = (count for of, count in _MORE_SAMPLES.items() if known.startswith(f"{of}_"))
    return next(found, _SAMPLES_PER_LABEL)


def draw(
    labels: Sequence[str], *, per_label: int, experiments: int, seed: int = 0
) -> list[list[int]]:
    """The rows that each experiment trains on.

    Every experiment shuffles the order of the one before it, always by the same permutation, and
    takes the first `per_label` rows of each label; all of them, where a label has fewer.
    """
    # Not numpy's newer generators: this one draws what MTEB draws.
    permutation = np.random.RandomState(_MTEB_SEED + seed).permutation(len(labels))
    order = np.arange(len(labels))
    draws = []
    for _ in range(experiments):
        order = order[permutation]
        taken: Counter[str] = Counter()
        rows = []
        for row in order.tolist():
            if taken[labels[row]] < per_label:
                taken[labels[row]] += 1
                rows.append(row)
        draws.append(rows)
    return draws


def _labelled(train: Vectors, labels: Sequence[str], test: Vectors) -> Labels:
    """The labels that a logistic regression gives to the test vectors."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    with warnings.catch_warnings():
        # Stopping at this many iterations is part of the protocol.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=_MAX_ITERATIONS).fit(train, labels)
    predicted: Labels = model.predict(test)
    return predicted


def _macro_f1(labels: Labels, predicted: Labels) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predicted, average="macro", zero_division=0))
