"""Sets of a suite, opened as whatever they are, and all that can be refused before work is done."""

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from blake3 import blake3

from searchkit import catalog, places
from searchkit.corpus import labelled
from searchkit.corpus.collection import Collection, joined, open_collection
from searchkit.corpus.cut import Cut
from searchkit.corpus.labelled import RerankingSet
from searchkit.corpus.materialise import materialise
from searchkit.corpus.notes import some
from searchkit.corpus.published import hub
from searchkit.corpus.sampled import sample
from searchkit.corpus.tables import name_of
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate import measures
from searchkit.evaluate.runs import Run, load_run
from searchkit.evaluate.suite import TASKS, TUNED, Length, SetRow, Suite
from searchkit.evaluate.tasks import clustering, reranking
from searchkit.records import Judgement

if TYPE_CHECKING:
    from searchkit.encode.embedder import Role, Vectors

RETRIEVAL = "retrieval"
EvaluationSet = Collection | labelled.LabelledSet


@dataclass(frozen=True)
class OpenSet:
    """One set of a suite that can be evaluated.

    Attributes:
        row: what the suite says of it.
        data: what is measured on.
        name: what tables call it.
        measures: by which it is measured, each once.
        systems: those that take part, in the suite's order.
        runs: of those systems that come from files.
        dev: what BM25 is tuned on, if it is; none of its queries is reported.
        parts: query ids by value of the suite's `by`, values in alphabetical order.
    """

    row: SetRow
    data: EvaluationSet
    name: str
    measures: tuple[str, ...]
    systems: tuple[str, ...]
    runs: Mapping[str, Run] = field(default_factory=dict)
    dev: Collection | None = None
    parts: Mapping[str, set[str]] = field(default_factory=dict)


def open_all(suite: Suite) -> tuple[OpenSet, ...]:
    """The sets of a suite, each with what takes part in it.

    Raises:
        BadInput: a set is not what the suite says, its measures are not of its task, or no system
            can take part in it; two sets go by one name; a run is not of the set that its name
            says; an embedder is not where it should be.
        UnknownName: no query has the field that is reported by, or no set the name of a run's.
    """
    _check_references(suite)
    opened = [(row, open_one(row, suite.seed)) for row in suite.sets]
    _check_field(suite, [data for _, data in opened])
    names = [row.name or data.name for row, data in opened]
    found = tuple(
        _checked(suite, row, data, name) for (row, data), name in zip(opened, names, strict=True)
    )
    reported = [*names, *(f"{one.name}/{part}" for one in found for part in one.parts)]
    if twice := [name for name in reported if reported.count(name) > 1]:
        raise BadInput(f"two sets are called {twice[0]!r}; give one of them another name")
    for system, files in suite.runs.items():
        if unknown := [name for name in files if name not in names]:
            raise UnknownName(
                f"the run {system} is of {unknown[0]!r}, which is no set here; there are: "
                f"{', '.join(names)}"
            )
    return found


def open_one(row: SetRow, seed: int = 0) -> EvaluationSet:
    """The set of a row.

    Raises:
        BadInput: there is none, or it is not what the row says.
    """
    if row.task is None and row.queries and row.qrels:
        task = RETRIEVAL
    else:
        task = row.task or labelled.kind_of(row.source)
    cut = _cut(row.cut) if row.cut else None
    if task != RETRIEVAL:
        for option in ("queries", "qrels", "index", "dev", "unjudged", "sample_queries"):
            if getattr(row, option):
                raise BadInput(
                    f"{row.source} is for {task}, which has no use for {option}; leave it out"
                )
        found = labelled.open_set(
            row.source,
            kind=task,
            split=row.split,
            train_split=row.train_split,
            sample=row.sample,
            seed=seed,
        )
        return cut.labelled(found) if cut else found
    folder = places.evaluations() / "sets"
    path = Path(row.source)
    if _is_parquet(row.source):
        path = materialise(row.source, folder / _key(row.source) / name_of(row.source))
    collection = open_collection(path, row.split, queries=row.queries, qrels=row.qrels)
    if not (row.sample or row.unjudged or row.sample_queries or cut):
        return collection
    return sample(
        collection,
        row.sample,
        folder,
        unjudged=row.unjudged,
        queries=row.sample_queries,
        cut=cut,
        seed=seed,
    )


