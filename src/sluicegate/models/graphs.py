"""Functions run as they are or compiled: what both are called through, so that a caller need not know which."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, cast

import torch

Run = Callable[..., Any]
"""`plain` or `compiled`: takes a function and what it is given."""
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
