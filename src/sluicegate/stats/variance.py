"""The variance model behind every forecast: what K pass/fail draws on n items can vary by.

Notation: item i is passed with chance p_i by the control and q_i by the experiment; E p = base, E q = base + gain.
Both are Beta distributed with intraclass correlation ρ (`heterogeneity`): 0 when all items are equally hard, towards 1
when every item is either always or never passed. A share r (`agreement`) of the items keeps its rank of difficulty in
both arms, the others are dealt anew. Then, with v = μ(1 - μ) of either arm, the difference of an item's means of K
draws over S seeds varies by

    σ² = ρ v_c + ρ v_e - 2 r Cov(p, q)  +  (1 - ρ)(v_c + v_e) / (K S)
         between items                     draws of one item

and the gain over n items by σ²/n. Training seeds move a whole run by `seed_sd`, scenarios move the gain by
`cluster_sd`; no test over items can see either. The defaults give a correlation of 0.45 between single draws of the
two arms, the middle of the 0.3-0.7 that Miller reports between models.

Source: Miller 2024 (arXiv 2411.00640), law of total variance and paired differences; Beta ICC: Williams 1975.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from scipy import special

from sluicegate.errors import UserError
from sluicegate.stats.bayes import intraclass
from sluicegate.stats.results import Floats, finite

QUANTILES = 2048
"""Items of the reference population that covariances are computed over."""


@dataclass(frozen=True, slots=True)
class Design:
    """What an experiment is planned to be, or was.

    Args:
        items: n, paired test items.
        draws: K, pass/fail draws an item and run.
        base: the control's pass rate, in (0, 1).
        gain: the experiment's pass rate minus base, in points on [0, 1].
        heterogeneity: ρ, in [0, 0.95].
        agreement: r, in [0, 1].
        seeds: S, training runs an arm.
        seed_sd: standard deviation of a run's pass rate over seeds, in points on [0, 1].
        clusters: C, scenarios of equal size.
        cluster_sd: standard deviation of the gain over scenarios, in points on [0, 1].

    Raises:
        UserError: a value out of its range, or base + gain outside (0, 1).
    """

    items: int
    draws: int = 1
    base: float = 0.5
    gain: float = 0.0
    heterogeneity: float = 0.5
    agreement: float = 0.9
    seeds: int = 1
    seed_sd: float = 0.0
    clusters: int = 1
    cluster_sd: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what no experiment can be."""
        ranges = {
            "items": (self.items, 1, 10**7),
            "draws": (self.draws, 1, 10**6),
            "base": (self.base, 1e-6, 1 - 1e-6),
            "base + gain": (self.base + self.gain, 1e-6, 1 - 1e-6),
            "heterogeneity": (self.heterogeneity, 0, 0.95),
            "agreement": (self.agreement, 0, 1),
            "seeds": (self.seeds, 1, 10**4),
            "seed_sd": (self.seed_sd, 0, 1),
            "clusters": (self.clusters, 1, 10**6),
            "cluster_sd": (self.cluster_sd, 0, 1),
        }
        for name, (value, low, high) in ranges.items():
            if not low <= value <= high:
                raise UserError(f"design: {name} out of range", wanted=f"{low:g} to {high:g}", seen=f"{value:g}")


@lru_cache(maxsize=64)
def chances(rate: float, heterogeneity: float) -> Floats:
    """The items' chances of a pass at evenly spaced quantiles, ascending, shape (2048,)."""
    quantiles = (np.arange(QUANTILES) + 0.5) / QUANTILES
    if heterogeneity <= 0:
        found = np.full(QUANTILES, rate)
    else:
        size = (1 - heterogeneity) / heterogeneity
        found = np.asarray(special.betaincinv(rate * size, (1 - rate) * size, quantiles), dtype=np.float64)
    found.setflags(write=False)
    return found


@lru_cache(maxsize=4096)
def _spread(base: float, rate: float, heterogeneity: float, agreement: float) -> tuple[float, float]:
    """Variance between items, and of one draw in each arm."""
    before, after = chances(base, heterogeneity), chances(rate, heterogeneity)
    shared = float(np.mean(before * after) - before.mean() * after.mean())
    between = float(before.var() + after.var()) - 2 * agreement * shared
    within = float(np.mean(before * (1 - before)) + np.mean(after * (1 - after)))
    return max(0.0, between), within


