"""Settings that cannot be are named before anything is trained."""

import math

import pytest

from searchkit.errors import BadInput
from searchkit.train.settings import Settings


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("batch_size", 1, "must be 2 or more"),
        ("steps", 0, "must be 1 or more"),
        ("seed", -1, "must be 0 or more"),
        ("warm_up", -1, "must be 0 or more"),
        ("warm_up", 11, "there are 10"),
        ("weight_decay", math.inf, "must be 0 or more, and finite"),
        ("negatives", -1, "must be 0 or more"),
        ("chunk", 0, "must be 1 or more"),
        ("checkpoint_every", 0, "must be 1 or more"),
        ("validate_every", 0, "must be 1 or more"),
        ("learning_rate", 0.0, "must be above 0"),
        ("learning_rate", math.nan, "must be above 0, and finite"),
        ("clip", 0.0, "must be above 0"),
        ("temperature", -0.1, "must be above 0"),
        ("teacher_temperature", 0.0, "must be above 0"),
        ("distillation", 1.1, "must be from 0 to 1"),
        ("distillation", math.nan, "must be from 0 to 1"),
        ("dims", (4, 0), "must be 1 or more"),
        ("dims", (4, 4), "none twice"),
    ],
)
def test_a_setting_that_cannot_be_is_named_with_its_value(name, value, said):
    with pytest.raises(BadInput) as raised:
        Settings(**{"batch_size": 8, "steps": 10, name: value})
    assert name in str(raised.value)
    assert said in str(raised.value)
    assert str(list(value) if isinstance(value, tuple) else value) in str(raised.value)


def test_the_bounds_themselves_can_be():
    settings = Settings(batch_size=2, steps=1, warm_up=1, distillation=1, validate_every=1, chunk=1)
    assert settings.warm_up == settings.steps
