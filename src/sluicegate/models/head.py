"""From states to losses or log-probabilities through a head that is trained, never with all logits at once.

The logits of a batch take more memory than all its states. A slice of them is made, used and dropped. For a sum of
losses its gradient is taken at once; for log-probabilities, whose gradient depends on what is made of them, the slice
is made again when it is due.

Notation: M targets, F features, V vocabulary.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.autograd.function import once_differentiable

from sluicegate.models.graphs import Run, compiled, plain
from sluicegate.models.pair_memory import LOGITS_AT_ONCE

TILE = 128
"""Rows of a tile of a product on a GPU."""


def head_loss(hidden: Any, weight: Any, targets: Any, *, at_once: int = LOGITS_AT_ONCE, compile: bool = False) -> Any:
    """Sum of the losses of M targets, float32, with at most `at_once` logits in memory.

    Args:
        hidden: [M, F] what the head takes.
        weight: [V, F] of the head, trained or frozen, its own or the embedding's.
        targets: [M] tokens; below 0: none, which has no loss.
        at_once: most logits held, over all targets of a slice.
        compile: whether losses and gradients of logits come from a compiled kernel.
    """
    size = _rows(at_once, weight)
    # Within the function gradients are always off, and a parameter always wants one.
    return _Loss.apply(hidden, weight, targets, (size, torch.is_grad_enabled(), compiled if compile else plain))


def head_scores(
    hidden: Any, weight: Any, targets: Any, *, at_once: int = LOGITS_AT_ONCE, compile: bool = False
) -> tuple[Any, Any]:
    """Log-probability of each target, [M] float32, and the entropy of its distribution in nats, [M], without gradient.

    Args: those of `head_loss`.
    """
    size = _rows(at_once, weight)
    scores, entropy = _Scores.apply(hidden, weight, targets, (size, compiled if compile else plain))
    return scores, entropy


def _rows(at_once: int, weight: Any) -> int:
    """Targets of a slice: as many as fill the tiles of a product, where they are that many.

    >>> [_rows(at_once, torch.empty(100, 0)) for at_once in (1, 5000, 12_799, 27_000)]
    [1, 50, 127, 256]
    """
    rows = max(1, at_once // int(weight.shape[0]))
    return rows if rows < TILE else rows - rows % TILE


def _exact(hidden: Any, weight: Any) -> torch.dtype:
    """Precision of the products: autocast's, or the weight's."""
    kind = hidden.device.type
    found = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    return cast(torch.dtype, found)


class _Loss(torch.autograd.Function):  # type: ignore[misc]
    """The summed loss, its gradients taken slice by slice in the forward: three products, and no logits held."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, targets: Any, how: tuple[int, bool, Run]) -> Any:
        size, wanted, run = how
        exact = _exact(hidden, weight)
        states, head = hidden.to(exact), weight.to(exact)
        total = hidden.new_zeros((), dtype=torch.float32)
        to_hidden = torch.empty_like(hidden) if wanted and ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if wanted and ctx.needs_input_grad[1] else None
        for start in range(0, len(targets), size):
            part = slice(start, start + size)
            loss, slopes = run(_slopes, states[part] @ head.T, targets[part])
            total += loss
            if to_hidden is not None:
                to_hidden[part] = slopes @ head
            if to_weight is not None:
                to_weight += slopes.T @ states[part]
        ctx.slopes = to_hidden, to_weight
        ctx.dtype = weight.dtype
        return total

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, above: Any) -> tuple[Any, ...]:
        to_hidden, to_weight = ctx.slopes
        return (
            None if to_hidden is None else to_hidden * above.to(to_hidden.dtype),
            None if to_weight is None else (to_weight * above).to(ctx.dtype),
            None,
            None,
        )


def _slopes(logits: Any, targets: Any) -> tuple[Any, Any]:
    """The summed loss of a slice, and its gradient by the logits, in their precision."""
    exact = logits.float()
    top = exact.logsumexp(-1, keepdim=True)
    target, counts = targets[:, None], (targets >= 0)[:, None]
    loss = torch.where(counts, top - exact.gather(1, target.clamp(min=0)), 0.0).sum()
    columns = torch.arange(exact.shape[-1], device=exact.device)
    chances = torch.exp(exact - top)
    slopes = torch.where(columns == target, chances - 1.0, chances)
    return loss, torch.where(counts, slopes, 0.0).to(logits.dtype)


class _Scores(torch.autograd.Function):  # type: ignore[misc]
    """Log-probabilities and entropies; logits are made once forward and once backward."""

    @staticmethod
    def forward(ctx: Any, hidden: Any, weight: Any, targets: Any, how: tuple[int, Run]) -> tuple[Any, Any]:
        size, run = how
        exact = _exact(hidden, weight)
        states, head = hidden.to(exact), weight.to(exact)
        found = [
            run(_read, some @ head.T, of_them)
            for some, of_them in zip(states.split(size), targets.split(size), strict=True)
        ]
        tops, scores, entropy = (torch.cat(parts) for parts in zip(*found, strict=True))
        ctx.save_for_backward(hidden, weight, targets, tops)
        ctx.how = exact, size, run
        ctx.mark_non_differentiable(entropy)
        return scores, entropy

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, above: Any, _: Any) -> tuple[Any, ...]:
        hidden, weight, targets, tops = ctx.saved_tensors
        exact, size, run = ctx.how
        states, head = hidden.to(exact), weight.to(exact)
        to_hidden = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        to_weight = torch.zeros_like(weight, dtype=torch.float32) if ctx.needs_input_grad[1] else None
        for start in range(0, len(targets), size):
            part = slice(start, start + size)
            slopes = run(_weighed, states[part] @ head.T, targets[part], tops[part], above[part])
            if to_hidden is not None:
                to_hidden[part] = slopes @ head
            if to_weight is not None:
                to_weight += slopes.T @ states[part]
        return to_hidden, None if to_weight is None else to_weight.to(weight.dtype), None, None


def _read(logits: Any, targets: Any) -> tuple[Any, Any, Any]:
    """Of each row: the logarithm of its sum, the target's log-probability, the entropy; [M] each."""
    exact = logits.float()
    top = exact.logsumexp(-1, keepdim=True)
    mean = (torch.exp(exact - top) * exact).sum(-1)
    return top[:, 0], exact.gather(1, targets[:, None])[:, 0] - top[:, 0], top[:, 0] - mean


def _weighed(logits: Any, targets: Any, tops: Any, above: Any) -> Any:
    """The gradient by the logits of a slice, in their precision."""
    exact = logits.float()
    columns = torch.arange(exact.shape[-1], device=exact.device)
    hit = (columns == targets[:, None]).to(exact.dtype)
    return ((hit - torch.exp(exact - tops[:, None])) * above[:, None]).to(logits.dtype)
