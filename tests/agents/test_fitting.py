"""How much of a text fits, and where it is cut."""

from hypothesis import given
from hypothesis import strategies as st

from searchkit.agents.fitting import around, end_of, tokens, widened

TEXTS = st.text(st.sampled_from("abc é漢🙂.!? \n"), max_size=200)
PROSE = "First comes this. Then comes that!\n\nAnd at last, something else follows it."


@given(TEXTS, st.integers(0, 50), st.integers(1, 30))
def test_what_is_cut_off_fits_and_leaves_something(text, start, limit):
    start = min(start, len(text))
    end = end_of(text, start, limit)
    assert start <= end <= len(text)
    assert tokens(text[start:end]) <= limit or end == start + 1
    assert end > start or start == len(text)


@given(TEXTS, st.integers(1, 30))
def test_pages_make_up_the_text(text, limit):
    pages, start = [], 0
    while start < len(text):
        end = end_of(text, start, limit)
        pages.append(text[start:end])
        start = end
    assert "".join(pages) == text


@given(TEXTS, st.data(), st.integers(4, 30))
def test_what_answers_best_is_shown(text, data, limit):
    first = data.draw(st.integers(0, max(0, len(text) - 1)))
    best = (first, min(len(text), first + 1))
    start, end = around(text, best, [], limit)
    assert 0 <= start <= end <= len(text)
    assert tokens(text[start:end]) <= limit
    assert start <= best[0] and best[1] <= end


def test_a_cut_stands_between_sentences_if_it_can():
    assert PROSE[: end_of(PROSE, 0, 13)] == "First comes this. Then comes that!\n\n"
    assert PROSE[: end_of(PROSE, 0, 8)] == "First comes this. "
    assert "three words here"[: end_of("three words here", 0, 4)] == "three words "
    long = "x" * 100
    assert end_of(long, 0, 10) == 30
    family = "👩\u200d👩\u200d👧" * 5
    assert end_of(family, 0, 8) == 5


def test_the_stretch_with_the_most_marks_stands_in_for_what_answers_best():
    text = "ferry " + "nothing of note here. " * 30 + "The ferry leaves. A ferry comes back."
    marks = [(0, 5), (text.rindex("The ferry") + 4, text.rindex("The ferry") + 9)]
    marks.append((text.rindex("ferry"), text.rindex("ferry") + 5))
    start, end = around(text, (0, 0), marks, 30)
    assert text[start:end].endswith("The ferry leaves. A ferry comes back.")
    assert start and text[start - 1] == " "


def test_a_span_is_widened_by_paragraphs():
    text = "one\n\ntwo\nlines\n \nthree\n\nfour"
    two = text.index("two")
    assert text[slice(*widened(text, two, two + 1, 0))] == "two\nlines\n \n"
    assert text[slice(*widened(text, two, two + 1, 1))] == "one\n\ntwo\nlines\n \nthree\n\n"
    assert widened(text, two, two + 1, 9) == (0, len(text))
    both = text[slice(*widened(text, 0, two + 1, 0))]
    assert both == "one\n\ntwo\nlines\n \n"
    assert widened("", 0, 0, 3) == (0, 0)
