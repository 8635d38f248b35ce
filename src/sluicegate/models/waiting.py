"""Tensors that are saved for a gradient and wait for it in the host's memory."""

from __future__ import annotations

from typing import Any

import torch

Key = tuple[tuple[int, ...], torch.dtype]


class Waiting:
    """Hands out hooks for autograd; copies lie in memory that is used again, as long as they are of one shape.

    Memory that is new is slow to write to. It is not pinned: of that WSL has little.
    """

    def __init__(self) -> None:
        self._key: Key | None = None
        self._free: list[torch.Tensor] = []

    def hooks(self) -> Any:
        """A context: what is saved within it waits in the host's memory."""
        return torch.autograd.graph.saved_tensors_hooks(self._put, _back)

    def _put(self, tensor: torch.Tensor) -> tuple[_Held, torch.device]:
        key = (tuple(tensor.shape), tensor.dtype)
        if key != self._key:
            self._key, self._free = key, []
        copy = self._free.pop() if self._free else torch.empty(*key[0], dtype=key[1])
        copy.copy_(tensor.detach())
        return _Held(copy, self._free), tensor.device


class _Held:
    """A copy; once nobody asks for it any more, its memory is free for the next."""

    def __init__(self, copy: torch.Tensor, free: list[torch.Tensor]) -> None:
        self.copy, self._free = copy, free

    def __del__(self) -> None:
        self._free.append(self.copy)


def _back(held: tuple[_Held, torch.device]) -> torch.Tensor:
    return held[0].copy.to(held[1], copy=True)
