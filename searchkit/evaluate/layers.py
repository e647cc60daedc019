"""How good each layer of a base model is alone: the study's layer analysis, on any set.

One forward pass for an attention mode gives two summaries of every layer, the state of EOS and the
mean of the token states, each brought to unit RMS first. A layer's summary, made unit length, is an
embedder of its own, and is measured as one. The last layer is the one behind the final norm.

Source: Tang and Yang 2024, arXiv:2409.02727, section on layers; why states are brought to unit RMS
is told in `encode.states.unit_rms`.
"""

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from searchkit.encode.blocks import BLOCK_TEXTS, Progress
from searchkit.encode.embedder import Embedder, Role, Vectors, layer_range, shape_of
from searchkit.encode.states import LAYER_EOS, LAYER_MEANS
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput
from searchkit.evaluate import scoring, significance
from searchkit.evaluate.sets import texts_of
from searchkit.evaluate.significance import RESAMPLES, Floats
from searchkit.evaluate.suite import SetRow
from searchkit.search.watcher import Watcher

READS = {"eos_last": LAYER_EOS, "mean": LAYER_MEANS}
"""By pooling, what it is when it reads a layer that need not be the last."""


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One layer on one set.

    `difference` is its mean less that of the last layer that was read, `low` and `high` the 95 %
    interval of that, and `p` corrected by Holm over the layers of the same set, attention and
    pooling. All four are None for that last layer.
    """

    set: str
    measure: str
    attention: str
    pooling: str
    layer: int
    mean: float
    items: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def explain(
    sets: Sequence[SetRow],
    variants: Sequence[Variant],
    memories: Path,
    *,
    device: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
    watcher: Watcher | None = None,
) -> Iterator[LayerRow]:
    """Measure every layer that the variants may read, on every set, by its main measure.

    Of the texts of one set, all layers are held at once: N x L x D float16 for each pooling of an
    attention mode.

    Args:
        sets: what to measure on.
        variants: poolings out of `READS`, one of each for an attention mode; those of one mode
            share a forward pass.
        memories: where summaries are kept; what they hold is not computed again.
        device: see `encode.loading.remember`.
        engine: see there.
        dtype: see there.
        resamples: of the bootstrap and the permutation test.
        seed: of both, and of samples.
        watcher: told how it goes on.

    Raises:
        BadInput: another pooling, or two variants of one; two sets of one name, or one that cannot
            be opened or measured so. Before any text is encoded.
    """
    from searchkit.encode import loading

    watcher = watcher or Watcher()
    _check(variants)
    opened = scoring.open_measured(sets, seed)
    embedders = list(
        loading.remember(variants, memories, device=device, engine=engine, dtype=dtype)
    )
    for name, (one, measure) in opened.items():
        watcher.enter(name)
        for note in one.notes:
            watcher.say(note)
        score, texts = scoring.scorer(one, measure, seed), texts_of(one, seed)
        for embedder in embedders:
            layers = _Layers(embedder, texts, watcher)
            for variant in embedder.variants:
                values = {
                    layer: score(partial(layers.vectors, variant, layer))
                    for layer in layers.numbers
                }
                yield from _rows(name, measure, variant, values, resamples, seed)
            del layers  # before the next embedder reads as many


def json_of(rows: Sequence[LayerRow]) -> str:
    """Rows as a JSON list of objects with the fields of `LayerRow`."""
    return json.dumps([asdict(row) for row in rows], indent=2, ensure_ascii=False) + "\n"


def csv_of(rows: Sequence[LayerRow]) -> str:
    """Rows as CSV with the fields of `LayerRow` for columns; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, [one.name for one in fields(LayerRow)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    return text.getvalue()


class _Layers:
    """All layers of the texts of one set, from one forward pass."""

    def __init__(
        self, embedder: Embedder, texts: Sequence[tuple[Role, Sequence[str]]], watcher: Watcher
    ) -> None:
        first, last = layer_range(embedder.variants[0], shape_of(embedder.base)[0])
        self.numbers = range(first, last + 1)
        self._embedder, self._watcher = embedder, watcher
        self._rows = {role: {text: row for row, text in enumerate(of)} for role, of in texts}
        names, total = " and ".join(embedder.names), sum(len(of) for _, of in texts)
        watcher.begin(f"reading the layers of {names}", total)
        done = Progress(0, total, 0, 0, 0.0, 0)
        self._states: dict[Role, dict[str, npt.NDArray[np.float16]]] = {}
        for role, of in texts:
            self._states[role], done = self._read(of, role, done)
        if done.truncated:
            watcher.say(
                f"{done.truncated:,} of {total:,} texts have over {embedder.max_tokens} tokens and "
                "were cut"
            )

    def vectors(self, variant: Variant, layer: int, texts: Sequence[str], role: Role) -> Vectors:
        """(N, D) unit vectors of one layer, in the order of the texts."""
        rows = [self._rows[role][text] for text in texts]
        states = self._states[role][READS[variant.pooling]][rows, layer - self.numbers.start]
        kept = states[:, : variant.dimension].astype(np.float32)
        vectors: Vectors = kept / np.linalg.norm(kept, axis=1, keepdims=True)
        return vectors

    def _read(
        self, texts: Sequence[str], role: Role, done: Progress
    ) -> tuple[dict[str, npt.NDArray[np.float16]], Progress]:
        """(N, L, D) by what a pooling reads, and how far all texts have come."""
        shape = (len(texts), len(self.numbers), shape_of(self._embedder.base)[1])
        reads = [READS[variant.pooling] for variant in self._embedder.variants]
        states = {name: np.empty(shape, dtype=np.float16) for name in reads}
        # Neighbours in length, so that engines that pad have little to pad.
        order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
        for start in range(0, len(order), BLOCK_TEXTS):
            rows = order[start : start + BLOCK_TEXTS]
            prepared = self._embedder.prepare([texts[row] for row in rows], role)
            for name, found in self._embedder.summaries(prepared, reads).items():
                states[name][rows] = found
            done = replace(
                done,
                texts=done.texts + len(rows),
                tokens=done.tokens + sum(len(text.ids) for text in prepared),
                truncated=done.truncated + sum(text.truncated for text in prepared),
            )
            self._watcher.advance(done)
        return states, done


def _check(variants: Sequence[Variant]) -> None:
    """Raise where one cannot read a layer alone, or rows could not tell two apart."""
    if other := next((one for one in variants if one.pooling not in READS), None):
        raise BadInput(
            f"{other.name} cannot read one layer alone; there are the poolings {', '.join(READS)}"
        )
    taken: dict[str, Variant] = {}
    for one in variants:
        design = f"{one.pooling}-{one.attention}"
        if taken.setdefault(design, one) != one:
            raise BadInput(f"two different variants are {design}; run this again for one of them")


def _rows(
    name: str,
    measure: str,
    variant: Variant,
    scores: Mapping[int, Mapping[str, float]],
    resamples: int,
    seed: int,
) -> Iterator[LayerRow]:
    """A row for each layer, all compared with the last in one go: they share every draw."""
    items = sorted(scores[max(scores)])
    values = np.array([[of[item] for of in scores.values()] for item in items])  # (items, L)
    low, high, p = _compared(values, resamples, seed)
    means = values.mean(axis=0)
    others = len(scores) - 1
    for place, layer in enumerate(scores):
        is_last = place == others
        yield LayerRow(
            set=name,
            measure=measure,
            attention=variant.attention,
            pooling=variant.pooling,
            layer=layer,
            mean=float(means[place]),
            items=len(items),
            difference=None if is_last else float((values[:, place] - values[:, others]).mean()),
            low=None if is_last else float(low[place]),
            high=None if is_last else float(high[place]),
            p=None if is_last else p[place],
        )


def _compared(values: Floats, resamples: int, seed: int) -> tuple[Floats, Floats, list[float]]:
    """Every column but the last against the last, as `significance.paired` compares two of them.

    Args:
        values: (items, L), float.
        resamples: of the bootstrap and the permutation test.
        seed: of both.

    Returns:
        Lower and upper ends of intervals, each (L - 1,), and as many p-values, Holm-corrected.
    """
    draws, signs = map(np.random.default_rng, np.random.SeedSequence(seed).spawn(2))
    others = values.shape[1] - 1
    if not others:  # the one layer that was read is the last
        return np.empty(0), np.empty(0), []
    resampled = significance.bootstrap_means(values, resamples, draws)
    low, high = significance.interval(
        resampled[:, :-1] - resampled[:, -1:], values[:, :-1] - values[:, -1:]
    )
    p_values = significance.sign_flip(
        values, np.arange(others), np.full(others, others), resamples, signs
    )
    return low, high, significance.holm(p_values.tolist())
