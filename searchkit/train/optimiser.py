"""AdamW with a linear schedule and clipped gradients, as bi-encoders are trained.

Source: Loshchilov and Hutter 2019, Decoupled Weight Decay Regularization, arXiv:1711.05101.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_AVERAGES = ("exp_avg", "exp_avg_sq")  # torch's names: of the gradients and of their squares


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
    """AdamW over parameters by name; all that it remembers is their moments.

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
        came before, and a resumed run would differ from an unbroken one.
        """
        for parameter in self._parameters.values():
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            else:
                parameter.grad.zero_()

    def clip(self) -> float:
        """Scale the gradients down to the norm that is allowed.

        Returns:
            The norm that they had; not finite if one of them is not.
        """
        gradients = list(self._parameters.values())
        return float(nn.utils.clip_grad_norm_(gradients, self._clip))

    def update(self, learning_rate: float) -> None:
        """Move every parameter against its gradient."""
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()

    def moments(self) -> dict[str, Tensor]:
        """The running averages after a step or more, as `restore` takes them; not copies."""
        return {
            f"{name}.{average}": self._adamw.state[parameter][average]
            for name, parameter in self._parameters.items()
            for average in _AVERAGES
        }

    def restore(self, moments: Mapping[str, Tensor], step: int) -> None:
        """Go on from the moments of an optimiser over the same parameters, after `step` steps."""
        state = self._adamw.state_dict()
        state["state"] = {
            place: {
                "step": torch.tensor(float(step)),
                **{average: moments[f"{name}.{average}"] for average in _AVERAGES},
            }
            for place, name in enumerate(self._parameters)
        }
        self._adamw.load_state_dict(state)
