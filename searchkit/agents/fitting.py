"""How much of a text fits, and where to cut it.

Nobody knows the tokenizer of the model that will read an answer. Three bytes of UTF-8 are taken for
a token, which is rather too few than too many: English has four or more, Chinese about three.
"""

from collections.abc import Sequence

import regex

from searchkit.search.source import Span

_BYTES_A_TOKEN = 3
# Behind a sentence with the space that follows it, or behind a paragraph.
_SENTENCE = regex.compile(r"(?<=[.!?…][\"'”’)\]]*)\s+|(?<=[。！？][」』”’）]*)|\n\s*\n")
_SPACE = regex.compile(r"\s+")
_CHARACTER = regex.compile(r"\X")
_PARAGRAPH = regex.compile(r"\n[^\S\n]*\n\s*")
_LONGEST_CHARACTER = 64


def tokens(text: str) -> int:
    """About how many tokens a text has, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def end_of(text: str, start: int, limit: int) -> int:
    """Where to cut what begins at `start`, so that it has `limit` tokens at most.

    Behind a sentence if one ends in the last half, else between words, else between characters;
    behind `start` in any case, if there is anything.
    """
    end = _reach(text, start, limit)
    return end if end == len(text) else _cut_before(text, start + (end - start) // 2, start, end)


def around(text: str, best: Span, marks: Sequence[Span], limit: int) -> Span:
    """The stretch of a text to show: what answers best and what stands about it.

    Args:
        text: of a passage.
        best: what answers best; (0, 0) where nothing is known.
        marks: the words that were asked for, in order; they stand in for it.
        limit: in tokens.
    """
    if tokens(text) <= limit:
        return 0, len(text)
    # Two thirds for what answers, so that something of what leads to it is shown, too.
    first, _ = best if best[1] > best[0] else _densest(marks, limit * _BYTES_A_TOKEN * 2 // 3)
    begin = _back(text, first, limit // 3)
    begin = _cut_after(text, begin, first) if begin else 0
    return begin, end_of(text, begin, limit)


def widened(text: str, start: int, end: int, paragraphs: int) -> Span:
    """A span with the paragraphs that it touches, and some more on either side."""
    starts = [0, *(gap.end() for gap in _PARAGRAPH.finditer(text) if gap.end() < len(text))]
    first = max(number for number, begin in enumerate(starts) if begin <= start)
    last = max((n for n, begin in enumerate(starts) if begin < max(end, start + 1)), default=first)
    behind = last + paragraphs + 1
    return (
        starts[max(0, first - paragraphs)],
        starts[behind] if behind < len(starts) else len(text),
    )


def _reach(text: str, start: int, limit: int) -> int:
    """The last place up to which a text has `limit` tokens, one character on at least."""
    # No character has less than a byte, so what comes later does not fit.
    part = text[start : start + limit * _BYTES_A_TOKEN]
    fits = part.encode("utf-8", "replace")[: limit * _BYTES_A_TOKEN].decode("utf-8", "ignore")
    return min(len(text), start + max(1, len(fits)))


def _back(text: str, end: int, limit: int) -> int:
    """The first place from which a text has `limit` tokens up to `end`."""
    part = text[max(0, end - limit * _BYTES_A_TOKEN) : end]
    fits = part.encode("utf-8", "replace")[-limit * _BYTES_A_TOKEN :].decode("utf-8", "ignore")
    return end - len(fits)


def _cut_before(text: str, least: int, start: int, end: int) -> int:
    """The last good place to cut at in (least, end], else any in (start, end]."""
    for border in (_SENTENCE, _SPACE):
        places: list[int] = [one.end() for one in border.finditer(text, start, end)]
        if places and places[-1] > least:
            return places[-1]
    return _character(text, start, end)


def _cut_after(text: str, begin: int, most: int) -> int:
    """The first good place to begin at in [begin, most]."""
    for border in (_SENTENCE, _SPACE):
        if one := border.search(text, begin, most):
            place: int = one.end()
            return place
    return _character(text, 0, begin) if begin else 0


def _character(text: str, start: int, end: int) -> int:
    """The end of the last whole character at `end` or before it, behind `start`; else `end`."""
    near = max(start, end - _LONGEST_CHARACTER)
    ends = [one.end() for one in _CHARACTER.finditer(text, near, end + _LONGEST_CHARACTER)]
    return max((place for place in ends if start < place <= end), default=end)


def _densest(marks: Sequence[Span], width: int) -> Span:
    """From the first to the last of the most marks within `width` characters."""
    best, found, first = 0, (0, 0), 0
    for number, (_, end) in enumerate(marks):
        while end - marks[first][0] > width and first < number:
            first += 1
        if number - first + 1 > best:
            best, found = number - first + 1, (marks[first][0], end)
    return found
