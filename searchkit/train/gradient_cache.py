"""Batches larger than memory, over any number of processes, with the gradients of one large batch.

The loss needs the vectors of all texts at once, but not their graphs. So texts are encoded without
a graph, the loss gives each vector its gradient, and texts are encoded again, a chunk at a time
with a graph, to carry that gradient on to the weights. Of the last chunk the graph is kept instead,
as there is room for one. Source: Gao et al. 2021, GradCache, arXiv:2101.06983.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, distributed, nn

from searchkit.train.loss import Objective, Outcome

Text = TypeVar("Text")


def accumulate(
    encode: Callable[[Sequence[Text]], Tensor],
    queries: Sequence[Text],
    passages: Sequence[Text],
    objective: Objective,
    *,
    chunk: int,
    seed: int,
) -> Outcome:
    """Add the gradients of a whole batch's loss to `.grad` of all that it depends on.

    In a process group every process calls this with the same arguments: the whole batch, and an
    objective over the whole batch in the order given, so that masks and teachers are made as for
    one process. Each encodes its share of the chunks, and `sum_gradients` then makes the gradients
    whole. They are those of one process; where there is dropout, as long as chunk x processes is
    at most B, so that the chunks are the same.

    Args:
        encode: texts to vectors (len(texts), D), with a graph where gradients are enabled; random
            in nothing but torch's default generators, which are left as they were.
        queries: B texts, in whatever form `encode` takes them.
        passages: B + N texts likewise.
        objective: may have weights of its own, such as a learned temperature.
        chunk: the most texts that are encoded with a graph at a time. One process encodes a batch
            that fits into it just once.
        seed: of dropout, not negative; the same seed and chunk draw the same.

    Returns:
        The objective's outcome over the whole batch, its loss without a graph.

    Raises:
        ValueError: a chunk of no texts, fewer queries than processes, fewer passages than queries,
            or processes that were given different numbers.
    """
    rank, processes = _place()
    if chunk < 1 or not processes <= len(queries) <= len(passages):
        raise ValueError(
            f"{len(queries)} queries and {len(passages)} passages cannot be shared by {processes} "
            f"processes in chunks of {chunk}: each process needs a query, each query its positive"
        )
    texts = [*queries, *passages]
    # Queries are short and passages long: apart, the graphs of chunks are of like size.
    chunks = [
        *_chunks(0, len(queries), chunk, processes),
        *_chunks(len(queries), len(texts), chunk, processes),
    ]

    def encoded(number: int) -> Tensor:
        with _seeded(seed, number):
            return encode(texts[chunks[number]])

    def outcome_of(vectors: Tensor) -> Outcome:
        return objective(vectors[: len(queries)], vectors[len(queries) :])

    if processes == 1 and len(texts) <= chunk:
        with _seeded(seed, 0):
            outcome = outcome_of(encode(texts))
        outcome.loss.backward()
        return Outcome(outcome.loss.detach(), outcome.accuracy)

    mine = range(rank, len(chunks), processes)  # never empty: each kind has over processes / 2
    with torch.no_grad():
        own = [encoded(number) for number in mine[:-1]]
    last = encoded(mine[-1])
    own.append(last.detach())
    if processes > 1:
        _refuse_differing((len(queries), len(passages), chunk, seed), last.device)
    vectors = last.new_zeros(len(texts), last.shape[1])
    for number, part in zip(mine, own, strict=True):
        vectors[chunks[number]] = part
    if processes > 1:
        distributed.all_reduce(vectors)  # the others' rows are 0 here
    vectors.requires_grad_()
    outcome = outcome_of(vectors)
    # Every process finds every vector's gradient; the objective's own weights get theirs in one.
    outcome.loss.backward(inputs=None if rank == 0 else [vectors])
    assert vectors.grad is not None
    last.backward(vectors.grad[chunks[mine[-1]]])  # before another graph joins it
    for number in mine[:-1]:
        encoded(number).backward(vectors.grad[chunks[number]])
    return Outcome(outcome.loss.detach(), outcome.accuracy)


def accumulate_sum(
    surprise: Callable[[slice], tuple[Tensor, int]],
    texts: int,
    items: int,
    *,
    chunk: int,
    seed: int,
    device: torch.device,
) -> Outcome:
    """Add the gradients of a mean over items, which is a sum over texts, to `.grad` as above.

    Args:
        surprise: some of the texts to the sum of their items' losses, with a graph, and how many of
            these items came out right.
        texts: how many there are.
        items: of all texts.
        chunk: the most texts with a graph at a time.
        seed: of dropout.
        device: of the losses.

    Returns:
        The mean over all items, without a graph, and the share that came out right.
    """
    rank, processes = _place()
    chunks = _chunks(0, texts, chunk, processes)
    totals = torch.zeros(2, device=device)  # of losses, and of items that came out right
    for number in range(rank, len(chunks), processes):
        with _seeded(seed, number):
            loss, right = surprise(chunks[number])
        (loss / max(items, 1)).backward()
        totals += torch.stack([loss.detach(), loss.new_tensor(right)])
    if processes > 1:
        distributed.all_reduce(totals)
    loss, share = totals / max(items, 1)
    return Outcome(loss, share.item())


def sum_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace each `.grad` by its sum over the processes; without a process group it is the sum.

    Args:
        parameters: on one device, and in the same order in every process. One without a gradient
            in any process is left without.
    """
    if _place()[1] == 1:
        return
    parameters = list(parameters)
    parts = [
        torch.zeros_like(weight) if weight.grad is None else weight.grad for weight in parameters
    ]
    given = parts[0].new_tensor([weight.grad is not None for weight in parameters])
    joint = torch.cat([*(part.flatten() for part in parts), given])  # one message, not hundreds
    distributed.all_reduce(joint)
    *sums, given = joint.split([*(part.numel() for part in parts), len(parts)])
    for weight, total, count in zip(parameters, sums, given.tolist(), strict=True):
        if count:
            weight.grad = total.view_as(weight).to(weight.dtype)


def _place() -> tuple[int, int]:
    """This process's rank, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _chunks(start: int, stop: int, chunk: int, processes: int) -> list[slice]:
    """Rows from start to stop, cut so that every process can have some."""
    size = min(chunk, -(-(stop - start) // processes))
    return [slice(first, min(first + size, stop)) for first in range(start, stop, size)]


@contextmanager
def _seeded(seed: int, number: int) -> Iterator[None]:
    """Draw the same inside the block whenever, and in whichever process, the chunk is encoded."""
    devices = [torch.cuda.current_device()] if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(int(np.random.SeedSequence((seed, number)).generate_state(1)[0]))
        yield


def _refuse_differing(numbers: tuple[int, ...], device: torch.device) -> None:
    """Processes that share out different batches would mix up rows, or wait for ever."""
    own = torch.tensor(numbers, device=device)
    gathered = [torch.empty_like(own) for _ in range(_place()[1])]
    distributed.all_gather(gathered, own)
    each = [tuple(row.tolist()) for row in gathered]
    if len(set(each)) > 1:
        raise ValueError(
            f"the processes were given different (queries, passages, chunk, seed): {each}; "
            f"each needs the whole batch, cut alike"
        )
