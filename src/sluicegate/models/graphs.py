"""Functions run as they are, compiled, or as CUDA graphs."""

from __future__ import annotations

import contextlib
import functools
import signal
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
    ready()
    torch._dynamo.config.recompile_limit = max(GRAPHS, torch._dynamo.config.recompile_limit)
    return cast(Callable[..., Any], torch.compile(work, dynamic=True))


@functools.cache
def ready() -> None:
    """Start the compiler's processes, so that SIGINT and SIGTERM do not reach them.

    Ctrl-C and schedulers send these to all processes of a job, a training goes on to the end of its step, and torch
    2.11 to 2.13 waits forever for compilers that have ended. At its own end it waits for what they are at, seconds.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})  # a child has its parent's
    try:
        from torch._inductor.async_compile import AsyncCompile

        AsyncCompile.warm_pool()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
    except RuntimeError:
        torch.cuda.set_stream(stream)
        _recover(pool)
        raise
    return graph.replay, seen


def _recover(pool: Any) -> None:
    """Let torch 2.11 go on where a capture could not be ended, as after work that waits for a value.

    It takes the capture to be underway still: memory that another stream used would never come back
    (pytorch/pytorch#180395), and nothing could be drawn at random.
    """
    with contextlib.suppress(RuntimeError, AttributeError):  # it was ended
        device = torch.cuda.current_device()
        torch._C._cuda_endAllocateToPool(device, pool)
        torch._C._cuda_releasePool(device, pool)
    with contextlib.suppress(RuntimeError), torch.cuda.graph(torch.cuda.CUDAGraph()):
        torch.zeros(1, device="cuda")  # a capture that ends puts the random generator right
