"""Rows of table-like sets: a folder with a file for each split, or a data set of a hub.

A folder holds `test.tsv`, `test.csv` or `test.jsonl`, each of which may be gzip with `.gz` after
its name, or Parquet as hubs lay it out: `test.parquet`, `data/test-00000-of-00001.parquet` and its
like, or any `*.parquet` in a folder `test`. TSV has a header and no quoting; CSV has a header and
the quoting of RFC 4180. Both hold strings alone: "NA", "007" and "null" are what they are.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from searchkit.corpus.cells import Row
from searchkit.corpus.lines import Line, all_lines, json_object, lines, shown
from searchkit.corpus.published import hub, hub_rows, hub_splits, parquet_rows
from searchkit.errors import BadInput

_TABLE = re.compile(r"(?P<split>[^.].*?)\.((tsv|csv|jsonl)(\.gz)?|parquet)")
_SHARD = re.compile(r"(?P<split>[^.].*)-\d{5}-of-(?P<count>\d{5})\.parquet")
_LARGEST_FIELD = 2**31 - 1  # characters; the csv module's own limit is 131,072


def name_of(source: str | Path) -> str:
    """What tables call a source: the name of its folder, or of the data set of a hub."""
    there = hub(source)
    return there.name if there else Path(source).resolve().name


def splits(source: str | Path) -> list[str]:
    """The splits of a source, in alphabetical order.

    Raises:
        BadInput: there is no such folder, it holds no table, or the hub has no such data set.
    """
    if there := hub(source):
        return hub_splits(there)
    found = sorted(_files(Path(source)))
    if not found:
        raise BadInput(
            f"{source} holds no tables; a split is a file there such as test.tsv, test.jsonl.gz, "
            "test.csv or data/test-00000-of-00001.parquet"
        )
    return found


def rows(source: str | Path, split: str) -> Iterator[Row]:
    """The rows of a split in order, checked as they pass; whoever reads them checks the cells.

    Raises:
        BadInput: no such source or split, two files for the split, or a malformed row.
    """
    known = splits(source)
    if split not in known:
        raise BadInput(f"{source} has no split {split!r}; there are: {', '.join(known)}")
    if there := hub(source):
        yield from hub_rows(there, split)
        return
    for path in _files_of(Path(source), split):
        match path.name.removesuffix(".gz").rpartition(".")[2]:
            case "tsv":
                yield from _with_header(path, _tsv(path))
            case "csv":
                yield from _with_header(path, _csv(path))
            case "jsonl":
                for line in lines(path):
                    yield Row(_place(line), json_object(line))
            case _:
                yield from parquet_rows(path)


def _files(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """By split, and by what their names have in common, the files that may hold it, in order."""
    if not folder.is_dir():
        kind = "is a file" if folder.exists() else "does not exist"
        raise BadInput(
            f"{folder} {kind}; a set is a folder with a file for each split, or "
            "hub:<owner>/<name>@<commit>"
        )
    found: dict[str, dict[str, list[Path]]] = {}

    def add(split: str, pattern: str, path: Path) -> None:
        found.setdefault(split, {}).setdefault(pattern, []).append(path)

    data = folder / "data"
    for path in sorted({*folder.glob("*"), *data.glob("*"), *folder.glob("*/*.parquet")}):
        place = path.relative_to(folder).parent
        if path.suffix == ".parquet" and path.parent not in (folder, data):
            add(path.parent.name, f"{place}/*.parquet", path)
        elif shard := _SHARD.fullmatch(path.name):
            add(shard["split"], str(place / f"{shard['split']}-*-of-{shard['count']}"), path)
        elif table := _TABLE.fullmatch(path.name):
            add(table["split"], str(place / path.name), path)
    return found


def _files_of(folder: Path, split: str) -> list[Path]:
    """The one file of a split, or all its shards in order."""
    patterns = _files(folder)[split]
    if len(patterns) > 1:
        raise BadInput(
            f"{folder} has split {split!r} as {' and as '.join(patterns)}; delete all but one"
        )
    (paths,) = patterns.values()
    counts = {int(shard["count"]) for path in paths if (shard := _SHARD.fullmatch(path.name))}
    if counts and counts != {len(paths)}:
        raise BadInput(
            f"{folder} has {len(paths)} of the {max(counts)} files of split {split!r}; copy it "
            "again"
        )
    return paths


def _tsv(path: Path) -> Iterator[tuple[Line, list[str]]]:
    for line in all_lines(path):
        if line.text:
            yield line, line.text.split("\t")


def _csv(path: Path) -> Iterator[tuple[Line, list[str]]]:
    """The records of a CSV file, each with the line on which it begins.

    Python's reader, not the one of pandas that `datasets` would use: that one takes a field too
    many for the name of the row and shifts the others, and fills up a row of too few.
    """
    csv.field_size_limit(_LARGEST_FIELD)
    reader = csv.reader((f"{line.text}\n" for line in all_lines(path)), strict=True)
    begin = 1
    try:
        for record in reader:
            if record:
                yield Line(str(path), begin, ",".join(record)), record
            begin = reader.line_num + 1
    except csv.Error as error:
        raise BadInput(
            f"{path}:{begin}: not CSV ({error}); quote a text with commas, quotes or line ends, "
            'and write " in it as ""'
        ) from error


def _with_header(path: Path, records: Iterator[tuple[Line, list[str]]]) -> Iterator[Row]:
    line, header = next(records, (None, []))
    if line is None:
        raise BadInput(f"{path} is empty; its first line names the columns")
    if len(set(header)) < len(header):
        raise line.wrong(f"a column comes twice in {shown(line.text)}; give each its own name")
    for line, record in records:
        if len(record) != len(header):
            raise line.wrong(
                f"{len(record)} columns where the header has {len(header)} ({', '.join(header)}): "
                f"found {shown(line.text)}; a text holds no tab and, in CSV, no comma unquoted"
            )
        yield Row(_place(line), dict(zip(header, record, strict=True)))


def _place(line: Line) -> str:
    return f"{line.source}:{line.number}"
