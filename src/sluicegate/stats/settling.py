"""How many more items, draws or seeds would settle what a stage left open, from the spread that it measured.

The decision is that of stages 3 and 4 on the primary metric: GO when the sign-flip test over items holds at `alpha`,
with three runs an arm or more also the test over runs and items crossed (`recipe`), with five scenarios or more also t
over scenarios; STOP when the upper bound of the two-sided interval over items, at level 1 - 2 alpha, lies below the
smallest gain worth its cost; else INCONCLUSIVE. `planning` asks the same of an assumed `Design` and one test at a time;
here the spread is what `components` measured, and all tests must hold at once. Fewer scenarios than decide are taken
as they are, not as drawn from many: the claim is on these alone then.

Not foreseen: other metrics that must not worsen, and the shape of the differences. With skewed or heavy-tailed ones
the chances come out too low below 40 items or so, and too much is asked for: 27 items where the planner, which
simulates, finds 21 (rate 0.1, gain 0.1, 10 draws).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from scipy import special

from sluicegate.stats.groups import RUNS_FOR_A_RECIPE
from sluicegate.stats.intervals import PSEUDO_ITEMS
from sluicegate.stats.planning import LIMITS
from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE
from sluicegate.stats.results import Floats, between

POINTS = {"items": 16, "scenarios": 10, "runs": 12}
"""Quantiles of each measured variance that chances are averaged over."""
RANGE = 0.8
"""Of the uncertainty of a measured variance that `low` to `high` spans."""
TAILS = 2
"""Items are taken to tell half as much of their variance as normal ones would: differences of pass/fail draws have a
kurtosis of 3.5 to 8 in the variance model. Simulated, n 30 to 100, K 1 to 10, 300 stages a cell: the range then holds
the truth in 79 to 96% (68% at a rate of 0.1), without it in 64 to 90% (51%); tests/stats/test_components.py repeats a
cell."""

Kind = Literal["items", "draws", "seeds"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How large an experiment is: n items in all, K draws of each in a run, S runs an arm, C scenarios."""

    items: int
    draws: int = 1
    seeds: int = 1
    scenarios: int = 1

    def __post_init__(self) -> None:
        """Refuse what no experiment can be."""
        if min(self.items, self.draws, self.seeds, self.scenarios) < 1:
            raise ValueError(f"sizes: wanted 1 or more of each, seen {self}")


@dataclass(frozen=True, slots=True)
class Settled:
    """How many would settle it, in all and not in addition; the other sizes stay.

    Args:
        wanted: may be fewer than there were: the sizes were enough, and chance or a gain between the two left it open.
            None where no number within `planning.LIMITS` is enough.
        low, high: the same for the smallest and the largest variance in its 80% range; high None for no end.
    """

    vary: Kind
    have: int
    wanted: int | None
    low: int | None
    high: int | None


class _Spread(NamedTuple):
    """Variances: of the gain as it is, and of its error as items, runs and scenarios show it, and what both show."""

    gain: float
    items: float
    runs: float
    both: float
    scenarios: float


def _pure(variance: Mapping[str, float], seeds: int) -> dict[str, float]:
    """The components with the interaction taken out of the items, where `seeds` runs left 1/seeds of it in them."""
    found = dict.fromkeys(("items", "draws", "seeds", "interaction", "scenarios"), 0.0) | dict(variance)
    return found | {"items": max(0.0, found["items"] - found["interaction"] / seeds)}


def _spread(pure: Mapping[str, float], sizes: Sizes, step: float) -> _Spread:
    n, draws, seeds, scenarios = sizes.items, sizes.draws, sizes.seeds, sizes.scenarios
    cell = pure["interaction"] + pure["draws"] / draws
    # half a pseudo-item, as in the interval: items that all differ alike are no proof that the next one will
    least = PSEUDO_ITEMS * step**2 / (draws * seeds * (n + PSEUDO_ITEMS))
    item = max(pure["items"] + cell / seeds, least, 1e-18)
    over_scenarios = item / n + pure["scenarios"] / scenarios
    return _Spread(
        gain=(over_scenarios if scenarios >= CLUSTERS_TO_DECIDE else item / n) + pure["seeds"] / seeds,
        items=(item + pure["scenarios"] * (1 - 1 / scenarios)) / n,
        runs=(pure["seeds"] + cell / n) / seeds,
        both=cell / (n * seeds),
        scenarios=over_scenarios,
    )


@lru_cache(maxsize=256)
def _chi(df: int, points: int) -> Floats:
    """Quantiles of χ²/df at the middles of `points` equal shares: what a variance is found to be, over what it is."""
    return np.asarray(special.chdtri(df, 1 - (np.arange(points) + 0.5) / points) / df, dtype=np.float64)


def _over_items(seen: _Spread, n: int) -> Floats:
    """The variances over items that may be measured, on the first of the axes items, scenarios, left, right."""
    return (seen.items * _chi(n - 1, POINTS["items"]))[:, None, None, None]


