"""Rankings by the searches of a folder's index: what somebody who searches the folder is shown."""

from collections.abc import Sequence
from pathlib import Path

from searchkit.corpus.collection import Collection
from searchkit.corpus.notes import note
from searchkit.errors import BadInput
from searchkit.evaluate.tasks.retrieval import LEXICAL, Ranked
from searchkit.index.live.query import parse
from searchkit.records import Hit
from searchkit.search.judging import LITERAL, asked
from searchkit.search.live.retrieve import DEPTH, open_searcher
from searchkit.search.watcher import Watcher


def rank(
    collection: Collection,
    index: Path,
    encoders: Sequence[str],
    *,
    device: str | None = None,
    watcher: Watcher | None = None,
) -> Ranked:
    """Rank the documents of a folder by its own BM25 and by each encoder, the best passage of each.

    Rankings hold 100 documents: as many as a hybrid search of the folder fuses.

    Args:
        collection: whose queries are asked as they were when documents were judged for them; see
            `search.judging.asked`.
        index: of the folder.
        encoders: by their names in the index.
        device: where queries are encoded.
        watcher: told what a reader should know.

    Raises:
        UnknownName: the index has no vectors of an encoder.
    """
    watcher = watcher or Watcher()
    searcher = open_searcher(index, device, watcher.say)
    runs: dict[str, dict[str, list[Hit]]] = {name: {} for name in (LEXICAL, *encoders)}
    literal = {query.query_id for query in collection.queries if LITERAL in query.metadata}
    for query in collection.queries:
        wanted = asked(query.text, query.query_id in literal)
        runs[LEXICAL][query.query_id] = searcher.search_words(wanted, DEPTH).hits()
        for name in encoders:
            found = searcher.search_dense(wanted, DEPTH, variant=name)
            runs[name][query.query_id] = found.hits()
    known = searcher.generation.encoders()
    facts = {LEXICAL: {}, **{name: dict(known[name].facts) for name in encoders}}
    unread = [
        repr(query.text)
        for query in collection.queries
        if query.query_id not in literal and not _can_be_read(query.text)
    ]
    notes = note("queries that the language of queries cannot read", unread, "asked as words")
    return Ranked({**runs}, facts=facts, notes=notes)


def _can_be_read(text: str) -> bool:
    try:
        parse(text)
    except BadInput:
        return False
    return True
