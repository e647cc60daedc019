"""Which variants of a suite were trained, and which of them alike but for the seed."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

from searchkit.encode.variant import Variant
from searchkit.encode.weights import Weights

_SEED = re.compile(r"[-_.]\d*$")  # what is left of the end of a name that ends with its seed


def of(variants: Sequence[Variant]) -> dict[str, tuple[str, int | None]]:
    """By the name of each trained variant, its design and the seed of its training.

    Variants of one design were trained alike in all but the seed; it is called after what their
    names have in common, or what they are. Where two designs would have one name, or one that of a
    variant, they are called after all of theirs.
    """
    named = {variant.name: variant for variant in variants}  # one may be given twice
    alike: dict[str, list[Variant]] = {}
    for variant in named.values():
        if weights := variant.trained:
            alike.setdefault(_but_for_seeds(variant, weights), []).append(variant)
    labels = [_label(members) for members in alike.values()]
    taken = Counter([*labels, *named])
    found: dict[str, tuple[str, int | None]] = {}
    for label, members in zip(labels, alike.values(), strict=True):
        names = [variant.name for variant in members]
        own = label in names  # then it was counted twice
        design = label if taken[label] == 1 + own else " + ".join(names)
        found |= {variant.name: (design, variant.seed) for variant in members}
    return found


def _label(members: Sequence[Variant]) -> str:
    """What variants that differ in their seed alone have in common, in a word."""
    names = [variant.name for variant in members]
    if len(names) == 1:
        return names[0]
    shared = _SEED.sub("", commonprefix(names))  # noqa: RUF071 - not paths
    return shared or members[0].design


def _but_for_seeds(variant: Variant, weights: Weights) -> str:
    row = {**variant.to_row(), "seed": 0, "label": "", "weights": ""}
    training = {name: weights.training.get(name) for name in ("settings", "facts", "files")}

    def without(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return {name: without(value) for name, value in part.items() if name != "seed"}

    return json.dumps([row, without(training)], sort_keys=True)
