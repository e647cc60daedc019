"""One step of training: a batch of pairs, its gradients, another state of the parameters."""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, distributed, nn

from searchkit.errors import TrainingFailed
from searchkit.records import Pair
from searchkit.train import masked
from searchkit.train.gradient_cache import accumulate, accumulate_sum, sum_gradients
from searchkit.train.loss import Objective, Outcome, distilled, duplicates, info_nce, nested
from searchkit.train.optimiser import Optimiser, scheduled
from searchkit.train.pairs import comparable
from searchkit.train.settings import Settings
from searchkit.train.trainee import Trainee

Teacher = Callable[[Sequence[str]], npt.NDArray[np.float32]]  # to (N, D), rows of unit length

_TEMPERATURE = "log_temperature"
_IDS_SHOWN = 8


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step that was taken.

    Attributes:
        step: its number, from 1.
        loss: of the batch, in nats, before the step.
        accuracy: the share of the batch's queries whose positive was the nearest passage; of
            masked tokens that were guessed, in a step that masks.
        learning_rate: at which it was taken.
        pairs_per_s: pairs of the batch by `seconds`.
        tokens: of the batch's texts, over all processes.
        seconds: that it took.
        gradient_norm: of all gradients together, before they were clipped.
        temperature: of the loss.
    """

    step: int
    loss: float
    accuracy: float
    learning_rate: float
    pairs_per_s: float
    tokens: int
    seconds: float
    gradient_norm: float
    temperature: float


class Learner:
    """A trainee, its optimiser, and the temperature if that is learned.

    Args:
        trainee: whose parameters are moved.
        settings: how.
        teacher: of similarities; asked for every batch if the settings distil.
        known: see `known_answers`.

    Attributes:
        parameters: all that is trained, by name.
    """

    def __init__(
        self,
        trainee: Trainee,
        settings: Settings,
        teacher: Teacher | None,
        known: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        self._trainee, self._settings, self._teacher = trainee, settings, teacher
        self._known = known
        self.parameters: dict[str, nn.Parameter] = dict(trainee.parameters())
        if settings.learn_temperature:
            device = next(iter(self.parameters.values())).device
            logarithm = torch.tensor(math.log(settings.temperature), device=device)
            self.parameters[_TEMPERATURE] = nn.Parameter(logarithm)
        self._optimiser = Optimiser(
            self.parameters, weight_decay=settings.weight_decay, clip=settings.clip
        )

    @property
    def temperature(self) -> float:
        """What cosines are divided by at present."""
        found = self._temperature()
        return found.item() if isinstance(found, Tensor) else found

    def learn(self, pairs: Sequence[Pair], step: int) -> Step:
        """Take one step.

        The first `masked_steps` guess the masked tokens of the batch's texts.

        Args:
            pairs: the whole batch, in every process of a group.
            step: its number, from 1; with the seed it decides all that is random.

        Raises:
            TrainingFailed: the loss or the gradient is not finite; no parameter was moved.
        """
        start = time.perf_counter()
        if step <= self._settings.masked_steps:
            self._optimiser.drop_gradients()  # pooling and temperature wait for the steps of pairs
            outcome, tokens = self._fill(pairs, step)
        else:
            self._optimiser.zero_gradients()
            outcome, tokens = self._match(pairs, step)
        temperature = self.temperature
        sum_gradients(self.parameters.values())
        loss, norm = outcome.loss.item(), self._optimiser.clip()
        for what, value in (("loss", loss), ("gradient's norm", norm)):
            if not math.isfinite(value):
                raise TrainingFailed(_failure(what, value, pairs, step))
        settings = self._settings
        rate = scheduled(
            step, peak=settings.learning_rate, warm_up=settings.warm_up, steps=settings.steps
        )
        self._optimiser.update(rate)
        seconds = time.perf_counter() - start
        return Step(
            step=step,
            loss=loss,
            accuracy=outcome.accuracy,
            learning_rate=rate,
            pairs_per_s=len(pairs) / seconds,
            tokens=tokens,
            seconds=seconds,
            gradient_norm=norm,
            temperature=temperature,
        )

    def _match(self, pairs: Sequence[Pair], step: int) -> tuple[Outcome, int]:
        """Gradients of finding each query's positive, and how many tokens that took."""
        settings = self._settings
        queries = [pair.query for pair in pairs]
        passages = [pair.positive for pair in pairs]
        passages += hard_negatives(pairs, settings.negatives, seed=settings.seed, step=step)
        asked = self._trainee.prepare(queries, "query")
        found = self._trainee.prepare(passages, "passage")
        outcome = accumulate(
            self._trainee.vectors,
            asked,
            found,
            self._objective(queries, passages),
            chunk=settings.chunk,
            seed=_seed(settings.seed, step),
        )
        return outcome, sum(len(text.ids) for text in (*asked, *found))

    def _fill(self, pairs: Sequence[Pair], step: int) -> tuple[Outcome, int]:
        """Gradients of guessing the masked tokens of all texts, and how many tokens they have."""
        trainee, settings = self._trainee, self._settings
        texts = trainee.prepare([pair.query for pair in pairs], "query")
        texts += trainee.prepare([pair.positive for pair in pairs], "passage")
        gaps = masked.mask(texts, trainee.mask_id, seed=settings.seed, step=step)

        def surprise(rows: slice) -> tuple[Tensor, int]:
            states = trainee.token_states(gaps.texts[rows])
            return masked.surprise(states, gaps, rows, trainee.head)

        outcome = accumulate_sum(
            surprise,
            len(texts),
            gaps.count,
            chunk=settings.chunk,
            seed=_seed(settings.seed, step),
            device=trainee.head.device,
        )
        return outcome, sum(len(text.ids) for text in texts)

    def moments(self) -> dict[str, Tensor]:
        """What the optimiser remembers, after a step or more; not copies."""
        return self._optimiser.moments()

    def restore(self, parameters: Mapping[str, Tensor], moments: Mapping[str, Tensor]) -> None:
        """Go on from parameters and moments."""
        self.put(parameters)
        self._optimiser.restore(moments)

    def put(self, parameters: Mapping[str, Tensor]) -> None:
        """Give the parameters other values, by name."""
        with torch.no_grad():
            for name, parameter in self.parameters.items():
                parameter.copy_(parameters[name])

    def share(self) -> None:
        """Give all processes the parameters of the first."""
        if distributed.is_available() and distributed.is_initialized():
            for parameter in self.parameters.values():
                distributed.broadcast(parameter.data, src=0)

    def _temperature(self) -> float | Tensor:
        learned = self.parameters.get(_TEMPERATURE)
        return self._settings.temperature if learned is None else learned.exp()

    def _objective(self, queries: Sequence[str], passages: Sequence[str]) -> Objective:
        settings = self._settings
        masked = duplicates([*map(comparable, queries)], [*map(comparable, passages)], self._known)
        taught = self._taught(queries, passages)

        def of(queries: Tensor, passages: Tensor) -> Outcome:
            temperature = self._temperature()
            outcome = info_nce(
                queries,
                passages,
                temperature=temperature,
                masked=masked,
                both_ways=settings.both_ways,
            )
            if taught is None:
                return outcome
            apart = distilled(
                queries,
                passages,
                *(side.to(queries.device) for side in taught),
                temperature=temperature,
                teacher_temperature=settings.teacher_temperature,
            )
            share = settings.distillation
            return Outcome((1 - share) * outcome.loss + share * apart, outcome.accuracy)

        def whole_and_leading(queries: Tensor, passages: Tensor) -> Outcome:
            sizes = dict.fromkeys((queries.shape[1], *settings.dims))
            return nested(of, queries, passages, dims=[*sizes])

        return whole_and_leading if settings.dims else of

    def _taught(
        self, queries: Sequence[str], passages: Sequence[str]
    ) -> tuple[Tensor, Tensor] | None:
        if self._teacher is None:
            return None
        vectors = torch.from_numpy(self._teacher([*queries, *passages]))
        return vectors[: len(queries)], vectors[len(queries) :]


