"""What training makes small: pure functions of a batch's vectors.

InfoNCE: van den Oord et al. 2018, arXiv:1807.03748; both ways, as CLIP does: Radford et al. 2021,
arXiv:2103.00020. Nested dimensions: Kusupati et al. 2022, Matryoshka, arXiv:2205.13147.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Outcome:
    """A batch's loss.

    Attributes:
        loss: scalar; carries a graph where the vectors do.
        accuracy: the share of queries to which no passage is as near as their positive.
    """

    loss: Tensor
    accuracy: float


Objective = Callable[[Tensor, Tensor], Outcome]  # of queries (B, D) and passages (B + N, D)


def info_nce(
    queries: Tensor,
    passages: Tensor,
    *,
    temperature: float | Tensor,
    masked: Tensor | None = None,
    both_ways: bool = True,
) -> Outcome:
    """Each query picks its positive among all passages of the batch.

    Args:
        queries: (B, D), any float dtype, rows of unit length.
        passages: (B + N, D), likewise. Row i < B is the positive of query i; the N others are hard
            negatives, of whichever query.
        temperature: what cosines are divided by; a learned one is a tensor, and gets a gradient.
        masked: (B, B + N), bool. True where a passage must not count against a query; see
            `duplicates`.
        both_ways: each positive picks its query among the B as well, with the same mask; the loss
            is the mean of both.

    Returns:
        The mean over the batch, in nats: float32, or float64 where the vectors are.

    Raises:
        ValueError: shapes that do not fit, or a mask that hides a query's positive.
    """
    size = len(queries)
    if queries.shape[1:] != passages.shape[1:] or not 0 < size <= len(passages):
        raise ValueError(
            f"queries {tuple(queries.shape)} and passages {tuple(passages.shape)} must be (B, D) "
            f"and (B + N, D), B not 0"
        )
    logits = _cosines(queries, passages) / temperature  # (B, B + N)
    if masked is not None:
        _refuse_mask(masked, logits.shape)
        logits = logits.masked_fill(masked.to(logits.device), -torch.inf)
    own = torch.arange(size, device=logits.device)
    loss = functional.cross_entropy(logits, own)
    if both_ways:
        loss = (loss + functional.cross_entropy(logits[:, :size].T, own)) / 2
    as_near = (logits >= logits.diagonal()[:, None]).sum(dim=1)  # the positive itself is one
    return Outcome(loss, (as_near == 1).float().mean().item())


def distilled(
    queries: Tensor,
    passages: Tensor,
    teacher_queries: Tensor,
    teacher_passages: Tensor,
    *,
    temperature: float | Tensor,
    teacher_temperature: float,
) -> Tensor:
    """How far the student's ranking of a batch's passages is from its teacher's.

    Args:
        queries: (B, D), any float dtype, rows of unit length.
        passages: (P, D), likewise.
        teacher_queries: (B, E), likewise; the teacher's vectors of the same queries.
        teacher_passages: (P, E), likewise.
        temperature: what the student's cosines are divided by.
        teacher_temperature: what the teacher's are divided by.

    Returns:
        KL(teacher || student) of the softmax over the passages, in nats, the mean over the queries.

    Raises:
        ValueError: student and teacher have vectors of different numbers of texts.
    """
    student = _cosines(queries, passages) / temperature
    teacher = _cosines(teacher_queries, teacher_passages) / teacher_temperature
    if student.shape != teacher.shape:
        raise ValueError(
            f"similarities of the student {tuple(student.shape)} and of the teacher "
            f"{tuple(teacher.shape)} must be of the same queries and passages"
        )
    return functional.kl_div(
        student.log_softmax(dim=1),
        teacher.log_softmax(dim=1).to(student.dtype),
        log_target=True,
        reduction="batchmean",
    )


def nested(objective: Objective, queries: Tensor, passages: Tensor, dims: Sequence[int]) -> Outcome:
    """An objective's mean over vectors cut to their leading dimensions, at unit length again.

    Args:
        objective: called once a dimension.
        queries: (B, D), any float dtype.
        passages: (B + N, D), likewise.
        dims: at least one, each at most D; D itself counts only if it is among them.

    Raises:
        ValueError: no dimension, or one that the vectors do not have.
    """
    if not dims or min(dims) < 1 or max(dims) > queries.shape[1]:
        raise ValueError(
            f"vectors {tuple(queries.shape)} have no leading dimensions {list(dims)}; "
            f"at least one, from 1 to {queries.shape[1]}"
        )
    outcomes = [
        objective(*(functional.normalize(_raised(side)[:, :dim]) for side in (queries, passages)))
        for dim in dims
    ]
    return Outcome(
        torch.stack([outcome.loss for outcome in outcomes]).mean(),
        sum(outcome.accuracy for outcome in outcomes) / len(dims),
    )


def duplicates(
    query_keys: Sequence[str],
    passage_keys: Sequence[str],
    known: Mapping[str, Collection[str]] | None = None,
) -> Tensor:
    """Which passages answer a query without being its positive.

    A passage answers a query if it is, by its key, the positive of that query or of one with the
    same key. So a repeated query or positive, or a hard negative that is a positive after all, does
    not count as wrong.

    Args:
        query_keys: B keys, equal where queries count as the same.
        passage_keys: B + N keys; i < B is the positive of query i.
        known: by the key of a query, keys of answers that need not be in the batch as positives.

    Returns:
        (B, B + N), bool, on the CPU: the `masked` of `info_nce`. Never True at (i, i).

    Raises:
        ValueError: fewer passages than queries.
    """
    if len(passage_keys) < len(query_keys):
        raise ValueError(
            f"{len(query_keys)} queries have {len(passage_keys)} passages; each needs its positive"
        )
    answers: defaultdict[str, set[str]] = defaultdict(set)  # keys of a query's positives
    for query in query_keys:
        answers[query].update((known or {}).get(query, ()))
    for query, positive in zip(query_keys, passage_keys, strict=False):
        answers[query].add(positive)
    places = defaultdict(list)  # where a passage stands
    for column, passage in enumerate(passage_keys):
        places[passage].append(column)
    masked = torch.zeros(len(query_keys), len(passage_keys), dtype=torch.bool)
    for row, query in enumerate(query_keys):
        for answer in answers[query]:
            masked[row, places[answer]] = True
    return masked.fill_diagonal_(False)


def _cosines(queries: Tensor, passages: Tensor) -> Tensor:
    """(B, P), at least float32 even inside autocast: below 1, bfloat16 goes by steps of 0.004."""
    with torch.autocast(queries.device.type, enabled=False):
        return _raised(queries) @ _raised(passages).T


def _raised(vectors: Tensor) -> Tensor:
    return vectors.to(torch.promote_types(vectors.dtype, torch.float32))


def _refuse_mask(masked: Tensor, shape: torch.Size) -> None:
    if masked.shape != shape or masked.dtype != torch.bool:
        raise ValueError(
            f"the mask is {tuple(masked.shape)} of {masked.dtype}; it must be {tuple(shape)} of "
            f"torch.bool"
        )
    if hidden := masked.diagonal().nonzero().flatten().tolist():
        raise ValueError(f"the mask {tuple(shape)} hides the positives of queries {hidden}")
