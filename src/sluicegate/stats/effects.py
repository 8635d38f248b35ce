"""Effect sizes of two paired arms, each by its full name.

None, with the reason, where an effect size does not exist; d_z and g_av answer different questions and are never
called "Cohen's d".
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import special

from sluicegate.stats.paired import TINY
from sluicegate.stats.results import Effect, Floats, finite


def d_z(differences: Iterable[float]) -> Effect:
    """Mean difference over the standard deviation of the differences.

    Source: Lakens, Frontiers in Psychology 2013.

    >>> round(d_z([0.0, 0.2, 0.4]).value, 6)
    1.0
    """
    values = finite(differences, "differences")
    if values.size < 2 or np.ptp(values) <= TINY:
        return Effect("d_z", values.size, None, note="no spread of the differences")
    return Effect("d_z", values.size, float(values.mean() / values.std(ddof=1)))


def hedges_g_av(control: Iterable[float], experiment: Iterable[float]) -> Effect:
    """Mean difference over the root mean square of the arms' standard deviations, corrected for small n.

    The correction is exact, with 2(n - 1) degrees of freedom.

    Args:
        control, experiment: paired, shape (n,).

    Source: Lakens 2013; the correction: Hedges, Journal of Educational Statistics 1981.

    >>> round(hedges_g_av([0.0, 0.2, 0.4], [0.2, 0.4, 0.6]).value, 4)
    0.7979
    """
    before, after = finite(control, "control"), finite(experiment, "experiment")
    n = before.size
    if n < 2 or (np.ptp(before) <= TINY and np.ptp(after) <= TINY):
        return Effect("Hedges g_av", n, None, note="no spread within the arms")
    spread = math.sqrt((float(before.var(ddof=1)) + float(after.var(ddof=1))) / 2)
    value = float((after - before).mean()) / spread * small_sample(2 * (n - 1))
    return Effect("Hedges g_av", n, value)


def small_sample(df: float) -> float:
    """Hedges' correction of a standardised difference, Γ(df/2) / (√(df/2) Γ((df-1)/2)).

    >>> round(small_sample(4), 4)
    0.7979
    """
    return math.exp(float(special.gammaln(df / 2) - special.gammaln((df - 1) / 2))) / math.sqrt(df / 2)


def cliffs_delta(control: Iterable[float], experiment: Iterable[float]) -> Effect:
    """P(experiment > control) - P(experiment < control) over all pairs of items, in n log n.

    It compares the two distributions and leaves the pairing out.

    Source: Cliff, Psychological Bulletin 1993.

    >>> cliffs_delta([0.1, 0.2], [0.2, 0.3]).value
    0.75
    """
    before, after = np.sort(finite(control, "control")), finite(experiment, "experiment")
    pairs = before.size * after.size
    if not pairs:
        return Effect("Cliff's delta", 0, None, note="an empty arm")
    return Effect("Cliff's delta", int(after.size), _dominance(before, after) / pairs)


def _dominance(ordered: Floats, values: Floats) -> int:
    below = np.searchsorted(ordered, values, side="left")
    above = ordered.size - np.searchsorted(ordered, values, side="right")
    return int(below.sum() - above.sum())
