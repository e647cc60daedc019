"""The language of queries, read into plain data; it knows no index.

    bread flour           either word; more of them, and rarer ones, rank higher
    "sour dough"          exactly these words, next to each other
    +rye                  this word must be there
    -yeast -"baking soda" no document with these
    ferment*              words that begin so
    flower~ flower~2      words with one letter, or two, changed, missing, added or swapped
    path:recipes/*.md     in files that match, as in a .gitignore; -path:drafts for all others
    format:pdf,docx lang:en
    after:2024-05 before:2024-06-15
    path:"my notes"       a value with spaces

Whatever else has a colon, a star or a dash in it is words: std::vector, 5-4*3, state-of-the-art.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypeAlias

from searchkit.errors import BadInput
from searchkit.index.live.path_pattern import matcher, path_key


@dataclass(frozen=True, slots=True)
class Word:
    """A word in any of its inflections; a compound stands for its parts, too."""

    text: str


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words as they stand, next to each other; upper case, accents and punctuation do not count."""

    text: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """Words that begin so."""

    text: str


@dataclass(frozen=True, slots=True)
class Fuzzy:
    """A word, and those at most `distance` edits away; two letters swapped are one edit."""

    text: str
    distance: int


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A word that is being typed: what it is so far, or any word that begins so."""

    text: str


Match: TypeAlias = Word | Phrase | Prefix | Fuzzy | Unfinished
Occur: TypeAlias = Literal["may", "must", "not"]


@dataclass(frozen=True, slots=True)
class Clause:
    """What to look for, and whether it may, must or must not be there.

    Where nothing must be there, something of what may be there has to.
    """

    match: Match
    occur: Occur = "may"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which chunks come into question: each kind that is given must accept them.

    Attributes:
        path: patterns, one of which matches the file's path, or a folder that it is in. They are
            read as in a .gitignore: `*` and `?` stop at a slash and `**` does not, and a pattern
            without a slash before its end is looked for at any depth. Brackets stand for
            themselves.
        format: names of formats, such as "pdf".
        language: ISO 639-1, such as "en".
        after: POSIX seconds; modified then or later.
        before: POSIX seconds; modified earlier.
        not_path: patterns, none of which matches.
        not_format: formats to leave out.
        not_language: languages to leave out.
    """

    path: tuple[str, ...] = ()
    format: tuple[str, ...] = ()
    language: tuple[str, ...] = ()
    after: float | None = None
    before: float | None = None
    not_path: tuple[str, ...] = ()
    not_format: tuple[str, ...] = ()
    not_language: tuple[str, ...] = ()

    def accept(self, *, path: str, format: str, language: str, modified_s: float) -> bool:
        """Whether a chunk comes into question.

        Args:
            path: of its file, relative to the root, with slashes.
            format: as `corpus.reading` names it.
            language: ISO 639-1, or empty.
            modified_s: POSIX seconds; fractions are dropped, as the index drops them.
        """
        key = path_key(path)
        matches = [matcher(pattern) for pattern in self.path]
        excludes = [matcher(pattern) for pattern in self.not_path]
        return (
            (not matches or any(match(key) for match in matches))
            and not any(match(key) for match in excludes)
            and (not self.format or format in self.format)
            and format not in self.not_format
            and (not self.language or language in self.language)
            and language not in self.not_language
            and (self.after is None or modified_s // 1 >= self.after)
            and (self.before is None or modified_s // 1 < self.before)
        )


NONE = Filters()


@dataclass(frozen=True, slots=True)
class Query:
    """A query that was read.

    Attributes:
        text: what a dense encoder should see: no operators, no filters, nothing excluded.
        clauses: in the order of the query.
        filters: of all its filters.
    """

    text: str
    clauses: tuple[Clause, ...] = ()
    filters: Filters = NONE


def parse(text: str, *, lenient: bool = False) -> Query:
    """Read a query.

    Args:
        text: any string; see the top of this file.
        lenient: for a query that is still being typed. Nothing is an error: what cannot be read
            yet is left out, an open quote is read as words, and the last word is `Unfinished`.

    Raises:
        BadInput: a quote without its end, a filter without its value, a date that is none, more
            than two edits, or nothing but exclusions; never if `lenient`.
    """
    reading = _Reading(text, lenient)
    reading.read()
    return reading.query()


def plain(text: str) -> Query:
    """A text that uses no operators, such as a question of a test collection, as its words."""
    words = [word for word in text.split() if _has_letters(word)]
    return Query(" ".join(text.split()), tuple(Clause(Word(word)) for word in words))


_QUOTES = '"“”„'
_ITEM = re.compile(r"\S+")
_SIGN = re.compile(r"[+-](?=[^\s+-])")
_FILTER = re.compile(r"(path|format|lang|after|before):")
_VALUE = re.compile(rf"[{_QUOTES}](?P<quoted>[^{_QUOTES}]*)[{_QUOTES}]|(?P<bare>[^{_QUOTES}\s]\S*)")
_has_letters = re.compile(r"[^\W_]").search  # or digits
_NOT_WORDS = re.compile(r"[-+*~]+")
_OCCURS: dict[str, Occur] = {"": "may", "+": "must", "-": "not"}
_ENDED = tuple(".,;:!?)]}")
_MONTH = re.compile(r"\d{4}(-\d{2})?")


@dataclass
class _Reading:
    """What was found so far, and where."""

    text: str
    lenient: bool
    place: int = 0  # in characters from 0; messages count from 1
    seen: list[str] = field(default_factory=list)  # by the dense encoder
    clauses: list[Clause] = field(default_factory=list)
    wanted: dict[str, list[str]] = field(default_factory=dict)  # by field of `Filters`
    after: list[float] = field(default_factory=list)
    before: list[float] = field(default_factory=list)

    def query(self) -> Query:
        filters = Filters(
            after=max(self.after, default=None),
            before=min(self.before, default=None),
            **{name: tuple(values) for name, values in self.wanted.items()},
        )
        if (
            filters.after is not None
            and filters.before is not None
            and filters.after >= filters.before
        ):
            self._fault("after: is not earlier than before:, so no time is left; swap them")
        if self.clauses and filters == NONE and all(c.occur == "not" for c in self.clauses):
            self._fault("the query only says what not to find; add a word to look for")
        return Query(" ".join(self.seen), tuple(self.clauses), filters)

    def read(self) -> None:
        while match := _ITEM.search(self.text, self.place):
            self.place = match.start()
            sign = _SIGN.match(self.text, self.place)
            start = sign.end() if sign else self.place
            name = _FILTER.match(self.text, start)
            if name:
                self._filter(name[1], name.end(), excluded=sign is not None and sign[0] == "-")
            elif self.text[start] in _QUOTES:
                self._phrase(start, sign[0] if sign else "+")
            else:
                self._word(start, sign[0] if sign else "")

    def _word(self, start: int, sign: str) -> None:
        """Read the word that begins at `start`."""
        match = _ITEM.match(self.text, start)
        assert match is not None  # `read` found it
        word, self.place = match[0], match.end()
        if not _has_letters(word):
            if not _NOT_WORDS.fullmatch(word) and sign != "-":
                self.seen.append(word)
            return
        last = self.lenient and match.end() == len(self.text) and not word.endswith(_ENDED)
        found: Match
        body, fuzzy, edits = word.rpartition("~")
        if fuzzy and _has_letters(body) and (not edits or edits.isdecimal()):
            if edits not in ("", "1", "2"):
                self._fault(
                    f"{word!r} at character {start + 1} asks for {edits} edits; write ~ for one or"
                    " ~2 for two"
                )
            found = Fuzzy(body, 1 if edits in ("", "1") else 2)
        elif word.endswith("*"):
            found = Prefix(word.rstrip("*"))
        elif last and sign != "-":
            found = Unfinished(word)
        else:
            found = Word(word)
        self._add(found, _OCCURS[sign])

    def _phrase(self, start: int, sign: str) -> None:
        """Read the phrase whose quote stands at `start`."""
        end = start + 1
        while end < len(self.text) and self.text[end] not in _QUOTES:
            end += 1
        inner = " ".join(self.text[start + 1 : end].split())
        self.place = end + 1
        if end == len(self.text):
            self._fault(
                f"the quote at character {start + 1} is not closed ({self._excerpt(start)!r});"
                ' close it with ", or leave it out'
            )
            if sign == "+":
                self._open_phrase(inner)
            return
        after = self.text[end + 1 : end + 2]
        if after in ("~", "*"):
            self._fault(
                f"{after!r} at character {end + 2} follows a phrase; only a single word can be"
                " fuzzy or a prefix"
            )
            self.place = self._end_of_item(end + 1)
        if _has_letters(inner):
            self._add(Phrase(inner), "must" if sign == "+" else "not")

    def _open_phrase(self, inner: str) -> None:
        """Read a phrase that is still being typed: only its words, for it would find nothing."""
        for number, word in enumerate(items := inner.split(), 1):
            if _has_letters(word):
                typed = number == len(items) and not self.text[-1].isspace()
                self._add(Unfinished(word) if typed else Word(word), "may")

    def _filter(self, name: str, start: int, *, excluded: bool) -> None:
        """Read the value of a filter, which begins at `start`."""
        written = self.text[self.place : start]
        match = _VALUE.match(self.text, start)
        value = (match["quoted"] or match["bare"] or "").strip() if match else ""
        if not value:
            example = {"path": "docs/*.md", "format": "pdf", "lang": "en"}.get(name, "2024-05-31")
            self._fault(
                f"{written!r} at character {self.place + 1} has no value; write {name}:{example}"
            )
            self.place = self._end_of_item(start)
            return
        assert match is not None
        typed = self.lenient and match.end() == len(self.text) and match["quoted"] is None
        place, self.place = self.place, match.end()
        if name in ("after", "before"):
            self._date(name, " ".join(value.split()), place, excluded=excluded)
        elif name == "path":
            # So that the list does not empty while a name is being typed.
            value += "**" if typed and not excluded and not value.endswith(("*", "/")) else ""
            self._want("path", [value], excluded=excluded)
        else:
            values = [one.strip().lower() for one in value.split(",") if one.strip()]
            self._want("language" if name == "lang" else name, values, excluded=excluded)

    def _date(self, name: str, value: str, place: int, *, excluded: bool) -> None:
        if excluded:
            other = {"after": "before", "before": "after"}[name]
            self._fault(
                f"'-{name}:' at character {place + 1} excludes a time; write {other}:{value}"
            )
            return
        found = moment(value)
        if found is None:
            self._fault(
                f"'{name}:{value}' at character {place + 1} has no date; write {name}:2024,"
                f" {name}:2024-05 or {name}:2024-05-31"
            )
        else:
            (self.after if name == "after" else self.before).append(found)

    def _want(self, name: str, values: list[str], *, excluded: bool) -> None:
        self.wanted.setdefault(f"not_{name}" if excluded else name, []).extend(values)

    def _add(self, match: Match, occur: Occur) -> None:
        self.clauses.append(Clause(match, occur))
        if occur != "not":
            self.seen.append(match.text)

    def _fault(self, message: str) -> None:
        if not self.lenient:
            raise BadInput(message)

    def _excerpt(self, start: int) -> str:
        return self.text[start : start + 20] + ("…" if len(self.text) > start + 20 else "")

    def _end_of_item(self, start: int) -> int:
        match = _ITEM.match(self.text, start)
        return match.end() if match else start


def moment(value: str) -> float | None:
    """The POSIX seconds at which a day, month, year or minute begins, here unless it names a zone.

    None for what is no date in ISO 8601.
    """
    if _MONTH.fullmatch(value):
        value += "-01-01" if len(value) == 4 else "-01"
    try:
        return datetime.fromisoformat(value).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
