"""What follows from power: the smallest gain found, the sizes needed, the chances of deciding wrongly."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from scipy import special

from sluicegate.errors import UserError
from sluicegate.stats.power import SIMULATED, below, errors, power
from sluicegate.stats.results import between
from sluicegate.stats.variance import Design

LIMITS = {"items": 1_000_000, "draws": 1000, "seeds": 100}
"""As far as `needed` looks."""


def mde(
    test: str, design: Design, *, alpha: float = 0.05, target: float = 0.8, margin: float = 0.0, seed: int = 0
) -> float | None:
    """The smallest gain that the design detects with the target power, in points on [0, 1].

    The design's own gain is not used. None where no gain that leaves the rate below 1 is detected.

    >>> round(mde("sign_flip", Design(items=75, draws=10)), 3)
    0.067
    """
    _detects_gains(test)
    between("target", target, 0, 1)
    low, high = 0.0, 1 - 1e-6 - design.base

    def reached(gain: float) -> bool:
        found = power(test, replace(design, gain=gain), alpha=alpha, margin=margin, seed=seed)
        return found.power >= target

    if high <= 0 or not reached(high):
        return None
    while high - low > 1e-4:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _detects_gains(test: str) -> None:
    if test in ("equivalence", "non_inferiority"):
        raise ValueError(f"{test} shows the absence of a loss: ask `power` or `needed`, not `mde`")


def needed(
    test: str,
    design: Design,
    *,
    vary: Literal["items", "draws", "seeds"] = "items",
    alpha: float = 0.05,
    target: float = 0.8,
    margin: float = 0.0,
    seed: int = 0,
) -> int | None:
    """The least items, draws or seeds with the target power at the design's gain, the rest as in the design.

    None where even `LIMITS` do not suffice: more draws, say, when too few items vary.

    >>> needed("sign_flip", Design(items=1, draws=10, gain=0.1))
    35
    >>> needed("sign_flip", Design(items=10, gain=0.1), vary="draws") is None
    True
    """
    between("target", target, 0, 1)

    def reached(count: int) -> bool:
        changed = replace(design, **{vary: count})
        return power(test, changed, alpha=alpha, margin=margin, seed=seed).power >= target

    low, high = 0, 2
    while not reached(high):
        low, high = high, high * 2
        if high > _limit(test, vary):
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _limit(test: str, vary: str) -> int:
    """Enumerating and simulating cost more than a formula, so they look less far."""
    return min(LIMITS[vary], 20_000) if test in ("mcnemar", "sign_flip", *SIMULATED) else LIMITS[vary]


def false_go(test: str, design: Design, *, alpha: float = 0.05, attempts: int = 1, split: bool = True) -> float:
    """The chance that at least one attempt says GO although the gain is 0.

    Args:
        attempts: declared attempts; each tests at alpha/attempts when `split`, at alpha otherwise.

    Noise that the test cannot see (seeds, for a test over items) raises it above alpha:

    >>> round(false_go("sign_flip", Design(items=75, draws=10)), 3)
    0.045
    >>> round(false_go("sign_flip", Design(items=75, draws=10, seed_sd=0.03)), 2)
    0.19
    """
    if attempts < 1:
        raise UserError("attempts: out of range", wanted="1 or more", seen=f"{attempts}")
    each = power(test, replace(design, gain=0.0), alpha=alpha / attempts if split else alpha).power
    return 1 - (1 - each) ** attempts


def false_stop(design: Design, *, minimum: float, alpha: float = 0.05) -> float:
    """The chance that the interval's upper end falls below `minimum` although the gain is the design's.

    Args:
        minimum: in points on [0, 1].
        alpha: of the upper bound: 0.05 for an interval at 90%.

    >>> false_stop(Design(items=75, draws=10, gain=0.1), minimum=0.05) < 0.001
    True
    """
    between("alpha", alpha, 0, 0.5)
    seen, real, df = errors("paired_t", design)
    if df < 1:
        return 0.0
    critical = float(special.stdtrit(df, 1 - alpha)) * seen / real
    return float(below(df, (design.gain - minimum) / real, -critical))
