"""Rich Text Format."""

import pytest

from searchkit.corpus.extracted import Extracted, Unreadable

TEXT = rb"""{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Times;}}
{\info{\title Rain in May}}
{\header Drops in \b general\par}
{\pard\outlinelevel1\b Drops\b0\par}
\pard Caf\'e9 costs 3\u8364? today, {\i truly}.\par
\trowd\cellx1000\cellx2000\intbl a\cell b\cell\row
\trowd\cellx1000\cellx2000\intbl 1\cell 2\cell\row
\pard Drops in general\par}"""


def test_a_document_has_its_words_and_tables_and_no_running_heads(read):
    text = "Drops\n\nCafé costs 3€ today, truly.\n\na | b\n1 | 2\n\nDrops in general"
    assert read("a.rtf", TEXT, "rtf") == [Extracted(text=text, title="Rain in May")]


def test_characters_of_two_halves_are_put_together(read):
    content = b"{\\rtf1\\ansi It rains \\u-10179?\\u-8704? and \\u-10179? stops\\par}"
    assert read("a.rtf", content, "rtf") == [Extracted(text="It rains \U0001f600 and \ufffd stops")]


@pytest.mark.parametrize("content", [b"", b"Once upon a time", b"\xff\xfe{\\rtf1}"])
def test_what_is_no_rtf_is_refused(read, content):
    with pytest.raises(Unreadable, match=r"^not RTF, which begins with \{\\rtf$"):
        read("a.rtf", content, "rtf")


def test_a_file_that_is_cut_is_read_as_far_as_it_goes(read):
    assert read("a.rtf", b"{\\rtf1\\ansi one\\par tw", "rtf") == [Extracted(text="one\n\ntw")]


def test_notes_follow_the_text_and_do_not_part_a_sentence(read):
    content = rb"""{\rtf1\ansi{\fonttbl{\f0\fcharset0 Times;}{\f1\fcharset204 Times;}}
{\header Head{\footnote not read}\par}
\pard Rain{\super\chftn}{\footnote \pard{\super\chftn} See {\i Drops \{1\}}.\par Two.} falls,
caf\u233{\*\footnote\ftnalt \f1 \'e6\'f3\'ea} \'e9.\par End.\par}"""
    assert read("a.rtf", content, "rtf")[0].text == (
        "Rain falls,café é.\n\nEnd.\n\nSee Drops {1}.\n\nTwo.\n\nжук"
    )
    cut = rb"{\rtf1\ansi one{\footnote a no"
    assert read("a.rtf", cut, "rtf")[0].text == "one\n\na no"
