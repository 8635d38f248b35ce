"""The GRIM test: can a percentage that somebody reports come from that many items at all?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from sluicegate.errors import UserError


@dataclass(frozen=True, slots=True)
class Grim:
    """Whether a reported percentage is reachable.

    Args:
        n: the things counted: items, or items × draws, or items × checks.
        reported: as written, so that its decimals are known.
        consistent: whether some count of n rounds to it.
        nearest: the two reachable percentages around it.
    """

    method: str
    n: int
    reported: str
    consistent: bool
    nearest: tuple[float, float]
    seed: int | None = None
    note: str = ""


def grim(percent: str, n: int) -> Grim:
    """Check a reported percentage of n things counted yes or no.

    Rounding half up and half down both count as right. Every percentage is reachable once n is at least 10 to the
    power of its decimals plus two; the note says so, since the check then shows nothing.

    Args:
        percent: as written, `"87.3"` or `"87.30%"`.
        n: at least 1.

    Raises:
        UserError: not a percentage from 0 to 100, or n below 1.

    Source: Brown and Heathers, Social Psychological and Personality Science 2017.

    >>> grim("96.3%", 16).consistent, grim("96.3%", 16).nearest
    (False, (93.75, 100.0))
    >>> grim("93.8", 16).consistent
    True
    """
    try:
        value = Decimal(percent.strip().removesuffix("%").strip())
    except InvalidOperation:
        value = Decimal(-1)
    if not (value.is_finite() and 0 <= value <= 100) or n < 1:
        raise UserError("grim: not a percentage of n items", wanted="0-100 and n ≥ 1", seen=f"{percent!r} of {n}")
    decimals = max(0, -int(value.as_tuple().exponent))
    half = Decimal(5).scaleb(-decimals - 1)
    first = math.ceil(max(Decimal(0), value - half) * n / 100)
    consistent = Decimal(first) * 100 <= (value + half) * n
    below = math.floor(value * n / 100)
    nearest = (100 * below / n, 100 * min(n, below + 1) / n)
    note = "n is too large for the check to show anything" if n >= 10 ** (decimals + 2) else ""
    return Grim("GRIM", n, percent, bool(consistent), nearest, note=note)
