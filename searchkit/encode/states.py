"""What poolings read of the hidden states, gathered while a language model runs.

A text has T tokens, L layers and D numbers a state: keeping all of it would be L x B x T x D
numbers a batch. A pooling names what it needs, an engine hands over each layer once as it is
computed, and a `Reader` keeps only that: the last layer's tokens, its EOS state, or one summary a
layer.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch
from torch import Tensor

LAST_TOKENS = "last_tokens"  # (B, T, D): every pooled token of the last layer
LAST_EOS = "last_eos"  # (B, 1, D): the EOS state of the last layer
LAYER_EOS = "layer_eos"  # (B, L, D): the EOS state of each layer
LAYER_MEANS = "layer_means"  # (B, L, D): the mean token state of each layer
RAW = "_raw"  # suffix of the two above: token states as they are, not brought to unit RMS first

PER_LAYER = (LAYER_EOS, LAYER_MEANS, LAYER_EOS + RAW, LAYER_MEANS + RAW)
ALL = (LAST_TOKENS, LAST_EOS, *PER_LAYER)


@dataclass(frozen=True, slots=True)
class TokenBatch:
    """B texts without padding, one after the other.

    Attributes:
        ids: (S,), int64. The tokens of all texts; every text ends with EOS.
        lengths: (B,), int64, on the CPU. Tokens of each text, at least 1; they add up to S.
        pooled: (S,), bool. False on tokens that a pooling leaves out, such as an instruction's.
    """

    ids: Tensor
    lengths: Tensor
    pooled: Tensor

    def to(self, device: torch.device) -> "TokenBatch":
        """The same batch with `ids` and `pooled` on a device."""
        # Only CUDA keeps a pinned source alive until a copy that nobody waits for has ended.
        if device.type != "cuda":
            return TokenBatch(self.ids.to(device), self.lengths, self.pooled.to(device))
        ids, pooled = self.ids.pin_memory(), self.pooled.pin_memory()
        return TokenBatch(
            ids.to(device, non_blocking=True), self.lengths, pooled.to(device, non_blocking=True)
        )


class Reader:
    """Takes the layers of one batch as they come, and keeps what was asked for.

    Args:
        wanted: names out of `ALL`.
        batch: the texts that are being computed.
        first_layer, last_layer: the layers that count, from 1, both included; `last_layer` is the
            deepest one that will be taken.
    """

    def __init__(
        self, wanted: Collection[str], batch: TokenBatch, *, first_layer: int, last_layer: int
    ) -> None:
        self.wanted = frozenset(wanted)
        self._first, self._last = first_layer, last_layer
        device = batch.ids.device
        self._lengths = lengths = batch.lengths.to(device)
        self._ends = lengths.cumsum(0) - 1  # where each text's EOS is
        self._text = torch.repeat_interleave(torch.arange(len(lengths), device=device), lengths)
        self._pooled = batch.pooled
        self._counts = torch.zeros(len(lengths), device=device).index_add_(
            0, self._text, batch.pooled.float()
        )
        self._kept: dict[str, Tensor] = {}
        self._summaries: dict[str, list[Tensor]] = {
            name: [] for name in PER_LAYER if name in self.wanted
        }

    def needs(self, layer: int) -> bool:
        """Whether this layer has to be handed over at all; the engine may skip the others."""
        return layer == self._last or (bool(self._summaries) and self._first <= layer)

    def take(self, layer: int, states: Tensor, back: Tensor | None = None) -> None:
        """Read one layer.

        Args:
            layer: from 1, in ascending order.
            states: (S, D), any float dtype. The layer's output; the model's last one after its
                final norm. May change once this returns, but for the last layer's.
            back: (D, D), orthogonal: an engine that turned the states says how to turn them back,
                and summaries are few beside the tokens they are made of. None if it did not.
        """
        if not self.needs(layer):
            return

        def turn(read: Tensor) -> Tensor:
            return read if back is None else read @ back

        for name, kept in self._summaries.items():
            at_eos = name.startswith(LAYER_EOS)
            chosen = (states[self._ends] if at_eos else states).float()
            if not name.endswith(RAW):
                chosen = unit_rms(chosen)
            kept.append(turn(chosen if at_eos else self._mean(chosen)))
        if layer == self._last:
            if LAST_EOS in self.wanted:
                self._kept[LAST_EOS] = turn(states[self._ends].float())[:, None]
            if LAST_TOKENS in self.wanted:
                self._kept[LAST_TOKENS] = turn(states)

    def give(self, name: str, summaries: Tensor) -> None:
        """Take the first layers' summaries (B, n, D) from whoever has them, before all others.

        Args:
            name: out of `PER_LAYER`, and wanted.
            summaries: of layers 1 to n, those that do not count included.
        """
        self._summaries[name] += summaries[:, self._first - 1 :].float().unbind(1)

    def tokens(self) -> Tensor:
        """All tokens of the last layer, pooled or not, (S, D); `LAST_TOKENS` was wanted."""
        return self._kept[LAST_TOKENS]

    def read(self, name: str) -> tuple[Tensor, Tensor]:
        """What a pooling asked for, once the last layer was taken.

        Returns:
            states (B, N, D) and mask (B, N), bool, True where a row of `states` counts: N is 1, the
            number of layers, or the largest number of tokens that a text of the batch has for
            pooling.
        """
        if name == LAST_TOKENS:
            return self._padded(self._kept[name])
        states = self._kept[name] if name == LAST_EOS else torch.stack(self._summaries[name], dim=1)
        return states, torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)

    def _mean(self, states: Tensor) -> Tensor:
        """(S, D) to (B, D): the average over each text's pooled tokens, in float32."""
        # Not index_add_: on a GPU that adds in an order of its own, and a resumed run would differ.
        kept = states * self._pooled[:, None]
        summed: Tensor = torch.segment_reduce(kept, "sum", lengths=self._lengths, axis=0)
        return summed / self._counts[:, None]

    def _padded(self, states: Tensor) -> tuple[Tensor, Tensor]:
        rows, texts = states[self._pooled], self._text[self._pooled]
        counts = self._counts.long()
        starts = counts.cumsum(0) - counts
        columns = torch.arange(len(rows), device=rows.device) - starts[texts]
        padded = rows.new_zeros(len(counts), int(counts.max()), rows.shape[1])
        padded[texts, columns] = rows
        mask = torch.arange(padded.shape[1], device=rows.device)[None, :] < counts[:, None]
        return padded, mask


def unit_rms(states: Tensor) -> Tensor:
    """States scaled to a root mean square of 1 along the last axis.

    The first token of a text is an attention sink: in the middle layers its norm is a hundred times
    the others', and an average of raw states is that one token.
    """
    return states * torch.rsqrt(states.square().mean(dim=-1, keepdim=True) + 1e-6)
