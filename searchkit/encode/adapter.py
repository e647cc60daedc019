"""LoRA adapters: small additions to the weights of a base model, in the files of the peft library.

A weight W (O, I) becomes W + scale B A, with A (r, I) and B (O, r): Hu et al. 2021,
arXiv:2106.09685. Additions are merged while a model is loaded, so encoding costs what it did.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from searchkit import files
from searchkit.encode.weights import ADAPTER, ADAPTER_CONFIG
from searchkit.errors import BadInput

# However much of a model was wrapped, its layers come last in the name of a weight.
_NAME = re.compile(r"(layers\.\d+\..+)\.lora_([AB])(?:\.default)?\.weight$")


@dataclass(frozen=True, slots=True)
class Adapter:
    """Additions to the linear layers of a decoder.

    Attributes:
        scale: alpha / r.
        factors: by layer, such as "layers.0.self_attn.q_proj": A (r, I) and B (O, r).
    """

    scale: float
    factors: Mapping[str, tuple[Tensor, Tensor]]

    def merged(self, module: str, weight: Tensor) -> Tensor:
        """The weight of a layer with its addition, in float32; as it was where there is none."""
        if module not in self.factors:
            return weight
        a, b = (factor.to(weight.device, torch.float32) for factor in self.factors[module])
        return torch.addmm(weight.float(), b, a, alpha=self.scale)

    def refuse_strangers(self, modules: Iterable[str], last_layer: int) -> None:
        """Make sure that every addition has a layer to go to.

        Args:
            modules: the linear layers of a model.
            last_layer: the deepest decoder layer that is loaded; additions behind it are not used.

        Raises:
            BadInput: an addition is to a layer that the model does not have.
        """
        wanted = {name for name in self.factors if int(name.split(".")[1]) < last_layer}
        if strangers := sorted(wanted - set(modules)):
            raise BadInput(
                f"the adapter adds to {strangers[0]}, which this base model does not have; "
                "take the base that it was trained on"
            )


def read(folder: Path) -> Adapter:
    """The adapter of a folder that the peft library, or `write`, wrote.

    Raises:
        BadInput: it is no plain LoRA adapter, or not whole.
    """
    try:
        config = json.loads((folder / ADAPTER_CONFIG).read_text("utf-8"))
        rank, alpha = config["r"], config["lora_alpha"]
    except (OSError, ValueError, KeyError) as error:
        raise BadInput(
            f"{folder / ADAPTER_CONFIG} does not describe a LoRA adapter: {error}"
        ) from error
    for name in ("use_dora", "use_rslora", "rank_pattern", "alpha_pattern", "modules_to_save"):
        if config.get(name):
            raise BadInput(f"{folder / ADAPTER_CONFIG} sets {name}, which plain LoRA does not have")
    halves: dict[str, dict[str, Tensor]] = {}
    with safe_open(folder / ADAPTER, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118 - not a mapping
            found = _NAME.search(key)
            if found is None:
                raise BadInput(f"{folder / ADAPTER} holds {key}, which is no LoRA factor")
            halves.setdefault(found[1], {})[found[2]] = file.get_tensor(key)
    for name, pair in halves.items():
        if set(pair) != {"A", "B"}:
            raise BadInput(f"{folder / ADAPTER} holds one factor of {name} only; it needs A and B")
    return Adapter(alpha / rank, {name: (pair["A"], pair["B"]) for name, pair in halves.items()})


def write(
    folder: Path,
    factors: Mapping[str, tuple[Tensor, Tensor]],
    *,
    alpha: float,
    dropout: float,
    base: str,
) -> None:
    """Write an adapter as the peft library does, in bfloat16.

    Args:
        folder: exists.
        factors: see `Adapter`; at least one.
        alpha: scale x r.
        dropout: what training dropped of the inputs, for whoever trains on.
        base: name of the base model.
    """
    tensors = {
        f"base_model.model.{name}.lora_{letter}.weight": factor.to(torch.bfloat16).contiguous()
        for name, pair in sorted(factors.items())
        for letter, factor in zip("AB", pair, strict=True)
    }
    with files.atomic(folder / ADAPTER) as temporary:
        save_file(tensors, temporary, metadata={"format": "pt"})
    config = {
        "peft_type": "LORA",
        "task_type": "FEATURE_EXTRACTION",
        "base_model_name_or_path": base,
        "r": len(next(iter(factors.values()))[0]),
        "lora_alpha": alpha,
        "lora_dropout": dropout,
        "target_modules": sorted(factors),
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
    }
    files.write_text(folder / ADAPTER_CONFIG, json.dumps(config, indent=1) + "\n")
