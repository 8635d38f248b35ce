"""The power of each test for a design, by formula where one holds.

`simulate` has the same by simulation, for what no formula is good for and to check the others. All tests are
one-sided at `alpha` ("the gain is above null"); a two-sided test at α has the power of a one-sided at α/2. What
follows from power (smallest gain, sizes, false decisions) is in `planning`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import special

from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE
from sluicegate.stats.results import Floats, between
from sluicegate.stats.simulate import Simulated, simulated
from sluicegate.stats.variance import Design, between_draws, between_items, discordance, item_skewness, item_variance

Formula = Callable[[Design, float, float], float]


@dataclass(frozen=True, slots=True)
class Power:
    """The power of a test for a design; n counts items."""

    test: str
    method: str
    n: int
    power: float
    alpha: float
    seed: int | None = None
    note: str = ""


def errors(test: str, design: Design) -> tuple[float, float, float]:
    """Standard error as the test sees it, as it is, and degrees of freedom.

    They differ by what the test cannot see: seeds when it looks at items, items when it looks at seeds.
    """
    items = item_variance(design) / design.items
    seeds = 2 * design.seed_sd**2 / design.seeds
    clusters = design.cluster_sd**2 / design.clusters
    if test == "seed_level":
        seen = seeds + between_draws(design) / (design.items * design.draws * design.seeds)
        unseen = between_items(design) / design.items + clusters
        return math.sqrt(seen), math.sqrt(seen + unseen), 2 * (design.seeds - 1)
    if test == "cluster_robust":
        return math.sqrt(items + clusters), math.sqrt(items + clusters + seeds), design.clusters - 1
    return math.sqrt(items), math.sqrt(items + clusters + seeds), design.items - 1


def below(df: float, shift: float, limit: float | Floats) -> Floats:
    """P(t ≤ limit) of noncentral t; far out in a tail, where its series gives up, by the normal approximation.

    Source: Abramowitz and Stegun 1964, 26.7.10.

    >>> float(below(14, 1000.0, -1.0))
    0.0
    """
    found = special.nctdtr(df, shift, limit)
    z = (limit * (1 - 1 / (4 * df)) - shift) / np.sqrt(1 + np.square(limit) / (2 * df))
    return np.asarray(np.where(np.isnan(found), special.ndtr(z), found), dtype=np.float64)


def t_power(shift: float, critical: float, df: float, skew: float = 0.0) -> float:
    """P(t > critical) for a mean `shift` standard errors above the null.

    Args:
        skew: skewness of the mean (that of an item over √n). Where large values go with a large spread, t is pulled
            together above and apart below; the first Edgeworth term corrects for that.

    Source: noncentral t, Cohen 1988; the expansion of Student's t, Hall 1992.

    >>> round(t_power(2.5, 1.6656, 74), 3)
    0.797
    """
    squeeze = 1 - min(0.5, max(-0.5, critical * skew / 2))
    pulled = critical + (shift - critical) / squeeze
    z = critical - pulled
    bend = skew / 6 * (z * z - 1) * math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    # the lower tail cannot be subtracted from 1 without loss, so its mirror image is taken
    return min(1.0, max(0.0, float(below(df, -pulled, -critical)) + bend))


def _noncentral(test: str, design: Design, alpha: float, shift: float) -> float:
    """The power of a t test when the mean lies `shift` above the null."""
    seen, real, df = errors(test, design)
    if df < 1:
        return 0.0
    critical = float(special.stdtrit(df, 1 - alpha)) * seen / real
    skew = 0.0
    if test == "paired_t":
        skew = (
            item_skewness(design)
            / math.sqrt(design.items)
            * (math.sqrt(item_variance(design) / design.items) / real) ** 3
        )
    return t_power(shift / real, critical, df, skew)


def _t(test: str) -> Formula:
    return lambda design, alpha, margin: _noncentral(test, design, alpha, design.gain)


def _seed_level(design: Design, alpha: float, margin: float) -> float:
    """Welch's t for equal arms: its degrees of freedom depend on how the spread divides over the arms.

    The division is Beta distributed and independent of the total spread, so given it the power is that of t with
    2(S - 1) degrees of freedom at Welch's critical value; this averages over it.
    """
    seen, real, df = errors("seed_level", design)
    if df < 1:
        return 0.0
    share = special.betaincinv(df / 4, df / 4, (np.arange(200) + 0.5) / 200)
    welch = df / 2 / (share**2 + (1 - share) ** 2)
    critical = np.asarray(special.stdtrit(welch, 1 - alpha) * seen / real, dtype=np.float64)
    return float(below(df, -design.gain / real, -critical).mean())


def _recipe(design: Design, alpha: float, margin: float) -> float:
    """Runs and items crossed: averaged over what the variances of each arm's runs and of the items are found to be.

    They are taken as independent and as chi-square distributed, and the gain as normal: with three runs an arm it is
    the chance in these variances that decides, which a single number of degrees of freedom does not show.
    """
    many = design.clusters >= CLUSTERS_TO_DECIDE
    df_items = (design.clusters if many else design.items) - 1
    if design.seeds < 2 or df_items < 1:
        return 0.0
    both = between_draws(design) / (design.items * design.draws * design.seeds)
    spread = design.cluster_sd**2 / design.clusters
    runs = 2 * design.seed_sd**2 / design.seeds + both
    items = between_items(design) / design.items + both + (spread if many else 0.0)
    real = math.sqrt(runs + items - both + (0.0 if many else spread))
    left, right, over_items = np.meshgrid(
        runs / 2 * _chi(design.seeds - 1, 40), runs / 2 * _chi(design.seeds - 1, 40), items * _chi(df_items, 10)
    )
    over_runs = left + right
    seen = np.maximum(over_runs + over_items - both, np.maximum(over_runs, over_items))
    df = seen**2 / ((left**2 + right**2) / (design.seeds - 1) + over_items**2 / df_items)
    critical = special.stdtrit(df, 1 - alpha) * np.sqrt(seen)
    return float(special.ndtr((design.gain - critical) / real).mean())


def _chi(df: int, points: int) -> Floats:
    """Quantiles of chi-square over its degrees of freedom, at the middles of `points` equal shares."""
    return np.asarray(special.chdtri(df, 1 - (np.arange(points) + 0.5) / points) / df, dtype=np.float64)


def _non_inferiority(design: Design, alpha: float, margin: float) -> float:
    return _noncentral("paired_t", design, alpha, design.gain + margin)


def _equivalence(design: Design, alpha: float, margin: float) -> float:
    """Both one-sided tests at once: averaged over the distribution of the standard error (Phillips 1990)."""
    seen, real, df = errors("paired_t", design)
    if df < 1:
        return 0.0
    chi = special.chdtri(df, 1 - (np.arange(2000) + 0.5) / 2000)
    reach = margin - float(special.stdtrit(df, 1 - alpha)) * seen * np.sqrt(chi / df)
    inside = special.ndtr((reach - design.gain) / real) - special.ndtr((-reach - design.gain) / real)
    return float(np.mean(np.where(reach > 0, inside, 0.0)))


def _mcnemar(design: Design, alpha: float, margin: float) -> float:
    """Exact, for one draw: over all numbers of items that differ, and all ways to divide them."""
    gained, lost = discordance(design)
    differ = np.arange(design.items + 1)
    critical = _critical(design.items, alpha)
    share = lost / (gained + lost) if gained + lost > 0 else 0.5
    rejected = np.where(critical < 0, 0.0, special.bdtr(np.maximum(critical, 0), differ, share))
    return float(np.sum(_binomial(design.items, gained + lost) * rejected))


def _critical(items: int, alpha: float) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """For 0…items differing items, the most losses that still reject; -1 where none do."""
    found, critical = np.empty(items + 1, dtype=np.int64), -1
    for differ in range(items + 1):
        while critical + 1 <= differ and special.bdtr(critical + 1, differ, 0.5) <= alpha:
            critical += 1
        found[differ] = critical
    return found


def _binomial(n: int, share: float) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Chances of 0…n successes, through logarithms."""
    k = np.arange(n + 1)
    log = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return np.exp(log + special.xlogy(k, share) + special.xlog1py(n - k, -share))


