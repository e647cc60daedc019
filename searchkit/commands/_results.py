"""Results of a search on standard output: for people, for programs, for pipes.

Every form has a way to say that nothing was found; the exit code is 0 then, too.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from searchkit.commands._streams import plain
from searchkit.records import Hit, Query

if TYPE_CHECKING:
    from rich.text import Text

    from searchkit.search.live.passages import Listed, Passage
    from searchkit.search.reranking import Placed
    from searchkit.search.retrieve import Retriever


class Output(StrEnum):
    """How to write a result."""

    table = "table"
    json = "json"
    jsonl = "jsonl"
    paths = "paths"
    markdown = "markdown"
    trec = "trec"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One place of a result, as it is written.

    Attributes:
        hit: the document, its rank and score.
        title: and the headings above the passage; empty where there are none.
        place: where it is: `docs/a.md:12`, `b.pdf#page=3`; the id of a document of a collection.
        url: leads there; empty for a document of a collection.
        path: as a pipe wants it; the id of a document of a collection.
        snippet: the part that matches best, on one line.
        marks: the [start, end) of words of the query in the snippet.
        more: further fields of JSON.
        why: which list gave what, one line each.
    """

    hit: Hit
    title: str
    place: str
    url: str = ""
    path: str
    snippet: str
    marks: Sequence[tuple[int, int]]
    more: Mapping[str, Any] = field(default_factory=dict)
    why: Sequence[str] = ()


Rankings = Sequence[tuple[Query, Sequence[Shown]]]
"""What was asked, and what was found."""


def of_collection(retriever: "Retriever", query: Query, hits: Sequence[Hit]) -> list[Shown]:
    """Documents of a collection."""
    from searchkit.search.snippets import snippet

    found = []
    for hit in hits:
        document = retriever.document(hit.doc_id)
        text, marks = snippet(document.text, query.text, retriever.analyse)
        found.append(
            Shown(
                hit=hit,
                title=document.title,
                place=hit.doc_id,
                path=hit.doc_id,
                snippet=text,
                marks=marks,
            )
        )
    return found


def of_folder(passages: "Sequence[Passage]", *, explain: bool) -> list[Shown]:
    """Passages of documents in folders."""
    from searchkit.search.live.passages import excerpt

    found = []
    for passage in passages:
        text, marks = excerpt(passage)
        path = near(passage.path)
        where, fragment = "", ""
        if passage.line is not None:
            where = f":{passage.line}"
        elif passage.page is not None:
            where = fragment = f"#page={passage.page}"
        lists = [
            {"name": one.name, "rank": one.rank, "score": one.score, "share": one.share}
            for one in passage.lists
        ]
        headings = dict.fromkeys(one for one in (passage.title, *passage.headings) if one)
        found.append(
            Shown(
                hit=Hit(passage.doc_id, passage.score, passage.rank),
                title=" › ".join(headings),
                place=f"{path}{where}",
                url=f"{passage.path.as_uri()}{fragment}",
                path=path,
                snippet=text,
                marks=marks,
                more={
                    "path": str(passage.path),
                    "format": passage.format,
                    "language": passage.language,
                    "headings": passage.headings,
                    "page": passage.page,
                    "line": passage.line,
                    "lines": [passage.first_line, passage.last_line],
                    "start": passage.start,
                    "end": passage.end,
                    "text": passage.text,
                    **({"lists": lists} if explain else {}),
                },
                why=[_why(one, passage.score) for one in passage.lists] if explain else (),
            )
        )
    return found


def explained(found: Sequence[Shown], placed: "Sequence[Placed[Any]]", name: str) -> list[Shown]:
    """Results with what a reranker made of each.

    Args:
        found: what is shown, in the new order.
        placed: the same places.
        name: of the reranker.
    """
    shown = []
    for one, place in zip(found, placed, strict=True):
        told = "not read" if place.reranked is None else f"score {place.reranked:.4f}"
        before = f"rank {place.rank_before} and score {place.score_before:.4f} before"
        row = {
            "reranker": name,
            "score": place.reranked,
            "rank_before": place.rank_before,
            "score_before": place.score_before,
        }
        more = {**one.more, "reranked": row}
        shown.append(replace(one, more=more, why=[f"{name}: {told}; {before}", *one.why]))
    return shown


def _why(listed: "Listed", score: float) -> str:
    gives = f", gives {listed.share:.4f}" if listed.share != score else ""
    return f"{listed.name}: rank {listed.rank}, score {listed.score:.4f}{gives}"


def show(rankings: Rankings, output: Output, tag: str) -> None:
    """Write the results of one query or of several.

    Args:
        rankings: in the order in which they are to be shown.
        output: the form.
        tag: the name of the system, for TREC.
    """
    _SHOW[output](rankings, tag)


