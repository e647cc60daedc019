"""Last-layer trainable pooling: a resampler reads the last layer.

Under causal attention it reads one state, that of EOS (the study's model 2: with one key the
softmax is 1, so this is a large MLP on that state, whatever its attention weights are); under
bidirectional attention it reads the states of all tokens (model 4).

Source: Tang and Yang 2024, arXiv:2409.02727.
"""

from torch import Tensor, nn

from searchkit.encode.pooling._resampler import Resampler
from searchkit.encode.states import LAST_EOS, LAST_TOKENS

TRAINABLE = True


def reads(attention: str) -> str:
    """The EOS state under causal attention, all tokens otherwise; both of the last layer."""
    return LAST_EOS if attention == "causal" else LAST_TOKENS


def build(
    dim: int,
    n_layers: int,
    *,
    latents: int = 64,
    heads: int | None = None,
    head_dim: int = 64,
    ff_multiplier: int = 4,
    latent_scale: float = 0.02,
) -> "LastLayerPooling":
    """The pooling for states of size `dim`, with weights that are yet to be trained.

    The study's own proportions, at dim 4096: latents=768, heads=32, head_dim=2048,
    latent_scale=1.0.
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
    return LastLayerPooling(resampler)


class LastLayerPooling(nn.Module):
    """Resample the states of the last layer."""

    def __init__(self, resampler: Resampler) -> None:
        super().__init__()
        self.resampler = resampler

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool one batch.

        Args:
            states: (B, 1, D) or (B, T, D), any float dtype. The EOS state, or all token states.
            mask: (B, 1) or (B, T), bool. True on tokens, False on padding, whichever side it is on.

        Returns:
            (B, D), float32, not normalised: `encode.embedder` alone makes vectors unit length.

        Raises:
            EmptyText: a row of `mask` is all False.
        """
        pooled: Tensor = self.resampler(states, mask)
        return pooled
