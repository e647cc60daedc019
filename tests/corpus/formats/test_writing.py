"""Texts put together from blocks, and what is remembered of where they began."""

from searchkit.corpus.extracted import Heading
from searchkit.corpus.formats._writing import Writing, row


def test_blocks_are_a_blank_line_apart_and_close_ones_on_the_next_line():
    writing = Writing()
    for text, close in [("\n\n  one \n", False), ("", False), ("two\nlines", False), ("3", True)]:
        writing.block(text, close=close)
    assert writing.extracted().text == "  one\n\ntwo\nlines\n3"


def test_pages_begin_with_their_blocks_and_within_them():
    writing = Writing()
    writing.page()
    writing.block("\nabc def", pages=[5])  # the first line is dropped; the page begins at "d"
    writing.page()  # an empty page: it begins where the next one does
    writing.page()
    writing.block("last")
    writing.block("", pages=[0])  # the page after the last block
    made = writing.extracted()
    assert made.text == "abc def\n\nlast"
    assert made.pages == (0, 4, 9, 9, 13)


def test_the_first_page_begins_the_text_whatever_stands_before_it():
    writing = Writing()
    writing.block("before")
    writing.page()
    writing.block("page one")
    assert writing.extracted().pages == (0,)


def test_headings_and_units_know_where_they_are():
    writing = Writing()
    writing.heading(2, " A\nheading ")
    writing.heading(1, " \n")
    writing.unit()
    writing.unit()
    writing.block("\nx\n# y", headings=[Heading(3, 1, "y")])
    writing.unit()
    made = writing.extracted()
    assert made.text == "A heading\n\nx\n# y"
    assert made.headings == (Heading(0, 2, "A heading"), Heading(13, 1, "y"))
    assert made.units == (11,)
    assert made.title == ""


def test_what_cannot_be_stored_is_replaced_and_moves_nothing():
    writing = Writing()
    writing.block("a\0b\ud800c\xa0d")
    assert writing.extracted(" A\ttitle\0 ").text == "a\ufffdb\ufffdc d"
    assert writing.extracted(" A\ttitle\0 ").title == "A title\ufffd"


def test_a_row_leaves_out_empty_cells():
    assert row(["a\nb", " ", "c "]) == "a b | c"
