"""The settings of a training run."""

import math
from dataclasses import dataclass

from searchkit.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How to train; all but `checkpoint_every` decides which weights come out.

    Attributes:
        batch_size: pairs a step, over all processes.
        steps: how many steps there are.
        seed: of batches, hard negatives and dropout.
        learning_rate: of AdamW at its highest.
        warm_up: steps until it is that high; from there it falls in a line.
        weight_decay: of AdamW, on weights of two dimensions and more.
        clip: the norm to which longer gradients are scaled down.
        temperature: what cosines are divided by; the first value, if it is learned.
        learn_temperature: whether its logarithm is a parameter.
        both_ways: whether each positive also looks for its query.
        negatives: hard negatives of each pair that a batch takes in; fewer where it has fewer.
        mixed: whether a batch may hold pairs of several sources.
        chunk: texts that are encoded with a graph at a time; bounds the memory.
        dims: leading dimensions that are to stand alone, too (Matryoshka): the loss is the mean of
            the whole vectors' and of theirs. () for the whole alone.
        masked_steps: the first so many of the steps guess masked tokens in the place of passages;
            see `train.masked`.
        distillation: the weight of the teacher's part of the loss, from 0 to 1.
        teacher_temperature: what the teacher's cosines are divided by.
        checkpoint_every: steps between two checkpoints.
        validate_every: steps between two validations; None for one at the end.
        keep_best: the figure of the validation whose highest value names the step that is kept;
            None for the last step.
    """

    batch_size: int
    steps: int
    seed: int = 0
    learning_rate: float = 5e-4
    warm_up: int = 0
    weight_decay: float = 0.01
    clip: float = 1.0
    temperature: float = 0.05
    learn_temperature: bool = False
    both_ways: bool = True
    negatives: int = 0
    mixed: bool = False
    chunk: int = 64
    dims: tuple[int, ...] = ()
    masked_steps: int = 0
    distillation: float = 0.0
    teacher_temperature: float = 0.05
    checkpoint_every: int = 50
    validate_every: int | None = None
    keep_best: str | None = None

    def __post_init__(self) -> None:
        least = {"batch_size": 2, "steps": 1, "seed": 0, "warm_up": 0, "weight_decay": 0}
        least |= {
            "negatives": 0,
            "chunk": 1,
            "masked_steps": 0,
            "checkpoint_every": 1,
            "validate_every": 1,
        }
        for name, bound in least.items():
            value = getattr(self, name)
            if value is not None and not bound <= value < math.inf:
                raise BadInput(f"{name} is {value}; it must be {bound} or more, and finite")
        for name in ("learning_rate", "clip", "temperature", "teacher_temperature"):
            value = getattr(self, name)
            if not 0 < value < math.inf:
                raise BadInput(f"{name} is {value}; it must be above 0, and finite")
        if self.warm_up > self.steps:
            raise BadInput(
                f"warm_up takes {self.warm_up} steps; there are {self.steps}, so take at most that"
            )
        if self.masked_steps >= self.steps:
            raise BadInput(
                f"masked_steps are {self.masked_steps}; there are {self.steps} steps in all, and "
                "some must learn from pairs"
            )
        if not 0 <= self.distillation <= 1:
            raise BadInput(f"distillation is {self.distillation}; it must be from 0 to 1")
        if any(dim < 1 for dim in self.dims) or len(set(self.dims)) < len(self.dims):
            raise BadInput(f"dims are {list(self.dims)}; each must be 1 or more, and none twice")