def between_items(design: Design) -> float:
    """Variance of q_i - p_i: more draws do not lower it, more items do."""
    return _spread(design.base, design.base + design.gain, design.heterogeneity, design.agreement)[0]


def between_draws(design: Design) -> float:
    """Variance of one draw in each arm, given the item: both arms' (1 - ρ) v together."""
    return _spread(design.base, design.base + design.gain, design.heterogeneity, design.agreement)[1]


def item_variance(design: Design) -> float:
    """σ², the variance of one item's difference.

    >>> round(item_variance(Design(items=75, draws=10)), 4)
    0.05
    """
    return between_items(design) + between_draws(design) / (design.draws * design.seeds)


def item_skewness(design: Design) -> float:
    """Skewness of one item's difference: what a gain from a low rate has, and a change without gain has not.

    >>> round(item_skewness(Design(items=20, draws=10, base=0.1, gain=0.1)), 2)
    0.95
    >>> abs(item_skewness(Design(items=20, draws=10, base=0.1))) < 1e-9
    True
    """
    before = chances(design.base, design.heterogeneity)
    after = chances(design.base + design.gain, design.heterogeneity)
    draws = design.draws * design.seeds
    third = _third(after, draws) - _third(before, draws)
    away, gone = after - after.mean(), before - before.mean()
    noise = (after * (1 - after) + before * (1 - before)) / draws
    alike = float(np.mean((away - gone) ** 3 - away**3 + gone**3))
    alike += 3 * float(np.mean((away - gone) * noise))
    alike -= 3 * float(np.mean(away * after * (1 - after) - gone * before * (1 - before))) / draws
    return float((third + design.agreement * alike) / item_variance(design) ** 1.5)


def _third(chance: Floats, draws: int) -> float:
    """Third central moment of one arm's item mean: between items, items with draws, draws."""
    away, one = chance - chance.mean(), chance * (1 - chance)
    return float(np.mean(away**3 + 3 * away * one / draws + one * (1 - 2 * chance) / draws**2))


def discordance(design: Design) -> tuple[float, float]:
    """P(only the experiment passes) and P(only the control passes) of a single draw each.

    >>> tuple(round(share, 4) for share in discordance(Design(items=75)))
    (0.1375, 0.1375)
    """
    before = chances(design.base, design.heterogeneity)
    after = chances(design.base + design.gain, design.heterogeneity)
    shared = float(np.mean(before * after) - before.mean() * after.mean())
    both = float(before.mean() * after.mean()) + design.agreement * shared
    return float(after.mean()) - both, float(before.mean()) - both


def fit(control: Iterable[float], experiment: Iterable[float], draws: int, *, prior: Design) -> Design:
    """The design of a finished stage: base, gain, heterogeneity and agreement from its items.

    What the scores cannot tell is taken from `prior`: heterogeneity at K = 1, agreement where items are all alike,
    seeds and clusters always. Rates are kept off 0 and 1 by half a pass, since no finite sample shows certainty.

    Args:
        control, experiment: each item's share of passing draws, paired, shape (n,).
        draws: K.

    Raises:
        UserError: fewer than two items.

    >>> found = fit([0.0, 0.5, 1.0, 0.5], [0.25, 0.5, 1.0, 1.0], 4, prior=Design(items=4))
    >>> round(found.base, 3), round(found.gain, 3), found.items
    (0.5, 0.176, 4)
    """
    before, after = finite(control, "control"), finite(experiment, "experiment")
    if before.size != after.size or before.size < 2:
        seen = f"{before.size} and {after.size}"
        raise UserError("fit: too few items", wanted="two or more paired items", seen=seen)
    trials = before.size * draws
    base, rate = ((float(arm.mean()) * trials + 0.5) / (trials + 1) for arm in (before, after))
    icc = prior.heterogeneity if draws < 2 else (intraclass(before, draws) + intraclass(after, draws)) / 2
    heterogeneity = min(0.95, icc)
    scale = heterogeneity * float(np.sqrt(base * (1 - base) * rate * (1 - rate)))
    shared = float(np.cov(before, after)[0, 1])
    agreement = min(1.0, max(0.0, shared / scale)) if scale > 1e-3 else prior.agreement
    return replace(
        prior, items=int(before.size), draws=draws, base=base, gain=rate - base,
        heterogeneity=heterogeneity, agreement=agreement,
    )  # fmt: skip
