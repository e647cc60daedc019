"""Passages to sentences that know their place.

A sentence ends at a full stop, at a blank line, and before an item of a list, a heading or a row of
a table. What has no full stop is a sentence all the same, so that a line of a list or of code can
be quoted; of headings nothing is, for they are known apart from their passage. Rules are crude
where a language would have to be known: a full stop is none after an initial or one of a few
abbreviations, or where a small letter follows.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

Span = tuple[int, int]  # [start, end) in characters

_STOPS = ".!?…۔؟।॥"  # white space follows them
_WIDE_STOPS = "。！？｡．"  # nothing needs to
_CLOSING = "\"'”’“‘»«)\\]」』】）〉》"  # some of them close in German alone
# Possessive, and only from the first of several stops, so that a row of dots takes linear time.
_BOUNDARY = re.compile(
    rf"(?<![{_STOPS}])(?P<stop>[{_STOPS}]++)[{_CLOSING}]*+(?=\s|\Z)"
    rf"|(?P<wide>[{_WIDE_STOPS}]++)[{_CLOSING}]*+"
    r"|\n[^\S\n]*\n"
    r"|\n(?=[^\S\n]*(?:[-*+•|>]|#{1,6}|\d{1,3}[.)])\s)"
)
_HEADING = re.compile(r"#{1,6}(?:[^\S\n][^\n]*|(?=\n|\Z))")
_MARK = re.compile(r"(?:[-*+•>]|\d{1,3}[.)])\s+")
_ABBREVIATION = re.compile(
    r"(?i:mr|mrs|ms|dr|prof|st|vs|cf|al|figs?|eqs?|approx|ca|gen|sen|rep|gov|jr|sr|inc|ltd|co)"
    r"|[A-Z]|[^\W\d](?:\.[^\W\d])+"
)
_BEFORE_NUMBER = re.compile(r"(?i:nos?|pp?|vol|ch|sec|art)")
_LONGEST = 600  # characters without a full stop; what is longer is taken apart into its lines


@lru_cache(maxsize=4096)  # passages are met again: by the next question, by what checks an answer
def sentences(text: str) -> tuple[Span, ...]:
    """The [start, end) of every sentence, in order, without white space and the marks of lists.

    What has neither letter nor digit is in none of them. No end parts characters that are read as
    one.
    """
    return tuple(span for piece in _pieces(text) for span in _lines(text, *piece))


def _pieces(text: str) -> Iterator[Span]:
    start = 0
    for match in _BOUNDARY.finditer(text):
        if (match["stop"] or match["wide"]) and not _ends(text, start, match):
            continue
        if found := _trimmed(text, start, match.end()):
            yield found
        start = match.end()
    if found := _trimmed(text, start, len(text)):
        yield found


def _lines(text: str, start: int, end: int) -> Iterator[Span]:
    """A piece as it is, or its lines where it is too long to be one sentence."""
    if end - start <= _LONGEST:
        yield start, end
        return
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if found := _trimmed(text, start, stop):
            yield found
        start = stop + 1


def _ends(text: str, start: int, match: re.Match[str]) -> bool:
    """Whether a sentence that begins at `start` ends with these full stops."""
    end = match.end()
    rest = text[end : end + 100].lstrip()
    if _continues(text[end : end + 1]) or _continues(rest[:1]):
        return False
    before = text[max(start, match.start() - 12) : match.start()]
    if match["wide"] or before[-1:].isspace():
        return True  # a stop after white space is one that a tokeniser set apart
    if rest[:1].islower():
        return False
    if match["stop"] != ".":
        return True
    if before.isdigit() and not text[max(0, start - 1) : start].strip():
        return False  # the number of an item
    words = before.split()[-1:]
    word = words[0].lstrip("([{\"'“‘«") if words else ""
    if rest[:1].isdigit() and _BEFORE_NUMBER.fullmatch(word):
        return False
    return not _ABBREVIATION.fullmatch(word)


def _continues(char: str) -> bool:
    """Whether a character, or none, belongs to the one before it: accents, joiners, skin tones."""
    return char != "" and (
        unicodedata.category(char)[0] == "M"
        or char in "\u200c\u200d\uff9e\uff9f\u0e33\u0eb3"
        or "\U0001f3fb" <= char <= "\U0001f3ff"
        or "\U000e0020" <= char <= "\U000e007f"
    )


def _trimmed(text: str, start: int, end: int) -> Span | None:
    """A stretch without white space, a heading and the mark of a list; None if nothing is left."""
    start = _inked(text, start, end)
    while heading := _HEADING.match(text, start, end):
        start = _inked(text, heading.end(), end)
    if mark := _MARK.match(text, start, end):
        start = mark.end()
    end = start + len(text[start:end].rstrip())
    if not any(map(str.isalnum, text[start:end])):
        return None
    return start, end


def _inked(text: str, start: int, end: int) -> int:
    """Where white space ends."""
    return start + len(text[start:end]) - len(text[start:end].lstrip())
