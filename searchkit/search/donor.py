"""An index that gives its vectors to another one, for the texts that both have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3

from searchkit.corpus.collection import joined
from searchkit.encode.embedder import Encoded, OnBatch, Role, TextEncoder
from searchkit.index.documents import DocumentStore
from searchkit.index.store import Store
from searchkit.index.vector import Vectors


class Donated:
    """An encoder that takes the vectors of known passages from an index, and makes the others.

    Args:
        encoder: whose vectors the index holds.
        documents: of the index.
        vectors: by name of the encoder, (N, D), a row for each document.
    """

    def __init__(
        self, encoder: TextEncoder, documents: DocumentStore, vectors: dict[str, Vectors]
    ) -> None:
        self._encoder, self._vectors = encoder, vectors
        self._rows: dict[bytes, int] = {}
        for row, document in enumerate(documents):
            self._rows.setdefault(_key(joined(document)), row)

    @property
    def names(self) -> tuple[str, ...]:
        """Those of the encoder."""
        return self._encoder.names

    @property
    def max_tokens(self) -> int:
        """That of the encoder."""
        return self._encoder.max_tokens

    @property
    def tokens_per_s(self) -> float | None:
        """That of the encoder."""
        return self._encoder.tokens_per_s

    def dimension(self, name: str) -> int:
        """That of the encoder."""
        return self._encoder.dimension(name)

    def facts(self, name: str) -> dict[str, Any]:
        """Those of the encoder: vectors are the same, whoever had them."""
        return self._encoder.facts(name)

    def unknown_tokens(self, prepared: "_Prepared") -> int:
        """Those of the texts that the index does not hold."""
        return self._encoder.unknown_tokens(prepared.new)

    def prepare(
        self, texts: Sequence[str], role: Role, names: Sequence[str] | None = None
    ) -> "_Prepared":
        """The rows of passages that the index holds, and the preparation of the others."""
        rows = [self._rows.get(_key(text)) if role == "passage" else None for text in texts]
        new = [place for place, row in enumerate(rows) if row is None]
        called = [names[place] for place in new] if names else None
        known = [text for text, row in zip(texts, rows, strict=True) if row is not None]
        return _Prepared(
            rows,
            self._encoder.prepare([texts[place] for place in new], role, called),
            _cut(self._encoder.prepare(known, role)),
        )

    def encode_prepared(
        self, prepared: "_Prepared", on_batch: OnBatch = lambda texts, tokens: None
    ) -> Encoded:
        """Vectors of all, in the order of the texts; tokens are those of new texts."""
        encoded = self._encoder.encode_prepared(prepared.new, on_batch)
        rows = prepared.rows
        new = [place for place, row in enumerate(rows) if row is None]
        known = [place for place, row in enumerate(rows) if row is not None]
        vectors = {}
        for name, made in encoded.vectors.items():
            vectors[name] = np.empty((len(rows), made.shape[1]), dtype=np.float32)
            vectors[name][new] = made
            vectors[name][known] = self._vectors[name][[row for row in rows if row is not None]]
        if known:
            on_batch(len(known), 0)
        return Encoded(vectors, encoded.tokens, encoded.truncated + prepared.cut)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Texts ready to be encoded.

    Attributes:
        rows: of each text in the index; None where it holds none.
        new: the encoder's preparation of those that it does not hold.
        cut: how many of those that it holds are longer than the encoder reads.
    """

    rows: list[int | None]
    new: Any
    cut: int


def donated(encoder: TextEncoder, store: Store) -> TextEncoder:
    """The encoder with an index as its donor; itself where the index lacks one of its names.

    An index counts only if the same design on the same base made its vectors in the same dtype:
    else new texts would be told from the others by their rounding.
    """
    from searchkit.search import build

    there = build.encoders(store)
    for name in encoder.names:
        held, wanted = there.get(name, {}), encoder.facts(name)
        if any(held.get(fact) != wanted[fact] for fact in ("fingerprint", "dtype")):
            return encoder
    vectors = {name: build.vectors_of(store, name) for name in encoder.names}
    return Donated(encoder, DocumentStore.open(store.part("documents")), vectors)


def _cut(prepared: Any) -> int:
    """How many texts are cut; not known of an encoder that tokenises as it goes, and then 0."""
    return sum(text.truncated for text in prepared) if isinstance(prepared, list) else 0


def _key(text: str) -> bytes:
    return blake3(text.encode()).digest(length=16)
