"""Training: pairs and a trainee, step by step, to weights.

    <folder>/history.jsonl    a line a step, see `train.history`
    <folder>/checkpoint/      where a killed run goes on, see `train.checkpoint`
    <folder>/variant.json ... the trained weights once the run is over, see `encode.weights`

All that is random is a function of the seed and of the step's number: batches, hard negatives,
dropout. So a checkpoint holds no state of a generator, and a run that was killed and called again
ends in the weights of an unbroken one, bit for bit on the same machine.
"""

import fcntl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from searchkit import __version__
from searchkit.corpus.notes import hashed, note
from searchkit.encode.embedder import Role
from searchkit.encode.tokens import TokenisedText
from searchkit.errors import BadInput, SearchkitError, TrainingFailed
from searchkit.records import Pair
from searchkit.train import batches, checkpoint, history
from searchkit.train.batches import Batch
from searchkit.train.checkpoint import Best, Checkpoint
from searchkit.train.history import History
from searchkit.train.learner import Learner, Step, Teacher, hard_negatives, known_answers
from searchkit.train.pairs import Pairs
from searchkit.train.settings import Settings
from searchkit.train.trainee import Trainee

__all__ = ["Result", "Settings", "Step", "Teacher", "Validate", "train"]

Validate = Callable[[Trainee], Mapping[str, float]]  # to figures by name; higher is better

_CHECKPOINTS = "checkpoint"
_TOKENISED_AT_ONCE = 1024


@dataclass(frozen=True, kw_only=True)
class Result:
    """A run that came to its end.

    Attributes:
        step: the one whose parameters were saved, and which the trainee has now.
        figures: its validation's; empty if it had none.
        resumed_at: the step of the checkpoint from which this call went on; 0 without one.
    """

    step: int
    figures: Mapping[str, float]
    resumed_at: int


