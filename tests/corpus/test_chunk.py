"""Chunks: nothing is lost, nothing is too long, and structure is cut where it must be."""

import random
import re
import time
from bisect import bisect_left, bisect_right
from dataclasses import replace
from itertools import pairwise

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st

from searchkit.corpus.chunk import Span, context, spans
from searchkit.corpus.extracted import Extracted, Heading
from searchkit.errors import BadInput


def words(text):
    """A token for each word and the white space before it, as byte-level BPE has them."""
    return [found.start() for found in re.finditer(r"\s*\S+", text)]


def quarters(text):
    """Tokens of at most four characters, of white space too, and two for what is not ASCII."""
    starts = []
    for found in re.finditer(r"\s?\S{1,4}|\s+", text):
        starts += [found.start()] * (1 if found[0].isascii() else 2)
    return starts


def texts(document, **options):
    found = spans(document, words, **options)
    return [document.text[span.start : span.end] for span in found]


def plain(text, **fields):
    return Extracted(text=text, **fields)


def marked(text, **fields):
    """A document in which lines such as "## Name" are headings."""
    headings = tuple(
        Heading(found.start(), len(found[1]), found[2])
        for found in re.finditer(r"^(#+) (.*)$", text, re.MULTILINE)
    )
    return Extracted(text=text, headings=headings, verbatim=True, **fields)


def prose(count, name="w"):
    """One sentence of `count` words."""
    return " ".join(f"{name}{number}" for number in range(count - 1)) + " end."


# What any document may hold: scripts, marks, sequences that are seen as one character, structure.
PIECES = (
    *("a", "bc", "word", "Etc.", "1.", "3.5", "z" * 30),
    *("é", "e\u0301", "\u0301", "\u200d", "\u0600", "\ufe0f", "\ufeff"),
    *("漢字", "。", "」", "한국어", "ไทยแลนด์", "क्षि", "👩‍👩‍👧", "🇩🇪🇫🇷", "👍🏽"),
    *(". ", "! ", "?\n", '." ', "... "),
    *(" ", "  ", "\t", "\u00a0", "\u2003", "\n", "\n\n", "\n \n\n", "\x0b", "\x1c", "\u2028"),
)
LINES = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)


@st.composite
def documents(draw):
    lines = draw(st.lists(LINES, max_size=12))
    text, starts = "", []
    for line in lines:
        starts.append(len(text))
        text += line + "\n"
    chosen = {
        kind: sorted(draw(st.sets(st.sampled_from(starts)))) if starts else []
        for kind in ("headings", "pages", "units")
    }
    headings = tuple(
        Heading(start, draw(st.integers(1, 4)), f"h{start}") for start in chosen["headings"]
    )
    pages = tuple(sorted({0, *chosen["pages"]})) if chosen["pages"] else ()
    return Extracted(
        text=text,
        headings=headings,
        pages=pages,
        units=tuple(chosen["units"]),
        verbatim=draw(st.booleans()),
    )


def graphemes(text):
    """Where graphemes begin, and where they end."""
    return {0, *(found.end() for found in regex.finditer(r"\X", text))}


def tokens_in(starts, start, end):
    """Tokens that have a character of [start, end), as far as beginnings tell."""
    first = bisect_left(starts, start)
    reaches_in = first > 0 and (first == len(starts) or starts[first] != start)
    return bisect_left(starts, end) - first + reaches_in


