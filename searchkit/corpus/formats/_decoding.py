"""Bytes to text: what encoding a file has, and whether it is text at all."""

import codecs
import re
import string
from pathlib import Path

from searchkit.corpus.extracted import Unreadable

HEAD = 8192  # bytes from which text is told from anything else

_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
# What is declared as one of these is written in the other, which has all its characters and more;
# by the names of Python's codecs, each of which has many spellings.
_WIDER = {
    "iso8859-1": "cp1252", "ascii": "cp1252", "gb2312": "gb18030", "gbk": "gb18030",
    "shift_jis": "cp932", "euc_kr": "cp949",
}  # fmt: skip
_WITH_NULS = ("utf-16", "utf-32")  # and their two orders of bytes: text, for all the NUL bytes
_SEQUENCE = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_CONTROL = re.compile(
    rb"[\x01-\x08\x0e-\x1a\x1c-\x1f]"
)  # not white space, and not ESC of terminals
_NO_LETTERS = bytes(set(range(128)) - set(string.ascii_letters.encode()))
_IS_ASCII = bytes([1] * 128 + [0] * 128)  # of each byte
# The older encodings of Cyrillic, Japanese, Chinese and Korean; and how many bytes beyond ASCII it
# takes to tell them apart: by 20 the guess is often wrong, by 200 hardly ever.
_OTHER_SCRIPTS = ("cp1251", "koi8_r", "cp932", "euc_jp", "gb18030", "cp950", "cp949")
_FEWEST = 40
_MOST_MESS = 0.35  # by charset-normalizer's measure, for which rare syllables are a mess
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def is_text(head: bytes) -> bool:
    """Whether the first `HEAD` bytes of a file are those of a text.

    A byte order mark says so, a NUL byte without one denies it. UTF-8 is text; bytes that are not
    are a text in an older encoding where they hold no control characters.
    """
    if any(head.startswith(mark) for mark, _ in _MARKS):
        return True
    if b"\0" in head:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # a character may be cut at the end
    except UnicodeDecodeError:
        return not _CONTROL.search(head)
    return True


def read_text(path: Path) -> str:
    """The text of a file as `decoded` gives it.

    Raises:
        Unreadable: the file is not text.
        OSError: it cannot be read.
    """
    return decoded(path.read_bytes())


def decoded(content: bytes, declared: str = "") -> str:
    """The text that bytes hold, with lines that end in line feeds.

    The encoding is what a byte order mark says, else `declared` where that fits, else UTF-8, also
    with a few broken characters, else what the letters tell, as far as a text is in a script other
    than Latin, else Windows-1252, which has every printable character of Latin-1. Broken
    characters, NUL and lone surrogates become U+FFFD.

    Args:
        content: all of it.
        declared: the encoding that the text itself or its envelope names.

    Raises:
        Unreadable: the bytes are not text.
    """
    encoding = _codec(declared)
    if not is_text(content[:HEAD]) and not _fits(content, encoding):
        raise Unreadable("binary data, not text")
    return with_line_feeds(storable(_characters(content, encoding)))


def storable(text: str) -> str:
    """The text with U+FFFD for each NUL and each lone surrogate; offsets stay what they were."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def with_line_feeds(text: str) -> str:
    r"""The text with line feeds for line ends, so that its lines are those an editor counts.

    A carriage return ends a line where no line feed does; beside them it is a terminal's, which
    writes over a line, and becomes a space.
    """
    if "\r" not in text:
        return text
    text = text.replace("\r\n", "\n")
    return text.replace("\r", " " if "\n" in text else "\n")


def _codec(declared: str) -> str:
    """The name that Python has for what is written in an encoding; empty where it knows none."""
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return ""
    return _WIDER.get(name, name)


def _fits(content: bytes, encoding: str) -> bool:
    """Whether bytes are a text in an encoding that has NUL bytes in it."""
    if not encoding.startswith(_WITH_NULS):
        return False
    try:
        return "\0" not in content.decode(encoding)
    except UnicodeDecodeError:
        return False


def _characters(content: bytes, encoding: str) -> str:
    for mark, marked in _MARKS:
        if content.startswith(mark):
            return content[len(mark) :].decode(marked, errors="replace")
    for tried in (encoding, "utf-8"):
        if tried:
            try:
                return content.decode(tried)
            except (LookupError, ValueError):  # no such encoding, or the bytes are in another
                continue
    text = content.decode("utf-8", errors="replace")
    # Letters of an older encoding make a UTF-8 sequence by chance only.
    if len(_SEQUENCE.findall(content)) > text.count("\N{REPLACEMENT CHARACTER}"):
        return text
    for guessed in (_other_script(content), "cp1252"):
        if guessed:
            try:
                return content.decode(guessed)
            except UnicodeDecodeError:  # five bytes mean nothing in Windows-1252
                continue
    return content.decode("latin-1")


def _other_script(content: bytes) -> str:
    """The encoding of a text that is not in Latin letters; empty where it is, or is short.

    Most letters of such a text are beyond ASCII, and together they make up words. In a text in
    Latin letters those with accents are few and apart, as signs are among figures, so that no guess
    can spoil it.
    """
    places = content.translate(_IS_ASCII)
    others, words = places.count(0), places.count(b"\1\0") + 1
    letters = len(content.translate(None, _NO_LETTERS))
    if others < _FEWEST or others < 2 * words or 2 * others <= letters:
        return ""
    from charset_normalizer import from_bytes

    best = from_bytes(content, threshold=_MOST_MESS, cp_isolation=[*_OTHER_SCRIPTS]).best()
    return best.encoding if best else ""
