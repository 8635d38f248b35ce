"""Which samples of a step are in memory at once: padded side by side, or packed one behind the other.

A step's loss is normalised over all its tokens, so who shares a batch with whom changes padding and nothing else.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import TypeVar

from sluicegate.models import Example

Item = TypeVar("Item", bound=Example)
QUARTERS = 4
"""Widths that a pack may have; each is compiled once."""


def padded(examples: Sequence[Item], size: int) -> list[list[Item]]:
    """Examples in batches of at most `size`, the longest first, each with others of about its length."""
    ordered = sorted(examples, key=lambda example: -example.tokens)
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


def packed(examples: Sequence[Item], capacity: int) -> list[list[Item]]:
    """Examples in packs of at most `capacity` tokens: best-fit decreasing, each into the fullest pack that takes it.

    It needs at most 11/9 of the fewest packs, and one. An example longer than the capacity is a pack of its own.
    Source: Johnson, Demers, Ullman, Garey and Graham, SIAM Journal on Computing 3(4), 1974.
    """
    packs: list[list[Item]] = []
    rooms: list[tuple[int, int]] = []  # room left and place of each pack, in order
    for example in sorted(examples, key=lambda example: -example.tokens):
        found = bisect.bisect_left(rooms, (example.tokens, 0))
        if found < len(rooms):
            room, place = rooms.pop(found)
            packs[place].append(example)
        else:
            room, place = capacity, len(packs)
            packs.append([example])
        bisect.insort(rooms, (room - example.tokens, place))
    return packs


def width(tokens: int, capacity: int) -> int:
    """Tokens that a pack is filled up to: a quarter of the capacity, a half, …, so that few shapes occur.

    >>> [width(tokens, 2048) for tokens in (1, 512, 513, 2048)]
    [512, 512, 1024, 2048]
    """
    quarter = -(-capacity // QUARTERS)
    return max(1, -(-tokens // quarter)) * quarter
