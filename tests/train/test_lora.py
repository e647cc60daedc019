"""How additions are made: what cannot be is refused where it is said."""

import math

import pytest

from searchkit.errors import BadInput
from searchkit.train.lora import Lora


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("rank", 0, "rank is 0; it must be 1 or more"),
        ("first_layer", -3, "additions from layer -3 on; the first layer is 1"),
        ("alpha", 0.0, "alpha is 0.0; it must be above 0, and finite"),
        ("alpha", math.nan, "alpha is nan; it must be above 0, and finite"),
        ("dropout", 2.0, "dropout is 2.0; it must be 0 or more, and below 1"),
        ("dropout", math.nan, "dropout is nan; it must be 0 or more, and below 1"),
    ],
)
def test_what_no_addition_has_is_refused(field, value, said):
    with pytest.raises(BadInput) as refusal:
        Lora(**{field: value})
    assert str(refusal.value) == said
