"""Several claims at once (Holm), and claims of "not worse" and "the same".

Non-inferiority is for metrics that must not get worse (safety, validity). A decision here and its interval are dual:
`holds` is exactly "the interval at 1 - 2·alpha lies beyond the margin".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from sluicegate.stats.intervals import constant_interval, location, mean, t_interval
from sluicegate.stats.paired import TINY, t_tail
from sluicegate.stats.results import Floats, between, finite


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Holm's adjusted p values, in the order given; None stays None and counts as no test.

    Source: Holm, Scandinavian Journal of Statistics 1979.

    >>> holm([0.01, 0.04, None, 0.03])
    [0.03, 0.06, None, 0.06]
    """
    order = sorted((p, index) for index, p in enumerate(ps) if p is not None)
    adjusted: list[float | None] = [None] * len(ps)
    highest = 0.0
    for rank, (p, index) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        adjusted[index] = highest
    return adjusted


@dataclass(frozen=True, slots=True)
class Margin:
    """A claim about a margin.

    Args:
        margin: in points on [0, 1], positive.
        p: None for constant differences, which the interval alone decides.
        low, high: the interval at 1 - 2·alpha.
        holds: whether the claim is shown at alpha; None without data.
    """

    method: str
    n: int
    margin: float
    alpha: float
    estimate: float | None
    low: float | None
    high: float | None
    p: float | None
    holds: bool | None
    seed: int | None = None
    note: str = ""


def non_inferiority(
    differences: Iterable[float], margin: float, *, alpha: float = 0.05, draws: float | None = None
) -> Margin:
    """Whether the experiment is worse by less than the margin: a one-sided t test of gain > -margin.

    Args:
        draws: K where every draw is pass/fail (the adjusted t of `intervals`), None otherwise (plain t).

    Source: Wellek, Testing Statistical Hypotheses of Equivalence and Noninferiority, 2010.

    >>> non_inferiority([0.0, 0.02, -0.02, 0.01, 0.0], 0.05).holds
    True
    """
    values = finite(differences, "differences")
    low, high, note = _bounds(values, margin, alpha, draws)
    p = None if _no_spread(values) else _beyond(values, margin, draws)
    holds = None if low is None else low > -margin
    estimate = mean(values) if values.size else None
    method = f"non-inferiority, {_how(values, draws)}"
    return Margin(method, values.size, margin, alpha, estimate, low, high, p, holds, note=note)


def equivalence(
    differences: Iterable[float], margin: float, *, alpha: float = 0.05, draws: float | None = None
) -> Margin:
    """Whether the arms differ by less than the margin either way: two one-sided t tests (TOST).

    Source: Schuirmann, Journal of Pharmacokinetics and Biopharmaceutics 1987.

    >>> equivalence([0.0, 0.02, -0.02, 0.01, 0.0], 0.05).holds
    True
    >>> equivalence([0.0, 0.2, -0.2, 0.1, 0.0], 0.05).holds
    False
    """
    values = finite(differences, "differences")
    low, high, note = _bounds(values, margin, alpha, draws)
    p = None if _no_spread(values) else max(_beyond(values, margin, draws), _beyond(-values, margin, draws))
    holds = None if low is None or high is None else low > -margin and high < margin
    estimate = mean(values) if values.size else None
    method = f"equivalence (TOST), {_how(values, draws)}"
    return Margin(method, values.size, margin, alpha, estimate, low, high, p, holds, note=note)


def _no_spread(values: Floats) -> bool:
    return values.size < 2 or bool(np.ptp(values) <= TINY)


def _bounds(values: Floats, margin: float, alpha: float, draws: float | None) -> tuple[float | None, float | None, str]:
    between("margin", margin, 0, np.inf)
    between("alpha", alpha, 0, 0.5)
    if not values.size:
        return None, None, "no pairs"
    level = 1 - 2 * alpha
    spread = not _no_spread(values)
    found = (
        t_interval(values, level=level, draws=draws)
        if spread
        else constant_interval(mean(values), values.size, level=level)
    )
    return found.low, found.high, found.note


def _beyond(values: Floats, margin: float, draws: float | None) -> float:
    """P for "mean > -margin"."""
    centre, se, df = location(values, draws)
    return t_tail((centre + margin) / se, df, "greater")


def _how(values: Floats, draws: float | None) -> str:
    return "exact bound" if _no_spread(values) else "t" if draws is None else "adjusted t"
