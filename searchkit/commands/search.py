"""searchkit search: queries to ranked documents."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.commands import _options as options
from searchkit.errors import BadInput
from searchkit.records import Hit, Query

if TYPE_CHECKING:
    from rich.text import Text

    from searchkit.search.retrieve import Retriever


class Output(StrEnum):
    """How to write a result."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    trec = "trec"


def run(
    index: Annotated[
        str,
        typer.Option(
            "--index", "-i", help="The name of an index, or its directory.", show_default=False
        ),
    ],
    query: Annotated[
        str | None,
        typer.Argument(help="What to look for; - reads queries from stdin.", show_default=False),
    ] = None,
    queries: Annotated[
        Path | None,
        typer.Option(
            help="A file of queries: one a line, id<TAB>text, JSON lines or TREC topics.",
            show_default=False,
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many documents to show.")] = 10,
    mode: Annotated[
        options.Mode | None,
        typer.Option(
            help="How to search. [default: hybrid with a trained model's vectors, else dense if "
            "--variant is given, else bm25]",
            show_default=False,
        ),
    ] = None,
    variant: Annotated[
        str | None,
        typer.Option(
            help="Whose vectors to search, if the index holds several.", show_default=False
        ),
    ] = None,
    vector_index: Annotated[str, typer.Option(help="Search through this vector index.")] = "flat",
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to write the result.")
    ] = Output.table,
    device: options.DeviceOption = None,
) -> None:
    """Rank the documents of an index against a query.

    Examples:
      searchkit search "how do I clean the autoclave" --index handbook

      searchkit search --queries topics.tsv -i handbook -k 100 -o trec > run.txt
    """
    from searchkit.search.retrieve import open_retriever

    asked = _queries(query, queries)
    retriever = open_retriever(
        options.index_path(index),
        mode.value if mode else None,
        variant=variant,
        vector_index=vector_index,
        device=device,
        say=lambda line: typer.echo(f"note: {line}", err=True),
    )
    rankings = retriever.search([one.text for one in asked], k=k)
    _SHOW[output](retriever, asked, rankings)


def _queries(query: str | None, file: Path | None) -> Sequence[Query]:
    if (query is None) == (file is None):
        raise BadInput("give one query, or - for those on stdin, or a file with --queries")
    if file is None and query != "-":
        return [Query("1", str(query))]
    from searchkit.corpus.queries import read_queries

    if file:
        return read_queries(file)
    try:
        return read_queries(sys.stdin.read())
    except UnicodeDecodeError as error:
        raise BadInput(
            f"standard input has the byte 0x{error.object[error.start]:02x}, which is not UTF-8; "
            "convert it, for example with iconv -f latin1 -t utf-8"
        ) from error


def _table(
    retriever: "Retriever", asked: Sequence[Query], rankings: Sequence[Sequence[Hit]]
) -> None:
    from rich.padding import Padding
    from rich.text import Text

    from searchkit.commands._terminal import results
    from searchkit.search.snippets import snippet

    for query, ranking in zip(asked, rankings, strict=True):
        if len(asked) > 1:
            results.print(_shown(f"{query.query_id}  {query.text}", "bold underline"))
        if not ranking:
            results.print("nothing found")
        for hit in ranking:
            document = retriever.document(hit.doc_id)
            results.print(
                Text.assemble(
                    f"{hit.rank:>3}  ",
                    _shown(document.title or hit.doc_id, "bold"),
                    _shown(f"  {hit.doc_id}" if document.title else "", "dim"),
                    (f"  {hit.score:.4f}", "dim"),
                )
            )
            text, marks = snippet(document.text, query.text, retriever.analyse)
            shown = _shown(text)
            for start, end in marks:
                shown.stylize("bold reverse" if results.no_color else "bold green", start, end)
            if text:
                results.print(Padding(shown, (0, 0, 0, 5)))


def _shown(text: str, style: str = "") -> "Text":
    """A text for the terminal, character by character; what would command it is replaced."""
    from rich.text import Text

    controls = dict.fromkeys((*range(32), *range(127, 160)), "\N{REPLACEMENT CHARACTER}")
    return Text(text.translate(controls), style)


def _records(
    retriever: "Retriever", asked: Sequence[Query], rankings: Sequence[Sequence[Hit]]
) -> list[dict[str, object]]:
    from searchkit.search.snippets import snippet

    records: list[dict[str, object]] = []
    for query, ranking in zip(asked, rankings, strict=True):
        for hit in ranking:
            document = retriever.document(hit.doc_id)
            text, marks = snippet(document.text, query.text, retriever.analyse)
            records.append(
                {
                    "query_id": query.query_id,
                    "rank": hit.rank,
                    "doc_id": hit.doc_id,
                    "score": hit.score,
                    "title": document.title,
                    "snippet": text,
                    "marks": marks,
                }
            )
    return records


def _json(
    retriever: "Retriever", asked: Sequence[Query], rankings: Sequence[Sequence[Hit]]
) -> None:
    typer.echo(json.dumps(_records(retriever, asked, rankings), ensure_ascii=False, indent=1))


def _jsonl(
    retriever: "Retriever", asked: Sequence[Query], rankings: Sequence[Sequence[Hit]]
) -> None:
    for record in _records(retriever, asked, rankings):
        typer.echo(json.dumps(record, ensure_ascii=False))


def _trec(
    retriever: "Retriever", asked: Sequence[Query], rankings: Sequence[Sequence[Hit]]
) -> None:
    from searchkit.evaluate.runs import run_lines

    tag = retriever.variant or retriever.mode
    run = {query.query_id: ranking for query, ranking in zip(asked, rankings, strict=True)}
    typer.echo("".join(run_lines(run, tag)), nl=False)


_SHOW = {Output.table: _table, Output.json: _json, Output.jsonl: _jsonl, Output.trec: _trec}
