"""Searching a folder index: by words, by meaning, or both; one best passage a document, or all.

A searcher keeps the generation that it has opened, whatever is committed meanwhile, until it is
asked to `refresh`. Each way of searching gives a `Ranking`, and `fuse` makes passages of one or
several: a view can show what words find at once, and add the rest when it is there.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from searchkit.errors import BadInput, CorruptFile, SearchkitError, UnknownName
from searchkit.index.live.catalogue import DocumentRecord
from searchkit.index.live.generation import Generation, open_newest
from searchkit.index.live.query import NONE, Filters, Query, parse
from searchkit.index.store import Rebuilt, Store
from searchkit.search.asked import refuse_unreadable
from searchkit.search.default import default_of
from searchkit.search.encoders import EncodeQuery, is_trained, open_encoders, query_encoder
from searchkit.search.live.documents import text_of
from searchkit.search.live.lists import EXACT, WORDS, Lists, Ranking, merged, shown
from searchkit.search.live.passages import Passage
from searchkit.search.modes import MODES, Mode

if TYPE_CHECKING:
    from searchkit.index.vector import Vectors

DEPTH = 100  # how much of each ranking a fusion sees, at least

_REMEMBERED = 64  # vectors of queries
_TRIES = 20  # commits that may fall into one search

Result = TypeVar("Result")


class Searcher:
    """A folder index that is open for searching; models load at the first query that needs them.

    Threads may share one. See `open_searcher` for the arguments.
    """

    def __init__(
        self,
        path: Path,
        device: str | None,
        say: Callable[[str], None],
        encode: EncodeQuery | None = None,
        before: Generation | None = None,
    ) -> None:
        self.path = path
        self._device, self._say, self._encode = device, say, encode
        self._said: set[str] = set()
        self._encoders: dict[str, _Encoder] = {}
        self._encoding = threading.Lock()
        self._lists = _opened(path, before)

    @property
    def generation(self) -> Generation:
        """What is searched."""
        return self._lists.generation

    @property
    def store(self) -> Store:
        """The index, as it was when the generation was opened."""
        return self.generation.store

    def refresh(self) -> bool:
        """Go over to the newest generation; False if that is the one that is open.

        Searches under way and rankings of earlier ones stay with theirs.
        """
        if self.generation.is_newest():
            return False
        self._lists = _opened(self.path, self.generation)
        return True

    def renewed(self) -> "Searcher | None":
        """Another searcher, of the newest generation; None if that is the one that is open here.

        This one stays as it is, for those who are at it.
        """
        if self.generation.is_newest():
            return None
        newer = Searcher(self.path, self._device, self._say, self._encode, self.generation)
        newer._encoders, newer._encoding = self._encoders, self._encoding
        return newer

    def hold(self) -> None:
        """Open all of the generation; of the newest one, if a part of this one is gone already."""

        def answer(lists: Lists) -> None:
            lists.generation.hold()

        self._answered(answer)

    def choose(
        self, mode: Mode | None = None, variant: str | None = None, vector_index: str | None = None
    ) -> tuple[Mode, str | None]:
        """The mode and the encoder of a search that leaves one or both of them open.

        By default they are what `search.default` noted; else hybrid with the vectors of a trained
        model, else dense if a variant or a vector index is named, and BM25 if not.

        Returns:
            The mode, and the name of the encoder: None for BM25.

        Raises:
            UnknownName: there is no such mode, or no such variant in the index.
            BadInput: several encoders come into question, or BM25 is to search one's vectors.
        """
        return _chosen(self.generation, mode, variant, vector_index)

    def search(
        self,
        query: str | Query,
        k: int = 10,
        *,
        mode: Mode | None = None,
        variant: str | None = None,
        vector_index: str | None = None,
        per_document: bool = True,
        filters: Filters = NONE,
        fusion: str = "rrf",
        weights: Mapping[str, float] | None = None,
    ) -> list[Passage]:
        """The k best passages.

        Args:
            query: in the language of `index.live.query`; or one that was read, such as `plain`
                makes of a question that knows no operators.
            k: how many; fewer where there are fewer.
            mode: see `choose`.
            variant: whose vectors to search; see `choose`.
            vector_index: "flat" for exact search, or one that is used wherever a segment has it; by
                default the one that covers most.
            per_document: the best passage of each document, or all of them.
            filters: hold besides those in the query.
            fusion: a choice of rank/fusion, for hybrid search.
            weights: see `fuse`.

        Raises:
            BadInput: k is below 1, or the query is empty or cannot be read; see also `choose`.
            UnknownName: there is no such fusion or vector index, or dense search of an encoder that
                has not encoded anything yet; see also `choose`.
            CorruptFile: a file that is needed is not what was written.
        """
        mode, variant = self.choose(mode, variant, vector_index)
        asked = _asked(query)
        if k < 1:
            raise BadInput(f"k is {k}; ask for at least 1 passage")
        if mode == "dense" and not asked.text:
            raise BadInput(
                f"{query!r} has no words whose meaning could be compared; add some, or search with "
                "--mode bm25"
            )
        depth = max(k, DEPTH) if mode == "hybrid" else k
        how: dict[str, Any] = {"per_document": per_document, "filters": filters}

        def answer(lists: Lists) -> list[Passage]:
            rankings = []
            if mode != "dense":
                rankings.append(lists.words(asked, depth, **how))
            if variant is not None and asked.text:
                try:
                    ranking = self._nearest(lists, variant, asked, depth, vector_index, **how)
                except _NoVectors as error:
                    if mode == "dense":
                        raise
                    self._tell(str(error))
                else:
                    rankings.append(ranking)
            return shown(merged(rankings, k, fusion, weights))

        return self._answered(answer)

    def search_words(
        self,
        query: str | Query,
        k: int = DEPTH,
        *,
        per_document: bool = True,
        filters: Filters = NONE,
        typing: bool = False,
    ) -> Ranking:
        """The k best by BM25 alone.

        Args:
            query: see `search`.
            k: how many documents, or chunks.
            per_document: see `search`.
            filters: see `search`.
            typing: the query is still being typed: it may be empty, its last word may be the
                beginning of one, and what cannot be read yet is left out.

        Raises:
            BadInput: the query is empty or cannot be read, and is not being typed.
        """
        asked = _asked(query, typing)
        return self._answered(
            lambda lists: lists.words(asked, k, per_document=per_document, filters=filters)
        )

    def search_dense(
        self,
        query: str | Query,
        k: int = DEPTH,
        *,
        variant: str | None = None,
        vector_index: str | None = None,
        per_document: bool = True,
        filters: Filters = NONE,
        typing: bool = False,
    ) -> Ranking:
        """The k nearest by the vectors of one encoder; none for a query without words.

        Args:
            query: see `search`.
            k: how many documents, or chunks.
            variant: see `choose`.
            vector_index: see `search`.
            per_document: see `search`.
            filters: see `search`.
            typing: see `search_words`.

        Raises:
            BadInput: the query is empty or cannot be read, and is not being typed; see also
                `choose`.
            UnknownName: there is no such vector index, or the encoder has not encoded anything yet;
                see also `choose`.
        """
        asked = _asked(query, typing)
        _, name = self.choose("dense", variant, vector_index)
        assert name is not None  # only BM25 has none

        def answer(lists: Lists) -> Ranking:
            if not asked.text:
                return Ranking(name, (), asked, per_document, lists)
            return self._nearest(
                lists, name, asked, k, vector_index, per_document=per_document, filters=filters
            )

        return self._answered(answer)

    def fuse(
        self,
        rankings: Sequence[Ranking],
        k: int = 10,
        *,
        fusion: str = "rrf",
        weights: Mapping[str, float] | None = None,
    ) -> list[Passage]:
        """Passages of one ranking, or of several fused; see `lists.merged`.

        Args:
            rankings: of one query; all of documents or all of passages.
            k: how many passages.
            fusion: a choice of rank/fusion.
            weights: of each list by its name, for a fusion that weighs.

        Raises:
            UnknownName: there is no such fusion.
            BadInput: it knows no weights, and some are given.
        """
        return shown(merged(rankings, k, fusion, weights)) if rankings else []

    def passages_of(self, doc_id: str, query: str) -> list[Passage]:
        """The passages of a document with words of a query, which may be half typed, in its order.

        Of very many only the best by BM25 are given, and it is said so.

        Raises:
            UnknownName: the index has no document of that id.
        """
        asked = parse(query, lenient=True)

        def answer(lists: Lists) -> tuple[list[Passage], bool]:
            ranking, more = lists.passages(asked, doc_id)
            return shown(merged([ranking], len(ranking.found))), more

        found, more = self._answered(answer)
        if more:
            self._say(f"{doc_id} has more passages that match; the best are listed")
        return found

    def document(self, doc_id: str) -> DocumentRecord:
        """What is known of a document.

        Raises:
            UnknownName: the index has none of that id.
        """
        return self.generation.catalogue.documents([doc_id])[doc_id]

    def document_text(self, doc_id: str) -> str:
        """The text of a document, put together from its chunks; offsets of passages hold in it.

        Raises:
            UnknownName: the index has none of that id.
        """
        return self._answered(lambda lists: text_of(lists.generation, doc_id))

    def _nearest(
        self,
        lists: Lists,
        name: str,
        asked: Query,
        k: int,
        vector_index: str | None,
        **how: Any,
    ) -> Ranking:
        kind = lists.dense.vector_index(name, vector_index)
        there = len(lists.generation.segments)
        covered = len(lists.generation.encoders()[name].segments)
        if there and not covered:
            raise _NoVectors(
                f"{self.path} holds no vectors of {name} yet; run: searchkit index --name "
                f"{self.path.name}"
            )
        if missing := there - covered:
            self._tell(
                f"{missing} of {there} segments are not encoded by {name} yet; run searchkit index"
            )
        if not covered:  # nor is there anything to find
            return Ranking(name, (), asked, how["per_document"], lists)
        with ThreadPoolExecutor(1) as beside:  # the first time, both take long: files and a model
            opening = beside.submit(lists.dense.encoded, name, kind)
            vector = self._vector(lists, name, asked.text)
            return lists.nearest(name, asked, vector, opening.result(), k, **how)

    def _tell(self, line: str) -> None:
        """Say a line, once."""
        if line not in self._said:
            self._said.add(line)
            self._say(line)

    def _vector(self, lists: Lists, name: str, text: str) -> "Vectors":
        """The vector of a query, (D,) float32; the model is loaded if it is not yet."""
        store = lists.generation.store
        if self._encode is not None:
            return self._encode(store, name, text)
        fingerprint = lists.generation.encoders()[name].facts["fingerprint"]
        with self._encoding:
            encoder = self._encoders.get(name)
            if encoder is None or encoder.fingerprint != fingerprint:
                (opened,) = open_encoders(store, [name], device=self._device)
                encoder = _Encoder(fingerprint, query_encoder(opened, name, self._say))
                self._encoders[name] = encoder
            return encoder.vector(text)

    def _answered(self, answer: Callable[[Lists], Result]) -> Result:
        """An answer of the generation that is open, if a part that it needs is still there.

        A part that was not opened yet may have been replaced: then the newest generation answers.
        """
        for _ in range(_TRIES):
            lists = self._lists
            try:
                return answer(lists)
            except (Rebuilt, CorruptFile, OSError):
                if lists.generation.is_newest():
                    raise
                self.refresh()
        raise SearchkitError(f"{self.path} was rebuilt {_TRIES} times during one search; try again")


def open_searcher(
    path: Path,
    device: str | None = None,
    say: Callable[[str], None] = lambda line: None,
    encode: EncodeQuery | None = None,
) -> Searcher:
    """Open a folder index for searching.

    Args:
        path: its directory.
        device: where to compute; the best there is by default.
        say: told in a line what the user should know of a search.
        encode: encodes the queries; by default a model that is loaded for it.

    Raises:
        UnknownName: there is no such index.
        BadInput: it is not the index of a folder.
        CorruptFile: a file that is needed is not what was written.
    """
    return Searcher(path, device, say, encode)


class _NoVectors(UnknownName):
    """An encoder of the index has not encoded any of it."""


class _Encoder:
    """An encoder of queries that remembers the last ones."""

    def __init__(self, fingerprint: str, encode: "Callable[[Sequence[str]], Vectors]") -> None:
        self.fingerprint = fingerprint
        self._encode = encode
        self._known: OrderedDict[str, Vectors] = OrderedDict()

    def vector(self, text: str) -> "Vectors":
        """The vector of a query, (D,) float32."""
        if text not in self._known:
            self._known[text] = self._encode([text])[0]
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(text)
        return self._known[text]


def _opened(path: Path, before: Generation | None = None) -> Lists:
    """The newest generation; its catalogue is closed when nothing refers to it any more."""
    lists = open_newest(path, Lists, before)
    lists.generation.catalogue.close_when_unused()
    return lists


def _asked(query: str | Query, typing: bool = False) -> Query:
    """A query as it was read, or read now."""
    if isinstance(query, Query):
        return query
    if typing:
        return parse(query, lenient=True)
    refuse_unreadable(query)
    return parse(query)


def _chosen(
    generation: Generation, mode: Mode | None, variant: str | None, vector_index: str | None
) -> tuple[Mode, str | None]:
    """See `Searcher.choose`."""
    path = generation.store.path
    if mode not in (None, *MODES):
        raise UnknownName(f"there is no mode {mode!r}; there are: {', '.join(MODES)}")
    if mode == WORDS and (variant or vector_index not in (None, EXACT)):
        raise BadInput(
            f"--mode bm25 searches no vectors, so {variant or vector_index} has no part in it; "
            "leave it out, or choose --mode dense or hybrid"
        )
    there = {name: coverage.facts for name, coverage in generation.encoders().items()}
    noted = default_of(generation.store)
    if noted and variant is None and mode != WORDS and noted["variant"] in (None, *there):
        if mode is None and vector_index is None:
            mode = noted["mode"]
        variant = noted["variant"]
    trained = [one for one in there if variant in (None, one) and is_trained(there[one])]
    if mode is None:
        named = variant is not None or vector_index not in (None, EXACT)
        mode = "hybrid" if trained else "dense" if named else "bm25"
    if mode == WORDS:
        return mode, None
    if variant is None and len(trained) == 1:
        variant = trained[0]
    if not there:
        raise UnknownName(
            f"{path} holds no vectors, only BM25; search with --mode bm25, or add vectors with: "
            "searchkit index ... --variant tuned"
        )
    if variant is None and len(there) > 1:
        raise BadInput(f"{path} holds vectors of {', '.join(there)}; choose with --variant")
    if variant is not None and variant not in there:
        raise UnknownName(
            f"{path} holds vectors of {', '.join(there)}, not of {variant}; choose one of them, or "
            f"add it with: searchkit index ... --variant {variant}"
        )
    return mode, variant or next(iter(there))
