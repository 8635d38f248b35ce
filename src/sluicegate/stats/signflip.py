"""The null distribution of a sum of randomly signed weights: the engine of the sign-flip and signed-rank tests.

Under the null hypothesis each difference is as likely as its negative, so S = Σ ±w_i. Three ways to the upper tail,
the first two exact: counting by convolution when the weights are whole multiples of a step (K draws give multiples
of 1/K, whatever n), all 2^n signs by halves up to `EXACT_ITEMS`, and drawing signs otherwise.

Source: Fisher, The Design of Experiments, 1935; counting by convolution after Pagano and Tritchler, JASA 1983;
add-one after Phipson and Smyth, 2010 (a drawn p is never 0).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sluicegate.stats.results import Floats

EXACT_ITEMS = 24
"""Items up to which all signs are enumerated: 2^12 sums a half."""
FINEST = 1000
"""Steps down to 1/1000 are recognised; 1 to 1000 draws an item."""
CONVOLUTION_COST = 30_000_000
"""Additions that the exact count may cost, about 30 ms."""
CHUNK = 2_000_000
"""Signs drawn at a time, which bounds the memory to about 20 MB."""
SMALLEST = 5e-324


class Tail(NamedTuple):
    """P(S ≥ s), how it was found, and whether signs were drawn."""

    p: float
    how: str
    drawn: bool


def steps(values: Floats) -> NDArray[np.int64] | None:
    """The values as whole multiples of 1/m for the smallest m ≤ 1000 that fits, or None.

    >>> steps(np.array([0.2, -0.4, 1 / 3])).tolist()
    [3, -6, 5]
    >>> steps(np.array([np.sqrt(2)])) is None
    True
    """
    distinct = np.unique(values)
    few = np.multiply.outer(np.arange(1, FINEST + 1), distinct[:8])  # a few values rule out nearly every m
    for m in (1 + np.flatnonzero(_whole(few).all(axis=1))).tolist():
        if _whole(distinct * m).all():
            return np.rint(values * m).astype(np.int64)
    return None


def _whole(scaled: Floats) -> NDArray[np.bool_]:
    nearest = np.rint(scaled)
    vanished = (nearest == 0) & (scaled != 0)  # a difference, however small, is not zero steps
    return np.asarray((np.abs(scaled - nearest) < 1e-9) & ~vanished)


def tail(signed: Floats, *, two_sided: bool, resamples: int, seed: int) -> Tail:
    """P(S ≥ Σ signed), or P(|S| ≥ |Σ signed|), where S flips the signs at random.

    Args:
        signed: the observed differences, zeros left out, shape (n,).
    """
    if not signed.size:
        return Tail(1.0, "exact", False)
    whole = steps(signed)
    if whole is not None and whole.size * int(np.abs(whole).sum()) <= CONVOLUTION_COST:
        return Tail(_counted(whole, two_sided), "exact", False)
    if signed.size <= EXACT_ITEMS:
        return Tail(_halves(signed, two_sided), "exact", False)
    return Tail(_drawn(signed, two_sided, resamples, seed), f"{resamples} flips, add-one", True)


def _doubled(p: float) -> float:
    """Both tails of a symmetric distribution."""
    return min(1.0, 2 * p)


def _counted(signed: NDArray[np.int64], two_sided: bool) -> float:
    """Exact by convolution: the distribution of T = Σ of the weights that fall positive, S = 2T - Σw."""
    divisor = math.gcd(*signed.tolist())
    weights = np.sort(np.abs(signed) // divisor)
    total, observed = int(weights.sum()), int(signed.sum()) // divisor
    if two_sided:
        observed = abs(observed)
    chance = np.zeros(total + 1)
    chance[0], reach = 1.0, 0
    for weight in weights.tolist():
        below = 0.5 * chance[: reach + 1]
        reach += weight
        chance[: reach + 1] *= 0.5
        chance[weight : reach + 1] += below
    p = max(float(chance[(total + observed) // 2 :].sum()), SMALLEST)
    return _doubled(p) if two_sided else min(1.0, p)


def _halves(signed: Floats, two_sided: bool) -> float:
    """Exact over all 2^n signs: sums of one half against the sorted sums of the other."""
    weights = np.sort(np.abs(signed))
    observed = math.fsum(signed.tolist())
    if two_sided:
        observed = abs(observed)
    left, right = _sums(weights[::2]), np.sort(_sums(weights[1::2]))
    slack = 1e-12 * float(weights.sum())  # sums that are equal on paper differ in the last bits
    reached = right.size - np.searchsorted(right, observed - slack - left)
    p = int(reached.sum()) / (left.size * right.size)
    return _doubled(p) if two_sided else p


def _sums(weights: Floats) -> Floats:
    sums = np.zeros(1)
    for weight in weights:
        sums = np.concatenate([sums - weight, sums + weight])
    return sums


def _drawn(signed: Floats, two_sided: bool, resamples: int, seed: int) -> float:
    """Drawn signs with add-one; the weights are sorted, so the order of the items does not count."""
    rng = np.random.default_rng(seed)
    weights = np.sort(np.abs(signed))
    total, observed = float(weights.sum()), math.fsum(signed.tolist())
    if two_sided:
        observed = abs(observed)
    slack = 1e-12 * total
    reached, left = 0, resamples
    while left:
        rows = min(left, max(1, CHUNK // weights.size))
        bits = np.unpackbits(rng.integers(0, 256, (rows, -(-weights.size // 8)), dtype=np.uint8), axis=1)
        sums = 2 * (bits[:, : weights.size] @ weights) - total
        reached += int(np.count_nonzero((np.abs(sums) if two_sided else sums) >= observed - slack))
        left -= rows
    return (1 + reached) / (1 + resamples)
