"""Snippets show the stretch with the most words of the query, whole words, and where they stand."""

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from searchkit.index.text import bm25
from searchkit.search.snippets import snippet

PARAMETERS = bm25.Parameters()


def analyse(text):
    return bm25.analyse(text, PARAMETERS)


def shown(text, query, width=220):
    """The snippet with its marks as brackets."""
    found, marks = snippet(text, query, analyse, width=width)
    for start, end in reversed(marks):
        found = f"{found[:start]}[{found[start:end]}]{found[end:]}"
    return found


def terms(text):
    return {term for term, _, _ in analyse(text)}


# Few words, so that queries match; some that stem together, stop words, long ones, odd spaces.
SHORT = ["clean", "cleaning", "cleaned", "autoclave", "autoclaves", "water", "the", "of", "b2", "x"]
MARKED = ["Fähre", "café", "(water)", "water,", "well-cleaned", "auto_clave", "∑≥", "🙂"]
LONG = ["of-the-autoclave", "distilled-water-is-clean", "中文字符很多"]
WORDS = st.sampled_from([*SHORT, *MARKED, *LONG])
SPACES = st.sampled_from([" ", " ", " ", "\n", "\t", "  ", "\u2003", "\u00a0"])
TEXTS = st.lists(st.tuples(WORDS, SPACES), max_size=40).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)
ANY_TEXTS = st.text(max_size=120)
WIDTHS = st.integers(12, 60)


@given(text=TEXTS | ANY_TEXTS, query=TEXTS | ANY_TEXTS, width=WIDTHS)
@example(text="a\u0301" * 50, query="a", width=12)
@example(text="İstanbul " * 9, query="istanbul", width=20)
def test_marks_lie_in_the_snippet_and_mark_words_of_the_query(text, query, width):
    found, marks = snippet(text, query, analyse, width=width)
    assert len(found.removeprefix("…").removesuffix("…")) <= width
    assert "\n" not in found and "  " not in found
    assert all(0 <= start < end <= len(found) for start, end in marks)
    assert all(before[1] <= after[0] for before, after in pairwise(marks))
    for start, end in marks:
        assert terms(found[start:end]) <= terms(query)
        assert terms(found[start:end])


@given(text=TEXTS | ANY_TEXTS, query=TEXTS, width=WIDTHS)
def test_a_snippet_is_a_stretch_of_the_text(text, query, width):
    whole = " ".join(text.split())
    found, _ = snippet(text, query, analyse, width=width)
    if len(whole) <= width:
        assert found == whole
        return
    assert found != whole
    if found[1:-1] in whole and found[0] == found[-1] == "…":
        return
    assert (found[-1] == "…" and whole.startswith(found[:-1])) or (
        found[0] == "…" and whole.endswith(found[1:])
    )


def most_terms(text, query, width):
    """The oracle: every window of every position, and the most terms that one holds whole."""
    text = " ".join(text.split())
    matches = [match for match in analyse(text) if match[0] in terms(query)]
    return max(
        len({term for term, a, b in matches if begin <= a and b <= begin + width})
        for begin in range(max(1, len(text) - width + 1))
    )


@given(text=TEXTS, query=TEXTS, width=WIDTHS)
@example(text="water " + "x" * 30 + " clean autoclave", query="clean water autoclave", width=30)
def test_no_stretch_of_the_width_holds_more_words_of_the_query(text, query, width):
    found, marks = snippet(text, query, analyse, width=width)
    marked = {term for start, end in marks for term in terms(found[start:end])}
    assert len(marked) == most_terms(text, query, width)


@given(text=st.lists(WORDS, min_size=1, max_size=60).map(" ".join), query=TEXTS, width=WIDTHS)
def test_words_are_cut_only_where_a_word_alone_is_too_long(text, query, width):
    found, _ = snippet(text, query, analyse, width=width)
    longest = max(len(word) for word in text.split())
    if longest <= width // 6:  # less than what is given to both ends of a stretch
        assert set(found.strip("…").split()) <= set(text.split())


def test_all_of_a_short_text_is_shown():
    assert shown("Clean it\n with  water.", "water") == "Clean it with [water]."
    assert shown("", "water") == ""
    assert shown("Clean it.", "water") == "Clean it."
    assert shown("Clean it.", "") == "Clean it."


def test_every_form_of_a_word_is_marked_and_stop_words_are_not():
    assert shown("Cleaning the well cleaned well.", "clean the wells") == (
        "[Cleaning] the [well] [cleaned] [well]."
    )


def test_the_words_around_the_match_are_shown():
    text = "word " * 30 + "the autoclave is hot " + "word " * 30
    assert shown(text, "autoclave", width=40) == "…the [autoclave] is hot word word word word…"


def test_more_different_words_win_over_more_words_and_the_first_over_the_last():
    many, both = "water water water water", "clean water"
    gap = " and so on and on it goes for a while, without an end "
    assert shown(f"{many}{gap}{both}{gap}{both} again{gap}", "clean water", width=30) == (
        "…end [clean] [water] and so on and…"
    )


def test_a_text_without_spaces_is_shown_around_its_match():
    text = "漢" * 100 + "。autoclave。" + "字" * 100
    found = shown(text, "autoclave", width=40)
    assert found == "…" + "漢" * 5 + "。[autoclave]。" + "字" * 24 + "…"


def test_an_accent_stays_with_its_letter_and_an_emoji_is_whole():
    for character in ("e\u0301\u0323", "👩🏽\u200d🚀", "🇫🇴", "❤\ufe0f"):
        for width in range(20, 32):
            for lead in range(12):
                text = "x" * lead + character * 40 + " autoclave " + character * 40
                found, _ = snippet(text, "autoclave", analyse, width=width)
                rest = found.strip("…").replace("autoclave", "").replace(" ", "").lstrip("x")
                assert rest.replace(character, "") == "", (character, width, lead)
                assert not unicodedata.category(found.lstrip("…")[0]).startswith("M")


@pytest.mark.parametrize("width", [220, 40])
def test_a_book_in_one_document_is_no_trouble(width):
    text = "clean water and the autoclave, " * 20_000
    found, marks = snippet(text, "autoclave water clean", analyse, width=width)
    assert len(found) <= width + 2
    assert marks
