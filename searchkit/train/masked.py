"""Masked next-token prediction: how a decoder learns to look both ways before it embeds.

A share of a text's tokens is masked, and the state before each masked token has to say which one it
was, through the model's own head; unlike in pre-training, that state may look behind the gap, too.

Source: BehnamGhader et al. 2024, LLM2Vec, section 2.2, arXiv:2404.05961.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

from searchkit.encode.tokens import TokenisedText
from searchkit.errors import BadInput

SHARE = 0.2  # of the tokens, as in the source

_HEADS = ("lm_head.weight", "model.embed_tokens.weight", "embed_tokens.weight")  # tied where alone


@dataclass(frozen=True, slots=True)
class Masked:
    """Texts with gaps, and what was there.

    Attributes:
        texts: with other ids where tokens are masked.
        before: of each text, the positions before its masked ones, ascending.
        tokens: of each text, the ids that were there.
    """

    texts: tuple[TokenisedText, ...]
    before: tuple[npt.NDArray[np.int64], ...]
    tokens: tuple[npt.NDArray[np.int64], ...]

    @property
    def count(self) -> int:
        """How many tokens are masked, at least one."""
        return sum(map(len, self.tokens))


def mask(texts: Sequence[TokenisedText], mask_id: int, *, seed: int, step: int) -> Masked:
    """Mask a fifth of the tokens of texts, at least one each.

    The first token has no state before it, EOS behind a text says nothing of it, and a template's
    tokens are known: these stay. A text of which nothing else is left has no gap.

    Args:
        texts: of at least one with a token that can be masked.
        mask_id: what stands in a gap.
        seed: with the step it decides which tokens.
        step: its number.
    """
    draw = np.random.default_rng((seed, step))
    gapped, before, tokens = [], [], []
    for text in texts:
        can = np.arange(max(1, text.instruction), len(text.ids) - text.behind)
        wanted = min(len(can), max(1, round(SHARE * len(can))))
        gaps = np.sort(draw.permutation(can)[:wanted])
        ids = text.ids.copy()
        ids[gaps] = mask_id
        gapped.append(replace(text, ids=ids))
        before.append(gaps - 1)
        tokens.append(text.ids[gaps])
    return Masked(tuple(gapped), tuple(before), tuple(tokens))


def surprise(states: Tensor, masked: Masked, rows: slice, head: Tensor) -> tuple[Tensor, int]:
    """The cross-entropy of some of the texts' gaps, summed, and how many were guessed right.

    Args:
        states: (S, D), the last layer's after its norm, of all tokens of `rows`, one text after the
            other.
        masked: of all texts.
        rows: which of them.
        head: (V, D), of the language model.
    """
    texts = masked.texts[rows]
    starts = np.cumsum([0, *(len(text.ids) for text in texts[:-1])])
    places = [start + found for start, found in zip(starts, masked.before[rows], strict=True)]
    at = torch.from_numpy(np.concatenate(places)).to(states.device)
    wanted = torch.from_numpy(np.concatenate(masked.tokens[rows])).to(states.device)
    logits = (states[at].to(head.dtype) @ head.T).float()  # (M, V)
    right = int((logits.argmax(dim=1) == wanted).sum())
    return functional.cross_entropy(logits, wanted, reduction="sum"), right


def head_of(folder: Path, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The language model's head, (V, D); its embedding where the two are one.

    Raises:
        BadInput: the weights hold neither.
    """
    for wanted in _HEADS:
        for path in sorted(folder.glob("*.safetensors")):
            with safe_open(path, framework="pt", device=str(device)) as file:
                if wanted in file.keys():  # noqa: SIM118 - not a mapping
                    found: Tensor = file.get_tensor(wanted)
                    return found.to(dtype)
    raise BadInput(
        f"{folder} holds no weights of a head, and none of an embedding ({', '.join(_HEADS)}); "
        "train this base without masked steps"
    )