def known_answers(pairs: Sequence[Pair]) -> dict[str, set[str]]:
    """The positives of each query that has several, all as `comparable` has them.

    One that comes into a batch as the positive of another query, or as a hard negative, does not
    count as wrong.
    """
    answers: defaultdict[str, set[str]] = defaultdict(set)
    for pair in pairs:
        answers[comparable(pair.query)].add(comparable(pair.positive))
    return {query: found for query, found in answers.items() if len(found) > 1}


def hard_negatives(pairs: Sequence[Pair], wanted: int, *, seed: int, step: int) -> list[str]:
    """So many of each pair's negatives, drawn without replacement; all of one that has fewer."""
    draw = np.random.default_rng((seed, step))
    return [
        pair.negatives[place]
        for pair in pairs
        for place in draw.permutation(len(pair.negatives))[:wanted]
    ]


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def _failure(what: str, value: float, pairs: Sequence[Pair], step: int) -> str:
    ids = [pair.pair_id for pair in pairs]
    rest = f" and {len(ids) - _IDS_SHOWN} more" if len(ids) > _IDS_SHOWN else ""
    return (
        f"step {step}: the {what} is {value}, in the batch of {', '.join(ids[:_IDS_SHOWN])}{rest}"
        " (all in history.jsonl); look at these pairs, or lower the learning rate; the last"
        " checkpoint is as it was"
    )
