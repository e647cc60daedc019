"""searchkit search: queries to ranked documents."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from searchkit import catalog
from searchkit.commands import _options as options
from searchkit.commands._results import (
    Output,
    Shown,
    explained,
    of_collection,
    of_folder,
    show,
    show_table,
)
from searchkit.commands._streams import say
from searchkit.errors import BadInput, SearchkitError
from searchkit.records import Hit, Judgement, Query

if TYPE_CHECKING:
    from searchkit.index.live.query import Filters
    from searchkit.search.live.retrieve import Searcher
    from searchkit.search.modes import Mode
    from searchkit.search.reranking import Placed, Reranker

_FUSIONS = "searchkit.rank.fusion"


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
            help="A file of queries: one a line, id<TAB>text, JSON lines or TREC topics. They are "
            "read as plain words, without operators.",
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
    vector_index: Annotated[
        str | None,
        typer.Option(
            help="Search through this vector index. [default: flat, which is exact; of folders, "
            "the one that was built]",
            show_default=False,
        ),
    ] = None,
    rerank: options.Rerank = None,
    rerank_depth: options.RerankDepth = None,
    min_score: Annotated[
        float | None,
        typer.Option(help="Show nothing with a lower score.", show_default=False),
    ] = None,
    output: Annotated[
        Output, typer.Option("--output", "-o", help="How to write the result.")
    ] = Output.table,
    judge: Annotated[
        bool,
        typer.Option(
            "--judge", help="Ask which of those shown are relevant; eval --index makes use of it."
        ),
    ] = False,
    all_passages: Annotated[
        bool,
        typer.Option(
            "--all-passages", help="Not only the best of each document.", **options.FOLDER
        ),
    ] = False,
    path: options.OnlyPath = None,
    format: options.OnlyFormat = None,
    lang: options.OnlyLanguage = None,
    after: options.After = None,
    before: options.Before = None,
    fusion: Annotated[
        str | None,
        typer.Option(
            help=f"How hybrid search fuses: {', '.join(catalog.names(_FUSIONS))}; the weights of "
            "the latter are tuned on the judgements of the index. [default: rrf]",
            **options.FOLDER,
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain",
            help="Say which list gave what to each score; with --rerank, of any index, what was "
            "before.",
            **options.FOLDER,
        ),
    ] = False,
    device: options.DeviceOption = None,
) -> None:
    """Rank the documents of an index against a query.

    In an index of folders, a query can say more: "a phrase", +must, -not, begin*, fuzzy~,
    path:docs/*.md, format:pdf, lang:en, after:2024-05, before:2024-06-15.

    Examples:
      searchkit search "how do I clean the autoclave" --index handbook

      searchkit search --queries topics.tsv -i handbook -k 100 -o trec > run.txt

      searchkit search 'ferry "high water" path:tides/' -i notes -o paths
    """
    if judge and (query == "-" or output is not Output.table):
        raise BadInput("--judge asks on the terminal, below a table; leave out -o and - for stdin")
    if all_passages and (judge or output is Output.trec):
        raise BadInput(
            "--all-passages shows a document several times, and "
            f"{'--judge asks about' if judge else '-o trec ranks'} documents; leave one of them out"
        )
    asked = _queries(query, queries)
    of_folders = {
        "--all-passages": all_passages,
        "--path": path,
        "--format": format,
        "--lang": lang,
        "--after": after,
        "--before": before,
        "--fusion": fusion,
        "--explain": explain and not rerank,
    }
    found_at = options.index_path(index)
    how = _How(
        k=k,
        mode=mode.value if mode else None,
        variant=variant,
        vector_index=vector_index,
        device=device,
        rerank=_opened(rerank, options.rerank_depth(rerank_depth, rerank), device),
        explain=explain,
    )
    follows = _follows_folders(found_at)
    literal = queries is not None or not follows  # the index of a collection knows no operators
    if follows:
        search = _of_folders(
            found_at,
            how,
            filters=filters_of(path, format, lang, after, before),
            fusion=fusion or "rrf",
            per_document=not all_passages,
            literal=literal,
        )
    else:
        if given := [name for name, value in of_folders.items() if value]:
            raise BadInput(
                f"{found_at} is the index of a collection, and {given[0]} is for folders; leave it "
                "out"
            )
        search = _of_collection(found_at, how)
    if min_score is not None:
        search = search.above(min_score)
    if judge:
        _judge(search, asked, found_at.resolve().name, literal=literal)
    else:
        found = search.find(asked)
        show(list(zip(asked, found, strict=True)), output, search.tag)
    if how.rerank and (note := how.rerank.reranker.note()):
        _say(note)


@dataclass(frozen=True, slots=True)
class _Rerank:
    """A reranker that is open, and how much of a ranking it reads."""

    reranker: "Reranker"
    depth: int

    def of(
        self, query: str, ranking: Sequence[Any], text_of: Callable[[Any], str], k: int
    ) -> "list[Placed[Any]]":
        """The k best of a ranking that is at least as deep."""
        from searchkit.search.reranking import rerank

        return rerank(self.reranker, query, ranking, text_of, depth=self.depth)[:k]


@dataclass(frozen=True, slots=True, kw_only=True)
class _How:
    """What holds for a search of any index."""

    k: int
    mode: "Mode | None"
    variant: str | None
    vector_index: str | None
    device: str | None
    rerank: _Rerank | None
    explain: bool

    @property
    def depth(self) -> int:
        """How many documents are looked for."""
        return max(self.k, self.rerank.depth) if self.rerank else self.k

    def tag(self, system: str) -> str:
        """The name of what searches, for TREC."""
        if self.rerank is None:
            return system
        from searchkit.evaluate.runs import word

        return word(f"{self.rerank.reranker.name}({system})")


@dataclass(frozen=True, slots=True)
class _Search:
    """An index that is open, and the name of the system that searches it."""

    find: Callable[[Sequence[Query]], list[list[Shown]]]
    tag: str

    def above(self, least: float) -> "_Search":
        """The same without what has a lower score."""

        def find(asked: Sequence[Query]) -> list[list[Shown]]:
            return [[one for one in found if one.hit.score >= least] for found in self.find(asked)]

        return _Search(find, self.tag)


def _say(line: str) -> None:
    say(f"note: {line}")


def _follows_folders(path: Path) -> bool:
    from searchkit.index.store import Store

    return Store.open(path).corpus.get("kind") == "folder"


def _of_collection(path: Path, how: _How) -> _Search:
    from searchkit.corpus.collection import joined
    from searchkit.search.retrieve import open_retriever

    retriever = open_retriever(
        path,
        how.mode,
        variant=how.variant,
        vector_index=how.vector_index or "flat",
        device=how.device,
        say=_say,
    )

    def text(hit: Hit) -> str:
        return joined(retriever.document(hit.doc_id))

    def one(query: Query, hits: Sequence[Hit]) -> list[Shown]:
        if how.rerank is None:
            return of_collection(retriever, query, hits)
        placed = how.rerank.of(query.text, hits, text, how.k)
        found = of_collection(retriever, query, [place.item for place in placed])
        return explained(found, placed, how.rerank.reranker.name) if how.explain else found

    def find(asked: Sequence[Query]) -> list[list[Shown]]:
        rankings = retriever.search([one.text for one in asked], k=how.depth)
        return [one(query, hits) for query, hits in zip(asked, rankings, strict=True)]

    return _Search(find, how.tag(retriever.variant or retriever.mode))


def _of_folders(
    path: Path,
    how: _How,
    *,
    filters: "Filters",
    fusion: str,
    per_document: bool,
    literal: bool,
) -> _Search:
    from searchkit.index.live.query import parse, plain
    from searchkit.search.live.retrieve import open_searcher
    from searchkit.search.reranking import text_of_passage

    searcher = open_searcher(path, how.device, _say)
    mode, variant = searcher.choose(how.mode, how.variant, how.vector_index)
    weights = None
    if mode == "hybrid" and variant is not None and fusion == "weighted":
        weights = _weights(searcher, variant)
    if how.explain:
        _say(_explained(mode, variant, fusion, weights))

    def one(query: Query) -> list[Shown]:
        passages = searcher.search(
            plain(query.text) if literal else query.text,
            how.depth,
            mode=mode,
            variant=variant,
            vector_index=how.vector_index,
            per_document=per_document,
            filters=filters,
            fusion=fusion,
            weights=weights,
        )
        if how.rerank is None:
            return of_folder(passages, explain=how.explain)
        words = query.text if literal else parse(query.text).text
        placed = how.rerank.of(words, passages, text_of_passage, how.k)
        found = of_folder([place.item for place in placed], explain=how.explain)
        return explained(found, placed, how.rerank.reranker.name) if how.explain else found

    def find(asked: Sequence[Query]) -> list[list[Shown]]:
        return [one(query) for query in asked]

    return _Search(find, how.tag(variant or mode))


def _opened(name: str | None, depth: int, device: str | None) -> _Rerank | None:
    """The reranker that is asked for."""
    if name is None:
        return None
    from searchkit.search.reranking import open_reranker

    return _Rerank(open_reranker(name, device=device), depth)


def _explained(
    mode: "Mode", variant: str | None, fusion: str, weights: Mapping[str, float] | None
) -> str:
    """How is searched, in a line."""
    if mode != "hybrid":
        return f"{mode} search" + (f" of the vectors of {variant}" if variant else "")

    said = (catalog.load(_FUSIONS, fusion).__doc__ or fusion).splitlines()[0].rstrip(".")
    shares = [f"{name} with {weight:g}" for name, weight in (weights or {}).items()]
    return f"hybrid search of bm25 and {variant}; {'; '.join([said, *shares])}"


def _weights(searcher: "Searcher", variant: str) -> Mapping[str, float]:
    """The weights of BM25 and an encoder: tuned on what was judged, or equal."""
    from searchkit.evaluate import measures
    from searchkit.search.judging import ledger_of
    from searchkit.search.live import tuning

    def ndcg(rankings: Sequence[Sequence[Hit]], qrels: Sequence[Sequence[Judgement]]) -> float:
        run = {of[0].query_id: hits for hits, of in zip(rankings, qrels, strict=True)}
        values = measures.score(run, [one for of in qrels for one in of], ["nDCG@10"])["nDCG@10"]
        return sum(values.values()) / len(values)

    ledger = ledger_of(searcher.path.resolve().name)
    tuned = tuning.tuned_weights(searcher, variant, ledger, ndcg)
    if tuned.queries < tuning.FEWEST:
        _say(
            f"bm25 and {variant} weigh the same: {tuned.queries} judged queries have something "
            f"relevant, and tuning needs {tuning.FEWEST}; judge some with --judge"
        )
    else:
        shares = ", ".join(f"{name} {weight:g}" for name, weight in tuned.weights.items())
        _say(
            f"weights {shares}, tuned on {tuned.queries} judged queries; on held-out ones nDCG@10 "
            f"is {tuned.held_out:.3f}, and {tuned.rrf:.3f} with rrf"
        )
    return tuned.weights


def filters_of(
    path: list[str] | None,
    format: list[str] | None,
    lang: list[str] | None,
    after: str | None,
    before: str | None,
) -> "Filters":
    """Filters that were given as options; they hold besides those in the query."""
    from searchkit.search import filtering

    return filtering.filters_of(path, format, lang, after, before, prefix="--")


def _judge(search: _Search, asked: Sequence[Query], name: str, *, literal: bool) -> None:
    """Show a ranking, ask about it, keep the answers, and so on; the end of the input ends it."""
    from searchkit.search.judging import ask, ledger_of

    ledger = ledger_of(name)
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
        (found,) = search.find([query])
        show_table(query, found, named=len(asked) > 1)
        answers = ask([one.hit for one in found], read)
        for doc_id, grade in answers:
            ledger.add(query.text, doc_id, grade, literal=literal)
        if answers:
            _say(f"judgements kept in {ledger.path}: {len(answers)}")
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
