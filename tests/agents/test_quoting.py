"""What a model gets to see of a text."""

import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from searchkit.agents.quoting import line, quoted, visible

HIDDEN = regex.compile(r"[\p{Cs}\p{Default_Ignorable_Code_Point}]|[[\p{Cc}--[\t\n]]]", regex.V1)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, text\twith\nlines", "plain, text\twith\nlines"),
        ("\x1b[31mred\x1b[0m", "\ufffd[31mred\ufffd[0m"),
        ("a\u200b\u200c\u200db", "a\ufffdb"),
        ("tag\U000e0041\U000e0042\U000e007f!", "tag\ufffd!"),
        ("left\u202eright", "left\ufffdright"),
        ("bytes\U000e0100\U000e0101\ufe00", "bytes\ufffd"),
        ("half\ud800", "half\ufffd"),
        ("\ufefftext", "\ufffdtext"),
        ("ex\u00adample", "example"),
        ("one\r\ntwo\rthree\x0cfour\u2028five", "one\ntwo\nthree\nfour\nfive"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("क्\u200dष", "क्\u200dष"),
        ("👩\u200d🔬 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3", "👩\u200d🔬 ❤\ufe0f\u200d🔥 1\ufe0f\u20e3"),
        ("🙂\ufe0f\ufe0f\ufe0f", "🙂\ufffd"),
        ("e\u0301", "e\u0301"),
    ],
)
def test_what_is_hidden_is_shown_and_what_writing_needs_stays(text, shown):
    assert visible(text) == shown


@given(st.text(st.characters(categories=["Cc", "Cf", "Cs", "Mn"]), max_size=20))
def test_nothing_can_be_hidden_between_ascii_letters(text):
    shown = visible(f"a{text}b")
    assert all(unicodedata.category(one) not in ("Cc", "Cs") or one in "\t\n" for one in shown)
    hidden = HIDDEN.findall(shown)
    # One joiner or selector behind a mark that is not ASCII is writing; a run of them is not.
    assert not regex.search(rf"(?:{HIDDEN.pattern}){{2,}}", shown, regex.V1)
    assert set(hidden) <= {"\u200c", "\u200d", "\ufe0e", "\ufe0f"}


def test_a_title_is_one_line_of_bounded_length():
    assert line("a\n b\u2028c\x1b") == "a b c\ufffd"
    assert len(line("x" * 10_000)) == 300


def test_every_answer_names_its_limits_anew():
    first, second = quoted(("head", "text")), quoted(("head", "text"))
    assert first != second
    begin, head, _, text, end = first.splitlines()
    assert begin.startswith("<passage-") and end == begin.replace("<", "</")
    assert (head, text) == ("head", "text")
