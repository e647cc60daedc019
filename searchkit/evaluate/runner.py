"""From a suite to saved results: every system on every set that it can take part in.

What is dear is done once: vectors are remembered by content, indexes are completed, and a run that
was killed goes on where it was. All the rest is computed anew, so that results follow from the
suite alone.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from searchkit import catalog, places
from searchkit.corpus.collection import Collection, joined
from searchkit.corpus.labelled import RerankingSet
from searchkit.encode import blocks
from searchkit.encode.embedder import Role, TextEncoder, Vectors
from searchkit.evaluate import measures, searched, trainings
from searchkit.evaluate.results import ExplorerSet, Results, SetFacts, SystemFacts
from searchkit.evaluate.runs import Run, fuse, save_runs, word
from searchkit.evaluate.sets import OpenSet, item_of, judgements_of, open_all, size, task_of
from searchkit.evaluate.suite import LEXICAL, TASKS, TUNED, Reranking, Suite
from searchkit.evaluate.tasks import reranking, retrieval
from searchkit.evaluate.tasks._encoding import Encode
from searchkit.evaluate.tasks.retrieval import IndexLoss, Ranked
from searchkit.index.documents import DocumentStore
from searchkit.index.live.generation import Generation
from searchkit.index.store import Store
from searchkit.index.text.bm25 import Parameters
from searchkit.records import Hit, Judgement
from searchkit.search.build import Plan
from searchkit.search.live.documents import Wholes
from searchkit.search.reranking import Reranker, open_reranker, rerank
from searchkit.search.watcher import Watcher

Scores = dict[str, dict[str, dict[str, float]]]  # system, measure, item

_SHOWN = 10  # documents of a ranking that a reader can look at
_SNIPPET = 300  # characters of each
_BY_SET = ("truncated", "tuned", "files")  # facts of a system that every set adds to
_VERSIONS = (
    "searchkit", "torch", "transformers", "tokenizers", "faiss-cpu", "numpy", "scipy",
    "scikit-learn", "ir_measures", "bm25s", "sentence-transformers",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """Results, what approximate vector indexes lose, and the runs that nobody else kept, by set."""

    results: Results
    losses: list[IndexLoss]
    runs: Mapping[str, Mapping[str, Run]]


@dataclass
class _Measured:
    """One set when it is done."""

    items: int
    scores: Scores
    runs: dict[str, Run] = field(default_factory=dict)
    losses: list[IndexLoss] = field(default_factory=list)
    explorer: ExplorerSet | None = None
    judged: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def evaluate(
    suite: Suite,
    *,
    command: str = "",
    watcher: Watcher | None = None,
    keep: Callable[[str, Mapping[str, Run]], None] | None = None,
) -> Outcome:
    """Evaluate a suite.

    Args:
        suite: what to compare, on what.
        command: what was typed, for the record.
        watcher: told how it goes on.
        keep: takes the name and the runs of each set when it is done, as `keep_in` does: those of
            a large suite do not fit into memory. None leaves them to the outcome.

    Raises:
        BadInput, UnknownName: see `sets.open_all`; before anything is encoded.
    """
    return _Runner(suite, watcher or Watcher()).run(command, keep)


def keep_in(folder: Path) -> Callable[[str, Mapping[str, Run]], None]:
    """A `keep` that writes runs below a folder, one folder a set; see `runs.save_runs`."""
    return lambda name, runs: save_runs(folder / "runs" / word(name), runs)


class _Runner:
    def __init__(self, suite: Suite, watcher: Watcher) -> None:
        self._suite, self._watcher = suite, watcher
        self._memories = places.evaluations() / "memories"
        self._systems: dict[str, SystemFacts] = {}
        self._opened: list[TextEncoder] | None = None
        self._designs = trainings.of(suite.variants)
        self._rerankers: dict[str, Reranker] = {}
        self._kinds: dict[str, tuple[str, bool | None]] = {
            **dict.fromkeys(suite.lexical, ("bm25", None)),
            **{one.name: ("variant", one.name in self._designs) for one in suite.variants},
            **dict.fromkeys(suite.references, ("reference", True)),
            **dict.fromkeys(suite.hybrids, ("hybrid", None)),
            **dict.fromkeys(suite.rerankings, ("reranked", None)),
            **dict.fromkeys(suite.runs, ("run", None)),
        }

    def run(self, command: str, keep: Callable[[str, Mapping[str, Run]], None] | None) -> Outcome:
        sets = open_all(self._suite)
        for given in self._suite.rerankings.values():  # for what it raises, before any work
            self._reranker(given.reranker)
        found: dict[str, _Measured] = {}
        for one in sets:
            self._watcher.enter(f"{one.name}: {task_of(one.data)}, {size(one.data)}")
            measured = found[one.name] = self._one(one)
            if keep and measured.runs:
                keep(one.name, measured.runs)
                measured.runs = {}
            for note in (*one.data.notes, *measured.notes):
                self._watcher.say(note)
        for reranker in self._rerankers.values():
            if note := reranker.note():
                self._watcher.say(note)
        return self._outcome(command, sets, found)

    def _one(self, one: OpenSet) -> _Measured:
        if isinstance(one.data, Collection):
            return self._retrieval(one, one.data)
        if isinstance(one.data, RerankingSet):
            return self._reranking(one, one.data)
        module = catalog.load(TASKS, task_of(one.data))
        scores: Scores = {
            system: module.score(one.data, encode, one.measures, seed=self._suite.seed)
            for system, encode in self._encodings(one.name)
        }
        items = max(len(values) for of in scores.values() for values in of.values())
        return _Measured(items, scores)

    def _retrieval(self, one: OpenSet, collection: Collection) -> _Measured:
        rank = self._searched if one.row.searched else self._indexed
        ranked, documents = rank(one, collection)
        for system, facts in ranked.facts.items():
            if system in self._suite.runs:  # a run that goes by the name of the index's BM25
                continue
            tuned = self._suite.lexical.get(system) == TUNED
            self._know(system, _told_by_set(facts, one.name, tuned))
        queries = {query.query_id: query.text for query in collection.queries}
        runs = self._complete(
            one,
            ranked.runs,
            self._suite.depth,
            queries,
            lambda hit: joined(documents.by_id(hit.doc_id)),
        )
        scores = {
            system: measures.score(run, collection.judgements, one.measures)
            for system, run in runs.items()
        }

        def shown(doc_id: str) -> tuple[str, str]:
            document = documents.by_id(doc_id)
            return document.title, document.text[:_SNIPPET]

        judgements = collection.judgements
        return _Measured(
            len({judgement.query_id for judgement in judgements}),
            scores,
            runs,
            ranked.losses,
            _explorer(runs, queries, judgements, set(documents.ids), shown),
            _judged(runs, judgements),
            ranked.notes,
        )

    def _searched(self, one: OpenSet, collection: Collection) -> tuple[Ranked, Wholes]:
        """Rankings by the searches of a folder, and its documents."""
        assert one.row.searched is not None
        suite = self._suite
        names = [*(variant.name for variant in suite.variants), *suite.references]
        ranked = searched.rank(
            collection, one.row.searched, names, device=suite.device, watcher=self._watcher
        )
        return ranked, Wholes(Generation.open(one.row.searched))

    def _indexed(self, one: OpenSet, collection: Collection) -> tuple[Ranked, DocumentStore]:
        """Rankings by an index of the collection, and its documents."""
        suite = self._suite
        own = suite.lexical.get(LEXICAL)
        default = None if one.row.index else Parameters()  # an index that is named has its own
        tuned = self._tuned(one)
        lexical = {
            system: _parameters(given, tuned)
            for system, given in suite.lexical.items()
            if system in one.systems and (system != LEXICAL or given == TUNED)
        }
        plan = Plan(
            variants=suite.variants,
            references=tuple(suite.references.items()),
            vector_indexes=suite.vector_indexes,
            text_parameters=own if isinstance(own, Parameters) else default,
            device=suite.device,
            engine=suite.engine,
            dtype=suite.dtype,
            allow_untrained=suite.allow_untrained,
            memories=self._memories,
            donor=one.row.donor,
        )
        index = one.row.index or retrieval.index_of(collection, places.evaluations() / "indexes")
        ranked = retrieval.rank(
            collection,
            index,
            plan,
            lexical=lexical,
            depth=suite.depth,
            measured=one.measures,
            watcher=self._watcher,
        )
        return ranked, DocumentStore.open(Store.open(index).part("documents"))

    def _reranking(self, one: OpenSet, data: RerankingSet) -> _Measured:
        runs: dict[str, Run] = {}
        for system, given in self._suite.lexical.items():
            if system in one.systems:
                parameters = _parameters(given)
                runs[system] = reranking.lexical(data, parameters)
                self._know(system, asdict(parameters))
        for system, encode in self._encodings(one.name):
            runs[system] = reranking.rank(data, encode)
        texts = {one.doc_id: one.text for part in data.lists for one in part.candidates}
        queries = {one.query_id: one.query for one in data.lists}
        # What a ranking lacks is put last for measuring alone: fused, its place would count.
        longest = max(len(part.candidates) for part in data.lists)
        runs = self._complete(one, runs, longest, queries, lambda hit: texts[hit.doc_id])
        scores = {
            system: reranking.score_run(data, run, one.measures) for system, run in runs.items()
        }
        explorer = _explorer(
            runs,
            queries,
            judgements_of(data),
            texts.keys(),
            lambda doc_id: ("", texts[doc_id][:_SNIPPET]),
        )
        return _Measured(len(data.lists), scores, runs, explorer=explorer)

    def _complete(
        self,
        one: OpenSet,
        runs: Mapping[str, Run],
        depth: int,
        queries: Mapping[str, str],
        text_of: Callable[[Hit], str],
    ) -> dict[str, Run]:
        """Runs of this set with those from files, fused and reranked, in the suite's order."""
        suite = self._suite
        there = {**runs, **one.runs}
        for system in one.runs:
            self._know(system, {"files": {one.name: str(suite.runs[system][one.name])}})
        for system, parts in suite.hybrids.items():
            if system in one.systems:
                there[system] = fuse([there[part] for part in parts], depth)
                self._know(system, {"of": list(parts), "fusion": "rrf"})
        for system, given in suite.rerankings.items():
            if system in one.systems:
                self._watcher.begin(f"reranking {one.name}: {system}", len(there[given.of]))
                reranker = self._reranker(given.reranker)
                before = reranker.truncated
                there[system] = self._reranked(given, there[given.of], queries, text_of)
                facts = {
                    **asdict(given),
                    "fingerprint": reranker.fingerprint,
                    "truncated": reranker.truncated - before,
                }
                self._know(system, _told_by_set(facts, one.name))
        return {system: there[system] for system in one.systems}

    def _reranked(
        self,
        given: Reranking,
        run: Run,
        queries: Mapping[str, str],
        text_of: Callable[[Hit], str],
    ) -> dict[str, list[Hit]]:
        """A run with its first documents read again; those scores are remembered, too."""
        reranker = self._reranker(given.reranker)
        start = time.perf_counter()
        found: dict[str, list[Hit]] = {}
        for number, (query_id, hits) in enumerate(run.items(), start=1):
            found[query_id] = list(hits)
            if query_id in queries:  # a run from elsewhere may answer others, too
                placed = rerank(reranker, queries[query_id], hits, text_of, depth=given.depth)
                found[query_id] = [place.item for place in placed]
            seconds = time.perf_counter() - start
            self._watcher.advance(blocks.Progress(number, len(run), 0, 0, seconds, 0))
        return found

    def _reranker(self, name: str) -> Reranker:
        if name not in self._rerankers:
            self._rerankers[name] = open_reranker(
                name, device=self._suite.device, memories=self._memories
            )
        return self._rerankers[name]

    def _tuned(self, one: OpenSet) -> Parameters | None:
        if TUNED not in self._suite.lexical.values():
            return None
        if one.dev is None:
            self._watcher.say(f"{one.name} names no dev split, so tuned BM25 takes no part in it")
            return None
        found = retrieval.tune(one.dev, one.measures[0], self._suite.depth)
        self._watcher.say(
            f"BM25 tuned on {one.dev.split}, {len(one.dev.queries):,} queries: k1 {found.k1}, "
            f"b {found.b}"
        )
        return found

    def _encodings(self, name: str) -> Iterator[tuple[str, Encode]]:
        """Every encoder of the suite as a function of texts."""
        for encoder in self._encoders():
            for system in encoder.names:
                encode = _Encoding(encoder, system, f"{name}: {system}", self._watcher)
                yield system, encode
                facts = {"tokens_per_s": encoder.tokens_per_s, "truncated": encode.truncated}
                self._know(system, _told_by_set({**encoder.facts(system), **facts}, name))

    def _encoders(self) -> list[TextEncoder]:
        if self._opened is None:
            self._opened = list(open_encoders(self._suite, self._memories))
        return self._opened

    def _know(self, system: str, facts: Mapping[str, Any]) -> None:
        """Keep what is known of a system; what one set brought is not lost on the next."""
        before = self._systems.get(system)
        details = {**(before.details if before else {}), **facts}
        for name in _BY_SET:
            if before and name in facts:
                details[name] = {**before.details.get(name, {}), **facts[name]}
        speed = details.pop("tokens_per_s", None) or (before.tokens_per_s if before else None)
        if system not in self._kinds:
            return
        kind, trained = self._kinds[system]
        design, seed = self._designs.get(system, (system, None))
        dimension = details.get("dimension")
        self._systems[system] = SystemFacts(
            name=system,
            kind=kind,
            design=design,
            seed=seed,
            trained=trained,
            tokens_per_s=speed,
            bytes_per_text=4 * dimension if dimension else None,
            # In one order, whether an index was built now or before.
            details=json.loads(json.dumps(details, sort_keys=True)),
        )

    def _outcome(
        self, command: str, opened: Sequence[OpenSet], found: Mapping[str, _Measured]
    ) -> Outcome:
        suite = self._suite
        scores: dict[str, Scores] = {}
        sets: dict[str, SetFacts] = {}
        for one in opened:
            measured = found[one.name]
            ordered = {system: measured.scores[system] for system in one.systems}
            facts = _set_facts(one, measured)
            scores[one.name], sets[one.name] = ordered, facts
            for part, kept in one.parts.items():
                name = f"{one.name}/{part}"
                scores[name] = _part(ordered, kept)
                sets[name] = replace(
                    facts, name=name, items=len(kept), judged_at_10={}, part_of=one.name
                )
        for system in suite.order:
            self._know(system, {})
        results = Results(
            scores=scores,
            sets=sets,
            systems={name: self._systems[name] for name in suite.order if name in self._systems},
            baseline=suite.baseline,
            resamples=suite.resamples,
            seed=suite.seed,
            command=command,
            versions=_versions(),
            explorer={name: one.explorer for name, one in found.items() if one.explorer},
        )
        losses = [loss for one in found.values() for loss in one.losses]
        return Outcome(results, losses, {name: one.runs for name, one in found.items() if one.runs})


