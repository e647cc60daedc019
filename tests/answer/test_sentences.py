"""Passages to sentences."""

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from searchkit.answer.sentences import sentences


def cut(text):
    return [text[start:end] for start, end in sentences(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ("Dr. Smith of the U.S. Army met J. Doe. He left.", None),
        ("It is vol. 3, p. 12, No. 5. See fig. 2.", ["It is vol. 3, p. 12, No. 5.", "See fig. 2."]),
        ("He said “Go.” Then he went.", ["He said “Go.”", "Then he went."]),
        ("It costs 3.50 a day, e.g. on Sundays.", ["It costs 3.50 a day, e.g. on Sundays."]),
        ("# Head\n\nText\ngoes on.\n- one\n- two. More", ["Text\ngoes on.", "one", "two.", "More"]),
        ("One.\n#\nText stays.\n## \nAnd this.", ["One.", "Text stays.", "And this."]),
        ("Er sagt „Ja.“ Sie geht. »Nein.« So.", ["Er sagt „Ja.“", "Sie geht.", "»Nein.«", "So."]),
        ("1. first\n2. second", ["first", "second"]),
        ("| a | b |\n|---|---|\n| c | 3 |", ["| a | b |\n|---|---|", "| c | 3 |"]),
        ("东京很大。我喜欢！是吗？", ["东京很大。", "我喜欢！", "是吗？"]),
        ("Wait... no. Yes", ["Wait... no.", "Yes"]),
        ("*** --- ***", []),
        ("", []),
    ],
)
def test_sentences_end_where_they_do(text, expected):
    found = cut(text)
    if expected is None:
        expected = ["Dr. Smith of the U.S. Army met J. Doe.", "He left."]
    assert found == expected


def test_code_without_full_stops_is_cut_into_its_lines():
    text = "\n".join(f"call_{number}(with_some_argument={number})" for number in range(40))
    assert cut(text) == text.split("\n")


@given(st.text("ab .!?\n-#|1“”\"'。é\u0301", max_size=60))
@example("\n\n# a\n\n# b")
@example("..........................a")
def test_sentences_are_in_order_trimmed_and_lose_no_word(text):
    spans = sentences(text)
    assert all(start < end for start, end in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    assert all(text[start:end] == text[start:end].strip() for start, end in spans)
    kept = "".join(text[start:end] for start, end in spans)
    without_headings = "".join(
        line for line in text.splitlines() if not line.lstrip(" \n").startswith("#")
    )
    for letter in "ab":
        assert kept.count(letter) >= without_headings.count(letter)
