"""Which variants of a suite were trained, and which of them alike but for the seed."""

import json
import re
from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import Any

from searchkit.encode.variant import Variant
from searchkit.encode.weights import Weights

_SEED = re.compile(r"[-_.]\d*$")  # what is left of the end of a name that ends with its seed


def of(variants: Sequence[Variant]) -> dict[str, tuple[str, int | None]]:
    """By the name of each trained variant, its design and the seed of its training.

    Variants of one design were trained alike in all but the seed; it is called after what their
    names have in common.
    """
    alike: dict[str, list[Variant]] = {}
    for variant in variants:
        if variant.trained is not None:
            alike.setdefault(_but_for_seeds(variant, variant.trained), []).append(variant)
    found: dict[str, tuple[str, int | None]] = {}
    for members in alike.values():
        names = [variant.name for variant in members]
        shared = _SEED.sub("", commonprefix(names))  # noqa: RUF071 - not paths
        for variant in members:
            design = (shared or variant.design) if len(members) > 1 else variant.name
            found[variant.name] = design, variant.seed
    return found


def _but_for_seeds(variant: Variant, weights: Weights) -> str:
    row = {**variant.to_row(), "seed": 0, "label": "", "weights": ""}
    training = {name: weights.training.get(name) for name in ("settings", "facts", "files")}

    def without(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return {name: without(value) for name, value in part.items() if name != "seed"}

    return json.dumps([row, without(training)], sort_keys=True)
