"""Texts cut at one length, so that systems which read more of a text read the same of it."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import regex

from searchkit.corpus.collection import joined
from searchkit.corpus.labelled import (
    Candidate,
    ClassificationSet,
    ClusteringSet,
    LabelledSet,
    LabelledText,
    PairSet,
)
from searchkit.records import Document, Query

_AT_ONCE = 1000  # documents


@dataclass(frozen=True, slots=True)
class Cut:
    """At which length texts are cut.

    Attributes:
        tokens: the most that is left of a text.
        of: the name of the model whose tokens they are.
        ends: of texts, the number of characters of each that hold so many tokens at most.
        identity: what else decides where a text ends, such as the hash of the model.
    """

    tokens: int
    of: str
    ends: Callable[[Sequence[str]], Sequence[int]]
    identity: str = ""

    @property
    def suffix(self) -> str:
        """What the name of a set ends in whose texts were cut."""
        return f"-cut{self.tokens}"

    @property
    def remark(self) -> str:
        """What a reader of its scores should know."""
        return f"texts and queries are cut at {self.tokens} tokens of {self.of}, for every system"

    def texts(self, texts: Sequence[str]) -> list[str]:
        """Texts, those that are longer without what is behind their last whole character."""
        begun = [text.lstrip() for text in texts]
        return [
            whole if end >= len(start) else start[: _boundary(start, end)].rstrip()
            for whole, start, end in zip(texts, begun, self.ends(begun), strict=True)
        ]

    def documents(self, documents: Iterable[Document]) -> Iterator[Document]:
        """Documents as they are cut: title and text together, as they are read.

        What is left of a longer one is all text.
        """
        source = iter(documents)
        while some := list(islice(source, _AT_ONCE)):
            wholes = [joined(one) for one in some]
            for one, whole, left in zip(some, wholes, self.texts(wholes), strict=True):
                yield one if left == whole else replace(one, title="", text=left)

    def queries(self, queries: Sequence[Query]) -> list[Query]:
        """Queries as they are cut."""
        left = self.texts([one.text for one in queries])
        return [replace(one, text=text) for one, text in zip(queries, left, strict=True)]

    def labelled(self, found: LabelledSet) -> LabelledSet:
        """A labelled set with all its texts cut, and a name and a note that say so."""
        name, notes = found.name + self.suffix, (*found.notes, self.remark)
        if isinstance(found, PairSet):
            firsts = self.texts([one.first for one in found.pairs])
            seconds = self.texts([one.second for one in found.pairs])
            pairs = tuple(
                replace(one, first=first, second=second)
                for one, first, second in zip(found.pairs, firsts, seconds, strict=True)
            )
            return replace(found, name=name, notes=notes, pairs=pairs)
        if isinstance(found, ClassificationSet):
            train, test = self._labelled_texts(found.train), self._labelled_texts(found.test)
            return replace(found, name=name, notes=notes, train=train, test=test)
        if isinstance(found, ClusteringSet):
            return replace(found, name=name, notes=notes, texts=self._labelled_texts(found.texts))
        queries = self.texts([one.query for one in found.lists])
        lists = tuple(
            replace(one, query=query, candidates=self._candidates(one.candidates))
            for one, query in zip(found.lists, queries, strict=True)
        )
        return replace(found, name=name, notes=notes, lists=lists)

    def _candidates(self, candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
        left = self.texts([one.text for one in candidates])
        return tuple(replace(one, text=text) for one, text in zip(candidates, left, strict=True))

    def _labelled_texts(self, texts: Sequence[LabelledText]) -> tuple[LabelledText, ...]:
        left = self.texts([one.text for one in texts])
        return tuple(replace(one, text=text) for one, text in zip(texts, left, strict=True))


def _boundary(text: str, end: int) -> int:
    """The end of the last grapheme that ends at a place or before, or of the first of all."""
    found = 0
    for match in regex.finditer(r"\X", text):
        if found and match.end() > end:
            break
        found = match.end()
    return found
