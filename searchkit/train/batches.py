"""Which pairs meet in which batch: a pure function of texts, lengths and a seed.

The passages of the other pairs are a query's negatives. So a text stands in a batch once, for else
it would be its own negative; the pairs are of one source, for what differs in more than the subject
is told apart too easily; and they are of like length, for padding is computed like any token. A
training that goes on after a break makes its plan again and needs no state of it.

Source: one source a batch as in Nussbaum et al. 2024, Nomic Embed, arXiv:2402.01613.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from searchkit.corpus.notes import note
from searchkit.errors import BadInput
from searchkit.records import Pair
from searchkit.train.pairs import comparable

Batch = npt.NDArray[np.int64]

_JITTER = 0.1  # lengths that differ by less than this may change places from one pass to the next


def plan(
    pairs: Sequence[Pair],
    lengths: Sequence[int],
    *,
    batch_size: int,
    steps: int,
    seed: int,
    mixed: bool = False,
) -> list[Batch]:
    """The batches of a training in order; equal arguments give equal batches on every machine.

    A batch is of one source, and no two of its pairs have a text in common, be it as query or as
    positive, as `comparable` compares texts. Sources share the steps in proportion to their pairs.
    Each is gone through pass by pass: in a pass no pair comes twice; what is less than a batch, or
    cannot be put beside its duplicates, is left out of it, other pairs each time. The pairs of a
    batch are of like lengths as far as duplicates let them, and batches of all lengths take turns.
    A source that does not fill one batch is left out of the plan: see `left_out`.

    Args:
        pairs: to draw from.
        lengths: of each pair, in tokens.
        batch_size: pairs a batch.
        steps: batches in all.
        seed: 0 or more.
        mixed: take all pairs as if they were of one source.

    Returns:
        `steps` arrays of `batch_size` positions in `pairs`, the shortest pair of each first.

    Raises:
        BadInput: no source fills a batch.
    """
    if len(lengths) != len(pairs):
        raise ValueError(f"{len(lengths)} lengths for {len(pairs)} pairs; there must be one each")
    if batch_size < 1 or steps < 1:
        raise BadInput(f"{steps} steps of {batch_size} pairs train nothing; take 1 or more of each")
    rng = np.random.default_rng(seed)
    groups = _groups(pairs, np.asarray(lengths, dtype=np.float64), mixed=mixed)
    streams: list[Iterator[Batch]] = []
    sizes: list[int] = []
    for group in groups.values():
        batches = _batches(group, batch_size, rng)
        first = next(batches, None)
        if first is not None:
            streams.append(chain([first], batches))
            sizes.append(len(group.rows))
    if not streams:
        raise _too_small(groups, batch_size, mixed=mixed)
    turns = rng.permutation(np.repeat(np.arange(len(streams)), _shares(sizes, steps)))
    return [next(streams[turn]) for turn in turns]


def left_out(pairs: Sequence[Pair], batches: Sequence[Batch]) -> tuple[str, ...]:
    """What a plan makes no use of, one note each: whole sources, and pairs by their number."""
    used = np.zeros(len(pairs), dtype=np.bool_)
    for batch in batches:
        used[batch] = True
    sizes = Counter(pair.source for pair in pairs)
    reached = {pair.source for pair, row_used in zip(pairs, used, strict=True) if row_used}
    missing = [f"{source}: {size:,}" for source, size in sizes.items() if source not in reached]
    unused = len(pairs) - int(used.sum())
    return (
        *note(
            "sources in no batch",
            missing,
            "too few pairs without duplicates or too few steps; "
            "smaller batches, mixed ones or more steps may use them",
        ),
        *([f"pairs in no batch: {unused:,} of {len(pairs):,}"] if unused else []),
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Pairs that may meet: n of them.

    Attributes:
        rows: (n,), their positions among all pairs.
        lengths: (n,), in tokens.
        texts: n numbers of a query and of a positive; equal texts have equal numbers.
        shared: for each pair whether a text of it comes again in the group.
    """

    rows: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.float64]
    texts: list[tuple[int, int]]
    shared: list[bool]


def _groups(
    pairs: Sequence[Pair], lengths: npt.NDArray[np.float64], *, mixed: bool
) -> dict[str, _Group]:
    numbers: dict[str, int] = {}

    def number(text: str) -> int:
        return numbers.setdefault(comparable(text), len(numbers))

    texts = [(number(pair.query), number(pair.positive)) for pair in pairs]
    rows_of: defaultdict[str, list[int]] = defaultdict(list)
    for row, pair in enumerate(pairs):
        rows_of["" if mixed else pair.source].append(row)
    groups = {}
    for source, rows in rows_of.items():
        own = [texts[row] for row in rows]
        times = Counter(chain.from_iterable(own))
        shared = [times[query] > 1 or times[positive] > 1 for query, positive in own]
        groups[source] = _Group(np.array(rows), lengths[rows], own, shared)
    return groups


