"""What every function of `stats` returns: small frozen records that carry n, method and seed, and never NaN.

What cannot be computed is None with the reason in `note`. `seed` is None where nothing was drawn.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sluicegate.errors import UserError

Alternative = Literal["greater", "less", "two-sided"]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Test:
    """A hypothesis test.

    Args:
        n: observations that entered it (items, or runs for seed-level tests).
        p: in (0, 1]; None where the test does not exist for these data.
    """

    __test__ = False  # the name is the field's word, not pytest's
    method: str
    n: int
    statistic: float | None
    p: float | None
    alternative: Alternative
    seed: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided confidence interval at `level`; low and high are both None or both numbers."""

    method: str
    n: int
    estimate: float | None
    low: float | None
    high: float | None
    level: float
    seed: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect size; `method` is its full name, so that no reader has to guess which d it is."""

    method: str
    n: int
    value: float | None
    seed: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """An estimate with its standard error, t test and interval (clusters, seeds)."""

    method: str
    n: int
    estimate: float | None
    se: float | None
    df: float | None
    low: float | None
    high: float | None
    p: float | None
    alternative: Alternative
    level: float
    seed: int | None = None
    note: str = ""


def finite(values: Iterable[float], what: str = "values") -> Floats:
    """The values as an array of float64.

    Raises:
        UserError: one of them is NaN or infinite (with its position).
    """
    array = np.asarray(values if isinstance(values, np.ndarray) else list(values), dtype=np.float64).ravel()
    bad = np.flatnonzero(~np.isfinite(array))
    if bad.size:
        raise UserError(
            f"{what}: {bad.size} not finite",
            wanted="finite numbers; leave out what was not measured",
            seen=f"{array[bad[0]]} at position {bad[0]}",
        )
    return array


def known(alternative: Alternative) -> None:
    """Refuse a misspelt alternative, which would otherwise become another test in silence."""
    if alternative not in ("greater", "less", "two-sided"):
        raise ValueError(f"alternative: wanted greater, less or two-sided, seen {alternative!r}")


def between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside the open interval (low, high).

    Raises:
        UserError: with the name, the range and the value.
    """
    if not low < value < high:
        raise UserError(f"{name}: out of range", wanted=f"between {low:g} and {high:g}", seen=f"{value}")
