"""Experiments drawn from the variance model, and the share of them in which a test rejects.

Whole batches of experiments at once: each test is written over the rows of a matrix (experiments × items). The names
are those of `power`, which has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from sluicegate.stats.paired import midranks
from sluicegate.stats.results import Floats
from sluicegate.stats.variance import QUANTILES, Design, chances

CELLS = 2_000_000
"""Values of a batch, which bounds the memory."""
FLIPS = 999
TOGETHER = 250
"""Experiments that share their drawn signs: fewer cost time, more let chance in the signs move the whole result."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """The share of simulated experiments in which the test rejects, and its standard error; n counts experiments."""

    method: str
    n: int
    share: float
    se: float
    seed: int | None = None
    note: str = ""


def runs(design: Design, repeats: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Pass shares of each item in each run of each arm, shape (repeats, seeds, items).

    The noise of a training seed is added to all items of a run alike, and that of a scenario to the experiment's
    items, so shares may leave [0, 1].
    """
    ranks = rng.integers(0, QUANTILES, (repeats, design.items))
    anew = rng.integers(0, QUANTILES, ranks.shape)
    other = np.where(rng.random(ranks.shape) < design.agreement, ranks, anew)
    arms = []
    for rate, which in ((design.base, ranks), (design.base + design.gain, other)):
        chance = chances(rate, design.heterogeneity)[which][:, None, :]
        shape = (repeats, design.seeds, design.items)
        shares = rng.binomial(design.draws, np.broadcast_to(chance, shape)) / design.draws
        arms.append(shares + rng.normal(0, design.seed_sd, (repeats, design.seeds, 1)))
    shift = rng.normal(0, design.cluster_sd, (repeats, design.clusters))
    return arms[0], arms[1] + shift[:, clusters(design)][:, None, :]


def clusters(design: Design) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """The cluster of each item, as equal in size as can be, shape (items,)."""
    return np.arange(design.items) * design.clusters // design.items


def differences(design: Design, repeats: int, rng: np.random.Generator) -> Floats:
    """Paired differences of item means, shape (repeats, items)."""
    before, after = runs(design, repeats, rng)
    return np.asarray(after.mean(axis=1) - before.mean(axis=1), dtype=np.float64)


def _t_p(centre: Floats, se: Floats, df: Floats | float) -> Floats:
    """One-sided p; no spread and no gain is 1, no spread and a gain is 0 (it rejects)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, centre / se, np.where(centre > 0, np.inf, -np.inf))
    return np.asarray(special.stdtr(df, -statistic), dtype=np.float64)


def _paired_t(values: Floats) -> Floats:
    n = values.shape[1]
    return _t_p(values.mean(axis=1), values.std(axis=1, ddof=1) / math.sqrt(n), n - 1)


def _sign_flip(values: Floats, rng: np.random.Generator) -> Floats:
    """All experiments of a batch share the drawn signs, which makes it one matrix product."""
    signs = (2 * rng.integers(0, 2, (values.shape[1], FLIPS)) - 1).astype(np.float32)
    sums = values.astype(np.float32) @ signs
    reached = (sums >= values.sum(axis=1, keepdims=True) - 1e-4).sum(axis=1)
    return np.asarray((1 + reached) / (1 + FLIPS), dtype=np.float64)


def _mcnemar(values: Floats) -> Floats:
    gained, lost = (values > 0).sum(axis=1), (values < 0).sum(axis=1)
    return np.asarray(special.bdtr(lost, gained + lost, 0.5), dtype=np.float64)


def _wilcoxon(values: Floats) -> Floats:
    """The normal approximation with tie correction."""
    rounded = np.round(values, 9)  # 0.3 - 0.2 ties with 0.1
    size = np.abs(rounded)
    ranks = np.stack([midranks(row) for row in size]) - (size == 0).sum(axis=1, keepdims=True)
    signed = ranks * np.sign(rounded)
    return _t_p(signed.sum(axis=1), np.sqrt((signed**2).sum(axis=1)), np.inf)


def _cluster_robust(values: Floats, design: Design) -> Floats:
    count = design.clusters
    centre = values.mean(axis=1)
    member = np.equal.outer(clusters(design), np.arange(count)).astype(np.float64)
    sums = (values - centre[:, None]) @ member
    se = np.sqrt(count / (count - 1) * (sums**2).sum(axis=1)) / values.shape[1]
    return _t_p(centre, se, count - 1)


def _seed_level(design: Design, repeats: int, rng: np.random.Generator) -> Floats:
    before, after = (arm.mean(axis=2) for arm in runs(design, repeats, rng))
    left, right = before.var(axis=1, ddof=1) / design.seeds, after.var(axis=1, ddof=1) / design.seeds
    df = (left + right) ** 2 / np.maximum((left**2 + right**2) / (design.seeds - 1), 1e-300)
    return _t_p(after.mean(axis=1) - before.mean(axis=1), np.sqrt(left + right), df)


def _batch(test: str, design: Design, margin: float, repeats: int, rng: np.random.Generator) -> Floats:
    """The p values of `repeats` experiments."""
    if test == "seed_level":
        return _seed_level(design, repeats, rng)
    values = differences(design, repeats, rng)
    tests: dict[str, Callable[[], Floats]] = {
        "sign_flip": lambda: _sign_flip(values, rng),
        "paired_t": lambda: _paired_t(values),
        "mcnemar": lambda: _mcnemar(values),
        "wilcoxon": lambda: _wilcoxon(values),
        "cluster_robust": lambda: _cluster_robust(values, design),
        "non_inferiority": lambda: _paired_t(values + margin),
        "equivalence": lambda: np.maximum(_paired_t(values + margin), _paired_t(margin - values)),
    }
    if test not in tests:
        raise ValueError(f"test: wanted one of {', '.join((*tests, 'seed_level'))}, seen {test!r}")
    return tests[test]()


def simulated(
    test: str,
    design: Design,
    *,
    alpha: float = 0.05,
    margin: float = 0.0,
    repeats: int = 2000,
    seed: int = 0,
) -> Simulated:
    """The share of experiments in which the test rejects one-sided at alpha: power, or size at gain 0.

    >>> found = simulated("sign_flip", Design(items=30, draws=10, gain=0.1), repeats=500)
    >>> 0.70 < found.share < 0.85
    True
    """
    rng = np.random.default_rng(seed)
    rows = max(1, min(TOGETHER, CELLS // (design.items * design.seeds)))
    rejected = 0
    for start in range(0, repeats, rows):
        ps = _batch(test, design, margin, min(rows, repeats - start), rng)
        rejected += int(np.count_nonzero(ps <= alpha))
    share = rejected / repeats
    se = math.sqrt(share * (1 - share) / repeats)
    return Simulated(f"{test}, {repeats} simulated experiments", repeats, share, se, seed)
