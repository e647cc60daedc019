"""Conversations as token ids, in which what people and documents say is text and nothing else.

A chat template is filled with place holders, and its own parts alone are read with its control
tokens. The texts are tokenised apart, by a tokenizer that knows none: a passage that holds
"<|im_start|>system" is so many characters.
"""

import os
import re
from collections.abc import Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer

from searchkit.encode.language_models import BaseModel
from searchkit.errors import BadInput
from searchkit.generate.messages import Message

# A model whose texts end in <|im_end|> was tuned on this format, whether its files say so or not:
# a base model that was converted has lost its template.
_CHATML_END = "<|im_end|>"
_CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Private characters, around the number of a message.
_HOLDER = "\ue000{}\ue001"
_HELD = re.compile("\ue000([0-9]+)\ue001")
_SEAM = "\n"
_LABELS = {"user": "User: ", "assistant": "Assistant: "}


class Prompts:
    """The tokenizer of a base model, and the format that it was tuned on.

    Args:
        base: what `language_models.resolve` found.

    Attributes:
        template: its chat template; empty for a model that knows no conversations, which is given
            plain text with the names of who speaks.
        stop: what ends an answer in plain text: the model goes on with the other one's part.
        eos_id: the token that ends a text.
        bos: the ids that stand before every text.
        adds_space: whether the tokenizer puts a space before every text, as those of Llama 2 do.

    Raises:
        BadInput: transformers cannot load the tokenizer.
    """

    def __init__(self, base: BaseModel) -> None:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")  # read at the first import of transformers
        from transformers import AutoTokenizer, logging

        logging.set_verbosity_error()
        self._name = base.name
        try:
            self._chat: Any = AutoTokenizer.from_pretrained(
                base.folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise BadInput(
                f"the tokenizer of {base.name} cannot be loaded: {str(error).splitlines()[0]}"
            ) from error
        if self._chat.chat_template is None and self._chat.eos_token == _CHATML_END:
            self._chat.chat_template = _CHATML
        self.template = str(self._chat.chat_template or "")
        self.stop = None if self.template else f"\n{_LABELS['user'].strip()}"
        self.eos_id: int | None = self._chat.eos_token_id
        path = str(base.folder / "tokenizer.json")
        self.tokenizer, self._plain = Tokenizer.from_file(path), Tokenizer.from_file(path)
        for tokenizer in (self.tokenizer, self._plain):
            tokenizer.no_truncation()
            tokenizer.no_padding()
        # Tokens that a template uses control, whether or not they are said to be special.
        added = self._plain.get_added_tokens_decoder().items()
        control = {
            number: one.content
            for number, one in added
            if one.special or one.content in self.template
        }
        self._control = frozenset(control)
        self._plain.add_special_tokens([AddedToken(one, special=True) for one in control.values()])
        self._plain.encode_special_tokens = True
        marked, bare = (
            self.tokenizer.encode("a", add_special_tokens=on).ids for on in (True, False)
        )
        self.bos: list[int] = marked[: marked.index(bare[0])]
        seam, apart = self.text(_SEAM), self.text("a")
        joined = self.text(f"{_SEAM}a")
        self.adds_space = joined[: len(seam)] == seam and joined[len(seam) :] != apart

    def text(self, text: str) -> list[int]:
        """The ids of a text; none of them is a control token, whatever it says."""
        found = self._plain.encode(text, add_special_tokens=False)
        for number, (start, end) in zip(found.ids, found.offsets, strict=True):
            # A vocabulary can hold a control token among its words: then halves of it are read.
            if number in self._control and end - start > 1:
                return self.text(text[: start + 1]) + self.text(text[start + 1 :])
        ids: list[int] = found.ids
        return ids

    def continuation(self, text: str) -> list[int]:
        """The ids of a text that goes on with another one.

        Some tokenizers put a space before every text; in the midst of one there is none.
        """
        if not self.adds_space:
            return self.text(text)
        return self.text(_SEAM + text)[len(self.text(_SEAM)) :]

    def count(self, text: str) -> int:
        """How many tokens a text is."""
        return len(self.text(text))

    def shortened(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """The beginning of each text, of at most so many tokens; no character is cut in two."""
        found = self._plain.encode_batch([*texts], add_special_tokens=False)
        return [
            text[: one.offsets[max_tokens][0]] if len(one.ids) > max_tokens else text
            for text, one in zip(texts, found, strict=True)
        ]

    def conversation(self, messages: Sequence[Message]) -> list[int]:
        """The ids of a conversation up to where the answer begins.

        Raises:
            BadInput: the model's template has no place for such a conversation.
        """
        if not self.template:
            said = [f"{_LABELS.get(one.role, '')}{one.text}" for one in messages]
            return self.bos + self.text("\n\n".join([*said, _LABELS["assistant"].rstrip()]))
        from jinja2 import TemplateError

        try:
            parts = self._filled(messages)
        except TemplateError as error:
            if len(messages) < 2 or messages[0].role != "system":
                raise BadInput(
                    f"the chat template of {self._name} refuses a conversation of "
                    f"{', '.join(one.role for one in messages)}: {error}"
                ) from error
            # Some models know no system: then the user says it, too.
            first = Message(messages[1].role, f"{messages[0].text}\n\n{messages[1].text}")
            return self.conversation([first, *messages[2:]])
        ids: list[int] = []
        for number, part in enumerate(parts):
            if number % 2:
                ids += self.text(messages[int(part)].text)
            else:
                ids += self.tokenizer.encode(part, add_special_tokens=False).ids
        return ids

    def answer(self, text: str) -> list[int]:
        """The ids of a text as the answer to a conversation begins with it."""
        return self.text(text) if self.template else self.continuation(f" {text}")

    def _filled(self, messages: Sequence[Message]) -> list[str]:
        """The template's parts and, between them, the numbers of the messages."""
        rows = [
            {"role": one.role, "content": _HOLDER.format(number)}
            for number, one in enumerate(messages)
        ]
        whole: str = self._chat.apply_chat_template(
            rows, tokenize=False, add_generation_prompt=True
        )
        parts = _HELD.split(whole)
        if parts[1::2] != [str(number) for number in range(len(messages))]:
            raise BadInput(
                f"the chat template of {self._name} does not show every message once, so it "
                "cannot be used; take another base model"
            )
        return parts
