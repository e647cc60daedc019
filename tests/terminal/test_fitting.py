"""Texts in cells: cut with a sign, broken between words, and never inside a character."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from searchkit.terminal import fitting
from searchkit.terminal.fitting import (
    clip,
    clip_path,
    clip_trail,
    displayable,
    fold,
    rows,
    shown,
    snippet,
)

TEXTS = st.text(st.sampled_from("ab c,水道e\u0301👩\u200d🔬\n"), max_size=60)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("water", 5, "water"),
        ("watering", 5, "wate…"),
        ("the cold store", 5, "the…"),
        ("水道水", 5, "水道…"),
        ("水道水", 4, "水…"),
        ("e\u0301e\u0301e\u0301", 2, "e\u0301…"),
        ("water", 0, ""),
    ],
)
def test_a_text_that_is_too_long_ends_in_an_ellipsis(text, width, expected):
    assert clip(text, width) == expected


@pytest.mark.parametrize(
    ("width", "expected"),
    [
        (31, "Care › … › After the run"),
        (32, "Care › Autoclave › After the run"),
        (23, "… › After the run"),
        (16, "… › After the r…"),
    ],
)
def test_of_a_trail_of_headings_the_innermost_is_kept_longest(width, expected):
    assert clip_trail(["Care", "Autoclave", "After the run"], width) == expected
    assert clip_trail(["Autoclave"], 5) == "Auto…"


@pytest.mark.parametrize(
    ("place", "width", "expected"),
    [
        ("docs/lab/care.md:12", 19, "docs/lab/care.md:12"),
        ("docs/lab/care.md:12", 18, "…/lab/care.md:12"),
        ("docs/lab/care.md:12", 12, "…/care.md:12"),
        ("docs/lab/care.md:12", 8, "…e.md:12"),
        ("a-name-without-folders.md:3", 9, "…ers.md:3"),
    ],
)
def test_a_path_keeps_its_end_for_there_are_file_and_line(place, width, expected):
    assert clip_path(place, width) == expected


@given(text=TEXTS, width=st.integers(2, 20))
def test_rows_fit_and_leave_out_nothing_but_white_space(text, width):
    found = rows(text, width)
    assert all(cell_len(text[start:end]) <= width for start, end in found)
    assert all(a[1] <= b[0] for a, b in pairwise(found))
    assert all("\n" not in text[start:end] for start, end in found)
    written = "".join(text[start:end] for start, end in found)
    assert "".join(written.split()) == "".join(text.split())


@given(text=TEXTS, width=st.integers(2, 20))
def test_rows_break_inside_no_character(text, width):
    import regex

    cuts = {match.start() for match in regex.finditer(r"\X", text)} | {len(text)}
    assert all(start in cuts and end in cuts for start, end in rows(text, width))


def test_letters_that_are_not_looked_at_one_by_one_take_a_cell_each():
    import regex

    plain = [chr(code) for code in range(0x3000) if fitting._PLAIN.fullmatch(chr(code))]
    assert {"a", "é", "ß", "π", "Я", "’", "–", "€"} < set(plain)
    assert all(cell_len(letter) == 1 for letter in plain)
    assert regex.findall(r"\X", "".join(plain)) == plain


def test_rows_break_between_words_where_there_is_one():
    text = "the cold store\n\n  holds samples"
    assert [text[a:b] for a, b in rows(text, 9)] == ["the cold", "store", "", "  holds", "samples"]
    text = "ééé ééé 水道水"
    assert [text[a:b] for a, b in rows(text, 4)] == ["ééé", "ééé", "水道", "水"]
    text = "abcdefgh"
    assert [text[a:b] for a, b in rows(text, 3)] == ["abc", "def", "gh"]


def test_a_line_that_is_folded_says_where_it_is_cut():
    text = "the cold store holds samples"
    assert fold(text, 14, 3) == ["the cold store", "holds samples"]
    assert fold(text, 10, 3) == ["the cold", "store", "holds sam…"]
    assert fold(text, 10, 1) == ["the cold…"]
    assert fold("", 10, 3) == [""]


def test_tabs_become_spaces_and_spans_move_with_them():
    text, (spans,) = displayable("\ta\tb\x1b[2J", [(1, 2), (3, 4)])
    assert text == "    a    b�[2J"
    assert [text[a:b] for a, b in spans] == ["a", "b"]
    assert displayable("a\nb", [(2, 3)]) == ("a\nb", [[(2, 3)]])


def test_a_line_cannot_command_the_terminal():
    assert shown("a\x1b[2J \n b\u202ec") == "a�[2J b�c"


class TestSnippet:
    TEXT = "Before the run\nfill the tank with distilled water and close the door with care."

    def of(self, width, words=("distilled", "water"), best=(0, 0)):
        marks = [(self.TEXT.index(word), self.TEXT.index(word) + len(word)) for word in words]
        line, found = snippet(self.TEXT, marks, best, width)
        assert cell_len(line) <= width
        return line, [line[a:b] for a, b in found]

    def test_begins_a_little_before_the_first_word_that_was_asked_for(self):
        line, marked = self.of(40)
        assert line == "…tank with distilled water and close th…"
        assert marked == ["distilled", "water"]

    def test_takes_all_the_room_there_is(self):
        line, marked = self.of(30, words=["care"])
        assert line == "…and close the door with care."
        assert marked == ["care"]

    def test_is_one_line(self):
        assert self.of(200)[0] == self.TEXT.replace("\n", " ")

    def test_begins_with_what_answers_best(self):
        start = self.TEXT.index("fill")
        assert self.of(50, best=(start, len(self.TEXT)))[0].startswith("…fill the tank with dis")

    def test_marks_nothing_that_was_cut_off(self):
        line, marked = self.of(18)
        assert line == "…distilled water…"
        assert marked == ["distilled", "water"]
        assert self.of(12)[1] == ["distilled"]

    def test_of_a_text_without_a_word_that_was_asked_for_is_its_beginning(self):
        assert self.of(16, words=[]) == ("Before the run…", [])
