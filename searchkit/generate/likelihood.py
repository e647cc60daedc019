"""How likely texts are to a language model: what rerankers ask, and nothing is generated for.

The states come from the packed engine, where it can run the model: it has no padding, and the head
is computed for the tokens that are asked for alone. Every other architecture is run by
transformers' own code, text by text, so that what it does to its logits (caps, scales, biases) is
done here, too.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import takewhile
from typing import Any, Protocol

import torch
from safetensors import safe_open
from torch import Tensor

from searchkit.encode import calibration, embedder, language_models
from searchkit.encode.arithmetic import dtype_name
from searchkit.encode.engines import packed
from searchkit.encode.language_models import BaseModel
from searchkit.encode.states import LAST_TOKENS, Reader, TokenBatch
from searchkit.encode.variant import Variant
from searchkit.errors import BadInput, EmptyText
from searchkit.generate.loading import context_of, dtype_on, load_decoder
from searchkit.generate.messages import Message
from searchkit.generate.prompts import Prompts

Ids = list[int]
_WORDS_AT_ONCE = 8192  # rows of the head that are held in float32


def open_language_model(base: str, device: str | None = None) -> "LanguageModel":
    """A language model for scoring; its weights are loaded when something has to be computed.

    Args:
        base: a known name, a model folder, a GGUF file or a pulled hub id.
        device: such as "cuda"; the best there is by default.

    Raises:
        UnknownName: nothing on this machine goes by that name.
        BadInput: it is no whole decoder, or there is no such device.
    """
    on = calibration.device(device)
    return LanguageModel(language_models.resolve(base), on, dtype_on(on))


class LanguageModel:
    """The causal language model of a base, without any adapter.

    Args:
        base: what `language_models.resolve` found.
        device: where to compute.
        dtype: of weights and products; the head is computed in float32.
        batch_tokens: how many tokens are computed at once; by default what suits the device.
    """

    def __init__(
        self,
        base: BaseModel,
        device: torch.device,
        dtype: torch.dtype,
        *,
        batch_tokens: int | None = None,
    ) -> None:
        self.name = base.name
        self.context_tokens = context_of(base)
        on_cpu = device.type == "cpu"
        self._batch_tokens = batch_tokens or (
            embedder.BATCH_TOKENS if on_cpu else embedder.BATCH_TOKENS_GPU
        )
        self._base, self._device, self._dtype = base, device, dtype
        self._prompts = Prompts(base)
        self._is_packed = packed.unsupported(base.config) is None
        how = "packed" if self._is_packed else "transformers"
        facts = [base.hash, how, dtype_name(dtype), device.type, self._prompts.template]
        if self._prompts.adds_space:
            facts.append("seam")  # earlier scores had a space too many there
        self.fingerprint = " ".join(facts)

    def count_tokens(self, text: str) -> int:
        """How many tokens a text is: a continuation's sum over these is its mean."""
        return self._prompts.count(text)

    def shortened(self, texts: Sequence[str], max_tokens: int) -> list[str]:
        """The beginning of each text, of at most so many tokens."""
        return self._prompts.shortened(texts, max_tokens)

    def log_likelihood(self, prefixes: Sequence[str], continuations: Sequence[str]) -> list[float]:
        """The natural logarithm of how likely each continuation is after its prefix.

        Prefix and continuation are tokenised apart, so that the seam is known; a space between
        them belongs to the continuation. Neither is read for control tokens.

        Returns:
            Sums over the continuation's tokens, whatever else is asked at once.

        Raises:
            EmptyText: a continuation has no token, or nothing stands before it.
            BadInput: both together are longer than the model reads.
        """
        rows = []
        for number, (prefix, end) in enumerate(zip(prefixes, continuations, strict=True)):
            before = self._prompts.bos + self._prompts.text(prefix)
            behind = self._prompts.continuation(end)
            if not before or not behind:
                part = "continuation" if before else "prefix"
                raise EmptyText(f"{part} {number} is empty: it has no token to go on with")
            rows.append((before, behind))
        found = [0.0] * len(rows)
        # The last token predicts nothing that is asked for.
        for chosen in self._batches([before + behind[:-1] for before, behind in rows]):
            texts = [(rows[row][0] + rows[row][1][:-1], rows[row][1]) for row in chosen]
            for row, value in zip(chosen, self._model.likelihoods(texts), strict=True):
                found[row] = value
        return found

    def next_token_logits(self, prompts: Sequence[str], words: Sequence[str]) -> list[list[float]]:
        """For each prompt, the logit of each word as the first one of the answer.

        A prompt is a user's turn, in the model's chat template where it has one. Tokens that all
        the words begin with are put before the answer; of what is then left of a word, the first
        token counts.

        Raises:
            BadInput: two words are the same to that token, or a prompt is longer than the model
                reads.
        """
        spelt = [self._prompts.answer(word) for word in words]
        alike = takewhile(lambda tokens: len({*tokens}) == 1, zip(*spelt, strict=False))
        shared = [tokens[0] for tokens in alike] if len(spelt) > 1 else []
        firsts = [one[len(shared)] for one in spelt if len(one) > len(shared)]
        if len(set(firsts)) < len(spelt):
            raise BadInput(
                f"{self.name} cannot tell {', '.join(map(repr, words))} apart by a token; take "
                "other words"
            )
        texts = [
            self._prompts.conversation([Message("user", prompt)]) + shared for prompt in prompts
        ]
        found: list[list[float]] = [[] for _ in texts]
        for chosen in self._batches(texts):
            logits = self._model.next_logits([texts[row] for row in chosen], firsts)
            for row, values in zip(chosen, logits, strict=True):
                found[row] = values
        return found

    def _batches(self, texts: Sequence[Ids]) -> Iterator[list[int]]:
        """Rows of texts, longest first, of at most `batch_tokens` a batch but at least one."""
        order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
        if order and (longest := len(texts[order[0]])) > self.context_tokens:
            raise BadInput(
                f"text {order[0]} has {longest} tokens with its prompt, and {self.name} reads "
                f"{self.context_tokens}; shorten it"
            )
        batch: list[int] = []
        tokens = 0
        for row in order:
            if batch and tokens + len(texts[row]) > self._batch_tokens:
                yield batch
                batch, tokens = [], 0
            batch.append(row)
            tokens += len(texts[row])
        if batch:
            yield batch

    @cached_property
    def _model(self) -> "_Model":
        how = _Packed if self._is_packed else _Whole
        return how(self._base, self._dtype, self._device)


