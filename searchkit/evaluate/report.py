"""Reports: saved scores to rows, tables and sentences, without a model, an index or a corpus."""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from searchkit import __version__
from searchkit.errors import BadInput, UnknownName
from searchkit.evaluate.significance import CONFIDENCE, RESAMPLES, holm, paired
from searchkit.files import write_text

Scores = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""A value for each collection, system, measure and query id, nested in this order."""

_SCORE_COLUMNS = ["collection", "system", "measure", "query_id", "value"]
_ALPHA = 0.05  # corrected p-values below it are coloured, and called a difference


@dataclass(frozen=True, slots=True)
class Row:
    """One system on one collection by one measure.

    `difference` is its mean less the baseline's, `low` and `high` the 95 % interval of that, which
    is not corrected, and `p` the corrected p-value. All four are None for the baseline itself.
    """

    system: str
    collection: str
    measure: str
    mean: float
    queries: int
    difference: float | None
    low: float | None
    high: float | None
    p: float | None


def compare(
    scores: Scores, baseline: str, *, resamples: int = RESAMPLES, seed: int = 0
) -> list[Row]:
    """Compare every system with a baseline, on every collection and by every measure.

    The tests are those of `significance.paired`. Their p-values are Holm-corrected within each
    measure, over all its comparisons: every system but the baseline on every collection. Measures
    are not corrected for each other: they are views of the same rankings.

    Args:
        scores: of systems that answered the same queries; all of a collection's systems have the
            same measures.
        baseline: a system that every collection has.
        resamples: of bootstrap and test.
        seed: of both. Rows depend neither on the order of systems nor on that of queries.

    Returns:
        Rows by measure, collection and system in the order of `scores`, the baseline first.

    Raises:
        UnknownName: a collection has no scores of the baseline.
        ValueError: systems of a collection differ in their measures or queries.
    """
    for collection, systems in scores.items():
        if baseline not in systems:
            raise UnknownName(
                f"{collection} has no scores of the baseline {baseline!r}; "
                f"there are: {', '.join(systems)}"
            )
        _check_alike(collection, systems)
    measures = dict.fromkeys(
        measure for systems in scores.values() for measure in systems[baseline]
    )
    rows = []
    for measure in measures:
        found = [
            row
            for collection, systems in scores.items()
            if measure in systems[baseline]
            for row in _rows(collection, systems, measure, baseline, resamples, seed)
        ]
        corrected = iter(holm([row.p for row in found if row.p is not None]))
        rows += [row if row.p is None else replace(row, p=next(corrected)) for row in found]
    return rows


def table(rows: Sequence[Row], *, measure: str, resamples: int = RESAMPLES) -> Table:
    """The rows of one measure for the terminal: a group for each collection, best system first.

    It fits 80 columns with names of up to 35 characters, and says all that it says without colour.

    Args:
        rows: what `compare` returned.
        measure: which of its measures to show.
        resamples: with how many they were compared, for the caption.

    Raises:
        ValueError: no row has the measure.
    """
    groups = _groups(rows, measure)
    shown = Table(
        title=measure,
        caption=f"\n{_caption(groups, resamples)}",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
        title_style="bold",
        caption_style="",
    )
    shown.add_column("system", overflow="fold", min_width=12)
    shown.add_column("mean", justify="right", no_wrap=True)
    shown.add_column(f"difference [{CONFIDENCE:.0%}]", justify="right", no_wrap=True)
    shown.add_column("p", justify="right", no_wrap=True)
    for collection, group in groups.items():
        shown.add_row(Text(f"{collection}, {group[0].queries:,} queries", style="italic"))
        for row in group:
            best = "bold" if row.mean == group[0].mean else ""
            shown.add_row(
                Text(f"  {row.system}", style=best),
                Text(f"{row.mean:.3f}", style=best),
                _difference(row),
                "" if row.p is None else _p(row.p),
                end_section=row is group[-1],
            )
    return shown


def headline(rows: Sequence[Row], measure: str) -> str:
    """One sentence for each collection about its best system other than the baseline.

    Args:
        rows: what `compare` returned.
        measure: which of its measures to speak of.

    Returns:
        The sentences, one a line.

    Raises:
        ValueError: no row has the measure.
    """
    groups = _groups(rows, measure)
    comparisons = _comparisons([row for group in groups.values() for row in group])
    return "\n".join(_sentence(group, comparisons) for group in groups.values())


def write_json(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as a list of objects with the fields of `Row`, atomically; None is null."""
    objects = [asdict(row) for row in rows]
    write_text(path, json.dumps(objects, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV with the fields of `Row` for columns, atomically; None is an empty cell."""
    columns = [field.name for field in fields(Row)]
    _write_columns(path, columns, ([getattr(row, name) for name in columns] for row in rows))


def write_provenance(
    path: Path, settings: Mapping[str, Any], collections: Mapping[str, Any]
) -> None:
    """Write what the numbers come from: version, settings of the tests, data and models."""
    origin = {"searchkit": __version__, **settings, "collections": dict(collections)}
    write_text(path, json.dumps(origin, indent=1, ensure_ascii=False) + "\n")


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores as CSV, one value a line, in the order given and in full precision, atomically.

    Raises:
        ValueError: a value is not finite.
    """
    _write_columns(path, _SCORE_COLUMNS, _flat(scores))


def read_scores(path: Path) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Read what `write_scores` wrote, in the order of its lines.

    Raises:
        BadInput: the file cannot be read, or has other columns, a value that is not a finite
            number, or two values for one query.
    """
    scores: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            if next(reader, None) != _SCORE_COLUMNS:
                raise BadInput(f"{path}:1: the columns must be {','.join(_SCORE_COLUMNS)}")
            for columns in reader:
                where = f"{path}:{reader.line_num}"
                if len(columns) != len(_SCORE_COLUMNS):
                    raise BadInput(
                        f"{where}: {len(columns)} columns, not {len(_SCORE_COLUMNS)}: {columns}"
                    )
                collection, system, measure, query_id, text = columns
                values = (
                    scores.setdefault(collection, {}).setdefault(system, {}).setdefault(measure, {})
                )
                if query_id in values:
                    raise BadInput(
                        f"{where}: a second {measure} of {system} for query {query_id!r} of "
                        f"{collection}; keep one of the two"
                    )
                values[query_id] = _finite(where, text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read scores from {path}: {error}") from error
    return scores


def _rows(
    collection: str,
    systems: Mapping[str, Mapping[str, Mapping[str, float]]],
    measure: str,
    baseline: str,
    resamples: int,
    seed: int,
) -> Iterator[Row]:
    """The rows of one collection and measure, with p-values that are not corrected yet."""
    query_ids = sorted(systems[baseline][measure])
    reference = [systems[baseline][measure][query_id] for query_id in query_ids]
    for system in sorted(systems, key=lambda name: name != baseline):
        values = [systems[system][measure][query_id] for query_id in query_ids]
        mean = math.fsum(values) / len(values)
        if system == baseline:
            yield Row(system, collection, measure, mean, len(values), None, None, None, None)
            continue
        found = paired(values, reference, resamples=resamples, seed=seed)
        yield Row(
            system=system,
            collection=collection,
            measure=measure,
            mean=mean,
            queries=found.queries,
            difference=found.mean,
            low=found.low,
            high=found.high,
            p=found.p,
        )


def _check_alike(collection: str, systems: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    """Raise where the systems of a collection were not measured on the same things."""
    first = next(iter(systems))
    for system, measures in systems.items():
        if measures.keys() != systems[first].keys():
            raise ValueError(
                f"on {collection}, {first} has the measures {list(systems[first])} "
                f"and {system} {list(measures)}"
            )
        for measure, values in measures.items():
            if not values:
                raise ValueError(f"on {collection}, {measure} of {system} has no queries")
            differing = values.keys() ^ next(iter(systems[first].values())).keys()
            if differing:
                raise ValueError(
                    f"on {collection}, {measure} of {system} and the first scores of {first} "
                    f"differ in {len(differing)} queries, such as {min(differing)!r}"
                )


def _groups(rows: Sequence[Row], measure: str) -> dict[str, list[Row]]:
    """The rows of a measure by collection, each group by descending mean and then by name."""
    chosen = sorted(
        (row for row in rows if row.measure == measure), key=lambda row: (-row.mean, row.system)
    )
    if not chosen:
        known = ", ".join(dict.fromkeys(row.measure for row in rows)) or "none"
        raise ValueError(f"no row has the measure {measure!r}; there are: {known}")
    collections = dict.fromkeys(row.collection for row in rows if row.measure == measure)
    return {name: [row for row in chosen if row.collection == name] for name in collections}


def _baseline(group: Sequence[Row]) -> Row:
    return next(row for row in group if row.difference is None)


def _caption(groups: Mapping[str, Sequence[Row]], resamples: int) -> str:
    rows = [row for group in groups.values() for row in group]
    if all(row.p is None for row in rows):
        return f"{_baseline(rows).system} alone: there is nothing to compare it with."
    return (
        f"Best first. Difference from {_baseline(rows).system} on the same queries, with its "
        f"{CONFIDENCE:.0%} bootstrap interval (not corrected). p: two-sided paired permutation "
        f"test, Holm-corrected over the {_comparisons(rows)} of this table; coloured below "
        f"{_ALPHA}. {resamples:,} resamples."
    )


def _comparisons(rows: Sequence[Row]) -> str:
    number = sum(row.p is not None for row in rows)
    return f"{number} comparison" if number == 1 else f"{number} comparisons"


def _difference(row: Row) -> Text:
    if row.difference is None or row.p is None:
        return Text("baseline", style="italic")
    # Green and red of the terminal's own palette read on light and dark; the sign says the same.
    style = "" if row.p >= _ALPHA else "green" if row.difference > 0 else "red"
    return Text(f"{row.difference:+.3f} [{row.low:+.3f}, {row.high:+.3f}]", style=style)


def _p(p: float) -> str:
    return "<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0")


def _sentence(group: Sequence[Row], comparisons: str) -> str:
    base = _baseline(group)
    best = next((row for row in group if row is not base), None)
    if best is None:
        return (
            f"On {base.collection}, {base.system} scores {base.mean:.3f} {base.measure}, "
            "with nothing beside it."
        )
    assert best.difference is not None and best.p is not None
    scores = (
        f"{best.system} scores {best.mean:.3f} {best.measure}, "
        f"{abs(best.difference):.3f} {'below' if best.difference < 0 else 'above'}"
    )
    if best.p >= _ALPHA:
        finding = f"{scores} {base.system}, which among {comparisons} may be chance"
    elif best.difference < 0:
        finding = f"nothing reaches {base.system}: {scores} it"
    else:
        finding = f"{scores} {base.system}"
    p = "below 0.001" if best.p < 0.001 else f"{best.p:.3f}"
    return (
        f"On {base.collection}, {finding} ({CONFIDENCE:.0%} interval {best.low:.3f} to "
        f"{best.high:.3f}, corrected p {p}, {best.queries:,} queries)."
    )


def _flat(scores: Scores) -> Iterator[list[object]]:
    for collection, systems in scores.items():
        for system, measures in systems.items():
            for measure, values in measures.items():
                for query_id, value in values.items():
                    if not math.isfinite(value):
                        raise ValueError(f"{measure} of {system} for {query_id!r} is {value}")
                    yield [collection, system, measure, query_id, float(value)]


def _write_columns(path: Path, columns: Sequence[str], rows: Iterator[Sequence[Any]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # floats are written by repr: all their digits
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _finite(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{where}: the value is {text!r}; it must be a finite number such as 0.73")
    return value
