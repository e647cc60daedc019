"""What the words of a text are to the live index, in three kinds.

    terms     what plain words are looked up by: without case, accents and stop words, stemmed by
              Snowball as the BM25 of evaluations does it
    sequence  every word as it stands, without case and accents, one after another: for phrases
    forms     spellings of whole words beside these: state-of-the-art, 3.11.2, foo_bar, café; and
              the parts of identifiers: http and server of HTTPServer

A hyphenated word, a version or an identifier is thus found whole, and by its parts. Scripts that
put no spaces between words (Chinese, Japanese, Korean, Thai, ...) give every two neighbouring
characters as one word, so that whatever stands in a text can be found without a dictionary.

Sources: Porter 2001, Snowball, https://snowballstem.org; Unicode Standard Annexes 15 (NFKC), 24
(scripts) and 29 (what is read as one character).
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import regex
import Stemmer

# Lucene's English ones, which index.text.bm25 leaves out too.
_STOP_WORDS = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then"
    " there these they this to was will with"
)
STOP_WORDS = frozenset(_STOP_WORDS.split())
# What stays behind an apostrophe: don't, it's, we're. They say no more than stop words do.
_TAILS = frozenset(["d", "ll", "m", "re", "s", "t", "ve"])

# Hangul has spaces, but what stands between them is a word with its endings.
_UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Hangul}\p{Yi}"
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}〆ー\u3099-\u309cｰ\uff9e\uff9f"
)
_RUN = regex.compile(rf"[{_UNSPACED}][{_UNSPACED}\p{{M}}]*")
# Marks belong to letters; soft hyphens and joiners stand inside words and are not read.
_LETTERS = r"[\w\p{N}\u00ad\u200c\u200d]"
_JOINTS = r"(?:[-‐‑.'’&@]|::)"
_COMPOUND = regex.compile(
    rf"{_LETTERS}+(?:{_JOINTS}{_LETTERS}+)*(?:(?:\+\+|\#)(?!{_LETTERS}))?"  # C++ and C# too
)
_PIECE = regex.compile(r"[\w\p{N}\u00ad\u200c\u200d--_]+", regex.VERSION1)
# getUserName, HTTPServer and sha256Sum, but not 3D or URLs.
_HUMP = regex.compile(
    r"(?<=\p{Ll}\p{M}*)(?=\p{Lu})|(?<=[\p{Lu}\p{N}]\p{M}*)(?=\p{Lu}\p{M}*\p{Ll}\p{M}*\p{Ll})"
)

_INVISIBLE = regex.compile("[\u00ad\u0640\u200c\u200d\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Accents and the points of Hebrew and Arabic; й is a letter of its own, and no и with an accent.
_ACCENTS = regex.compile("(?!(?<=и)\u0306)[\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0670]")
# Letters that Unicode does not take apart.
_PLAIN = str.maketrans(
    {"æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "þ": "th"}
)
_JOINTS_ALIKE = str.maketrans("‐‑’", "--'")

_LONGEST = 100  # characters; a longer word is an encoded file, and its beginning will do
_LONGEST_COMPOUND = 64  # a longer one has no humps and no spelling as a whole


@dataclass(frozen=True, slots=True)
class Token:
    """A word with all that is joined to it, or a run of characters without spaces.

    Attributes:
        terms: see above; none for a stop word.
        spans: the [start, end) of each term, in characters of the token.
        sequence: see above; never empty.
        forms: see above, but for the parts of identifiers.
        humps: the parts of identifiers, as their capitals show them.
        whole: the token in one piece.
        unspaced: whether it is of a script without spaces. The sequence of such a run is its pairs
            of characters and then its last character alone.
    """

    terms: tuple[str, ...]
    spans: tuple[tuple[int, int], ...]
    sequence: tuple[str, ...]
    forms: tuple[str, ...]
    humps: tuple[str, ...]
    whole: str
    unspaced: bool = False


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a text by kind; see the top of this file."""

    terms: list[str]
    sequence: list[str]
    forms: list[str]


def analyse(text: str) -> list[tuple[str, int, int]]:
    """The terms of a text, each with the [start, end) of the characters that it stands for.

    They come in the order of the text. Spans of one word can overlap: the parts of HTTPServer lie
    within it, and pairs of Chinese characters share one.
    """
    return [
        (term, place + start, place + end)
        for token, place in _located(text)
        for term, (start, end) in zip(token.terms, token.spans, strict=True)
    ]


def words(text: str) -> Words:
    """All words of a text, as the index holds them."""
    found = Words([], [], [])
    for compound in _COMPOUND.findall(text):
        for token, _ in _tokens(compound):
            found.terms.extend(token.terms)
            found.sequence.extend(token.sequence)
            found.forms.extend(token.forms)
            found.forms.extend(token.humps)
    return found


@lru_cache(maxsize=2**12)  # a query is read again at each key that is struck
def tokens(text: str) -> tuple[Token, ...]:
    """The tokens of a text, in order."""
    return tuple(token for token, _ in _located(text))


