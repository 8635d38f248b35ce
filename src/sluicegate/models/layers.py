"""A model's decoder layers as training runs them: compiled, and each either computed again for its gradient or kept.

A layer that is computed again keeps its input alone; one that is kept spares a third of its arithmetic and takes memory
for everything between. Which are kept is decided from what one layer is seen to take on this device (`taken`). Where
not even one window fits, inputs wait in the host's memory (`offload`).
That a layer is computed again is part of what is compiled: its second run and its gradient are one graph, from which
drops out what no gradient asks for, as the layer's last product. A graph serves all layers: it is compiled for the
first and its guards hold for the others.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Callable, Iterator
from typing import Any

import torch
import transformers
from torch.utils.checkpoint import checkpoint

from sluicegate.models import graphs
from sluicegate.models.memory import LayerNeed
from sluicegate.models.waiting import Waiting

GRAPHS = 64
"""Graphs of a layer that are kept: each width of a pack has one for training and one for validation."""

HELD = 2
"""Times its input's size that a layer which is computed again may hold: its output, and what is small."""


class Layers:
    """All decoder layers of a model; made once, it stands in for their forwards.

    Args:
        model: with or without adapters; the layers of its decoder that are `GradientCheckpointingLayer`s count.

    Attributes:
        keeps: how many of the last layers keep what their gradients need; the last, because backward frees theirs
            before an earlier layer is computed again.
        waits: of how many of the first the input waits in the host's memory.
    """

    def __init__(self, model: Any) -> None:
        inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        decoder = inner.get_decoder() if hasattr(inner, "get_decoder") else inner
        self.all = [part for part in decoder.modules() if isinstance(part, transformers.GradientCheckpointingLayer)]
        self.keeps = 0
        # Random states are kept for what is computed again only where something is drawn: it takes the processor long.
        self._draws = any(_drops(part) for layer in self.all for part in layer.modules())
        self.compile(False)
        self._seen: dict[str, Any] | None = None
        for place, layer in enumerate(self.all):
            layer.gradient_checkpointing = False
            layer.forward = self._forward(layer, place)

    def compile(self, wanted: bool) -> None:
        """Whether layers run compiled; a shape is compiled when it first occurs. It takes back `offload`."""
        self.waits = 0
        self._kept: Callable[..., Any] = _plain
        self._again = self._waiting = self._repeated(_plain)
        if wanted:
            graphs.ready()
            torch._dynamo.config.recompile_limit = max(GRAPHS, torch._dynamo.config.recompile_limit)
            self._kept, self._again = (torch.compile(run, dynamic=False) for run in (self._kept, self._again))

    def offload(self, stays: int = 0) -> None:
        """Compute every layer again, from an input that waits in the host's memory but for those of so many.

        One graph for its second run and its gradient would take more memory than two, and keep the input to itself.
        """
        self.keeps, self.waits = 0, len(self.all) - stays
        self._again = self._repeated(self._kept)
        self._waiting = _away(self._again)

    def _repeated(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """What runs a layer and computes it again for its gradient."""
        draws = self._draws

        def again(layer: Any, *given: Any, **how: Any) -> Any:
            return checkpoint(run, layer, *given, use_reentrant=False, preserve_rng_state=draws, **how)

        return again

    def _forward(self, layer: Any, place: int) -> Callable[..., Any]:
        def forward(*given: Any, **how: Any) -> Any:
            if self._seen is not None and place == 0:
                self._seen |= {"": given, **how}
            again = place < len(self.all) - self.keeps and layer.training and torch.is_grad_enabled()
            repeated = self._waiting if place < self.waits else self._again
            return (repeated if again else self._kept)(layer, *given, **how)

        return forward

    @contextlib.contextmanager
    def seen(self) -> Iterator[dict[str, Any]]:
        """What the model hands to its first layer while it runs within this context; by place: under no name."""
        self._seen = {}
        try:
            yield self._seen
        finally:
            self._seen = None

    def taken(self, given: tuple[Any, ...], how: dict[str, Any]) -> LayerNeed:
        """What the first layer takes for such an input: it is run forward and backward, kept and again, on a GPU.

        Args:
            given: what it gets by place, from `seen`; the hidden state, [B, T, H], comes first.
            how: what it gets by name.
        """
        kept, most = self._tried(self._kept, given, how)
        try:
            held, again = self._tried(self._again, given, how)
        except torch.OutOfMemoryError:
            held = sys.maxsize
        if held > HELD * given[0].nbytes:
            gc.collect()
            torch.cuda.empty_cache()  # of what a fault held
            # One graph takes more at once than two. Torch 2.11 keeps what an autograd.Function gives, so as
            # bitsandbytes' products.
            self._again = self._repeated(self._kept)
            _, again = self._tried(self._again, given, how)
        return LayerNeed(kept, most - kept, again)

    def _tried(self, run: Callable[..., Any], given: tuple[Any, ...], how: dict[str, Any]) -> tuple[int, int]:
        """Bytes between a first layer's forward and its backward, and at most."""
        hidden, *rest = given
        layer = self.all[0]
        for _ in range(2):  # the first time it is compiled, which takes memory of its own
            torch.cuda.synchronize()
            start = hidden.detach().requires_grad_()
            before = torch.cuda.memory_allocated()
            torch.cuda.reset_peak_memory_stats()
            out = run(layer, start, *rest, **how)
            kept = torch.cuda.memory_allocated() - before
            (out[0] if isinstance(out, tuple) else out).backward(torch.ones_like(hidden))
            torch.cuda.synchronize()
            peak = torch.cuda.max_memory_allocated() - before
            layer.zero_grad(set_to_none=True)
            del out, start
        return kept, peak


def _drops(part: Any) -> bool:
    """Whether a module drops values at random: as a module that does so, or by a rate that it hands to a function."""
    rates = [value for name, value in vars(part).items() if "drop" in name and isinstance(value, float)]
    return any(rate > 0 for rate in [*rates, getattr(part, "p", 0.0)] if isinstance(rate, float | int))


def _plain(layer: Any, *given: Any, **how: Any) -> Any:
    forward = type(layer).forward
    return getattr(forward, "__wrapped__", forward)(layer, *given, **how)


def _away(repeated: Callable[..., Any]) -> Callable[..., Any]:
    """What computes a layer again from an input that waits in the host's memory: what is given by place is saved."""
    waiting = Waiting()

    def again(layer: Any, *given: Any, **how: Any) -> Any:
        with waiting.hooks():
            return repeated(layer, *given, **how)

    return again
