"""Weighted mean pooling: under causal attention later tokens know more, so they count for more.

Token i of n weighs i / (1 + 2 + ... + n), counted over real tokens only.
Source: Muennighoff 2022, SGPT, section 4.1, arXiv:2202.08904.
"""

from torch import Tensor, nn

from searchkit.encode.pooling._weights import weighted_average
from searchkit.encode.states import LAST_TOKENS

TRAINABLE = False


def reads(attention: str) -> str:
    """The tokens of the last layer, under any attention."""
    return LAST_TOKENS


def build(dim: int, n_layers: int) -> "WeightedMeanPooling":
    """The pooling for states of size `dim`; it has nothing to train."""
    return WeightedMeanPooling()


class WeightedMeanPooling(nn.Module):
    """Average the last layer over the real tokens, each weighted by its place among them."""

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool one batch.

        Args:
            states: (B, T, D), any float dtype. The last layer's token states.
            mask: (B, T), bool. True on tokens, False on padding, whichever side it is on.

        Returns:
            (B, D), float32, not normalised: `encode.embedder` alone makes vectors unit length.

        Raises:
            EmptyText: a row of `mask` is all False, so it has no average.
        """
        places = mask.float().cumsum(dim=1) * mask  # 1, 2, ... over the real tokens, 0 on padding
        return weighted_average(states, places)
