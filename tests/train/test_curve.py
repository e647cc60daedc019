"""A curve in characters."""

from hypothesis import given
from hypothesis import strategies as st

from searchkit.train import curve


def test_a_falling_line_falls():
    assert curve.lines([3.0, 2.0, 1.0], height=3) == ["   3.000 █", "         █▄", "   1.000 ██▁"]


def test_what_does_not_change_is_one_line():
    assert curve.lines([0.5, 0.5]) == ["   0.500 ▁▁"]


def test_many_values_share_columns():
    drawn = curve.lines([0.0] * 100 + [1.0] * 100, width=2, height=1)
    assert drawn == ["   1.000 ▁█"]


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=300), st.integers(1, 9), st.booleans())
def test_every_column_is_seen_within_the_width(values, height, ascii_only):
    drawn = curve.lines(values, width=40, height=height, ascii_only=ascii_only)
    assert len(drawn) <= height
    assert len(drawn[-1]) == 9 + min(40, len(values))
    assert all(len(line) <= 49 for line in drawn)
    assert "".join(drawn).isascii() or not ascii_only
