"""What an evaluation leaves behind: scores per item, and where every number comes from.

A folder of plain files, from which every table, plot and page is drawn without a model:

    scores.csv            set, system, measure, item, value
    provenance.json       sets, systems, settings, versions, command
    runs/<set>/*.trec     rankings, of sets that have them
    explorer/<set>.json   queries, the top of each ranking, and the documents in it
"""

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from searchkit.corpus.lines import shown
from searchkit.errors import BadInput
from searchkit.files import write_text

_COLUMNS = ["set", "system", "measure", "item", "value"]

Scores = Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]
"""A value for each set, system, measure and item, nested in this order.

The mean over items is the measure. An item is what systems are paired by: a query, a pair of
sentences, a text, or one resampling of a set.
"""


@dataclass(frozen=True, kw_only=True)
class SetFacts:
    """One evaluated set.

    Attributes:
        name: what tables call it.
        task: a choice of evaluate/tasks; sets of one task are a family.
        split: which of its splits was judged.
        item: what a score belongs to, in the singular: "query", "pair", "text", "experiment".
        items: how many there are.
        measures: by which it was measured, the main one first.
        fingerprint: of texts and judgements, 64 hexadecimal digits.
        notes: what a reader of the scores should know, one line each; warnings among them.
        judged_at_10: by system, the share of judged documents among each query's first ten; of
            queries for which it found any.
        part_of: the set whose queries these are some of; None for a set of its own.
    """

    name: str
    task: str
    split: str
    item: str
    items: int
    measures: Sequence[str]
    fingerprint: str
    notes: Sequence[str] = ()
    judged_at_10: Mapping[str, float] = field(default_factory=dict)
    part_of: str | None = None


@dataclass(frozen=True, kw_only=True)
class SystemFacts:
    """One system that was evaluated.

    Attributes:
        name: what tables call it.
        kind: "bm25", "variant", "reference", "hybrid", "reranked" or "run".
        design: the same for systems that differ in their seed alone; else the name.
        seed: of its training, where it had any.
        trained: whether somebody trained it to embed; None where the question makes no sense.
        tokens_per_s: at which it encoded on the machine of the evaluation; None if it encodes
            nothing, or all vectors were there already.
        bytes_per_text: what it keeps of a text, as uncompressed float32 vectors; None as above.
        details: its row, hashes, arithmetic and parameters; JSON.
    """

    name: str
    kind: str
    design: str
    seed: int | None = None
    trained: bool | None = None
    tokens_per_s: float | None = None
    bytes_per_text: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ExplorerSet:
    """What a reader needs to look into the queries of one set.

    Attributes:
        queries: text by query id.
        judged: grade by query id and document id.
        tops: by system and query id, the ids of the first ten documents.
        documents: by id, (title, beginning of the text) of every document in a top.
    """

    queries: Mapping[str, str]
    judged: Mapping[str, Mapping[str, int]]
    tops: Mapping[str, Mapping[str, Sequence[str]]]
    documents: Mapping[str, tuple[str, str]]


@dataclass(frozen=True, kw_only=True)
class Results:
    """An evaluation that was saved.

    Attributes:
        scores: see `Scores`; sets and systems in the order of the evaluation.
        sets, systems: by name, in the same order.
        baseline: the system that tables compare with. A set in which it takes no part, as bm25 in
            semantic similarity, is compared with its first system.
        resamples, seed: of bootstrap and permutation tests.
        command: what was typed.
        versions: by package.
        explorer: by set, of those that rank documents.
    """

    scores: Scores
    sets: Mapping[str, SetFacts]
    systems: Mapping[str, SystemFacts]
    baseline: str
    resamples: int
    seed: int
    command: str
    versions: Mapping[str, str]
    explorer: Mapping[str, ExplorerSet] = field(default_factory=dict)


def save(folder: Path, results: Results) -> None:
    """Write results, each file atomically; provenance comes last, so its presence says "whole".

    Raises:
        ValueError: a score is not finite.
    """
    (folder / "provenance.json").unlink(missing_ok=True)  # of an earlier evaluation
    for name, one in results.explorer.items():
        text = json.dumps(asdict(one), ensure_ascii=False, separators=(",", ":"))
        write_text(_explorer_file(folder, name), text + "\n")
    write_scores(folder / "scores.csv", results.scores)
    provenance = {
        "command": results.command,
        "versions": dict(results.versions),
        "baseline": results.baseline,
        "resamples": results.resamples,
        "seed": results.seed,
        "sets": {name: asdict(one) for name, one in results.sets.items()},
        "systems": {name: asdict(one) for name, one in results.systems.items()},
        "explorer": list(results.explorer),
    }
    text = json.dumps(provenance, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / "provenance.json", text + "\n")