class _Encoding:
    """One encoder as a function of texts; `truncated` counts those that were cut."""

    def __init__(self, encoder: TextEncoder, system: str, what: str, watcher: Watcher) -> None:
        self._encoder, self._system = encoder, system
        self._what, self._watcher = what, watcher
        self.truncated = 0

    def __call__(self, texts: Sequence[str], role: Role) -> Vectors:
        """(N, D) unit vectors, in the order of the texts."""
        self._watcher.begin(f"encoding {self._what}", len(texts))
        vectors, done = blocks.vectors_of(
            self._encoder, self._system, texts, role, report=self._watcher.advance
        )
        self.truncated += done.truncated
        if done.truncated:
            self._watcher.say(
                f"{self._what}: {done.truncated:,} of {len(texts):,} texts have over "
                f"{self._encoder.max_tokens} tokens and were cut"
            )
        return vectors


def open_encoders(suite: Suite, memories: Path) -> Iterator[TextEncoder]:
    """The encoders of a suite, with memories; models load when there is something to compute."""
    from searchkit.encode import loading
    from searchkit.encode.reference import ReferenceEmbedder

    for name, folder in suite.references.items():
        yield ReferenceEmbedder(name, folder, device=suite.device, memories=memories)
    yield from loading.remember(
        suite.variants,
        memories,
        device=suite.device,
        engine=suite.engine,
        dtype=suite.dtype,
        allow_untrained=suite.allow_untrained,
    )


