"""A stand-in for CUDA graphs: what is captured is done again at each replay, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def counted(monkeypatch: pytest.MonkeyPatch, *, off: float = 0.0) -> list[int]:
    """Let decoders capture as on a GPU; a row is added at each replay, whose result is wrong by the share `off`."""
    import torch

    from sluicegate.models import decoding

    replays: list[int] = []

    def capture(work: Callable[[], Any], pool: Any) -> tuple[Callable[[], None], Any]:
        seen = torch.zeros(()).resize_(0)

        def replay() -> None:
            replays.append(1)
            made = work()
            seen.resize_(made.shape).copy_(made * (1 + off))

        return replay, seen

    monkeypatch.setattr(decoding, "capture", capture)
    return replays
