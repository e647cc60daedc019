"""What there is to choose from: passages, earlier queries, filters, systems and indexes."""

from collections.abc import Sequence

from searchkit.search.source import Filter, Result, Source, System
from searchkit.terminal import placing
from searchkit.terminal.comparison import Comparison
from searchkit.terminal.picker import Choice, Picker

_MEANING = {
    "bm25": "words",
    "dense": "meaning, by vectors",
    "hybrid": "words and meaning, fused",
}


def passages(source: Source, query: str, result: Result) -> Picker[Result]:
    """The passages of a result's document that match a query, and the one that is shown."""

    def found() -> list[Result]:
        return placing.with_current(source.passages(query, result.doc_id), result)

    return Picker(f"Passages of {result.title or result.doc_id}", found, _passage, result)


def history(queries: Sequence[str]) -> Picker[str]:
    """Earlier queries, given in the order in which they were asked."""
    return Picker("Earlier queries", queries[::-1], Choice)


def filters(source: Source) -> Picker[Filter]:
    """Filters, and what each of them leaves."""
    return Picker("Filters", source.filters, lambda one: Choice(one.text, one.note))


def systems(comparison: Comparison, column: int) -> Picker[System]:
    """All ways to search an index; that of the column is selected."""
    return Picker(
        "How to search",
        comparison.choices(),
        lambda system: Choice(system.name, _MEANING[system.mode]),
        comparison.systems[column],
    )


def indexes(names: Sequence[str], current: str) -> Picker[str]:
    """Indexes; the one that is searched is selected."""
    return Picker("Indexes", names, Choice, current)


def _passage(result: Result) -> Choice:
    """A passage among others of its document."""
    place = "passage" if result.page is None else f"page {result.page}"
    if result.line is not None:
        place = f"line {result.line}"
    heading = "".join(result.headings[-1:])
    return Choice(place, heading, result.text, result.best, result.marks)
