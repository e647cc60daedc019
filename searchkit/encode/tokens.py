"""Texts to token ids: templates, truncation, EOS.

Needs the `tokenizers` library alone: a search that starts cold must not wait for all of
transformers.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer

from searchkit.encode.states import TokenBatch
from searchkit.errors import BadInput, EmptyText

_MASKS = ("<mask>", "[MASK]", "<|mask|>")


@dataclass(frozen=True, slots=True)
class TokenisedText:
    """The ids of one text as the language model reads them, ending with EOS.

    `instruction` counts the leading tokens that belong to the template and not to the text, and
    `behind` those after the text, EOS among them; `truncated` says whether tokens of the text were
    cut off.
    """

    ids: npt.NDArray[np.int64]
    instruction: int
    truncated: bool
    behind: int = 1


class TextTokenizer:
    """The tokenizer of a base model.

    Args:
        folder: a model folder with `tokenizer.json`.
        config: its parsed config.json, which names the EOS id where tokenizer_config.json does not.
    """

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.eos_id = self._eos_id(folder, config)
        with_marks = self._tokenizer.encode("a").ids
        without = self._tokenizer.encode("a", add_special_tokens=False).ids
        # What a tokenizer puts before a text (BOS) is kept; EOS is ours to put behind it, whatever
        # it promises.
        self._bos = with_marks[: _find(with_marks, without)]

    def tokenise(
        self,
        texts: Sequence[str],
        *,
        template: str,
        max_tokens: int,
        names: Sequence[str] | None = None,
    ) -> list[TokenisedText]:
        """Tokenise texts inside a template.

        The text and the parts of the template around it are tokenised apart, so that the seam
        between them is known exactly. Only the text is cut to make the whole, EOS included, fit
        into `max_tokens`.

        Args:
            texts: what stands for {text} in the template.
            template: contains {text} once, such as "Query: {text}".
            max_tokens: the most tokens of a whole input.
            names: what to call each text in an error; its position if not given.

        Raises:
            EmptyText: a text without any token.
            BadInput: the template alone fills max_tokens.
        """
        before, behind = template.split("{text}")
        # White space before a word is part of its token: it goes with the text, not with the seam.
        gap = before[len(before.rstrip()) :]
        before = before.rstrip()
        prefix = self._bos + self._ids(before)
        suffix = [*self._ids(behind), self.eos_id]
        room = max_tokens - len(prefix) - len(suffix)
        if room < 1:
            raise BadInput(
                f"the template {template!r} alone takes {len(prefix) + len(suffix)} of "
                f"{max_tokens} tokens; "
                "shorten it or raise --max-tokens"
            )
        results = []
        for position, encoded in enumerate(
            self._tokenizer.encode_batch_fast(
                [gap + text for text in texts], add_special_tokens=False
            )
        ):
            ids = encoded.ids
            if not ids or not texts[position].strip():
                name = names[position] if names else f"text {position}"
                raise EmptyText(
                    f"{name} is empty: it has nothing to embed; remove it or give it a text"
                )
            whole = np.array([*prefix, *ids[:room], *suffix], dtype=np.int64)
            results.append(TokenisedText(whole, len(prefix), len(ids) > room, len(suffix)))
        return results

    def ends(self, texts: Sequence[str], max_tokens: int) -> list[int]:
        """Of each text, how many characters `tokenise` would leave of it without a template.

        A character of which a token would be cut off is not among them.

        Raises:
            BadInput: nothing would be left.
        """
        room = max_tokens - len(self._bos) - 1
        if room < 1:
            raise BadInput(f"{max_tokens} tokens leave none to a text; take more")
        found = self._tokenizer.encode_batch([*texts], add_special_tokens=False)
        return [
            one.offsets[room][0] if len(one.ids) > room else len(text)
            for text, one in zip(texts, found, strict=True)
        ]

    @property
    def mask_id(self) -> int:
        """What can stand for an unknown token: a mask token, or else an underscore."""
        for token in _MASKS:
            if (found := self._tokenizer.token_to_id(token)) is not None:
                return int(found)
        return self._ids("_")[0]

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids if text else []
        return ids

    def _eos_id(self, folder: Path, config: dict[str, Any]) -> int:
        settings = folder / "tokenizer_config.json"
        named = (
            json.loads(settings.read_text("utf-8")).get("eos_token") if settings.is_file() else None
        )
        content = named.get("content") if isinstance(named, dict) else named
        found = self._tokenizer.token_to_id(content) if content else None
        if found is None:
            found = config.get("eos_token_id")
            found = found[0] if isinstance(found, list) and found else found
        if not isinstance(found, int):
            raise BadInput(
                f"{folder} names no EOS token, neither in tokenizer_config.json nor in "
                f"config.json; add eos_token"
            )
        return found


def batch(texts: Sequence[TokenisedText], *, pool_instruction: bool) -> TokenBatch:
    """Lay texts one after the other.

    Args:
        texts: at least one.
        pool_instruction: False leaves the instruction's tokens out of what poolings read.
    """
    lengths = torch.tensor([len(text.ids) for text in texts])
    pooled = torch.ones(int(lengths.sum()), dtype=torch.bool)
    if not pool_instruction:
        starts = lengths.cumsum(0) - lengths
        for start, text in zip(starts.tolist(), texts, strict=True):
            pooled[start : start + text.instruction] = False
    return TokenBatch(
        torch.from_numpy(np.concatenate([text.ids for text in texts])), lengths, pooled
    )


def _find(haystack: list[int], needle: list[int]) -> int:
    for start in range(len(haystack) - len(needle) + 1):
        if haystack[start : start + len(needle)] == needle:
            return start
    return 0
