"""Documents to an index: documents, BM25, and the vectors of variants, each committed whole."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from searchkit import catalog
from searchkit.corpus.collection import Corpus, joined
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput, SearchkitError
from searchkit.index import documents
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Draft, Store, part_of
from searchkit.index.text import bm25
from searchkit.index.vector import VectorIndex, Vectors
from searchkit.search.contents import (
    EXACT,
    RECALL,
    RECALL_CUTOFF,
    VECTOR_INDEXES,
    encoders,
    vectors_of,
)
from searchkit.search.watcher import Done, Watcher

_RECALL_QUERIES = 200


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What an index shall hold.

    Attributes:
        variants: rows to encode.
        references: (name, folder) of sentence-transformers models to encode with, too.
        vector_indexes: choices of index/vector to build over each of them, besides exact search.
        text_parameters: of BM25; None keeps those of the index, or takes the defaults for a new
            one.
        device, engine, dtype: see `encode.loading.open_embedders`.
        allow_untrained: let poolings pass whose weights were never trained.
        memories: where what models compute is kept by content, so that the same text is encoded
            once for many indexes; None keeps it in the index alone.
        donor: an index whose vectors of the same texts are taken in the place of encoding them.
        replace: put the corpus in the place of another one that the directory holds.
    """

    variants: Sequence[Variant] = ()
    references: Sequence[tuple[str, Path]] = ()
    vector_indexes: Sequence[str] = (EXACT,)
    text_parameters: bm25.Parameters | None = None
    device: str | None = None
    engine: str | None = None
    dtype: str | None = None
    allow_untrained: bool = False
    memories: Path | None = None
    donor: Path | None = None
    replace: bool = False


def build_index(path: Path, corpus: Corpus, plan: Plan, watcher: Watcher | None = None) -> Store:
    """Bring an index to hold a corpus and what a plan asks for; what is there already is kept.

    Each step is committed as it ends, and encoding resumes within a step, so a killed build loses
    one block of texts at most.

    Args:
        path: the directory of the index, made if need be.
        corpus: its documents are copied into the index once, however many variants encode them.
        plan: what to build.
        watcher: told of every step.

    Raises:
        BadInput: the directory holds another corpus, and the plan does not say to replace it; it
            holds a folder's index; or two different encoders of the plan go by one name.
        SearchkitError: another process is writing the index.
    """
    watcher = watcher or Watcher()
    for kind in plan.vector_indexes:
        catalog.load(VECTOR_INDEXES, kind)
    hashes = base_hashes(plan.variants, plan.references, allow_untrained=plan.allow_untrained)
    store = Store.create_or_open(path)
    if store.corpus.get("kind") == "folder":
        raise BadInput(f"{path} is the index of a folder; choose another --name for {corpus.name}")
    with store.writing() as draft:
        _documents(store, draft, corpus, plan.replace, watcher)
        texts = DocumentStore.open(store.part("documents"))
        _bm25(store, draft, texts, plan.text_parameters, watcher)
        _variants(store, draft, texts, plan, hashes, watcher)
        _references(store, draft, texts, plan, watcher)
        _sweep(store)
    return store


def base_hashes(
    variants: Sequence[Variant],
    references: Sequence[tuple[str, Path]],
    *,
    allow_untrained: bool = False,
) -> dict[str, str]:
    """The hash of each base model of variants, by its name; what cannot be encoded is refused here.

    Raises:
        BadInput: two different encoders go by one name.
        NeedsTraining: a pooling has weights, and none were trained.
        UnknownName: a base model is not on this machine.
    """
    taken: dict[str, Variant | Path] = {}
    named: list[tuple[str, Variant | Path]] = [(one.name, one) for one in variants]
    for name, encoder in (*named, *references):
        if taken.setdefault(name, encoder) != encoder:
            raise BadInput(
                f"two different encoders are called {name}; give one of them another name, with "
                "--embedder <name>=st:<folder> or the label of a variant file"
            )
    if not variants:
        return {}
    from searchkit.encode import embedder, language_models

    if not allow_untrained:
        embedder.refuse_untrained(variants)
    return {base: language_models.resolve(base).hash for base in {v.base for v in variants}}


