"""AdamW, its schedule and its clipping, against values worked by hand."""

import pytest
import torch
from torch import nn

from searchkit.train.optimiser import Optimiser, scheduled


@pytest.mark.parametrize(
    ("warm_up", "steps", "rates"),
    [
        (2, 5, [4, 8, 6, 4, 2]),  # rises by 8 / 2; 0 would be steps 0 and 6
        (0, 4, [8, 6, 4, 2]),
        (1, 4, [8, 6, 4, 2]),
        (4, 4, [2, 4, 6, 8]),
        (0, 1, [8]),
    ],
)
def test_the_rate_rises_and_falls_in_lines(warm_up, steps, rates):
    found = [
        scheduled(step, peak=8.0, warm_up=warm_up, steps=steps) for step in range(1, steps + 1)
    ]
    assert found == pytest.approx(rates)


def optimiser(parameters, *, weight_decay=0.0, clip=1e9):
    return Optimiser(parameters, weight_decay=weight_decay, clip=clip)


def test_the_first_update_moves_by_the_rate_against_the_sign_of_the_gradient():
    # Both averages are the gradient's after their bias is taken out: g / sqrt(g^2).
    weight = nn.Parameter(torch.tensor([[1.0, 2.0]]))
    adamw = optimiser({"w": weight})
    weight.grad = torch.tensor([[5.0, -0.01]])
    adamw.update(0.1)
    torch.testing.assert_close(weight.detach(), torch.tensor([[0.9, 2.1]]))
    moments = adamw.moments()
    torch.testing.assert_close(moments["w.exp_avg"], torch.tensor([[0.5, -0.001]]))
    torch.testing.assert_close(moments["w.exp_avg_sq"], torch.tensor([[0.025, 1e-7]]))


def test_weights_decay_apart_from_their_gradient_and_norms_biases_and_numbers_do_not():
    shapes = {"matrix": (2, 2), "bias": (2,), "log_temperature": ()}
    parameters = {name: nn.Parameter(torch.full(shape, 3.0)) for name, shape in shapes.items()}
    adamw = optimiser(parameters, weight_decay=0.5)
    adamw.update(0.1)  # all gradients are 0
    values = {name: one.detach().unique().tolist() for name, one in parameters.items()}
    assert values["matrix"] == pytest.approx([3 * (1 - 0.1 * 0.5)])
    assert values["bias"] == values["log_temperature"] == [3.0]


def test_gradients_are_scaled_to_the_allowed_norm_all_together():
    parameters = {name: nn.Parameter(torch.zeros(2, 2)) for name in ("a", "b")}
    adamw = optimiser(parameters, clip=1.0)
    parameters["a"].grad.fill_(1.5)  # norm 3
    parameters["b"].grad.fill_(-2.0)  # norm 4; together 5
    assert adamw.clip() == pytest.approx(5.0)
    torch.testing.assert_close(parameters["a"].grad, torch.full((2, 2), 0.3))
    torch.testing.assert_close(parameters["b"].grad, torch.full((2, 2), -0.4))


def test_short_gradients_stay_as_they_are():
    weight = nn.Parameter(torch.zeros(2, 2))
    adamw = optimiser({"w": weight}, clip=1.0)
    weight.grad.fill_(0.25)
    assert adamw.clip() == 0.5
    assert torch.equal(weight.grad, torch.full((2, 2), 0.25))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_the_norm_of_gradients_that_are_not_finite_is_not_finite_either(value):
    weight = nn.Parameter(torch.zeros(2, 2))
    adamw = optimiser({"w": weight})
    weight.grad[0, 1] = value
    assert not torch.isfinite(torch.tensor(adamw.clip()))


def taken(steps, *, stop=None):
    """Parameters after some steps, some of which reach only one; stopped and restored after one."""

    def new():
        torch.manual_seed(0)
        named = {"bias": nn.Parameter(torch.randn(3)), "w": nn.Parameter(torch.randn(3, 3))}
        return named, optimiser(named, weight_decay=0.1)

    parameters, adamw = new()
    for step in range(1, steps + 1):
        adamw.zero_gradients()
        reached = ["w"] if step % 2 else ["w", "bias"]
        sum(
            (parameters[name] * torch.arange(3) * step).square().sum() for name in reached
        ).backward()
        adamw.update(0.01)
        if step == stop:
            kept = {name: one.detach().clone() for name, one in parameters.items()}
            moments = {name: one.clone() for name, one in adamw.moments().items()}
            parameters, adamw = new()
            for name, one in parameters.items():
                one.data.copy_(kept[name])
            adamw.restore(moments)
    return parameters


def test_steps_that_never_reach_a_parameter_are_no_updates_of_it():
    parameters = {name: nn.Parameter(torch.full((2, 2), 3.0)) for name in ("early", "late")}
    adamw = optimiser(parameters, weight_decay=0.5)
    for _ in range(20):
        adamw.drop_gradients()
        parameters["early"].square().sum().backward()
        adamw.update(0.1)
    assert torch.equal(parameters["late"].detach(), torch.full((2, 2), 3.0))  # nor does it decay
    assert {name.partition(".")[0] for name in adamw.moments()} == {"early"}
    adamw.zero_gradients()
    parameters["late"].grad.fill_(0.01)
    adamw.update(0.1)  # its first update: the rate, and what decays
    torch.testing.assert_close(
        parameters["late"].detach(), torch.full((2, 2), 3 * (1 - 0.1 * 0.5) - 0.1)
    )


@pytest.mark.parametrize("stop", [1, 2, 5])
def test_a_restored_optimiser_goes_on_bit_for_bit(stop):
    unbroken, restored = taken(6), taken(6, stop=stop)
    for name, parameter in unbroken.items():
        assert torch.equal(restored[name], parameter), name
