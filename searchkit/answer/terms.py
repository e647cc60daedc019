"""What a question asks for, and how much of it a text holds.

Words are read as the live index reads them: without case and accents, stemmed, neighbouring
characters of scripts without spaces in pairs. How rare a word is counts among the passages that
were found: what all of them have tells none of them from the others, and what none of them has
counts most.
"""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from searchkit.index.live.analysis import analyse, tokens

Kind = Literal["date", "number", "name"]

# What makes a question of its words, and says nothing of what is asked. They are compared as
# stems, like everything else.
_ASKING = frozenset(
    term
    for token in tokens(
        "what which who whom whose when where why how many much do does did done has have had is"
        " are was were be been can could should would will shall may might must i we you he she"
        " his her him its our your my me us any some about from after before there that so than"
        " too also very just please tell give name call happen say mean kind type sort get got"
        " make made take took use used know known"
    )
    for term in token.terms
)
_NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety"
    " hundred hundreds thousand thousands million millions billion half third quarter dozen once"
    " twice"
)
_MONTHS = (
    "january february march april may june july august september october november december"
    " monday tuesday wednesday thursday friday saturday sunday century spring summer autumn winter"
)
_DATE = re.compile(
    rf"\b(?:1\d{{3}}|20\d{{2}}|\d{{3}}s|(?:{'|'.join(m.capitalize() for m in _MONTHS.split())})"
    r"|century|centuries|\d{1,2}:\d{2}|\d{1,2}\s?[ap]\.?m\.?)\b"
)
_NUMBER = re.compile(rf"\d|\b(?:{'|'.join(_NUMBER_WORDS.split())})\b", re.IGNORECASE)
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)(?<![\"“'(])\b[A-Z][\w’'-]+")
_ASKS: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (
        re.compile(
            r"(?i)\b(?:when|(?:what|which|in what|in which)\s+(?:year|date|day|month|decade"
            r"|century|time))\b"
        ),
        "date",
    ),
    (
        re.compile(
            r"(?i)\bhow\s+(?!do\b|does\b|did\b|is\b|are\b|was\b|were\b|can\b|to\b|has\b|have\b"
            r"|would\b|should\b|could\b|will\b)\w+"
            r"|\b(?:what|which)\s+(?:percent\w*|number|share|fraction|amount|temperature)\b"
        ),
        "number",
    ),
    (re.compile(r"(?i)\b(?:who|whom|whose|where)\b"), "name"),
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, as it is compared with texts.

    Attributes:
        text: as it was asked.
        terms: its content words as stems, each once, in order; all words where none has content.
        words: the same words as they were written.
        pairs: neighbouring terms, which a text may hold side by side, too.
        names: terms that are written as names or are numbers; few texts answer without them.
        kind: what an answer must hold: a date, a number, a name; None where that is not known.
    """

    text: str
    terms: tuple[str, ...]
    words: Mapping[str, str]
    pairs: tuple[tuple[str, str], ...]
    names: frozenset[str]
    kind: Kind | None


@lru_cache(maxsize=256)
def read(question: str) -> Asked:
    """A question, read."""
    found = analyse(question)
    content = [one for one in found if one[0] not in _ASKING] or found
    words: dict[str, str] = {}
    for term, start, end in content:
        words.setdefault(term, question[start:end])
    first = next((i for i, char in enumerate(question) if char.isalnum()), 0)
    names = frozenset(
        term
        for term, start, end in content
        if question[start:end].isdigit() or (start > first and question[start].isupper())
    )
    order = [term for term, _, _ in content]
    return Asked(
        question,
        tuple(words),
        words,
        tuple(dict.fromkeys(pairwise(order))),
        names,
        next((kind for pattern, kind in _ASKS if pattern.search(question)), None),
    )


def content(question: str) -> tuple[str, ...]:
    """The terms of a question that say what it is about; there may be none."""
    return tuple(term for term in terms(question) if term not in _ASKING)


@lru_cache(maxsize=16384)
def terms(text: str) -> tuple[str, ...]:
    """The terms of a text, in order."""
    return tuple(term for term, _, _ in analyse(text))


def rarity(asked: Asked, texts: Sequence[str]) -> dict[str, float]:
    """How much each term of a question tells, from how few of some texts hold it; above 0."""
    holding = Counter(term for text in texts for term in set(terms(text)) & set(asked.terms))
    return {
        term: math.log(1 + (len(texts) - holding[term] + 0.5) / (holding[term] + 0.5))
        for term in asked.terms
    }


def coverage(wanted: Iterable[str], held: Collection[str], rarities: Mapping[str, float]) -> float:
    """The share of some terms, each as rare as it is, that a text holds; 0 of no terms."""
    total = covered = 0.0
    for term in wanted:
        total += rarities[term]
        covered += rarities[term] * (term in held)
    return covered / total if total else 0.0


def answers_kind(text: str, asked: Asked) -> bool:
    """Whether a text has a date, a number or a name, as asked for, that the question has not."""
    pattern = {"date": _DATE, "number": _NUMBER, "name": _NAME, None: _NUMBER}[asked.kind]
    said = {word.casefold() for word in re.findall(r"\w+", asked.text)}
    return any(
        not said.issuperset(re.findall(r"\w+", found[0].casefold()))
        for found in pattern.finditer(text)
    )
