"""BM25 as Lucene scores it: idf(t) tf / (tf + k1 (1 - b + b |d| / avgdl)), summed over a query.

idf(t) = ln(1 + (N - df + 0.5) / (df + 0.5)), always above 0, and a term that a query repeats counts
as often as it is repeated. bm25s computes the score of every term in every document when the index
is built; a search adds columns of that matrix and needs NumPy alone, so a cold process answers
without the time that importing bm25s takes.

Sources: Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond;
Kamphuis et al. 2020, Which BM25 Do You Mean?, the variant "Lucene (accurate)"; Lù 2024, BM25S,
arXiv:2407.03618.
"""

import json
import re
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import Stemmer

from searchkit.errors import BadInput
from searchkit.index import strings
from searchkit.index.mapped import map_array
from searchkit.index.ranking import hits
from searchkit.records import Hit

# The token pattern of bm25s and of scikit-learn: runs of at least two letters, digits or
# underscores, so that "state-of-the-art" gives state, of, the, art and "2.0" gives nothing. It
# knows no word boundaries of Chinese, Japanese or Thai. Published figures depend on it.
_WORDS = re.compile(r"(?u)\b\w\w+\b")

# Lucene's, and so those of bm25s. They are removed before stemming.
_ENGLISH = (
    "a an and are as at be but by for if in into is it no not of on or such that the their then"
    " there these they this to was will with"
)
_STOP_WORDS = {"none": frozenset[str](), "english": frozenset(_ENGLISH.split())}


@dataclass(frozen=True, slots=True)
class Parameters:
    """How texts become terms and terms become scores.

    Attributes:
        k1: at least 0: how late the weight of a repeated term levels off.
        b: between 0 and 1: how much a long document is discounted.
        stop_words: "english" or "none".
        stemmer: "none" or a Snowball language, such as "english".

    Raises:
        BadInput: a value outside these.
    """

    k1: float = 1.5
    b: float = 0.75
    stop_words: str = "english"
    stemmer: str = "english"

    def __post_init__(self) -> None:
        if not 0 <= self.k1 < float("inf"):
            raise BadInput(f"k1 is {self.k1}, not a number from 0 on; 1.5 is usual")
        if not 0 <= self.b <= 1:
            raise BadInput(f"b is {self.b}, not between 0 and 1; 0.75 is usual")
        if self.stop_words not in _STOP_WORDS:
            known = ", ".join(sorted(_STOP_WORDS))
            raise BadInput(f"no stop words are called {self.stop_words!r}; there are: {known}")
        if self.stemmer != "none" and self.stemmer not in Stemmer.algorithms():
            known = ", ".join(["none", *Stemmer.algorithms()])
            raise BadInput(f"no stemmer is called {self.stemmer!r}; there are: {known}")


def build(texts: Iterable[str], parameters: Parameters) -> "Bm25":
    """Index texts, one a document, in the order of their rows.

    Only the terms of the texts are held in memory, 4 bytes each.
    """
    stemmer = _stemmer(parameters)
    vocabulary: dict[str, int] = {}  # by first appearance, so that equal texts give equal files
    # Every distinct word is stemmed once; a stop word has no column.
    columns: dict[str, int | None] = dict.fromkeys(_STOP_WORDS[parameters.stop_words])
    documents = []
    for text in texts:
        document = array("i")
        for word in _words(text):
            if word not in columns:
                term = stemmer.stemWord(word) if stemmer else word
                columns[word] = vocabulary.setdefault(term, len(vocabulary))
            if (column := columns[word]) is not None:
                document.append(column)
        documents.append(document)
    matrix = _score_matrix(documents, vocabulary, parameters)
    return Bm25(parameters, vocabulary, vocabulary.get, *matrix, len(documents))


def open_saved(folder: Path) -> "Bm25":
    """Open what `Bm25.save` wrote; it is memory-mapped, and read where a search touches it."""
    fields = json.loads((folder / "parameters.json").read_text(encoding="utf-8"))
    n_documents = fields.pop("documents")
    starts, rows, scores = (
        map_array(folder / f"{name}.npy") for name in ("starts", "rows", "scores")
    )
    terms = strings.Strings(folder, "terms")
    return Bm25(Parameters(**fields), terms, terms.find, starts, rows, scores, n_documents)


