"""The older criterion on simulated experiments: several judged metrics, their average, and any p below 0.05.

Notation: M metrics, each a grade on five steps from 0 to 1 (a judge's 1 to 5), one answer an item and arm. A grade is
the number of 4 steps that the answer reaches, each with the item's chance of the variance model, and the grades of one
answer resemble each other: their ranks come from one normal score with correlation `ALIKE`. Every metric has the same
base rate and the same gain.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from sluicegate.stages.older import AVERAGE, P
from sluicegate.stats import Design
from sluicegate.stats.results import Floats
from sluicegate.stats.variance import QUANTILES, chances

ALIKE = 0.5
"""Correlation of the normal scores behind two grades of one answer."""
STEPS = 4
CELLS = 2_000_000


@dataclass(frozen=True, slots=True)
class Older:
    """Shares of n simulated experiments that the older criterion lets through, and in which any p is below 0.05.

    Args:
        go, any_p: of one attempt.
    """

    n: int
    go: float
    any_p: float
    seed: int

    def within(self, attempts: int) -> float:
        """Let through by one of several attempts, each with new items and at the same thresholds."""
        return 1 - (1 - self.go) ** attempts


def simulate(
    items: int,
    metrics: int,
    gain: float = 0.0,
    *,
    base: float = 0.5,
    gaining: int | None = None,
    test: Literal["paired", "unpaired"] = "paired",
    repeats: int = 4000,
    seed: int = 0,
) -> Older:
    """The older criterion on experiments with `items` items an arm.

    Args:
        gain: of the first `gaining` metrics, in points on [0, 1]; the others gain nothing.
        test: two-sided t over the items, by pairs or as two samples.

    >>> simulate(15, 7, repeats=500).go < simulate(15, 7, 0.1, repeats=500).go
    True
    """
    design, rng = Design(items=items, base=base), np.random.default_rng(seed)
    rows = max(1, CELLS // (items * metrics))
    gains = tuple(gain if gaining is None or metric < gaining else 0.0 for metric in range(metrics))
    went = significant = 0
    for start in range(0, repeats, rows):
        go, any_p = _decided(design, gains, min(rows, repeats - start), test, rng)
        went, significant = went + int(go.sum()), significant + int(any_p.sum())
    return Older(repeats, went / repeats, significant / repeats, seed)


def _decided(
    design: Design, gains: tuple[float, ...], repeats: int, test: str, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Whether the criterion lets each experiment through, and whether any of its p is below 0.05."""
    before, after = _grades(design, gains, repeats, rng)
    n, lost = design.items, before.mean(axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = np.where(lost > 0, (after.mean(axis=2) - lost) / lost, np.nan)
        if test == "paired":
            se, df = (after - before).std(axis=2, ddof=1) / math.sqrt(n), n - 1
        else:
            se, df = np.sqrt((before.var(axis=2, ddof=1) + after.var(axis=2, ddof=1)) / n), 2 * n - 2
        t = np.abs(after.mean(axis=2) - lost) / se  # no spread and a difference: infinite, as a naive program has it
    any_p = (t > special.stdtrit(df, 1 - P / 2)).any(axis=1)
    known = np.isfinite(change)
    average = np.where(known, change, 0.0).sum(axis=1) / np.maximum(1, known.sum(axis=1))
    return (average > AVERAGE) & any_p, any_p


def _grades(design: Design, gains: tuple[float, ...], repeats: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Grades of the control and the experiment, shape (repeats, metrics, items)."""
    ranks = rng.integers(0, QUANTILES, (repeats, design.items))
    anew = rng.integers(0, QUANTILES, ranks.shape)
    other = np.where(rng.random(ranks.shape) < design.agreement, ranks, anew)
    before = _graded([design.base] * len(gains), design.heterogeneity, ranks, rng)
    after = _graded([design.base + gain for gain in gains], design.heterogeneity, other, rng)
    return before, after


def _graded(rates: Sequence[float], heterogeneity: float, which: NDArray[np.int64], rng: np.random.Generator) -> Floats:
    answer = rng.normal(size=which.shape)
    grades = np.empty((which.shape[0], len(rates), which.shape[1]))
    for metric, rate in enumerate(rates):
        score = math.sqrt(ALIKE) * answer + math.sqrt(1 - ALIKE) * rng.normal(size=which.shape)
        grades[:, metric] = sum(score > step[which] for step in _steps(rate, heterogeneity)) / STEPS
    return grades


@lru_cache(maxsize=8)
def _steps(rate: float, heterogeneity: float) -> Floats:
    """The normal scores from which each step is reached, by the item's rank, shape (4, 2048)."""
    chance = chances(rate, heterogeneity)
    return np.asarray(special.ndtri(special.bdtr(np.arange(STEPS)[:, None], STEPS, chance)), dtype=np.float64)
