"""Every attention mode is a mask that stays inside the text."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from searchkit import catalog

FOLDER = "searchkit.encode.attention"
every_mode = pytest.mark.parametrize("name", catalog.names(FOLDER))

# Any mask at all: padding on either side, on both, and between tokens.
masks = st.integers(1, 7).flatmap(
    lambda length: st.lists(
        st.lists(st.booleans(), min_size=length, max_size=length), min_size=1, max_size=3
    )
)

# Whether token i attends to token j, both real.
ATTENDS = {"causal": lambda i, j: j <= i, "bidirectional": lambda i, j: True}


def pairs(mask):
    """(b, i, j) of every pair of positions."""
    batch, length = mask.shape
    return [(b, i, j) for b in range(batch) for i in range(length) for j in range(length)]


@pytest.mark.parametrize("name", ATTENDS)
@given(rows=masks)
def test_a_mode_attends_as_its_definition_says(name, rows):
    mask = torch.tensor(rows)
    attended = catalog.load(FOLDER, name).attend(mask)
    assert attended.shape == (len(rows), 1, len(rows[0]), len(rows[0]))
    assert attended.dtype == torch.bool
    for b, i, j in pairs(mask):
        expected = rows[b][i] and rows[b][j] and ATTENDS[name](i, j)
        assert bool(attended[b, 0, i, j]) == expected


@every_mode
@given(rows=masks)
def test_real_tokens_attend_to_themselves_and_never_to_padding(name, rows):
    mask = torch.tensor(rows)
    before = mask.clone()
    attended = catalog.load(FOLDER, name).attend(mask)
    assert torch.equal(mask, before)
    for b, i, j in pairs(mask):
        if i == j and rows[b][i]:
            assert attended[b, 0, i, j]
        if not rows[b][i] or not rows[b][j]:
            assert not attended[b, 0, i, j]


@every_mode
def test_kernels_are_told_the_mode_that_the_mask_shows(name):
    module = catalog.load(FOLDER, name)
    later_seen = module.attend(torch.ones(1, 5, dtype=torch.bool))[0, 0].triu(1).any()
    assert (not later_seen) == module.IS_CAUSAL
