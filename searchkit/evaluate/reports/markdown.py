"""The report as Markdown, with tables as GitHub shows them and where every number comes from."""

import re
from collections.abc import Iterable, Iterator

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.reports import _grids, _order, _rows, _sentences
from searchkit.evaluate.reports._grids import Cell, Column, Grid
from searchkit.evaluate.reports._numbers import counted
from searchkit.evaluate.results import Results

SUFFIX = ".md"


def render(results: Results, analysis: Analysis) -> str:
    """Findings, tables of all sets and measures, and the provenance, as one page."""
    return "\n\n".join(_parts(results, analysis)) + "\n"


def _parts(results: Results, analysis: Analysis) -> Iterator[str]:
    found = _rows.rows(results, analysis)
    yield "# Evaluation"
    yield _bullets(map(_escaped, _sentences.headline(results, analysis).splitlines()))
    if analysis.warnings:
        yield "Before the numbers:"
        yield _bullets(map(_escaped, analysis.warnings))
    if len(results.sets) > 1:
        yield from _table(_grids.matrix(results, analysis))
    for family in _order.families(results):
        if over := _grids.over_sets(analysis, family):
            yield from _table(over)
    for measure in _order.measures(results):
        for name in _order.sets_with(results, measure):
            grid = _grids.comparison(results, analysis, found, name, measure)
            main = _order.main_measure(results, name) == measure
            yield from _table(grid, _sentences.finding(results, analysis, name) if main else "")
    for grid in _grids.seeds(results, analysis):
        yield from _table(grid)
    yield "## How to read the tables"
    yield _escaped(_sentences.legend())
    yield from _provenance(results)


def _table(grid: Grid, before: str = "") -> Iterator[str]:
    yield f"## {_escaped(grid.title)}"
    if before:
        yield _escaped(before)
    lines = [
        [_head(column) for column in grid.columns],
        ["--:" if column.right else ":--" for column in grid.columns],
        *([_cell(cell) for cell in row] for row in grid.rows),
    ]
    rows = ([text.replace("|", "\\|") for text in line] for line in lines)
    yield "\n".join(f"| {' | '.join(row)} |" for row in rows)
    yield _escaped(grid.caption)


def _head(column: Column) -> str:
    head = _code(column.head) if column.kind == "name" else _escaped(column.head)
    return f"{head}<br>{_escaped(column.under)}" if column.under else head


def _cell(cell: Cell) -> str:
    text = _code(cell.text) if cell.kind == "name" else _escaped(cell.text)
    strong = f"**{text}**" if cell.strong else text
    return f"{strong}<sup>{cell.letters}</sup>" if cell.letters else strong


def _provenance(results: Results) -> Iterator[str]:
    """The command, what it ran with, and the hashes of data and models."""
    yield "## Where the numbers come from"
    yield f"{_fence(results.command)}sh\n{results.command}\n{_fence(results.command)}"
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    yield _escaped(
        f"{versions}. Tests and intervals: {results.resamples:,} resamples, seed {results.seed}."
    )
    sets = []
    for name, facts in results.sets.items():
        items = f"split {facts.split}, {counted(facts.items, facts.item)}"
        said = [_escaped(f"{facts.task}, {items}"), f"data {_code(facts.fingerprint)}"]
        sets.append(f"{_code(name)}: {'; '.join([*said, *map(_escaped, facts.notes)])}")
    yield _bullets(sets)
    systems = []
    for name, system in results.systems.items():
        said = [_escaped(system.kind)]
        said += ["untrained"] if system.trained is False else []
        said += [f"seed {system.seed}"] if system.seed is not None else []
        said += [
            f"{_escaped(key)} {_code(str(value))}"
            for key, value in system.details.items()
            if isinstance(value, str | int | float)  # the rest, a variant's row, is saved as JSON
        ]
        systems.append(f"{_code(name)}: {', '.join(said)}")
    yield _bullets(systems)


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _code(text: str) -> str:
    """A name as it is, whatever it holds: underscores in it are no emphasis."""
    line = " ".join(text.split())
    ticks = _ticks(line, 1)
    apart = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{ticks}{apart}{line}{apart}{ticks}"


def _fence(text: str) -> str:
    return _ticks(text, 3)


def _ticks(text: str, least: int) -> str:
    """More backticks than stand together anywhere in a text."""
    return "`" * max(least, 1 + max(map(len, re.findall("`+", text)), default=0))


def _escaped(text: str) -> str:
    """Words, in which nothing is markup: a lone bracket or less-than sign never is."""
    line = " ".join(text.split())
    return re.sub(r"[\\`*_~]|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])|\](?=[(\[:])", r"\\\g<0>", line)
