"""Documents to chunks that follow their structure and know their place.

A document is taken apart only as far as it must be: into pages, then sections, units (functions,
cells, rows), paragraphs, lines, sentences, words, and what people see as one character. What is no
longer than a chunk is not taken apart further. Then the parts are put together again, in the one of
all possible ways that loses least. A chunk loses the square of the share of it that stays empty, so
that chunks are of like length and none is a leftover. A cut within a paragraph costs a little, and
`_CROSSING` if the chunk then goes over the end of the paragraph: a part of one thing and the whole
of another are better apart. A heading within a chunk costs `_JOIN`: small sections share a chunk
while others begin their own, those of x and y chunks are joined where x y is below (1 - `_JOIN`) /
2. Sections are joined whole, and only under the heading that they have in common.

The work grows with the length of the text: within a section, parts of less than a sixteenth of a
chunk are put together at once, so few of them can begin the chunk that ends at a place.
"""

import re
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import NamedTuple

import regex

from searchkit.corpus.extracted import Extracted, Heading
from searchkit.errors import BadInput

# Where a part begins, from the strongest place to the weakest, and what it costs to cut there.
_SECTION, _UNIT, _PARAGRAPH, _LINE, _SENTENCE, _LINE_END, _WORD, _GRAPHEME = range(8)
_CUT = (0.0, 0.0, 0.0, 0.02, 0.05, 0.2, 0.3, 0.4)
_CROSSING = 0.6  # what it costs to go over a stronger place than one at which a chunk is cut
_JOIN = 0.9  # what a heading within a chunk costs

_WITHIN = 1 << 30  # the level of a part that begins within a section: below any heading
_BLOCK = 20_000  # characters that are tokenised at a time: quicker than more, and less memory
_GRAIN = 16  # parts of less than this fraction of a chunk are not told apart
_MARKUP = 200  # characters at most of a heading's lines besides twice its text
_WIDEST = 120  # characters: no longer line was broken to fit a width
_DEEPEST = 8  # headings above a chunk that are told, the innermost: a format may nest without end

_BLANK_LINE = re.compile(r"\n[^\S\n]*\n\s*")
_NEW_LINE = re.compile(r"\n\s*")
_WHITE = re.compile(r"\s+")
_NEXT_WORD = re.compile(r"\S*")
_FULL_STOP = re.compile(
    r"(?<![.!?…؟۔])[.!?…؟۔]+[\"'”’»)\]]*\s+"
    r"|[。！？｡।॥]+[」』”’）】]*\s*"  # of scripts that write on without white space
)
# A full stop after these ends no sentence: an initial, an abbreviation, the number of an item.
_NO_SENTENCE = re.compile(
    r"\b(?:[^\W\d_]|mr|mrs|ms|dr|prof|st|vs|cf|ca|eq|figs?|nos?|vol|al|jr|sr|gen|sen|rep|gov)\Z"
    r"|^\s*\d+\Z",
    re.IGNORECASE | re.MULTILINE,
)
_LOOK_BACK = 8  # characters in which one of them is looked for
# A place beside white space or punctuation that is within a grapheme: UAX #29, rules GB4 to GB9b.
_WITHIN_GRAPHEME = regex.compile(
    r"(?<![\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}])"
    r"[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]"
    r"|(?<=\p{GCB=Prepend})[^\p{GCB=Control}\p{GCB=CR}\p{GCB=LF}]"
)
# Both halves of a surrogate pair; and of a flag, since \X counts the flags before it every time.
_ONE_GRAPHEME = regex.compile(
    r"[\ud800-\udbff][\udc00-\udfff]"
    r"|\p{GCB=Regional_Indicator}{2}[\p{GCB=Extend}\p{GCB=ZWJ}\p{GCB=SpacingMark}]*"
    r"|\X"
)

TokenStarts = Callable[[str], Sequence[int]]
_Cut = Callable[[int, int], Iterator[int]]


