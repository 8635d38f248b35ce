"""The decoding loop: a batch of prompts through a causal language model with a key-value cache.

Notation: P distinct prompts, B rows (answers), T prompt tokens after padding, V vocabulary.

A prompt is read once, whatever the number of answers drawn from it; a row leaves the batch when it ends.
Random numbers come in from outside, one a row and step, so that neither the batch nor the device has a say
in a text. This module knows nothing of text, files or samples, and touches no global state of torch.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.attention import sdpa_kernel

from sluicegate.errors import UserError
from sluicegate.models.choosing import ATTENTION, Sampling, choose, damaged, not_finite

__all__ = ["Sampling", "decode"]


def decode(
    model: Any, prompts: Sequence[Sequence[int]], rows: Sequence[int], uniforms: Any, sampling: Sampling
) -> list[list[int]]:
    """Answers as token ids, the stop token included.

    Args:
        model: a Hugging Face causal LM.
        prompts: P token lists, none empty.
        rows: for each of B answers the index of its prompt.
        uniforms: numpy array [B, max_new_tokens] in [0, 1): a number a row and step, unused when greedy.
        sampling: how tokens are chosen and when a row ends.

    Raises:
        UserError: the model keeps no cache, or its logits are not finite.
    """
    with torch.inference_mode(), sdpa_kernel(ATTENTION):
        forward = _Forward(model, prompts, sampling)
        forward.select(rows)
        numbers = torch.as_tensor(uniforms, device=model.device)
        alive = list(range(len(rows)))
        answers: list[list[int]] = [[] for _ in rows]
        for step in range(sampling.max_new_tokens):
            chosen = choose(forward.logits, numbers[:, step], sampling)
            tokens = _finite(forward.logits, chosen)
            for row, token in zip(alive, tokens, strict=True):
                answers[row].append(token)
            staying = [place for place, token in enumerate(tokens) if token not in sampling.stops]
            if not staying or step + 1 == sampling.max_new_tokens:
                break
            if len(staying) < len(alive):
                alive = [alive[place] for place in staying]
                forward.select(staying)
                numbers, chosen = numbers[staying], chosen[staying]
            forward.step(chosen)
    return answers


def _finite(logits: Any, chosen: Any) -> list[int]:
    """The chosen ids on the host; one transfer tells both the tokens and whether the logits were sound."""
    tokens: list[int] = torch.where(not_finite(logits), -1, chosen).tolist()
    if -1 in tokens:
        raise damaged()
    return tokens


class _Forward:
    """The model's state between two steps: cache, mask and positions of the rows still in the batch.

    Attributes:
        logits: [B, V], of the next token.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]], sampling: Sampling) -> None:
        self._model = model
        self._accepted = _accepted(model)
        width = max(len(prompt) for prompt in prompts)
        ids = np.full((len(prompts), width), sampling.pad)
        mask = np.zeros((len(prompts), width + sampling.max_new_tokens), dtype=np.int64)
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = prompt
            mask[row, width - len(prompt) :] = 1
        self._mask = torch.as_tensor(mask, device=model.device)
        self._width = width
        self._next = self._mask[:, :width].sum(-1, keepdim=True)
        positions = (self._mask[:, :width].cumsum(-1) - 1).clamp(min=0)
        self._cache: Any = None
        self._run(torch.as_tensor(ids, device=model.device), positions)

    def _run(self, ids: Any, positions: Any) -> None:
        given = {"position_ids": positions, "logits_to_keep": 1}
        out = self._model(
            input_ids=ids,
            attention_mask=self._mask[:, : self._width],
            past_key_values=self._cache,
            use_cache=True,
            **{name: value for name, value in given.items() if name in self._accepted},
        )
        self._cache = getattr(out, "past_key_values", None)
        if not hasattr(self._cache, "reorder_cache"):
            raise UserError(
                f"{type(self._model).__name__}: keeps no key-value cache",
                wanted="a causal language model of transformers with past_key_values",
                seen=f"its forward gives {', '.join(out.keys())}",
            )
        self.logits = out.logits[:, -1]

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be kept more than once."""
        if list(rows) == list(range(len(self._mask))):
            return
        index = torch.as_tensor(list(rows), device=self._model.device)
        self._cache.reorder_cache(index)
        self._mask, self._next, self.logits = self._mask[index], self._next[index], self.logits[index]

    def step(self, chosen: Any) -> None:
        """Feed one token a row, [B]."""
        self._width += 1
        self._run(chosen.unsqueeze(-1), self._next)
        self._next = self._next + 1


def _accepted(model: Any) -> frozenset[str]:
    """Names of the arguments that the model's forward takes, seen through an adapter's wrapper."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return frozenset(inspect.signature(inner.forward).parameters)
