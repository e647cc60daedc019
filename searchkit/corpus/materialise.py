"""Retrieval collections out of Parquet or a hub, written once in BEIR's layout.

Such a collection is in three parts: documents in `corpus`, queries in `queries`, and judgements,
a split each, in `qrels` or `default`. A part is a configuration on a hub; in a folder, its files
are found as in `tables`, and judgements may also be the splits beside the other two.

Source: https://huggingface.co/datasets/mteb/scifact for the layout.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from searchkit import files
from searchkit.corpus import cells
from searchkit.corpus.cells import Row
from searchkit.corpus.lines import string
from searchkit.corpus.published import Hub, hub, hub_configs, hub_rows, hub_splits
from searchkit.corpus.tables import rows, splits
from searchkit.errors import BadInput

_ORIGIN = "source.json"


def materialise(source: str | Path, folder: Path) -> Path:
    """The collection at a source as files for `open_collection`, written if they are not there.

    Args:
        source: a folder with Parquet files, or a hub's data set without a configuration.
        folder: where the files belong; it remembers its source. Its parent need not exist.

    Returns:
        `folder`.

    Raises:
        BadInput: the source lacks a part or a row of it is malformed, or the folder holds
            something else.
    """
    origin = _origin(source)
    if folder.exists():
        remembered = folder / _ORIGIN
        if not remembered.is_file() or json.loads(remembered.read_text("utf-8")) != origin:
            raise BadInput(
                f"{folder} exists and was not written from {source} as that is now; delete it, or "
                "name another folder"
            )
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    target = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
    try:
        _write(_parts(source), target)
        files.write_text(target / _ORIGIN, json.dumps(origin, indent=1) + "\n")
        target.chmod(0o755)
        files.sync_tree(target)
        try:
            target.rename(folder)
        except OSError:
            if not folder.exists():  # another process may have been quicker; its files are the same
                raise
    finally:
        shutil.rmtree(target, ignore_errors=True)
    return folder


def _origin(source: str | Path) -> dict[str, str]:
    """What tells one content of a source from another: a commit, or hashes of files."""
    if pinned := hub(source):
        return {"hub": str(pinned)}
    found = sorted(Path(source).rglob("*.parquet"))
    return {path.relative_to(source).as_posix(): files.blake3_of(path) for path in found}


def _write(parts: "_Parts", target: Path) -> None:
    with (target / "corpus.jsonl").open("w", encoding="utf-8") as corpus:
        for row in parts.corpus:
            record = {"_id": _id(row), "title": _text(row, "title"), "text": _text(row, "text")}
            corpus.write(json.dumps(record, ensure_ascii=False) + "\n")
    with (target / "queries.jsonl").open("w", encoding="utf-8") as queries:
        for row in parts.queries:
            record = {"_id": _id(row), "text": _text(row, "text")}
            queries.write(json.dumps(record, ensure_ascii=False) + "\n")
    (target / "qrels").mkdir()
    for split, judged in parts.judgements.items():
        with (target / "qrels" / f"{split}.tsv").open("w", encoding="utf-8") as qrels:
            qrels.write("query-id\tcorpus-id\tscore\n")
            for row in judged:
                query_id, doc_id = (cells.identifier(row, f"{of}-id") for of in ("query", "corpus"))
                qrels.write(f"{query_id}\t{doc_id}\t{_grade(row)}\n")


@dataclass(frozen=True, slots=True)
class _Parts:
    """The rows of a collection, not read yet."""

    corpus: Iterator[Row]
    queries: Iterator[Row]
    judgements: Mapping[str, Iterator[Row]]  # by split


def _parts(source: str | Path) -> _Parts:
    pinned = hub(source)
    parts = hub_configs(pinned) if pinned else splits(source)
    if missing := {"corpus", "queries"} - set(parts):
        raise BadInput(
            f"{source} has no {' and no '.join(sorted(missing))}; a retrieval collection has "
            f"corpus, queries and judgements, and this has: {', '.join(parts)}"
        )
    if pinned:
        judgements = replace(pinned, config="qrels" if "qrels" in parts else "default")
        return _Parts(
            _all_rows(replace(pinned, config="corpus")),
            _all_rows(replace(pinned, config="queries")),
            {split: hub_rows(judgements, split) for split in hub_splits(judgements)},
        )
    folder = Path(source)
    home = next(
        (folder / name for name in ("qrels", "default") if (folder / name).is_dir()), folder
    )
    judged = [split for split in splits(home) if split not in ("corpus", "queries")]
    if not judged:
        raise BadInput(f"{folder} has no judgements; they belong in {folder}/qrels/test.parquet")
    return _Parts(
        rows(folder, "corpus"),
        rows(folder, "queries"),
        {split: rows(home, split) for split in judged},
    )


def _all_rows(part: Hub) -> Iterator[Row]:
    for split in hub_splits(part):
        yield from hub_rows(part, split)


def _id(row: Row) -> str:
    return cells.identifier(row, "_id", "id")


def _text(row: Row, name: str) -> str:
    """The string of a column, empty where there is none."""
    return "" if row.values.get(name) is None else string(row, row.values, name)


def _grade(row: Row) -> int:
    score = cells.number(row, "score")
    if score != int(score):
        raise row.wrong(f"'score' is {score}; a grade is a whole number such as 0, 1 or 2")
    return int(score)
