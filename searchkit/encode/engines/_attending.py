"""Attention over texts that lie one after the other, without padding outside of it.

Texts come sorted by length, so neighbours are nearly equal. On a CPU two plain matrix products over
a few of them, padded to the longest, beat torch's fused kernel up to some hundred tokens: that one
is written for scores that do not fit into a cache.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

_LONGEST_PLAIN = 512  # tokens; on longer texts the fused kernel is as fast, and needs less memory
_PADDED = 0.75  # the least length of a text, relative to the longest beside it


@dataclass(frozen=True, slots=True)
class _Group:
    """Neighbours that are computed in one call.

    Attributes:
        rows: where their tokens lie.
        texts, longest: how many texts, and the tokens of the longest.
        places: (tokens,), where each token goes in the padded (texts x longest); None if all are of
            one length.
        mask: (texts or 1, 1, 1, longest, longest), added to the scores; None for the fused kernel.
    """

    rows: slice
    texts: int
    longest: int
    places: Tensor | None
    mask: Tensor | None


class Attending:
    """The attention of one batch, planned once for all layers.

    Args:
        lengths: tokens of each text.
        is_causal: whether a token sees only what stands before it.
        dtype, device: of the projections that will come.
    """

    def __init__(
        self, lengths: list[int], *, is_causal: bool, dtype: torch.dtype, device: torch.device
    ) -> None:
        self._is_causal = is_causal
        # In float32 the fused kernel is at least as fast, and a GPU has better ones.
        plain = dtype == torch.bfloat16 and device.type == "cpu"
        self._groups: list[_Group] = []
        start = 0
        for group in _neighbours(lengths, plain):
            tokens = sum(group)
            rows = slice(start, start + tokens)
            start += tokens
            longest = max(group)
            places = mask = None
            if plain and longest <= _LONGEST_PLAIN:
                mask = _mask(group, is_causal).to(device, dtype)
                if min(group) < longest:
                    places = torch.cat(
                        [torch.arange(n) + text * longest for text, n in enumerate(group)]
                    ).to(device)
            self._groups.append(_Group(rows, len(group), longest, places, mask))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Each token's mixture of the values of its own text.

        Args:
            q: (S, h, d_h), h a multiple of h_kv; scaled already, so that scores are q k.
            k: (S, h_kv, d_h)
            v: (S, h_kv, d_h)

        Returns:
            (S, h x d_h)
        """
        parts = [
            self._mix(group, q[group.rows], k[group.rows], v[group.rows]) for group in self._groups
        ]
        return (parts[0] if len(parts) == 1 else torch.cat(parts)).flatten(1)

    def _mix(self, group: _Group, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if group.mask is None:
            return self._fused(group, q, k, v)
        return _plain(group, group.mask, q, k, v)

    def _fused(self, group: _Group, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (
            states.view(group.texts, group.longest, *states.shape[1:]).transpose(1, 2)
            for states in (q, k, v)
        )
        mixed = functional.scaled_dot_product_attention(
            q, k, v, is_causal=self._is_causal, scale=1.0, enable_gqa=q.shape[1] != k.shape[1]
        )  # (texts, h, longest, d_h)
        return mixed.transpose(1, 2).flatten(0, 1)


def _plain(group: _Group, mask: Tensor, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Scores and mixture as two batches of products, the heads that share keys stacked."""
    if group.places is not None:
        q, k, v = (
            states.new_zeros(group.texts * group.longest, *states.shape[1:]).index_copy_(
                0, group.places, states
            )
            for states in (q, k, v)
        )
    texts, length, kv_heads, size = group.texts, group.longest, k.shape[1], k.shape[2]
    shared = q.shape[1] // kv_heads
    q = q.reshape(texts, length, kv_heads, shared, size).permute(0, 2, 3, 1, 4)
    q = q.reshape(texts * kv_heads, shared * length, size)
    k = k.view(texts, length, kv_heads, size).permute(0, 2, 3, 1)
    k = k.reshape(texts * kv_heads, size, length)
    v = v.reshape(texts, length, kv_heads, size).transpose(1, 2)
    v = v.reshape(texts * kv_heads, length, size)
    scores = torch.bmm(q, k).view(texts, kv_heads, shared, length, length).add_(mask)
    weights = scores.softmax(dim=-1).view(texts * kv_heads, shared * length, length)
    mixed = torch.bmm(weights, v).view(texts, kv_heads, shared, length, size)
    mixed = mixed.permute(0, 3, 1, 2, 4).reshape(texts * length, -1, size)
    return mixed if group.places is None else mixed.index_select(0, group.places)


def _neighbours(lengths: list[int], padded: bool) -> list[list[int]]:
    """Split the lengths of a batch into runs that are computed together."""
    groups: list[list[int]] = []
    for length in lengths:
        if groups and _alike([*groups[-1], length], padded):
            groups[-1].append(length)
        else:
            groups.append([length])
    return groups


def _alike(lengths: list[int], padded: bool) -> bool:
    least, longest = min(lengths), max(lengths)
    may_pad = padded and longest <= _LONGEST_PLAIN
    return least >= (_PADDED if may_pad else 1.0) * longest


def _mask(lengths: list[int], is_causal: bool) -> Tensor:
    """(texts or 1, 1, 1, T, T): minus infinity where a token does not see another."""
    longest = torch.arange(max(lengths))
    seen = longest[None, None, :] < torch.tensor(lengths)[:, None, None]
    if is_causal:  # padding lies behind every token of a text
        seen = longest[None, None, :] <= longest[None, :, None]
    return torch.zeros(seen.shape).masked_fill_(~seen, -torch.inf)[:, None, None]
