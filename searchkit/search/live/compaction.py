"""Segments merged into one: rows that no chunk points to are left out, and nothing is encoded.

Segments are merged only with those that the same encoders have encoded, so that the vectors of the
new one are those of the old ones, row by row.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from searchkit.index.live import segments
from searchkit.index.live.catalogue import Catalogue, Writer
from searchkit.index.live.generation import CATALOGUE, Generation, encoded_part, texts_part
from searchkit.index.store import Draft, Store
from searchkit.search.live.batch import segment_numbers, summary

MOST_DEAD = 0.3  # of all rows; more of them are dropped by the next run
MOST_ALIKE = 16  # segments of like size; more of them are merged by the next run

_SMALLEST_TIER = 8192  # rows: whatever has fewer is of like size
_TIER_FACTOR = 16
_ROWS_AT_ONCE = 4096  # bounds what is held in memory: 16 MiB at D = 1024


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a segment: all, and those that chunks point to."""

    all: int
    live: int


def rows_of(generation: Generation) -> dict[int, Rows]:
    """How many rows each segment has."""
    live = generation.catalogue.live_rows()
    return {number: Rows(size, live.get(number, 0)) for number, size in generation.segments.items()}


def due(generation: Generation) -> list[list[int]]:
    """The groups of segments that should be merged now; most often none.

    Those with dead rows, once dead rows are too many; and those of like size, once they are too
    many. So a row is copied once for every tier of sizes but the smallest, in which it may be
    copied with every sixteenth new segment until there are 8,192 of its like; and the number of
    segments grows with the logarithm of the number of rows.
    """
    rows = rows_of(generation)
    dead = sum(one.all - one.live for one in rows.values())
    chosen: set[int] = set()
    if dead > MOST_DEAD * sum(one.all for one in rows.values()):
        chosen = {number for number, one in rows.items() if one.live < one.all}
    tiers: dict[int, list[int]] = {}
    for number, one in rows.items():
        tiers.setdefault(_tier(one.live), []).append(number)
    for alike in tiers.values():
        if len(alike) > MOST_ALIKE:
            chosen.update(alike)
    return together(generation, chosen)


def with_dead_rows(generation: Generation, numbers: Iterable[int]) -> list[list[int]]:
    """Those of some segments that have dead rows, each by itself."""
    rows = rows_of(generation)
    return [[number] for number in numbers if rows[number].live < rows[number].all]


def together(generation: Generation, numbers: Iterable[int]) -> list[list[int]]:
    """Segments in groups that the same encoders have encoded, in the same way."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number in sorted(numbers):
        held = tuple(sorted(map(_identity, encoders_of(generation.store, number).values())))
        groups.setdefault(held, []).append(number)
    return list(groups.values())


def merge(store: Store, draft: Draft, groups: Sequence[Sequence[int]]) -> None:
    """Put one segment in the place of each group, and commit.

    Chunks keep their ids; a group without a live row goes. Vector indexes go with the segments that
    they are built over.

    Raises:
        CorruptFile: a part of the segments is damaged.
    """
    if not groups:
        return
    generation = Generation(store)
    number = max(segment_numbers(store))
    with Catalogue.copy(store.part(CATALOGUE), draft.add(CATALOGUE)) as catalogue:
        for group in groups:
            number += 1
            _merge(generation, draft, catalogue, group, number)
        facts = summary(catalogue)
        catalogue.save()
    draft.describe(CATALOGUE, facts)
    draft.commit()
    generation.close()


def _merge(
    generation: Generation, draft: Draft, catalogue: Writer, group: Sequence[int], target: int
) -> None:
    live = {
        number: np.flatnonzero(generation.catalogue.alive(number, generation.segments[number]))
        for number in group
    }
    total = sum(map(len, live.values()))
    if total:
        with segments.Writer(draft.add(texts_part(target))) as writer:
            for number, rows in live.items():
                catalogue.move_rows(number, rows, target, len(writer))
                segment = generation.segment(number)
                for row in rows.tolist():
                    writer.add(segment.row(row), segment.key(row))
        draft.describe(texts_part(target), {"segment": target, "rows": total})
        for name, facts in encoders_of(generation.store, group[0]).items():
            truncated = sum(encoders_of(generation.store, n)[name]["truncated"] for n in group)
            facts = {**facts, "segment": target, "truncated": truncated}
            folder = draft.add(encoded_part("vectors", name, target), facts)
            shape = (total, int(facts["dimension"]))
            _join_vectors(generation, name, live, folder / "vectors.npy", shape)
    for number in group:
        for part in parts_of(generation.store, number):
            draft.remove(part)


def parts_of(store: Store, segment: int) -> list[str]:
    """The parts of a segment: texts, vectors and vector indexes."""
    return [name for name in store.names() if store.facts(name).get("segment") == segment]


def encoders_of(store: Store, segment: int) -> dict[str, Mapping[str, Any]]:
    """What is known of each encoder that has encoded a segment, by name."""
    parts = (name for name in parts_of(store, segment) if name.startswith("vectors."))
    return {facts["name"]: facts for facts in map(store.facts, parts)}


def _identity(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(facts[name]) for name in ("name", "fingerprint", "engine", "dtype"))


def _tier(rows: int) -> int:
    tier = 0
    while rows >= _SMALLEST_TIER * _TIER_FACTOR**tier:
        tier += 1
    return tier


def _join_vectors(
    generation: Generation,
    name: str,
    live: Mapping[int, npt.NDArray[np.int64]],
    target: Path,
    shape: tuple[int, int],
) -> None:
    """Write the vectors of some rows of several segments, (N, D) together, into one NPY file."""
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with target.open("wb") as file:  # not memory-mapped: a full disk would kill the process
        np.lib.format.write_array_header_1_0(file, header)
        for number, rows in live.items():
            vectors = generation.vectors(name, number)
            if vectors is None or vectors.shape[1] != shape[1]:
                raise ValueError(f"{name} has no vectors of {shape[1]} dimensions for {number}")
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                some = vectors[rows[start : start + _ROWS_AT_ONCE]]
                file.write(some.astype("<f4").tobytes())
