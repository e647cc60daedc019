"""AdamW with a linear schedule and clipped gradients, as bi-encoders are trained.

Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

# torch's names: updates so far, and running averages of the gradients and of their squares.
_STATE = ("step", "exp_avg", "exp_avg_sq")


def scheduled(step: int, *, peak: float, warm_up: int, steps: int) -> float:
    """The learning rate of a step: up to its peak in a line, then down in a line.

    No step is wasted on a rate of zero: the ends of both lines, where it would be reached, are the
    steps 0 and `steps` + 1.

    Args:
        step: from 1 to `steps`.
        peak: the rate of step `warm_up`, or of step 1 if there is no warm-up.
        warm_up: how many steps the rise takes; at most `steps`.
        steps: how many there are in all.
    """
    top = max(warm_up, 1)
    return peak * min(step / top, (steps + 1 - step) / (steps + 1 - top))


class Optimiser:
    """AdamW over parameters by name; all that it remembers is its state of each.

    Weights of two dimensions and more decay. Norms, biases and single numbers (a temperature) do
    not: zero is no value that they should be drawn to.

    Args:
        parameters: float32 leaves; each gets a gradient of zeros at once.
        weight_decay: the part of a weight that is taken off a step, times the learning rate.
        clip: the norm of all gradients together to which longer ones are scaled down.
    """

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], *, weight_decay: float, clip: float
    ) -> None:
        self._clip = clip
        # Of two groups, so this is their order in the optimiser's state, too.
        decaying = {name: one for name, one in parameters.items() if one.dim() > 1}
        others = {name: one for name, one in parameters.items() if one.dim() <= 1}
        self._parameters = decaying | others
        self._adamw = torch.optim.AdamW(
            [
                {"params": list(decaying.values()), "weight_decay": weight_decay},
                {"params": list(others.values()), "weight_decay": 0.0},
            ],
            fused=True,
        )
        self.zero_gradients()

    def zero_gradients(self) -> None:
        """Set every gradient to zeros.

        Not to None: AdamW would pass over a parameter that a batch does not reach, or not, by what
        came before, and a resumed run would differ from an unbroken one. See `drop_gradients`.
        """
        for parameter in self._parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            else:
                parameter.grad.zero_()

    def drop_gradients(self) -> None:
        """Leave every parameter without a gradient until one reaches it.

        Steps that never reach a parameter then leave it as it is, and do not count as its updates:
        corrected for updates by zeros, AdamW's first real one would be three times the rate.
        """
        for parameter in self._parameters.values():
            parameter.grad = None

    def clip(self) -> float:
        """Scale the gradients down to the norm that is allowed.

        Returns:
            The norm that they had; not finite if one of them is not.
        """
        gradients = list(self._parameters.values())
        return float(nn.utils.clip_grad_norm_(gradients, self._clip))

    def update(self, learning_rate: float) -> None:
        """Move every parameter that has a gradient against it."""
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()

    def moments(self) -> dict[str, Tensor]:
        """The state of each parameter that was ever moved, as `restore` takes it; not copies."""
        return {
            f"{name}.{part}": self._adamw.state[parameter][part]
            for name, parameter in self._parameters.items()
            if parameter in self._adamw.state
            for part in _STATE
        }

    def restore(self, moments: Mapping[str, Tensor]) -> None:
        """Go on from the moments of an optimiser over the same parameters."""
        state = self._adamw.state_dict()
        state["state"] = {
            place: {part: moments[f"{name}.{part}"] for part in _STATE}
            for place, name in enumerate(self._parameters)
            if f"{name}.{_STATE[0]}" in moments
        }
        self._adamw.load_state_dict(state)
