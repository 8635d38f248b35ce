"""The evidence for "this recipe is better": a gain over training runs and over items, with the noise of both.

A gain over n items and S runs an arm varies by items/n + seeds/S + draws/(n K S). The test over items sees the first
and the last, Welch's t over runs the last two. Each calls the noise that it does not see evidence, and asking for both
does not mend that where both are of a size: 8% false GO at a level of 5% with 500 items, 5 runs and one point of seed
noise (docs/operating.md). Runs and items are crossed, so their variances add, less what both count.

Source: Cameron, Gelbach and Miller, Journal of Business and Economic Statistics 2011 (V = V_runs + V_items - V_both);
the largest of the three where the difference is smaller: MacKinnon, Nielsen and Webb 2021; degrees of freedom:
Satterthwaite 1946, with Welch's for the runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sluicegate.errors import UserError
from sluicegate.stats.groups import RUNS_FOR_A_RECIPE, over_clusters
from sluicegate.stats.paired import TINY, t_tail
from sluicegate.stats.results import Alternative, Estimate, Floats, between, finite, known

CLUSTERS_TO_DECIDE = 5
"""Scenarios from which a claim is about scenarios like these; with fewer, t over them shows hardly anything."""


class Crossed(NamedTuple):
    """Gain, its variance and degrees of freedom, each of shape (...); df is 0 where there is no variance."""

    gain: Floats
    variance: Floats
    df: Floats


def crossed(before: Floats, after: Floats, which: NDArray[np.int64] | None = None) -> Crossed:
    """The gain of any number of experiments at once.

    Args:
        before, after: means of each run and item, shape (..., runs, items), two or more of each.
        which: the cluster of each item, shape (items,); None where items are independent.
    """
    runs = [arm.mean(axis=-1).var(axis=-1, ddof=1) / arm.shape[-2] for arm in (before, after)]
    over_runs = runs[0] + runs[1]
    over_items, df = _over_items(after.mean(axis=-2) - before.mean(axis=-2), which)
    variance = over_runs + over_items - (_both(before) + _both(after))
    variance = np.maximum(variance, np.maximum(over_runs, over_items))
    parts = runs[0] ** 2 / (before.shape[-2] - 1) + runs[1] ** 2 / (after.shape[-2] - 1) + over_items**2 / df
    found = np.divide(variance**2, parts, out=np.zeros_like(parts), where=parts > 0)
    return Crossed(after.mean(axis=(-2, -1)) - before.mean(axis=(-2, -1)), variance, found)


def _over_items(differences: Floats, which: NDArray[np.int64] | None) -> tuple[Floats, float]:
    """Variance of a mean over items, or over clusters of them, and its degrees of freedom."""
    n = differences.shape[-1]
    return (differences.var(axis=-1, ddof=1) / n, n - 1) if which is None else over_clusters(differences, which)


def _both(arm: Floats) -> Floats:
    """What runs and items both count: the variance that is left when each has its own mean, over all cells."""
    runs, items = arm.shape[-2:]
    left = arm - arm.mean(axis=-1, keepdims=True) - arm.mean(axis=-2, keepdims=True)
    left += arm.mean(axis=(-2, -1), keepdims=True)
    return np.asarray((left**2).sum(axis=(-2, -1)) / ((runs - 1) * (items - 1) * runs * items), dtype=np.float64)


def recipe_level(
    control: Iterable[Iterable[float]],
    experiment: Iterable[Iterable[float]],
    *,
    clusters: Sequence[str] | None = None,
    alternative: Alternative = "greater",
    level: float = 0.95,
) -> Estimate:
    """The gain of a recipe over training runs and items, both drawn from many.

    Args:
        control, experiment: the item means of each run, the items in one order, shape (runs, n).
        clusters: the scenario of each item, shape (n,), where the claim is about scenarios like these.

    Returns:
        An estimate whose n counts items; p and interval are None for fewer than two runs, items or clusters, or
        no spread.

    Raises:
        UserError: runs of different lengths, NaN or infinities.

    >>> before = [[0.0, 0.5, 1.0, 0.5], [0.1, 0.5, 0.9, 0.4], [0.0, 0.4, 1.0, 0.5]]
    >>> after = [[0.2, 0.9, 1.0, 0.8], [0.3, 0.8, 1.0, 0.9], [0.2, 0.9, 1.0, 0.7]]
    >>> found = recipe_level(before, after)
    >>> round(found.estimate, 3), found.method, found.p < 0.05
    (0.242, 'runs and items crossed, 3 + 3 runs', True)
    """
    known(alternative)
    between("level", level, 0, 1)
    before, after, which = _laid_out(control, experiment, clusters)
    n = before.shape[1]
    scenarios = "" if which is None else f", {int(which.max(initial=-1)) + 1} clusters"
    method = f"runs and items crossed, {len(before)} + {len(after)} runs{scenarios}"
    runs = min(len(before), len(after))
    if min(runs, n) < 2 or (which is not None and which.max() < 1):
        note = "fewer than two runs an arm, items or clusters: the noise between them is unknown"
        gain = float(after.mean() - before.mean()) if runs and n else None
        return Estimate(method, n, gain, None, None, None, None, None, alternative, level, note=note)
    gain, variance, df = (float(value) for value in crossed(before, after, which))
    se = math.sqrt(variance)
    if se <= TINY:
        return Estimate(method, n, gain, None, None, None, None, None, alternative, level, note="no spread")
    half = float(special.stdtrit(df, 0.5 + level / 2)) * se
    p = t_tail(gain / se, df, alternative)
    few = runs < RUNS_FOR_A_RECIPE
    note = f"fewer than {RUNS_FOR_A_RECIPE} runs an arm: no recipe claim" if few else ""
    return Estimate(method, n, gain, se, df, gain - half, gain + half, p, alternative, level, note=note)


def _laid_out(
    control: Iterable[Iterable[float]], experiment: Iterable[Iterable[float]], clusters: Sequence[str] | None
) -> tuple[Floats, Floats, NDArray[np.int64] | None]:
    """Both arms as matrices (runs × items) and the number of each item's cluster."""
    rows = [[finite(run, f"{name}, run {number}") for number, run in enumerate(arm)]
            for name, arm in (("control", control), ("experiment", experiment))]  # fmt: skip
    lengths = {run.size for arm in rows for run in arm} | ({len(clusters)} if clusters is not None else set())
    if len(lengths) > 1:
        seen = " and ".join(str(length) for length in sorted(lengths))
        raise UserError("recipe_level: lengths differ", wanted="every run on the same items", seen=f"{seen} items")
    size = max(lengths, default=0)
    before, after = (np.array(arm, dtype=np.float64).reshape(len(arm), size) for arm in rows)
    if clusters is None:
        return before, after, None
    return before, after, np.unique(np.asarray(clusters, dtype=np.str_), return_inverse=True)[1].astype(np.int64)
