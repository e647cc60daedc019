"""Products in 8-bit integers, exact enough because no direction of a state is larger than others.

A decoder's states have a few coordinates that are tens of times the rest, and a scale that holds
those leaves the others two or three bits. Turned by a random rotation the same states are spread
evenly, as in QuaRot (Ashkboos et al. 2024, arXiv:2404.00456), and 8 bits of each are enough. The
rotation costs nothing: it is multiplied into the weights once, and an RMS norm does not notice it.
"""

import torch
from torch import Tensor

_SEED = 20240909  # of the rotation: any will do, but the same vectors must come out tomorrow


def supported(device: torch.device) -> bool:
    """Whether this build of torch has the kernels, for that device."""
    return device.type == "cpu" and hasattr(torch.ops.onednn, "qlinear_prepack")


def rotation(dim: int) -> Tensor:
    """A random orthogonal matrix, (dim, dim) float32, the same at every call."""
    generator = torch.Generator().manual_seed(_SEED)
    q, r = torch.linalg.qr(torch.randn(dim, dim, generator=generator, dtype=torch.float64))
    turned: Tensor = (q * r.diagonal().sign()).float()
    return turned


class Int8Product:
    """A linear layer without bias: weights in 8 bits a row's scale, inputs in 8 bits a token's.

    Args:
        weight: (O, D), any float dtype.
        dtype: of what comes out.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype) -> None:
        self._dtype = dtype
        weight = weight.float()
        self._scales = weight.abs().amax(dim=1).clamp_min(1e-12) / 127
        rows = (weight / self._scales[:, None]).round().to(torch.int8)
        self._weight = torch.ops.onednn.qlinear_prepack(rows, None)
        self._zeros = torch.zeros(len(rows), dtype=torch.int32)

    def __call__(self, x: Tensor) -> Tensor:
        """(S, D) to (S, O)."""
        x = x.float()  # a coarser quotient may round to 128, which has no place in 8 bits
        scales = x.abs().amax(dim=1, keepdim=True).clamp_min_(1e-12).div_(127)
        # Unsigned with its zero at 128: what processors multiply with signed weights.
        rows = (x / scales).round_().add_(128).to(torch.uint8)
        product: Tensor = torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, 128, self._weight, self._scales, self._zeros, None, 1.0, 0,
            self._dtype, "none", [], "",
        )  # fmt: skip
        return product.mul_(scales.to(self._dtype))
