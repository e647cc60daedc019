"""Teachers: reference embedders whose similarities a variant in training may learn from."""

from collections.abc import Sequence
from pathlib import Path

from searchkit.encode.embedder import Vectors
from searchkit.encode.reference import ReferenceEmbedder, parse
from searchkit.train.learner import Teacher

DISTILLATION = 0.5  # its share of the loss, where nobody says otherwise


def open_teacher(given: str, memories: Path, *, device: str | None = None) -> tuple[Teacher, str]:
    """A reference embedder as a teacher; what it computed before is remembered.

    Args:
        given: `st:<folder>`.
        memories: the folder of what is remembered.
        device: where it computes; the best there is by default.

    Returns:
        Vectors of texts, and the hash of what computes them.

    Raises:
        BadInput: see `searchkit.encode.reference`.
    """
    name, folder = parse(given)
    embedder = ReferenceEmbedder(name, folder, device=device, memories=memories)

    def teach(texts: Sequence[str]) -> Vectors:
        return embedder.encode(texts).vectors[name]

    return teach, embedder.facts(name)["base_hash"]
