"""Figures of a forecast as they are shown: durations, dollars, counts, chances, each with its range."""

from __future__ import annotations

from collections.abc import Callable

from sluicegate.report.clean import NONE
from sluicegate.stages.forecast.records import Needed, Quantity

UNKNOWN = "unknown"


def ranged(row: Quantity) -> str:
    """A quantity with its range; one figure where they are the same.

    >>> ranged(Quantity("train", "h", 0.5, 1.0, 2.5)), ranged(Quantity("dollars", "$", None, None, None))
    ('60 min (30 min–2.5 h)', 'unknown')
    """
    if row.expected is None or row.low is None or row.high is None:
        return UNKNOWN
    show = SHOWN.get(row.unit, count)
    low, middle, high = show(row.low), show(row.expected), show(row.high)
    return middle if low == middle == high else f"{middle} ({low}–{high})"


def time(hours: float) -> str:
    """A duration to two digits.

    >>> time(0.004), time(0.3), time(2.345), time(242.0)
    ('14 s', '18 min', '2.3 h', '242 h')
    """
    seconds = 3600 * hours
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{hours:.2g} h" if hours < 99.5 else f"{hours:,.0f} h"


def dollars(value: float) -> str:
    """An amount; less than a cent is a cent.

    >>> dollars(0.0), dollars(0.004), dollars(12.0), dollars(3.456)
    ('$0', '$0.01', '$12', '$3.46')
    """
    value = max(value, 0.01) if value else 0.0
    return f"${value:,.0f}" if value == round(value) or value >= 100 else f"${value:.2f}"


def count(value: float) -> str:
    """A number of things to two digits.

    >>> count(0.0), count(12.0), count(12_345.0), count(2.5e6)
    ('0', '12', '12k', '2.5M')
    """
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.2g}{sign}" if value < 99.5 * size else f"{value / size:.0f}{sign}"
    return f"{value:.0f}"


def plain(value: float) -> str:
    """A number to two digits, below a tenth to one.

    >>> plain(0.01234), plain(8.56), plain(123.4)
    ('0.01', '8.6', '123')
    """
    if value < 0.1:
        return f"{value:.1g}"
    return f"{value:.2g}" if value < 99.5 else f"{value:.0f}"


SHOWN: dict[str, Callable[[float], str]] = {"h": time, "$": dollars, "GiB": plain}
"""Unit → how its figures are shown."""


def share(value: float | None) -> str:
    """A chance in percent.

    >>> share(0.0431), share(0.934), share(None), share(0.0002), share(0.9999)
    ('4.3%', '93%', '–', '<0.1%', '>99%')
    """
    if value is None:
        return NONE
    if value < 0.0005:
        return "<0.1%"
    return ">99%" if value > 0.995 else f"{100 * value:.1f}%" if value < 0.0995 else f"{100 * value:.0f}%"


def needed(found: Needed) -> str:
    """The numbers that suffice, each alone.

    >>> needed(Needed(items=42, seeds=1))
    '42 items / no draws / 1 seed'
    """
    return " / ".join(_number(getattr(found, name), name) for name in ("items", "draws", "seeds"))


def _number(number: int | None, name: str) -> str:
    return f"no {name}" if number is None else f"{number} {name.removesuffix('s') if number == 1 else name}"