def _hurdle(seen: _Spread, sizes: Sizes, alpha: float, step: float) -> Floats:
    """How large a gain must be for all tests to hold, over what each variance may be found to be."""
    n, seeds, scenarios = sizes.items, sizes.seeds, sizes.scenarios
    over = _over_items(seen, n)
    height = special.stdtrit(n - 1, 1 - alpha) * np.sqrt(over) + step / (sizes.draws * seeds * n)
    df = n - 1
    if scenarios >= CLUSTERS_TO_DECIDE:
        df = scenarios - 1
        over = (seen.scenarios * _chi(df, POINTS["scenarios"]))[None, :, None, None]
        height = np.maximum(height, special.stdtrit(df, 1 - alpha) * np.sqrt(over))
    if seeds >= RUNS_FOR_A_RECIPE:
        arm = seen.runs / 2 * _chi(seeds - 1, POINTS["runs"])
        left, right = arm[:, None], arm[None, :]
        crossed = np.maximum(left + right + over - seen.both, np.maximum(left + right, over))
        satterthwaite = crossed**2 / ((left**2 + right**2) / (seeds - 1) + over**2 / df)
        height = np.maximum(height, special.stdtrit(satterthwaite, 1 - alpha) * np.sqrt(crossed))
    return np.asarray(height, dtype=np.float64)


def power_of(
    variance: Mapping[str, float],
    *,
    gain: float,
    sizes: Sizes,
    alpha: float,
    minimum: float | None = None,
    step: float = 1.0,
    measured_seeds: int | None = None,
) -> float:
    """The chance of GO when `gain` is the truth.

    The measured gain is taken as normal, each measured variance as χ²/df times what it estimates, and all as
    independent. A GO is a gain above the highest of its hurdles, each a critical value times a standard error; so the
    chance is the mean of a normal tail over what the variances may be found to be. For a single test that is
    noncentral t.

    Args:
        variance: what `components` gives; what is missing counts as 0.
        gain: in points on [0, 1].
        alpha: one-sided, of each test.
        minimum: the smallest gain worth its cost; a GO also needs the upper bound at or above it.
        step: the smallest step of one draw's score: 1 for pass or fail, near 0 for scores of any value. Sums of
            flipped signs are that coarse, which costs the sign-flip test some power.
        measured_seeds: runs an arm that `variance` was measured over; None for those of `sizes`.

    Source: noncentral t, Cohen 1988; averaging over the standard error, Phillips 1990.

    >>> variance = {"items": 0.025, "draws": 0.25}
    >>> round(power_of(variance, gain=0.1, sizes=Sizes(items=36, draws=10), alpha=0.05), 2)
    0.82
    >>> round(power_of(variance, gain=0.1, sizes=Sizes(items=36, draws=10, seeds=3), alpha=0.05), 2)
    0.93
    """
    between("alpha", alpha, 0, 0.5)
    n, seeds = sizes.items, sizes.seeds
    if n < 2 or 0.5**n > alpha:  # even a gain on every item would not do
        return 0.0
    seen = _spread(_pure(variance, measured_seeds or seeds), sizes, step)
    height = _hurdle(seen, sizes, alpha, step)
    if minimum is not None:
        height = np.maximum(height, _stops_below(seen, n, alpha, minimum))
    return float(special.ndtr((gain - height) / math.sqrt(seen.gain)).mean())


def _stops_below(seen: _Spread, n: int, alpha: float, minimum: float) -> Floats:
    """The gain below which the upper bound is below `minimum`."""
    return np.asarray(minimum - special.stdtrit(n - 1, 1 - alpha) * np.sqrt(_over_items(seen, n)), dtype=np.float64)


def stop_of(
    variance: Mapping[str, float],
    *,
    gain: float,
    sizes: Sizes,
    alpha: float,
    minimum: float,
    step: float = 1.0,
    measured_seeds: int | None = None,
) -> float:
    """The chance of STOP when `gain` is the truth: that the upper bound of the gain falls below `minimum`.

    Args: as `power_of`.

    >>> variance = {"items": 0.025, "draws": 0.25}
    >>> round(stop_of(variance, gain=0.0, sizes=Sizes(items=124, draws=10), alpha=0.05, minimum=0.05), 2)
    0.8
    """
    between("alpha", alpha, 0, 0.5)
    n = sizes.items
    if n < 2:
        return 0.0
    seen = _spread(_pure(variance, measured_seeds or sizes.seeds), sizes, step)
    height = _stops_below(seen, n, alpha, minimum)
    return float(special.ndtr((height - gain) / math.sqrt(seen.gain)).mean())


