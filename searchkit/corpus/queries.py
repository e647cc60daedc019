"""Files of queries: JSON lines, `id<TAB>text`, TREC topics, or one query a line."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from searchkit.corpus import trec
from searchkit.corpus.lines import Line, identifier, json_object, lines, lines_of, shown, string
from searchkit.errors import BadInput
from searchkit.records import Query

_STANDARD_INPUT = "standard input"


def read_queries(source: Path | str) -> tuple[Query, ...]:
    """The queries of a file, or of a text such as what standard input held.

    The name decides where it ends in `.jsonl` or `.tsv`, with or without `.gz`; else the first line
    does: `{` begins JSON lines, `<top>` topics, a tab separates `id<TAB>text`, and anything else is
    one query a line, whose id is its line number: "1", "2", ...

    Args:
        source: a path to read, or a string that is itself the queries.

    Raises:
        BadInput: no query at all, one without text, or a line that is not what the format asks for.
    """
    name = str(source) if isinstance(source, Path) else _STANDARD_INPUT
    queries = []
    for line, query in numbered_queries(source):
        if not query.text.strip():
            raise line.wrong(f"query {query.query_id!r} has no text; write it or delete the line")
        queries.append(query)
    if not queries:
        raise BadInput(f"{name} holds no queries; write one a line")
    return tuple(queries)


def numbered_queries(source: Path | str) -> Iterator[tuple[Line, Query]]:
    """The queries of `read_queries`, each with its line; those without text are among them.

    Raises:
        BadInput: two queries have the same id, or a line is not what the format asks for.
    """
    if isinstance(source, Path):
        name, content = source.name.removesuffix(".gz"), lines(source)
    else:
        name, content = "", lines_of(source, _STANDARD_INPUT)
    first = next(content, None)
    if first is None:
        return
    content = chain([first], content)
    if name.endswith((".jsonl", ".json")) or (
        not name.endswith(".tsv") and first.text.lstrip().startswith("{")
    ):
        queries = _of_json(content)
    elif not name.endswith(".tsv") and first.text.lstrip().lower().startswith("<top>"):
        queries = trec.topics(content)
    elif name.endswith(".tsv") or "\t" in first.text:
        queries = _of_columns(content)
    else:
        queries = ((line, Query(str(line.number), line.text.strip())) for line in content)
    yield from _distinct(queries)


def _of_json(content: Iterable[Line]) -> Iterator[tuple[Line, Query]]:
    for line in content:
        record = json_object(line)
        query_id, text = identifier(line, record), string(line, record, "text")
        yield line, Query(query_id, text, _metadata(record))


def _metadata(record: dict[str, Any]) -> dict[str, str]:
    """What a query has beside id and text: other fields and those of `metadata`, as strings."""
    nested = record.get("metadata")
    found = {key: value for key, value in record.items() if key not in ("_id", "text", "metadata")}
    found |= nested if isinstance(nested, dict) else {}
    return {
        key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for key, value in found.items()
    }


def _of_columns(content: Iterable[Line]) -> Iterator[tuple[Line, Query]]:
    for line in content:
        query_id, tab, text = line.text.partition("\t")
        if not tab or not query_id.strip():
            raise line.wrong(f"found {shown(line.text)}; a line is: id, tab, text")
        yield line, Query(query_id.strip(), text.strip())


def _distinct(queries: Iterable[tuple[Line, Query]]) -> Iterator[tuple[Line, Query]]:
    first: dict[str, int] = {}
    for line, query in queries:
        before = first.setdefault(query.query_id, line.number)
        if before != line.number:
            raise line.wrong(
                f"the query id {query.query_id!r} was already used on line {before}; "
                "give each query an id of its own"
            )
        yield line, query
