"""What of a training would fit into memory that is too small for it, in words: pure arithmetic over the forecasts.

A training fits itself to a GPU first: its layers compute their activations again, and its micro-batch is halved down to
one sample. What is said here is what is left to change then. It is a forecast; the next start finds out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from sluicegate.models.memory import Size
from sluicegate.models.pair_memory import forecast_of
from sluicegate.settings import TrainSettings

SHORTEST = 64
"""Tokens of the shortest window that is thought of."""
RANK = 16
"""Of adapters, where every weight was to be trained."""


class _Way(NamedTuple):
    """A way to train: LORA_R, and whether frozen weights are NF4."""

    rank: int
    in_4bit: bool


def what_fits(size: Size, settings: TrainSettings, *, in_4bit: bool, gpu: bool, room_gib: float) -> str:
    """What to change, so that one sample at a time fits: the least change first, the longest window of each.

    Args:
        size: of the model, a `PairSize` for an encoder-decoder.
        settings: of the training that does not fit as it is.
        in_4bit: whether its frozen weights are NF4.
        gpu: whether it runs on one.
        room_gib: what the training may take.
    """
    own = _Way(settings.lora_r, in_4bit)

    def gib(way: _Way, window: int) -> float:
        less = settings.model_copy(update={"lora_r": way.rank, "batch_size": 1, "rl_batch": 1})
        return forecast_of(size)(size, less, in_4bit=way.in_4bit, window=window, gpu=gpu)

    found = []
    for way in _ways(own):
        asked = settings.max_seq_length // (2 if way == own else 1)  # its own way, the whole window did not fit
        window = _longest(asked, lambda window, way=way: gib(way, window) <= room_gib)  # type: ignore[misc]
        if window:
            found.append(f"{_said(way, own)}MAX_SEQ_LENGTH={window} ({gib(way, window):.2f} GiB)")
    if found:
        return f"by the forecast {room_gib:.2f} GiB have room for {', or '.join(found)}"
    least = min(gib(way, SHORTEST) for way in _ways(own))
    return f"a smaller BASE_MODEL, or more memory: by the forecast it takes {least:.2f} GiB at least, of {room_gib:.2f}"


def _ways(own: _Way) -> Iterator[_Way]:
    """As it is, through adapters, and through adapters of 4-bit weights."""
    rank = own.rank or RANK
    return iter(dict.fromkeys((own, _Way(rank, own.in_4bit), _Way(rank, True))))


def _longest(asked: int, fits: Callable[[int], bool]) -> int:
    """The longest window that fits, halved from what is asked; 0 for none.

    >>> _longest(512, lambda window: window < 200), _longest(512, lambda window: False)
    (128, 0)
    """
    while asked >= SHORTEST and not fits(asked):
        asked //= 2
    return asked if asked >= SHORTEST else 0


def _said(way: _Way, own: _Way) -> str:
    """The settings that differ, for a command line."""
    rank = f"LORA_R={way.rank} " if way.rank != own.rank else ""
    return rank + ("LOAD_IN_4BIT=true " if way.in_4bit and not own.in_4bit else "")
