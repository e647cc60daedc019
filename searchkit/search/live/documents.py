"""What the index of a folder holds as the documents of a corpus: whole ones, or its passages.

Both can be read any number of times, in an order that stays while the index does.
"""

from collections.abc import Iterator

from searchkit.index.live.generation import Generation
from searchkit.records import Document
from searchkit.search.live.passages import Piece, whole_text


class Wholes:
    """The documents of a generation, each with its text put together from its chunks."""

    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    def __len__(self) -> int:
        return self._generation.catalogue.number_of_documents()

    def __iter__(self) -> Iterator[Document]:
        for doc_id, record in self._generation.catalogue.documents().items():
            yield Document(doc_id, record.title, text_of(self._generation, doc_id))

    @property
    def ids(self) -> list[str]:
        """The id of each, in their order."""
        return list(self._generation.catalogue.documents())

    def by_id(self, doc_id: str) -> Document:
        """One of them.

        Raises:
            UnknownName: there is none of that id.
        """
        record = self._generation.catalogue.documents([doc_id])[doc_id]
        return Document(doc_id, record.title, text_of(self._generation, doc_id))


class Passages:
    """The chunks of a generation as an embedder reads them, headings first; `<document>:<chunk>`.

    The ids stay as long as the chunks do.
    """

    def __init__(self, generation: Generation) -> None:
        self._generation = generation

    def __len__(self) -> int:
        return self._generation.catalogue.number_of_chunks()

    def __iter__(self) -> Iterator[Document]:
        for chunk in self._generation.catalogue.all_chunks():
            text = self._generation.row(chunk).embedded
            yield Document(f"{chunk.doc_id}:{chunk.chunk_id}", "", text)


def text_of(generation: Generation, doc_id: str) -> str:
    """The text of a document, put together from its chunks; offsets of passages hold in it.

    Raises:
        UnknownName: the index has none of that id.
    """
    return whole_text(
        Piece(one.start, generation.row(one).text, one.first_line, one.last_line)
        for one in generation.catalogue.chunks_of_document(doc_id)
    )
