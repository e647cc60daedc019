"""EOS pooling: a text is the last layer's state of the EOS token that ends it.

Source: model 1 of Tang and Yang 2024, Pooling And Attention, arXiv:2409.02727.
"""

from torch import Tensor, nn

from searchkit.encode.states import LAST_EOS

TRAINABLE = False


def reads(attention: str) -> str:
    """The EOS state of the last layer, under any attention."""
    return LAST_EOS


def build(dim: int, n_layers: int) -> "EosPooling":
    """The pooling for states of size `dim`; it has nothing to train."""
    return EosPooling()


class EosPooling(nn.Module):
    """Take the one state that there is."""

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool one batch.

        Args:
            states: (B, 1, D), any float dtype. The EOS state of each text.
            mask: (B, 1), bool. All True: every text ends with EOS.

        Returns:
            (B, D), float32, not normalised: `encode.embedder` alone makes vectors unit length.
        """
        return states[:, 0].float()
