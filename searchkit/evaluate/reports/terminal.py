"""The report for a terminal: tables and plots that fit 80 columns and read without colour."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.constrain import Constrain
from rich.table import Table
from rich.text import Text

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.grid import Cell, Column, Grid
from searchkit.evaluate.numbers import ALPHA, ALPHA_TEXT, counted
from searchkit.evaluate.reports import _forest, _grids, _letters, _order, _rows, _sentences
from searchkit.evaluate.reports._forest import Branch, Marks, Scale
from searchkit.evaluate.results import Results
from searchkit.evaluate.significance import CONFIDENCE

SUFFIX = ".txt"

_WIDTH = 80  # of files and pipes, and the most that a line of words takes
_WIDEST = 120  # beyond it, a line of a table is hard to follow
_GAP = 2  # between columns
_HEAD = 14  # longer heads of the matrix are folded
_LEAST_NAME, _LEAST_PLOT = 12, 24  # columns, below which neither is of use
_HEAD_LINE = box.Box("    \n    \n -- \n" + "    \n" * 5, ascii=True)  # box.SIMPLE_HEAD in ASCII
_BEST = "*"  # says without bold what bold says with it
# Green and red of the terminal's own palette read on light and dark; the sign says the same.
_STYLES = {1: "green", 0: "", -1: "red"}


@dataclass(frozen=True)
class Report:
    """All of an evaluation, for `rich` to print; the headline comes last, where the eye is then.

    Attributes:
        results, analysis: what is reported.
        every_measure: also tables and plots of measures that are not the main one of a set.
    """

    results: Results
    analysis: Analysis
    every_measure: bool = False

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> Iterator[RenderableType]:
        """Lay it out for the width and the characters of a terminal."""
        width = min(options.max_width, _WIDEST)
        sheet = _Sheet(self, width, ascii_only=options.ascii_only)
        yield from sheet.parts()


def render(results: Results, analysis: Analysis) -> str:
    """What a terminal of 80 columns shows of all measures, as plain text."""
    file = io.StringIO()
    console = Console(
        file=file, width=_WIDTH, color_system=None, highlight=False, markup=False, emoji=False
    )
    console.print(Report(results, analysis, every_measure=True))
    return re.sub(r" +$", "", file.getvalue(), flags=re.MULTILINE)


class _Sheet:
    """A report laid out for one width and one set of characters."""

    def __init__(self, report: Report, width: int, *, ascii_only: bool) -> None:
        self._results, self._analysis = report.results, report.analysis
        self._width = width
        self._marks = _forest.ASCII if ascii_only else _forest.UNICODE
        self._rows = _rows.rows(self._results, self._analysis)
        self._shown = {
            measure: [
                name
                for name in _order.sets_with(self._results, measure)
                if report.every_measure or _order.main_measure(self._results, name) == measure
            ]
            for measure in _order.measures(self._results)
        }
        letters = "".join(map(self._analysis.letter, self._analysis.systems))
        self._raised = not ascii_only and _letters.can_be_raised(letters)
        self._names = max(map(len, self._analysis.systems))
        self._letters = max(
            len(_letters.ranges(beaten))
            for measure, names in self._shown.items()
            for name in names
            for beaten in self._analysis.letters(name, measure).values()
        )

    def parts(self) -> Iterator[RenderableType]:
        """From the widest view to single numbers, and back to words."""
        results, analysis = self._results, self._analysis
        if len(results.sets) > 1:
            yield from self._matrix()
        for family in _order.families(results):
            if over := _grids.over_sets(analysis, family):
                yield from self._blocks(_merged(over))
        for measure, names in self._shown.items():
            for name in names:
                grid = _grids.comparison(results, analysis, self._rows, name, measure)
                main = _order.main_measure(results, name) == measure
                found = _sentences.finding(results, analysis, name) if main else ""
                yield from self._table(self._with_letters(grid), found)
            yield from self._plot(measure, names)
        for grid in _grids.seeds(results, analysis):
            yield from self._table(grid)
        if any(row.p is not None for row in self._rows):
            yield _words(_sentences.legend())
            yield Text("")
        for warning in analysis.warnings:
            yield _words(f"note: {warning}")
        if analysis.warnings:
            yield Text("")
        yield _words(_sentences.headline(results, analysis))

    def _matrix(self) -> Iterator[RenderableType]:
        yield from self._blocks(_starred(_merged(_grids.matrix(self._results, self._analysis))))

    def _blocks(self, grid: Grid) -> Iterator[RenderableType]:
        """A grid that may be wider than the terminal."""
        yield Text(grid.title, style="bold")
        for block in _grids.blocks(grid, self._width, gap=_GAP, widest=_HEAD, kept=1):
            yield self._rich(block)
            yield Text("")
        yield _words(grid.caption)
        yield Text("")

    def _table(self, grid: Grid, found: str = "") -> Iterator[RenderableType]:
        yield Text(grid.title, style="bold")
        yield self._rich(_merged(grid))
        if found:
            yield _words(found)
        yield _words(grid.caption)
        yield Text("")

    def _with_letters(self, grid: Grid) -> Grid:
        """The letters of means made visible: raised behind them, or in a column of their own."""
        place = next(place for place, column in enumerate(grid.columns) if column.head == "mean")
        widest = max(len(row[place].text) for row in grid.rows)
        rows = []
        for row in grid.rows:
            mean, letters = row[place], _letters.ranges(row[place].letters)
            seen: tuple[Cell, ...] = (mean, Cell(letters))
            if self._raised:
                behind = _letters.raised(letters).ljust(self._letters)
                seen = (replace(mean, text=f"{mean.text:>{widest}}{behind}"),)
            rows.append((*row[:place], *seen, *row[place + 1 :]))
        apart = () if self._raised else (Column("beats"),)
        columns = (*grid.columns[: place + 1], *apart, *grid.columns[place + 1 :])
        return replace(grid, columns=columns, rows=tuple(rows))

    def _rich(self, grid: Grid) -> Table:
        """A grid with a line below its head alone; names fold where they leave others no room."""
        shown = Table(
            box=_HEAD_LINE if self._marks is _forest.ASCII else box.SIMPLE_HEAD,
            pad_edge=False,
            show_edge=False,
            padding=(0, 1, 0, 0),
        )
        room = self._width - sum(_GAP + width for width in _grids.widths(grid, _HEAD)[1:])
        # Tables of the same systems line up, as far as there is room.
        least = min(self._names + _GAP, room) if grid.columns[0].head.strip() == "system" else 0
        for place, column in enumerate(grid.columns):
            head = _folded(column.head, _HEAD) if column.kind == "name" else column.head
            head += f"\n{column.under}" if column.under else ""
            shown.add_column(
                head,
                justify="right" if column.right else "left",
                no_wrap=True,
                min_width=least if place == 0 and least > 0 else None,
            )
        for row in grid.rows:
            name = _folded(row[0].text, max(_LEAST_NAME, room), hanging=_GAP)
            shown.add_row(*map(_text, (replace(row[0], text=name), *row[1:])))
        return shown

    def _plot(self, measure: str, names: Sequence[str]) -> Iterator[RenderableType]:
        """Differences from the baseline and their intervals, all sets of a measure on one scale."""
        groups = {name: self._branches(name, measure) for name in names}
        for family in _order.families(self._results):
            if family.measure == measure and set(family.sets) <= set(names):
                title = f"mean over {counted(len(family.sets), f'{family.task} set')}"
                groups[title] = [
                    (
                        pair.a,
                        Branch(pair.difference, pair.low, pair.high, pair.holm_p < ALPHA, True),
                    )
                    for pair in _order.against_baseline(self._analysis, family)
                ]
        branches = [branch for group in groups.values() for _, branch in group]
        if not branches:
            return
        label = self._names + _GAP
        if label + _GAP + _LEAST_PLOT > self._width:
            label = max(len(self._analysis.letter(system)) for system in self._analysis.systems)
        scale = Scale.of(branches, self._width - label - _GAP)
        yield Text(f"{measure}: differences from the baseline", style="bold")
        for title, group in groups.items():
            if group:
                yield Text(title, style="italic")
            for system, branch in group:
                name = f"{self._analysis.letter(system)} {system}"[:label].ljust(label + _GAP)
                tone = (1 if branch.difference > 0 else -1) if branch.significant else 0
                drawn = _forest.draw(branch, scale, self._marks)
                yield Text.assemble(name, (drawn, _STYLES[tone]))
        yield Text(" " * (label + _GAP) + _forest.axis(scale))
        yield _words(_forest_caption(self._marks, any(branch.over_sets for branch in branches)))
        yield Text("")

    def _branches(self, name: str, measure: str) -> list[tuple[str, Branch]]:
        """A line for each system of a set but its baseline, the largest difference first."""
        found = [
            (row.system, Branch(row.difference, row.low, row.high, row.p < ALPHA))
            for row in self._rows
            if (row.collection, row.measure) == (name, measure)
            and row.difference is not None
            and row.low is not None
            and row.high is not None
            and row.p is not None
        ]
        return sorted(found, key=lambda line: (-line[1].difference, line[0]))


def _merged(grid: Grid) -> Grid:
    """The letters of systems put before their names; a grid without such a column as it is."""
    if grid.columns[0].head:
        return grid
    widest = max(len(row[0].text) for row in grid.rows)
    head = replace(grid.columns[1], head=f"{'':{widest}} {grid.columns[1].head}")
    rows = (
        (replace(row[1], text=f"{row[0].text:{widest}} {row[1].text}"), *row[2:])
        for row in grid.rows
    )
    return replace(grid, columns=(head, *grid.columns[2:]), rows=tuple(rows))


def _starred(grid: Grid) -> Grid:
    """Numbers with a star behind the best ones, and room for it behind the others."""
    rows = (
        tuple(
            replace(cell, text=f"{cell.text}{_BEST if cell.strong else ' '}")
            if cell.kind == "number"
            else cell
            for cell in row
        )
        for row in grid.rows
    )
    caption = grid.caption.replace("marked", f"marked {_BEST}")
    return replace(grid, rows=tuple(rows), caption=caption)


def _text(cell: Cell) -> Text:
    """Bold for the best, a colour for what is significant, italics for words among numbers."""
    style = "bold" if cell.strong else "italic" if cell.kind == "words" else _STYLES[cell.tone]
    return Text(cell.text, style=style)


def _folded(name: str, width: int, hanging: int = 0) -> str:
    """A name in lines of at most `width` characters, broken behind - _ / . where that can be.

    Lines after the first begin with `hanging` spaces.
    """
    lines = [""]
    room = width
    for part in re.findall(
        rf"[^-_/.]{{0,{width - hanging - 1}}}[-_/.]|[^-_/.]{{1,{width - hanging}}}", name
    ):
        if len(lines[-1]) + len(part) > room:
            lines.append("")
            room = width - hanging
        lines[-1] += part
    return f"\n{'':{hanging}}".join(lines)


def _words(text: str) -> Constrain:
    """Sentences, in lines that are easy to read on a wide terminal, too."""
    return Constrain(Text(text), _WIDTH)


def _forest_caption(marks: Marks, over_sets: bool) -> str:
    means = f"; {marks.sure_mean} and {marks.unsure_mean} the same over sets" if over_sets else ""
    return (
        f"{marks.left}{marks.bar}{marks.right} {CONFIDENCE:.0%} interval; {marks.sure} p below "
        f"{ALPHA_TEXT} after correction, {marks.unsure} not{means}; {marks.zero} zero."
    )
