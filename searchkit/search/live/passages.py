"""Passages: what a search shows of a chunk, the part of it that matches best, and whole documents.

Offsets count characters, and a stretch is always [start, end).
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from searchkit.index.live import analysis
from searchkit.index.live.query import Fuzzy, Prefix, Query, Unfinished

WIDTH = 240  # the longest stretch that is held to be the best: three lines of a terminal

Stretch = tuple[int, int]
Match = tuple[str, int, int]
"""A term of the query, and where in a text it stands."""

_SPACED = re.compile(r"\S+")
_SHORT = 40  # characters; longer than words are, but for lines of scripts without spaces
# Where a thought may end: a line, or a sentence of any script. "3.11" and "e.g. this" are none.
_END = re.compile(r"\n+|(?<=[.!?…])[\"'’”)\]]*\s+(?=[^\sa-z])|(?<=[。！？])[」』）]*")


@dataclass(frozen=True, slots=True)
class Listed:
    """One list that holds a passage, for `--explain`.

    Attributes:
        name: "bm25", or the name of an encoder.
        rank: in that list, from 1.
        score: in that list.
        share: what the list gave to the score of the passage; the shares add up to it.
    """

    name: str
    rank: int
    score: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One place of a result.

    Attributes:
        rank: from 1.
        score: a higher one is better; what it means depends on how was searched.
        doc_id: the path relative to the root, `#<part>` behind it for one of several in a file.
        path: of the file, absolute.
        format: the reader of the file, such as "markdown".
        title: the document's own, or empty.
        language: of the document, ISO 639-1, or empty.
        modified: POSIX seconds.
        headings: those above the passage, the outermost first.
        text: of the chunk.
        page: from 1, on which the chunk begins; None where the document has none.
        first_line, last_line: of the chunk in the file; None where its lines are not the file's.
        start, end: of the chunk in `Searcher.document_text`.
        chunk_id: the same as long as the passage stays in the index.
        best: the stretch of `text` that matches best.
        marks: stretches of `text` that are words of the query, in order.
        lists: those that hold the passage, the one that gave most first.
    """

    rank: int
    score: float
    doc_id: str
    path: Path
    format: str
    title: str
    language: str
    modified: float
    headings: tuple[str, ...]
    text: str
    page: int | None
    first_line: int | None
    last_line: int | None
    start: int
    end: int
    chunk_id: int
    best: Stretch
    marks: tuple[Stretch, ...]
    lists: tuple[Listed, ...]

    @property
    def line(self) -> int | None:
        """The line of the file on which the best stretch begins; None as for `first_line`."""
        if self.first_line is None:
            return None
        return self.first_line + self.text.count("\n", 0, self.best[0])


def excerpt(passage: Passage, *, width: int = 220) -> tuple[str, list[Stretch]]:
    """The best stretch of a passage and what is around it, on one line.

    Args:
        passage: to be shown.
        width: the most characters.

    Returns:
        The line, with an ellipsis at each end that was cut, and the marks that lie in it.
    """
    text, (first, last) = passage.text, passage.best
    last = min(last, first + width)
    begin = max(0, min(first, len(text) - width))
    begin = _next_word(text, begin, first) if begin else 0
    end = begin + width
    end = len(text) if end >= len(text) else _end_of_word(text, end, max(last, begin + 1))
    line, places = on_one_line(text[begin:end])
    before = "…" if text[:begin].strip() else ""
    after = "…" if text[end:].strip() else ""
    marks = [
        (places[start - begin] + len(before), places[stop - begin] + len(before))
        for start, stop in passage.marks
        if begin <= start and stop <= end
    ]
    return f"{before}{line}{after}", marks


