"""The trainings of a study, one after the other; what is finished is kept."""

from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from searchkit import places
from searchkit.corpus.notes import hashed
from searchkit.encode import calibration, language_models, weights
from searchkit.encode.blocks import Progress
from searchkit.evaluate import held_out, scoring
from searchkit.search.watcher import Watcher
from searchkit.study.alike import Trained, recipe, refuse_other, refuse_unlike
from searchkit.study.study import Row, Study
from searchkit.train import loop, regimes
from searchkit.train import pairs as training_pairs
from searchkit.train.learner import Step, Teacher
from searchkit.train.pairs import Pairs
from searchkit.train.regimes import POOLING
from searchkit.train.teacher import open_teacher

_SAID = 10  # lines about a training, while it goes on


def data(study: Study, say: Callable[[str], None]) -> Pairs:
    """The pairs that every row learns from; none asks what is held out.

    Raises:
        BadInput: see `searchkit.train.pairs`.
    """
    training = study.training
    paths = [one.path for one in training.pairs]
    pairs = training_pairs.read(paths, at_most=training.at_most)
    if training.held_out:
        held = held_out.queries(training.held_out)
        pairs = training_pairs.hold_out(pairs, held.texts, drop=training.drop_leaks)
        pairs = replace(pairs, notes=(*pairs.notes, *held.notes))
    for line in pairs.notes:
        say(line)
    return pairs


def train(
    study: Study, pairs: Pairs, folder: Path, *, device: str | None, watcher: Watcher
) -> list[Trained]:
    """Train every row with every seed, all rows of a seed before the next seed.

    Args:
        study: what to train, and how.
        pairs: of `data`.
        folder: with a folder for each training; those of finished ones are kept, and those that
            were killed go on.
        device: where to compute; the best there is by default.
        watcher: told how it goes on.

    Returns:
        All trainings, in that order.

    Raises:
        BadInput: a finished training is of another study, or a row cannot be trained so, or two
            trainings turn out unlike.
    """
    trainer = _Trainer(study, pairs, folder, device, watcher)
    todo = [(row, seed) for seed in study.seeds for row in study.rows]
    for row, seed in todo:
        trainer.refuse_other(row, seed)
    trained: dict[str, Trained] = {}
    # Finished ones first: what turns out unlike them is known after one training, not after all.
    for row, seed in sorted(todo, key=lambda place: not trainer.has(*place)):
        one = trainer.trained(row, seed)
        trained[one.system] = one
        refuse_unlike([*trained.values()])
    return [trained[row.system(seed)] for row, seed in todo]


class _Trainer:
    """Trains one row after the other on the same."""

    def __init__(
        self, study: Study, pairs: Pairs, folder: Path, device: str | None, watcher: Watcher
    ) -> None:
        self._training, self._pairs, self._folder = study.training, pairs, folder
        self._device, self._watcher = device, watcher
        training, teacher_hash = study.training, ""
        self._teacher: Teacher | None = None
        if training.teacher:
            memories = places.evaluations() / "memories"
            self._teacher, teacher_hash = open_teacher(training.teacher, memories, device=device)
        validation = scoring.validation(training.validate, sample=training.validate_sample)
        self._validate: loop.Validate | None = (
            (lambda trainee: validation.measure(trainee.encode)) if validation else None
        )
        self._facts: dict[str, Any] = {
            "pairs": hashed(pair.pair_id for pair in pairs.pairs),
            "from_layer": study.training.lora.first_layer,
            "teacher": teacher_hash,
        }
        if validation and training.settings.keep_best:  # else it decides nothing
            self._facts["validation"] = validation.facts

    def has(self, row: Row, seed: int) -> bool:
        """Whether a training is finished."""
        return weights.knows(str(self._folder / row.system(seed)))

    def refuse_other(self, row: Row, seed: int) -> None:
        """Refuse a training that is finished and would come out otherwise now."""
        if not self.has(row, seed):
            return
        training = {
            "settings": asdict(self._training.settings),
            "facts": {
                "regime": row.regime,
                "lora": None if row.regime == POOLING else asdict(self._training.lora),
                "study": self._facts,
            },
            "files": [asdict(file) for file in self._pairs.files],
        }
        variant = replace(row.variant, seed=seed)
        base = language_models.resolve(variant.base)
        wanted = recipe(variant.to_row(), base.hash, training)
        refuse_other(self._folder / row.system(seed), variant, wanted)

    def trained(self, row: Row, seed: int) -> Trained:
        """The training of a row with a seed, made now if it is not finished."""
        place = self._folder / row.system(seed)
        if not self.has(row, seed):
            self._watcher.enter(f"training {row.system(seed)}")
            self._train(row, seed, place)
        return Trained(row, seed, weights.resolve(str(place)))

    def _train(self, row: Row, seed: int, place: Path) -> None:
        training = self._training
        settings = replace(training.settings, seed=seed)
        trainee = regimes.open_trainee(
            replace(row.variant, seed=seed, label=row.system(seed)),
            row.regime,
            replace(training.lora, seed=seed),
            places.evaluations(),
            engine=training.engine,
            dtype=calibration.dtype_of(training.dtype) if training.dtype else None,
            device=calibration.device(self._device),
        )
        parameters = sum(one.numel() for one in trainee.parameters().values())
        self._watcher.begin(f"training {row.system(seed)}", settings.steps)
        loop.train(
            trainee,
            self._pairs,
            settings,
            place,
            on_step=partial(_tell, self._watcher, settings.steps),
            on_note=self._watcher.say,
            validate=self._validate,
            teacher=self._teacher,
            facts={
                "regime": row.regime,
                **trainee.facts(),
                "study": self._facts,
                "parameters": parameters,
            },
        )


def _tell(watcher: Watcher, steps: int, taken: Step) -> None:
    watcher.advance(Progress(taken.step, steps, 0, 0, 0.0, 0))
    if taken.step % max(1, steps // _SAID) == 0:
        watcher.say(
            f"step {taken.step} of {steps}: loss {taken.loss:.3f}, {taken.accuracy:.0%}, "
            f"{taken.pairs_per_s:.1f} pairs/s"
        )