def term_of(word: str) -> str | None:
    """The term of a word of a sequence; None for a stop word and for what is joined of parts."""
    found = tokens(word)
    if len(found) != 1 or len(found[0].terms) != 1 or found[0].sequence != (word,):
        return None
    return found[0].terms[0]


def _located(text: str) -> Iterator[tuple[Token, int]]:
    """Each token of a text, and where it begins."""
    for match in _COMPOUND.finditer(text):
        for token, start in _tokens(match[0]):
            yield token, match.start() + start


def _tokens(compound: str) -> tuple[tuple[Token, int], ...]:
    """The tokens of a match of `_COMPOUND`, and where they begin in it."""
    return _kept(compound) if len(compound) <= _LONGEST_COMPOUND else _read(compound)


def _read(compound: str) -> tuple[tuple[Token, int], ...]:
    if compound.isascii() or not _RUN.search(compound):
        token = _joined(compound)
        return ((token, 0),) if token else ()
    found: list[tuple[Token, int]] = []
    place = 0
    for match in _RUN.finditer(compound):
        found += _between_runs(compound, place, match.start())
        if run := _run(match[0]):
            found.append((run, match.start()))
        place = match.end()
    return (*found, *_between_runs(compound, place, len(compound)))


# Texts repeat their words: each is read once, and the last 65,536 are kept.
_kept = lru_cache(maxsize=2**16)(_read)


def _between_runs(compound: str, start: int, end: int) -> Iterator[tuple[Token, int]]:
    for match in _COMPOUND.finditer(compound, start, end):
        if token := _joined(match[0]):
            yield token, match.start()


def _joined(compound: str) -> Token | None:
    """The token of letters and digits, joined by hyphens, dots and the like, or not joined.

    None where nothing but underscores and invisible characters is there.
    """
    stem = Stemmer.Stemmer("english").stemWord  # made anew: one must not serve two threads
    terms: list[str] = []
    spans: list[tuple[int, int]] = []
    sequence: list[str] = []
    forms: dict[str, None] = {}
    humps: list[str] = []
    for match in _PIECE.finditer(compound):
        exact, bare = _folded(match[0])
        tail = match.start() > 0 and compound[match.start() - 1] in "'’"
        # NFKC can part what was one: ½ is 1 and 2 with a slash between them.
        for word in _PIECE.findall(bare):
            word = word[:_LONGEST]
            sequence.append(word)
            if word not in STOP_WORDS and not (tail and word in _TAILS):
                terms.append(stem(word))
                spans.append(match.span())
        if exact != bare:
            forms[exact[:_LONGEST]] = None
        for start, end in _humps(match[0]):
            word = _folded(match[0][start:end])[1]
            humps.append(word)
            if word not in STOP_WORDS:
                terms.append(stem(word))
                spans.append((match.start() + start, match.start() + end))
    if not sequence:
        return None
    whole = _folded(compound)[1]
    if len(compound) > _LONGEST_COMPOUND or (whole,) == tuple(sequence):
        whole = whole[:_LONGEST]
    else:
        # foo_bar of self.foo_bar is a name too.
        names = [_folded(name)[1] for name in regex.split(_JOINTS, compound) if "_" in name]
        forms |= dict.fromkeys([whole, *names])
    return Token(tuple(terms), tuple(spans), tuple(sequence), tuple(forms), tuple(humps), whole)


def _humps(word: str) -> list[tuple[int, int]]:
    """The [start, end) of the parts of an identifier such as HTTPServer; none of a simple word."""
    if word.islower() or len(word) > _LONGEST_COMPOUND:
        return []
    cuts = [0, *(match.start() for match in _HUMP.finditer(word)), len(word)]
    return list(pairwise(cuts)) if len(cuts) > 2 else []


def _run(text: str) -> Token | None:
    """The token of a run of characters without spaces; None if all of them are invisible."""
    places = [match.span() for match in regex.finditer(r"\X", text)]
    characters = [(_character(text[start:end]), start, end) for start, end in places]
    characters = [character for character in characters if character[0]]
    if not characters:
        return None
    pairs = list(pairwise(characters))
    last = characters[-1]
    terms = tuple(first + second for (first, _, _), (second, _, _) in pairs) or (last[0],)
    spans = tuple((start, end) for (_, start, _), (_, _, end) in pairs) or (last[1:],)
    whole = "".join(character for character, _, _ in characters)
    sequence = (*terms, last[0]) if pairs else terms
    return Token(terms, spans, sequence, (), (), whole, unspaced=True)


@lru_cache(maxsize=2**14)
def _character(text: str) -> str:
    return _folded(text)[1]


def _folded(text: str) -> tuple[str, str]:
    """A text without case and variants of width, and then without accents too; no spaces."""
    if text.isascii():
        return text.lower(), text.lower()
    exact = unicodedata.normalize("NFKC", text).casefold().translate(_JOINTS_ALIKE)
    exact = _INVISIBLE.sub("", unicodedata.normalize("NFKC", exact))
    exact = "".join(exact.split())
    bare = _ACCENTS.sub("", unicodedata.normalize("NFD", exact)).translate(_PLAIN)
    return exact, unicodedata.normalize("NFC", bare)
