"""Functions run as they are, compiled, or as CUDA graphs."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import torch

Run = Callable[..., Any]
"""`plain` or `compiled`, so that a caller need not know which: takes a function and what it is given."""
GRAPHS = 64
"""Graphs that are kept of a function: for encoders and decoders, training and validation, each precision."""


def plain(work: Callable[..., Any], *given: Any) -> Any:
    """What the function gives."""
    return work(*given)


def compiled(work: Callable[..., Any], *given: Any) -> Any:
    """What the function gives, compiled when it is first called: once for all layers and for any number of rows."""
    return graph_of(work)(*given)


@functools.cache
def graph_of(work: Callable[..., Any]) -> Callable[..., Any]:
    """The function compiled."""
    torch._dynamo.config.recompile_limit = max(GRAPHS, torch._dynamo.config.recompile_limit)
    return cast(Callable[..., Any], torch.compile(work, dynamic=True))


def capture(work: Callable[[], Any], pool: Any) -> tuple[Callable[[], None], Any]:
    """A CUDA graph of some work, which is not done by this: what replays it, and what it returns each time.

    What it returns lies in the pool and is overwritten by the next graph that is replayed.

    Raises:
        RuntimeError: it cannot be captured, or memory is too short for it.
    """
    graph, stream = torch.cuda.CUDAGraph(), torch.cuda.current_stream()
    try:
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            seen = work()
    finally:
        torch.cuda.set_stream(stream)  # torch 2.11 stays on its own where the capture cannot be ended
    return graph.replay, seen
