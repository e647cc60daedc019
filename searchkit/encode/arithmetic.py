"""Floats that a processor multiplies quickly.

By default torch multiplies float32 matrices with one library and may not choose a quicker one.
Allowing "medium" precision lifts that; on some processors the quicker one is as exact as the other
and twice as fast, on others it rounds to bfloat16. So it is allowed where a product shows that it
is exact.
"""

from functools import cache

import torch

_LARGEST_ERROR = 2e-6  # relative, of a product over 1,024 terms; plain float32 makes 3e-7 to 1e-6


@cache
def quicken_float32() -> bool:
    """Let float32 products on this CPU be quick, if they stay exact; takes some milliseconds, once.

    Returns:
        Whether they may be: the setting is torch's, for the whole process.
    """
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 1024, 1024, generator=generator)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    exact = a[:64].double() @ b.double()
    error = ((a @ b)[:64].double() - exact).norm() / exact.norm()
    if error > _LARGEST_ERROR:
        torch.set_float32_matmul_precision(before)
    return bool(error <= _LARGEST_ERROR)


def quick_float() -> torch.dtype:
    """bfloat16 on a CPU that multiplies it, float32 on others, which would have to convert it."""
    found = torch.cpu.get_capabilities()
    has_it = any(found.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return torch.bfloat16 if has_it else torch.float32


def dtype_name(dtype: torch.dtype) -> str:
    """A dtype as files and options name it, such as "bfloat16"."""
    return str(dtype).removeprefix("torch.")
