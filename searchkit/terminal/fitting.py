"""Texts made to fit the cells of a terminal: what is cut says so, and no character is halved.

A cell is what one Latin letter takes; a Chinese character takes two, an accent none.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate

import regex
from rich.cells import cell_len

from searchkit.search.live.passages import on_one_line

Span = tuple[int, int]  # [start, end) in characters

TAB = "    "
MORE = "…"
APART = " › "  # between headings

_SEEN = regex.compile(r"\X")  # what is read as one character
# Letters of Latin, Greek and Cyrillic and common signs: each takes one cell, and none belongs to
# its neighbour. Lines of them alone, which most are, are broken without looking at each.
_PLAIN = re.compile(
    "[ -~\u00a0-\u00ac\u00ae-\u02ff\u0370-\u0482\u048a-\u0556"
    "\u2010-\u2027\u2030-\u205e\u20a0-\u20bf]*"
)
_CONTROLS = dict.fromkeys(
    (*range(9), *range(11, 32), *range(127, 160), 0x2028, 0x2029, *range(0x202A, 0x202F)),
    "\N{REPLACEMENT CHARACTER}",
) | dict.fromkeys(range(0x2066, 0x206A), "\N{REPLACEMENT CHARACTER}")


def shown(text: str) -> str:
    """A text of one line: white space made single, what would command the terminal replaced."""
    return " ".join(text.split()).translate(_CONTROLS)


def displayable(text: str, *groups: Sequence[Span]) -> tuple[str, list[list[Span]]]:
    """A text of many lines with tabs made spaces, and spans of it moved along.

    Args:
        text: any.
        groups: spans of it.

    Returns:
        The text, in which only line feeds are left of what a terminal acts upon, and the groups.
    """
    if "\t" not in text:
        return text.translate(_CONTROLS), [list(spans) for spans in groups]
    tabs = [place for place, letter in enumerate(text) if letter == "\t"]
    moved = [[(_moved(tabs, start), _moved(tabs, end)) for start, end in spans] for spans in groups]
    return text.replace("\t", TAB).translate(_CONTROLS), moved


def _moved(tabs: Sequence[int], at: int) -> int:
    """Where a character is once the tabs before it are wider."""
    return at + (len(TAB) - 1) * bisect_right(tabs, at - 1)


def clip(text: str, width: int) -> str:
    """The beginning of a text, at most `width` cells, with an ellipsis where something is cut."""
    if cell_len(text) <= width:
        return text
    kept, used = [], 0
    for piece in _SEEN.findall(text):
        used += cell_len(piece)
        if used > width - 1:
            break
        kept.append(piece)
    return "".join(kept).rstrip() + MORE if width > 0 else ""


def clip_trail(parts: Sequence[str], width: int) -> str:
    """Headings from the outermost to the innermost; those between give way, then the first.

    The innermost says most of what is below it.
    """
    shorter = [parts, [parts[0], MORE, parts[-1]], [MORE, parts[-1]]]
    written = [APART.join(trail) for trail in (shorter if len(parts) > 1 else [parts])]
    return next((trail for trail in written if cell_len(trail) <= width), clip(written[-1], width))


def clip_path(place: str, width: int) -> str:
    """A path whose folders give way first: the name of the file, and the line, are kept longest."""
    if cell_len(place) <= width:
        return place
    folders = place.split("/")
    for dropped in range(1, len(folders)):
        shorter = "/".join([MORE, *folders[dropped:]])
        if cell_len(shorter) <= width:
            return shorter
    pieces, used = _SEEN.findall(folders[-1]), 0
    kept: list[str] = []
    for piece in reversed(pieces):
        used += cell_len(piece)
        if used > width - 1:
            break
        kept.append(piece)
    return MORE + "".join(reversed(kept)) if width > 0 else ""


def rows(text: str, width: int) -> list[Span]:
    """Where the rows of a text begin and end when it is written `width` cells wide.

    Lines break at spaces, and inside a word that is wider than a row; the spaces at which a line
    breaks, and line feeds, belong to no row.

    Args:
        text: as `displayable` gives it.
        width: in cells, at least 2.
    """
    return list(_rows(text, max(width, 2)))


def fold(text: str, width: int, most: int) -> list[str]:
    """A text of one line on at most so many rows; the last one says where something is cut."""
    found = rows(text, width)
    lines = [text[start:end] for start, end in found[:most]]
    if len(found) > most:
        lines[-1] = clip(text[found[most - 1][0] :], width)
    return lines


def _rows(text: str, width: int) -> Iterator[Span]:
    start = 0
    while start <= len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        line = text[start:end]
        if len(line) <= width and cell_len(line) <= width:
            yield start, end
        elif _PLAIN.fullmatch(line):
            yield from _break_plain(line, start, width)
        else:
            yield from _break(line, start, width)
        start = end + 1


def _break_plain(line: str, offset: int, width: int) -> Iterator[Span]:
    start = 0
    while len(line) - start > width:
        space = line.rfind(" ", start + 1, start + width + 1)
        end = space if space > 0 and line[start:space].strip() else start + width
        yield offset + start, offset + end
        start = end
        while start < len(line) and line[start] == " ":
            start += 1
    if start < len(line) or not line:
        yield offset + start, offset + len(line)


def _break(line: str, offset: int, width: int) -> Iterator[Span]:
    pieces = _SEEN.findall(line)
    cells = [cell_len(piece) for piece in pieces]
    places = list(accumulate(map(len, pieces), initial=offset))
    first = 0
    while first < len(pieces):
        last, used, space = first, 0, first
        while last < len(pieces) and used + cells[last] <= width:
            space = last if pieces[last] == " " else space
            used += cells[last]
            last += 1
        if last < len(pieces) and pieces[last] != " ":
            between_words = "".join(pieces[first:space]).strip()
            last = space if between_words else max(last, first + 1)
        yield places[first], places[last]
        first = last
        while first < len(pieces) and pieces[first] == " ":
            first += 1


def snippet(text: str, marks: Sequence[Span], best: Span, width: int) -> tuple[str, list[Span]]:
    """One line out of a passage, from a little before what matches best.

    Args:
        text: of the passage.
        marks: the words in it that the query asks for.
        best: the stretch that answers best; (0, 0) where nothing is known.
        width: the most cells it may take.

    Returns:
        The line, and where the marks stand in it.
    """
    inside = [mark for mark in marks if mark[0] >= best[0]]
    first = inside[0][0] if inside else best[0]
    begin = best[0] if 0 <= first - best[0] <= width // 2 and best[1] else first - width // 4
    begin = max(0, min(begin, len(text) - width + 1))  # as much as there is room for
    while begin and begin < first and not text[begin - 1].isspace():
        begin += 1
    head = MORE if text[:begin].strip() else ""
    line, places = on_one_line(text[begin : begin + 3 * width])
    line = head + line.translate(_CONTROLS)
    cut = clip(line, width)
    whole = len(cut) - (cut != line)
    moved = []
    for start, end in marks:
        if start >= begin and end - begin < len(places):
            a, b = (places[at - begin] + len(head) for at in (start, end))
            if b <= whole:
                moved.append((a, b))
    return cut, moved