def on_one_line(text: str) -> tuple[str, list[int]]:
    """A text with single spaces, and where each of its places is in it."""
    kept: list[str] = []
    places: list[int] = []
    for character in text.rstrip():
        places.append(len(kept))
        if not character.isspace():
            kept.append(character)
        elif kept and kept[-1] != " ":
            kept.append(" ")
    places += [len(kept)] * (len(text) - len(places) + 1)
    return "".join(kept), places


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk as a part of its document; the lines are those of the file, None if it has none."""

    start: int
    text: str
    first_line: int | None = None
    last_line: int | None = None


def matches_of(asked: Query, text: str) -> list[Match]:
    """Where a text has words that a query asks for, in order; what it excludes is none of them.

    All words that a prefix or a fuzzy word stands for count as one.
    """
    wanted = _wanted(asked)
    found = []
    for word in _SPACED.finditer(text):
        place = word.start()
        for term, start, end in _analysed(word[0]):
            if term in wanted.terms:
                found.append((term, place + start, place + end))
            elif wanted.open and (stood_for := wanted.find(word[0][start:end])):
                found.append((stood_for, place + start, place + end))
    for character in wanted.characters:
        found += [(character, m.start(), m.end()) for m in re.finditer(re.escape(character), text)]
    return sorted(found, key=lambda match: match[1:])


def best_stretch(text: str, matches: Sequence[Match], *, width: int = WIDTH) -> Stretch:
    """The stretch of a text to look at first.

    Of all runs of sentences and lines that are not too long, it is the one that says most of the
    query: every different word counts once, and the less the more often the text repeats it.
    Without a match it is the beginning.

    Args:
        text: of a chunk.
        matches: where it has words of the query, in order.
        width: the most characters.

    Returns:
        A stretch that is not empty unless the text is, and begins and ends between words where
        there are spaces; it splits nothing that is read as one character.
    """
    repeats = Counter(term for term, _, _ in matches)
    matches = [match for match in matches if match[2] - match[1] <= width]
    most, best = (0.0, 0), (0, 0)
    for first, (_, begin, _) in enumerate(matches):
        worth: dict[str, float] = {}
        for term, _, end in matches[first:]:
            if end - begin > width:
                break
            worth[term] = 1 / repeats[term]
            # Of equals the shorter one; rounded, for the order of a sum shows in its last bits.
            found = round(sum(worth.values()), 9), begin - end
            if found > most:
                most, best = found, (begin, end)
    return _widened(text, *best, width)


def marks_of(matches: Iterable[Match]) -> tuple[Stretch, ...]:
    """Where words of the query stand; what overlaps is one mark."""
    marks: list[Stretch] = []
    for _, start, end in sorted(matches, key=lambda match: match[1:]):
        if marks and start < marks[-1][1]:
            marks[-1] = (marks[-1][0], max(end, marks[-1][1]))
        else:
            marks.append((start, end))
    return tuple(marks)


def whole_text(pieces: Iterable[Piece]) -> str:
    """A document's text out of its chunks, each at its place.

    Chunks leave out white space alone, and may overlap. What is between them is filled with as many
    line feeds as the lines of the file tell, or else with one, and with spaces after them.

    Args:
        pieces: in the order of the text.
    """
    parts: list[str] = []
    end = 0
    last_line: int | None = 1
    for piece in pieces:
        if gap := max(0, piece.start - end):
            feeds = 1 if end else 0
            if piece.first_line is not None and last_line is not None:
                feeds = max(0, min(gap, piece.first_line - last_line))
            parts.append("\n" * feeds + " " * (gap - feeds))
            end = piece.start
        parts.append(piece.text[end - piece.start :])
        end = max(end, piece.start + len(piece.text))
        last_line = piece.last_line
    return "".join(parts)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a query looks for, as a text is analysed.

    Attributes:
        terms: of words and phrases.
        beginnings: of words; folded, as the index folds them.
        near: (folded word, most edits).
        characters: of scripts without spaces, each a word of the query.
    """

    terms: frozenset[str]
    beginnings: tuple[str, ...]
    near: tuple[tuple[str, int], ...]
    characters: tuple[str, ...]

    @property
    def open(self) -> bool:
        """Whether words are looked for that the query does not spell out."""
        return bool(self.beginnings or self.near)

    def find(self, word: str) -> str:
        """What of the query stands for a word of a text; empty if nothing does."""
        folded = _folded(word)
        for beginning in self.beginnings:
            if folded.startswith(beginning):
                return beginning
        for other, distance in self.near:
            if _is_near(folded, other, distance):
                return other
        return ""


