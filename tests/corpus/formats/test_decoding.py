"""Which encoding a file is in, and what becomes of the lines and the characters in it."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.extracted import Unreadable
from searchkit.corpus.formats._decoding import decoded, is_text, with_line_feeds

ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"))


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@given(text=ANY)
def test_a_text_comes_back_from_every_encoding_that_says_what_it_is(mark, encoding, text):
    assert decoded(mark + text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Grüße – “so”".encode("cp1252"), "Grüße – “so”"),  # curly quotes are not in Latin-1
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"caf\xe9 \x81", "café \x81"),  # 0x81 is nothing in Windows-1252
        ("Grüße ".encode() * 9 + b"\xfc", "Grüße " * 9 + "\ufffd"),  # UTF-8, with one broken byte
        ("日本語".encode()[:-1], "日本\ufffd"),  # cut within a character
        (b"", ""),
    ],
)
def test_what_is_no_utf_8_is_an_older_encoding_unless_nearly_all_of_it_is(content, text):
    assert decoded(content) == text


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        ("жук".encode("koi8-r"), "koi8-r", "жук"),
        (b"\x93x\x94", "iso-8859-1", "“x”"),  # as browsers take it: Windows-1252
        (b"\x93x\x94", "Latin1", "“x”"),
        (b"\x93x\x94", "iso8859-1", "“x”"),
        ("жук".encode("utf-16-le"), "utf-16le", "жук"),
        ("жук".encode("utf-32-be"), "UTF-32BE", "жук"),
        ("жук".encode(), "no-such", "жук"),
        ("жук".encode(), "ascii", "Ð¶ÑƒÐº"),  # what is declared is believed where it fits
        (codecs.BOM_UTF8 + "жук".encode(), "koi8-r", "жук"),
        (b"\xc3\xa9", "shift_jis", "ﾃｩ"),  # and so it is, though UTF-8 would fit as well
        (b"caf\xe9 au lait", "shift_jis", "café au lait"),  # half a letter in Shift-JIS
    ],
)
def test_a_declared_encoding_is_taken_where_it_fits(content, declared, text):
    assert decoded(content, declared) == text


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\rb\r", "a\nb\n"),  # an old Mac's
        ("10 %\r20 %\rdone\nnext\r\n", "10 % 20 % done\nnext\n"),  # a terminal's
        ("a\x0cb\u2028c\x85d", "a\x0cb\u2028c\x85d"),  # no editor ends a line at these
    ],
)
def test_lines_are_those_that_an_editor_counts(text, lines):
    assert with_line_feeds(text) == lines


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"", True),
        (b"plain", True),
        (b"\xff\xfea\0", True),
        (b"\x1b[31mred\x1b[0m", True),
        ("é".encode() * 4096, True),
        (("é" * 4096).encode()[:8191], True),  # the head ends within a character
        (b"a\0b", False),
        (b"\x7fELF\x02\x01\x01\0", False),
        (b"\x89PNG\r\n\x1a\n", False),
        (b"\xff\xd8\xff\xe0\x10JFIF", False),
    ],
)
def test_text_is_told_from_binary_data(head, text):
    assert is_text(head) is text


def test_binary_data_is_refused_and_late_nul_bytes_are_replaced():
    with pytest.raises(Unreadable, match=r"^binary data, not text$"):
        decoded(b"a\0b")
    with pytest.raises(Unreadable, match=r"^binary data, not text$"):
        decoded(b"a\0b", "utf-16le")  # half a letter too many
    assert decoded(b"a" * 9000 + b"\0b") == "a" * 9000 + "\ufffdb"
