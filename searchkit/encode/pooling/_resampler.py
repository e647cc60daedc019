"""The trainable head of the study: learned latents that read hidden states through cross-attention.

    q = LN(Q) Wq;  k, v = split(LN(Z) Wkv)          no biases; h heads of d_h channels
    X = softmax(q k^T / sqrt(d_h)) v Wo + Q         residual on the raw latents
    Y = FF(LN(X)) + X                               FF: Linear D -> 2mD, GEGLU to mD, Linear mD -> D
    e = mean over the r latents of Y

The keys are masked, so that padding is not attended to. Source: Tang and Yang 2024,
arXiv:2409.02727; the block is a Perceiver's, Jaegle et al. 2021, arXiv:2103.03206.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from searchkit.errors import EmptyText


class Resampler(nn.Module):
    """Any number of states to one vector.

    Args:
        dim: D, the size of a state.
        latents: r, the number of learned queries.
        heads, head_dim: h and d_h; h x d_h need not be D.
        ff_multiplier: m, the width of the feed-forward's inner layer in multiples of D.
        latent_scale: standard deviation of the latents Q at the start.
    """

    def __init__(
        self,
        dim: int,
        *,
        latents: int,
        heads: int,
        head_dim: int,
        ff_multiplier: int,
        latent_scale: float,
    ) -> None:
        super().__init__()
        inner = heads * head_dim
        self.heads = heads
        self.latents = nn.Parameter(torch.randn(latents, dim) * latent_scale)
        self.latents_norm = nn.LayerNorm(dim)
        self.states_norm = nn.LayerNorm(dim)
        self.to_q = nn.Linear(dim, inner, bias=False)
        self.to_kv = nn.Linear(dim, 2 * inner, bias=False)
        self.to_out = nn.Linear(inner, dim, bias=False)
        self.ff_norm = nn.LayerNorm(dim)
        self.ff_in = nn.Linear(dim, 2 * ff_multiplier * dim)
        self.ff_out = nn.Linear(ff_multiplier * dim, dim)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """Pool one batch.

        Args:
            states: (B, N, D), any float dtype.
            mask: (B, N), bool. True on the states that count.

        Returns:
            (B, D), float32, not normalised.

        Raises:
            EmptyText: a row of `mask` is all False, so there is nothing to attend to.
        """
        if not bool(mask.any(dim=1).all()):
            raise EmptyText("a text of the batch has no states to attend to")
        batch = len(states)
        states = states.float().masked_fill(
            ~mask[..., None], 0.0
        )  # what stands in padding may be anything
        q = self._split(self.to_q(self.latents_norm(self.latents))[None])  # (1, h, r, d_h)
        k, v = self.to_kv(self.states_norm(states)).chunk(2, dim=-1)
        attended = functional.scaled_dot_product_attention(
            q.expand(batch, -1, -1, -1),
            self._split(k),
            self._split(v),
            attn_mask=mask[:, None, None, :],
        )  # (B, h, r, d_h), scaled by 1 / sqrt(d_h)
        x = self.to_out(attended.transpose(1, 2).flatten(2)) + self.latents  # (B, r, D)
        value, gate = self.ff_in(self.ff_norm(x)).chunk(2, dim=-1)
        y = self.ff_out(value * functional.gelu(gate)) + x
        pooled: Tensor = y.mean(dim=1)
        return pooled

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, h x d_h) to (B, h, N, d_h)."""
        return x.view(*x.shape[:-1], self.heads, -1).transpose(1, 2)
