"""Vectors of the segments that lack them, one commit for each segment and forward pass.

An encoder that is in the index goes on in the way it began: the same design on the same base, in
the same arithmetic. Vectors that were made in another way are never put beside the others: those
all go first, and that has to be asked for.
"""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searchkit import catalog
from searchkit.errors import SearchkitError
from searchkit.index.live.generation import VECTOR_INDEXES, Generation, encoded_part
from searchkit.index.store import Draft, Store, part_of
from searchkit.search import build, contents
from searchkit.search.live import compaction
from searchkit.search.live.plan import Plan, Report
from searchkit.search.watcher import Done, Watcher

if TYPE_CHECKING:
    from searchkit.encode.embedder import TextEncoder
    from searchkit.encode.variant import Variant

INDEXED_ROWS = 5000  # a segment of fewer rows is scanned about as fast as it is looked up

OpenEncoders = Callable[..., Iterable["TextEncoder"]]
"""(variants, *, device, engine, dtype, allow_untrained), as `loading.open_embedders`."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """An encoder that an index shall hold.

    Attributes:
        name: what the index calls it.
        fingerprint: of its vectors.
        source: a variant, or a reference model that is open.
        engine, dtype: the arithmetic; None for what suits the machine.
        stale: how many rows were encoded under this name in another way.
    """

    name: str
    fingerprint: str
    source: "Variant | TextEncoder"
    engine: str | None = None
    dtype: str | None = None
    stale: int = 0


def asked_for(plan: Plan, generation: Generation | None) -> list[Wanted]:
    """The encoders that a plan names; nothing is loaded but reference models.

    Args:
        plan: what is asked for.
        generation: the index as it is; None if it is new.

    Raises:
        BadInput: two different encoders of the plan go by one name.
        NeedsTraining: a pooling has weights, and none were trained.
        UnknownName: a base model is not on this machine.
    """
    hashes = build.base_hashes(plan.variants, plan.references, allow_untrained=plan.allow_untrained)
    there = generation.encoders() if generation else {}
    found = []
    for variant in plan.variants:
        fingerprint = variant.fingerprint(hashes[variant.base])
        held = there[variant.name].facts if variant.name in there else {}
        engine, dtype = plan.engine or held.get("engine"), plan.dtype or held.get("dtype")
        made = (held.get("fingerprint"), held.get("engine"), held.get("dtype"))
        if made != (fingerprint, engine, dtype):
            engine, dtype = plan.engine, plan.dtype  # it begins anew, in what suits it now
            stale = there[variant.name].rows if held else 0
            found.append(Wanted(variant.name, fingerprint, variant, engine, dtype, stale))
        else:
            found.append(Wanted(variant.name, fingerprint, variant, engine, dtype))
    for name, folder in plan.references:
        reference = _reference(name, folder, plan)
        fingerprint = reference.facts(name)["fingerprint"]
        same = name not in there or there[name].facts["fingerprint"] == fingerprint
        stale = 0 if same else there[name].rows
        found.append(Wanted(name, fingerprint, reference, stale=stale))
    return found


def held_already(
    plan: Plan, generation: Generation, others: Iterable[Wanted], notes: list[str]
) -> list[Wanted]:
    """The encoders of an index that have rows left to encode, and are not asked for anyway.

    Args:
        plan: how to open them.
        generation: the index as it is.
        others: those that are asked for.
        notes: takes a line about each that cannot go on here.
    """
    found = []
    names = {other.name for other in others}
    for name, coverage in generation.encoders().items():
        if coverage.whole or name in names:
            continue
        facts, left = coverage.facts, coverage.of - coverage.rows
        try:
            source, fingerprint = _source_of(name, facts, plan)
            if fingerprint != facts["fingerprint"]:
                raise SearchkitError("another base model, or other weights, made its vectors")
        except SearchkitError as error:
            notes.append(
                f"{left} texts are not encoded by {name} and not found by it: {error}; name it "
                f"with --variant to encode all anew"
            )
            continue
        found.append(Wanted(name, fingerprint, source, facts["engine"], facts["dtype"]))
    return found


def missing(generation: Generation, wanted: Wanted) -> list[int]:
    """The segments that an encoder has left to encode; all, if what there is was made otherwise."""
    there = generation.encoders()
    done = there[wanted.name].segments if wanted.name in there and not wanted.stale else ()
    return [number for number in generation.segments if number not in done]


def costs_of_stale(wanted: Iterable[Wanted], rows: int) -> list[str]:
    """What has to be encoded anew, of `rows` texts, as a clause for each encoder."""
    return [
        f"{one.stale} texts were encoded as {one.name} in another way (another base, design or "
        f"dtype); those vectors go, and all {rows} texts are encoded anew, unless the new one is "
        "given a name of its own"
        for one in wanted
        if one.stale
    ]


def encode(
    store: Store,
    draft: Draft,
    wanted: Sequence[Wanted],
    plan: Plan,
    watcher: Watcher,
    report: Report,
    open_encoders: OpenEncoders | None = None,
) -> None:
    """Encode every segment that one of the encoders has not encoded.

    Args:
        store: its lock is held.
        draft: of the store, without changes.
        wanted: `stale` vectors of them go first.
        plan: how to open encoders.
        watcher: told of every batch and segment.
        report: takes what was encoded.
        open_encoders: opens variants, for those who have a way of their own.

    Raises:
        BrokenPromise: the loaded weights do not do what a variant says.
    """
    _drop_stale(store, draft, wanted)
    generation = Generation(store)
    lacking = {number for one in wanted for number in missing(generation, one)}
    # A dead row would be encoded for nothing.
    compaction.merge(store, draft, compaction.with_dead_rows(generation, lacking))
    generation = Generation(store)
    opener = open_encoders or _opener(plan)
    for together, numbers in _passes(generation, wanted):
        for encoder in _open(together, plan, opener):
            done = 0
            for number in numbers:
                done += _encode(store, draft, generation, number, encoder, watcher, report)
            for name in encoder.names:
                report.encoded[name] = report.encoded.get(name, 0) + done
    _sweep(store)


def index_vectors(store: Store, draft: Draft, kinds: Sequence[str], watcher: Watcher) -> None:
    """Build vector indexes over large segments that lack them."""
    generation = Generation(store)
    missing = [
        (kind, name, number)
        for name, coverage in generation.encoders().items()
        for number in coverage.segments
        for kind in kinds
        if kind != contents.EXACT
        and generation.segments[number] >= INDEXED_ROWS
        and encoded_part(kind, name, number) not in store.names()
    ]
    for kind, name, number in missing:
        vectors = generation.vectors(name, number)
        assert vectors is not None  # `coverage.segments` are those that have some
        what = f"{kind} over {name}, segment {number}"
        watcher.begin(f"building {what}", 0)
        index = catalog.load(VECTOR_INDEXES, kind).build(vectors)
        recall = round(build.measure_recall(index, vectors), 4)
        facts = {"kind": kind, "of": name, "segment": number, contents.RECALL: recall}
        index.save(draft.add(encoded_part(kind, name, number), facts))
        draft.commit()
        watcher.done(Done(what, False, facts))


def _passes(
    generation: Generation, wanted: Sequence[Wanted]
) -> Iterator[tuple[list[Wanted], list[int]]]:
    """Encoders of one arithmetic, and segments that lack all of them.

    Variants that share a forward pass then do so wherever they can.
    """
    lacking: dict[int, list[Wanted]] = {}
    for one in wanted:
        for number in missing(generation, one):
            lacking.setdefault(number, []).append(one)
    groups: dict[tuple[Any, ...], tuple[list[Wanted], list[int]]] = {}
    for number in sorted(lacking):
        alike: dict[tuple[Any, ...], list[Wanted]] = {}
        for one in lacking[number]:
            alike.setdefault((one.engine, one.dtype), []).append(one)
        for arithmetic, some in alike.items():
            key = (*arithmetic, *(one.name for one in some))
            groups.setdefault(key, (some, []))[1].append(number)
    yield from groups.values()


def _open(wanted: Sequence[Wanted], plan: Plan, opener: OpenEncoders) -> Iterator["TextEncoder"]:
    from searchkit.encode.variant import Variant

    variants = [one.source for one in wanted if isinstance(one.source, Variant)]
    yield from (one.source for one in wanted if not isinstance(one.source, Variant))
    if variants:
        yield from opener(
            variants,
            device=plan.device,
            engine=wanted[0].engine,
            dtype=wanted[0].dtype,
            allow_untrained=True,  # whoever names one first was asked
        )


def _encode(
    store: Store,
    draft: Draft,
    generation: Generation,
    number: int,
    encoder: "TextEncoder",
    watcher: Watcher,
    report: Report,
) -> int:
    """Encode one segment and commit; how many rows it has."""
    from searchkit.encode import blocks

    segment = generation.segment(number)
    staging = _staging(store, segment.fingerprint)
    named = (
        (f"row {place} of segment {number}", row.embedded) for place, row in enumerate(segment)
    )
    watcher.begin(f"encoding {', '.join(encoder.names)}", len(segment))
    progress = blocks.encode(encoder, named, len(segment), staging, report=watcher.advance)
    for name in encoder.names:
        folder = draft.add(encoded_part("vectors", name, number))
        blocks.assemble(encoder, name, len(segment), staging, folder / "vectors.npy")
        facts = {"segment": number, "truncated": progress.truncated, **encoder.facts(name)}
        draft.describe(encoded_part("vectors", name, number), {"name": name, **facts})
        if part_of("encoder", name) not in store.names():  # stays when no segment is left
            draft.add(part_of("encoder", name), {"name": name, **encoder.facts(name)})
    draft.commit()
    blocks.forget(encoder, staging)
    report.tokens += progress.tokens
    for name in encoder.names:
        facts = {**store.facts(encoded_part("vectors", name, number)), "progress": progress}
        watcher.done(Done(name, False, facts))
    return len(segment)


def _drop_stale(store: Store, draft: Draft, wanted: Iterable[Wanted]) -> None:
    stale = {one.name for one in wanted if one.stale}
    for part in store.names():
        facts = store.facts(part)
        if stale & {facts.get("name"), facts.get("of")}:
            draft.remove(part)
    draft.commit()


def _source_of(
    name: str, facts: Mapping[str, Any], plan: Plan
) -> "tuple[Variant | TextEncoder, str]":
    """What made the vectors of an encoder, as it is on this machine, and its fingerprint now."""
    if facts["kind"] == "reference":
        reference = _reference(name, Path(facts["folder"]), plan)
        return reference, str(reference.facts(name)["fingerprint"])
    from searchkit.encode import language_models
    from searchkit.encode.variant import Variant

    variant = Variant.from_row(facts["variant"])
    return variant, variant.fingerprint(language_models.resolve(variant.base).hash)


def _reference(name: str, folder: Path, plan: Plan) -> "TextEncoder":
    from searchkit.encode.reference import ReferenceEmbedder

    return ReferenceEmbedder(name, folder, device=plan.device, memories=plan.memories)


def _opener(plan: Plan) -> OpenEncoders:
    from searchkit.encode import loading  # torch loads here, not with the room

    if plan.memories is None:
        return loading.open_embedders
    memories = plan.memories
    return lambda variants, **how: loading.remember(variants, memories, **how)


def _staging(store: Store, fingerprint: str) -> Path:
    return store.staging / f"segment-{fingerprint}"


def _sweep(store: Store) -> None:
    """Delete blocks of segments that are gone, or that a run left which was killed."""
    if not store.staging.is_dir() or not any(store.staging.iterdir()):
        return
    generation = Generation(store)
    whole = {number for number in generation.segments}
    for coverage in generation.encoders().values():
        whole &= set(coverage.segments)
    kept = {
        _staging(store, generation.segment(number).fingerprint)
        for number in generation.segments
        if number not in whole
    }
    for folder in store.staging.glob("segment-*"):
        if folder not in kept:
            shutil.rmtree(folder)
