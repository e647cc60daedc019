"""What a query asks for, in tantivy's queries.

Words that may match add up. A compound adds its parts, and something for standing there as a whole:
the whole of it ranks first, and its parts are found. Numbers are no parts: of 3.11.2 only 3.11 and
11.2 are. What must or must not match is a compound as a whole, and a word in any inflection.
"""

import math
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

from searchkit.errors import BadInput
from searchkit.index.live import analysis
from searchkit.index.live.analysis import STOP_WORDS, Token
from searchkit.index.live.path_pattern import path_regex
from searchkit.index.live.query import (
    NONE,
    Filters,
    Fuzzy,
    Match,
    Phrase,
    Prefix,
    Query,
    Unfinished,
    Word,
)

if TYPE_CHECKING:
    import tantivy

    Asked: TypeAlias = tantivy.Query

# A prefix is scored as the best of this many of its words, the most frequent ones; the others are
# found too, below these.
_MOST_EXPANSIONS = 64
_BELOW = 1e-3

_MOST_OF_PHRASE = 2**14  # words that the patterns of one phrase may stand for; tantivy's own limit

# The weight of a compound as a whole, and of its spelling, where its parts have 1. On the
# collections cacm and cranfield 0.25 is as good as nothing, and 1 costs 0.009 nDCG@10. What is
# joined by these has its spelling for a name, and a number has no other meaning: both weigh 1.
_WHOLE = 0.25
_IN_NAMES = frozenset("_:@&+#")

_LEAST, _MOST = -(2**63), 2**63 - 1  # of tantivy's integers


