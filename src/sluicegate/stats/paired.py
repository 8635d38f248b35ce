"""Tests of paired differences: sign-flip, McNemar, t, Wilcoxon.

`greater` means "the experiment is better": its p is for the null hypothesis "gain ≤ null". `less` is the same test
with the arms swapped, so swapping arms and alternative gives the same p to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from scipy import special

from sluicegate.errors import UserError
from sluicegate.stats.results import Alternative, Floats, Test, finite, known
from sluicegate.stats.signflip import CONVOLUTION_COST, SMALLEST, steps, tail

RESAMPLES = 10_000
TINY = 1e-12
"""Differences closer than this are equal: scores are on [0, 1] and differ in rounding only."""


def sign_flip(
    differences: Iterable[float],
    *,
    alternative: Alternative = "greater",
    null: float = 0.0,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Test:
    """Sign-flip permutation test of the mean paired difference.

    Exact whenever the differences are whole multiples of a step (K draws an item) or number at most 24; otherwise
    `resamples` drawn flips with add-one. With K = 1 it is the exact McNemar test.

    Args:
        differences: experiment - control, one an item.
        null: the mean difference under the null hypothesis (a non-inferiority margin, say).

    Raises:
        UserError: NaN or infinities.

    Source: Fisher 1935; Phipson and Smyth 2010. Details in `signflip`.

    >>> sign_flip([0.5, 0.25, 0.25, 0.75]).p
    0.0625
    >>> sign_flip([0.0, 0.0]).p
    1.0
    """
    known(alternative)
    shifted = finite(differences, "differences") - null
    n = int(shifted.size)
    if not n:
        return Test("sign-flip", 0, None, None, alternative, note="no pairs")
    statistic = math.fsum(shifted.tolist()) / n
    oriented = -shifted if alternative == "less" else shifted
    found = tail(
        oriented[np.abs(oriented) > TINY],
        two_sided=alternative == "two-sided",
        resamples=resamples,
        seed=seed,
    )
    return Test(
        f"sign-flip ({found.how})",
        n,
        statistic,
        found.p,
        alternative,
        seed if found.drawn else None,
        "every difference is zero" if not np.any(np.abs(shifted) > TINY) else "",
    )


def mcnemar(
    control: Iterable[float],
    experiment: Iterable[float],
    *,
    alternative: Alternative = "two-sided",
    mid: bool = False,
) -> Test:
    """McNemar's test for one pass/fail draw an item, exact or with the mid-p.

    Args:
        control, experiment: 0 or 1 an item, shape (n,).
        mid: count half of the observed table's chance: less conservative, not guaranteed below its level.

    Returns:
        statistic: items that only the experiment passes.

    Raises:
        UserError: values other than 0 and 1, or lengths that differ.

    Source: McNemar 1947; mid-p: Fagerland, Lydersen and Laake 2013.

    >>> mcnemar([0, 0, 0, 0, 1], [1, 1, 1, 1, 1]).p
    0.125
    >>> mcnemar([0, 0, 0, 0, 1], [1, 1, 1, 1, 1], mid=True).p
    0.0625
    """
    known(alternative)
    before, after = finite(control, "control"), finite(experiment, "experiment")
    if before.size != after.size or not np.isin(np.concatenate([before, after]), (0, 1)).all():
        raise UserError(
            "mcnemar: not paired pass/fail values",
            wanted="as many 0s and 1s in each arm",
            seen=f"{before.size} and {after.size} values",
            mend="use the sign-flip test for shares of several draws",
        )
    gained, lost = int(np.sum(after > before)), int(np.sum(after < before))
    method = f"McNemar ({'mid-p' if mid else 'exact'})"
    if not before.size:
        return Test(method, 0, None, None, alternative, note="no pairs")
    note = "" if gained + lost else "no item differs"
    p = discordant_p(gained, lost, alternative=alternative, mid=mid)
    return Test(method, int(before.size), float(gained), p, alternative, note=note)


def discordant_p(gained: int, lost: int, *, alternative: Alternative, mid: bool = False) -> float:
    """McNemar's p from the two discordant counts: a binomial tail at one half."""
    total = gained + lost
    reached = min(gained, lost) if alternative == "two-sided" else lost if alternative == "greater" else gained
    p = float(special.bdtr(reached, total, 0.5))
    if mid:
        p -= 0.5 * math.exp(math.log(math.comb(total, reached)) - total * math.log(2))
    p = max(p, SMALLEST)
    return min(1.0, 2 * p) if alternative == "two-sided" else min(1.0, p)


