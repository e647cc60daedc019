"""Tiny language models that follow a chat format, and transformers' own code as the oracle."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from searchkit.encode import language_models
from searchkit.encode.language_models import BaseModel

CPU = torch.device("cpu")


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture(scope="session")
def base_of(tiny_model) -> Callable[[str], BaseModel]:
    """A name out of ARCHITECTURES to the base model."""
    return lambda name: language_models.resolve(str(tiny_model(name)))


@pytest.fixture(scope="session")
def chat_model(tiny_model, tmp_path_factory) -> Path:
    """The tiny llama with the marks of ChatML, as a conversion leaves it: without a template."""
    folder = shutil.copytree(tiny_model("llama"), tmp_path_factory.mktemp("chat") / "model")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        text = (folder / name).read_text()
        text = text.replace("<bos>", "<|im_start|>").replace("<eos>", "<|im_end|>")
        (folder / name).write_text(text)
    return folder


@pytest.fixture(scope="session")
def whole_model() -> Callable[[Path], torch.nn.Module]:
    """A model folder to transformers' own model in float32, eager, loaded once."""
    from transformers import AutoModelForCausalLM, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    loaded = {}

    def load(folder):
        if folder not in loaded:
            loaded[folder] = AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager"
            ).eval()
        return loaded[folder]

    return load
