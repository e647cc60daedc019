"""The suite of a study: what its evaluation names, and a system for each training."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from searchkit.errors import BadInput
from searchkit.evaluate.suite import Suite, hybrid_name, of_table
from searchkit.study.study import Row, Study

_BY_THE_SUITE = ("attention", "pooling", "label", "weights", "base", "max_tokens")


@dataclass(frozen=True, slots=True)
class Origin:
    """What a system of a study is a seed of.

    Attributes:
        design: the same for all seeds of a row, or of a hybrid with one.
        seed: of the training.
    """

    design: str
    seed: int


def suite_of(study: Study, weights: Path | None = None) -> Suite:
    """What the study evaluates: other systems, rows untrained, rows trained, hybrids.

    Args:
        study: whose evaluation it is.
        weights: the folder with those of each training; None to have the designs stand in for
            what is not trained yet, so that all else can be checked before.

    Raises:
        BadInput: two systems go by one name; or see `searchkit.evaluate.suite.read`.
        UnknownName: see there.
    """
    table = dict(study.evaluation)
    given, variants = table.get("system", []), table.get("variants", {})
    # What is no list of tables, or no table, is refused with the rest of the suite.
    if isinstance(given, list) and all(isinstance(row, dict) for row in given):
        others = [row for row in given if "hybrid" not in row]
        table["system"] = [*others, *_of_rows(study, weights), *_hybrids(study)]
    if isinstance(variants, dict):
        base = study.rows[0].variant
        table["variants"] = {"base": base.base, "max_tokens": base.max_tokens, **variants}
    suite = of_table(table, study.path, variables=study.variables)
    suite = replace(suite, allow_untrained=study.untrained)
    _refuse_shared_names(study, suite)
    return suite


def origins(study: Study) -> dict[str, Origin]:
    """By system, those that are of a seed: trainings, hybrids with one, and first poolings."""
    found = {row.system(seed): Origin(row.name, seed) for seed in study.seeds for row in study.rows}
    for row in study.evaluation.get("system", []):
        if "hybrid" in row and (trained := _trained_in(row, study)):
            for seed in study.seeds:
                found[_named(row, trained, seed)] = Origin(_named(row, trained, None), seed)
    for row in study.rows if study.untrained else ():
        found |= {system: Origin(row.untrained, seed) for seed, system in _heads(study, row)}
    return found


def untrained(study: Study) -> dict[str, str]:
    """By row, what the same design is called untrained: one system, or several seeds together."""
    return {row.name: row.untrained for row in study.rows} if study.untrained else {}


def _refuse_shared_names(study: Study, suite: Suite) -> None:
    """All seeds of a design become one system, and no other may go by the name that it then has."""
    designs = dict.fromkeys(origin.design for origin in origins(study).values())
    if shared := [name for name in designs if name in suite.order]:
        raise BadInput(
            f"{study.path}: two systems are called {shared[0]!r}, one of them all seeds of a "
            "design together; give one of them another name"
        )


def _of_rows(study: Study, weights: Path | None) -> list[dict[str, Any]]:
    bare, trained = [], []
    for row in study.rows if study.untrained else ():
        if row.variant.trainable:
            bare += [{**_system(row, name), "seed": seed} for seed, name in _heads(study, row)]
        else:
            bare.append(_system(row, row.untrained))
    for row in study.rows:
        for seed in study.seeds:
            system = row.system(seed)
            folder = {"weights": str((weights / system).resolve())} if weights else {}
            # A stand-in has no pooling weights either, and nobody encodes with it.
            trained.append({**_system(row, system), "seed": seed, **folder})
    return [*bare, *trained]


def _heads(study: Study, row: Row) -> list[tuple[int, str]]:
    """Seeds, and what a row is called with the pooling weights that its training begins with."""
    return [(seed, f"{row.untrained}-{seed}") for seed in study.seeds if row.variant.trainable]


def _system(row: Row, name: str) -> dict[str, Any]:
    fields = {key: value for key, value in row.variant.to_row().items() if key not in _BY_THE_SUITE}
    return {"variant": row.variant.design, "name": name, **fields}


def _hybrids(study: Study) -> list[dict[str, Any]]:
    """Those that the study file names, one a seed where a row takes part."""
    found = []
    for row in study.evaluation.get("system", []):
        if "hybrid" not in row:
            continue
        if not (trained := _trained_in(row, study)):
            found.append(row)
            continue
        for seed in study.seeds:
            name, parts = _named(row, trained, seed), _parts(row, trained, seed)
            found.append({**row, "name": name, "hybrid": parts})
    return found


def _trained_in(row: Mapping[str, Any], study: Study) -> dict[str, Row]:
    """The rows of the study that a hybrid is of; none where it is written as no hybrid is."""
    written = isinstance(row["hybrid"], list) and isinstance(row.get("name", ""), str)
    return {one.name: one for one in study.rows if one.name in row["hybrid"]} if written else {}


def _parts(row: Mapping[str, Any], trained: Mapping[str, Row], seed: int) -> list[str]:
    return [trained[part].system(seed) if part in trained else part for part in row["hybrid"]]


def _named(row: Mapping[str, Any], trained: Mapping[str, Row], seed: int | None) -> str:
    """What a hybrid is called; without a seed, all of its seeds together."""
    if "name" in row:
        return str(row["name"]) if seed is None else f"{row['name']}-{seed}"
    return hybrid_name(row["hybrid"] if seed is None else _parts(row, trained, seed))
