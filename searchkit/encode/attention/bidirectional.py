"""Bidirectional attention: every token attends to every token of its text.

A base that was trained with a causal mask and never without one usually embeds worse this way until
it is fine-tuned. Source: BehnamGhader et al. 2024, LLM2Vec, section 2, arXiv:2404.05961.
"""

from torch import Tensor

IS_CAUSAL = False  # what kernels call this mode


def attend(mask: Tensor) -> Tensor:
    """Which positions each position attends to.

    Args:
        mask: (B, T), bool. True on tokens, False on padding.

    Returns:
        (B, 1, T, T), bool. [b, 0, i, j] is True where token i attends to token j.
    """
    return mask[:, None, None, :] & mask[:, None, :, None]
