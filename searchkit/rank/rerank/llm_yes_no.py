"""Yes or no: a language model is asked whether a passage answers the query.

The score is the logit of "Yes" less that of "No" as the first word of the answer, the log-odds of
relevance. The prompt is the one of HELM, as one turn of the model's own chat format.

Sources: Liang et al. 2022, Holistic Evaluation of Language Models, arXiv:2211.09110, on information
retrieval; Nogueira et al. 2020, Document Ranking with a Pretrained Sequence-to-Sequence Model,
arXiv:2003.06713 (one word's probability against another's).
"""

from collections.abc import Sequence

from searchkit.rank.reranker import LanguageModel, count_truncated

NEEDS = "language_model"

_PROMPT = "Passage: {passage}\nQuery: {query}\nDoes the passage answer the query? Answer Yes or No."
_WORDS = ("Yes", "No")


def build(model: LanguageModel, *, max_tokens: int = 256) -> "YesNo":
    """The reranker of a language model that follows instructions.

    Args:
        model: to be asked.
        max_tokens: of a passage; what is longer is cut.
    """
    return YesNo(model, max_tokens)


class YesNo:
    """See the top of this file."""

    def __init__(self, model: LanguageModel, max_tokens: int) -> None:
        self._model, self._max_tokens = model, max_tokens
        self.fingerprint = f"{model.fingerprint} {max_tokens} {_PROMPT} {_WORDS}"

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """The log-odds that each passage answers the query."""
        read = self._model.shortened(passages, self._max_tokens)
        prompts = [_PROMPT.format(passage=passage, query=query.strip()) for passage in read]
        return [yes - no for yes, no in self._model.next_token_logits(prompts, _WORDS)]

    def truncated(self, query: str, passages: Sequence[str]) -> int:
        """How many of the passages are longer than what is read of them."""
        return count_truncated(self._model, passages, self._max_tokens)
