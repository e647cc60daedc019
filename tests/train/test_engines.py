"""Every engine of training computes the vectors and the gradients of the reference."""

import pytest
import torch

from searchkit import catalog
from searchkit.encode import language_models
from searchkit.encode.variant import parse
from searchkit.train.lora import Lora
from searchkit.train.trainee import ENGINES, Adapted, Trainee

TEXTS = [
    "one",
    "A text of some more words, none of them long.",
    "Attention decides which states know what, and pooling turns the states into one vector.",
    "two words",
]


def _trainee(folder, design, engine, *, dropout=0.0, dtype=torch.float32, first_layer=1, **fields):
    variant = parse(design, base=str(folder), **fields)
    base = language_models.resolve(variant.base)
    lora = Lora(rank=4, alpha=8.0, dropout=dropout, first_layer=first_layer, seed=3)
    device = torch.device("cpu")
    states = Adapted(variant, base, lora, engine=engine, dtype=dtype, device=device)
    trainee = Trainee(variant, base, states, lora)
    generator = torch.Generator().manual_seed(5)
    for name, parameter in trainee.parameters().items():
        if name.endswith(".B"):  # zero at first, when A would get no gradient
            parameter.data = torch.randn(parameter.shape, generator=generator) * 0.1
    return trainee


def _gradients(trainee):
    vectors = trainee.vectors(trainee.prepare(TEXTS, "passage"))
    wanted = torch.randn(vectors.shape, generator=torch.Generator().manual_seed(7))
    (vectors * wanted).sum().backward()
    return vectors.detach(), {
        name: parameter.grad for name, parameter in trainee.parameters().items()
    }


@pytest.mark.parametrize("engine", [e for e in catalog.names(ENGINES) if e != "transformers"])
@pytest.mark.parametrize("first_layer", [1, 3])
@pytest.mark.parametrize(
    "design",
    ["mean-bidirectional", "eos_last-causal", "multi_layer-bidirectional", "last_layer-causal"],
)
def test_gradients_are_those_of_the_reference(
    architecture, engine, design, first_layer, tiny_model
):
    folder = tiny_model(architecture)
    reason = catalog.load(ENGINES, engine).unsupported(language_models.read_config(folder))
    if reason:
        pytest.skip(reason)
    expected = _gradients(_trainee(folder, design, "transformers", first_layer=first_layer))
    found = _gradients(_trainee(folder, design, engine, first_layer=first_layer))
    torch.testing.assert_close(found[0], expected[0], rtol=1e-4, atol=1e-5)
    assert found[1].keys() == expected[1].keys()
    for name, gradient in expected[1].items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(
            found[1][name], gradient, rtol=1e-3, atol=1e-5 + 1e-4 * float(gradient.abs().max())
        )
