"""Experiments drawn from the variance model, and the share of them in which a test rejects.

Whole batches of experiments at once: each test is written over the rows of a matrix (experiments × items). The names
are those of `power`, which has the formulas.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special

from sluicegate.stats.groups import over_clusters
from sluicegate.stats.paired import midranks
from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE, crossed
from sluicegate.stats.results import Floats
from sluicegate.stats.variance import QUANTILES, Design, chances

CELLS = 2_000_000
"""Values of a batch, which bounds the memory."""
RATES = 100
"""Steps of the rates at which moved chances are tabulated; between them they are interpolated, which keeps the mean."""


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
    """Pass shares of each item in each run of each arm, multiples of 1/K, shape (repeats, seeds, items).

    A training seed moves the rate of its whole run, a scenario that of the experiment's items in it; an item's chance
    is then that of its rank among items at the moved rate, so that it stays a chance.
    """
    ranks = rng.integers(0, QUANTILES, (repeats, design.items))
    anew = rng.integers(0, QUANTILES, ranks.shape)
    other = np.where(rng.random(ranks.shape) < design.agreement, ranks, anew)
    shift = rng.normal(0, design.cluster_sd, (repeats, design.clusters))[:, clusters(design)][:, None, :]
    arms = []
    for rate, which, moved in ((design.base, ranks, np.zeros(1)), (design.base + design.gain, other, shift)):
        if design.seed_sd or design.cluster_sd:
            rates = rate + moved + rng.normal(0, design.seed_sd, (repeats, design.seeds, 1))
            chance = _moved(np.broadcast_to(rates, (repeats, design.seeds, design.items)), which, design.heterogeneity)
        else:
            chance = chances(rate, design.heterogeneity)[which][:, None, :]
        shape = (repeats, design.seeds, design.items)
        arms.append(rng.binomial(design.draws, np.broadcast_to(chance, shape)) / design.draws)
    return arms[0], arms[1]


@lru_cache(maxsize=8)
def _table(heterogeneity: float) -> Floats:
    """The chances of all ranks at the rates 0, 1/RATES, …, 1, shape (RATES + 1, 2048)."""
    rows = [chances(step / RATES, heterogeneity) for step in range(1, RATES)]
    return np.stack([np.zeros(QUANTILES), *rows, np.ones(QUANTILES)])


def _moved(rates: Floats, which: NDArray[np.int64], heterogeneity: float) -> Floats:
    """Chances of the ranks `which` (repeats, items) at rates (repeats, seeds, items), between those of the table."""
    table, scaled = _table(heterogeneity), RATES * np.clip(rates, 0, 1)
    below = np.minimum(scaled.astype(np.int64), RATES - 1)
    part, ranks = scaled - below, which[:, None, :]
    return np.asarray((1 - part) * table[below, ranks] + part * table[below + 1, ranks], dtype=np.float64)


def clusters(design: Design) -> NDArray[np.int64]:
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


def sign_flip_ps(values: Floats, steps: int) -> Floats:
    """The exact p of `stats.sign_flip` for many experiments at once, shape (repeats,).

    Under random signs Σ ±w has the characteristic function Π cos(w θ), so a matrix product over how often each weight
    occurs and an inverse Fourier transform give all null distributions together. They are cut off 8.5 standard
    deviations out, where less than 1e-15 is left (Hoeffding).

    Args:
        values: differences that are whole multiples of 1/steps, shape (repeats, items).

    >>> sign_flip_ps(np.array([[0.5, 0.25, 0.25, 0.75], [0.0, 0.0, 0.0, 0.0]]), 4).round(12).tolist()
    [0.0625, 1.0]
    """
    whole = np.rint(values * steps).astype(np.int64)
    spread = 8.5 * math.sqrt(float((whole**2).sum(axis=1).max(initial=0)))
    half = int(min(spread, float(np.abs(whole).sum(axis=1).max(initial=0)))) + 1
    rows = max(1, CELLS // half)
    parts = [_flipped(whole[start : start + rows], half) for start in range(0, len(whole), rows)]
    return np.concatenate([np.empty(0), *parts])


def _flipped(whole: NDArray[np.int64], half: int) -> Floats:
    heaviest, period = int(np.abs(whole).max(initial=0)), int(fft.next_fast_len(2 * half + 2, real=True))
    places = np.abs(whole) + (heaviest + 1) * np.arange(len(whole))[:, None]
    counts = np.bincount(places.ravel(), minlength=(heaviest + 1) * len(whole)).reshape(len(whole), -1)[:, 1:]
    blocks = np.array_split(2 * math.pi * np.arange(period // 2 + 1) / period, 1 + heaviest * period // CELLS)
    function = np.concatenate([_characteristic(counts.astype(np.float64), angles) for angles in blocks], axis=1)
    chance = fft.irfft(function, period, axis=1)
    beyond = np.zeros((len(whole), half + 2))
    beyond[:, :-1] = np.cumsum(chance[:, half::-1], axis=1)[:, ::-1]  # P(k ≤ S ≤ half) for k = 0…half
    sums = whole.sum(axis=1)
    place = np.minimum(np.where(sums > 0, sums, 1 - sums), half + 1)
    upper = beyond[np.arange(len(whole)), place]
    return np.asarray(np.clip(np.where(sums > 0, upper, 1 - upper), 0.0, 1.0), dtype=np.float64)


def _characteristic(counts: Floats, angles: Floats) -> Floats:
    """Π cos(w θ) for each row's counts of the weights 1, 2, …, shape (repeats, angles)."""
    cosines = np.cos(np.multiply.outer(np.arange(1, counts.shape[1] + 1), angles))
    signs = 1 - 2 * ((counts @ (cosines < 0)) % 2)
    return np.asarray(signs * np.exp(counts @ np.log(np.maximum(np.abs(cosines), 1e-300))), dtype=np.float64)


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
    variance, df = over_clusters(values, clusters(design))
    return _t_p(values.mean(axis=1), np.sqrt(variance), df)


