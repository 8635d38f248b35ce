"""Tensors that are saved for a gradient and wait for it in the host's memory."""

from __future__ import annotations

import functools
import weakref
from typing import Any

import torch

Key = tuple[tuple[int, ...], torch.dtype]


class Waiting:
    """Hands out hooks for autograd, under which what is saved waits in the host's memory.

    It is copied once the next is saved, on a stream of its own: on a GPU what is computed in between goes on while the
    host waits for the copy. Its memory is used again for tensors of the same shape, since memory that is new is slow to
    write to, and it is not pinned: of that WSL has little.
    """

    def __init__(self) -> None:
        self._key: Key | None = None
        self._free: list[torch.Tensor] = []
        self._last: Any = None

    def hooks(self) -> Any:
        """A context: what is saved within it waits."""
        return torch.autograd.graph.saved_tensors_hooks(self._put, _Held.back)

    def _put(self, tensor: torch.Tensor) -> _Held:
        before = self._last and self._last()
        if before is not None:
            before.leave(self._place(before.here))
        held = _Held(tensor.detach())
        self._last = weakref.ref(held)
        return held

    def _place(self, tensor: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Memory for it, and where that goes back to."""
        key = (tuple(tensor.shape), tensor.dtype)
        if key != self._key:
            self._key, self._free = key, []
        return self._free.pop() if self._free else torch.empty(*key[0], dtype=key[1]), self._free


class _Held:
    """One that is saved: on its device, later in the host's memory, which is free again once nobody asks for it."""

    def __init__(self, here: Any) -> None:
        self.here, self._device = here, here.device
        self._copy: Any = None
        self._free: list[torch.Tensor] = []
        self._made = torch.cuda.current_stream(self._device).record_event() if self._device.type == "cuda" else None

    def leave(self, place: tuple[torch.Tensor, list[torch.Tensor]]) -> None:
        """Go into the host's memory; returns when the device's is free."""
        self._copy, self._free = place
        if self._made is None:
            self._copy.copy_(self.here)
        else:
            beside = _stream(self._device)
            beside.wait_event(self._made)
            with torch.cuda.stream(beside):
                self._copy.copy_(self.here)
        self.here = None

    def back(self) -> Any:
        """The tensor on its device."""
        if self.here is not None:
            return self.here
        if self._made is None:
            return self._copy.clone()
        main, beside = torch.cuda.current_stream(self._device), _stream(self._device)
        with torch.cuda.stream(beside):
            made = self._copy.to(self._device)
        main.wait_stream(beside)
        made.record_stream(main)
        return made

    def __del__(self) -> None:
        if self._copy is not None:
            self._free.append(self._copy)


@functools.cache
def _stream(device: torch.device) -> Any:
    """One for all copies: memory that was taken on a stream is used again on it alone."""
    return torch.cuda.Stream(device)