def train(
    trainee: Trainee,
    pairs: Pairs,
    settings: Settings,
    folder: Path,
    *,
    on_step: Callable[[Step], None],
    on_note: Callable[[str], None],
    validate: Validate | None = None,
    teacher: Teacher | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Result:
    """Train to the last step, from the newest checkpoint if there is one, and save the weights.

    In a process group every process calls this with the same arguments and encodes its part of each
    batch. Only the first one writes, reports and validates; the others wait for it, no longer than
    the group's timeout.

    Args:
        trainee: as a run begins with it; a checkpoint's parameters replace its own.
        pairs: to learn from.
        settings: how.
        folder: of this run alone; made if it is missing.
        on_step: told of each step.
        on_note: told what a user should know, a line each, before the first step.
        validate: called every `validate_every` steps and at the end, dropout off.
        teacher: of the similarities that are distilled.
        facts: what else decides which weights come out, such as the adapter's options and the
            teacher's hash; JSON. A checkpoint with other facts is refused, and the weights are
            saved with them.

    Returns:
        Which step it ended with. Its figures are known in the first process only.

    Raises:
        BadInput: settings that do not fit together or to the pairs, or a checkpoint of another run:
            before the first step. A validation without the figure that `keep_best` names.
        CorruptFile: no checkpoint is whole, or the history is not.
        EmptyText: a text without any token.
        SearchkitError: another process trains into `folder`, or the disk has no room for what a
            trainee keeps.
        TrainingFailed: a loss or gradient that is not finite; the last checkpoint stays.
    """
    facts = facts or {}
    _refuse_unfit(trainee, pairs.pairs, settings, validate, teacher)
    identity = _identity(trainee, pairs, settings, facts)
    learner = Learner(trainee, settings, teacher, known_answers(pairs.pairs))
    with ExitStack() as held:
        if _rank() == 0:
            held.enter_context(_alone(folder))
        found, notes = checkpoint.newest(folder / _CHECKPOINTS, identity)
        start = found.step if found else 0
        if found:
            learner.restore(found.parameters, found.moments)
        learner.share()
        plan = _plan(trainee, pairs.pairs, settings)
        room = trainee.room(_texts(trainee, pairs.pairs, plan, settings))
        record = None
        if _rank() == 0:
            for line in (*notes, *_notes(pairs.pairs, plan, settings), *room):
                on_note(line)
            log = held.enter_context(History(folder / history.NAME, start))
            record = _Record(
                learner, settings, folder, identity, log, found.best if found else None
            )
        for step, rows in enumerate(plan[start:], start + 1):
            trainee.set_training(True)
            batch = [pairs.pairs[row] for row in rows]
            try:
                taken = learner.learn(batch, step)
            except TrainingFailed as failure:
                if record:
                    record.failed(step, failure, batch)
                raise
            trainee.set_training(False)
            if record:
                record.took(taken)
                on_step(taken)
                if validate and _is_due(step, settings.validate_every, settings):
                    record.validated(step, validate(trainee))
                if _is_due(step, settings.checkpoint_every, settings):
                    record.keep(step)
        if record:
            if record.best:
                learner.put(record.best.parameters)
            log_rows = history.read(folder / history.NAME)
            trainee.save(folder, _training(learner, pairs, settings, facts, plan, log_rows))
        learner.share()
        step, figures = _chosen(history.read(folder / history.NAME), settings)
    return Result(step=step, figures=figures, resumed_at=start)


class _Record:
    """What the first process writes down of a run.

    Attributes:
        best: the parameters that validated best so far, if the settings ask for them.
    """

    def __init__(
        self,
        learner: Learner,
        settings: Settings,
        folder: Path,
        identity: Mapping[str, Any],
        log: History,
        best: Best | None,
    ) -> None:
        self._learner, self._settings, self._folder = learner, settings, folder
        self._identity, self._log, self.best = identity, log, best

    def took(self, step: Step) -> None:
        self._log.add(asdict(step))

    def failed(self, step: int, failure: TrainingFailed, batch: Sequence[Pair]) -> None:
        pairs = [pair.pair_id for pair in batch]
        self._log.add({"step": step, "failed": str(failure), "pairs": pairs})

    def validated(self, step: int, figures: Mapping[str, float]) -> None:
        name = self._settings.keep_best
        if name is not None and name not in figures:
            raise BadInput(
                f"keep_best names {name!r}, which the validation does not give; it gives: "
                f"{', '.join(figures) or 'nothing'}"
            )
        self._log.add({"step": step, "validation": dict(figures)})
        if name is not None and (self.best is None or figures[name] > self.best.value):
            parameters = {
                key: one.detach().clone() for key, one in self._learner.parameters.items()
            }
            self.best = Best(step, figures[name], parameters)

    def keep(self, step: int) -> None:
        # A checkpoint must not know of steps that the history lost.
        self._log.sync()
        now = Checkpoint(step, self._learner.parameters, self._learner.moments(), self.best)
        checkpoint.save(self._folder / _CHECKPOINTS, now, self._identity)


def _refuse_unfit(
    trainee: Trainee,
    pairs: Sequence[Pair],
    settings: Settings,
    validate: Validate | None,
    teacher: Teacher | None,
) -> None:
    """Refuse settings that do not fit to what is trained, and with what.

    Raises:
        BadInput: the message says which.
    """
    if (teacher is None) != (settings.distillation == 0):
        raise BadInput(
            f"distillation is {settings.distillation} and the teacher is {teacher}; give a weight"
            " above 0 and a teacher, or neither"
        )
    if settings.keep_best and not validate:
        raise BadInput(
            f"keep_best is {settings.keep_best!r}, and nothing is validated; give validation sets,"
            " or leave it out"
        )
    if settings.dims and pairs:
        with torch.no_grad():
            size = trainee.vectors(trainee.prepare([pairs[0].query], "query")).shape[1]
        if max(settings.dims) > size:
            raise BadInput(
                f"dims are {list(settings.dims)}, and vectors have {size} dimensions; take no more"
            )


def _identity(
    trainee: Trainee, pairs: Pairs, settings: Settings, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """All that decides which weights come out, but for the machine."""
    row = {key: value for key, value in trainee.variant.to_row().items() if key != "label"}
    given = {key: value for key, value in asdict(settings).items() if key != "checkpoint_every"}
    shapes = ((name, list(one.shape)) for name, one in sorted(trainee.parameters().items()))
    return {
        "settings": given,
        "variant": {**row, "base": trainee.base.hash},
        "files": {file.name: file.blake3 for file in pairs.files},
        "hash of the pairs": hashed(pair.pair_id for pair in pairs.pairs)[:16],
        "hash of the parameters' shapes": hashed(shapes)[:16],
        "processes": _processes(),
        "facts": dict(facts),
    }


def _plan(trainee: Trainee, pairs: Sequence[Pair], settings: Settings) -> list[Batch]:
    """The batch of every step."""
    lengths: list[int] = []
    for start in range(0, len(pairs), _TOKENISED_AT_ONCE):
        some = pairs[start : start + _TOKENISED_AT_ONCE]
        queries = trainee.prepare([pair.query for pair in some], "query")
        positives = trainee.prepare([pair.positive for pair in some], "passage")
        lengths += [
            len(query.ids) + len(positive.ids)
            for query, positive in zip(queries, positives, strict=True)
        ]
    return batches.plan(
        pairs,
        lengths,
        batch_size=settings.batch_size,
        steps=settings.steps,
        seed=settings.seed,
        mixed=settings.mixed,
    )


def _texts(
    trainee: Trainee, pairs: Sequence[Pair], plan: Sequence[Batch], settings: Settings
) -> Iterator[list[TokenisedText]]:
    """The texts of all steps, each once, in blocks."""
    texts: dict[Role, dict[str, None]] = {"query": {}, "passage": {}}
    for step, rows in enumerate(plan, 1):
        batch = [pairs[row] for row in rows]
        texts["query"].update(dict.fromkeys(pair.query for pair in batch))
        texts["passage"].update(dict.fromkeys(pair.positive for pair in batch))
        drawn = hard_negatives(batch, settings.negatives, seed=settings.seed, step=step)
        texts["passage"].update(dict.fromkeys(drawn))
    for role, found in texts.items():
        distinct = list(found)
        for start in range(0, len(distinct), _TOKENISED_AT_ONCE):
            yield trainee.prepare(distinct[start : start + _TOKENISED_AT_ONCE], role)


def _notes(pairs: Sequence[Pair], plan: Sequence[Batch], settings: Settings) -> tuple[str, ...]:
    """What training makes no use of, though it was given."""
    short = [pair.pair_id for pair in pairs if len(pair.negatives) < settings.negatives]
    return (
        *batches.left_out(pairs, plan),
        *note(
            f"pairs with fewer than {settings.negatives} hard negatives",
            short,
            "their batches have as many fewer",
        ),
    )


def _is_due(step: int, every: int | None, settings: Settings) -> bool:
    return step == settings.steps or (every is not None and step % every == 0)


def _chosen(
    rows: Sequence[Mapping[str, Any]], settings: Settings
) -> tuple[int, Mapping[str, float]]:
    """The step whose parameters a run ends with, and what its validation gave."""
    figures = {row["step"]: row["validation"] for row in rows if "validation" in row}
    step, name = settings.steps, settings.keep_best
    if name:  # of equals the first, as `_Record` has it
        step = max(figures, key=lambda validated: figures[validated][name])
    return step, figures.get(step, {})


def _training(
    learner: Learner,
    pairs: Pairs,
    settings: Settings,
    facts: Mapping[str, Any],
    plan: Sequence[Batch],
    rows: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """How weights were made, for those who use them or want to make them again."""
    return {
        "settings": asdict(settings),
        "facts": dict(facts),
        "files": [asdict(file) for file in pairs.files],
        "batches": hashed(batch.tolist() for batch in plan),
        "step": _chosen(rows, settings)[0],
        "temperature": learner.temperature,
        "validation": [row for row in rows if "validation" in row],
        "device": next(iter(learner.parameters.values())).device.type,
        "versions": {
            "searchkit": __version__,
            **{name: version(name) for name in ("numpy", "tokenizers", "torch", "transformers")},
        },
    }


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the system lets go of it if the process dies.

    Raises:
        SearchkitError: one is there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SearchkitError(
                f"another process trains into {folder}; wait until it has finished, or train into"
                " another folder"
            ) from None
        yield


def _rank() -> int:
    return distributed.get_rank() if _grouped() else 0


def _processes() -> int:
    return distributed.get_world_size() if _grouped() else 1


def _grouped() -> bool:
    return distributed.is_available() and distributed.is_initialized()