def _batches(group: _Group, batch_size: int, rng: np.random.Generator) -> Iterator[Batch]:
    """Pass after pass without end, or nothing where a pass fills no batch."""
    batches: list[Batch] = []
    while True:
        # Where the first pass filled a batch by luck and this one fills none, the last one serves.
        batches = _pass(group, batch_size, rng) or batches
        if not batches:
            return
        yield from (batches[place] for place in rng.permutation(len(batches)))


def _pass(group: _Group, batch_size: int, rng: np.random.Generator) -> list[Batch]:
    """As many whole batches of a group as it fills, from the shortest to the longest."""
    size = len(group.rows)
    jittered = group.lengths * (1 + _JITTER * rng.random(size))
    by_length = np.argsort(jittered, kind="stable")
    rank = np.empty_like(by_length)
    rank[by_length] = np.arange(size)
    order = rng.permutation(size).tolist()

    count = size // batch_size
    while count:
        batches, free = _deal(group, order, (rank * count // size).tolist(), count, batch_size)
        placed = len(free) + sum(map(len, batches))
        if placed == count * batch_size:
            break
        count = placed // batch_size  # duplicates kept too many out: fewer batches
    else:
        return []

    # What has no duplicate fits in anywhere, and fills the room that is left in order of length.
    filling = iter(sorted(free, key=rank.tolist().__getitem__))
    whole = []
    for batch in batches:
        members = np.array([*batch, *islice(filling, batch_size - len(batch))])
        whole.append(group.rows[members[np.argsort(group.lengths[members], kind="stable")]])
    return whole


def _deal(
    group: _Group, order: Sequence[int], home: Sequence[int], count: int, batch_size: int
) -> tuple[list[list[int]], list[int]]:
    """Pairs until `count` batches have no room: those with duplicates in batches, those without.

    Args:
        group: the pairs.
        order: in which they are taken.
        home: the batch that each would be in by its length. One with duplicates goes to the nearest
            batch that has room and none of its texts, if there is any.
        count: of batches.
        batch_size: pairs that each has room for.

    Returns:
        The batches, and the pairs without duplicates, for which they have room.
    """
    batches: list[list[int]] = [[] for _ in range(count)]
    held: list[set[int]] = [set() for _ in range(count)]
    holders: Counter[int] = Counter()  # of a text: in how many batches it is
    free: list[int] = []
    room = count * batch_size
    for pair in order:
        if not room:
            break
        if not group.shared[pair]:
            free.append(pair)
            room -= 1
            continue
        query, positive = texts = group.texts[pair]
        if holders[query] == count or holders[positive] == count:
            continue  # every batch has it: look no further
        for place in _outwards(home[pair], count):
            if len(batches[place]) < batch_size and held[place].isdisjoint(texts):
                batches[place].append(pair)
                held[place].update(texts)
                holders[query] += 1
                holders[positive] += positive != query
                room -= 1
                break
    return batches, free


def _outwards(home: int, count: int) -> Iterator[int]:
    """The places from 0 to below `count`, those near `home` first."""
    yield home
    for distance in range(1, count):
        if home + distance < count:
            yield home + distance
        if home >= distance:
            yield home - distance


def _shares(sizes: Sequence[int], steps: int) -> list[int]:
    """Steps in proportion to sizes, by the largest remainder; whole numbers, so exact."""
    total = sum(sizes)
    shares = [steps * size // total for size in sizes]
    remainders = [steps * size % total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda place: -remainders[place])
    for place in by_remainder[: steps - sum(shares)]:
        shares[place] += 1
    return shares


def _too_small(groups: dict[str, _Group], batch_size: int, *, mixed: bool) -> BadInput:
    if not groups:
        return BadInput("no pairs to train on; give a file of pairs")
    largest = max(groups, key=lambda source: len(groups[source].rows))
    size = len(groups[largest].rows)
    if mixed or len(groups) == 1:
        return BadInput(
            f"{size:,} pairs do not fill a batch of {batch_size:,} without a text twice; "
            "take smaller batches"
        )
    return BadInput(
        f"no source fills a batch of {batch_size:,} pairs without a text twice (the largest is "
        f"{largest!r} with {size:,} pairs); take smaller batches, or mix the sources"
    )
