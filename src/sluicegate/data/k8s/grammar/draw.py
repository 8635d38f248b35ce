"""Small ways to draw from a seeded generator. Nothing here, or above it, has any other source of chance."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, TypeVar

T = TypeVar("T")


def chance(rng: Random, share: float) -> bool:
    """True in so many of all cases."""
    return rng.random() < share


def weighted(rng: Random, rows: Sequence[tuple[float, T]]) -> T:
    """One of the things, each as often as the number before it says.

    >>> weighted(Random(1), ((0, "never"), (2, "always")))
    'always'
    """
    return rng.choices([thing for _, thing in rows], [weight for weight, _ in rows])[0]


def some(rng: Random, things: Sequence[T], least: int, most: int) -> list[T]:
    """A number of things, in their order; all of them where there are fewer.

    >>> some(Random(3), "abcd", 2, 3)
    ['b', 'd']
    """
    count = min(len(things), rng.randint(least, most))
    return [things[place] for place in sorted(rng.sample(range(len(things)), count))]


def near(rng: Random, place: int, spread: int, length: int) -> int:
    """A place in a list of some length, around a given one."""
    return max(0, min(length - 1, place + rng.randint(-spread, spread)))


def filled(**fields: Any) -> dict[str, Any]:
    """The fields that say something: None and what is empty are left out, 0 and false are not.

    >>> filled(a=0, b="", c=None, d=[], e={}, f=False)
    {'a': 0, 'f': False}
    """
    return {key: value for key, value in fields.items() if value is not None and value not in ("", [], {}, ())}