def _analysed(word: str) -> Sequence[Match]:
    """The terms of what stands between two spaces; no word of the index reaches across one."""
    return _analysed_before(word) if len(word) < _SHORT else analysis.analyse(word)


@lru_cache(maxsize=2**15)
def _analysed_before(word: str) -> tuple[Match, ...]:
    return tuple(analysis.analyse(word))


@lru_cache(maxsize=64)
def _wanted(asked: Query) -> _Wanted:
    terms: set[str] = set()
    beginnings, near, characters = [], [], []
    for clause in asked.clauses:
        match = clause.match
        if clause.occur == "not":
            continue
        if isinstance(match, Prefix | Unfinished) and (folded := _folded(match.text)):
            beginnings.append(folded)
        if isinstance(match, Fuzzy) and (folded := _folded(match.text)):
            near.append((folded, match.distance))
        if not isinstance(match, Prefix):
            tokens = analysis.tokens(match.text)
            characters += [one.whole for one in tokens if one.unspaced and len(one.whole) == 1]
            terms |= {term for one in tokens for term in one.terms if term not in characters}
    return _Wanted(frozenset(terms), tuple(beginnings), tuple(near), tuple(characters))


@lru_cache(maxsize=2**15)
def _folded(word: str) -> str:
    """The last token of a word as the index folds it; empty where nothing of it is read."""
    tokens = analysis.tokens(word)
    return tokens[-1].whole if tokens else ""


def _is_near(one: str, other: str, most: int) -> bool:
    """Whether at most so many letters are changed, missing, added or swapped with their neighbour.

    Optimal string alignment, as in Lucene's and tantivy's automata.
    """
    if abs(len(one) - len(other)) > most:
        return False
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, letter in enumerate(one, start=1):
        earlier, before, row = before, row, [i]
        for j, wanted in enumerate(other, start=1):
            cost = min(before[j] + 1, row[-1] + 1, before[j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
    return row[-1] <= most


def _widened(text: str, first: int, last: int, width: int) -> Stretch:
    """The whole sentences and lines around [first, last), or what of them `width` has room for."""
    if not text.strip():
        return 0, 0
    begin, end = 0, len(text)
    for gap in _END.finditer(text):
        if gap.end() <= first:
            begin = gap.end()
        elif gap.start() >= max(last, 1) and text[begin : gap.start()].strip():
            end = gap.start()
            break
    within = text[begin:end]
    begin, end = end - len(within.lstrip()), begin + len(within.rstrip())
    if last - begin > width:
        begin = _next_word(text, last - width, first)
    if end - begin > width:
        end = _end_of_word(text, begin + width, max(last, begin + 1))
    return begin, end


def _next_word(text: str, place: int, latest: int) -> int:
    """The first place from `place` to `latest` where a word begins, else a character."""
    for i in range(place, latest + 1):
        if text[i - 1].isspace() and not text[i].isspace():
            return i
    return min([i for i in _characters(text) if i >= place] + [latest])


def _end_of_word(text: str, place: int, earliest: int) -> int:
    """The last place from `earliest` to `place` where a word ends, else a character."""
    for i in range(place, earliest - 1, -1):
        if text[i].isspace() and not text[i - 1].isspace():
            return i
    return max([i for i in _characters(text) if i <= place] + [earliest])


def _characters(text: str) -> list[int]:
    """Where what people see as one character begins: a letter with its accents, an emoji."""
    import regex  # rarely needed: only in a line without spaces

    return [character.start() for character in regex.finditer(r"\X", text)]
