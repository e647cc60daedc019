"""An index of folders, as one of several sources."""

from collections.abc import Mapping, Sequence
from typing import Any

from searchkit.errors import BadInput
from searchkit.index.live.catalogue import DocumentRecord
from searchkit.index.live.query import NONE, Filters, parse, plain
from searchkit.index.store import Store
from searchkit.search.asked import refuse_unreadable
from searchkit.search.live.lists import Ranking
from searchkit.search.live.passages import Passage, marks_of, matches_of
from searchkit.search.live.retrieve import DEPTH, Searcher
from searchkit.search.modes import Mode
from searchkit.search.notes import Notes
from searchkit.search.source import About, Filter, Result, Span, System

SYNTAX = (
    'words  "a phrase"  +must  -not  begin*  fuzzy~  path:docs/*.md  format:pdf  lang:en  '
    "after:2024-05  before:2024-06-15"
)


class FolderSource:
    """A result is the best passage of a document; see `source.of_searcher` for the arguments."""

    def __init__(self, searcher: Searcher, notes: Notes) -> None:
        self._searcher = searcher
        self.name = searcher.store.path.resolve().name
        self.depth = DEPTH
        self.syntax = SYNTAX
        self.whole = False
        self.notes = notes
        self._read: tuple[Store, str, str] | None = None
        self._named = searcher.store, searcher.store.generation
        self._count()
        try:
            self.default = System(*searcher.choose())
        except BadInput:  # several encoders, and none of them is the default
            self.default = System("bm25")

    def _count(self) -> None:
        generation = self._searcher.generation
        self._modified = generation.store.modified
        self.documents = generation.catalogue.number_of_documents()
        self.encoders: Sequence[str] = tuple(generation.encoders())

    @property
    def store(self) -> Store:
        """The parts of the generation that is open."""
        return self._searcher.store

    @property
    def generation(self) -> str:
        """That which is open; a search goes over to a newer one where a part of it is gone."""
        store, name = self._named
        if store is not self.store:
            store = self.store
            self._named = store, (name := store.generation)
        return name

    def refresh(self) -> bool:
        """Go over to the newest generation."""
        if not self._searcher.refresh():
            return False
        self._count()
        return True

    def renewed(self) -> "FolderSource | None":
        """Another source, of the newest generation."""
        searcher = self._searcher.renewed()
        return None if searcher is None else FolderSource(searcher, self.notes)

    def hold(self) -> None:
        """Open all parts of the generation."""
        self._searcher.hold()
        self._count()

    def choose(self, mode: Mode | None = None, variant: str | None = None) -> System:
        """What the searcher takes where a mode or an encoder is left open."""
        return System(*self._searcher.choose(mode, variant))

    def find(
        self,
        query: str,
        k: int,
        *,
        mode: Mode | None = None,
        variant: str | None = None,
        filters: Filters = NONE,
        literal: bool = False,
        per_document: bool = True,
        typing: bool = False,
    ) -> list[Result]:
        """The k best passages; see `source.Source`."""
        if mode is None and variant is None:
            mode, variant = self.default.mode, self.default.variant
        if not typing:
            refuse_unreadable(query)
        asked = plain(query) if literal else parse(query, lenient=typing)
        if typing and not asked.text:
            mode, variant = "bm25", None  # there is nothing to encode yet
        found = self._searcher.search(
            asked,
            k,
            mode=mode,
            variant=variant,
            filters=filters,
            per_document=per_document,
        )
        return [_result(passage) for passage in found]

    def doc_ids(self) -> Sequence[str]:
        """The ids of all documents."""
        return list(self._searcher.generation.catalogue.documents())

    def page(self, after: str | None, limit: int) -> list[About]:
        """Some documents in the order of their ids."""
        catalogue = self._searcher.generation.catalogue
        return [_about(record) for record in catalogue.documents_after(after or "", limit)]

    def about(self, doc_id: str) -> About:
        """What the catalogue says of it."""
        return _about(self._searcher.document(doc_id))

    def words(self, query: str, k: int) -> Ranking:
        """The k best by BM25; the last word may be the beginning of one."""
        return self._searcher.search_words(query, k, typing=True)

    def dense(self, query: str, variant: str, k: int) -> Ranking:
        """The k best by one encoder's vectors."""
        return self._searcher.search_dense(query, k, variant=variant, typing=True)

    def results(self, query: str, rankings: Mapping[str, Any], k: int) -> list[Result]:
        """The k best passages of one ranking, or of several fused."""
        return [_result(passage) for passage in self._searcher.fuse(list(rankings.values()), k)]

    def text(self, doc_id: str) -> str:
        """The text of a document; the last one is kept, which every key asks for again."""
        read, store = self._read, self._searcher.store
        if read is None or read[0] is not store or read[1] != doc_id:
            read = self._read = (store, doc_id, self._searcher.document_text(doc_id))
        return read[2]

    def passages(self, query: str, doc_id: str) -> list[Result]:
        """The passages of a document with words that a query asks for."""
        return [_result(passage) for passage in self._searcher.passages_of(doc_id, query)]

    def marks(self, query: str, text: str) -> list[Span]:
        """The words of a text that a query asks for."""
        return list(marks_of(matches_of(parse(query, lenient=True), text)))

    def need(self, query: str) -> str:
        """The words of the query."""
        return parse(query, lenient=True).text

    def complaint(self, query: str) -> str:
        """What of the query could not be read."""
        try:
            parse(query)
        except BadInput as error:
            return str(error)
        return ""

    def state(self) -> Mapping[str, Any]:
        """What became of the files, and how far the encoders have come."""
        generation = self._searcher.generation
        encoders = generation.encoders().items()
        return {
            "files": generation.catalogue.counts(),
            "passages": generation.catalogue.number_of_chunks(),
            "encoded": {name: [coverage.rows, coverage.of] for name, coverage in encoders},
            "modified": self._modified,
        }

    def filters(self) -> list[Filter]:
        """The formats and languages there are, with how many documents each; then dates."""
        counted = [
            Filter(f"{name}:{_quoted(value)}", f"{count:,} document{'s' * (count != 1)}")
            for name, value, count in self._searcher.generation.catalogue.filter_values()
        ]
        return [*counted, Filter("after:", "a day, such as 2024-05-31"), Filter("before:", "a day")]

    def version(self, variant: str) -> str:
        """The beginning of the encoder's fingerprint."""
        facts = self._searcher.generation.encoders()[variant].facts
        return str(facts["fingerprint"])[:12]


def _about(record: DocumentRecord) -> About:
    return About(
        doc_id=record.doc_id,
        title=record.title,
        path=record.path,
        format=record.format,
        language=record.language,
        modified=record.modified,
    )


def _result(passage: Passage) -> Result:
    lines = passage.first_line, passage.last_line
    return Result(
        key=passage.doc_id,
        rank=passage.rank,
        score=passage.score,
        doc_id=passage.doc_id,
        title=passage.title,
        headings=passage.headings,
        place=_place(passage),
        path=str(passage.path),
        line=passage.line,
        page=passage.page,
        lines=(lines[0], lines[1]) if lines[0] is not None and lines[1] is not None else None,
        text=passage.text,
        start=passage.start,
        best=passage.best,
        marks=passage.marks,
        lists=tuple((listed.name, listed.rank, listed.score) for listed in passage.lists),
    )


def _place(passage: Passage) -> str:
    if passage.line is not None:
        return f"{passage.doc_id}:{passage.line}"
    if passage.page is not None:
        return f"{passage.doc_id}, page {passage.page}"
    return passage.doc_id


def _quoted(value: str) -> str:
    return f'"{value}"' if " " in value else value
