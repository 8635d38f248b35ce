"""Static memory for decoding with causal models: slots that rows stand in, each at a place of its own.

The model runs as transformers and peft have it, with an attention of ours that keeps what it is given: a reading of
prompts, or one step of rows which each see their own slot. Nothing in a step waits for the device, so that it can be
captured as a CUDA graph.

Notation: P prompts of T tokens, B rows, S slots of L tokens, M tokens of the longest answer, H heads of keys and
values, D features a head, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward

from sluicegate.models.choosing import NEVER, Sampling, choose, not_finite

NAME = "sluicegate_slots"
Kept = dict[int, tuple[Any, Any]]
"""Layer → keys and values."""


class UnfitError(Exception):
    """The model cannot be decoded in slots; says why."""


def slotted(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    *,
    scaling: float | None = None,
    slots: Reading | Slots | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Attention for transformers, of a reading or a step.

    Raises:
        UnfitError: none is given, or something that changes the weights and is not known here.
    """
    if slots is None:
        raise UnfitError("its attention was asked without slots")
    strange = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    if strange:
        raise UnfitError(f"its attention has {strange[0]}")
    return slots.attend(module, query, key, value, scale=scaling, window=others.get("sliding_window")), None


AttentionInterface.register(NAME, slotted)


class Reading:
    """What is kept of prompts that are read together: keys and values by layer, [P, H, T, D] each.

    Prompts are padded on the right, where causal attention does not look. Their last tokens are not read: each is the
    first that a row is fed.
    """

    def __init__(self, run: Callable[..., Any], prompts: Sequence[Sequence[int]], device: Any) -> None:
        self.kept: Kept = {}
        self.width = max(1, *(len(prompt) - 1 for prompt in prompts))
        ids = [[*prompt[:-1], *[0] * (self.width - len(prompt) + 1)] for prompt in prompts]
        positions = torch.arange(self.width, device=device).expand(len(ids), -1)
        run(torch.tensor(ids, device=device), positions, self)

    def attend(self, module: Any, query: Any, key: Any, value: Any, *, scale: Any, window: int | None) -> Any:
        """Causal attention over the prompts themselves, within a sliding window where there is one."""
        self.kept[module.layer_idx] = key, value
        mask = None
        if window is not None and window < self.width:
            places = torch.arange(self.width, device=query.device)
            apart = places[:, None] - places
            mask = ((apart >= 0) & (apart < window))[None, None]
        return sdpa_attention_forward(module, query, key, value, mask, scaling=scale)[0]


