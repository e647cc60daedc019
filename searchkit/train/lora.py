"""Low-rank factors that are trained beside frozen weights.

Source: Hu et al. 2021, LoRA, arXiv:2106.09685; first values as the peft library draws them, so that
an untrained adapter adds nothing.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from searchkit.errors import BadInput

SEPARATE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
FUSED = ("qkv_proj", "gate_up_proj")  # Phi-3 has these in the place of five of them
PROJECTIONS = (*SEPARATE, *FUSED)

Factors = dict[str, tuple[nn.Parameter, nn.Parameter]]


@dataclass(frozen=True, kw_only=True)
class Lora:
    """How an adapter is made.

    Attributes:
        rank: r, the rows of A and columns of B; at least 1.
        alpha: what B A is multiplied with, times r; above 0.
        dropout: the share of an addition's inputs that is dropped in training; below 1.
        first_layer: the first layer with additions, from 1; those before it stay as they are, and
            no gradient is computed for them.
        seed: of the first values.

    Raises:
        BadInput: a value outside these.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    first_layer: int = 1
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise BadInput(f"rank is {self.rank}; it must be 1 or more")
        if self.first_layer < 1:
            raise BadInput(f"additions from layer {self.first_layer} on; the first layer is 1")
        if not 0 < self.alpha < math.inf:
            raise BadInput(f"alpha is {self.alpha}; it must be above 0, and finite")
        if not 0 <= self.dropout < 1:
            raise BadInput(f"dropout is {self.dropout}; it must be 0 or more, and below 1")

    @property
    def scale(self) -> float:
        """What B A is multiplied with."""
        return self.alpha / self.rank


def draw(shapes: Mapping[str, tuple[int, int]], lora: Lora, device: torch.device) -> Factors:
    """New factors: A uniform within 1 / sqrt(I), B zero.

    Args:
        shapes: (O, I) of each weight that is added to, by module, such as
            "layers.0.self_attn.q_proj"; the draw does not depend on their order.
        lora: rank and seed.
        device: where they will be.
    """
    generator = torch.Generator().manual_seed(lora.seed)
    factors: Factors = {}
    for name in sorted(shapes):
        rows, columns = shapes[name]
        a = (torch.rand(lora.rank, columns, generator=generator) * 2 - 1) * columns**-0.5
        factors[name] = (
            nn.Parameter(a.to(device)),
            nn.Parameter(torch.zeros(rows, lora.rank, device=device)),
        )
    return factors