def measure_recall(index: VectorIndex, vectors: Vectors, *, k: int = RECALL_CUTOFF) -> float:
    """How much of the exact top k an index finds, on vectors of the corpus itself.

    Up to 200 evenly spaced documents are the queries; each finds itself, as it does in exact
    search. A vector that ties with the k-th is as good as that one: many corpora repeat a text.
    """
    rows = np.linspace(0, len(vectors) - 1, num=min(len(vectors), _RECALL_QUERIES), dtype=np.int64)
    queries = np.ascontiguousarray(vectors[rows])
    exact: VectorIndex = catalog.load(VECTOR_INDEXES, EXACT).build(vectors)
    k = min(k, len(vectors))
    wanted, _ = exact.search(queries, k)
    found, _ = index.search(queries, k)  # true scores, -inf where nothing was found
    return float((found >= wanted[:, -1:]).mean())


def _documents(store: Store, draft: Draft, corpus: Corpus, replace: bool, watcher: Watcher) -> None:
    held = store.corpus.get("fingerprint")
    same = held == corpus.fingerprint
    if same and _is_whole(store, "documents", watcher):
        watcher.done(Done("documents", True, dict(store.corpus)))
        return
    if held is not None and not same and not replace:
        raise BadInput(
            f"{store.path} holds the corpus {store.corpus['name']} ({held[:12]}), not "
            f"{corpus.name} ({corpus.fingerprint[:12]}); choose another --name, or replace it with "
            "--replace"
        )
    watcher.begin("reading documents", 0)
    for part in store.names():
        if not same:
            draft.remove(part)
    count = documents.write(draft.add("documents"), corpus.documents())
    draft.corpus = {"name": corpus.name, "fingerprint": corpus.fingerprint, "documents": count}
    draft.commit()
    for note in corpus.notes:
        watcher.say(note)
    watcher.done(Done("documents", False, dict(draft.corpus)))


def _bm25(
    store: Store,
    draft: Draft,
    texts: DocumentStore,
    wanted: bm25.Parameters | None,
    watcher: Watcher,
) -> None:
    held = dict(store.facts("bm25")) if "bm25" in store.names() else None
    parameters = wanted or bm25.Parameters(**(held or {}))
    facts = asdict(parameters)
    if held == facts and _is_whole(store, "bm25", watcher):
        watcher.done(Done("bm25", True, facts))
        return
    if held and held != facts:
        changed = ", ".join(f"{name} {held[name]}" for name in facts if held[name] != facts[name])
        watcher.say(f"bm25 is replaced: the index had {changed}")
    watcher.begin("indexing words", 0)
    bm25.build((joined(document) for document in texts), parameters).save(draft.add("bm25", facts))
    draft.commit()
    watcher.done(Done("bm25", False, facts))


def _variants(
    store: Store,
    draft: Draft,
    texts: DocumentStore,
    plan: Plan,
    hashes: dict[str, str],
    watcher: Watcher,
) -> None:
    if not plan.variants:
        return
    from searchkit.encode import loading  # torch loads here, not with the room

    there = encoders(store)
    missing = []
    for variant in plan.variants:
        held = there.get(variant.name, {})
        asked = {"engine": plan.engine, "dtype": plan.dtype}
        wanted = {key: value for key, value in asked.items() if value}
        wanted["fingerprint"] = variant.fingerprint(hashes[variant.base])
        same = all(held.get(key) == value for key, value in wanted.items())
        if not (same and _is_whole(store, part_of("vectors", variant.name), watcher)):
            missing.append(variant)
    how: dict[str, Any] = {
        "device": plan.device,
        "engine": plan.engine,
        "dtype": plan.dtype,
        "allow_untrained": plan.allow_untrained,
    }
    opened = (
        loading.remember(missing, plan.memories, **how)
        if plan.memories
        else loading.open_embedders(missing, **how)
    )
    for embedder in opened:
        _encode(store, draft, texts, _with_donor(embedder, plan), watcher)
    for variant in plan.variants:
        if variant not in missing:
            watcher.done(Done(variant.name, True, there[variant.name]))
        _vector_indexes(store, draft, variant.name, plan.vector_indexes, watcher)


