"""An index that gives its vectors to another one, for the texts that both have."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from blake3 import blake3

from searchkit.corpus.collection import joined
from searchkit.encode.embedder import Encoded, OnBatch, Role, TextEncoder
from searchkit.index.documents import DocumentStore
from searchkit.index.live.generation import KIND, Generation
from searchkit.index.store import Store
from searchkit.index.vector import Vectors

_Place = tuple[int, int]  # a part of an index, and a row of it


class Donated:
    """An encoder that takes the vectors of known passages from an index, and makes the others.

    Args:
        encoder: whose vectors the index holds.
        texts: as they were encoded, for each part of the index: a corpus has one, a folder some.
        vectors: by name of the encoder and part, (N, D), a row for each text.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        texts: Iterable[Iterable[str]],
        vectors: Mapping[str, Sequence[Vectors]],
    ) -> None:
        self._encoder, self._vectors = encoder, vectors
        self._places: dict[bytes, _Place] = {}
        for part, some in enumerate(texts):
            for row, text in enumerate(some):
                self._places.setdefault(_key(text), (part, row))

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
        """The places of passages that the index holds, and the preparation of the others."""
        places = [self._places.get(_key(text)) if role == "passage" else None for text in texts]
        new = [number for number, place in enumerate(places) if place is None]
        called = [names[number] for number in new] if names else None
        known = [text for text, place in zip(texts, places, strict=True) if place is not None]
        return _Prepared(
            places,
            self._encoder.prepare([texts[number] for number in new], role, called),
            _cut(self._encoder.prepare(known, role)),
        )

    def encode_prepared(
        self, prepared: "_Prepared", on_batch: OnBatch = lambda texts, tokens: None
    ) -> Encoded:
        """Vectors of all, in the order of the texts; tokens are those of new texts."""
        encoded = self._encoder.encode_prepared(prepared.new, on_batch)
        places = prepared.places
        new = [number for number, place in enumerate(places) if place is None]
        vectors = {}
        for name, made in encoded.vectors.items():
            vectors[name] = np.empty((len(places), made.shape[1]), dtype=np.float32)
            vectors[name][new] = made
            for number, place in enumerate(places):
                if place is not None:
                    part, row = place
                    vectors[name][number] = self._vectors[name][part][row]
        if len(new) < len(places):
            on_batch(len(places) - len(new), 0)
        return Encoded(vectors, encoded.tokens, encoded.truncated + prepared.cut)


@dataclass(frozen=True, slots=True)
class _Prepared:
    """Texts ready to be encoded.

    Attributes:
        places: of each text in the index; None where it holds none.
        new: the encoder's preparation of those that it does not hold.
        cut: how many of those that it holds are longer than the encoder reads.
    """

    places: list[_Place | None]
    new: Any
    cut: int


def donated(encoder: TextEncoder, store: Store) -> TextEncoder:
    """The encoder with an index as its donor; itself where the index lacks one of its names.

    An index counts only if the same design on the same base made its vectors in the same dtype:
    else new texts would be told from the others by their rounding.
    """
    from searchkit.search import contents

    there = contents.encoders(store)
    for name in encoder.names:
        held, wanted = there.get(name, {}), encoder.facts(name)
        if any(held.get(fact) != wanted[fact] for fact in ("fingerprint", "dtype")):
            return encoder
    if store.corpus.get("kind") == KIND:
        return _by_folder(encoder, Generation(store))
    documents = DocumentStore.open(store.part("documents"))
    vectors = {name: [contents.vectors_of(store, name)] for name in encoder.names}
    return Donated(encoder, [map(joined, documents)], vectors)


def _by_folder(encoder: TextEncoder, generation: Generation) -> TextEncoder:
    """The encoder with the segments that all its names have encoded."""
    there = generation.encoders()
    shared = [
        number
        for number in generation.segments
        if all(number in there[name].segments for name in encoder.names)
    ]
    vectors: dict[str, list[Vectors]] = {name: [] for name in encoder.names}
    for number in shared:
        for name in encoder.names:
            found = generation.vectors(name, number)
            assert found is not None  # `segments` of an encoder are those that have some
            vectors[name].append(found)
    texts = ((row.embedded for row in generation.segment(number)) for number in shared)
    return Donated(encoder, texts, vectors)


def _cut(prepared: Any) -> int:
    """How many texts are cut; not known of an encoder that tokenises as it goes, and then 0."""
    return sum(text.truncated for text in prepared) if isinstance(prepared, list) else 0


def _key(text: str) -> bytes:
    return blake3(text.encode()).digest(length=16)