@pytest.mark.parametrize("token_starts", [words, quarters])
@settings(deadline=None, max_examples=150)
@given(document=documents(), max_tokens=st.integers(1, 20), overlap=st.integers(0, 10))
@example(document=Extracted(text="a \u0600 "), max_tokens=1, overlap=0)
@example(document=Extracted(text="a \u0600\u2003"), max_tokens=1, overlap=0)
def test_chunks_keep_their_promises(token_starts, document, max_tokens, overlap):
    overlap = min(overlap, max_tokens // 2)
    text, starts, edges = document.text, token_starts(document.text), graphemes(document.text)
    found = list(spans(document, token_starts, max_tokens=max_tokens, overlap=overlap))
    covered = [0] * len(text)
    for span in found:
        chunk = text[span.start : span.end]
        for place in range(span.start, span.end):
            covered[place] += 1
        # White space at an end is there only as a part of a grapheme that is more than that.
        first, *_ = regex.findall(r"\X", text[span.start :])
        *_, last = regex.findall(r"\X", chunk)
        assert first.strip() and last.strip()
        assert first[0].strip() or len(first) > 1
        assert span.start in edges and span.end in edges
        assert tokens_in(starts, span.start, span.end) <= max_tokens or (
            len(regex.findall(r"\X", chunk)) == 1
        )
        if document.pages:
            assert span.page == bisect_right(document.pages, span.start)
            assert span.page == bisect_right(document.pages, span.end - 1)
        else:
            assert span.page is None
        if document.verbatim:
            assert span.first_line == text.count("\n", 0, span.start) + 1
            assert span.last_line == text.count("\n", 0, span.end - 1) + 1
        else:
            assert span.first_line is span.last_line is None
    for place, times in enumerate(covered):
        assert times or text[place].isspace()
    if not overlap:
        assert max(covered, default=0) <= 1
    for before, after in pairwise(found):
        assert before.start < after.start and before.end < after.end
        if after.start < before.end:
            assert tokens_in(starts, after.start, before.end) <= overlap


@settings(deadline=None, max_examples=150)
@given(document=documents(), max_tokens=st.integers(4, 20))
def test_what_fits_is_not_cut(document, max_tokens):
    # A heading alone would go to the section below it.
    siblings = tuple(replace(heading, level=1) for heading in document.headings)
    document = replace(document, headings=siblings)
    text, starts = document.text, words(document.text)
    found = list(spans(document, words, max_tokens=max_tokens))
    sections = {0, len(text), *document.pages, *(heading.start for heading in document.headings)}
    kept = [sections]
    if not document.headings:  # one of them belongs to the unit or paragraph that is under it
        kept.append(sections | {*document.units})
    if not document.headings and not document.units:
        blank_lines = re.finditer(r"\n[^\S\n]*\n\s*", text)
        kept.append(sections | ({line.end() for line in blank_lines} & graphemes(text)))
    for begins in kept:
        for start, end in pairwise(sorted(begins)):
            inner = text[start:end].strip()
            if inner.endswith("\u0600"):
                continue  # the white space behind it belongs to it
            first = start + text[start:end].find(inner)
            if inner and tokens_in(starts, first, first + len(inner)) <= max_tokens:
                assert any(s.start <= first and s.end >= first + len(inner) for s in found)


def test_a_section_that_fits_is_one_chunk():
    document = marked("\n# A\n\nOne.\n\nTwo.\n")
    assert list(spans(document, words, max_tokens=4)) == [
        Span(1, len(document.text) - 1, ("A",), None, 2, 6)
    ]
    assert list(spans(plain(" \n\t\n"), words)) == []
    assert list(spans(plain(""), words)) == []


def test_a_section_begins_a_chunk():
    one, two = prose(50), prose(60)
    document = marked(f"# A\n\n{one}\n\n# B\n\n{two}\n")
    assert texts(document, max_tokens=120) == [f"# A\n\n{one}", f"# B\n\n{two}"]


def test_tiny_sections_share_a_chunk_under_their_common_heading():
    small = "".join(f"## B{number}\n\n{prose(8)}\n\n" for number in range(4))
    document = marked(f"# A\n\n{small}# C\n\n{prose(90)}\n")
    found = list(spans(document, words, max_tokens=100))
    assert [span.headings for span in found] == [("A",), ("C",)]
    assert document.text[found[0].start : found[0].end] == f"# A\n\n{small}".strip()


def test_the_product_of_two_lengths_decides_whether_they_are_joined():
    # 20 and 24 hundredths of a chunk: 0.048 is below (1 - 0.9) / 2; 20 and 26: 0.052 is above.
    for second, chunks in ((24, 1), (26, 2)):
        text = f"# A\n\n{prose(18)}\n\n# B\n\n{prose(second - 2)}\n"
        assert len(texts(marked(text), max_tokens=100)) == chunks


def test_a_part_of_a_section_shares_no_chunk_with_another_section():
    long, tiny = "\n\n".join(prose(60) for _ in range(3)), prose(5)
    document = marked(f"# A\n\n{long}\n\n# B\n\n{tiny}\n")
    assert texts(document, max_tokens=125)[-1] == f"# B\n\n{tiny}"
    # Two levels up there is a common heading, but it is not that of the tiny section alone.
    document = marked(f"# A\n\n{prose(90)}\n\n## B\n\n{tiny}\n\n# C\n\n{tiny}\n")
    assert [span.headings for span in spans(document, words, max_tokens=100)] == [
        ("A",),
        ("A", "B"),
        ("C",),
    ]


def test_a_heading_is_in_the_chunk_of_what_is_under_it():
    document = marked(f"# A\n\n## B\n\n{prose(98)}\n\n## C\n\n{prose(60)}\n")
    found = list(spans(document, words, max_tokens=100))
    assert [span.headings for span in found] == [("A", "B"), ("A", "B"), ("A", "C")]
    assert document.text[found[0].start :].startswith("# A\n\n## B\n\nw0 ")
    assert len(words(document.text[found[0].start : found[0].end])) > 40  # and not alone


def test_a_page_is_never_left():
    text = f"{prose(5)}\n{prose(5)}\n{prose(30)}\n"
    starts = (0, text.index("w0", 1), text.rindex("w0"))
    found = list(spans(plain(text, pages=starts), words, max_tokens=20))
    assert [span.page for span in found] == [1, 2, 3, 3]


def test_a_section_goes_on_on_the_next_page():
    text = f"# A\n{prose(20)}\n{prose(20)}\n# B\n{prose(20)}\n"
    document = marked(text, pages=(0, text.index("w0", 10)))
    found = list(spans(document, words, max_tokens=30))
    assert [(span.page, span.headings) for span in found] == [(1, ("A",)), (2, ("A",)), (2, ("B",))]


def test_units_are_kept_whole():
    functions = [f"def f{number}():\n\n    {prose(30)}\n\n" for number in range(4)]
    text = "".join(functions)
    units = tuple(text.index(f"def f{number}") for number in range(4))
    assert texts(plain(text, units=units), max_tokens=70) == [
        (functions[0] + functions[1]).strip(),
        (functions[2] + functions[3]).strip(),
    ]
    assert texts(plain(text, units=units), max_tokens=50) == [one.strip() for one in functions]


def test_chunks_are_of_like_length():
    text = " ".join(prose(10) for _ in range(21))
    assert [len(words(chunk)) for chunk in texts(plain(text), max_tokens=100)] == [70, 70, 70]


def test_a_part_of_a_paragraph_is_not_put_to_another_paragraph():
    long, short = " ".join(prose(10) for _ in range(12)), prose(30)
    assert texts(plain(f"{long}\n\n{short}\n\n{short}"), max_tokens=100) == [
        *(" ".join([prose(10)] * 6),) * 2,
        f"{short}\n\n{short}",
    ]


def test_a_paragraph_is_cut_at_the_end_of_a_sentence():
    sentences = [
        "Dr. J. Smith et al. wrote 3.5 pages on e.g. rain.",
        'He said: "It rains!"',
        "Does it rain...",
        "It does",
    ]
    assert texts(plain(" ".join(sentences)), max_tokens=11) == [
        sentences[0],
        " ".join(sentences[1:]),
    ]
    chinese = ["今天下雨。", "「他不来。」", "为什么？"]
    found = spans(plain("".join(chinese)), lambda text: range(len(text)), max_tokens=6)
    assert ["".join(chinese)[span.start : span.end] for span in found] == chinese


def test_a_paragraph_is_cut_at_lines_that_were_not_merely_full():
    wrapped = "aa bb cc dd\nee. ff gg hh\nii jj kk."
    assert texts(plain(wrapped), max_tokens=6) == ["aa bb cc dd\nee.", "ff gg hh\nii jj kk."]
    listed = "- one two\n- three four\n- five six\n- a longer item. And more"
    assert texts(plain(listed), max_tokens=9) == [
        "- one two\n- three four\n- five six",
        "- a longer item. And more",
    ]


def test_long_words_are_cut_between_graphemes():
    family = "👩‍👩‍👧"
    found = spans(plain(family * 5), lambda text: range(len(text)), max_tokens=10)
    assert [span.end - span.start for span in found] == [10, 10, 5]  # five characters each
    found = spans(plain(family * 2), lambda text: range(len(text)), max_tokens=3)
    assert [(span.start, span.end) for span in found] == [(0, 5), (5, 10)]


def test_surrogate_pairs_are_not_cut():
    found = spans(plain("\ud83d\ude00" * 3), lambda text: range(len(text)), max_tokens=3)
    assert [(span.start, span.end) for span in found] == [(0, 2), (2, 4), (4, 6)]


def test_an_overlap_begins_with_a_sentence():
    text = " ".join(prose(10, name) for name in "abcdefgh")
    chunks = texts(plain(text), max_tokens=40, overlap=15)
    assert [(chunk.split()[0], len(words(chunk))) for chunk in chunks] == [
        ("a0", 40),
        ("d0", 30),
        ("f0", 30),
    ]


def test_an_overlap_begins_with_a_word_where_sentences_are_long():
    chunks = texts(plain(prose(100)), max_tokens=40, overlap=10)
    for before, after in pairwise(chunks):
        assert before.split()[-10:] == after.split()[:10]


def test_nothing_is_repeated_where_a_section_begins():
    document = marked(f"# A\n\n{prose(30)}\n\n# B\n\n{prose(50)}\n")
    chunks = texts(document, max_tokens=40, overlap=10)
    assert [chunk.split()[0] for chunk in chunks][:2] == ["#", "#"]


def test_an_edit_changes_the_chunks_around_it_alone():
    draw = random.Random(7)
    paragraphs = [
        " ".join(prose(draw.randint(5, 30)) for _ in range(draw.randint(1, 12))) for _ in range(300)
    ]
    before = texts(plain("\n\n".join(paragraphs)), max_tokens=100)
    paragraphs[3] += " A sentence that was not there."
    after = texts(plain("\n\n".join(paragraphs)), max_tokens=100)
    assert len(before) > 300
    assert len([chunk for chunk in after if chunk not in before]) <= 3


def test_tokens_are_counted_block_by_block():
    text = "\n".join(prose(10) for _ in range(2000))
    blocks = []

    def token_starts(block):
        blocks.append(block)
        return words(block)

    found = list(spans(plain(text), token_starts, max_tokens=50))
    assert "".join(blocks) == text and len(blocks) > 1
    assert max(len(words(text[span.start : span.end])) for span in found) <= 50
    assert len(found) == 400


@pytest.mark.parametrize(
    "text",
    [
        "x" * 100_000,
        "\n" * 100_000,
        "x\n" * 50_000,
        "." * 100_000 + "x",
        "字" * 100_000,
        "🇩🇪" * 50_000,
        "x" + "\u0301" * 100_000,
        " \u0301" * 50_000,
        "# x\n" * 20_000,
    ],
    ids=lambda text: repr(text[:4]),
)
def test_the_work_grows_with_the_length_of_the_text(text):
    document = marked(text, units=tuple(range(0, len(text), 7)))
    start = time.process_time()
    count = sum(1 for _ in spans(document, quarters, overlap=50))
    assert time.process_time() - start < 10  # what is quadratic takes minutes
    assert (count > 0) == bool(text.strip())


def test_a_context_leads_to_the_chunk():
    span = Span(0, 1, ("Getting\n started", "Install"), None, None, None)
    assert context(plain("x", title="Guide"), span) == "Guide > Getting started > Install"
    assert context(plain("x", title="Getting started"), span) == "Getting started > Install"
    assert context(plain("x"), span) == "Getting started > Install"
    assert context(plain("x"), Span(0, 1, (), 1, None, None)) == ""


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_tokens": 0}, "at most 0 tokens holds nothing; 200 is usual"),
        ({"max_tokens": 10, "overlap": 6}, "cannot overlap by 6; choose between 0 and 5"),
        ({"overlap": -1}, "cannot overlap by -1; choose between 0 and 100"),
    ],
)
def test_sizes_that_make_no_sense_are_refused(options, message):
    with pytest.raises(BadInput, match=message):
        spans(plain("x"), words, **options)


def test_a_path_of_many_headings_is_told_by_the_innermost():
    headings = tuple(Heading(0 if n == 0 else 2 * n, n + 1, f"h{n}") for n in range(50))
    document = Extracted(text="h\n" * 50 + prose(30), headings=headings)
    *_, last = spans(document, words, max_tokens=20)
    assert last.headings == tuple(f"h{n}" for n in range(42, 50))
