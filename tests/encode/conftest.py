"""Embedders over tiny models, and what transformers itself makes of the same texts."""

from collections.abc import Callable

import pytest
import torch

from searchkit.encode import embedder
from searchkit.encode.embedder import Embedder
from searchkit.encode.variant import parse


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)  # a tiny product is slower on two


@pytest.fixture(scope="session")
def open_tiny(tiny_model) -> Callable[..., Embedder]:
    """Names of designs to an embedder of a tiny model; keywords are fields of the variants."""

    def open_(*designs, model="llama", engine="packed", dtype=torch.float32, **fields):
        variants = [parse(design, base=str(tiny_model(model)), **fields) for design in designs]
        return embedder.load(
            variants, engine=engine, dtype=dtype, device=torch.device("cpu"), allow_untrained=True
        )

    return open_


@pytest.fixture(scope="session")
def hidden_states(tiny_model) -> Callable[..., list[torch.Tensor]]:
    """The oracle: transformers' own model, one text at a time, float32, eager, without padding.

    A model's name (or folder), whether it is causal, and texts of token ids to a list of (L, T, D):
    layers 1 to L, the last one behind the final norm.
    """
    from transformers import AutoModel, logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()
    loaded = {}

    @torch.inference_mode()
    def run(model, is_causal, texts):
        if model not in loaded:
            folder = tiny_model(model) if isinstance(model, str) else model
            loaded[model] = AutoModel.from_pretrained(
                folder, dtype=torch.float32, attn_implementation="eager"
            ).eval()
        how = {} if is_causal else {"is_causal": False}
        results = []
        for ids in texts:
            output = loaded[model](
                input_ids=torch.as_tensor(ids)[None],
                output_hidden_states=True,
                use_cache=False,
                **how,
            )
            layers = output.hidden_states[1:]  # the first is the embedding layer
            assert torch.equal(layers[-1], output.last_hidden_state)
            results.append(torch.cat(layers))
        return results

    return run
