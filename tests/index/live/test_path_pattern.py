"""Patterns of paths, by the expression of the index of words and by walking."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from searchkit.index.live.path_pattern import _pieces, _walker, matcher, path_key, path_regex

PARTS = st.sampled_from(["a", "b", "*", "?", "**", "**/", "/", ".", "a/", "(", "*/"])
PATHS = st.text("ab/.(", min_size=1, max_size=12)


def test_a_pattern_is_compared_with_keys():
    assert path_key("e\u0301\udc80") == "\u00e9\ufffd"
    assert path_regex("a/b.md") == r"a/b\.md(/[^\x00]*)?"


@given(parts=st.lists(PARTS, min_size=1, max_size=6), path=PATHS)
@example(parts=["*", "a", "*", "b", "**", "?"], path="xa/ab/b")
@example(parts=["**/", "a", "/", "**/", "b", "*", "/"], path="c/a/b1/d")
def test_walking_agrees_with_the_expression(parts, path):
    pattern = "".join(parts)
    expected = re.fullmatch(path_regex(pattern), path) is not None
    assert _walker(_pieces(pattern))(path) == expected
    assert matcher(pattern)(path) == expected


def test_no_pattern_takes_long():
    path = "a" * 200
    for pattern in ("*a" * 30 + "b", "**a" * 30 + "b", "**/" * 30 + "b", "*a**" * 20 + "/"):
        assert not matcher(pattern)(path)  # backtracking would not come back
    assert matcher("*a" * 30)(path)
