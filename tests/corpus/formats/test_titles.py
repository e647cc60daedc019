"""What may stand as a title."""

import pytest

from searchkit.corpus.extracted import Heading
from searchkit.corpus.formats._titles import LONGEST, one_line, sane, short, sole


@pytest.mark.parametrize(
    ("found", "title"),
    [
        ("Rain in\n  May", "Rain in May"),
        ("Microsoft Word - Rain in May", "Rain in May"),
        ("Microsoft Word - rain.doc", ""),
        ("Untitled", ""),
        ("Document1", ""),
        ("PowerPoint Presentation", ""),
        ("report_final.indd", ""),
        ("0001018724-20-000004", ""),
        ("x", ""),
        ("", ""),
        (None, ""),
        ("word " * 61, ""),
        ("10-K 2022 of Adobe", "10-K 2022 of Adobe"),
        ("梅雨", "梅雨"),
        ("Title\0page", "Title\ufffdpage"),
    ],
)
def test_what_programs_write_for_a_title_is_none(found, title):
    assert sane(found) == title


def test_a_line_has_single_spaces_and_can_be_stored():
    assert one_line(" a\t\n b\u2028c\xa0\ud800 ") == "a b c \ufffd"


@pytest.mark.parametrize(
    ("levels", "title"), [([], ""), ([1], "0"), ([2, 3, 3], "0"), ([1, 1], ""), ([2, 3, 1], "")]
)
def test_a_heading_is_the_title_if_all_others_are_below_it(levels, title):
    headings = [Heading(number, level, str(number)) for number, level in enumerate(levels)]
    assert sole(headings) == title


@pytest.mark.parametrize("length", [LONGEST, LONGEST + 1, 10 * LONGEST])
def test_the_beginning_of_a_paragraph_stands_for_it(length):
    found = short(" \n" + "x" * length)
    assert found == ("x" * length if length <= LONGEST else "x" * (LONGEST - 1) + "…")