class Slots:
    """Memory that all steps work in; a step of fewer rows uses its head.

    Attributes:
        kept: keys and values by layer, [S, H, L, D] each.
        tokens: [S], what each row is fed next.
        place: [S], where in its slot that belongs.
        count: [S], tokens of its answer so far.
        ended: [S], whether it is over, or nobody's.
        drawn: [S, M + 1], the answers; the last column is for what nobody reads.
        numbers: [S, M], random numbers in [0, 1).
        stops: [V], which tokens end a row.
        damaged: [1], whether any row's logits were not finite.
    """

    def __init__(self, like: Kept, *, slots: int, length: int, most: int, vocabulary: int) -> None:
        self.rows, self.length, self.most = slots, length, most

        def empty(part: Any) -> Any:
            return part.new_zeros(slots, part.shape[1], length, part.shape[3])

        self.kept = {layer: (empty(keys), empty(values)) for layer, (keys, values) in like.items()}
        device = next(iter(self.kept.values()))[0].device
        self.tokens, self.place, self.count = (torch.zeros(slots, dtype=torch.long, device=device) for _ in range(3))
        self.ended = torch.ones(slots, dtype=torch.bool, device=device)
        self.drawn = torch.zeros(slots, most + 1, dtype=torch.long, device=device)
        self.numbers = torch.zeros(slots, most, dtype=torch.float64, device=device)
        self.stops = torch.zeros(vocabulary, dtype=torch.bool, device=device)
        self.damaged = torch.zeros(1, dtype=torch.bool, device=device)
        self._kernel = kernel_for(like)
        self._row = torch.arange(slots, device=device)
        self._columns = torch.arange(length, device=device)
        self._seen = length
        self._bias: dict[int | None, Any] = {}

    @property
    def reach(self) -> int | None:
        """How far every step looks, where its attention reads each row's own place; None where a step must be told."""
        return self.length if self._kernel else None

    @property
    def state(self) -> tuple[Any, ...]:
        """What a step moves on, and is put back after one that was only a trial."""
        return self.tokens, self.place, self.count, self.ended, self.damaged

    def reset(self, stops: Iterable[int]) -> None:
        """Nobody's rows, which these tokens end."""
        self.ended.fill_(True)
        self.damaged.zero_()
        self.stops.zero_()
        self.stops[self._on_device([token for token in stops if token < len(self.stops)])] = True

    def begin(
        self,
        reading: Reading,
        spots: Sequence[int],
        slots: Sequence[int],
        prompts: Sequence[Sequence[int]],
        numbers: Any,
    ) -> None:
        """Begin rows with what was kept of their prompts.

        Args:
            reading: holds the prompts.
            spots: where in it, for each row.
            slots: of the rows.
            prompts: of the rows.
            numbers: [rows, M], their random numbers.
        """
        source, target = self._on_device(spots), self._on_device(slots)
        for layer, pair in self.kept.items():
            for mine, read in zip(pair, reading.kept[layer], strict=True):
                mine[target, :, : reading.width] = read[source]
        self.tokens[target] = self._on_device([prompt[-1] for prompt in prompts])
        self.place[target] = self._on_device([len(prompt) - 1 for prompt in prompts])
        self.numbers[target] = torch.as_tensor(numbers, device=self.numbers.device)
        self.count[target], self.ended[target] = 0, False

    def move(self, sources: Sequence[int], targets: Sequence[int], length: int) -> None:
        """Put rows into other slots."""
        source, target = self._on_device(sources), self._on_device(targets)
        for part in (part for pair in self.kept.values() for part in pair):
            part[target, :, :length] = part[source, :, :length]
        for own in (self.tokens, self.place, self.count, self.ended, self.drawn, self.numbers):
            own[target] = own[source]
        self.ended[source] = True

    def _on_device(self, numbers: Sequence[int]) -> Any:
        return torch.tensor(numbers, dtype=torch.long, device=self.tokens.device)

    def attend(self, module: Any, query: Any, key: Any, value: Any, *, scale: Any, window: int | None) -> Any:
        """Each row sees its slot up to its place. Query heads that share keys are one attention's queries."""
        rows, heads = len(query), key.shape[1]
        keys, values = self.kept[module.layer_idx]
        own, place = self._row[:rows], self.place[:rows]
        keys[own, :, place] = key[:, :, 0]
        values[own, :, place] = value[:, :, 0]
        grouped = query.reshape(rows, heads, -1, query.shape[-1])
        if self._kernel:
            scale = query.shape[-1] ** -0.5 if scale is None else scale
            out = self._kernel.attend(grouped.contiguous(), keys, values, place, scale=scale, window=window)
            return out.reshape(rows, 1, -1, value.shape[-1])
        seen, known = keys[:rows, :, : self._seen], values[:rows, :, : self._seen]
        bias = self._ruled_out(rows, window, query.dtype).expand(-1, heads, grouped.shape[2], -1)
        return scaled_dot_product_attention(grouped, seen, known, bias, scale=scale).reshape(
            rows, 1, -1, value.shape[-1]
        )

    def _ruled_out(self, rows: int, window: int | None, dtype: Any) -> Any:
        """What is added to the products with keys, [B, 1, 1, tokens looked at]; once a step."""
        if window not in self._bias:
            columns, place = self._columns[: self._seen], self.place[:rows, None]
            hidden = columns > place
            if window is not None:
                hidden = hidden | (columns <= place - window)
            self._bias[window] = torch.zeros_like(hidden, dtype=dtype).masked_fill(hidden, NEVER)[:, None, None]
        return self._bias[window]

    def advance(self, run: Callable[..., Any], rows: int, seen: int, sampling: Sampling) -> Any:
        """Feed each row its token, choose the next, note it and move on by one place; returns the logits, [B, V].

        Nothing here waits for the device. A row that has ended stays where it is, and nobody reads what it draws.
        """
        self._seen, self._bias = seen, {}
        logits = run(self.tokens[:rows, None], self.place[:rows, None], self)
        count, ended = self.count[:rows], self.ended[:rows]
        where = count.clamp(max=self.most - 1)
        chosen = choose(logits, self.numbers[:rows].gather(1, where[:, None])[:, 0], sampling)
        self.damaged.logical_or_((not_finite(logits) & ~ended).any())
        self.drawn[:rows].scatter_(1, where.masked_fill(ended, self.most)[:, None], chosen[:, None])
        count.add_(~ended)
        ended.logical_or_(self.stops[chosen] | (count >= self.most))
        self.tokens[:rows].copy_(chosen)
        self.place[:rows].add_(~ended)
        return logits


def kernel_for(like: Kept) -> Any:
    """The module `slot_attention` where its kernel runs: on a GPU, in half precision, with Triton. None elsewhere."""
    keys = next(iter(like.values()))[0]
    if keys.device.type != "cuda" or any(part.shape[3] != keys.shape[3] for pair in like.values() for part in pair):
        return None
    try:
        from sluicegate.models import slot_attention
    except ImportError:
        return None
    return slot_attention if slot_attention.fits(keys.device, keys.dtype, keys.shape[3]) else None


def bytes_of(kept: Kept) -> int:
    """What one token takes in all layers."""
    parts = (part for pair in kept.values() for part in pair)
    return sum(part.shape[1] * part.shape[3] * part.element_size() for part in parts)
