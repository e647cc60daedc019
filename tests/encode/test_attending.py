"""Attention over texts side by side equals attention over each text alone, written out."""

import pytest
import torch
from torch.testing import assert_close

from searchkit.encode.engines._attending import Attending

CPU = torch.device("cpu")


def alone(q, k, v, is_causal):
    """Softmax of scaled scores, one text, in float64; queries (T, h, d), keys (T, h_kv, d)."""
    repeated = q.shape[1] // k.shape[1]
    k, v = (states.double().repeat_interleave(repeated, dim=1) for states in (k, v))
    scores = torch.einsum("ihd,jhd->hij", q.double(), k) / q.shape[2] ** 0.5
    if is_causal:
        scores = scores + torch.full(scores.shape[1:], -torch.inf).triu(1)
    return torch.einsum("hij,jhd->ihd", scores.softmax(dim=-1), v).flatten(1)


@pytest.mark.parametrize("is_causal", [True, False])
@pytest.mark.parametrize(("heads", "kv_heads"), [(9, 3), (4, 4), (4, 1)])
@pytest.mark.parametrize(
    "lengths",
    [
        [5],
        [7, 7, 7],
        [40, 39, 31, 30, 29, 6, 6, 5, 1, 1],  # runs that are padded, runs that are not alike
        [1, 9, 3, 40],  # not sorted
        [513, 512, 400, 3],  # longer than the plain products are used for
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("dtype", "rtol"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)], ids=["float32", "bfloat16"]
)
def test_each_text_attends_to_itself_alone(lengths, heads, kv_heads, is_causal, dtype, rtol):
    generator = torch.Generator().manual_seed(0)
    q, k, v = (
        torch.randn(sum(lengths), h, 16, generator=generator).to(dtype)
        for h in (heads, kv_heads, kv_heads)
    )
    attending = Attending(lengths, is_causal=is_causal, dtype=dtype, device=CPU)
    mixed = attending.mix(q / 4, k, v)  # scaled by the square root of 16
    assert mixed.dtype == dtype
    texts = (states.split(lengths) for states in (q, k, v))
    expected = torch.cat([alone(*text, is_causal) for text in zip(*texts, strict=True)])
    assert_close(mixed.double(), expected, rtol=rtol, atol=rtol)
