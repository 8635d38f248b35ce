"""Micro-batches on the device; on a GPU each is read while the one before it is computed.

What a learner makes of samples takes the host a while, most where it looks up the embeddings itself, and a copy from
plain memory waits for all that was launched before it. On a stream and a thread of their own neither lets the GPU wait.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch

from sluicegate.models.loading import moved

Batch = TypeVar("Batch")


def fed(
    batches: Sequence[Batch], read: Callable[[Batch], dict[str, Any]], device: torch.device
) -> Generator[Any, None, None]:
    """What `read` makes of each, on the device; on a GPU emptied once the next is asked for: at most two are there.

    Args:
        batches: any number.
        read: from one to tensors on the CPU, by name.
        device: where they are wanted.
    """
    if device.type != "cuda":
        yield from (moved(read(batch), device) for batch in batches)
        return
    main = torch.cuda.current_stream(device)
    device = main.device  # with its number, which "cuda" alone has not; a thread has one of its own, at first 0
    with ThreadPoolExecutor(1, initializer=torch.cuda.set_device, initargs=(device,)) as beside:
        coming = [beside.submit(_put, batch, read, device, _now(main)) for batch in batches[:1]]
        for after in range(1, len(batches) + 1):
            made, there = coming.pop().result()
            main.wait_event(there)
            for part in made.values():
                if isinstance(part, torch.Tensor):
                    part.record_stream(main)
            # It is put there once what is computed now has begun: what came before is gone by then.
            coming += [beside.submit(_put, batch, read, device, _now(main)) for batch in batches[after:][:1]]
            yield made
            made.clear()


def _put(batch: Any, read: Callable[[Any], dict[str, Any]], device: torch.device, before: Any) -> tuple[Any, Any]:
    """A batch on the device, and the event that it is there; copied when `before` has happened."""
    made = read(batch)
    before.synchronize()
    with torch.cuda.stream(_stream(device)):
        return moved(made, device), _stream(device).record_event()


def _now(stream: Any) -> Any:
    """An event that whoever waits for it sleeps."""
    event = torch.cuda.Event(blocking=True)
    event.record(stream)
    return event


@functools.cache
def _stream(device: torch.device) -> Any:
    """One for all batches: memory that was taken on a stream is used again on it alone."""
    return torch.cuda.Stream(device)
