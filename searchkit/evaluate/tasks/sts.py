"""Semantic textual similarity: do the similarities of pairs order as people's scores do?

The measure is Spearman's correlation between the cosine similarities of the pairs and their gold
scores, ranks of ties averaged, as the STS tasks of MTEB take it. A correlation is no mean over
pairs, but what intervals and tests need is a value for each pair. They get the correlation plus the
pair's influence on it, by the jackknife: how much the correlation drops where the pair is left out.
The values of all pairs have the correlation as their mean, and vary as it varies between samples of
pairs; so do the differences of two systems' values. The products of standardised ranks, whose mean
is the correlation too, do not: they ignore that another sample has other ranks, and their intervals
come out far too wide.

Sources: Agirre et al. 2012, SemEval-2012 Task 6 (the task); Reimers, Beyer and Gurevych 2016,
Task-oriented intrinsic evaluation of semantic textual similarity, COLING (Spearman rather than
Pearson); Muennighoff et al. 2023, MTEB, arXiv:2210.07316 (the protocol); Efron 1982, The jackknife,
the bootstrap and other resampling plans, SIAM (the influence of one observation).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searchkit.corpus.labelled import PairSet
from searchkit.errors import BadInput
from searchkit.evaluate.tasks._encoding import Encode, cosines, vectors_of

ITEM = "pair"
MEASURES = ("Spearman", "Pearson")

_BLOCK = 2**20  # ranks in one array: 8 MB
_CONSTANT = 1e-12  # relative: a variance this small is rounding

Floats = NDArray[np.float64]


def score(
    data: PairSet, encode: Encode, measures: Sequence[str] = MEASURES, *, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Measure how well similarities agree with people's scores.

    Args:
        data: at least three pairs, whose scores are not all equal.
        encode: of both texts of a pair, in the role of a query.
        measures: out of `MEASURES`.
        seed: of nothing: no part of this is drawn.

    Returns:
        By measure and pair id, values whose mean is the correlation; see the head of this file.

    Raises:
        BadInput: an unknown measure, fewer pairs, or one score for all.
    """
    if unknown := [name for name in measures if name not in MEASURES]:
        raise BadInput(
            f"similarity is not measured by {unknown[0]!r}; there are {', '.join(MEASURES)}"
        )
    gold = np.array([pair.score for pair in data.pairs], dtype=np.float64)
    if len(gold) < 3:
        raise BadInput(f"{data.name} has {len(gold)} pairs; a correlation needs at least 3")
    if np.ptp(gold) == 0:
        raise BadInput(
            f"all {len(gold)} pairs of {data.name} have the score {gold[0]:g}, with which nothing "
            "correlates; check the column of scores"
        )
    texts = [text for pair in data.pairs for text in (pair.first, pair.second)]
    vectors = vectors_of(texts, "query", encode)
    similarities = cosines(
        np.stack([vectors[pair.first] for pair in data.pairs]),
        np.stack([vectors[pair.second] for pair in data.pairs]),
    ).astype(np.float64)
    influences = {"Spearman": spearman, "Pearson": pearson}
    ids = [pair.pair_id for pair in data.pairs]
    return {
        name: dict(zip(ids, influences[name](similarities, gold).tolist(), strict=True))
        for name in measures
    }


def spearman(x: Floats, y: Floats) -> Floats:
    """Spearman's correlation of x and y, as values of the N observations whose mean it is.

    Where either is constant, nothing is ordered and the correlation is 0; it has no value by its
    formula, and an evaluation of many systems should not end because one of them collapsed.

    Args:
        x: (N,), N at least 3.
        y: (N,).

    Returns:
        (N,): the correlation plus N - 1 times the drop of the correlation where the observation is
        left out, less the mean drop. All N drops are exact, with the ranks that the others have
        among themselves. Takes time N**2: a fifth of a second for 3,750 pairs.
    """
    from scipy.stats import rankdata

    # Twice the ranks, centred: of each observation, how many lie below less how many lie above.
    a, b = (2 * rankdata(values) - (len(values) + 1) for values in (x, y))
    left_out = np.empty(len(x))
    rows = max(1, _BLOCK // len(x))
    for start in range(0, len(x), rows):
        out = np.arange(start, min(start + rows, len(x)))
        # Without one observation, every other has one fewer above or below it.
        c, d = (ranks - np.sign(ranks - ranks[out, None]) for ranks in (a, b))  # (rows, N)
        c[np.arange(len(out)), out] = d[np.arange(len(out)), out] = 0
        left_out[out] = _correlation(
            *(np.einsum("in,in->i", first, second) for first, second in ((c, d), (c, c), (d, d)))
        )
    return _values(_correlation(a @ b, a @ a, b @ b), left_out)


def pearson(x: Floats, y: Floats) -> Floats:
    """Pearson's correlation of x and y, as values of the N observations; see `spearman`."""
    n = len(x)
    a, b = (v - v.mean() if np.ptp(v) > 0 else np.zeros(n) for v in (x, y))
    # Leaving one out moves the mean of the others, too: hence the factor.
    covariance, *variances = (
        first @ second - first * second * n / (n - 1) for first, second in ((a, b), (a, a), (b, b))
    )
    constant = [variance < _CONSTANT * variance.max() for variance in variances]
    left_out = np.where(constant[0] | constant[1], 0, _correlation(covariance, *variances))
    return _values(_correlation(a @ b, a @ a, b @ b), left_out)


def _correlation(covariance: ArrayLike, variance_a: ArrayLike, variance_b: ArrayLike) -> Floats:
    """0 where one of the two does not vary."""
    scale = np.sqrt(np.maximum(np.multiply(variance_a, variance_b), 0))
    return np.divide(covariance, scale, out=np.zeros(np.shape(scale)), where=scale > 0)


def _values(whole: Floats, left_out: Floats) -> Floats:
    influence: Floats = (len(left_out) - 1) * (left_out.mean() - left_out)
    return whole + influence
