"""The rule of the deciding stages, for whole batches of simulated experiments at once.

The same tests and intervals as `compare` and the same order of outcomes as `criteria` and `gate`, over the rows of a
matrix; tests/stages/test_operating.py holds both against each other. What is not simulated: evidence that is invalid
(RETRY), and metrics that are no pass/fail draws.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sluicegate.errors import UserError
from sluicegate.stats import RUNS_FOR_A_RECIPE, Design
from sluicegate.stats.groups import over_clusters
from sluicegate.stats.intervals import PSEUDO_ITEMS, constant_interval
from sluicegate.stats.paired import TINY
from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE, crossed
from sluicegate.stats.results import Floats
from sluicegate.stats.simulate import clusters, runs, sign_flip_ps

STOP, GO, INCONCLUSIVE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Guard:
    """A metric that must not worsen, of as many pass/fail draws as the primary and independent of it.

    Args:
        margin: in points on [0, 1].
        base, gain: the control's rate and what the change does to it.
    """

    margin: float
    base: float = 0.9
    gain: float = 0.0


@dataclass(frozen=True, slots=True)
class Rule:
    """What a study declares of its decisions.

    Args:
        alpha: one-sided, of all attempts together.
        minimum: smallest gain worth its cost, in points on [0, 1].
        attempts: declared decisions, each at alpha/attempts.
        guards: metrics that must not worsen.
        bounds: whose bounds STOP and the guards look at: those of the whole `claim`, as the gate does, which with three
            runs or five scenarios are wider; or, to show why, those over `items` alone.

    Raises:
        UserError: a value out of its range.
    """

    alpha: float = 0.05
    minimum: float = 0.05
    attempts: int = 1
    guards: tuple[Guard, ...] = ()
    bounds: Literal["items", "claim"] = "claim"

    def __post_init__(self) -> None:
        """Refuse what no study can declare."""
        if not (0 < self.alpha < 0.5 and 1 <= self.attempts <= 1000):
            seen = f"alpha {self.alpha:g}, attempts {self.attempts}"
            raise UserError("rule: out of range", wanted="alpha in (0, 0.5), attempts from 1", seen=seen)

    @property
    def each(self) -> float:
        """Alpha of one decision."""
        return self.alpha / self.attempts


class Bounds(NamedTuple):
    """Both ends of an interval for each experiment, shape (repeats,)."""

    low: Floats
    high: Floats

    def hold(self, truth: float) -> NDArray[np.bool_]:
        """Whether the truth lies inside, for each experiment."""
        return (self.low <= truth) & (truth <= self.high)


class Batch(NamedTuple):
    """Experiments of one design, drawn.

    Args:
        before, after: pass shares of each run and item, shape (repeats, runs, items).
        differences: of item means, shape (repeats, items).
    """

    design: Design
    before: Floats
    after: Floats
    differences: Floats

    @property
    def draws(self) -> int:
        """Pass/fail draws of an item in each arm."""
        return self.design.draws * self.design.seeds


class Decided(NamedTuple):
    """What the rule says of each experiment, and the p that it rests on; None where a test does not decide.

    Args:
        items: sign-flip over items.
        recipe: runs and items crossed, with three or more runs an arm.
        clusters: cluster-robust t, with five or more scenarios.
    """

    outcome: NDArray[np.int8]
    items: Floats
    recipe: Floats | None
    clusters: Floats | None


def deciding_test(design: Design) -> str:
    """The test of `stats.power` that is the last to say GO for a design: what a forecast of power is about.

    >>> deciding_test(Design(items=75)), deciding_test(Design(items=75, seeds=3))
    ('sign_flip', 'recipe')
    """
    if design.seeds >= RUNS_FOR_A_RECIPE:
        return "recipe"
    return "cluster_robust" if design.clusters >= CLUSTERS_TO_DECIDE else "sign_flip"


def draw(design: Design, repeats: int, rng: np.random.Generator) -> Batch:
    """Experiments from the variance model."""
    before, after = runs(design, repeats, rng)
    steps = design.draws * design.seeds
    differences = np.rint(steps * (after.mean(axis=1) - before.mean(axis=1))) / steps
    return Batch(design, before, after, differences)


def decide(batch: Batch, rule: Rule, rng: np.random.Generator) -> Decided:
    """One decision on each experiment, at alpha/attempts."""
    level, alpha = 1 - 2 * rule.each, rule.each
    items = sign_flip_ps(batch.differences, batch.draws)
    recipe = recipe_ps(batch) if batch.design.seeds >= RUNS_FOR_A_RECIPE else None
    scenarios = cluster_ps(batch) if batch.design.clusters >= CLUSTERS_TO_DECIDE else None
    go, stop = items <= alpha, _bounds(batch, rule, level).high < rule.minimum
    for p in (recipe, scenarios):
        if p is not None:
            go &= p <= alpha
    for guard in rule.guards:
        bounds = _bounds(_guarded(batch, guard, rng), rule, level)
        go &= bounds.low > -guard.margin
        stop |= bounds.high < -guard.margin
    outcome = np.where(stop, STOP, np.where(go, GO, INCONCLUSIVE)).astype(np.int8)
    return Decided(outcome, items, recipe, scenarios)


def _guarded(batch: Batch, guard: Guard, rng: np.random.Generator) -> Batch:
    return draw(replace(batch.design, base=guard.base, gain=guard.gain), len(batch.differences), rng)


def _bounds(batch: Batch, rule: Rule, level: float) -> Bounds:
    found = [gain_bounds(batch, level)]
    if rule.bounds == "claim" and batch.design.seeds >= RUNS_FOR_A_RECIPE:
        found.append(recipe_bounds(batch, level))
    if rule.bounds == "claim" and batch.design.clusters >= CLUSTERS_TO_DECIDE:
        found.append(cluster_bounds(batch, level))
    return Bounds(np.min([each.low for each in found], axis=0), np.max([each.high for each in found], axis=0))


def gain_bounds(batch: Batch, level: float) -> Bounds:
    """`stats.gain_interval` of pass/fail draws: the adjusted t, and the exact bound where all differences are equal."""
    values, n = batch.differences, batch.design.items
    size = n + PSEUDO_ITEMS
    centre = values.sum(axis=1) / size
    squares = (values**2).sum(axis=1) + PSEUDO_ITEMS / batch.draws
    half = special.stdtrit(max(1, n - 1), 0.5 + level / 2) * np.sqrt((squares / size - centre**2) / size)
    low, high = np.maximum(-1.0, centre - half), np.minimum(1.0, centre + half)
    for row in np.flatnonzero(np.ptp(values, axis=1) <= TINY):
        found = constant_interval(float(values[row, 0]), n, level=level)
        low[row], high[row] = found.low, found.high
    return Bounds(low, high)


def recipe_ps(batch: Batch) -> Floats:
    """`stats.recipe_level`: over scenarios too where there are enough of them; 1 where there is no spread."""
    gain, variance, df = crossed(batch.before, batch.after, _which(batch.design))
    return _t_ps(gain, np.sqrt(variance), df)


def recipe_bounds(batch: Batch, level: float) -> Bounds:
    """The interval of `stats.recipe_level`; all of [-1, 1] where there is no spread."""
    gain, variance, df = crossed(batch.before, batch.after, _which(batch.design))
    return _t_bounds(gain, np.sqrt(variance), df, level)


def _which(design: Design) -> NDArray[np.int64] | None:
    return clusters(design) if design.clusters >= CLUSTERS_TO_DECIDE else None


def _cluster_errors(batch: Batch) -> tuple[Floats, Floats, float]:
    """Mean, cluster-robust standard error and its degrees of freedom."""
    variance, df = over_clusters(batch.differences, clusters(batch.design))
    return batch.differences.mean(axis=1), np.sqrt(variance), df


def cluster_ps(batch: Batch) -> Floats:
    """`stats.cluster_robust`; 1 where there is no spread between clusters."""
    return _t_ps(*_cluster_errors(batch))


def cluster_bounds(batch: Batch, level: float) -> Bounds:
    """The interval of `stats.cluster_robust`; all of [-1, 1] where there is no spread between clusters."""
    return _t_bounds(*_cluster_errors(batch), level)


def welch_ps(batch: Batch) -> Floats:
    """`stats.seed_level`: over runs alone; 1 where the runs of each arm are equal."""
    before, after = batch.before.mean(axis=2), batch.after.mean(axis=2)
    left, right = (arm.var(axis=1, ddof=1) / batch.design.seeds for arm in (before, after))
    df = (left + right) ** 2 / np.maximum((left**2 + right**2) / (batch.design.seeds - 1), 1e-300)
    return _t_ps(after.mean(axis=1) - before.mean(axis=1), np.sqrt(left + right), df)


def _t_ps(centre: Floats, se: Floats, df: Floats | float) -> Floats:
    """One-sided p; without spread there is no test, which a p of 1 says."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = special.stdtr(np.maximum(df, 1e-9), -centre / se)
    return np.asarray(np.where(se > TINY, found, 1.0), dtype=np.float64)


def _t_bounds(centre: Floats, se: Floats, df: Floats | float, level: float) -> Bounds:
    half = np.where(se > TINY, special.stdtrit(np.maximum(df, 1e-9), 0.5 + level / 2) * se, 2.0)
    return Bounds(np.maximum(-1.0, centre - half), np.minimum(1.0, centre + half))
