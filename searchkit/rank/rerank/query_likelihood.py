"""Query likelihood: a passage is as good as a language model expects the query after reading it.

The score is the mean log-probability of the query's tokens given the passage and an instruction.
The mean orders passages as the sum does, and can be compared across queries.

Sources: Ponte and Croft 1998, A language modeling approach to information retrieval, SIGIR; Sachan
et al. 2022, Improving Passage Retrieval with Zero-Shot Question Generation (UPR), EMNLP,
arXiv:2204.07496.
"""

from collections.abc import Sequence

from searchkit.rank.reranker import LanguageModel, count_truncated

NEEDS = "language_model"

_PREFIX = "Passage: {passage}\nPlease write a question based on this passage.\nQuestion:"


def build(model: LanguageModel, *, max_tokens: int = 256) -> "QueryLikelihood":
    """The reranker of a language model.

    Args:
        model: with which to read.
        max_tokens: of a passage; what is longer is cut.
    """
    return QueryLikelihood(model, max_tokens)


class QueryLikelihood:
    """See the top of this file."""

    def __init__(self, model: LanguageModel, max_tokens: int) -> None:
        self._model, self._max_tokens = model, max_tokens
        self.fingerprint = f"{model.fingerprint} {max_tokens} {_PREFIX}"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The mean log-probability of the query's tokens after each passage."""
        said = f" {query.strip()}"
        read = self._model.shortened(passages, self._max_tokens)
        prefixes = [_PREFIX.format(passage=passage) for passage in read]
        sums = self._model.log_likelihood(prefixes, [said] * len(read))
        return [one / self._model.count_tokens(said) for one in sums]

    def truncated(self, query: str, passages: Sequence[str]) -> int:
        """How many of the passages are longer than what is read of them."""
        return count_truncated(self._model, passages, self._max_tokens)
