"""Forward and backward of a micro-batch as one CUDA graph, recorded once a shape.

An 8B model's micro-batch is more than 5,400 kernels. Launched one by one by Python they take longer than a fast GPU
needs for them; replayed, nothing but a copy of the batch is launched. What a graph gives is compared once with what the
same micro-batch gives without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch

from sluicegate.console import say
from sluicegate.errors import first_line
from sluicegate.models.graphs import capture

Batch = dict[str, Any]
Work = Callable[[Batch, Any], Any]
"""A micro-batch, and what its loss is multiplied by → that loss, its gradients added up."""
SHAPES = 16
"""Graphs that are kept; what each takes beside the memory that all share was not measured."""
AGREE = 0.05
"""Relative difference of gradients that a graph may show: products are computed in other orders there. 0.017 in an 8B
model with random weights, in bf16 (H200)."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A graph with the memory that it reads and writes; `places`: where weights and gradients were."""

    batch: Batch
    share: Any
    loss: Any
    replay: Callable[[], None]
    places: tuple[int, ...]

    def play(self, batch: Batch, share: float) -> Any:
        with torch.no_grad():
            for name, part in _tensors(self.batch).items():
                part.copy_(batch[name])
            self.share.fill_(share)
        batch.clear()  # its memory is the next one's
        self.replay()
        return self.loss


class Replay:
    """Runs micro-batches, each by the graph of its shape; as they are where graphs cannot be recorded.

    Args:
        parts: all that is trained. Their gradients have to stay where they are between steps: zeroed, not dropped.
    """

    def __init__(self, parts: Iterable[Any]) -> None:
        self._parts = list(parts)
        self._graphs: dict[tuple[Any, ...], _Recorded] = {}
        self._tried: set[tuple[Any, ...]] = set()
        self._pool: Any = None
        self._on = True

    def run(self, work: Work, batch: Batch, share: float) -> Any:
        """What `work` gives; it may be overwritten by the next run, and the batch may be emptied.

        Args:
            work: the same for all runs.
            batch: tensors on the device; what is none belongs to the shape.
            share: what the loss is multiplied by.
        """
        key = _shape(batch)
        if not self._on:
            return work(batch, share)
        self._hold()
        if key not in self._tried:
            self.drop()  # a micro-batch as it is needs the memory that graphs hold
            return self._first(key, work, batch, share)
        if key not in self._graphs and len(self._graphs) >= SHAPES:
            self.drop()
        found, why = None, ""
        try:
            found = self._recorded(key, work, batch)
        except RuntimeError as fault:
            why = _said(fault)  # not more of it: its traceback holds what was recorded so far
        if found is None:
            self._give_up(why)
            return work(batch, share)
        return found.play(batch, share)

    def drop(self) -> None:
        """Give back the memory of all graphs; they are recorded again when they are needed."""
        if not self._graphs:
            return
        torch.cuda.synchronize()  # one may still be replayed, and growing segments wait for their own stream only
        self._graphs.clear()
        self._pool = None
        torch.cuda.empty_cache()

    def _first(self, key: tuple[Any, ...], work: Work, batch: Batch, share: float) -> Any:
        """A micro-batch of a new shape as it is; then by its graph, and whether that gives the same."""
        before, state = self._taken(), torch.cuda.get_rng_state()
        loss = work(batch, share)
        value, after = float(loss), torch.cuda.get_rng_state()
        wanted = self._taken()
        del loss
        why = ""
        try:
            recorded = self._recorded(key, work, batch)
            torch.cuda.set_rng_state(state)
            again = float(recorded.play(batch, share))
            apart = max(abs(again - value) / max(abs(value), 1e-6), _apart(self._taken(), wanted))
            if not apart <= AGREE:
                raise RuntimeError(f"a graph gives other gradients, relative difference {apart:.3g}")
            if share:  # else there was nothing to compare
                self._tried.add(key)
        except RuntimeError as fault:
            why = _said(fault)
        if why:
            self._give_up(why)
        torch.cuda.set_rng_state(after)
        for part, one, other in zip(self._parts, before, wanted, strict=True):
            part.grad.copy_(one + other)
        return torch.tensor(value, device=self._parts[0].device)

    def _recorded(self, key: tuple[Any, ...], work: Work, batch: Batch) -> _Recorded:
        """The shape's graph, recorded where there is none or what it knows lies elsewhere by now.

        Raises:
            RuntimeError: it cannot be recorded, for want of memory too.
        """
        places = tuple(place.data_ptr() for part in self._parts for place in (part, part.grad))
        found = self._graphs.get(key)
        if found is not None and found.places == places:
            return found
        own = batch | {name: part.detach().clone() for name, part in _tensors(batch).items()}
        share = torch.ones((), device=self._parts[0].device)
        self._pool = self._pool or torch.cuda.graph_pool_handle()
        replay, loss = capture(lambda: work(own, share), self._pool)
        for part in _tensors(own).values():
            part.grad = None  # of the embeddings: nobody asks for it
        self._graphs[key] = _Recorded(own, share, loss, replay, places)
        return self._graphs[key]

    def _give_up(self, why: str) -> None:
        self._on = False
        self.drop()
        torch.cuda.empty_cache()  # of what was recorded before it failed
        say(f"micro-batches are launched kernel by kernel, not as CUDA graphs ({why})")

    def _hold(self) -> None:
        """Give every part a gradient to add to."""
        for part in self._parts:
            if part.grad is None:
                part.grad = torch.zeros_like(part)

    def _taken(self) -> list[Any]:
        """The gradients so far, in the host's memory; they are zero afterwards."""
        found = [part.grad.to("cpu", copy=True) for part in self._parts]
        for part in self._parts:
            part.grad.zero_()
        return found


def _said(fault: RuntimeError) -> str:
    return f"{type(fault).__name__}: {first_line(fault)}"


def _shape(batch: Batch) -> tuple[Any, ...]:
    return tuple(
        (name, *part.shape) if isinstance(part, torch.Tensor) else (name, part) for name, part in sorted(batch.items())
    )


def _tensors(batch: Batch) -> Batch:
    return {name: part for name, part in batch.items() if isinstance(part, torch.Tensor)}


def _apart(found: list[Any], wanted: list[Any]) -> float:
    """Relative difference of all of them together."""
    off = sum(float((one - other).float().square().sum()) for one, other in zip(found, wanted, strict=True))
    whole = sum(float(other.float().square().sum()) for other in wanted)
    return float((off / max(whole, 1e-30)) ** 0.5)
