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
        self._free: dict[Key, list[torch.Tensor]] = {}
        self._last: Any = None
        self._back: list[Any] = []

    def hooks(self) -> Any:
        """A context: what is saved within it waits."""
        return torch.autograd.graph.saved_tensors_hooks(self._put, self._got)

    def _put(self, tensor: torch.Tensor) -> _Held:
        held = _Held(tensor.detach())
        if not tensor.numel():  # torch 2.11 saves one beside what is to be computed again
            return held
        before = self._last and self._last()
        if before is not None:
            before.leave(self._free.setdefault((tuple(before.here.shape), before.here.dtype), []))
        self._last = weakref.ref(held)
        return held

    def _got(self, held: _Held) -> Any:
        """The tensor on its device; two of them at most are ahead of what is computed there."""
        if held.here is None and held.made is not None:
            while len(self._back) > 1:
                self._back.pop(0).synchronize()
            self._back.append(torch.cuda.current_stream(held.device).record_event())
        return held.back()


class _Held:
    """One that is saved: on its device, later in the host's memory, which is free again once nobody asks for it."""

    def __init__(self, here: Any) -> None:
        self.here, self.device = here, here.device
        self.made = torch.cuda.current_stream(self.device).record_event() if self.device.type == "cuda" else None
        self._copy: Any = None
        self._free: list[torch.Tensor] = []

    def leave(self, free: list[torch.Tensor]) -> None:
        """Go into the host's memory, some that is free or new; returns when the device's is free."""
        self._free = free
        self._copy = free.pop() if free else torch.empty(self.here.shape, dtype=self.here.dtype)
        if self.made is None:
            self._copy.copy_(self.here)
        else:
            beside = _stream(self.device)
            beside.wait_event(self.made)
            with torch.cuda.stream(beside):
                self._copy.copy_(self.here)
        self.here = None

    def back(self) -> Any:
        """The tensor on its device."""
        if self.here is not None:
            return self.here
        if self.made is None:
            return self._copy.clone()
        main, beside = torch.cuda.current_stream(self.device), _stream(self.device)
        with torch.cuda.stream(beside):
            made = self._copy.to(self.device)
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
