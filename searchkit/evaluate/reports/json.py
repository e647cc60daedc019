"""The rows as JSON: a list of objects, one for each system, set and measure."""

import json
from dataclasses import asdict

from searchkit.evaluate.analysis import Analysis
from searchkit.evaluate.reports import _rows
from searchkit.evaluate.results import Results

SUFFIX = ".json"


def render(results: Results, analysis: Analysis) -> str:
    """Objects with the fields of `_rows.Row`, in full precision; what a baseline lacks is null.

    Raises:
        ValueError: a number is not finite, which JSON cannot hold.
    """
    objects = [asdict(row) for row in _rows.rows(results, analysis)]
    return json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
