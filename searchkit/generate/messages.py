"""What is said to a language model, and what any generator of answers offers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    text: str


class Generator(Protocol):
    """A language model that goes on with a conversation.

    Attributes:
        name: of the model, for people.
        context_tokens: how much it reads at most, the answer included.
    """

    name: str
    context_tokens: int

    def count_tokens(self, text: str) -> int:
        """How many tokens a text is; where only a server knows that, rather too many than too few.

        What a conversation adds around its texts is not counted.
        """

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """The answer in pieces, as they come; whoever closes the iterator stops the work.

        Args:
            messages: the conversation; the last message is the user's.
            max_tokens: of the answer, at most.
            temperature: 0 takes the likeliest token each time, 1 draws them as likely as they are.
            seed: of the draws.

        Raises:
            BadInput: the conversation and the answer do not fit into the context, or a number is
                out of range.
            SearchkitError: the model could not be reached, or broke off.
        """
