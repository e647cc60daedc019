r"""The report as LaTeX tables for a paper: `\input` the file, or take the tables you want.

It needs the packages booktabs and, for names that are not ASCII, an engine that reads UTF-8.
"""

import re
from collections.abc import Iterator, Sequence

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.grid import Cell, Column, Grid
from searchkit.evaluate.reports import _grids, _order, _rows, _sentences
from searchkit.evaluate.results import Results

SUFFIX = ".tex"

_FITS = 84  # characters in a line of the text width at \small; wider grids become several tables
_GAP = 2  # characters between columns

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\char34{}",
    **{character: f"\\{character}" for character in "_%&#$"},
}


def render(results: Results, analysis: Analysis) -> str:
    """Every table in a float of its own, with a caption that says what its columns are."""
    return "\n\n".join(_parts(results, analysis)) + "\n"


def _parts(results: Results, analysis: Analysis) -> Iterator[str]:
    found = _rows.rows(results, analysis)
    yield _provenance(results)
    labels: set[str] = set()
    if len(results.sets) > 1:
        grid = _grids.matrix(results, analysis)
        for block in _grids.blocks(grid, _FITS, gap=_GAP, widest=_FITS, kept=2):
            yield _table(block, labels)
    for family in _order.families(results):
        if over := _grids.over_sets(analysis, family):
            yield _table(over, labels)
    for measure in _order.measures(results):
        for name in _order.sets_with(results, measure):
            grid = _grids.comparison(results, analysis, found, name, measure)
            yield _table(grid, labels, _sentences.legend() if len(grid.rows) > 1 else "")
    for grid in _grids.seeds(results, analysis):
        yield _table(grid, labels)


def _provenance(results: Results) -> str:
    """Comments, which a paper does not print: the command, versions and hashes of the data."""
    versions = ", ".join(f"{name} {version}" for name, version in results.versions.items())
    lines = [
        *results.command.splitlines(),
        f"{versions}; {results.resamples} resamples, seed {results.seed}",
        *(f"{name}: {facts.fingerprint}" for name, facts in results.sets.items()),
        r"needs \usepackage{booktabs}",
    ]
    return "\n".join(f"% {' '.join(line.split())}" for line in lines)


def _table(grid: Grid, labels: set[str], legend: str = "") -> str:
    """One float. A column with letters is two in print, so that means stand below each other."""
    lettered = [any(row[place].letters for row in grid.rows) for place in range(len(grid.columns))]
    shape = "".join(
        "r@{}l" if wide else "r" if column.right else "l"
        for column, wide in zip(grid.columns, lettered, strict=True)
    )
    heads = [_line([column.head for column in grid.columns], grid.columns, lettered)]
    if any(column.under for column in grid.columns):
        heads.append(_line([column.under for column in grid.columns], grid.columns, lettered))
    body = [
        " & ".join(_cell(cell, wide) for cell, wide in zip(row, lettered, strict=True))
        for row in grid.rows
    ]
    caption = _words(" ".join(filter(None, (f"{grid.title}.", grid.caption, legend))))
    return "\n".join(
        [
            r"\begin{table}",
            r"  \centering\small",
            f"  \\caption{{{caption}}}",
            f"  \\label{{{_label(grid.title, labels)}}}",
            f"  \\begin{{tabular}}{{@{{}}{shape}@{{}}}}",
            r"    \toprule",
            *(rf"    {head} \\" for head in heads),
            r"    \midrule",
            # After the end of a row, a bracket or a star would be an argument of it.
            *(rf"    {'{}' if line.startswith(('[', '*')) else ''}{line} \\" for line in body),
            r"    \bottomrule",
            r"  \end{tabular}",
            r"\end{table}",
        ]
    )


def _line(texts: Sequence[str], columns: Sequence[Column], lettered: Sequence[bool]) -> str:
    """A line of heads; over two columns in print where there are letters."""
    return " & ".join(
        rf"\multicolumn{{2}}{{l}}{{{_escaped(text)}}}" if wide else _escaped(text)
        for text, column, wide in zip(texts, columns, lettered, strict=True)
    )


def _cell(cell: Cell, lettered: bool) -> str:
    text = _escaped(cell.text) if cell.kind == "name" else _words(cell.text)
    text = rf"\textbf{{{text}}}" if cell.strong else text
    if not lettered:
        return text
    return f"{text} & \\textsuperscript{{{cell.letters}}}" if cell.letters else f"{text} &"


def _escaped(text: str) -> str:
    """A name, character by character; a dash stays one, though LaTeX would join two."""
    line = "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))
    return re.sub("-(?=-)", "-{}", line)


def _words(text: str) -> str:
    """Words and numbers: a sign before a digit is a minus, and p is a variable."""
    return re.sub(r"(?<![\w.)\]-])([+-])(?=\d)", r"$\1$", _escaped(text))


def _label(title: str, taken: set[str]) -> str:
    r"""What `\ref` finds the table by; unlike all that are taken, to which it is added."""
    plain = "tab:" + re.sub("[^a-z0-9]+", "-", title.lower()).strip("-")
    label, number = plain, 1
    while label in taken:
        number += 1
        label = f"{plain}-{number}"
    taken.add(label)
    return label