def _parameters(given: Parameters | str | None, tuned: Parameters | None = None) -> Parameters:
    """What a BM25 of the suite is on one set."""
    found = tuned if given == TUNED else given
    return found if isinstance(found, Parameters) else Parameters()


def _told_by_set(facts: Mapping[str, Any], name: str, tuned: bool = False) -> dict[str, Any]:
    """Facts of a system, those that only hold for one set under its name."""
    told = {"tuned": {name: dict(facts)}} if tuned else dict(facts)
    if "truncated" in told:
        told["truncated"] = {name: told["truncated"]}
    return told


def _set_facts(one: OpenSet, measured: _Measured) -> SetFacts:
    return SetFacts(
        name=one.name,
        task=task_of(one.data),
        split=one.data.split,
        item=item_of(one.data),
        items=measured.items,
        measures=one.measures,
        fingerprint=one.data.fingerprint,
        notes=(*one.data.notes, *measured.notes),
        judged_at_10=measured.judged,
    )


def _part(scores: Scores, kept: set[str]) -> Scores:
    return {
        system: {
            measure: {item: value for item, value in of.items() if item in kept}
            for measure, of in by_measure.items()
        }
        for system, by_measure in scores.items()
    }


def _judged(runs: Mapping[str, Run], judgements: Sequence[Judgement]) -> dict[str, float]:
    """The share of judged documents among the first ten, over the queries that found any."""
    name = f"Judged@{_SHOWN}"
    shares = {}
    for system, run in runs.items():
        values = measures.score(run, judgements, [name])[name]
        if found := [value for query_id, value in values.items() if run.get(query_id)]:
            shares[system] = sum(found) / len(found)
    return shares


def _explorer(
    runs: Mapping[str, Run],
    queries: Mapping[str, str],
    judgements: Sequence[Judgement],
    known: Any,
    shown: Callable[[str], tuple[str, str]],
) -> ExplorerSet:
    judged: dict[str, dict[str, int]] = {query_id: {} for query_id in queries}
    for one in judgements:
        if one.query_id in judged:
            judged[one.query_id][one.doc_id] = one.grade
    tops = {
        system: {
            query_id: [hit.doc_id for hit in run.get(query_id, ())[:_SHOWN]] for query_id in queries
        }
        for system, run in runs.items()
    }
    ids = {one for of in tops.values() for top in of.values() for one in top}
    # A run from elsewhere may rank what this corpus does not hold.
    documents = {one: shown(one) if one in known else ("", "") for one in sorted(ids)}
    return ExplorerSet(queries=queries, judged=judged, tops=tops, documents=documents)


def _versions() -> dict[str, str]:
    found = {}
    for package in _VERSIONS:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:  # an extra that nobody needed
            continue
    return found
