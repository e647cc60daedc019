"""Products in 8-bit integers: how exact they are, and that the rotation is one."""

import pytest
import torch

from searchkit.encode.engines import _int8

pytestmark = pytest.mark.skipif(
    not _int8.supported(torch.device("cpu")), reason="this torch has no 8-bit products"
)


def relative_error(weight, x):
    found = _int8.Int8Product(weight, torch.float32)(x)
    expected = x.double() @ weight.double().T
    return float((found - expected).norm() / expected.norm())


def test_a_rotation_keeps_lengths_and_angles_and_is_the_same_every_time():
    turned = _int8.rotation(96)
    assert torch.dist(turned @ turned.T, torch.eye(96)) < 1e-5
    assert torch.equal(turned, _int8.rotation(96))
    assert turned.abs().max() < 0.5, "it mixes all coordinates"


@pytest.mark.parametrize("texts", [1, 3, 64])
def test_products_of_evenly_spread_states_are_within_a_percent_or_so(texts):
    generator = torch.Generator().manual_seed(0)
    weight, x = torch.randn(320, 96, generator=generator), torch.randn(texts, 96)
    assert relative_error(weight, x) < 0.015


def test_a_rotation_makes_room_for_a_coordinate_that_drowns_the_others():
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(rows, 96, generator=generator) for rows in (320, 64))
    x[:, 7] *= 100
    weight[:, 7] /= 100  # what it says counts no more than the others
    turned = _int8.rotation(96)
    assert relative_error(weight, x) > 0.1
    assert relative_error(weight @ turned, x @ turned) < relative_error(weight, x) / 2


def test_a_state_of_zeros_stays_one():
    product = _int8.Int8Product(torch.randn(8, 32), torch.bfloat16)
    found = product(torch.zeros(2, 32))
    assert found.dtype == torch.bfloat16
    assert not found.any()


def test_tokens_do_not_share_a_scale():
    weight, x = torch.randn(16, 32), torch.randn(4, 32)
    product = _int8.Int8Product(weight, torch.float32)
    louder = x * torch.tensor([1.0, 1e4, 1.0, 1.0])[:, None]
    assert torch.equal(product(louder)[[0, 2, 3]], product(x)[[0, 2, 3]])


def test_coarse_inputs_do_not_overflow():
    """The largest number of a row, over its scale, is 127 exactly, whatever the input's dtype."""
    generator = torch.Generator().manual_seed(0)
    weight, x = (torch.randn(rows, 96, generator=generator) for rows in (320, 256))
    assert relative_error(weight, x.bfloat16()) < 0.015