def load(folder: Path) -> Results:
    """Read what `save` wrote.

    Raises:
        BadInput: the folder holds no results, or a file of them is not what was written.
    """
    path = folder / "provenance.json"
    provenance = _json(path)
    with _as_written(path):
        sets = {name: _set_facts(one) for name, one in provenance.pop("sets").items()}
        systems = {name: SystemFacts(**one) for name, one in provenance.pop("systems").items()}
        results = Results(
            scores=read_scores(folder / "scores.csv"),
            sets=sets,
            systems=systems,
            explorer={
                name: _explorer(_explorer_file(folder, name)) for name in provenance.pop("explorer")
            },
            **provenance,
        )
        if results.baseline not in systems:
            raise ValueError(f"its baseline is {results.baseline!r}, which is no system of it")
    _check_whole(folder, results)
    return results


def write_scores(path: Path, scores: Scores) -> None:
    """Write scores as CSV, one value a line, in the order given and in full precision, atomically.

    Raises:
        ValueError: a value is not finite.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")  # floats are written by repr: all their digits
    quoting = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(_COLUMNS)
    for row in _flat(scores):
        # The other one leaves it bare, and then it ends a line.
        (quoting if any("\r" in str(cell) for cell in row) else writer).writerow(row)
    write_text(path, text.getvalue())


def read_scores(path: Path) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """Read what `write_scores` wrote, in the order of its lines.

    Raises:
        BadInput: the file cannot be read, or has other columns, a value that is not a finite
            number, or two values for one item.
    """
    scores: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            if next(reader, None) != _COLUMNS:
                raise BadInput(f"{path}:1: the columns must be {','.join(_COLUMNS)}")
            for columns in reader:
                where = f"{path}:{reader.line_num}"
                if len(columns) != len(_COLUMNS):
                    raise BadInput(
                        f"{where}: {len(columns)} columns, not {len(_COLUMNS)}: {shown(columns)}"
                    )
                name, system, measure, item, text = columns
                values = scores.setdefault(name, {}).setdefault(system, {}).setdefault(measure, {})
                if item in values:
                    raise BadInput(
                        f"{where}: a second {measure} of {system} for {item!r} of {name}; keep one "
                        "of the two"
                    )
                values[item] = _finite(where, text)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"cannot read scores from {path}: {error}") from error
    return scores


def _explorer_file(folder: Path, name: str) -> Path:
    return folder / "explorer" / f"{quote(name, safe='')}.json"


@contextmanager
def _as_written(path: Path) -> Iterator[None]:
    """Whatever is missing from a file, or of another type, is an error that names the file."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise BadInput(
            f"{path} is not what this version writes ({error}); run searchkit eval again"
        ) from error


def _set_facts(row: Mapping[str, Any]) -> SetFacts:
    facts = SetFacts(**row)
    return replace(facts, measures=tuple(facts.measures), notes=tuple(facts.notes))


def _explorer(path: Path) -> ExplorerSet:
    fields = _json(path)
    with _as_written(path):
        explored = ExplorerSet(**fields)
        documents = {
            doc_id: (str(title), str(text)) for doc_id, (title, text) in explored.documents.items()
        }
    return replace(explored, documents=documents)


def _check_whole(folder: Path, results: Results) -> None:
    """Scores and provenance of two evaluations would say what neither of them found.

    Raises:
        BadInput: they have other sets, systems or measures.
    """
    if results.scores.keys() != results.sets.keys():
        differing = min(results.scores.keys() ^ results.sets.keys())
        raise BadInput(
            f"{folder}: scores.csv and provenance.json are of two evaluations: only one of them "
            f"has the set {differing!r}; run searchkit eval again"
        )
    for name, systems in results.scores.items():
        for system, measures in systems.items():
            if system not in results.systems or {*measures} != {*results.sets[name].measures}:
                raise BadInput(
                    f"{folder}: scores.csv has {system!r} on {name!r} by {', '.join(measures)}, "
                    "and provenance.json has not; run searchkit eval again"
                )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(
            f"cannot read {path} ({error}); results are what searchkit eval --output or searchkit "
            "study run wrote"
        ) from error


def _flat(scores: Scores) -> Iterator[list[object]]:
    for name, systems in scores.items():
        for system, measures in systems.items():
            for measure, values in measures.items():
                for item, value in values.items():
                    if not math.isfinite(value):
                        raise ValueError(f"{measure} of {system} for {item!r} is {value}")
                    yield [name, system, measure, item, float(value)]


def _finite(where: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise BadInput(f"{where}: the value is {text!r}; it must be a finite number such as 0.73")
    return value