def _cut(length: Length) -> Cut:
    """Where texts end by the tokens of a base model."""
    from searchkit.encode import language_models
    from searchkit.encode.tokens import TextTokenizer

    base = language_models.resolve(length.base)
    tokenizer = TextTokenizer(base.folder, base.config)
    return Cut(
        length.tokens, base.name, partial(tokenizer.ends, max_tokens=length.tokens), base.hash
    )


def task_of(opened: EvaluationSet) -> str:
    """The kind of task that an opened set is for."""
    kinds = {
        Collection: RETRIEVAL,
        labelled.PairSet: "sts",
        labelled.ClassificationSet: "classification",
        labelled.ClusteringSet: "clustering",
        labelled.RerankingSet: "reranking",
    }
    return kinds[type(opened)]


def item_of(opened: EvaluationSet) -> str:
    """What a score of an opened set belongs to, in the singular."""
    if isinstance(opened, labelled.ClusteringSet) and opened.parts:
        return clustering.PART
    return str(catalog.load(TASKS, task_of(opened)).ITEM)


def size(opened: EvaluationSet) -> str:
    """How much there is, in words."""
    if isinstance(opened, Collection):
        return f"{len(opened.queries):,} queries"
    if isinstance(opened, labelled.PairSet):
        return f"{len(opened.pairs):,} pairs"
    if isinstance(opened, labelled.RerankingSet):
        return f"{len(opened.lists):,} queries"
    if isinstance(opened, labelled.ClassificationSet):
        return f"{len(opened.test):,} texts"
    return f"{len(opened.texts):,} texts"


def check_measures(opened: EvaluationSet, chosen: Sequence[str]) -> None:
    """Raise now what measuring would raise about names of measures, before any work is done.

    Raises:
        BadInput: a name is not that of a measure of the set's task.
    """
    task = task_of(opened)
    if task in (RETRIEVAL, "reranking"):
        measures.check(chosen)
        return
    known: tuple[str, ...] = catalog.load(TASKS, task).MEASURES
    if unknown := [name for name in chosen if name not in known]:
        raise BadInput(f"{unknown[0]!r} is no measure of {task}; there are: {', '.join(known)}")


def texts_of(opened: EvaluationSet, seed: int = 0) -> "list[tuple[Role, list[str]]]":
    """The distinct texts that a set's task will have encoded, by role.

    Raises:
        BadInput: the task cannot score the set, whatever the vectors.
    """
    if isinstance(opened, Collection):
        passages = [joined(document) for document in opened.documents()]
        queries = [query.text for query in opened.queries]
        return [("passage", _distinct(passages)), ("query", _distinct(queries))]
    if isinstance(opened, RerankingSet):
        candidates = [candidate.text for one in opened.lists for candidate in one.candidates]
        return [
            ("passage", _distinct(candidates)),
            ("query", _distinct([one.query for one in opened.lists])),
        ]
    # The other tasks ask once for all that they need: they are listened to, and stopped there.
    asked: list[tuple[Role, list[str]]] = []

    def listen(texts: Sequence[str], role: "Role") -> "Vectors":
        asked.append((role, _distinct(texts)))
        raise _Enough

    with contextlib.suppress(_Enough):
        catalog.load(TASKS, task_of(opened)).score(opened, listen, seed=seed)
    return asked


def judgements_of(opened: Collection | RerankingSet) -> tuple[Judgement, ...]:
    """What runs of a set are measured by."""
    if isinstance(opened, Collection):
        return opened.judgements
    return tuple(
        Judgement(one.query_id, candidate.doc_id, candidate.grade)
        for one in opened.lists
        for candidate in one.candidates
    )


class _Enough(Exception):
    """A task has said which texts it needs."""


def _distinct(texts: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(texts))


def _is_parquet(source: str) -> bool:
    """Whether a collection has to be written in BEIR's layout first."""
    folder = Path(source)
    lines = any((folder / name).exists() for name in ("corpus.jsonl", "corpus.jsonl.gz"))
    return hub(source) is not None or (not lines and any(folder.rglob("*.parquet")))


def _key(source: str) -> str:
    """A folder name for a source: the same path from wherever it is named."""
    place = source if hub(source) else str(Path(source).resolve())
    return blake3(place.encode()).hexdigest()[:12]


