"""Which stretch of a passage matches best, what is marked in it, and documents put together."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from searchkit.index.live.query import parse
from searchkit.search.live.passages import (
    Passage,
    Piece,
    _is_near,
    best_stretch,
    excerpt,
    marks_of,
    matches_of,
    whole_text,
)


def matches(text, query):
    """Words of a query in a text: the simplest analysis there is."""
    wanted = set(query.lower().split())
    words = re.finditer(r"\w+", text)
    return [(m[0].lower(), *m.span()) for m in words if m[0].lower() in wanted]


def best(text, query, width=240):
    start, end = best_stretch(text, matches(text, query), width=width)
    return text[start:end]


TEXT = (
    "The ferry to the island runs daily. On Sundays, it does not. Ask Dr. Gray for\n"
    "the timetable of version 3.11 first!\n\n"
    "Sheep graze on the cliffs. The ferry waits for no sheep."
)


@pytest.mark.parametrize(
    ("query", "stretch"),
    [
        ("daily", "The ferry to the island runs daily."),
        ("sundays", "On Sundays, it does not."),
        ("timetable", "the timetable of version 3.11 first!"),
        ("3", "the timetable of version 3.11 first!"),  # no sentence ends inside of a number
        ("graze", "Sheep graze on the cliffs."),
    ],
)
def test_a_whole_sentence_or_line_is_shown(query, stretch):
    assert best(TEXT, query) == stretch


def test_different_words_count_for_more_than_one_that_is_repeated():
    text = "ferry ferry ferry ferry\nmany other words are here\na ferry and a timetable"
    assert best(text, "ferry timetable", width=40) == "a ferry and a timetable"


def test_a_word_that_the_text_repeats_tells_less():
    # "the" stands with "of" in the first line, and "autoclave" alone in the last one.
    text = "the end of the day and the end of the week\nwater, water, water\nan autoclave"
    assert best(text, "the of autoclave", width=30) == "an autoclave"
    assert best(text, "the of autoclave", width=41) == text[-41:]  # with a "the" if there is room


def test_of_equals_the_shortest_is_taken_and_then_the_first():
    assert best("one ferry.\nAnother ferry.", "ferry", width=14) == "one ferry."
    text = "tide = 2\nreturn tide\na tide to return"
    assert best(text, "return tide") == "return tide"


def test_what_belongs_together_is_taken_together_if_there_is_room():
    text = "The ferry is late. It was a storm that delayed it."
    assert best(text, "ferry storm") == text
    assert best(text, "ferry storm", width=20) == "The ferry is late."


def test_without_a_match_it_is_the_beginning():
    assert best(TEXT, "zebra") == "The ferry to the island runs daily."
    assert best("  \n 1\nzwei", "zebra") == "1"
    assert best("\n \n", "zebra") == best("", "zebra") == ""


def test_a_long_line_is_cut_between_words():
    text = "word " * 50 + "ferry " + "word " * 50
    found = best(text, "ferry", width=60)
    assert "ferry" in found and 50 <= len(found) <= 60
    assert set(found.split(" ")) == {"word", "ferry"}


def test_chinese_sentences_end_without_a_space():
    text = "渡轮周日不开。羊在悬崖上吃草。高压灭菌器要用蒸馏水清洗。"
    place = text.index("悬崖")
    start, end = best_stretch(text, [("悬崖", place, place + 2)])
    assert text[start:end] == "羊在悬崖上吃草。"


WORDS = st.sampled_from(
    ["ferry", "the", "a", "Sheep.", "cafe\u0301", "👩‍👩‍👧", "🇩🇪🇫🇷", "羊。", "x" * 30]
)
SPACES = st.sampled_from([" ", "\n", "\n\n", "", "  ", "\u3000"])
TEXTS = st.lists(st.tuples(WORDS, SPACES), max_size=30).map(
    lambda pairs: "".join(word + space for word, space in pairs)
)


@given(text=TEXTS | st.text(max_size=80), query=TEXTS, width=st.integers(40, 90))
@example(text="e\u0301" * 60, query="", width=41)
def test_a_stretch_is_short_holds_a_match_and_splits_no_character(text, query, width):
    there = matches(text, query)
    start, end = best_stretch(text, there, width=width)
    assert 0 <= start <= end <= len(text) and end - start <= width
    assert (start < end) == bool(text.strip())
    assert text[start:end] == text[start:end].strip()
    if there:
        assert any(start <= a and b <= end for _, a, b in there)
    words = {place for m in there for place in m[1:]}  # a match may begin wherever it was analysed
    whole = {m.start() for m in regex.finditer(r"\X", text)} | {len(text)} | words
    gaps = {i for i in range(1, len(text)) if text[i - 1].isspace() != text[i].isspace()}
    assert {start, end} <= whole | gaps


MATCHES = [
    ("ferry", "The ferries; a Ferry.", ["ferries", "Ferry"]),  # in any inflection
    ("ferry -boat", "a ferry, a boat", ["ferry"]),
    ("+ferry path:boat", "a ferry, a boat", ["ferry"]),
    ('"high water"', "High and low water", ["High", "water"]),
    ("ferm*", "to ferment, fermenting; firm", ["ferment", "fermenting"]),
    ("cafe", "Ein Café!", ["Café"]),
    ("ferry~", "fery frery forest fairy", ["fery", "frery"]),
    ("ferry~2", "fery ferris fairy fog", ["fery", "ferris", "fairy"]),
    ("3.11.2", "version 3.11.2 of 2", ["3", "11", "2", "2"]),
    ("getUserName", "userName = getUserName()", ["user", "Name", "getUserName"]),
    ("悬崖", "羊在悬崖上", ["悬崖"]),
    ("羊", "羊在悬崖上吃草的羊", ["羊", "羊"]),
    ("the", "the end", []),
]


@pytest.mark.parametrize(("query", "text", "words"), MATCHES)
def test_what_matches_is_what_the_index_would_find(query, text, words):
    marks = marks_of(matches_of(parse(query), text))
    assert [text[start:end] for start, end in marks] == words


def test_a_word_that_is_being_typed_may_go_on():
    asked = parse("the fer", lenient=True)
    assert [m[1:] for m in matches_of(asked, "Ferment the ferry")] == [(0, 7), (12, 17)]


def test_the_words_of_one_prefix_are_one_word():
    found = matches_of(parse("fer* island"), "ferry ferment fertile. An island ferry.")
    assert {term for term, _, _ in found} == {"fer", "island"}


EDITS = [
    ("ferry", "ferry", 0),
    ("ferry", "fery", 1),
    ("fery", "ferry", 1),
    ("ferry", "fairy", 2),
    ("ferry", "frery", 1),  # swapped
    ("ferry", "efrry", 1),
    ("ferry", "efryr", 2),
    ("ca", "abc", 3),  # a letter that was swapped is not edited again
    ("", "ab", 2),
    ("abcd", "badc", 2),
    ("kitten", "sitting", 3),
]


@pytest.mark.parametrize(("one", "other", "distance"), EDITS)
def test_edits_are_counted(one, other, distance):
    for most in (1, 2):
        assert _is_near(one, other, most) == _is_near(other, one, most) == (distance <= most)


def test_marks_that_overlap_are_one():
    assert marks_of([("b", 8, 12), ("a", 0, 4), ("ab", 3, 6), ("b", 6, 7)]) == (
        (0, 6),
        (6, 7),
        (8, 12),
    )
    assert marks_of([]) == ()


def passage(text, best, first_line):
    return Passage(
        rank=1,
        score=1.0,
        doc_id="a.py",
        path=Path("/a.py"),
        format="code",
        title="",
        language="",
        modified=0.0,
        headings=(),
        text=text,
        page=None,
        first_line=first_line,
        last_line=first_line,
        start=0,
        end=len(text),
        chunk_id=1,
        best=best,
        marks=(),
        lists=(),
    )


def test_the_line_is_that_of_the_best_stretch():
    assert passage("a\nb\nc\n", (4, 5), 10).line == 12
    assert passage("a\nb\nc\n", (0, 5), 10).line == 10
    assert passage("a\nb\nc\n", (4, 5), None).line is None


def in_brackets(text, query, width=220):
    """The excerpt of a passage, with its marks as brackets."""
    there = matches_of(parse(query, lenient=True), text)
    whole = replace(
        passage(text, best_stretch(text, there, width=min(width, 240)), 1), marks=marks_of(there)
    )
    line, marks = excerpt(whole, width=width)
    for start, end in reversed(marks):
        line = f"{line[:start]}[{line[start:end]}]{line[end:]}"
    return line


class TestExcerpt:
    def test_is_the_whole_of_a_short_passage_on_one_line(self):
        assert in_brackets("# Tides\n\n  The  ferry leaves.\n", "ferry") == (
            "# Tides The [ferry] leaves."
        )

    def test_begins_with_the_best_stretch_and_is_cut_between_words(self):
        text = "One thing. " * 30 + "The ferry\nleaves. " + "And another. " * 30
        assert in_brackets(text, "ferry", width=40) == "…The [ferry] leaves. And another. And…"

    def test_ends_with_the_passage_and_shows_what_is_before(self):
        text = "one two three four five. " * 9 + "The ferry leaves."
        assert in_brackets(text, "ferry", width=40) == "…two three four five. The [ferry] leaves."

    @given(text=TEXTS | st.text(max_size=120), query=TEXTS, width=st.integers(40, 90))
    def test_marks_words_of_the_query_in_what_it_shows(self, text, query, width):
        there = matches(text, query)
        best = best_stretch(text, there, width=width)
        whole = replace(passage(text, best, 1), marks=marks_of(there))
        line, marks = excerpt(whole, width=width)
        assert len(line.removeprefix("…").removesuffix("…")) <= width
        assert "\n" not in line and "  " not in line
        shown = {" ".join(text[a:b].split()) for a, b in whole.marks}
        assert {line[start:end] for start, end in marks} <= shown
        assert bool(marks) == bool(there)


class TestWholeText:
    @given(
        text=st.text(st.sampled_from(["a", "b", " ", "\n"]), max_size=60),
        cuts=st.lists(st.integers(0, 60), max_size=8),
        overlap=st.integers(0, 5),
    )
    def test_every_chunk_is_found_at_its_place(self, text, cuts, overlap):
        places = [0, *sorted(cut for cut in cuts if cut <= len(text)), len(text)]
        pieces = []
        for a, b in pairwise(places):
            a = max(0, a - overlap)
            kept = text[a:b].strip()
            if kept:
                start = a + len(text[a:b]) - len(text[a:b].lstrip())
                first = 1 + text.count("\n", 0, start)
                pieces.append(Piece(start, kept, first, first + kept.count("\n")))
        found = whole_text(pieces)
        for piece in pieces:
            assert found[piece.start : piece.start + len(piece.text)] == piece.text
            assert 1 + found.count("\n", 0, piece.start) == piece.first_line
        assert found.split() == text.split()

    def test_lines_and_indentation_of_code_come_back(self):
        code = "import os\n\n\ndef f():\n    return 1\n\n    # done\n"
        spans = [(0, 9), (12, 33), (39, 45)]
        pieces = [
            Piece(a, code[a:b], 1 + code.count("\n", 0, a), 1 + code.count("\n", 0, b))
            for a, b in spans
        ]
        assert whole_text(pieces) == code.rstrip("\n")

    def test_without_lines_a_gap_is_a_line_end(self):
        pieces = [Piece(2, "One."), Piece(7, "Two."), Piece(13, "Three.")]
        assert whole_text(pieces) == "  One.\nTwo.\n Three."

    def test_nothing_is_nothing(self):
        assert whole_text([]) == ""
