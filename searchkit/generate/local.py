"""Generation on this machine, with the weights that find: the base of an embedder answers, too."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from tokenizers.decoders import DecodeStream
from torch import Tensor

from searchkit.encode import calibration, language_models
from searchkit.encode.language_models import BaseModel
from searchkit.errors import BadInput
from searchkit.generate.loading import context_of, dtype_on, load_decoder
from searchkit.generate.messages import Message
from searchkit.generate.prompts import Prompts


def open_local(base: str, device: str | None = None) -> "LocalGenerator":
    """Load a language model for generation.

    Args:
        base: a known name, a model folder, a GGUF file or a pulled hub id; an embedder's own base,
            whose adapter plays no part here.
        device: such as "cuda"; the best there is by default.

    Raises:
        UnknownName: nothing on this machine goes by that name.
        BadInput: it is no whole decoder, or there is no such device.
    """
    on = calibration.device(device)
    return LocalGenerator(language_models.resolve(base), on, dtype_on(on))


class LocalGenerator:
    """A decoder and its head; several streams may run at once.

    Args:
        base: what `language_models.resolve` found.
        device: where to compute.
        dtype: of weights and products.
    """

    def __init__(self, base: BaseModel, device: torch.device, dtype: torch.dtype) -> None:
        self.name = base.name
        self.context_tokens = context_of(base)
        self._device = device
        self._prompts = Prompts(base)
        self._model = load_decoder(base, dtype, device)
        ends = self._model.generation_config.eos_token_id
        self._ends = {*(ends if isinstance(ends, list) else [ends]), self._prompts.eos_id} - {None}

    def count_tokens(self, text: str) -> int:
        """How many tokens a text is."""
        return self._prompts.count(text)

    def stream(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> Iterator[str]:
        """The answer in pieces, each as soon as its token is computed.

        See `Generator.stream`; what it refuses, it refuses before the first piece is asked for.
        """
        ids = self._prompts.conversation(messages)
        if max_tokens < 1 or temperature < 0:
            raise BadInput(
                f"max_tokens is {max_tokens} and temperature {temperature}; give at least 1 and 0"
            )
        if len(ids) + max_tokens > self.context_tokens:
            raise BadInput(
                f"the prompt takes {len(ids)} tokens and the answer up to {max_tokens}, and "
                f"{self.name} reads {self.context_tokens} in all; give fewer or shorter passages"
            )
        pieces = self._pieces(ids, max_tokens, temperature, seed)
        return pieces if self._prompts.stop is None else _until(self._prompts.stop, pieces)

    def _pieces(
        self, ids: list[int], max_tokens: int, temperature: float, seed: int
    ) -> Iterator[str]:
        draws = torch.Generator().manual_seed(seed)
        text = DecodeStream(skip_special_tokens=True)  # holds back half a character
        cache = None
        for _ in range(max_tokens):
            logits, cache = self._next(ids, cache)
            if temperature:
                weights = (logits / temperature).softmax(dim=0)
                token = int(torch.multinomial(weights, 1, generator=draws))
            else:
                token = int(logits.argmax())
            if token in self._ends:
                return
            if piece := text.step(self._prompts.tokenizer, token):
                yield piece
            ids = [token]

    @torch.inference_mode()  # here and not around a yield, which would hand it to the caller
    def _next(self, ids: list[int], cache: Any) -> tuple[Tensor, Any]:
        """The logits of the next token, (V,) float32 on the CPU, and the keys and values so far."""
        output = self._model(
            input_ids=torch.tensor([ids], device=self._device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[0, -1].float().cpu(), output.past_key_values


def _until(stop: str, pieces: Iterator[str]) -> Iterator[str]:
    """Pieces up to a word that ends them, which may come in parts; without space in front."""
    held, begun = "", False
    for piece in pieces:
        held += piece
        if not begun:
            held = held.lstrip()
            begun = bool(held)
        before, found, _ = held.partition(stop)
        if found:
            if before:
                yield before
            return
        # The end may be the beginning of the word.
        kept = next(n for n in range(len(stop) - 1, -1, -1) if held.endswith(stop[:n]))
        if ready := held[: len(held) - kept]:
            yield ready
        held = held[len(held) - kept :]
    if held:
        yield held
