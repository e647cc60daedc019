"""Texts to vectors, as tasks ask for them: every distinct text once."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from searchkit.encode.embedder import Role

Vectors = npt.NDArray[np.float32]
Encode = Callable[[Sequence[str], "Role"], Vectors]
"""Texts and their role to vectors of unit length: (N, D) float32 in the order of the texts."""


def vectors_of(texts: Iterable[str], role: "Role", encode: Encode) -> dict[str, Vectors]:
    """The vector of each distinct text, (D,) float32; all of them are encoded in one call.

    Raises:
        ValueError: `encode` does not give one vector a text.
    """
    distinct = list(dict.fromkeys(texts))
    vectors = encode(distinct, role)
    if vectors.ndim != 2 or len(vectors) != len(distinct):
        raise ValueError(f"vectors of shape {vectors.shape} for {len(distinct)} texts")
    return dict(zip(distinct, vectors, strict=True))


def cosines(first: Vectors, second: Vectors) -> Vectors:
    """The cosine of the angle between each row of `first` and the same row of `second`.

    Summed in float64 and rounded to the precision of the vectors, so that equal texts have a
    similarity of exactly 1 and tie: in float32 alone, the order of the sums would rank them.

    Args:
        first: (N, D), float32.
        second: (N, D) or (1, D), float32.

    Returns:
        (N,), float32.
    """
    a, b = first.astype(np.float64), second.astype(np.float64)
    products = np.einsum("nd,nd->n", a, np.broadcast_to(b, a.shape))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    cosine: Vectors = (products / lengths).astype(np.float32)
    return cosine
