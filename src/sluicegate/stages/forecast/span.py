"""A range with a middle: what a figure is expected to be, and between which ends it lies four times in five."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """Low, expected and high, each at least 0 and in this order."""

    low: float
    expected: float
    high: float

    def __add__(self, other: Span) -> Span:
        """The ends add up: what makes one part slow makes the others slow too."""
        return Span(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def __mul__(self, factor: float) -> Span:
        """So many times as much."""
        return Span(self.low * factor, self.expected * factor, self.high * factor)

    def times(self, other: Span) -> Span:
        """The product of two independent figures: their relative errors add up in squares.

        >>> found = Span(1, 2, 4).times(Span(5, 10, 20))
        >>> round(found.low, 2), found.expected, round(found.high, 2)
        (7.5, 20, 53.3)
        """
        if min(self.low, other.low) <= 0:
            return Span(self.low * other.low, self.expected * other.expected, self.high * other.high)
        middle = self.expected * other.expected
        down = math.hypot(math.log(self.expected / self.low), math.log(other.expected / other.low))
        up = math.hypot(math.log(self.high / self.expected), math.log(other.high / other.expected))
        return Span(middle * math.exp(-down), middle, middle * math.exp(up))

    def inverse(self) -> Span:
        """One over it.

        >>> Span(1, 2, 4).inverse()
        Span(low=0.25, expected=0.5, high=1.0)
        """
        return Span(1 / self.high, 1 / self.expected, 1 / self.low)

    def at_least(self, other: Span) -> Span:
        """The larger of two figures, end by end."""
        return Span(max(self.low, other.low), max(self.expected, other.expected), max(self.high, other.high))

    def at_most(self, limit: float) -> Span:
        """With every end cut at a limit."""
        return Span(min(self.low, limit), min(self.expected, limit), min(self.high, limit))


def around(middle: float, ratio: float) -> Span:
    """A figure that is known up to a ratio either way.

    >>> around(10.0, 2.0)
    Span(low=5.0, expected=10.0, high=20.0)
    """
    return Span(middle / ratio, middle, middle * ratio)


def exactly(value: float) -> Span:
    """A figure that is known."""
    return Span(value, value, value)


NOTHING = exactly(0.0)