def _seed_level(design: Design, repeats: int, rng: np.random.Generator) -> Floats:
    before, after = (arm.mean(axis=2) for arm in runs(design, repeats, rng))
    left, right = before.var(axis=1, ddof=1) / design.seeds, after.var(axis=1, ddof=1) / design.seeds
    df = (left + right) ** 2 / np.maximum((left**2 + right**2) / (design.seeds - 1), 1e-300)
    return _t_p(after.mean(axis=1) - before.mean(axis=1), np.sqrt(left + right), df)


def _recipe(design: Design, repeats: int, rng: np.random.Generator) -> Floats:
    which = clusters(design) if design.clusters >= CLUSTERS_TO_DECIDE else None
    gain, variance, df = crossed(*runs(design, repeats, rng), which)
    return _t_p(gain, np.sqrt(variance), df)


def _batch(test: str, design: Design, margin: float, repeats: int, rng: np.random.Generator) -> Floats:
    """The p values of `repeats` experiments."""
    if test == "seed_level":
        return _seed_level(design, repeats, rng)
    if test == "recipe":
        return _recipe(design, repeats, rng)
    values = differences(design, repeats, rng)
    tests: dict[str, Callable[[], Floats]] = {
        "sign_flip": lambda: sign_flip_ps(values, design.draws * design.seeds),
        "paired_t": lambda: _paired_t(values),
        "mcnemar": lambda: _mcnemar(values),
        "wilcoxon": lambda: _wilcoxon(values),
        "cluster_robust": lambda: _cluster_robust(values, design),
        "non_inferiority": lambda: _paired_t(values + margin),
        "equivalence": lambda: np.maximum(_paired_t(values + margin), _paired_t(margin - values)),
    }
    if test not in tests:
        raise ValueError(f"test: wanted one of {', '.join((*tests, 'seed_level', 'recipe'))}, seen {test!r}")
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
    rows = max(1, CELLS // (design.items * design.seeds))
    rejected = 0
    for start in range(0, repeats, rows):
        ps = _batch(test, design, margin, min(rows, repeats - start), rng)
        rejected += int(np.count_nonzero(ps <= alpha))
    share = rejected / repeats
    se = math.sqrt(share * (1 - share) / repeats)
    return Simulated(f"{test}, {repeats} simulated experiments", repeats, share, se, seed)
