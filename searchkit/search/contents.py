"""What the index of a corpus holds beside its texts: vectors, and what was built over them."""

from typing import TYPE_CHECKING, Any

from searchkit import catalog
from searchkit.errors import UnknownName
from searchkit.index.mapped import map_array
from searchkit.index.store import Store, part_of

if TYPE_CHECKING:
    from searchkit.index.vector import VectorIndex, Vectors

VECTOR_INDEXES = "searchkit.index.vector"
EXACT = "flat"  # needs no file of its own: it scans the stored vectors
RECALL_CUTOFF = 10
RECALL = f"recall@{RECALL_CUTOFF}"


def vectors_of(store: Store, name: str) -> "Vectors":
    """The stored vectors of one encoder, (N, D) float32, memory-mapped.

    Raises:
        UnknownName: the index has none by that name; the message lists those it has.
    """
    return map_array(store.part(part_of("vectors", name)) / "vectors.npy")


def open_vector_index(store: Store, name: str, kind: str = EXACT) -> "VectorIndex":
    """The vector index of one encoder.

    Raises:
        UnknownName: there is no such choice, or it was not built for this encoder.
    """
    vectors = vectors_of(store, name)
    if kind not in built_kinds(store, name):
        raise UnknownName(
            f"{store.path} has no vector index {kind!r} over {name}; there are: "
            f"{', '.join(built_kinds(store, name))}; build one of "
            f"{', '.join(catalog.names(VECTOR_INDEXES))} with: searchkit index ... --vector-index"
        )
    folder = store.path if kind == EXACT else store.part(part_of(kind, name))
    index: VectorIndex = catalog.load(VECTOR_INDEXES, kind).open_saved(folder, vectors)
    return index


def encoders(store: Store) -> dict[str, dict[str, Any]]:
    """What is known of each encoder whose vectors an index holds, by name."""
    facts = (dict(store.facts(part)) for part in store.names() if part.startswith("vectors."))
    return {entry["name"]: entry for entry in facts}


def built_kinds(store: Store, name: str) -> list[str]:
    """The vector indexes that can be opened for one encoder."""
    there = [kind for kind in catalog.names(VECTOR_INDEXES) if part_of(kind, name) in store.names()]
    return [EXACT, *there]


def recall_of(store: Store, name: str, kind: str) -> float:
    """The recall of a vector index against exact search, as measured when it was built."""
    return 1.0 if kind == EXACT else float(store.facts(part_of(kind, name))[RECALL])


def bytes_of(store: Store, name: str, kind: str) -> int:
    """The size of what a search through a vector index reads; exact search reads the vectors."""
    return store.size_bytes(part_of("vectors" if kind == EXACT else kind, name))
