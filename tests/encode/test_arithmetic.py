"""Float32 products may be quicker, never coarser."""

import torch

from searchkit.encode.arithmetic import quicken_float32


def test_products_stay_exact_whatever_was_allowed():
    before = torch.get_float32_matmul_precision()
    quicken_float32.cache_clear()
    allowed = quicken_float32()
    assert torch.get_float32_matmul_precision() == ("medium" if allowed else before)
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(300, 700, generator=generator)
    b = torch.randn(700, 200, generator=generator)
    exact = a.double() @ b.double()
    assert float(((a @ b).double() - exact).norm() / exact.norm()) < 2e-6
