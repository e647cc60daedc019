"""The rows as CSV, and the other comparisons: numbers in full precision, for other programs."""

import csv
import io
from collections.abc import Iterable
from dataclasses import astuple, fields

from searchkit.evaluate.analysis import Analysis, Pair
from searchkit.evaluate.families import FamilyPair
from searchkit.evaluate.reports import _rows
from searchkit.evaluate.results import Results

SUFFIX = ".csv"


def render(results: Results, analysis: Analysis) -> str:
    """A line for each `_rows.Row`; what a baseline lacks is an empty cell."""
    return _csv(_rows.Row, _rows.rows(results, analysis))


def pairs_csv(analysis: Analysis) -> str:
    """A line for each pair of systems on each set, with every field of `analysis.Pair`."""
    return _csv(Pair, analysis.pairs)


def families_csv(analysis: Analysis) -> str:
    """A line for each pair of systems over the sets of a task: all of `analysis.FamilyPair`."""
    return _csv(FamilyPair, analysis.families)


def _csv(
    kind: type[_rows.Row | Pair | FamilyPair], lines: Iterable[_rows.Row | Pair | FamilyPair]
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # floats are written by repr: all their digits
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(astuple(line) for line in lines)
    return text.getvalue()