@dataclass(frozen=True, slots=True)
class Span:
    """One chunk of a document: the characters [start, end) of its text.

    There is no white space at either end, but for one that carries a combining mark.

    Attributes:
        start: of the chunk, what it repeats of the one before included.
        end: after its last character.
        headings: those that all of it is under, the outermost first; of many, the innermost.
        page: the page that it is on, from 1; None where the document has none.
        first_line: from 1; None where the lines of the text are not those of the file.
        last_line: from 1; None as above.
    """

    start: int
    end: int
    headings: tuple[str, ...]
    page: int | None
    first_line: int | None
    last_line: int | None


def spans(
    document: Extracted, token_starts: TokenStarts, *, max_tokens: int = 200, overlap: int = 0
) -> Iterator[Span]:
    """The chunks of a document, in order; an edit of it changes few but those around the edit.

    Everything but white space is in a chunk, and in one only where nothing overlaps. No chunk is on
    two pages, and none begins or ends within a grapheme.

    Args:
        document: what a reader found.
        token_starts: the ascending character offsets at which the tokens of a text begin. It is
            asked for blocks of the text.
        max_tokens: the most tokens of a chunk, as they are in the document, what it repeats
            included and its context not. Only a single grapheme may have more. By itself a chunk
            may have a token more or less, for the white space before it is gone.
        overlap: the most tokens that a chunk repeats of the one before. It then begins with a
            sentence, or with a word where that is too long, or with a grapheme where there are no
            words. Nothing is repeated where a page or a section begins.

    Raises:
        BadInput: max_tokens is below 1, or overlap below 0 or above half of max_tokens.
    """
    if max_tokens < 1:
        raise BadInput(f"a chunk of at most {max_tokens} tokens holds nothing; 200 is usual")
    if not 0 <= overlap <= max_tokens // 2:
        raise BadInput(
            f"chunks of {max_tokens} tokens cannot overlap by {overlap}; "
            f"choose between 0 and {max_tokens // 2}"
        )
    return _Chunker(document, token_starts, max_tokens, overlap).spans()


def context(document: Extracted, span: Span) -> str:
    """Where a chunk stands, to go before its text: "title > heading > heading".

    A title that is the first heading too is named once. Empty for a text with neither.
    """
    names = [" ".join(name.split()) for name in ("", document.title, *span.headings)]
    return " > ".join(name for above, name in pairwise(names) if name and name != above)


class _Section(NamedTuple):
    """What is between two headings; `heading` is the number of the one it is under, or -1."""

    start: int
    end: int
    level: int
    heading: int


class _Part(NamedTuple):
    """What is not taken apart further.

    Attributes:
        start: of its first character that is no white space.
        end: after its last one.
        first: the number of its first token.
        last: the number of the first token after it.
        kind: of the place where it begins, such as `_SENTENCE`.
        level: of the section or page that begins with it, or else `_WITHIN`.
        heading: as of its section.
    """

    start: int
    end: int
    first: int
    last: int
    kind: int
    level: int
    heading: int


