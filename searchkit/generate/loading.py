"""A base model as transformers runs it, with its language head; the embedder's own files."""

import os
from typing import Any

import torch

from searchkit.encode.arithmetic import quick_float, quicken_float32
from searchkit.encode.language_models import BaseModel
from searchkit.errors import BadInput


def dtype_on(device: torch.device) -> torch.dtype:
    """What to compute in: bfloat16 where a device is fast in it, else float32."""
    if device.type == "cpu":
        return quick_float()
    fast = device.type == "cuda" and torch.cuda.is_bf16_supported()
    return torch.bfloat16 if fast else torch.float32


def context_of(base: BaseModel) -> int:
    """How many tokens a base model reads at most.

    Raises:
        BadInput: its configuration does not say.
    """
    found = base.config.get("max_position_embeddings")
    if not isinstance(found, int) or found < 1:
        raise BadInput(
            f"the config.json of {base.name} names no max_position_embeddings, found {found!r}; "
            "take a decoder that says how much it reads"
        )
    return found


def load_decoder(base: BaseModel, dtype: torch.dtype, device: torch.device) -> Any:
    """The whole decoder with its head, ready to be called; no code of the model is run.

    Raises:
        BadInput: transformers has no decoder of that kind, or the files lack a weight of it.
    """
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at the first import of transformers
    from transformers import AutoModelForCausalLM, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    if device.type == "cpu" and dtype == torch.float32:
        quicken_float32()
    # Capped attention scores (Gemma 2) come from the eager kernel alone.
    kernel = "eager" if base.config.get("attn_logit_softcapping") else None
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            base.folder,
            dtype=dtype,
            attn_implementation=kernel,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # refused below, by name
            output_loading_info=True,
        )
    except (ValueError, OSError, ImportError) as error:
        raise BadInput(
            f"{base.name} cannot be loaded as a language model: {str(error).splitlines()[0]}"
        ) from error
    model, found = loaded
    # The library draws at random what it does not find.
    if absent := sorted({*found["missing_keys"], *(key for key, *_ in found["mismatched_keys"])}):
        raise BadInput(
            f"the files of {base.name} hold no {absent[0]} of the shape that config.json claims "
            f"({len(absent)} missing in all); an embedder may have been saved without its head: "
            "take the whole language model"
        )
    return model.to(device).eval()