def _references(
    store: Store, draft: Draft, texts: DocumentStore, plan: Plan, watcher: Watcher
) -> None:
    there = encoders(store)
    for name, folder in plan.references:
        from searchkit.encode.reference import ReferenceEmbedder

        embedder = ReferenceEmbedder(name, folder, device=plan.device, memories=plan.memories)
        same = there.get(name, {}).get("fingerprint") == embedder.facts(name)["fingerprint"]
        if same and _is_whole(store, part_of("vectors", name), watcher):
            watcher.done(Done(name, True, there[name]))
        else:
            _encode(store, draft, texts, _with_donor(embedder, plan), watcher)
        _vector_indexes(store, draft, name, plan.vector_indexes, watcher)


def _sweep(store: Store) -> None:
    """Delete blocks of vectors that the index holds: a build killed after its commit left them."""
    folder = store.staging / str(store.corpus["fingerprint"])[:16]
    for held in encoders(store).values():
        for blocks in folder.glob(f"{held['fingerprint']}-{held['engine']}-{held['dtype']}-*"):
            shutil.rmtree(blocks)


def _with_donor(embedder: Any, plan: Plan) -> Any:
    if plan.donor is None:
        return embedder
    from searchkit.search.donor import donated

    return donated(embedder, Store.open(plan.donor))


def _encode(
    store: Store, draft: Draft, texts: DocumentStore, embedder: Any, watcher: Watcher
) -> None:
    from searchkit.encode import blocks

    staging = store.staging / str(store.corpus["fingerprint"])[:16]
    named = ((f"document {document.doc_id!r}", joined(document)) for document in texts)
    watcher.begin(f"encoding {', '.join(embedder.names)}", len(texts))
    progress = blocks.encode(embedder, named, len(texts), staging, report=watcher.advance)
    held = encoders(store)
    for name in embedder.names:
        if name in held and held[name]["fingerprint"] != embedder.facts(name)["fingerprint"]:
            watcher.say(f"the vectors of {name} are replaced: another design or base made them")
        for kind in catalog.names(VECTOR_INDEXES):  # those of the vectors that are replaced
            if part_of(kind, name) in store.names():
                draft.remove(part_of(kind, name))
        folder = draft.add(part_of("vectors", name))
        blocks.assemble(embedder, name, len(texts), staging, folder / "vectors.npy")
        facts = {"name": name, "truncated": progress.truncated, **embedder.facts(name)}
        draft.describe(part_of("vectors", name), facts)
    draft.commit()
    blocks.forget(embedder, staging)
    for name in embedder.names:
        facts = {**store.facts(part_of("vectors", name)), "progress": progress}
        watcher.done(Done(name, False, facts))


def _vector_indexes(
    store: Store, draft: Draft, name: str, kinds: Sequence[str], watcher: Watcher
) -> None:
    for kind in kinds:
        if kind == EXACT:
            continue
        what, part = f"{kind} over {name}", part_of(kind, name)
        if part in store.names() and _is_whole(store, part, watcher):
            watcher.done(Done(what, True, dict(store.facts(part))))
            continue
        watcher.begin(f"building {what}", 0)
        vectors = vectors_of(store, name)
        index: VectorIndex = catalog.load(VECTOR_INDEXES, kind).build(vectors)
        recall = round(measure_recall(index, vectors), 4)
        facts = {"kind": kind, "of": name, RECALL: recall}
        index.save(draft.add(part, facts))
        draft.commit()
        watcher.done(Done(what, False, facts))


def _is_whole(store: Store, part: str, watcher: Watcher) -> bool:
    """Whether a part can be kept; one whose files were damaged is built again."""
    try:
        store.part(part)
    except SearchkitError as error:  # nobody else can write now: whatever is wrong is damage
        watcher.say(f"{str(error).rpartition(';')[0]}; it is built again")
        return False
    return True