class _Chunker:
    """The chunks of one document; its arguments are those of `spans`."""

    def __init__(
        self, document: Extracted, token_starts: TokenStarts, max_tokens: int, overlap: int
    ) -> None:
        self._text = document.text
        self._pages = document.pages
        self._unit_starts = document.units
        self._headings = document.headings
        self._heading_starts = [heading.start for heading in document.headings]
        self._parents = _parents(document.headings)
        self._token_starts = _in_blocks(document.text, token_starts)
        self._new_lines = array("q")
        self._verbatim = document.verbatim
        if document.verbatim:
            self._new_lines.extend(found.start() for found in re.finditer("\n", document.text))
        self._max_tokens = max_tokens
        self._overlap = overlap
        self._room = max_tokens - overlap  # of a chunk that repeats something
        # In the order of the kinds of places, from _UNIT on.
        self._cuts: tuple[_Cut, ...] = (
            self._units,
            self._paragraphs,
            self._lines,
            self._sentences,
            self._line_ends,
            self._words,
            self._graphemes,
        )

    def spans(self) -> Iterator[Span]:
        pages = self._pages or (0,)
        for start, end in pairwise((*pages, len(self._text))):
            parts = [
                part for section in self._sections(start, end) for part in self._parts(section)
            ]
            before: Sequence[_Part] = ()
            for chunk in self._grouped(parts):
                yield self._span(chunk, before)
                before = chunk

    def _span(self, chunk: Sequence[_Part], before: Sequence[_Part]) -> Span:
        """The span of a chunk's parts; `before` are those of the chunk before it on the page."""
        start, end = chunk[0].start, chunk[-1].end
        if self._overlap and chunk[0].level == _WITHIN:
            start = self._reached_back(chunk, before)
        lines = (
            (bisect_left(self._new_lines, start) + 1, bisect_left(self._new_lines, end - 1) + 1)
            if self._verbatim
            else (None, None)
        )
        page = bisect_right(self._pages, chunk[0].start) if self._pages else None
        return Span(start, end, self._path(chunk), page, *lines)

    def _path(self, chunk: Sequence[_Part]) -> tuple[str, ...]:
        """The headings that all of a chunk is under."""
        within = min((part.level for part in chunk[1:]), default=_WITHIN)
        path: list[str] = []
        number = chunk[0].heading
        while number >= 0 and len(path) < _DEEPEST:
            if self._headings[number].level < within:
                path.append(self._headings[number].text)
            number = self._parents[number]
        return tuple(reversed(path))

    def _grouped(self, parts: Sequence[_Part]) -> list[Sequence[_Part]]:
        """The parts of a page as the chunks that lose least.

        A chunk with headings in it must hold whole sections of the same parent, from the parent's
        own text or one of its sections on: no heading in it may be of a higher level than the
        place where it begins, nor of a higher one than the place where it ends.
        """
        least = [0.0] + [inf] * len(parts)  # what the parts before a place lose
        begins = [0] * (len(parts) + 1)  # the first part of the chunk that ends at a place
        for end in range(1, len(parts) + 1):
            last = parts[end - 1].last
            behind = parts[end] if end < len(parts) else None
            level_behind, kind_behind = (behind.level, behind.kind) if behind else (0, _SECTION)
            level_inside, kind_inside, joined = _WITHIN, _GRAPHEME, 0.0
            for begin in range(end - 1, -1, -1):
                part = parts[begin]
                tokens = last - part.first
                room = self._room if part.level == _WITHIN else self._max_tokens
                if begin < end - 1 and (tokens > self._max_tokens or level_behind > level_inside):
                    break
                if begin == end - 1 or (tokens <= room and part.level <= level_inside):
                    empty = max(0.0, 1 - tokens / room)
                    loss = least[begin] + empty * empty + _CUT[part.kind] + joined
                    if kind_inside < max(part.kind, kind_behind):
                        loss += _CROSSING
                    if loss < least[end]:
                        least[end], begins[end] = loss, begin
                kind_inside = min(kind_inside, part.kind)
                if part.level != _WITHIN:
                    level_inside = min(level_inside, part.level)
                    joined += _JOIN
        chunks = []
        end = len(parts)
        while end:
            chunks.append(parts[begins[end] : end])
            end = begins[end]
        return chunks[::-1]

    def _reached_back(self, chunk: Sequence[_Part], before: Sequence[_Part]) -> int:
        """Where a chunk begins that repeats the end, but not all, of the one before."""
        start = chunk[0].start
        earliest = max(before[-1].last - self._overlap, chunk[-1].last - self._max_tokens)
        sentences = (self._paragraphs, self._lines, self._sentences)
        for cuts in (sentences, (self._words,), (self._graphemes,)):
            near = (
                place
                for cut in cuts
                for place in cut(before[0].start, start)
                if place < start
                and self._first_token(place) >= earliest
                and not self._text[place].isspace()
            )
            if (place := min(near, default=None)) is not None:
                return place
        return start

    # Sections and their parts.

    def _sections(self, start: int, end: int) -> Iterator[_Section]:
        """The sections of a page; a heading without text of its own goes to the one below it."""
        low, high = (bisect_left(self._heading_starts, place) for place in (start, end))
        section = _Section(start, end, self._headings[low - 1].level if low else 0, low - 1)
        for number in range(low, high):
            above = section._replace(end=self._heading_starts[number])
            level = self._headings[number].level
            section = _Section(above.end, end, level, number)
            if above.level < level and self._is_bare(above):
                section = section._replace(start=above.start, level=above.level)
            else:
                yield above
        yield section

    def _is_bare(self, section: _Section) -> bool:
        """Whether a section is its heading alone."""
        if section.heading < 0 or self._heading_starts[section.heading] < section.start:
            return False  # text before the first heading, or that goes on from the page before
        return self._is_one_line(self._heading_starts[section.heading], section.end)

    def _is_one_line(self, start: int, end: int) -> bool:
        """Whether no more than one line has letters or digits; others may be drawn under it."""
        lines = self._text[start:end].splitlines()
        return sum(any(map(str.isalnum, line)) for line in lines) < 2

    def _parts(self, section: _Section) -> Iterator[_Part]:
        whole = self._trimmed(section.start, section.end)
        level = section.level
        for start, end, kind in self._pieces(*whole, _SECTION, 0) if whole else ():
            first, last = self._first_token(start), self._tokens_before(end)
            yield _Part(start, end, first, last, kind, level, section.heading)
            level = _WITHIN

    def _pieces(
        self, start: int, end: int, kind: int, depth: int
    ) -> Iterator[tuple[int, int, int]]:
        """A trimmed piece of text whole if it fits, or else its pieces, each with its kind.

        `depth` pieces of structure are cut already: the next ones begin at `_cuts[depth]`.
        """
        room = self._room if depth else self._max_tokens
        if depth == len(self._cuts) or self._tokens_in(start, end) <= room:
            yield start, end, kind
            return
        for piece_start, piece_end in self._gathered(start, end, self._cuts[depth]):
            yield from self._pieces(piece_start, piece_end, kind, depth + 1)
            kind = depth + 1

    def _gathered(self, start: int, end: int, cuts: _Cut) -> Iterator[tuple[int, int]]:
        """The trimmed pieces between cuts, the smallest of them with their neighbours."""
        grain = self._room // _GRAIN
        held: tuple[int, int] | None = None
        for piece in pairwise((start, *cuts(start, end), end)):
            trimmed = self._trimmed(*piece)
            if not trimmed:
                continue
            if held and self._tokens_in(held[0], trimmed[1]) <= grain:
                held = held[0], trimmed[1]
                continue
            if held:
                yield held
            held = trimmed
        if held:
            yield held

    def _trimmed(self, start: int, end: int) -> tuple[int, int] | None:
        """[start, end) without white space at its ends; None if there is nothing else."""
        piece = self._text[start:end]
        inner = piece.strip()
        if not inner:
            return None
        first = start + len(piece) - len(piece.lstrip())
        last = first + len(inner)
        if first > start and self._is_within_grapheme(first):
            first -= 1
        if last < end and self._is_within_grapheme(last):
            last += 1
        return first, last

    # Where text can be cut: the ascending places between the ends of a trimmed piece.

    def _units(self, start: int, end: int) -> Iterator[int]:
        low, high = bisect_right(self._unit_starts, start), bisect_left(self._unit_starts, end)
        return self._allowed(self._unit_starts[low:high])

    def _paragraphs(self, start: int, end: int) -> Iterator[int]:
        return self._allowed(found.end() for found in _BLANK_LINE.finditer(self._text, start, end))

    def _lines(self, start: int, end: int) -> Iterator[int]:
        """Beginnings of lines where the line before was not merely full.

        It was not if the word that follows would have fitted into the width of the paragraph.
        """
        begin = self._text.rfind("\n", max(0, start - _WIDEST - 1), start) + 1 or start
        ends: list[tuple[int, int]] = []  # how long a line is, and where the next one begins
        for found in _NEW_LINE.finditer(self._text, start, end):
            ends.append((found.start() - begin, found.end()))
            begin = self._text.rfind("\n", found.start(), found.end()) + 1
        width = max((length for length, _ in ends if length <= _WIDEST), default=0)
        return self._allowed(
            place
            for length, place in ends
            if length > _WIDEST or length + 1 + self._word_length(place, end) <= width
        )

    def _sentences(self, start: int, end: int) -> Iterator[int]:
        return self._allowed(
            found.end()
            for found in _FULL_STOP.finditer(self._text, start, end)
            if found.end() < end and not self._is_abbreviated(start, found.start())
        )

    def _line_ends(self, start: int, end: int) -> Iterator[int]:
        return self._allowed(found.end() for found in _NEW_LINE.finditer(self._text, start, end))

    def _words(self, start: int, end: int) -> Iterator[int]:
        return self._allowed(found.end() for found in _WHITE.finditer(self._text, start, end))

    def _graphemes(self, start: int, end: int) -> Iterator[int]:
        found = (one.start() for one in _ONE_GRAPHEME.finditer(self._text, start, end))
        return (place for place in found if place > start)

    def _allowed(self, places: Iterable[int]) -> Iterator[int]:
        """The places that are not within a grapheme, nor between a heading and its text."""
        return (
            place
            for place in places
            if not self._is_within_grapheme(place) and not self._is_under_heading(place)
        )

    def _is_within_grapheme(self, place: int) -> bool:
        """Whether a place beside white space or punctuation is within a grapheme."""
        if self._text[place - 1 : place + 1].isascii():  # one of them where the text ends there
            return False
        return _WITHIN_GRAPHEME.match(self._text, place) is not None

    def _is_under_heading(self, place: int) -> bool:
        """Whether a heading has the line above."""
        number = bisect_left(self._heading_starts, place) - 1
        if number < 0:
            return False
        heading = self._headings[number]
        if place - heading.start > 2 * len(heading.text) + _MARKUP:
            return False
        above = self._text[heading.start : place]
        return not above[above.rfind("\n") + 1 :].strip() and self._is_one_line(
            heading.start, place
        )

    def _is_abbreviated(self, start: int, stop: int) -> bool:
        """Whether the full stop at `stop` belongs to the word before it."""
        before = self._text[max(start, stop - _LOOK_BACK) : stop]
        return self._text[stop] == "." and _NO_SENTENCE.search(before) is not None

    def _word_length(self, start: int, end: int) -> int:
        word = _NEXT_WORD.match(self._text, start, end)
        return len(word[0]) if word else 0

    # Tokens.

    def _first_token(self, start: int) -> int:
        """The number of the token that the character at `start` belongs to."""
        number = bisect_left(self._token_starts, start)
        if number < len(self._token_starts) and self._token_starts[number] == start:
            return number
        return max(0, number - 1)

    def _tokens_before(self, end: int) -> int:
        """The number of tokens that begin before `end`."""
        return bisect_left(self._token_starts, end)

    def _tokens_in(self, start: int, end: int) -> int:
        return self._tokens_before(end) - self._first_token(start)


def _parents(headings: Sequence[Heading]) -> list[int]:
    """For each heading the number of the one that it is under, or -1."""
    parents: list[int] = []
    path: list[int] = []  # the headings that the next one may be under
    for number, heading in enumerate(headings):
        while path and headings[path[-1]].level >= heading.level:
            path.pop()
        parents.append(path[-1] if path else -1)
        path.append(number)
    return parents


def _in_blocks(text: str, token_starts: TokenStarts) -> "array[int]":
    """Where the tokens of a text begin; a block of it ends before white space if it can."""
    found = array("q")
    start = 0
    while start < len(text):
        end = len(text)
        if end - start > _BLOCK:
            end = start + _BLOCK
            cuts = (text.rfind(white, start + _BLOCK // 2, end) for white in "\n ")
            end = next((cut for cut in cuts if cut > 0), end)
        found.extend(start + place for place in token_starts(text[start:end]))
        start = end
    return found