def settles(
    variance: Mapping[str, float],
    *,
    gain: float,
    have: Sizes,
    alpha: float,
    target: float = 0.8,
    minimum: float | None = None,
    step: float = 1.0,
) -> tuple[Settled, ...]:
    """The least items, the least draws and the least seeds that would settle it, each with all else as it is.

    "Would settle it" looks at the two truths that a stage is run to tell apart. If the true gain is `gain` (that of
    the design), the number gives a GO with chance `target`. If it is 0 (two arms alike, an A/A experiment), it gives a
    STOP with that chance, where `minimum` is given; then the larger number of the two is wanted. That is mostly the
    STOP's, whose upper bound has only `minimum` to stay below. For a truth between 0 and `gain` both chances are
    lower, and one near half of `minimum` takes many times as much. The gain that was measured is not used: planning
    for it would ask for too little after a lucky stage and for too much after an unlucky one.

    The number is of one new decision at `alpha` on evidence of that size, gathered by the same rules. Adding items to
    the old ones and testing again at the same alpha is another test than the one computed here.

    Args:
        variance: what `components` gives for what the stage measured.
        gain: the design gain, in points, in (0, 1).
        have: the sizes measured.
        alpha: one-sided, of the decision.
        minimum: the smallest gain worth its cost; None to look at GO only.
        step: as in `power_of`.

    Returns:
        Items always; draws where `variance` tells them from items; seeds, `RUNS_FOR_A_RECIPE` or more, where there
        were several runs (more runs would not settle a claim about one checkpoint, they make it another claim).
        Nothing without a variance. `low` and `high` are for the mean squares of items, runs and scenarios all at the
        10% and all at the 90% end of their χ² distributions, with (items - scenarios) / TAILS, 2 (seeds - 1) and
        scenarios - 1 degrees of freedom.

    Raises:
        UserError: gain, alpha or target out of range.

    Source: the χ² range of a mean square, Searle, Casella and McCulloch 1992.

    >>> variance, have = {"items": 0.025, "draws": 0.25}, Sizes(items=20, draws=10)
    >>> [(row.vary, row.wanted, row.low, row.high) for row in settles(variance, gain=0.1, have=have, alpha=0.05)]
    [('items', 35, 23, 69), ('draws', 55, 12, None)]
    >>> settles(variance, gain=0.1, have=have, alpha=0.05, minimum=0.05)[0].wanted
    125
    """
    between("gain", gain, 0, 1)
    between("target", target, 0, 1)
    if not variance or have.items < 2:
        return ()
    asked = _Asked(gain, have, alpha, target, minimum, step)
    ends = (variance, *(_at(variance, have, quantile) for quantile in (0.5 + RANGE / 2, 0.5 - RANGE / 2)))
    kinds: list[Kind] = ["items"]
    if "draws" in variance:
        kinds.append("draws")
    if "seeds" in variance and have.seeds > 1:
        kinds.append("seeds")
    return tuple(Settled(vary, getattr(have, vary), *(asked.least(vary, spread) for spread in ends)) for vary in kinds)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What counts as settled."""

    gain: float
    have: Sizes
    alpha: float
    target: float
    minimum: float | None
    step: float

    def least(self, vary: Kind, variance: Mapping[str, float]) -> int | None:
        """The least number of one size at which it is settled."""

        def reached(count: int) -> bool:
            return self._settled(variance, replace(self.have, **{vary: count}))

        return _least(reached, RUNS_FOR_A_RECIPE if vary == "seeds" else 1, LIMITS[vary])

    def _settled(self, variance: Mapping[str, float], sizes: Sizes) -> bool:
        go = power_of(
            variance, gain=self.gain, sizes=sizes, alpha=self.alpha, minimum=self.minimum, step=self.step,
            measured_seeds=self.have.seeds,
        )  # fmt: skip
        if go < self.target or self.minimum is None:
            return go >= self.target
        stop = stop_of(
            variance, gain=0.0, sizes=sizes, alpha=self.alpha, minimum=self.minimum, step=self.step,
            measured_seeds=self.have.seeds,
        )  # fmt: skip
        return stop >= self.target


def _least(reached: Callable[[int], bool], start: int, limit: int) -> int | None:
    """The least count from `start` to `limit` at which it is reached, found by doubling and halving."""
    low, high = start - 1, start
    while not reached(high):
        if high == limit:
            return None
        low, high = high, min(limit, high * 2)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _at(variance: Mapping[str, float], have: Sizes, quantile: float) -> dict[str, float]:
    """The components if the measured mean squares lay at this quantile of their distribution.

    Each mean square holds a component and the finer ones; these are known better and stay.
    """

    def scaled(component: float, finer: float, df: float) -> float:
        if df < 1:
            return component
        return max(0.0, (component + finer) * df / float(special.chdtri(df, 1 - quantile)) - finer)

    found = dict(variance)
    drawn = found.get("draws", 0.0) / have.draws
    alone = found.get("interaction", 0.0)
    found["items"] = scaled(found["items"], drawn / have.seeds, (have.items - have.scenarios) / TAILS)
    if "seeds" in found:
        found["seeds"] = scaled(found["seeds"], (alone + drawn) / have.items, 2 * (have.seeds - 1))
    if "scenarios" in found:
        finer = variance["items"] + drawn / have.seeds
        found["scenarios"] = scaled(found["scenarios"], finer * have.scenarios / have.items, have.scenarios - 1)
    return found
