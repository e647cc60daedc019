"""What a reranker offers, and what it may need: objects that other rooms have."""

from collections.abc import Sequence
from typing import Protocol


class Reranker(Protocol):
    """Something that reads a query and a passage together; see the folder rank/rerank.

    Attributes:
        fingerprint: differs wherever a score may.
    """

    fingerprint: str

    def score(self, query: str, passages: Sequence[str]) -> list[float]:
        """How well each passage answers the query; higher is better.

        A score depends on nothing but the query and its own passage.
        """

    def truncated(self, query: str, passages: Sequence[str]) -> int:
        """How many of the passages are longer than what is read of them."""


class LanguageModel(Protocol):
    """A language model that says how likely a text is.

    Attributes:
        fingerprint: differs wherever what it says may: of its weights and its arithmetic.
    """

    fingerprint: str

    def log_likelihood(self, prefixes: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """The natural logarithm of how likely each continuation is after its prefix."""

    def next_token_logits(
        self, prompts: Sequence[str], words: Sequence[str]
    ) -> Sequence[Sequence[float]]:
        """For each prompt, as a user's turn, the logit of each word as the answer's first."""

    def count_tokens(self, text: str) -> int:
        """How many tokens a text is."""

    def shortened(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """The beginning of each text, of at most so many tokens."""


def count_truncated(model: LanguageModel, passages: Sequence[str], max_tokens: int) -> int:
    """How many passages have more tokens than that."""
    read = model.shortened(passages, max_tokens)
    return sum(one != whole for one, whole in zip(read, passages, strict=True))


def order(scores: Sequence[float]) -> list[int]:
    """Places from the best score to the worst; equal scores stay in the order they were in.

    Raises:
        ValueError: a score is not a number.
    """
    if wrong := [score for score in scores if score != score]:
        raise ValueError(f"{len(wrong)} of {len(scores)} scores are not numbers")
    return sorted(range(len(scores)), key=lambda place: -scores[place])