class Bm25:
    """The score of every term in every document, ordered by term.

    Attributes:
        parameters: what the index was built with.
    """

    def __init__(
        self,
        parameters: Parameters,
        terms: Iterable[str],
        find: Callable[[str], int | None],
        starts: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int32],
        scores: npt.NDArray[np.float32],
        n_documents: int,
    ) -> None:
        """Put together what `build` made or `open_saved` found.

        Args:
            parameters: what the index was built with.
            terms: the V terms in the order of their columns.
            find: the column of a term, None where no document has it.
            starts: (V + 1,): where the documents of each term begin in `rows` and `scores`.
            rows: the documents of a term, ascending.
            scores: what the term adds to the score of each of them.
            n_documents: N, documents without terms included.
        """
        self.parameters = parameters
        self._terms = terms
        self._find = find
        self._starts = starts
        self._rows = rows
        self._scores = scores
        self._n_documents = n_documents

    def save(self, folder: Path) -> None:
        """Write the index into `folder`, which exists; `open_saved` reads it."""
        fields = asdict(self.parameters) | {"documents": self._n_documents}
        text = json.dumps(fields, indent=1) + "\n"
        (folder / "parameters.json").write_text(text, encoding="utf-8")
        strings.write(folder, "terms", self._terms)
        np.save(folder / "starts.npy", self._starts)
        np.save(folder / "rows.npy", self._rows)
        np.save(folder / "scores.npy", self._scores)

    def search(self, queries: Sequence[str], k: int, ids: Sequence[str]) -> list[list[Hit]]:
        """The k best documents of each query: descending score, then ascending id, at the cut too.

        Args:
            queries: texts, put into terms as the documents were.
            k: the length of a ranking; shorter where fewer documents hold a term of the query.
            ids: the ids of the N documents by row.

        Returns:
            One ranking a query, ranks from 1, every score above 0. Empty for a query of stop words
            or of terms that no document has.

        Raises:
            ValueError: k < 1, or `ids` are not N.
        """
        if k < 1:
            raise ValueError(f"k is {k}, not at least 1")
        if len(ids) != self._n_documents:
            raise ValueError(f"{len(ids)} ids for {self._n_documents} documents")
        return [self._rank(query, k, ids) for query in queries]

    def _rank(self, query: str, k: int, ids: Sequence[str]) -> list[Hit]:
        scores = np.zeros(self._n_documents, np.float32)
        for term in self._query_terms(query):
            column = self._find(term)
            if column is not None:
                here = slice(self._starts[column], self._starts[column + 1])
                scores[self._rows[here]] += self._scores[here]  # a document is there once a term
        rows = np.flatnonzero(scores)
        if len(rows) > k:
            cut = np.partition(scores[rows], -k)[-k]
            rows = rows[scores[rows] >= cut]  # all that tie with the k-th: their ids decide
        return hits(scores[rows], rows, k, ids)

    def _query_terms(self, query: str) -> list[str]:
        stop_words = _STOP_WORDS[self.parameters.stop_words]
        words = [word for word in _words(query) if word not in stop_words]
        stemmer = _stemmer(self.parameters)
        return stemmer.stemWords(words) if stemmer else words


def analyse(text: str, parameters: Parameters) -> list[tuple[str, int, int]]:
    """The terms of a text, each with the [start, end) of the characters that it stands for."""
    stop_words, language = _STOP_WORDS[parameters.stop_words], parameters.stemmer
    found = [(match[0].lower(), match.start(), match.end()) for match in _WORDS.finditer(text)]
    return [
        (_stem(word, language), start, end) for word, start, end in found if word not in stop_words
    ]


@lru_cache(maxsize=2**16)  # the words of a language come again and again
def _stem(word: str, language: str) -> str:
    return word if language == "none" else str(Stemmer.Stemmer(language).stemWord(word))


def _words(text: str) -> list[str]:
    return _WORDS.findall(text.lower())


def _stemmer(parameters: Parameters) -> Any:
    """A new stemmer: they cost nothing to make, and one must not serve two threads."""
    return None if parameters.stemmer == "none" else Stemmer.Stemmer(parameters.stemmer)


def _score_matrix(
    documents: "list[array[int]]", vocabulary: dict[str, int], parameters: Parameters
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """`starts`, `rows` and `scores` of `Bm25`.

    Args:
        documents: the columns of the terms of each document, repeated as the terms are.
        vocabulary: the column of each term.
        parameters: k1 and b.
    """
    if not vocabulary:  # bm25s divides by the average length of a document
        return np.zeros(1, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32)
    import bm25s  # with all it imports, more than a search needs

    matrix = bm25s.BM25(k1=parameters.k1, b=parameters.b, method="lucene")
    matrix.index((documents, vocabulary), create_empty_token=False, show_progress=False)
    return matrix.scores["indptr"], matrix.scores["indices"], matrix.scores["data"]