class Lookup:
    """Makes tantivy's queries for one state of an index, whose words expand prefixes."""

    def __init__(self, searcher: "tantivy.Searcher", schema: "tantivy.Schema") -> None:
        import tantivy

        self._searcher = searcher
        self._schema = schema
        self._queries = tantivy.Query
        self._occur = tantivy.Occur
        self._integer = tantivy.FieldType.Integer
        # At each key that is struck, the words before it are asked for again.
        self._parts_of_word = lru_cache(maxsize=2**10)(self._read_word)

    def wanted(self, query: Query) -> "Asked | None":
        """What may or must match; None where nothing is asked for.

        Stop words are left out of words that may match, unless there is nothing else.
        """
        must = [self._whole(one.match) for one in query.clauses if one.occur == "must"]
        may = [one.match for one in query.clauses if one.occur == "may"]
        telling = [match for match in may if not isinstance(match, Word) or _tells(match.text)]
        if not telling and not must:
            telling = [Phrase(match.text) for match in may]
        should = [asked for match in telling for asked in self._parts(match)]
        required = [asked for asked in must if asked is not None]
        if not required:
            return self._any_of(should) if should else None
        return self._queries.boolean_query(
            [(self._occur.Must, asked) for asked in required]
            + [(self._occur.Should, asked) for asked in should]
        )

    def any_whole(self, matches: Iterable[Match]) -> "Asked | None":
        """What holds one of some words or phrases; None where there is nothing to look for."""
        asked = [one for match in matches if (one := self._whole(match)) is not None]
        return self._any_of(asked) if asked else None

    def exclusions(self, query: Query) -> "list[tuple[tantivy.Occur, Asked]]":
        """What must not match."""
        asked = (self._whole(one.match) for one in query.clauses if one.occur == "not")
        return [(self._occur.MustNot, one) for one in asked if one is not None]

    def conditions(self, filters: Filters) -> "list[tuple[tantivy.Occur, Asked]]":
        """What filters ask for; it adds nothing to a score. Empty if they let all pass.

        Raises:
            BadInput: a path pattern is beyond what tantivy matches with.
        """
        if filters == NONE:
            return []
        wanted = [self._paths(filters.path)] if filters.path else []
        wanted += [self._named("format", filters.format)] if filters.format else []
        wanted += [self._named("language", filters.language)] if filters.language else []
        if filters.after is not None or filters.before is not None:
            wanted.append(self._between(filters.after, filters.before))
        unwanted = [self._paths(filters.not_path)] if filters.not_path else []
        unwanted += [self._named("format", filters.not_format)] if filters.not_format else []
        unwanted += [self._named("language", filters.not_language)] if filters.not_language else []
        return [
            *((self._occur.Must, self._queries.const_score_query(one, 0.0)) for one in wanted),
            *((self._occur.MustNot, one) for one in unwanted),
        ]

    def bounds(
        self, within: range | None, without: Sequence[range]
    ) -> "list[tuple[tantivy.Occur, Asked]]":
        """Which ids chunks must and must not have; no range is empty."""
        asked = []
        if within is not None:
            asked.append(
                (self._occur.Must, self._queries.const_score_query(self._ids(within), 0.0))
            )
        if without:
            asked.append((self._occur.MustNot, self._any_of([self._ids(ids) for ids in without])))
        return asked

    def all_of(
        self, wanted: "Asked | None", conditions: "Sequence[tuple[tantivy.Occur, Asked]]"
    ) -> "Asked":
        """What matches `wanted`, or anything if it is None, and meets all conditions."""
        if wanted is not None and not conditions:
            return wanted
        wanted = self._queries.all_query() if wanted is None else wanted
        return self._queries.boolean_query([(self._occur.Must, wanted), *conditions])

    def _parts(self, match: Match) -> "list[Asked]":
        """What adds to the score of a chunk; any of it is enough."""
        if isinstance(match, Word):
            return self._parts_of_word(match.text)
        if isinstance(match, Unfinished) and (tokens := analysis.tokens(match.text)):
            *finished, last = tokens
            return [
                *(asked for token in finished for asked in self._parts_of(token)),
                self._best_of([self._any_of(self._parts_of(last)), *self._continued(last)]),
            ]
        whole = self._whole(match)
        return [] if whole is None else [whole]

    def _read_word(self, text: str) -> "list[Asked]":
        return [asked for token in analysis.tokens(text) for asked in self._parts_of(token)]

    def _parts_of(self, token: Token) -> "list[Asked]":
        if token.unspaced and len(token.sequence) == 1:
            return [self._beginning(token.whole)]
        compound = len(token.sequence) > 1
        terms = [t for t in token.terms if token.unspaced or not (compound and t.isdecimal())]
        asked = [self._term("words", term) for term in terms]
        asked += [
            self._sequence([one, two])
            for one, two in pairwise(token.sequence)
            if one.isdecimal() and two.isdecimal()
        ]
        weight = _WHOLE if terms else 1.0
        sequence = token.sequence[:-1] if token.unspaced else token.sequence
        if len(sequence) > 1:
            asked.append(self._queries.boost_query(self._sequence(sequence), weight))
        for form in token.forms:
            named = 1.0 if _IN_NAMES.intersection(form) else weight
            asked.append(self._queries.boost_query(self._term("surface", form), named))
        return asked

    def _whole(self, match: Match) -> "Asked | None":
        """What a chunk must hold to match; None where there is nothing to look for."""
        tokens = analysis.tokens(match.text)
        if not tokens:
            return None
        if isinstance(match, Phrase):
            return self._phrase(tokens)
        if isinstance(match, Prefix):
            return self._prefix(tokens)
        found = [self._word(tokens)]
        if isinstance(match, Unfinished):
            found += self._continued(tokens[-1])
        elif isinstance(match, Fuzzy) and len(tokens) == 1 and not tokens[0].unspaced:
            found.append(self._fuzzy(tokens[0].whole, match.distance))
        return self._best_of(found)

    def _word(self, tokens: Sequence[Token]) -> "Asked":
        token = tokens[0]
        if len(tokens) > 1 or token.unspaced or len(token.sequence) > 1:
            return self._phrase(tokens)
        if token.whole != token.sequence[0]:  # C++
            return self._term("surface", token.whole)
        if token.whole in STOP_WORDS:
            return self._term("surface", token.whole)
        return self._term("words", token.terms[0])

    def _phrase(self, tokens: Sequence[Token]) -> "Asked":
        words = [word for token in tokens for word in token.sequence]
        last = tokens[-1]
        if not last.unspaced:
            return self._sequence(words)
        # The run may go on in the text, and then its last character is the first of a pair.
        if len(last.sequence) == 1:
            return self._open_ended(words)
        return self._sequence(words[:-1])

    def _prefix(self, tokens: Sequence[Token]) -> "Asked":
        last = tokens[-1]
        if last.unspaced:
            return self._phrase(tokens)
        if len(tokens) == 1:
            return self._beginning(last.whole)
        return self._open_ended([word for token in tokens for word in token.sequence])

    def _continued(self, token: Token) -> "list[Asked]":
        """The words that begin as the token does, in any of their inflections."""
        if token.unspaced:
            return []
        words = self._searcher.terms_with_prefix("surface", token.whole, limit=_MOST_EXPANSIONS)
        fields = {
            ("words", term) if (term := analysis.term_of(word)) else ("surface", word): None
            for word, _ in words
            if word not in STOP_WORDS
        }
        return [self._term(field, term) for field, term in fields]

    def _beginning(self, prefix: str) -> "Asked":
        """All words that begin so."""
        words = self._searcher.terms_with_prefix("surface", prefix, limit=_MOST_EXPANSIONS + 1)
        asked = [self._term("surface", word) for word, _ in words[:_MOST_EXPANSIONS]]
        if len(words) > _MOST_EXPANSIONS:
            others = self._queries.regex_query(self._schema, "surface", _beginning(prefix))
            asked.append(self._queries.const_score_query(others, _BELOW))
        return self._best_of(asked)

    def _fuzzy(self, word: str, distance: int) -> "Asked":
        """All words near `word`, scored as one that stands once in a chunk of mean length."""
        near = self._queries.fuzzy_term_query(self._schema, "surface", word, distance)
        found: int = self._searcher.search(near, 1).count  # type: ignore[attr-defined]  # no stub has it
        idf = math.log(1 + (self._searcher.num_docs - found + 0.5) / (found + 0.5))
        return self._queries.const_score_query(near, idf)

    def _sequence(self, words: Sequence[str]) -> "Asked":
        """Words next to each other."""
        if len(words) == 1:
            return self._term("surface", words[0])
        return self._queries.phrase_query(self._schema, "surface", list(words))

    def _open_ended(self, words: Sequence[str]) -> "Asked":
        """Words next to each other; the last is only how a word begins."""
        *before, prefix = words
        if not before:
            return self._beginning(prefix)
        return self._best_of(
            [
                self._queries.regex_phrase_query(
                    self._schema, "surface", [*map(_escaped, before), pattern]
                )
                for pattern in self._patterns(prefix, _MOST_OF_PHRASE - len(before))
            ]
        )

    def _patterns(self, prefix: str, most: int) -> list[str]:
        """All words that begin so, in patterns that stand for at most so many each."""
        words = self._searcher.terms_with_prefix("surface", prefix)
        if len(words) <= most:
            return [_beginning(prefix)]
        longer = sorted({word[: len(prefix) + 1] for word, _ in words})
        itself = [_escaped(prefix)] if longer[0] == prefix else []
        return itself + [
            pattern for one in longer[len(itself) :] for pattern in self._patterns(one, most)
        ]

    def _term(self, field: str, term: str) -> "Asked":
        return self._queries.term_query(self._schema, field, term, "freq")

    def _paths(self, patterns: Iterable[str]) -> "Asked":
        return self._any_of([self._path(pattern) for pattern in patterns])

    def _path(self, pattern: str) -> "Asked":
        try:
            return self._queries.regex_query(self._schema, "path", path_regex(pattern))
        except ValueError as error:
            raise BadInput(
                f"the path pattern {pattern!r} is too long, or has too many wildcards, to search"
                " with; shorten it, or write ** for a part of it"
            ) from error

    def _named(self, field: str, names: Iterable[str]) -> "Asked":
        return self._any_of(
            [self._queries.term_query(self._schema, field, name, "basic") for name in names]
        )

    def _between(self, after: float | None, before: float | None) -> "Asked":
        """Modified at `after` or later, and before `before`; the index knows whole seconds."""
        first = _LEAST if after is None else max(_LEAST, math.ceil(after))
        last = _MOST if before is None else min(_MOST, math.ceil(before) - 1)
        return self._queries.range_query(self._schema, "modified", self._integer, first, last)

    def _ids(self, ids: range) -> "Asked":
        first, last = ids[0], ids[-1]
        return self._queries.range_query(self._schema, "chunk_id", self._integer, first, last)

    def _any_of(self, asked: "Sequence[Asked]") -> "Asked":
        if len(asked) == 1:
            return asked[0]
        return self._queries.boolean_query([(self._occur.Should, one) for one in asked])

    def _best_of(self, asked: "Sequence[Asked]") -> "Asked":
        return asked[0] if len(asked) == 1 else self._queries.disjunction_max_query(asked)


@lru_cache(maxsize=2**10)
def _tells(text: str) -> bool:
    """Whether a word says more than stop words do."""
    return any(token.terms for token in analysis.tokens(text))


def _beginning(prefix: str) -> str:
    return f"{_escaped(prefix)}.*"


def _escaped(word: str) -> str:
    return re.sub(r"[\\.+*?()|\[\]{}^$]", r"\\\g<0>", word)
