"""Scales: from numbers to places on a drawing, and the ticks between them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Scale:
    """An even scale from `low` to `high`, drawn from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, number: float) -> float:
        """Where a number is drawn."""
        return self.start + (number - self.low) / (self.high - self.low) * (self.end - self.start)


def even_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in [low, high], at most `most` of them, as many as that allows."""
    rough = (high - low) / max(1, most - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * factor for factor in (*_STEPS, 20.0)):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            return [count * step for count in range(first, last + 1)]
    raise AssertionError("the widest step always leaves few enough ticks")


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in [low, high] for a logarithmic axis, as many kinds as `most` allows."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for factors in ((1, 1.5, 2, 3, 4, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [factor * 10.0**power for power in powers for factor in factors]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) <= most:
            break
    return ticks


def padded(numbers: Sequence[float], share: float) -> tuple[float, float]:
    """The range of some numbers with `share` of it added at either end; never empty."""
    low, high = min(numbers), max(numbers)
    margin = (high - low) * share or max(abs(high), 1.0) * share
    return low - margin, high + margin
