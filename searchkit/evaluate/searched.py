"""Rankings by the searches of a folder's index: what somebody who searches the folder is shown."""

from collections.abc import Sequence
from pathlib import Path

from searchkit.corpus.collection import Collection
from searchkit.errors import BadInput
from searchkit.evaluate.tasks.retrieval import LEXICAL, Ranked
from searchkit.records import Hit
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
        collection: whose queries are asked, in the language of `index.live.query`, as they were
            typed; one that cannot be read finds nothing, and a note says so.
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
    for query in collection.queries:
        try:
            runs[LEXICAL][query.query_id] = searcher.search_words(query.text, DEPTH).hits()
            for name in encoders:
                found = searcher.search_dense(query.text, DEPTH, variant=name)
                runs[name][query.query_id] = found.hits()
        except BadInput as error:
            watcher.say(f"{query.text!r} finds nothing: {error}")
    known = searcher.generation.encoders()
    facts = {LEXICAL: {}, **{name: dict(known[name].facts) for name in encoders}}
    return Ranked({**runs}, facts=facts)
