"""A forest plot in characters, on scales small enough to count columns by hand."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.evaluate.reports._forest import ASCII, UNICODE, Branch, Scale, axis, draw

SCALE = Scale(-1.0, 1.0, 21)  # ten columns to each side of zero, 0.1 each


@pytest.mark.parametrize(
    ("branch", "line"),
    [
        (Branch(0.5, 0.3, 0.8, True), "          │  ├─●──┤  "),
        (Branch(0.5, 0.3, 0.8, False), "          │  ├─○──┤  "),
        (Branch(-0.2, -0.5, 0.2, False), "     ├──○─┼─┤        "),
        (Branch(-0.8, -1.0, -0.6, True, over_sets=True), "├─◆─┤     │          "),
        (Branch(0.0, 0.0, 0.0, False), "          ○          "),
        (Branch(1.0, 0.0, 1.0, False), "          ├─────────○"),
        # Narrower than a column, but above zero: not drawn as if it touched zero.
        (Branch(0.02, 0.01, 0.03, True), "          │●         "),
        (Branch(-0.02, -0.03, -0.01, True), "         ●│          "),
    ],
)
def test_a_line_is_what_one_counts(branch, line):
    assert draw(branch, SCALE, UNICODE) == line


def test_ascii_says_the_same():
    assert draw(Branch(-0.2, -0.5, 0.2, False), SCALE, ASCII) == "     |--o-+-|        "
    assert draw(Branch(0.5, 0.3, 0.8, True), SCALE, ASCII) == "          :  |-*--|  "


def test_the_axis_names_its_ends_and_zero_where_there_is_room():
    assert axis(SCALE) == "-1.000    0    +1.000"
    assert axis(Scale(0.0, 1.0, 12)) == "0     +1.000"
    # Zero is in column 20 / 1.1 = 18 of 0 to 20: there is no room for +0.100 behind it.
    assert axis(Scale(-1.0, 0.1, 21)) == f"-1.000{'':12}0  "


def test_the_scale_reaches_from_the_lowest_to_the_highest_end_and_holds_zero():
    branches = [Branch(0.3, 0.1, 0.5, True), Branch(0.2, 0.15, 0.25, True)]
    assert Scale.of(branches, 9) == Scale(0.0, 0.5, 9)
    assert Scale.of([Branch(-0.3, -0.5, -0.1, True)], 9) == Scale(-0.5, 0.0, 9)


numbers = st.floats(-2, 2)


@given(st.lists(st.tuples(numbers, numbers, numbers), min_size=1, max_size=5), st.integers(10, 90))
def test_every_line_fills_the_width_and_keeps_to_its_side_of_zero(drawn, width):
    branches = [
        Branch(middle, low, high, False) for low, middle, high in (sorted(one) for one in drawn)
    ]
    scale = Scale.of(branches, width)
    zero = scale.column(0.0)
    assert len(axis(scale)) == width
    for branch in branches:
        line = draw(branch, scale, UNICODE)
        assert len(line) == width
        assert line.count("○") == 1
        if branch.low > 0 and zero < width - 1:
            assert line[zero] == "│"
        if branch.high < 0 and zero > 0:
            assert line[zero] == "│"
