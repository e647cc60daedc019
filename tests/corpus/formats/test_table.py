"""Tables and data: units are rows, and JSON reads as it means."""

import json
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def units(document):
    """The text of each unit, up to the next."""
    starts = [*document.units, len(document.text)]
    return [document.text[a:b] for a, b in pairwise(starts)]


@pytest.mark.parametrize(
    ("name", "text", "rows"),
    [
        ("a.csv", "name,price\napple,3\n\npear,4\n", ["name,price\n", "apple,3\n\n", "pear,4\n"]),
        ("a.csv", 'a,b\n"one\ntwo, three",x\ny,z', ["a,b\n", '"one\ntwo, three",x\n', "y,z"]),
        ("a.csv", 'a;b\nx;"one\ntwo"\n', ["a;b\n", 'x;"one\ntwo"\n']),
        ("a.tsv", 'a\tb\n"x"\ty\n', ["a\tb\n", '"x"\ty\n']),
        ("a.jsonl", '{"a": 1}\n\n{"a": 2}\n', ['{"a": 1}\n\n', '{"a": 2}\n']),
        ("a.json", '[\n  {"a": [1, 2]},\n  {"b": {}}\n]', ['{"a": [1, 2]},\n  ', '{"b": {}}\n]']),
        ("a.json", '{"a": 1, "b": [1, 2]}', ['"a": 1, ', '"b": [1, 2]}']),
        (
            "a.json",
            '{"rows": [{"x": [{"y": 1}]}, {"x": 2}], "n": "a, [b"}',
            ['"rows": [', '{"x": [{"y": 1}]}, ', '{"x": 2}], ', '"n": "a, [b"}'],
        ),
        ("a.json", "[1, [2, 3]]", ["1, ", "[2, 3]]"]),
        ("a.json", '"one"', []),
        ("a.json", '{"broken": [', ['"broken": [']),
    ],
)
def test_each_row_is_a_unit(read, name, text, rows):
    (found,) = read(name, text, "table")
    assert found.text == text
    assert found.verbatim
    assert units(found) == rows


def test_a_quote_that_is_never_closed_does_not_take_the_table_along(read):
    lines = ["a,b", 'x,"y'] + ["1,2"] * 40_000
    (found,) = read("a.csv", "\n".join(lines), "table")
    assert len(found.units) == len(lines)


@given(value=st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=3)))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_letters_stand_in_place_of_their_escapes(read, value):
    (found,) = read("a.json", json.dumps({"é": value}), "table")
    assert json.loads(found.text) == {"é": value}
    assert '"é"' in found.text


@pytest.mark.parametrize(
    ("escaped", "text"),
    [
        (r'"\u65e5\u672C \ud83d\ude00"', '"日本 😀"'),
        (r'"a\\u00e9 \n \u000a \u0022 \u005c"', r'"a\\u00e9 \n \u000a \u0022 \u005c"'),
        (r'"half \ud83d x"', r'"half \ud83d x"'),
    ],
)
def test_escapes_that_mean_no_letter_stay(read, escaped, text):
    assert read("a.json", escaped, "table")[0].text == text
