"""Live BM25: chunks come and go one by one, and a search needs no rebuilding. Tantivy does it.

The words are those of `analysis`; tantivy is given terms with spaces between them, and splits them
there. It scores as Lucene does, idf(t) (k1 + 1) tf / (tf + k1 (1 - b + b |d| / avgdl)), with k1 1.2
and b 0.75. |d| is kept in one byte: exact up to 40 terms, then rounded down by at most one part in
nine. A removed chunk counts in idf and avgdl until a merge drops it (`WordIndex.removed`).

    words     terms of the text and, twice, of the context; what plain words are scored by
    surface   the sequence of the words, with positions, and then the forms: for phrases, prefixes,
              fuzzy words, and for stop words where a query has nothing else

No file of a folder is changed once it is written, but for `meta.json` and `.managed.json`, which
are replaced. So the next generation may share its files by hard links (`clone`).

Source: https://github.com/quickwit-oss/tantivy, version 0.27.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

from searchkit.errors import CorruptFile, SearchkitError
from searchkit.index.live import analysis
from searchkit.index.live.lookup import Lookup
from searchkit.index.live.path_pattern import path_key
from searchkit.index.live.query import NONE, Filters, Match, Query

if TYPE_CHECKING:
    import tantivy

# How often a word of the context counts. On the collections cacm and cranfield, with titles as
# context, two give 0.006 and 0.013 more nDCG@10 than one.
_CONTEXT = 2

_MEMORY_BYTES = 64_000_000  # what is added is held up to this before it is written
_REPLACED = ("meta.json", ".managed.json")


def create(folder: Path) -> None:
    """Make a word index without chunks in `folder`, which exists and is empty."""
    import tantivy

    schema = tantivy.SchemaBuilder()
    # Signed: by an unsigned number, tantivy removes nothing, and does not say so.
    schema.add_integer_field("chunk_id", indexed=True, fast=True)
    schema.add_text_field("words", tokenizer_name="whitespace", index_option="freq")
    schema.add_text_field("surface", tokenizer_name="whitespace", index_option="position")
    for name in ("path", "format", "language"):
        schema.add_text_field(name, tokenizer_name="raw", index_option="basic")
    schema.add_integer_field("modified", fast=True)
    tantivy.Index(schema.build(), str(folder), reuse=False)
    _tidy(folder)


def clone(source: Path, target: Path) -> None:
    """Give `target`, which exists and is empty, the index of `source`; writing to it is safe.

    Files that never change are shared by hard links, or copied where the file system has none.
    """
    for path in _files(source, _segments(source)):
        if path.name in _REPLACED or not _linked(path, target / path.name):
            shutil.copyfile(path, target / path.name)


@contextmanager
def writing(folder: Path) -> Iterator["Writer"]:
    """A writer of the index in `folder`: committed if the block ends well, forgotten if it raises.

    One thread adds, so equal additions give equal orders. When the block is left, merges have
    ended and nothing writes to the folder any more.

    Args:
        folder: of `create` or `clone`; one writer at a time.

    Raises:
        CorruptFile: see `WordIndex.open`.
        SearchkitError: the files could not be written, as on a full disk.
    """
    index = _opened(folder, folder)
    inner = index.writer(_MEMORY_BYTES, 1)
    try:
        yield Writer(inner, folder)
        with _writes(folder):
            inner.commit()
    finally:
        with suppress(ValueError):  # of a thread that died, as the commit has said
            inner.wait_merging_threads()
        del inner, index
        _tidy(folder)


class Writer:
    """Adds and removes chunks; see `writing`."""

    def __init__(self, inner: "tantivy.IndexWriter", folder: Path) -> None:
        self._inner = inner
        self._folder = folder

    def add(
        self,
        chunk_id: int,
        *,
        path: str,
        context: str,
        text: str,
        format: str,
        language: str,
        modified_s: int,
    ) -> None:
        """Add a chunk.

        Args:
            chunk_id: below 2**63; no chunk of the index has it, or `remove` was called before.
            path: of its file, relative to the root, with slashes; filters look at it.
            context: title and headings; searched like the text, and no phrase spans the two.
            text: its own.
            format: as `corpus.reading` names it.
            language: ISO 639-1, or empty.
            modified_s: POSIX seconds; negative before 1970.

        Raises:
            SearchkitError: what was added before could not be written.
        """
        import tantivy

        before, here = analysis.words(context), analysis.words(text)
        chunk = tantivy.Document()
        chunk.add_integer("chunk_id", chunk_id)
        chunk.add_text("words", " ".join(_CONTEXT * before.terms + here.terms))
        # Tantivy leaves a gap between two values, which no phrase crosses.
        for words in (before.sequence, here.sequence, before.forms + here.forms):
            chunk.add_text("surface", " ".join(words))
        chunk.add_text("path", path_key(path))
        chunk.add_text("format", format)
        chunk.add_text("language", language)
        chunk.add_integer("modified", modified_s)
        with _writes(self._folder):
            self._inner.add_document(chunk)

    def remove(self, chunk_id: int) -> None:
        """Remove a chunk; nothing happens if there is none of this id."""
        self._inner.delete_documents_by_term("chunk_id", chunk_id)


class WordIndex:
    """The chunks that were there when the index was opened, whatever happens to its folder.

    Attributes:
        removed: how many chunks were removed and still count in scores. Writing all chunks into a
            new index sets it to 0.
    """

    def __init__(self, searcher: "tantivy.Searcher", schema: "tantivy.Schema", removed: int):
        self._searcher = searcher
        self._lookup = Lookup(searcher, schema)
        self.removed = removed

    @classmethod
    def open(cls, folder: Path) -> "WordIndex":
        """Open the index in `folder`.

        Raises:
            CorruptFile: there is none, or not one that the installed tantivy can read, or files of
                it were deleted meanwhile.
        """
        segments = _segments(folder)
        paths = _files(folder, segments)
        with _links(paths) as links:
            index = _opened(links, folder)
            index.config_reader("manual")  # by default, a thread would reload what is gone
            searcher = index.searcher()
        for path in paths:  # tantivy opens a segment without its positions, and fails much later
            if not path.exists():
                raise CorruptFile(f"{path} was deleted while it was opened; open the index again")
        return cls(searcher, index.schema, sum(segments.values()))

    def __len__(self) -> int:
        """How many chunks there are."""
        return self._searcher.num_docs

    def search(
        self,
        query: Query,
        k: int,
        *,
        filters: Filters = NONE,
        within: range | None = None,
        without: Sequence[range] = (),
    ) -> list[tuple[int, float]]:
        """The k best chunks: descending score, then ascending chunk_id, at the cut too.

        Where the query has no words but filters, these are all chunks that pass them, with a score
        of 0.

        Args:
            query: what to look for; its own filters apply.
            k: the length of the ranking; shorter where fewer chunks match.
            filters: to apply as well. They all work within the search, not on its results.
            within: the ids of the only chunks to look at; not empty.
            without: ids of chunks to pass over; none of them empty.

        Raises:
            ValueError: k < 1.
            BadInput: a path pattern is too involved to search with.
        """
        if k < 1:
            raise ValueError(f"k is {k}, not at least 1")
        lookup = self._lookup
        wanted = lookup.wanted(query)
        conditions = lookup.conditions(query.filters) + lookup.conditions(filters)
        if not len(self) or (wanted is None and not conditions):
            return []
        conditions += lookup.exclusions(query) + lookup.bounds(within, without)
        both = lookup.all_of(wanted, conditions)
        return self._listed(both, k) if wanted is None else self._ranked(both, k)

    def holding(self, matches: Sequence[Match]) -> list[int] | None:
        """The ids of all chunks in which one of some words or phrases is, ascending.

        None where no part of them could be looked for.
        """
        asked = self._lookup.any_whole(matches)
        if asked is None or not len(self):
            return None if asked is None else []
        return [chunk_id for chunk_id, _ in self._listed(asked, len(self))]

    def _listed(self, query: "tantivy.Query", k: int) -> list[tuple[int, float]]:
        import tantivy

        hits = self._searcher.search(
            query,
            min(k, len(self)),
            count=False,
            order_by_field="chunk_id",
            order=tantivy.Order.Asc,
        ).hits
        return [(chunk_id, 0.0) for chunk_id, _ in hits]

    def _ranked(self, query: "tantivy.Query", k: int) -> list[tuple[int, float]]:
        depth = min(k + 1, len(self))  # one more than asked for shows whether a tie crosses the cut
        while True:
            hits = self._searcher.search(query, depth, count=False).hits
            if len(hits) <= k or depth == len(self) or hits[-1][0] < hits[k - 1][0]:
                break
            depth = min(4 * depth, len(self))
        values = self._searcher.fast_field_values("chunk_id", [address for _, address in hits])
        ids = cast("list[int]", values)  # every chunk has one
        best = sorted((-score, chunk_id) for (score, _), chunk_id in zip(hits, ids, strict=True))
        return [(chunk_id, -score) for score, chunk_id in best[:k]]


def _opened(place: Path, folder: Path) -> "tantivy.Index":
    """The index at `place`, which errors call `folder`."""
    import tantivy

    try:
        return tantivy.Index.open(str(place))
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise CorruptFile(
            f"{folder} is not a word index that this tantivy can open ({reason}); build it again"
        ) from error


def _segments(folder: Path) -> dict[str, int]:
    """How many chunks of each segment were removed, by the name that begins those of its files.

    Raises:
        CorruptFile: `folder` holds no index.
    """
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        return {
            segment["segment_id"].replace("-", ""): (segment["deletes"] or {}).get(
                "num_deleted_docs", 0
            )
            for segment in meta["segments"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorruptFile(
            f"{folder} is not a word index ({folder / 'meta.json'}: {error}); build it again"
        ) from error


def _files(folder: Path, segments: Iterable[str]) -> list[Path]:
    """The files of an index; those of a segment begin with its name."""
    alive = set(segments)
    return [
        path
        for path in sorted(folder.iterdir())
        if path.name in _REPLACED or path.name.split(".")[0] in alive
    ]


def _linked(source: Path, target: Path) -> bool:
    """Whether `target` is a hard link to `source` now, which not every file system can make."""
    try:
        os.link(source, target)
    except OSError:
        return False
    return True


@contextmanager
def _links(paths: Iterable[Path]) -> Iterator[Path]:
    """A folder of links to files, which can go once the files are open.

    Even to read, tantivy makes a lock file, and at times a thread of it does so a little later.
    The index is spared that: its folder may be read-only, or about to be deleted.
    """
    folder = Path(tempfile.mkdtemp(prefix="searchkit-"))
    try:
        for path in paths:
            (folder / path.name).symlink_to(path.resolve())
        yield folder
    finally:
        for _ in range(9):  # the lock file may appear while the folder is being deleted
            if folder.exists():
                shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writes(folder: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise SearchkitError(
            f"the word index {folder} cannot be written ({error}); see whether its disk is full,"
            " and try again"
        ) from error


def _tidy(folder: Path) -> None:
    """Delete what a writer leaves beside the index: locks, and files that were not committed."""
    kept = _files(folder, _segments(folder))
    for path in folder.iterdir():
        if path not in kept:
            path.unlink()
