"""The part of a document to show, and where the query's words stand in it."""

import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence

Analyse = Callable[[str], Sequence[tuple[str, int, int]]]


def snippet(
    text: str, query: str, analyse: Analyse, *, width: int = 220
) -> tuple[str, list[tuple[int, int]]]:
    """The stretch of a text that holds the most different words of a query, on one line.

    Args:
        text: of the document.
        query: what was asked.
        analyse: a text to (term, start, end), as the lexical index reads it.
        width: the most characters to show.

    Returns:
        The stretch, with an ellipsis at each end that was cut, and the [start, end) of every word
        in it that matches a word of the query; as many marks as there are words, perhaps none.
    """
    text = " ".join(text.split())
    wanted = {term for term, _, _ in analyse(query)}
    matches = [(term, start, end) for term, start, end in analyse(text) if term in wanted]
    begin, end = _around(text, *_densest(matches, width), width)
    before, after = "…" if begin else "", "…" if end < len(text) else ""
    shift = len(before) - begin
    marks = [(a + shift, b + shift) for _, a, b in matches if a >= begin and b <= end]
    return f"{before}{text[begin:end]}{after}", marks


def _densest(matches: Sequence[tuple[str, int, int]], width: int) -> tuple[int, int]:
    """The first stretch of at most `width` characters with the most different terms."""
    matches = [match for match in matches if match[2] - match[1] <= width]
    best, found, first = 0, (0, 0), 0
    within: Counter[str] = Counter()  # the terms from the match `first` to the current one
    for term, _, end in matches:
        within[term] += 1
        while end - matches[first][1] > width or within[matches[first][0]] > 1:
            within[matches[first][0]] -= 1
            first += 1
        count = sum(times > 0 for times in within.values())
        if count > best:
            best, found = count, (matches[first][1], end)
    return found


def _around(text: str, first: int, last: int, width: int) -> tuple[int, int]:
    """The [begin, end) to show, `width` at most, of which [first, last) must be a part.

    It begins a little before `first`. Both ends lie between words where there are spaces, as there
    are not in Chinese, and never inside what is read as one character.
    """
    begin = max(0, first - min(width // 6, width - (last - first)))
    begin = max(0, min(begin, len(text) - width))
    if begin:
        begin = text.find(" ", begin - 1, first) + 1 or begin
    while 0 < begin < first and _splits(text, begin):
        begin += 1
    end = begin + width
    if end >= len(text):
        return begin, len(text)
    space = text.rfind(" ", max(last, end - width // 4), end + 1)
    end = space if space > begin else end
    while end > max(last, begin + 1) and _splits(text, end):
        end -= 1
    return begin, end


def _splits(text: str, place: int) -> bool:
    """Whether a cut here would part a letter from its accent, or an emoji from the rest of it."""
    before, after = text[place - 1], text[place]
    flag = all("\U0001f1e6" <= half <= "\U0001f1ff" for half in (before, after))
    tone = "\U0001f3fb" <= after <= "\U0001f3ff"
    return flag or tone or "\u200d" in (before, after) or unicodedata.category(after)[0] == "M"
