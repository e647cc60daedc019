"""Clustering: does k-means, told how many labels there are, find them?

MTEB's two protocols. A set that comes ready divided is clustered part by part, the older way. Of
any other, a pool of texts is drawn, at most 2,048, as many as MTEB keeps of most of its own sets;
from the pool 16,384 texts are drawn with replacement, ten times, and each such resampling is
clustered. Both measure by V-measure, the harmonic mean of how pure the clusters are and how
undivided the labels, which does not ask which cluster stands for which label. What is drawn depends
on the seed alone, so that systems are paired by resampling.

Resamplings of one pool are much more alike than sets of other texts would be. An interval over them
tells what the protocol leaves to chance, and not how far its outcome carries over to other texts.

Sources: Rosenberg and Hirschberg 2007, V-Measure, EMNLP; Sculley 2010, Web-scale k-means
clustering, WWW (mini batches); Muennighoff et al. 2023, MTEB, arXiv:2210.07316, section 3.2
(parts); Enevoldsen et al. 2025, MMTEB, arXiv:2502.13595 (resamplings).
"""

import random
import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searchkit.corpus.labelled import ClusteringSet
from searchkit.errors import BadInput
from searchkit.evaluate.tasks._encoding import Encode, Vectors, vectors_of

ITEM, PART = "resampling", "part"  # the second of a set that comes in parts
MEASURES = ("V-measure",)
POOL = 2_048
DRAWS = 16_384
RESAMPLINGS = 10

_MTEB_SEED = 42
_BATCH_OF_PARTS = 500
_BATCH_OF_RESAMPLINGS = 512

Rows = NDArray[np.intp]


def score(
    data: ClusteringSet,
    encode: Encode,
    measures: Sequence[str] = MEASURES,
    *,
    seed: int = 0,
    pool: int = POOL,
    draws: int = DRAWS,
    resamplings: int = RESAMPLINGS,
) -> dict[str, dict[str, float]]:
    """Measure how well clusters match the labels.

    Args:
        data: texts of at least two labels.
        encode: of the texts that are drawn, in the role of a query.
        measures: out of `MEASURES`.
        seed: of the pool, the resamplings and k-means; 0 gives MTEB's.
        pool: how many texts are drawn for all resamplings together, if the set has more.
        draws: how many are drawn out of the pool for each resampling, with replacement.
        resamplings: how many. Neither this nor `pool` nor `draws` matters to a set in parts.

    Returns:
        The V-measure, in [0, 1], by "part 1" and so on, or else by "resampling 1".

    Raises:
        BadInput: an unknown measure, or texts of one label only.
    """
    if unknown := [name for name in measures if name not in MEASURES]:
        raise BadInput(
            f"clustering is not measured by {unknown[0]!r}; there are {', '.join(MEASURES)}"
        )
    if len(there := {one.label for one in data.texts}) < 2:
        raise BadInput(f"{data.name} has {len(there)} label; clustering needs at least 2")
    labels = np.array([one.label for one in data.texts])
    if data.parts:
        batch, drawn = _BATCH_OF_PARTS, [np.array(part) for part in data.parts]
        clusters = [len(np.unique(labels[part])) for part in drawn]
    else:
        batch = _BATCH_OF_RESAMPLINGS
        pooled, drawn = draw(
            len(labels), pool=pool, draws=draws, resamplings=resamplings, seed=seed
        )
        # As many as the pool has, even where a resampling misses a rare label.
        clusters = [len(np.unique(labels[pooled]))] * len(drawn)
    used = np.unique(np.concatenate(drawn))
    vectors = vectors_of((data.texts[row].text for row in used), "query", encode)
    v_measures = {}
    for number, (rows, k) in enumerate(zip(drawn, clusters, strict=True), start=1):
        points = np.stack([vectors[data.texts[row].text] for row in rows])
        found = _clustered(points, k, batch, _MTEB_SEED + seed)
        v_measures[f"{PART if data.parts else ITEM} {number}"] = _v_measure(labels[rows], found)
    return {name: v_measures for name in measures}


def draw(
    texts: int, *, pool: int, draws: int, resamplings: int, seed: int = 0
) -> tuple[Rows, list[Rows]]:
    """The rows of the pool, out of so many texts, and those of each resampling of the pool."""
    rng = random.Random(_MTEB_SEED + seed)
    pooled = np.array(rng.sample(range(texts), k=min(pool, texts)))
    return pooled, [pooled[rng.choices(range(len(pooled)), k=draws)] for _ in range(resamplings)]


def _clustered(points: Vectors, k: int, batch: int, seed: int) -> NDArray[np.int32]:
    """The cluster of each point, by mini-batch k-means from one k-means++ start."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Fewer distinct vectors than labels: then some clusters stay empty, and the measure tells.
        warnings.simplefilter("ignore", ConvergenceWarning)
        kmeans = MiniBatchKMeans(n_clusters=k, batch_size=batch, n_init=1, random_state=seed)
        found: NDArray[np.int32] = kmeans.fit_predict(points)
    return found


def _v_measure(labels: NDArray[np.str_], clusters: NDArray[np.int32]) -> float:
    from sklearn.metrics import v_measure_score

    return float(v_measure_score(labels, clusters))