def _sign_flip(design: Design, alpha: float, margin: float) -> float:
    """Exact McNemar for a single draw; else that of t, less half the step between two sums of flipped signs."""
    draws = design.draws * design.seeds
    if draws == 1 and not design.seed_sd and not design.cluster_sd:
        return _mcnemar(design, alpha, margin)
    return _noncentral("paired_t", design, alpha, design.gain - 1 / (draws * design.items))


def _few(design: Design) -> bool:
    """Whether the sign-flip test is to be simulated; one draw an item without other noise has an exact formula."""
    exact = design.draws * design.seeds == 1 and not design.seed_sd and not design.cluster_sd
    return design.items <= FEW_ITEMS and design.draws * design.seeds <= FEW_STEPS and not exact


@lru_cache(maxsize=1024)
def _simulated(test: str, design: Design, alpha: float, seed: int) -> Simulated:
    return simulated(test, design, alpha=alpha, repeats=4000, seed=seed)


FORMULAS: dict[str, Formula] = {
    "sign_flip": _sign_flip,
    "paired_t": _t("paired_t"),
    "mcnemar": _mcnemar,
    "cluster_robust": _t("cluster_robust"),
    "seed_level": _seed_level,
    "recipe": _recipe,
    "non_inferiority": _non_inferiority,
    "equivalence": _equivalence,
}
SIMULATED = ("wilcoxon",)
"""Tests whose power has no formula under this model."""
FEW_ITEMS, FEW_STEPS = 60, 50
"""Up to so many items, and steps of an item's mean, the sign-flip test is simulated: the formula knows of skewness but
not of heavy tails, and at 20 items asked for up to 15% too many (docs/operating.md)."""


def power(test: str, design: Design, *, alpha: float = 0.05, margin: float = 0.0, seed: int = 0) -> Power:
    """The chance that the test rejects at the design's gain.

    Args:
        test: a name of `FORMULAS` or `SIMULATED`.
        margin: of non-inferiority and equivalence, in points on [0, 1].
        seed: of the simulation, where one is needed (4,000 experiments).

    Source: noncentral t, Cohen 1988; McNemar, exact by enumeration, Duffy 1984.

    >>> round(power("sign_flip", Design(items=75, draws=10, gain=0.1)).power, 2)
    0.98
    >>> round(power("paired_t", Design(items=75, draws=10)).power, 4)
    0.05
    """
    between("alpha", alpha, 0, 0.5)
    if test in SIMULATED or (test == "sign_flip" and _few(design)):
        found = _simulated(test, design, alpha, seed)
        return Power(test, found.method, design.items, found.share, alpha, seed)
    if test not in FORMULAS:
        raise ValueError(f"test: wanted one of {', '.join((*FORMULAS, *SIMULATED))}, seen {test!r}")
    return Power(test, "formula", design.items, min(1.0, FORMULAS[test](design, alpha, margin)), alpha)