def show_table(query: Query, found: Sequence[Shown], *, named: bool) -> None:
    """Rank, title, place and score of each hit, and what of its text the query asks for."""
    from rich.padding import Padding

    from searchkit.commands._terminal import results

    if named:
        results.print(one_line(f"{query.query_id}  {query.text}", "bold underline"))
    if not found:
        results.print("nothing found")
    for one in found:
        # A place stays on its line, however long, so that a terminal can open it.
        results.print(_head(one), soft_wrap=bool(one.url))
        text = one_line(one.snippet)
        for start, end in one.marks:
            text.stylize("bold reverse" if results.no_color else "bold green", start, end)
        if one.snippet:
            results.print(Padding(text, (0, 0, 0, 5)))
        for line in one.why:
            results.print(Padding(one_line(line, "dim"), (0, 0, 0, 5)))


def _head(one: Shown) -> "Text":
    from rich.text import Text

    return Text.assemble(
        f"{one.hit.rank:>3}  ",
        one_line(one.title or one.place, "bold" if one.title else linked("bold", one.url)),
        one_line(f"  {one.place}" if one.title else "", linked("dim", one.url)),
        (f"  {one.hit.score:.4f}", "dim"),
    )


def linked(style: str, url: str) -> str:
    return f"{style} link {url}" if url else style


def one_line(text: str, style: str = "") -> "Text":
    """A text for the terminal, on one line and character by character."""
    from rich.text import Text

    return Text(plain(text), style)


def near(path: Path) -> str:
    """A path from here if it lies below, else the whole of it: an editor opens both."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


def _table(rankings: Rankings, tag: str) -> None:
    for query, found in rankings:
        show_table(query, found, named=len(rankings) > 1)


def _records(rankings: Rankings) -> list[dict[str, Any]]:
    return [
        {
            "query_id": query.query_id,
            "rank": one.hit.rank,
            "doc_id": one.hit.doc_id,
            "score": one.hit.score,
            "title": one.title,
            "snippet": one.snippet,
            "marks": one.marks,
            **one.more,
        }
        for query, found in rankings
        for one in found
    ]


def _json(rankings: Rankings, tag: str) -> None:
    _write(json.dumps(_records(rankings), ensure_ascii=False, indent=1) + "\n")


def _jsonl(rankings: Rankings, tag: str) -> None:
    for record in _records(rankings):
        _write(json.dumps(record, ensure_ascii=False) + "\n")


def _paths(rankings: Rankings, tag: str) -> None:
    """Each file once, as often as queries find it."""
    for _, found in rankings:
        for path in dict.fromkeys(one.path for one in found):
            _write(f"{path}\n")


def _markdown(rankings: Rankings, tag: str) -> None:
    from searchkit.evaluate.markdown import code, escaped

    for number, (query, found) in enumerate(rankings):
        if len(rankings) > 1:
            _write(f"{'' if number == 0 else chr(10)}## {escaped(query.text)}\n\n")
        if not found:
            _write("Nothing found.\n")
        for one in found:
            name = escaped(one.title) or code(one.place)
            place = code(one.place) if one.title else ""
            head = f"[{name}](<{one.url}>)" if one.url else name
            _write(f"{one.hit.rank}. {' '.join(part for part in (head, place) if part)}\n")
            if one.snippet:
                _write(f"   > {_emphasised(one, escaped)}\n")
            for line in one.why:
                _write(f"   - {escaped(line)}\n")


def _emphasised(one: Shown, escaped: Callable[[str], str]) -> str:
    """A snippet in Markdown, with its marks in bold."""
    parts, place = [], 0
    for start, end in one.marks:
        parts += [one.snippet[place:start], f"**{escaped(one.snippet[start:end])}**"]
        place = end
    parts.append(one.snippet[place:])
    # `escaped` takes the spaces at the ends of what lies between two marks.
    return "".join(
        part if number % 2 else _inner(part, escaped) for number, part in enumerate(parts)
    )


def _inner(text: str, escaped: Callable[[str], str]) -> str:
    before = text[: len(text) - len(text.lstrip())]
    after = text[len(text.rstrip()) :] if text.strip() else ""
    return f"{before}{escaped(text)}{after}"


def _trec(rankings: Rankings, tag: str) -> None:
    from searchkit.evaluate.runs import run_lines, word

    # Names of files may have spaces, and a column ends at one; ids of a collection are as they are.
    run = {
        query.query_id: [
            replace(one.hit, doc_id=word(one.hit.doc_id))
            if one.url and len(one.hit.doc_id.split()) > 1
            else one.hit
            for one in found
        ]
        for query, found in rankings
    }
    _write("".join(run_lines(run, tag)))


def _write(text: str) -> None:
    typer.echo(text, nl=False)


_SHOW: dict[Output, Callable[[Rankings, str], None]] = {
    Output.table: _table,
    Output.json: _json,
    Output.jsonl: _jsonl,
    Output.paths: _paths,
    Output.markdown: _markdown,
    Output.trec: _trec,
}
