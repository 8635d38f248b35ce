"""Beta-binomial posterior of a gain, for display: P(gain > 0) and P(gain > minimum). It decides nothing.

Each arm's pass rate has a Beta posterior from the uniform prior. The pairing is left out, which makes the
probabilities less extreme than the paired test where both arms find the same items hard.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy import special

from sluicegate.errors import UserError
from sluicegate.stats.results import Floats, finite

POINTS = 4096
"""Quantiles of the control's posterior that are summed over; the error is below 1e-4."""


@dataclass(frozen=True, slots=True)
class Posterior:
    """Posterior probabilities of a gain.

    Args:
        n: items.
        trials: effective draws of each arm, (control, experiment).
        p_positive: P(gain > 0).
        p_minimum: P(gain > minimum).
    """

    method: str
    n: int
    trials: tuple[float, float]
    minimum: float
    p_positive: float | None
    p_minimum: float | None
    seed: int | None = None
    note: str = ""


def posterior(
    control: Iterable[float], experiment: Iterable[float], draws: float, *, minimum: float = 0.0
) -> Posterior:
    """Posterior of the gain in pass rate from each item's share of passing draws.

    K draws of one item are not K items: the draws are discounted by the design effect 1 + (K - 1)·ICC, with the
    intraclass correlation estimated from each arm.

    Args:
        control, experiment: shares in [0, 1], shape (n,).
        draws: K, draws an item.
        minimum: in points on [0, 1].

    Raises:
        UserError: shares outside [0, 1].

    Source: Beta-binomial comparison for evaluations, Bowyer et al. 2025 (arXiv 2503.01747); design effect, Kish 1965.

    >>> found = posterior([0.0] * 10 + [1.0] * 10, [0.0] * 4 + [1.0] * 16, 1, minimum=0.05)
    >>> round(found.p_positive, 2), round(found.p_minimum, 2)
    (0.97, 0.95)
    """
    arms = [finite(control, "control"), finite(experiment, "experiment")]
    for arm in arms:
        if arm.size and (arm.min() < 0 or arm.max() > 1):
            raise UserError("posterior: not shares", wanted="values in [0, 1]", seen=f"{arm.min()}-{arm.max()}")
    method = "beta-binomial, uniform prior, design effect"
    if not arms[0].size or not arms[1].size:
        return Posterior(method, 0, (0.0, 0.0), minimum, None, None, note="an empty arm")
    trials = (effective_draws(arms[0], draws), effective_draws(arms[1], draws))
    (a, b), (c, d) = (
        (1 + float(arm.mean()) * size, 1 + (1 - float(arm.mean())) * size)
        for arm, size in zip(arms, trials, strict=True)
    )
    rates = special.betaincinv(a, b, (np.arange(POINTS) + 0.5) / POINTS)
    positive, enough = (float(special.betaincc(c, d, np.clip(rates + least, 0, 1)).mean()) for least in (0.0, minimum))
    return Posterior(method, arms[0].size, trials, minimum, positive, enough)


def effective_draws(shares: Floats, draws: float) -> float:
    """Draws of n items, discounted by the design effect.

    >>> effective_draws(np.array([0.0, 1.0, 0.0, 1.0]), 10)
    4.0
    """
    total = shares.size * draws
    return float(total / (1 + (draws - 1) * intraclass(shares, draws)))


def intraclass(shares: Floats, draws: float) -> float:
    """The intraclass correlation of pass/fail draws within items, by analysis of variance, cut off to [0, 1].

    Source: Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003.
    """
    if draws <= 1 or shares.size < 2:
        return 0.0
    between = draws * float(shares.var(ddof=1))
    within = draws / (draws - 1) * float((shares * (1 - shares)).mean())
    spread = between + (draws - 1) * within
    if spread <= 0:
        return 1.0  # every draw agrees: nothing says that draws tell more than items do
    return min(1.0, max(0.0, (between - within) / spread))