def t_tail(statistic: float, df: float, alternative: Alternative) -> float:
    """P of Student's t at least as extreme as the statistic."""
    if alternative == "two-sided":
        return min(1.0, 2 * float(special.stdtr(df, -abs(statistic))))
    return float(special.stdtr(df, -statistic if alternative == "greater" else statistic))


def paired_t(differences: Iterable[float], *, alternative: Alternative = "two-sided", null: float = 0.0) -> Test:
    """Student's paired t test.

    It does not exist (p None) for fewer than two items or constant differences, where a zero standard error would
    claim a certainty that the data do not have.

    Source: Student 1908.

    >>> round(paired_t([0.1, 0.3, 0.2, 0.0]).p, 6)
    0.102728
    >>> paired_t([0.2, 0.2, 0.2]).note
    'constant differences: no standard error; use sign_flip'
    """
    known(alternative)
    values = finite(differences, "differences")
    n = int(values.size)
    if n < 2:
        return Test("paired t", n, None, None, alternative, note="fewer than two pairs")
    if np.ptp(values) <= TINY:
        note = "constant differences: no standard error; use sign_flip"
        return Test("paired t", n, None, None, alternative, note=note)
    statistic = float((values.mean() - null) / (values.std(ddof=1) / math.sqrt(n)))
    return Test("paired t", n, statistic, t_tail(statistic, n - 1, alternative), alternative)


def midranks(values: Floats) -> Floats:
    """Ranks from 1, ties sharing their mean rank.

    >>> midranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts - 1) / 2)[which], dtype=np.float64)


def wilcoxon(differences: Iterable[float], *, alternative: Alternative = "two-sided") -> Test:
    """Wilcoxon's signed-rank test; zeros are left out, ties share their mean rank.

    Exact, ties included, while the count is cheap (about 300 nonzero differences), else the normal approximation with
    tie correction and without continuity correction. It tests symmetry about zero, which is not the mean gain.

    Returns:
        statistic: the sum of the ranks of positive differences.

    Source: Wilcoxon 1945; the ranks of tied differences after Pratt and Gibbons 1981.

    >>> wilcoxon([1, 2, 3, 4, -5]).statistic
    10.0
    """
    known(alternative)
    values = finite(differences, "differences")
    whole = steps(values)  # 0.3 - 0.2 and 0.1 tie, though not in binary
    comparable = values if whole is None else whole.astype(np.float64)
    nonzero = comparable[np.abs(comparable) > TINY]
    if not nonzero.size:
        p, note = (1.0, "every difference is zero") if values.size else (None, "no pairs")
        return Test("Wilcoxon signed-rank (exact)", int(values.size), None, p, alternative, note=note)
    signed = midranks(np.abs(nonzero)) * np.sign(nonzero)
    statistic = float(signed[signed > 0].sum())
    if 2 * signed.size * np.abs(signed).sum() > CONVOLUTION_COST:
        p = _normal_ranks(signed, alternative)
        return Test("Wilcoxon signed-rank (normal)", int(values.size), statistic, p, alternative)
    oriented = -signed if alternative == "less" else signed
    exact = tail(oriented, two_sided=alternative == "two-sided", resamples=RESAMPLES, seed=0)
    return Test("Wilcoxon signed-rank (exact)", int(values.size), statistic, exact.p, alternative)


def _normal_ranks(signed: Floats, alternative: Alternative) -> float:
    """The sum of signed ranks over its standard deviation; squares of midranks carry the tie correction."""
    z = float(signed.sum() / math.sqrt(float((signed**2).sum())))
    if alternative == "two-sided":
        return min(1.0, 2 * float(special.ndtr(-abs(z))))
    return float(special.ndtr(-z if alternative == "greater" else z))
