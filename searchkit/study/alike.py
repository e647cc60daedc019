"""That the trainings of a study differ in nothing but their design and seed.

What decides a training's outcome is written down with its weights: settings, hashes of the data,
which pairs were kept, a hash of which pairs met in which batch, in order, and what computed it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from searchkit.encode import weights
from searchkit.encode.variant import Variant
from searchkit.encode.weights import Weights
from searchkit.errors import BadInput
from searchkit.study.study import Row
from searchkit.train.checkpoint import differences
from searchkit.train.settings import Settings

_OF_A_SEED = ("seed", "checkpoint_every")  # the second decides nothing
_OF_LORA = ("rank", "alpha", "dropout")
_OF_A_REGIME = ("regime", "lora", "arithmetic", "device")
_BY_CONTENT = ("label", "base", "weights")
_DEFAULTS = json.loads(json.dumps(asdict(Settings(batch_size=2, steps=1))))  # as files have them


@dataclass(frozen=True, slots=True)
class Trained:
    """A row of a study, trained with a seed."""

    row: Row
    seed: int
    weights: Weights

    @property
    def system(self) -> str:
        """Its name in scores, and of the folder of its weights."""
        return self.row.system(self.seed)


def recipe(row: Mapping[str, Any], base_hash: str, training: Mapping[str, Any]) -> dict[str, Any]:
    """What of a training is the same for all designs and seeds.

    Args:
        row: of the variant.
        base_hash: of its base model.
        training: what is saved with its weights, or would be.
    """
    facts = training["facts"]
    lora = facts["lora"]
    return {
        "base": base_hash,
        "max_tokens": row["max_tokens"],
        "settings": {
            # What a training did not know of yet was as it is by default.
            name: training["settings"].get(name, default)
            for name, default in _DEFAULTS.items()
            if name not in _OF_A_SEED
        },
        "files": {file["name"]: file["blake3"] for file in training["files"]},
        "regime": facts["regime"],
        "lora": {name: lora[name] for name in _OF_LORA} if lora else None,
        **facts["study"],
    }


def computed(found: Weights) -> dict[str, Any]:
    """The recipe of a training, and what computed it: arithmetic, kind of device, versions."""
    training = found.training
    return {
        **_made(found),
        "arithmetic": training["facts"]["arithmetic"],
        "device": training.get("device", "cpu"),  # trainings that do not say were made on one
        "versions": training["versions"],
    }


def refuse_other(folder: Path, variant: Variant, wanted: Mapping[str, Any]) -> None:
    """Refuse weights that lie where a training's shall be and are not what it would make.

    Args:
        folder: where they lie.
        variant: of the training.
        wanted: its recipe.

    Raises:
        BadInput: the message says what differs.
    """
    found = weights.resolve(str(folder))
    made = {"variant": _design(found.row), **_made(found)}
    if differing := differences(made, {"variant": _design(variant.to_row()), **wanted}):
        raise BadInput(
            f"{folder} was trained with {'; '.join(differing)}; put the study back to that, take "
            "another --output, or delete the folder to have it trained again"
        )


def refuse_unlike(trained: Sequence[Trained]) -> None:
    """Refuse to compare trainings of unlike data, settings, order of batches, device or versions.

    Rows of different regimes may differ in what their regimes are, and those with other templates
    in the batches: templates lengthen texts, and batches are of like lengths.

    Raises:
        BadInput: the message names two trainings, and what differs.
    """
    first, usual = trained[0].system, computed(trained[0].weights)
    of_regime: dict[str, tuple[str, dict[str, Any]]] = {}
    orders: dict[tuple[int, tuple[str, str]], tuple[str, str]] = {}
    for one in trained:
        made, order = computed(one.weights), one.weights.training["batches"]
        _refuse(one.system, first, differences(_but_for_regime(made), _but_for_regime(usual)))
        name, theirs = of_regime.setdefault(one.row.regime, (one.system, made))
        _refuse(one.system, name, differences(made, theirs))
        name, batches = orders.setdefault((one.seed, one.row.templates), (one.system, order))
        _refuse(one.system, name, [] if order == batches else ["other batches"])


def _made(found: Weights) -> dict[str, Any]:
    return recipe(found.row, found.base_hash, found.training)


def _refuse(one: str, other: str, differing: Sequence[str]) -> None:
    if differing:
        raise BadInput(
            f"{one} was trained unlike {other}: with {'; '.join(differing)}; a study compares what "
            "was trained alike, so delete the folders of both and run it again"
        )


def _but_for_regime(made: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in made.items() if name not in _OF_A_REGIME}


def _design(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _BY_CONTENT}
