"""A folder that is followed, and an encoder whose vectors anyone can compute again."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from blake3 import blake3

from searchkit.encode import language_models
from searchkit.encode.embedder import Encoded
from searchkit.encode.variant import Variant, parse
from searchkit.index.live.generation import Generation, open_newest
from searchkit.index.live.query import parse as parse_query
from searchkit.search.live.sync import Plan, Report, sync

DIMENSION = 8


def toy_vector(name: str, text: str) -> np.ndarray:
    """A unit vector, (8,) float32, that the name of an encoder and a text decide."""
    seed = int.from_bytes(blake3(f"{name}\0{text}".encode()).digest(length=8), "big")
    vector = np.random.default_rng(seed).standard_normal(DIMENSION)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class ToyEncoder:
    """A `TextEncoder` that needs no model; it remembers all texts that it encoded."""

    tokens_per_s = None
    max_tokens = 256

    def __init__(self, variants: Iterable[Variant], engine: str | None, dtype: str | None) -> None:
        self._variants = {variant.name: variant for variant in variants}
        self._arithmetic = {"engine": engine or "toy", "dtype": dtype or "float32"}
        self.texts: list[str] = []

    @property
    def names(self):
        return tuple(self._variants)

    def dimension(self, name):
        return DIMENSION

    def prepare(self, texts, role, names=None):
        return list(texts)

    def encode_prepared(self, prepared, on_batch=lambda texts, tokens: None):
        self.texts += prepared
        on_batch(len(prepared), len(prepared))
        vectors = {
            name: np.array([toy_vector(name, text) for text in prepared]) for name in self.names
        }
        return Encoded(vectors, len(prepared), 0)

    def unknown_tokens(self, prepared):
        return len(prepared)

    def facts(self, name):
        variant = self._variants[name]
        base = language_models.resolve(variant.base).hash
        return {
            "kind": "variant",
            "variant": variant.to_row(),
            "base_hash": base,
            "fingerprint": variant.fingerprint(base),
            "dimension": DIMENSION,
            **self._arithmetic,
            "proof": {},
        }


class Followed:
    """A folder, its index, and what its encoders did.

    Attributes:
        folder: what is indexed.
        path: the directory of the index.
        encoded: the texts that were encoded since it was emptied, by name of their encoder.
    """

    def __init__(self, place: Path, base: str) -> None:
        self.folder, self.path = place / "notes", place / "index"
        self.folder.mkdir()
        self.base = base
        self.encoded: dict[str, list[str]] = {}
        self._variants: tuple[Variant, ...] = ()

    def write(self, name: str, text: str | bytes) -> Path:
        """Write a file of the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def variants(self, *names: str, **fields) -> tuple[Variant, ...]:
        """Designs on the tiny base."""
        return tuple(parse(name, base=self.base, max_tokens=24, **fields) for name in names)

    def sync(self, *places: Path, variants: tuple[str, ...] = (), **plan) -> Report:
        """Bring the index into step; the folder is what is followed by default."""
        told = {"workers": 1, "variants": self.variants(*variants), "base": None, **plan}
        if places == () and not self.path.exists():
            places = (self.folder,)
        return sync(self.path, places, Plan(**told), open_encoders=self.open_encoders)

    def open_encoders(self, variants, *, device, engine, dtype, allow_untrained):
        """Toys in the place of what the variants name."""
        encoder = ToyEncoder(variants, engine, dtype)
        yield encoder
        for name in encoder.names:
            self.encoded.setdefault(name, []).extend(encoder.texts)

    def open(self) -> Generation:
        """The newest generation."""
        return open_newest(self.path, lambda generation: generation)

    def texts(self) -> dict[str, list[str]]:
        """The texts of the chunks of every document, by id."""
        generation = self.open()
        return {
            doc_id: [
                generation.row(chunk).text
                for chunk in generation.catalogue.chunks_of_document(doc_id)
            ]
            for doc_id in generation.catalogue.documents()
        }

    def found(self, query: str) -> set[str]:
        """The documents that BM25 finds."""
        generation = self.open()
        hits = generation.words.search(parse_query(query), 1000)
        chunks = generation.catalogue.chunks(chunk_id for chunk_id, _ in hits)
        return {chunk.doc_id for chunk in chunks}

    def vectors(self, name: str) -> dict[str, list[np.ndarray]]:
        """The vectors of the chunks of every document by an encoder, by id."""
        generation = self.open()
        found: dict[str, list[np.ndarray]] = {}
        for doc_id in generation.catalogue.documents():
            for chunk in generation.catalogue.chunks_of_document(doc_id):
                vectors = generation.vectors(name, chunk.segment)
                assert vectors is not None, f"segment {chunk.segment} is not encoded by {name}"
                found.setdefault(doc_id, []).append(vectors[chunk.row])
        return found


def outcomes(report: Report) -> dict[str, str]:
    """What became of each file, by its name."""
    return {Path(file.path).name: file.what for file in report.files}


@pytest.fixture(scope="session")
def toy() -> SimpleNamespace:
    """What tests compute again: `vector(name, text)`, `outcomes(report)`."""
    return SimpleNamespace(vector=toy_vector, outcomes=outcomes)


@pytest.fixture(scope="session")
def follow(tmp_path_factory, tiny_model) -> Callable[[], Followed]:
    """Makes folders that were never indexed."""
    return lambda: Followed(tmp_path_factory.mktemp("followed"), str(tiny_model("llama")))


@pytest.fixture
def followed(follow) -> Followed:
    """An empty folder that was never indexed."""
    return follow()
