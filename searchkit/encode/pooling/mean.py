"""Mean pooling: a text is the average of the last layer's states of its tokens.

Source: Reimers and Gurevych 2019, Sentence-BERT, section 3, arXiv:1908.10084.
"""

from torch import Tensor, nn

from searchkit.encode.pooling._weights import weighted_average
from searchkit.encode.states import LAST_TOKENS

TRAINABLE = False


def reads(attention: str) -> str:
    """The tokens of the last layer, under any attention."""
    return LAST_TOKENS


def build(dim: int, n_layers: int) -> "MeanPooling":
    """The pooling for states of size `dim`; it has nothing to train."""
    return MeanPooling()


class MeanPooling(nn.Module):
    """Average the last layer over the real tokens."""

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
        return weighted_average(states, mask.float())
