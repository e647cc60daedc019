"""The report as Markdown, with tables as GitHub shows them and where every number comes from."""

from collections.abc import Iterator

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.markdown import bullets, code, escaped, fenced, table
from searchkit.evaluate.numbers import counted
from searchkit.evaluate.reports import _grids, _order, _rows, _sentences
from searchkit.evaluate.results import Results

SUFFIX = ".md"


def render(results: Results, analysis: Analysis) -> str:
    """Findings, tables of all sets and measures, and the provenance, as one page."""
    return "\n\n".join(_parts(results, analysis)) + "\n"


def _parts(results: Results, analysis: Analysis) -> Iterator[str]:
    found = _rows.rows(results, analysis)
    yield "# Evaluation"
    yield bullets(map(escaped, _sentences.headline(results, analysis).splitlines()))
    if analysis.warnings:
        yield "Before the numbers:"
        yield bullets(map(escaped, analysis.warnings))
    if len(results.sets) > 1:
        yield from table(_grids.matrix(results, analysis))
    for family in _order.families(results):
        if over := _grids.over_sets(analysis, family):
            yield from table(over)
    for measure in _order.measures(results):
        for name in _order.sets_with(results, measure):
            grid = _grids.comparison(results, analysis, found, name, measure)
            main = _order.main_measure(results, name) == measure
            yield from table(grid, _sentences.finding(results, analysis, name) if main else "")
    for grid in _grids.seeds(results, analysis):
        yield from table(grid)
    yield "## How to read the tables"
    yield escaped(_sentences.legend())
    yield from _provenance(results)


def _provenance(results: Results) -> Iterator[str]:
    """The command, what it ran with, and the hashes of data and models."""
    yield "## Where the numbers come from"
    yield fenced(results.command, "sh")
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    yield escaped(
        f"{versions}. Tests and intervals: {results.resamples:,} resamples, seed {results.seed}."
    )
    sets = []
    for name, facts in results.sets.items():
        items = f"split {facts.split}, {counted(facts.items, facts.item)}"
        said = [escaped(f"{facts.task}, {items}"), f"data {code(facts.fingerprint)}"]
        sets.append(f"{code(name)}: {'; '.join([*said, *map(escaped, facts.notes)])}")
    yield bullets(sets)
    systems = []
    for name, system in results.systems.items():
        said = [escaped(system.kind)]
        said += ["untrained"] if system.trained is False else []
        said += [f"seed {system.seed}"] if system.seed is not None else []
        said += [
            f"{escaped(key)} {code(str(value))}"
            for key, value in system.details.items()
            if isinstance(value, str | int | float)  # the rest, a variant's row, is saved as JSON
        ]
        systems.append(f"{code(name)}: {', '.join(said)}")
    yield bullets(systems)
