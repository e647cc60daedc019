"""Proofs on loaded weights: that a model does what its variant says.

Silently causal attention where bidirectional was asked for is the oldest defect of this field, and
vectors that change with the batch are the second. Neither shows in an error; both show in the
hidden states.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from searchkit import catalog
from searchkit.encode.embedder import Embedder, Engine
from searchkit.encode.states import LAST_TOKENS, Reader, TokenBatch
from searchkit.encode.variant import ATTENTION
from searchkit.errors import BrokenPromise

# How much two computations of one vector may differ in cosine. bfloat16 keeps 8 bits of a number,
# and another batch means another order of sums.
TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-3, torch.int8: 2e-3}

_TEXTS = (
    "The quick brown fox jumps over the lazy dog.",
    "Short.",
    "Pooling turns the hidden states of a text into one vector, and attention decides which "
    "states know what.",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One promise: what was looked at, what was found, and whether it holds."""

    name: str
    holds: bool
    found: str


def check(embedder: Embedder) -> list[Check]:
    """Put an embedder's loaded weights to the proof; takes a few short forward passes."""
    return [*_attention(embedder), *_independence(embedder), _ends_with_eos(embedder)]


def prove(embedder: Embedder) -> Embedder:
    """The embedder itself, with the verdict noted for the indexes that it builds.

    Raises:
        BrokenPromise: a check fails; the message names it.
    """
    checks = check(embedder)
    for failed in (item for item in checks if not item.holds):
        raise BrokenPromise(
            f"{embedder.names[0]} on {embedder.base.name} breaks its promise, {failed.name}: "
            f"{failed.found}; "
            "not indexed: try --engine transformers, or another base model"
        )
    embedder.verdict = {item.name: item.found for item in checks}
    return embedder


def _attention(embedder: Embedder) -> Iterator[Check]:
    """Change the last token and look at the first one's state: alone, and with padding."""
    text, longer = (
        embedder.tokenizer.tokenise(_TEXTS, template="{text}", max_tokens=64)[i].ids for i in (0, 2)
    )
    changed = text.copy()
    changed[-1] = text[1]
    mode = catalog.load(ATTENTION, embedder.variants[0].attention)
    seen = bool(mode.attend(torch.ones(1, len(text), dtype=torch.bool))[0, 0, 0, -1])
    engine = embedder.engine
    sides = _sides(engine)
    for beside in ([], [longer]):
        for side in sides[:1] if not beside else sides:
            engine.padding_side = side
            first = [_states(embedder, [one, *beside])[0] for one in (text, changed)]
            moved = float((first[0] - first[1]).abs().max() / first[0].abs().max())
            place = "beside a longer text" if beside else "alone"
            # Without influence the same numbers are computed twice in the same way: not one bit may
            # differ.
            yield Check(
                f"attention is {embedder.variants[0].attention}, {place}"
                + (f", padded {side}" if beside and side else ""),
                (moved > 1e-3) if seen else moved == 0.0,
                f"the last token moves the first one's state by {moved:.2g}",
            )
    engine.padding_side = sides[0]


def _independence(embedder: Embedder) -> Iterator[Check]:
    """The same text alone and among others, padded on either side, gives the same vector."""
    single = [embedder.encode([text]).vectors for text in _TEXTS]
    batches = []
    for side in _sides(embedder.engine):
        embedder.engine.padding_side = side
        batches.append(embedder.encode([*_TEXTS, *reversed(_TEXTS)]).vectors)
    embedder.engine.padding_side = _sides(embedder.engine)[0]
    for name in embedder.names:
        alone = np.concatenate([vectors[name] for vectors in single])
        expected = np.concatenate([alone, alone[::-1]])
        cosines = np.concatenate([(expected * vectors[name]).sum(1) for vectors in batches])
        gap = float(1 - cosines.min())
        yield Check(
            f"vectors of {name} do not depend on the batch",
            gap <= TOLERANCE[embedder.engine.dtype],
            f"cosine {1 - gap:.6f} or more to the text alone",
        )


def _ends_with_eos(embedder: Embedder) -> Check:
    """EOS closes short texts and truncated ones alike."""
    eos = embedder.tokenizer.eos_id
    short = embedder.tokenizer.tokenise(_TEXTS, template="{text}", max_tokens=64)
    cut = embedder.tokenizer.tokenise(_TEXTS[2:], template="{text}", max_tokens=8)
    ends = [int(text.ids[-1]) for text in (*short, *cut)]
    lengths_hold = all(len(text.ids) <= 8 and text.truncated for text in cut)
    return Check(
        "every text ends with EOS",
        lengths_hold and all(end == eos for end in ends),
        f"token {eos} ends them",
    )


def _sides(engine: Engine) -> tuple[str | None, ...]:
    """Where an engine can put its padding, the side that it uses first."""
    return ("right", "left") if engine.padding_side else (None,)


def _states(
    embedder: Embedder, texts: list["np.ndarray[tuple[int], np.dtype[np.int64]]"]
) -> torch.Tensor:
    """(T, D): the last layer's token states of the first text of a batch."""
    lengths = torch.tensor([len(text) for text in texts])
    ids = torch.from_numpy(np.concatenate(texts))
    batch = TokenBatch(ids, lengths, torch.ones(len(ids), dtype=torch.bool)).to(
        embedder.engine.device
    )
    first, last = embedder.layers
    reader = Reader([LAST_TOKENS], batch, first_layer=first, last_layer=last)
    embedder.engine.run(batch, reader)
    states, _ = reader.read(LAST_TOKENS)
    return states[0, : len(texts[0])].float()
