"""Which system serves an index best, when nobody has judged anything, or a few things.

Known-item queries are made from the documents themselves, one set by titles and one by sentences,
and what was judged in the terminal makes a third. The index lends its vectors, so only passages
that were changed for a query, and the queries, are encoded.

Of a folder, sentences look for passages. What was judged there is searched for in the folder, by
its own searches; titles are left out, since a passage carries them in its headings.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

from searchkit import places
from searchkit.corpus.written import Documents
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput
from searchkit.evaluate import known_items
from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.numbers import ALPHA, counted, fixed
from searchkit.evaluate.results import Results
from searchkit.evaluate.suite import LEXICAL, SetRow, Suite, hybrid_name
from searchkit.index.documents import DocumentStore
from searchkit.index.live.generation import KIND, Generation
from searchkit.index.store import Store
from searchkit.index.text.bm25 import Parameters
from searchkit.search import contents, judging
from searchkit.search.live.documents import Passages, Wholes

# Kendall's tau-b between the rankings of systems by known-item queries and by real judgements, as
# benchmarks/known_items.py measured it; reports quote it.
AGREEMENT = (
    "On 3 judged collections (scifact, cranfield, cacm), such queries ranked 10 systems as the "
    "judged ones did with a Kendall's tau-b of 0.81 (95 % interval 0.75 to 0.93; 0.74 by titles, "
    "0.90 by sentences); 1 is the same order, 0 none in common."
)


@dataclass(frozen=True, slots=True)
class Answer:
    """The system to take, in words and as an index can keep it.

    `sure` says whether it beats every other system by the corrected test on the sets together.
    """

    system: str
    mode: str
    variant: str | None
    mean: float
    sure: bool
    sentence: str


def suite_of(index: Path, suite: Suite | None = None, *, seed: int = 0) -> tuple[Suite, list[str]]:
    """The suite that finds out which system serves an index best.

    Args:
        index: its directory.
        suite: systems to compare, and how; by default BM25, everything that the index has vectors
            of, and the hybrids of both, in the dtype of these vectors. Its sets do not matter.
        seed: of the drawn queries.

    Returns:
        The suite, and what a reader of its results should know, one line each.

    Raises:
        BadInput: the documents allow neither kind of query, and nothing was judged; the ledger has
            a line that is no judgement; the suite reports by a field; or it has an encoder that has
            not encoded a folder.
    """
    if suite and suite.by:
        raise BadInput(
            f"queries that are made of documents have no {suite.by} to report by; leave it out"
        )
    store = Store.open(index)
    name = index.resolve().name
    generation = Generation.open(index) if store.corpus.get("kind") == KIND else None
    if generation and suite:
        _refuse_new(generation, suite)
    made_of, kinds, judged_of = _documents(store, generation)
    folder = places.evaluations() / "own" / name
    sets, notes = [], []
    for kind in kinds:
        try:
            made = known_items.make(made_of, folder / f"{name}-{kind}", kind=kind, seed=seed)
        except known_items.TooFewDocuments as error:  # too few titles need not be too few sentences
            notes.append(str(error))
            continue
        sets.append(SetRow(source=str(made.folder), task="retrieval", donor=index))
        notes += made.notes
    ledger = judging.ledger_of(name)
    if ledger.path.exists():
        try:
            judged = judging.as_collection(ledger, judged_of, folder / f"{name}-judged")
        except judging.NothingJudged as error:  # all of it is about documents that are gone
            notes.append(str(error))
        else:
            row = SetRow(source=str(judged.folder), task="retrieval")
            row = replace(row, searched=index) if generation else replace(row, donor=index)
            sets.append(row)
            notes += judged.notes
    if not sets:
        what = "passages" if generation else "documents"
        raise BadInput(
            f"{name} has nothing to be evaluated with: of its {len(made_of):,} {what}, fewer than "
            f"{known_items.LEAST} have a {' or a '.join(kinds)} that can look for them, and nobody "
            f"judged any; do so with searchkit search --judge --index {name}, or name a SET"
        )
    suite = _systems(store, tuple(sets), suite)
    notes += _lexical_notes(store, suite)
    notes += [known_items.caveat(), AGREEMENT]
    return suite, notes


def _documents(
    store: Store, generation: Generation | None
) -> tuple[Documents, tuple[known_items.Kind, ...], Documents]:
    """What known-item queries are made of, their kinds, and what judgements are about."""
    if generation:
        return Passages(generation), ("sentence",), Wholes(generation)
    documents = DocumentStore.open(store.part("documents"))
    return documents, known_items.KINDS, documents


def _refuse_new(generation: Generation, suite: Suite) -> None:
    """Raise for an encoder by which a folder cannot be searched as it is."""
    from searchkit.search.live.encoding import asked_for
    from searchkit.search.live.plan import Plan

    plan = Plan(
        variants=suite.variants,
        references=tuple(suite.references.items()),
        engine=suite.engine,
        dtype=suite.dtype,
    )
    there = generation.encoders()
    for wanted in asked_for(plan, generation):
        if wanted.stale or wanted.name not in there:
            raise BadInput(
                f"{generation.store.path} was not encoded by {wanted.name} in this way; add it "
                f"with searchkit index, or compare what there is: {', '.join(there) or 'BM25'}"
            )


def answer(results: Results, analysis: Analysis) -> Answer:
    """The system with the highest mean over the sets, each by its main measure.

    It is called sure where, on the sets together, it beats every other one: on each set the
    difference is not below zero, and on at least one it is significant after correction.
    """
    names = [name for name in results.systems if all(name in of for of in results.scores.values())]
    means = {
        name: sum(
            analysis.means[one][facts.measures[0]][name] for one, facts in results.sets.items()
        )
        / len(results.sets)
        for name in names
    }
    best = max(means, key=lambda name: means[name])
    rivals = [name for name in names if name != best and not _beats(results, analysis, best, name)]
    measure = next(iter(results.sets.values())).measures[0]
    found = f"a mean {measure} of {fixed(means[best])} over {counted(len(results.sets), 'set')}"
    if len(names) == 1:
        sentence = f"{best} is the only system that was compared, with {found}."
    elif rivals:
        sentence = (
            f"{best} serves this index best, with {found}; with the queries there are, it is not "
            f"surely better than {', '.join(rivals)}."
        )
    else:
        sentence = (
            f"{best} serves this index best, with {found}, and it beats every other system after "
            "correction."
        )
    facts = results.systems[best]
    parts = facts.details.get("of", ())
    variant = next((part for part in parts if part != LEXICAL), None)
    mode = {"bm25": "bm25", "hybrid": "hybrid"}.get(facts.kind, "dense")
    return Answer(
        system=best,
        mode=mode,
        variant=best if mode == "dense" else variant,
        mean=means[best],
        sure=len(names) > 1 and not rivals,
        sentence=sentence,
    )


def _beats(results: Results, analysis: Analysis, best: str, other: str) -> bool:
    pairs = [
        analysis.pair(name, facts.measures[0], best, other) for name, facts in results.sets.items()
    ]
    return all(pair.difference >= 0 for pair in pairs) and any(
        pair.holm_p < ALPHA for pair in pairs
    )


def _systems(store: Store, sets: tuple[SetRow, ...], suite: Suite | None) -> Suite:
    """The suite with these sets, the index's own BM25, and its encoders if it names none."""
    asked = suite or Suite(sets=sets, lexical={LEXICAL: None})
    lexical = {
        name: _parameters(store) if parameters is None else parameters
        for name, parameters in asked.lexical.items()
    }
    asked = replace(asked, sets=sets, lexical=lexical, dtype=asked.dtype or _dtype_of(store))
    if asked.variants or asked.references:
        return asked
    variants: list[Variant] = []
    references: dict[str, Path] = {}
    for name, facts in contents.encoders(store).items():
        if facts["kind"] == "variant":
            variants.append(Variant.from_row(facts["variant"]))
        else:
            references[name] = Path(facts["folder"])
    names = [*references, *(variant.name for variant in variants)]
    return replace(
        asked,
        variants=tuple(variants),
        references=references,
        hybrids={hybrid_name((LEXICAL, name)): (LEXICAL, name) for name in names},
        order=(),
    )


def _dtype_of(store: Store) -> str | None:
    """What all variants of an index were computed in: vectors of another dtype are not lent."""
    facts = contents.encoders(store).values()
    dtypes = {str(one["dtype"]) for one in facts if one["kind"] == "variant"}
    return dtypes.pop() if len(dtypes) == 1 else None


def _parameters(store: Store) -> Parameters:
    """Those of a corpus's BM25; a folder's own has none to choose, and the defaults are like it."""
    return Parameters(**store.facts("bm25")) if "bm25" in store.names() else Parameters()


def _lexical_notes(store: Store, suite: Suite) -> list[str]:
    """A note where BM25 is not what a search of the index would be."""
    held, asked = _parameters(store), suite.lexical.get(LEXICAL)
    if asked in (None, held) or not isinstance(asked, Parameters):
        return []
    changed = [name for name in asdict(held) if getattr(held, name) != getattr(asked, name)]
    here, there = (
        ", ".join(f"{name} {getattr(one, name)}" for name in changed) for one in (asked, held)
    )
    return [f"{LEXICAL} is compared with {here}; a search of the index has {there}"]
