"""What a suite would take: texts to encode, what is remembered of them already, and the time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from searchkit import places
from searchkit.encode.embedder import Role, TextEncoder
from searchkit.evaluate.runner import open_encoders
from searchkit.evaluate.sets import open_all, size, task_of, texts_of
from searchkit.evaluate.suite import Suite
from searchkit.index.store import Store
from searchkit.search.donor import donated

_LOOKED_AT = 200  # texts of a set that stand for all of them


@dataclass(frozen=True, slots=True)
class Step:
    """One set for the encoders that share a forward pass.

    `texts` counts the distinct ones, `tokens` those that are still to be computed, estimated from
    200 texts; `seconds` is None for an encoder that never ran on this machine. Where nothing
    encodes, there is one step without systems.
    """

    set: str
    task: str
    size: str
    systems: tuple[str, ...]
    texts: int
    tokens: int
    seconds: float | None


def plan(suite: Suite) -> Iterator[Step]:
    """The steps of a suite; opens every set and reads it, and encodes nothing.

    Models that were never calibrated are: that takes some seconds.

    Raises:
        BadInput: what `runner.evaluate` would raise before it encodes.
    """
    sets = open_all(suite)
    encoders = list(open_encoders(suite, places.evaluations() / "memories"))
    for one in sets:
        texts = texts_of(one.data, suite.seed)
        if one.row.searched:  # its passages are encoded already
            texts = [some for some in texts if some[0] == "query"]
        step = Step(
            set=one.name,
            task=task_of(one.data),
            size=size(one.data),
            systems=(),
            texts=sum(len(some) for _, some in texts),
            tokens=0,
            seconds=0.0,
        )
        if not encoders:
            yield step
        lent = None if one.row.donor is None else Store.open(one.row.donor)
        for own in encoders:
            encoder = donated(own, lent) if lent else own
            tokens = sum(_tokens_to_do(encoder, role, some) for role, some in texts)
            speed = encoder.tokens_per_s
            seconds = 0.0 if not tokens else tokens / speed if speed else None
            yield replace(step, systems=encoder.names, tokens=tokens, seconds=seconds)


def _tokens_to_do(encoder: TextEncoder, role: Role, texts: list[str]) -> int:
    """Tokens of the texts that a memory does not know, by a sample of evenly spaced ones."""
    if not texts:
        return 0
    chosen = np.linspace(0, len(texts) - 1, num=min(len(texts), _LOOKED_AT), dtype=np.int64)
    counts = encoder.unknown_tokens(encoder.prepare([texts[row] for row in chosen], role))
    return round(counts * len(texts) / len(chosen))
