"""The average that poolings without weights of their own share."""

from torch import Tensor

from searchkit.errors import EmptyText


def weighted_average(states: Tensor, weights: Tensor) -> Tensor:
    """Average states with non-negative weights.

    Args:
        states: (B, T, D), any float dtype.
        weights: (B, T), float32. Need not add up to 1; 0 leaves a state out, whatever it holds.

    Returns:
        (B, D), float32: sums are float32 because bfloat16 keeps 8 bits.

    Raises:
        EmptyText: a row of weights is all 0.
    """
    totals = weights.sum(dim=1, keepdim=True)  # (B, 1)
    empty = (totals[:, 0] == 0).nonzero().flatten().tolist()
    if empty:
        raise EmptyText(f"texts {empty} of the batch have no tokens to average")
    kept = states.float().masked_fill((weights == 0)[..., None], 0.0)  # 0 x inf would be nan
    return (weights[:, None] @ kept)[:, 0] / totals
