"""One open index, whatever its kind, behind the few questions that a view or a server asks.

`words`, `dense` and `results` are the steps of a search, for whoever shows them one by one; `find`
is a search.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from searchkit.errors import BadInput
from searchkit.index.live.query import NONE, Filters
from searchkit.search.notes import Notes

if TYPE_CHECKING:
    from searchkit.index.store import Store
    from searchkit.search.encoders import EncodeQuery
    from searchkit.search.live.retrieve import Searcher
    from searchkit.search.modes import Mode
    from searchkit.search.retrieve import Retriever

Span = tuple[int, int]  # [start, end) in characters


@dataclass(frozen=True, slots=True)
class System:
    """One way to search an index: words, vectors of one encoder, or both fused.

    Attributes:
        mode: "bm25", "dense" or "hybrid".
        variant: the encoder; None for bm25, which needs none.
    """

    mode: "Mode"
    variant: str | None = None

    @property
    def name(self) -> str:
        """What people call it."""
        if self.mode == "bm25":
            return "BM25"
        return f"BM25 + {self.variant}" if self.mode == "hybrid" else f"{self.variant}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One place of a ranking, with all that is shown of it.

    Attributes:
        key: what makes it the same result in another ranking of the same query.
        rank: from 1; 0 where a ranking lacks it.
        score: higher is better.
        doc_id: of the document, by which it is judged.
        title: may be empty.
        headings: the path of headings above the passage.
        place: where it stands, as a person reads it: `docs/care.md:12`, `report.pdf, page 4`.
        path: the file, absolute; None where the index has none.
        line: of the file, at which to open it; None where its lines are not known.
        page: of the file, from 1.
        lines: the first and the last line of the passage in the file.
        text: of the passage.
        start: of the passage in the text of the document.
        best: the stretch of `text` that answers best; (0, 0) where nothing is known.
        marks: the words of `text` that the query asks for.
        lists: what each list that was fused said of it, as (name, rank, score).
    """

    key: str
    rank: int
    score: float
    doc_id: str
    title: str = ""
    headings: tuple[str, ...] = ()
    place: str = ""
    path: str | None = None
    line: int | None = None
    page: int | None = None
    lines: tuple[int, int] | None = None
    text: str = ""
    start: int = 0
    best: Span = (0, 0)
    marks: tuple[Span, ...] = ()
    lists: tuple[tuple[str, int, float], ...] = ()

    @property
    def trail(self) -> list[str]:
        """Title and headings without repeats; the document's id where it has neither."""
        parts = [part for part in (self.title, *self.headings) if part]
        return list(dict.fromkeys(parts)) or [self.doc_id]


