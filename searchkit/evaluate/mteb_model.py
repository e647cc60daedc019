"""searchkit's embedders as models of the MTEB package: `mteb.evaluate(as_mteb_model(...), tasks)`.

Whoever wants a figure for a leaderboard, or a task that searchkit does not have, gets it from the
package itself. Texts take the roles that the package gives them: what it calls documents are
passages, all else are queries, as in searchkit's own tasks.

Source: the encoder protocol of https://github.com/embeddings-benchmark/mteb, version 2.26.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from searchkit.errors import BadInput, MissingExtra

if TYPE_CHECKING:
    from torch import Tensor

    from searchkit.encode.embedder import Role, TextEncoder, Vectors
    from searchkit.encode.variant import Variant


def as_mteb_model(
    variant: "str | Variant",
    *,
    device: str | None = None,
    engine: str | None = None,
    dtype: str | None = None,
    allow_untrained: bool = False,
    **fields: Any,
) -> "MtebModel":
    """A variant as a model that the package evaluates.

    Args:
        variant: a variant, or what a command line names: `mean-causal`, a JSON file that holds a
            row, or `st:<folder>` for a sentence-transformers directory.
        device: such as "cuda"; the best there is by default.
        engine: a choice of encode/engines; the calibrated one by default.
        dtype: "float32", "bfloat16" or "int8"; the calibrated one by default.
        allow_untrained: let a pooling pass whose weights were never trained.
        fields: that replace the variant's, such as `base` or `max_tokens`.

    Raises:
        MissingExtra: the package is not installed.
        UnknownName: no such variant.
        BadInput: a reference embedder is asked to be other than its makers meant it.
    """
    _mteb()  # before a model is loaded
    from searchkit.encode import loading, reference
    from searchkit.encode.variant import parse

    if isinstance(variant, str) and (
        variant.startswith(reference.PREFIX) or f"={reference.PREFIX}" in variant
    ):
        asked = {"engine": engine, "dtype": dtype, **fields}
        if given := [name for name, value in asked.items() if value is not None]:
            raise BadInput(f"{variant} comes as it is; leave out {', '.join(given)}")
        name, folder = reference.parse(variant)
        return MtebModel(reference.ReferenceEmbedder(name, folder, device=device))
    if isinstance(variant, str):
        row = parse(variant, **fields)
    else:
        row = dataclasses.replace(variant, **fields)
    (embedder,) = loading.open_embedders(
        [row],
        device=device,
        engine=engine,
        dtype=dtype,
        allow_untrained=allow_untrained,
    )
    return MtebModel(embedder)


class MtebModel:
    """What the package calls an encoder, around one of searchkit's.

    Args:
        encoder: with one variant, or a reference embedder.

    Attributes:
        mteb_model_meta: what results of the package are filed under: `searchkit/<name>`, and as
            its revision the fingerprint of the variant and its base.

    Raises:
        MissingExtra: the package is not installed.
    """

    def __init__(self, encoder: "TextEncoder") -> None:
        (self._name,) = encoder.names
        self._encoder = encoder
        facts = encoder.facts(self._name)
        models = _mteb().models
        self.mteb_model_meta = models.ModelMeta.create_empty(
            overwrites={
                "name": f"searchkit/{self._name}",
                "revision": facts["fingerprint"],
                "embed_dim": facts["dimension"],
                "max_tokens": encoder.max_tokens,
                "similarity_fn_name": models.model_meta.ScoringFunction.COSINE,
                "framework": ["PyTorch"],
                "modalities": ["text"],
            }
        )

    def encode(
        self,
        inputs: Iterable[Mapping[str, Any]],
        *,
        task_metadata: Any,
        hf_split: str,
        hf_subset: str,
        prompt_type: str | None = None,
        **kwargs: Any,
    ) -> "Vectors":
        """The vectors of some texts; only the texts and their role have a say in them.

        Args:
            inputs: batches with a list of texts each, as "text". searchkit makes its own batches.
            task_metadata: of the task that asks.
            hf_split: likewise.
            hf_subset: likewise.
            prompt_type: "query", "document" or None.
            kwargs: what else the package may pass on, such as a batch size.

        Returns:
            (N, D), float32, rows of unit length.

        Raises:
            EmptyText: a text without any token.
        """
        role: Role = "passage" if prompt_type == "document" else "query"
        texts = [text for batch in inputs for text in batch["text"]]
        encoder = self._encoder
        return encoder.encode_prepared(encoder.prepare(texts, role)).vectors[self._name]

    def similarity(self, first: Any, second: Any) -> "Tensor":
        """Cosines of each of (N, D) unit vectors with each of (M, D): (N, M)."""
        a, b = _tensors(first, second)
        return a @ b.T

    def similarity_pairwise(self, first: Any, second: Any) -> "Tensor":
        """Cosines of (N, D) unit vectors with those of the same rows: (N,)."""
        a, b = _tensors(first, second)
        return (a * b).sum(dim=-1)


def _tensors(*vectors: Any) -> "tuple[Tensor, ...]":
    import torch

    return tuple(torch.atleast_2d(torch.as_tensor(np.asarray(one))) for one in vectors)


def _mteb() -> Any:
    try:
        import mteb
    except ImportError as error:
        raise MissingExtra(
            "models for MTEB need its package: pip install 'searchkit[mteb]'"
        ) from error
    return mteb
