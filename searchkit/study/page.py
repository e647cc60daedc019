"""The page of a study: Markdown, a pure function of what was saved."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from searchkit.evaluate.grid import Grid
from searchkit.evaluate.markdown import bullets, code, escaped, fenced, rows
from searchkit.evaluate.numbers import counted
from searchkit.evaluate.results import Results
from searchkit.study import comparisons, sentences, tables
from searchkit.study.figures import Figures
from searchkit.study.record import Record


def render(results: Results, record: Record) -> str:
    """Findings, the study's tables, every set's figures, and how all of it was made.

    Args:
        results: with the design and seed of each system as the study has them.
        record: of its trainings.
    """
    return "\n\n".join(_parts(results, record)) + "\n"


def _parts(results: Results, record: Record) -> Iterator[str]:
    figures = Figures(results, record)
    yield f"# {escaped(record.title)}"
    yield escaped(sentences.opening(figures))
    yield from _table(tables.described(figures))
    yield escaped(sentences.reading())
    for usual, group in figures.groups.items():
        if len(group) > 1:
            yield f"## Against {code(usual)}"
            yield _said(sentences.of_designs(figures, usual))
            yield from _table(comparisons.paper(figures, usual))
            yield from _section((), comparisons.designs(figures, usual))
    if record.untrained:
        yield "## Trained and untrained"
        yield sentences.untrained()
        yield from _section(sentences.of_training(figures), comparisons.training(figures))
    for other in figures.others:
        yield f"## Beside {code(other)}"
        yield from _section(sentences.of_others(figures, other), comparisons.beside(figures, other))
    yield "## Costs"
    yield from _table(tables.costs(figures))
    yield "## Every set"
    yield from _section((), tables.sets(figures))
    yield "## How it was made"
    yield from _made(results, record)


def _section(said: Iterable[str], grids: Iterable[Grid]) -> Iterator[str]:
    lines = list(said)
    if lines:
        yield _said(lines)
    for grid in grids:
        yield f"### {escaped(grid.title)}"
        yield from _table(grid)


def _table(grid: Grid) -> Iterator[str]:
    yield rows(grid)
    yield escaped(grid.caption)


def _said(lines: Iterable[str]) -> str:
    return bullets(map(escaped, lines))


def _made(results: Results, record: Record) -> Iterator[str]:
    yield fenced(results.command, "sh")
    yield escaped(f"The pairs, {record.kept:,} in all:")
    yield bullets(
        f"{code(one.name)}: {one.pairs:,}, "
        f"{escaped(one.licence or 'licence not named')}, {code(one.blake3)}"
        for one in record.sources
    )
    if record.notes:
        yield _said(record.notes)
    deviating = any(row.deviations for row in record.rows)
    yield f"All trainings have in common{', but for deviations' if deviating else ''}:"
    yield bullets(f"{escaped(name)}: {code(str(one))}" for name, one in _flat(record.recipe))
    yield "Weights, by the hash of what was trained:"
    yield bullets(
        f"{code(one.system)}: seed {one.seed}, {code(one.weights)}" for one in record.trainings
    )
    yield "The sets:"
    yield bullets(
        f"{code(name)}: {escaped(facts.task)}, split {escaped(facts.split)}, "
        f"{counted(facts.items, facts.item)}, {code(facts.fingerprint)}"
        + "".join(f"; {escaped(note)}" for note in facts.notes)
        for name, facts in results.sets.items()
    )
    versions = {**record.versions, **results.versions}
    listed = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield escaped(
        f"{listed}. Tests and intervals: {results.resamples:,} resamples, seed {results.seed}."
    )


def _flat(recipe: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The settings one by one, of those that say something; files have a list of their own."""
    for name, value in recipe.items():
        for one, said in value.items() if isinstance(value, Mapping) else [(name, value)]:
            if name != "files" and said not in (None, []):
                yield one, said