def _checked(suite: Suite, row: SetRow, data: EvaluationSet, name: str) -> OpenSet:
    task = task_of(data)
    default: tuple[str, ...] = catalog.load(TASKS, task).MEASURES
    chosen = tuple(dict.fromkeys(row.measures or suite.measures.get(task) or default))
    check_measures(data, chosen)
    if not isinstance(data, Collection):
        texts_of(data, suite.seed)  # for what it raises
    runs = _given(suite, name, data)
    dev = _dev(suite, row, data, name)
    there = {variant.name for variant in suite.variants} | suite.references.keys()
    if isinstance(data, Collection | RerankingSet):
        there |= {key for key, parameters in suite.lexical.items() if parameters != TUNED or dev}
        there |= runs.keys()
        there |= {hybrid for hybrid, parts in suite.hybrids.items() if there.issuperset(parts)}
        there |= {name for name, one in suite.rerankings.items() if one.of in there}
    if not there:
        needed = "a run of it, or BM25 that is not tuned, or a dev split to tune on"
        if not isinstance(data, Collection | RerankingSet):
            needed = "a variant or an embedder"
        raise BadInput(
            f"none of the systems {', '.join(suite.order)} can take part in {name}, which is for "
            f"{task}; name {needed}"
        )
    systems = tuple(system for system in suite.order if system in there)
    return OpenSet(row, data, name, chosen, systems, runs, dev, _parts(data, suite.by))


def _given(suite: Suite, name: str, data: EvaluationSet) -> dict[str, Run]:
    """The runs that files hold of one set."""
    paths = {system: files[name] for system, files in suite.runs.items() if name in files}
    if paths and not isinstance(data, Collection | RerankingSet):
        raise BadInput(
            f"the run {next(iter(paths))} is of {name}, which is for {task_of(data)} and has no "
            "rankings; leave it out there"
        )
    return {system: _read(path, name, data) for system, path in paths.items()}


def _read(path: Path, name: str, data: EvaluationSet) -> Run:
    assert isinstance(data, Collection | RerankingSet)
    judgements = judgements_of(data)
    documents = data.documents() if isinstance(data, Collection) else ()
    run = load_run(path, judgements, (document.doc_id for document in documents))
    judged = dict.fromkeys(one.query_id for one in judgements)
    if judged.keys().isdisjoint(run):
        raise BadInput(
            f"{path} ranks no query of {name}: there the ids are {some([*run]) or 'none'}, here "
            f"{some([*judged])}; give a run of this set"
        )
    if isinstance(data, RerankingSet):
        try:
            reranking.complete(data, run)
        except BadInput as error:
            raise BadInput(f"{path}: {error}") from error
    return run


def _dev(suite: Suite, row: SetRow, data: EvaluationSet, name: str) -> Collection | None:
    if TUNED not in suite.lexical.values() or not row.dev:
        return None
    if row.dev == data.split:
        raise BadInput(f"{name}: dev is {row.dev!r}, which is reported; tune on another split")
    # Of a sample, the dev split has a sample of its own: with the documents that it judges.
    dev = open_one(replace(row, task=RETRIEVAL, split=row.dev, qrels=None), suite.seed)
    assert isinstance(dev, Collection) and isinstance(data, Collection)
    reported = {query.query_id for query in data.queries}
    if shared := [query.query_id for query in dev.queries if query.query_id in reported]:
        raise BadInput(
            f"{name}: {len(shared):,} queries of dev {row.dev!r} are reported, too "
            f"({some(shared)}); tune on a split of other queries"
        )
    return dev


def _check_references(suite: Suite) -> None:
    for name, folder in suite.references.items():
        if not (folder / "modules.json").is_file():
            raise BadInput(
                f"{name}: {folder} is not a sentence-transformers directory: it has no "
                "modules.json; check the path"
            )


def _check_field(suite: Suite, opened: Sequence[EvaluationSet]) -> None:
    queries = [q for one in opened if isinstance(one, Collection) for q in one.queries]
    fields = sorted({name for query in queries for name in query.metadata})
    if suite.by and suite.by not in fields:
        raise UnknownName(
            f"no query has a field {suite.by!r} to report by; there are: "
            f"{', '.join(fields) or 'none'}"
        )


def _parts(data: EvaluationSet, by: str | None) -> dict[str, set[str]]:
    parts: dict[str, set[str]] = {}
    if by and isinstance(data, Collection):
        for query in data.queries:
            if value := query.metadata.get(by):
                parts.setdefault(value, set()).add(query.query_id)
    return dict(sorted(parts.items()))