class _Model(Protocol):
    """Weights that are loaded."""

    def likelihoods(self, texts: Sequence[tuple[Ids, Ids]]) -> list[float]:
        """Of texts (read, said): the log-probability of `said`, by the last states of `read`."""

    def next_logits(self, texts: Sequence[Ids], words: Ids) -> list[list[float]]:
        """The logits of some tokens behind each text."""


class _Packed:
    """States from the packed engine, and the rows of the head that are asked for."""

    def __init__(self, base: BaseModel, dtype: torch.dtype, device: torch.device) -> None:
        variant = Variant(attention="causal", pooling="eos_last", base=base.name)
        engine = embedder.load_engine(variant, base, engine="packed", dtype=dtype, device=device)
        assert isinstance(engine, packed.PackedEngine)
        self._engine = engine
        self._depth = embedder.shape_of(base)[0]
        self._head = _head(base, engine)

    @torch.inference_mode()
    def likelihoods(self, texts: Sequence[tuple[Ids, Ids]]) -> list[float]:
        states = self._states([read for read, _ in texts], [len(said) for _, said in texts])
        targets = torch.tensor([word for _, said in texts for word in said], device=states.device)
        values = (states * self._head[targets].float()).sum(dim=1)
        total = torch.full_like(values, -torch.inf)
        for rows in self._head.split(_WORDS_AT_ONCE):
            total = torch.logaddexp(total, (states @ rows.float().T).logsumexp(dim=1))
        parts = (values - total).split([len(said) for _, said in texts])
        return [float(part.sum()) for part in parts]

    @torch.inference_mode()
    def next_logits(self, texts: Sequence[Ids], words: Ids) -> list[list[float]]:
        states = self._states(texts, [1] * len(texts))
        found: list[list[float]] = (states @ self._head[words].float().T).tolist()
        return found

    def _states(self, texts: Sequence[Ids], last: Sequence[int]) -> Tensor:
        """The last states of each text, so many of each: (their sum, D), float32."""
        ids = torch.tensor([one for text in texts for one in text])
        lengths = torch.tensor([len(text) for text in texts])
        batch = TokenBatch(ids, lengths, torch.ones_like(ids, dtype=torch.bool))
        batch = batch.to(self._engine.device)
        reader = Reader([LAST_TOKENS], batch, first_layer=1, last_layer=self._depth)
        self._engine.run(batch, reader)
        ends = lengths.cumsum(0).tolist()
        rows = [row for end, n in zip(ends, last, strict=True) for row in range(end - n, end)]
        return reader.tokens()[torch.tensor(rows, device=self._engine.device)].float()


class _Whole:
    """A model of the transformers library, one text at a time: no padding, and no mask to mind."""

    def __init__(self, base: BaseModel, dtype: torch.dtype, device: torch.device) -> None:
        self._model = load_decoder(base, dtype, device)
        self._device = device

    def likelihoods(self, texts: Sequence[tuple[Ids, Ids]]) -> list[float]:
        found = []
        for read, said in texts:
            logs = self._logits(read, len(said)).log_softmax(dim=1)
            found.append(float(logs[torch.arange(len(said)), said].sum()))
        return found

    def next_logits(self, texts: Sequence[Ids], words: Ids) -> list[list[float]]:
        return [self._logits(text, 1)[0, words].tolist() for text in texts]

    @torch.inference_mode()
    def _logits(self, ids: Ids, last: int) -> Tensor:
        """The logits behind the last tokens of a text, (last, V), float32."""
        output: Any = self._model(
            input_ids=torch.tensor([ids], device=self._device),
            use_cache=False,
            logits_to_keep=last,
        )
        logits: Tensor = output.logits[0].float()
        return logits


def _head(base: BaseModel, engine: packed.PackedEngine) -> Tensor:
    """The language head, (V, D): weights of its own, or the embedding once more."""
    for path in sorted(base.folder.glob("*.safetensors")):
        with safe_open(path, framework="pt", device=str(engine.device)) as file:
            for key in file.keys():  # noqa: SIM118 - it is no mapping
                if key.endswith("lm_head.weight"):
                    found: Tensor = file.get_tensor(key)
                    return found
    if not base.config.get("tie_word_embeddings", False):
        raise BadInput(
            f"the files of {base.name} hold no lm_head.weight, and its config.json does not tie it "
            "to the embedding; an embedder may have been saved without its head: take the whole "
            "language model"
        )
    return engine.embedding
