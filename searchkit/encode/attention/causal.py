"""Causal attention: a token attends to itself and the tokens before it, as the base was trained.

Source: Vaswani et al. 2017, Attention Is All You Need, section 3.2.3, arXiv:1706.03762.
"""

import torch
from torch import Tensor

IS_CAUSAL = True  # what kernels call this mode


def attend(mask: Tensor) -> Tensor:
    """Which positions each position attends to.

    Args:
        mask: (B, T), bool. True on tokens, False on padding.

    Returns:
        (B, 1, T, T), bool. [b, 0, i, j] is True where token i attends to token j.
    """
    positions = torch.arange(mask.shape[1], device=mask.device)
    earlier = positions[None, :] <= positions[:, None]  # (T, T)
    return earlier & mask[:, None, None, :] & mask[:, None, :, None]
