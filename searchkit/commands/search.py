"""searchkit search: queries to ranked documents."""

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from searchkit.commands import _options as options
from searchkit.errors import BadInput, SearchkitError
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
    judge: Annotated[
        bool,
        typer.Option(
            "--judge", help="Ask which of those shown are relevant; eval --index makes use of it."
        ),
    ] = False,
    device: options.DeviceOption = None,
) -> None:
    """Rank the documents of an index against a query.

    Examples:
      searchkit search "how do I clean the autoclave" --index handbook

      searchkit search --queries topics.tsv -i handbook -k 100 -o trec > run.txt
    """
    from searchkit.search.retrieve import open_retriever

    if judge and (query == "-" or output is not Output.table):
        raise BadInput("--judge asks on the terminal, below a table; leave out -o and - for stdin")
    asked = _queries(query, queries)
    retriever = open_retriever(
        options.index_path(index),
        mode.value if mode else None,
        variant=variant,
        vector_index=vector_index,
        device=device,
        say=lambda line: typer.echo(f"note: {line}", err=True),
    )
    if judge:
        _judge(retriever, asked, k)
    else:
        _SHOW[output](retriever, asked, retriever.search([one.text for one in asked], k=k))


def _judge(retriever: "Retriever", asked: Sequence[Query], k: int) -> None:
    """Show a ranking, ask about it, keep the answers, and so on; the end of the input ends it."""
    from searchkit.search.judging import ask, ledger_of

    ledger = ledger_of(retriever.store.path.resolve().name)
    ended = False

    def read(prompt: str) -> str:
        nonlocal ended
        try:
            return input(f"\n{prompt}")
        except EOFError:
            ended = True
            typer.echo()  # the line of the prompt ends, too
            raise
        except UnicodeDecodeError as error:  # no BadInput, after which it would be asked again
            raise SearchkitError(_not_utf8(error)) from error

    for query in asked:
        (ranking,) = retriever.search([query.text], k=k)
        _show_ranking(retriever, query, ranking, named=len(asked) > 1)
        answers = ask(ranking, read)
        for doc_id, grade in answers:
            ledger.add(query.text, doc_id, grade)
        if answers:
            typer.echo(f"note: judgements kept in {ledger.path}: {len(answers)}", err=True)
        if ended:
            return


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
        raise BadInput(_not_utf8(error)) from error


def _not_utf8(error: UnicodeDecodeError) -> str:
    return (
        f"standard input has the byte 0x{error.object[error.start]:02x}, which is not UTF-8; "
        "convert it, for example with iconv -f latin1 -t utf-8"
    )


def _table(
    retriever: "Retriever", asked: Sequence[Query], rankings: Sequence[Sequence[Hit]]
) -> None:
    for query, ranking in zip(asked, rankings, strict=True):
        _show_ranking(retriever, query, ranking, named=len(asked) > 1)


def _show_ranking(
    retriever: "Retriever", query: Query, ranking: Sequence[Hit], *, named: bool
) -> None:
    """Rank, title, id and score of each hit, and what of its text the query asks for."""
    from rich.padding import Padding
    from rich.text import Text

    from searchkit.commands._terminal import results
    from searchkit.search.snippets import snippet

    if named:
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
