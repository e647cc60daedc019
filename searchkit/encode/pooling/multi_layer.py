"""Multi-layers trainable pooling: a resampler reads one summary of every layer.

The summary of a layer is its EOS state under causal attention (the study's model 3) and the mean of
its token states under bidirectional attention (model 5), unless `summaries` says which. A learned
row per layer, W, is added to it, so that the resampler can tell layers apart. Source: Tang and Yang
2024, arXiv:2409.02727.

Two departures, each with the original expressible: token states are brought to unit RMS before they
are summarised (`normalise_states`), and W starts small (`layer_scale`), where the original's N(0,
1) drowns layers of small norm.
"""

import torch
from torch import Tensor, nn

from searchkit.encode.pooling._resampler import Resampler
from searchkit.encode.states import LAYER_EOS, LAYER_MEANS, RAW
from searchkit.errors import UnknownName

TRAINABLE = True
_SUMMARIES = {"eos": LAYER_EOS, "mean": LAYER_MEANS}


def reads(attention: str, *, normalise_states: bool = True, summaries: str | None = None) -> str:
    """One summary a layer.

    Args:
        attention: decides which where `summaries` does not.
        normalise_states: whether token states are brought to unit RMS first.
        summaries: "eos" or "mean"; None for EOS states under causal attention, means otherwise.

    Raises:
        UnknownName: summaries of another kind.
    """
    chosen = summaries or ("eos" if attention == "causal" else "mean")
    if chosen not in _SUMMARIES:
        raise UnknownName(
            f"multi_layer has no summaries {chosen!r}; there are: {', '.join(_SUMMARIES)}"
        )
    return _SUMMARIES[chosen] + ("" if normalise_states else RAW)


def build(
    dim: int,
    n_layers: int,
    *,
    latents: int = 64,
    heads: int | None = None,
    head_dim: int = 64,
    ff_multiplier: int = 4,
    latent_scale: float = 0.02,
    layer_scale: float = 0.02,
) -> "MultiLayerPooling":
    """The pooling for `n_layers` summaries of size `dim`, with weights that are yet to be trained.

    The study's own proportions, at dim 4096 and 32 layers: latents=768, heads=32, head_dim=2048,
    latent_scale=1.0, layer_scale=1.0, and normalise_states=False for what it reads. layer_scale=0.0
    leaves W out: it stays zero and is not trained.
    """
    heads = heads or max(1, dim // head_dim)  # as wide as a state, whatever the base
    resampler = Resampler(
        dim,
        latents=latents,
        heads=heads,
        head_dim=head_dim,
        ff_multiplier=ff_multiplier,
        latent_scale=latent_scale,
    )
    return MultiLayerPooling(
        resampler, torch.randn(n_layers, dim) * layer_scale, trained=layer_scale > 0
    )


class MultiLayerPooling(nn.Module):
    """Add a learned row to each layer's summary, then resample."""

    def __init__(self, resampler: Resampler, layer_rows: Tensor, *, trained: bool) -> None:
        super().__init__()
        self.resampler = resampler
        self.layer_rows = nn.Parameter(layer_rows, requires_grad=trained)  # W, (L, D)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool one batch.

        Args:
            states: (B, L, D), any float dtype. The summary of each layer, from the first to the
                last read.
            mask: (B, L), bool. All True: every text has every layer.

        Returns:
            (B, D), float32, not normalised: `encode.embedder` alone makes vectors unit length.
        """
        pooled: Tensor = self.resampler(states.float() + self.layer_rows, mask)
        return pooled
