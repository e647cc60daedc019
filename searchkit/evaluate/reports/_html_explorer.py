"""The data of the explorer: queries, rankings and texts, within a budget of bytes.

A page with every query and text of a large suite would be too large to send and to open. So texts
are cut, and of each set those queries are kept on which systems differ most: whoever looks into
single queries looks there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.reports._html_elements import shorten
from searchkit.evaluate.results import ExplorerSet, Results, SetFacts

BUDGET = 2_800_000  # bytes of UTF-8, for all sets together
QUERY, TITLE, SNIPPET = 300, 80, 120  # characters
DEPTHS = (10, 5)  # documents of a ranking that are shown: the second where the first does not fit


@dataclass(frozen=True, slots=True)
class Explorer:
    """What the page holds, and what of the evaluation it leaves out.

    Attributes:
        data: the object that the script reads.
        kept, total: queries on the page and in the evaluation, by set.
        depth: how many documents of each ranking have their text.
    """

    data: Mapping[str, Any]
    kept: Mapping[str, int]
    total: Mapping[str, int]
    depth: int


@dataclass(frozen=True, slots=True)
class _Source:
    """One set: the systems whose rankings were kept, and the queries that have a value by them."""

    facts: SetFacts
    found: ExplorerSet
    systems: Sequence[str]
    scores: Sequence[Mapping[str, float]]
    query_ids: Sequence[str]


@dataclass(slots=True)
class _Packed:
    """The queries of one set that fit."""

    entries: list[list[Any]] = field(default_factory=list)
    documents: list[list[str]] = field(default_factory=list)
    cost: int = 0


def pack(results: Results, analysis: Analysis, *, budget: int = BUDGET) -> Explorer:
    """Choose what the explorer shows.

    Sets share the budget evenly; what a small one leaves over goes to the larger ones. Within a
    set, queries come in the order of the range of their main measure over systems, the widest
    first, and in the order of the evaluation among equals.

    Args:
        results: of the evaluation.
        analysis: says which two systems are shown first.
        budget: bytes of JSON for queries, rankings and texts, names of systems aside.
    """
    sources = [source for name in results.explorer if (source := _source(results, name)).query_ids]
    for depth in DEPTHS:
        packed = _pack_all(sources, depth, budget)
        if all(len(packed[one.facts.name].entries) == len(one.query_ids) for one in sources):
            break
    systems = list(results.systems)
    return Explorer(
        data={
            "systems": systems,
            "sets": [
                {
                    "name": one.facts.name,
                    "measure": one.facts.measures[0],
                    "item": one.facts.item,
                    "total": len(one.query_ids),
                    "systems": [systems.index(system) for system in one.systems],
                    "pair": _first_pair(one, analysis),
                    "queries": packed[one.facts.name].entries,
                    "documents": packed[one.facts.name].documents,
                }
                for one in sources
            ],
        },
        kept={one.facts.name: len(packed[one.facts.name].entries) for one in sources},
        total={one.facts.name: len(one.query_ids) for one in sources},
        depth=depth,
    )


def left_out(explorer: Explorer) -> str:
    """What the explorer shows and what it does not, in plain words."""
    kept, total = sum(explorer.kept.values()), sum(explorer.total.values())
    which = f"All {total:,} queries"
    if kept < total:
        which = (
            f"{kept:,} of {total:,} queries: of each set those on which any two systems differ "
            "most by the main measure, as many as a page of this size holds. Left out: "
            f"{total - kept:,}"
        )
    shown = f"the first {DEPTHS[0]} documents with their grades"
    if explorer.depth < DEPTHS[0]:
        shown += f", the first {explorer.depth} with their texts"
    return (
        f"{which}. Of each ranking, {shown}; queries are cut at {QUERY} characters, titles at "
        f"{TITLE} and texts at {SNIPPET}."
    )


def as_json(data: Mapping[str, Any]) -> str:
    """JSON that can stand inside a script element: nothing in it ends the element or a line."""
    text = _compact(data)
    for letter in "<\u2028\u2029":  # "<" stands in strings alone
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return text


def _source(results: Results, name: str) -> _Source:
    facts, found = results.sets[name], results.explorer[name]
    systems = [system for system in results.scores[name] if system in found.tops]
    scores = [results.scores[name][system][facts.measures[0]] for system in systems]
    query_ids = [
        query_id
        for query_id in found.queries
        if scores and all(query_id in by_query for by_query in scores)
    ]
    return _Source(facts, found, systems, scores, query_ids)


def _pack_all(sources: Sequence[_Source], depth: int, budget: int) -> dict[str, _Packed]:
    """Pack small sets first, so that what they leave over is known when large ones are packed."""
    packed = {}
    for done, one in enumerate(sorted(sources, key=lambda one: len(one.query_ids))):
        packed[one.facts.name] = _pack_set(one, depth, budget // (len(sources) - done))
        budget -= packed[one.facts.name].cost
    return packed


def _pack_set(source: _Source, depth: int, share: int) -> _Packed:
    found = source.found

    def closeness(query_id: str) -> float:
        values = [by_query[query_id] for by_query in source.scores]
        return min(values) - max(values)

    packed = _Packed()
    places: dict[str, int] = {}
    for query_id in sorted(source.query_ids, key=closeness):
        rankings = [found.tops[system].get(query_id, ()) for system in source.systems]
        texts = []
        for doc_id in (doc_id for ranking in rankings for doc_id in ranking[:depth]):
            if doc_id not in places:
                places[doc_id] = len(places)
                title, text = found.documents[doc_id]
                texts.append([shorten(title, TITLE), shorten(text, SNIPPET)])
        judged = found.judged.get(query_id, {})
        entry = [
            query_id,
            shorten(found.queries[query_id], QUERY),
            sum(grade > 0 for grade in judged.values()),
            [round(by_query[query_id], 4) for by_query in source.scores],
            [[places[doc_id] for doc_id in ranking[:depth]] for ranking in rankings],
            [_grades(ranking, judged) for ranking in rankings],
        ]
        cost = len(_compact([entry, *texts]).encode())
        if packed.cost + cost > share:
            break
        packed.entries.append(entry)
        packed.documents += texts
        packed.cost += cost
    return packed


def _first_pair(source: _Source, analysis: Analysis) -> tuple[int, int]:
    """The best system and the baseline, as places among those of the set."""
    means = analysis.means[source.facts.name][source.facts.measures[0]]
    baseline = analysis.baseline(source.facts.name)
    base = source.systems.index(baseline) if baseline in source.systems else 0
    others = [place for place in range(len(source.systems)) if place != base]
    return max(others, key=lambda place: means[source.systems[place]], default=base), base


def _grades(ranking: Sequence[str], judged: Mapping[str, int]) -> list[int]:
    """How many documents a ranking shows, then rank and grade of each judged one, rank from 1."""
    marks = [len(ranking)]
    for rank, doc_id in enumerate(ranking, start=1):
        if doc_id in judged:
            marks += [rank, judged[doc_id]]
    return marks


def _compact(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