@dataclass(frozen=True, slots=True)
class Filter:
    """Something that can be added to a query, and what it leaves: `format:pdf`, `17 documents`."""

    text: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What an index knows of a document.

    Attributes:
        doc_id: its id.
        title: may be empty.
        path: of its file, absolute; None where the index has none.
        format: the reader of the file; empty where there is none.
        language: ISO 639-1, or empty.
        modified: POSIX seconds; None where there is no file.
    """

    doc_id: str
    title: str = ""
    path: str | None = None
    format: str = ""
    language: str = ""
    modified: float | None = None


class Source(Protocol):
    """An index that is open. Its methods are called from several threads at once.

    Attributes:
        name: of the index; its judgements go by it.
        documents: how many there are.
        encoders: whose vectors it holds.
        default: how it is searched unless a person says otherwise.
        depth: how much of each ranking a fusion sees.
        syntax: what its queries understand beyond words, for a person; may be empty.
        whole: whether a result is a whole document, and not one of its passages.
        notes: what a person should know of a search, one line each, to be taken away when told.
    """

    name: str
    documents: int
    encoders: Sequence[str]
    default: System
    depth: int
    syntax: str
    whole: bool
    notes: Notes

    @property
    def generation(self) -> str:
        """What tells what is searched from what was committed before or after it."""

    @property
    def store(self) -> "Store":
        """The parts of the index, as they are searched."""

    def refresh(self) -> bool:
        """Take up what was committed since; True if anything was."""

    def renewed(self) -> "Source | None":
        """Another source of the same index as it is now; None if nothing was committed since.

        This one stays as it is, for those who are at it.
        """

    def hold(self) -> None:
        """Open all that a search may read: what is committed later takes nothing of it away.

        Raises:
            CorruptFile: a file is not what was written.
        """

    def choose(self, mode: "Mode | None" = None, variant: str | None = None) -> System:
        """How a search is done that leaves the mode or the encoder open.

        Raises:
            UnknownName: there is no such mode, or no such encoder in the index.
            BadInput: several encoders come into question, or BM25 is to search one's vectors.
        """

    def find(
        self,
        query: str,
        k: int,
        *,
        mode: "Mode | None" = None,
        variant: str | None = None,
        filters: Filters = NONE,
        literal: bool = False,
        per_document: bool = True,
        typing: bool = False,
    ) -> list[Result]:
        """The k best results of a query, fewer where there are fewer.

        Args:
            query: in the index's syntax.
            k: at least 1.
            mode: see `choose`.
            variant: see `choose`.
            filters: hold besides those in the query.
            literal: the query is words, and none of them an operator.
            per_document: the best passage of each document, or all of them.
            typing: the query is still being typed: it may be empty, its last word may be the
                beginning of one, and what cannot be read yet is left out.

        Raises:
            BadInput: k is below 1, the query is empty or cannot be read, or the index has whole
                documents and is asked for filters or several passages; see also `choose`.
        """

    def doc_ids(self) -> Sequence[str]:
        """The ids of all documents, in the order of the index."""

    def page(self, after: str | None, limit: int) -> list[About]:
        """Some documents in an order of the index: the first ones, or those after a document.

        Raises:
            UnknownName: where `after` is; an index that orders ids knows where one would be.
        """

    def about(self, doc_id: str) -> About:
        """What is known of a document.

        Raises:
            UnknownName: the index has none of that id.
        """

    def words(self, query: str, k: int) -> Any:
        """The k best by BM25 for a query that is perhaps still being typed.

        Raises:
            BadInput: the query cannot be understood.
        """

    def dense(self, query: str, variant: str, k: int) -> Any:
        """The k best by one encoder's vectors; the first call for each loads its model."""

    def results(self, query: str, rankings: Mapping[str, Any], k: int) -> list[Result]:
        """The k best results of one ranking, or of several fused; each is given with its name."""

    def text(self, doc_id: str) -> str:
        """The text of a document, in which `Result.start` counts."""

    def passages(self, query: str, doc_id: str) -> list[Result]:
        """The passages of a document with words that a query asks for, in the order of its text.

        They are ranked so, too; none where documents are whole. Of very many it may give the best,
        with a note.
        """

    def marks(self, query: str, text: str) -> list[Span]:
        """The words of a text that a query asks for, in order."""

    def need(self, query: str) -> str:
        """What a query asks for, without its filters: that is what a judgement is about.

        It is what an encoder is given, too.
        """

    def complaint(self, query: str) -> str:
        """What of a query, now that it is typed, could not be read; empty if nothing."""

    def state(self) -> Mapping[str, Any]:
        """What can be told of an index of folders beyond this, JSON; nothing of another.

        `files` counts the files by what became of them, `passages` the passages, `encoded` those
        that each encoder has encoded and all there are, and `modified` is when the index was last
        brought into step, in POSIX seconds.
        """

    def filters(self) -> list[Filter]:
        """Filters that would leave something, the most useful first."""

    def version(self, variant: str) -> str:
        """What tells an encoder from an earlier one of the same name."""


def of_retriever(
    retriever: "Retriever", device: str | None = None, encode: "EncodeQuery | None" = None
) -> Source:
    """An index of a corpus, in which a result is a whole document and no document has a file.

    Args:
        retriever: it is open; how it searches is the default.
        device: where queries are encoded; the best there is by default.
        encode: encodes them; by default a model that is loaded for it.
    """
    from searchkit.search.corpus_source import CorpusSource

    return CorpusSource(retriever, device, encode)


def of_searcher(searcher: "Searcher", notes: Notes | None = None) -> Source:
    """An index of folders, in which a result is the best passage of a document.

    Args:
        searcher: it is open.
        notes: where what it says is kept.
    """
    from searchkit.search.folder_source import FolderSource

    return FolderSource(searcher, deque() if notes is None else notes)


def open_source(
    path: Path,
    device: str | None = None,
    encode: "EncodeQuery | None" = None,
    notes: Notes | None = None,
) -> Source:
    """An index, of a corpus or of folders.

    Args:
        path: its directory.
        device: where queries are encoded; the best there is by default.
        encode: encodes them; by default a model that is loaded for it.
        notes: where what an index of folders says is kept.

    Raises:
        UnknownName: there is no such index.
        BadInput: it is not an index.
        CorruptFile: a file that is needed is not what was written.
    """
    from searchkit.index.store import Store

    notes = deque(maxlen=5) if notes is None else notes
    if Store.open(path).corpus.get("kind") == "folder":
        from searchkit.search.live.retrieve import open_searcher

        return of_searcher(open_searcher(path, device, notes.append, encode), notes)
    from searchkit.search.retrieve import open_retriever

    try:
        retriever = open_retriever(path, device=device, say=notes.append)
    except BadInput:  # several encoders, and none of them is the default
        retriever = open_retriever(path, "bm25", device=device, say=notes.append)
    return of_retriever(retriever, device, encode)
