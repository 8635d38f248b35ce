"""pass@k: the chance that at least one of k draws passes, and how well n draws on some items tell it.

It is a reduction over draws, not an evaluator: what passes is decided elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sluicegate.errors import UserError


@dataclass(frozen=True, slots=True)
class PassAtK:
    """pass@k over a set of items.

    Args:
        n: items.
        value: the mean over items; None without items.
        variance: of that mean, for items sampled from more of their kind; None for fewer than two items.
        draw_variance: of that mean, for these items and new draws; unbiased, None where an item has fewer than 2k
            draws.
    """

    method: str
    n: int
    k: int
    value: float | None
    variance: float | None
    draw_variance: float | None
    seed: int | None = None
    note: str = ""


@lru_cache(maxsize=65536)
def _all_fail(failures: int, draws: int, k: int) -> float:
    """The chance that k of the draws, taken without replacement, all failed."""
    return math.comb(failures, k) / math.comb(draws, k)


def item_pass_at_k(successes: int, draws: int, k: int) -> float:
    """The unbiased estimate for one item: 1 - C(n - c, k) / C(n, k).

    Raises:
        UserError: fewer than k draws, or counts that are impossible.

    Source: Chen et al. 2021 (arXiv 2107.03374), eq. 1.

    >>> item_pass_at_k(1, 4, 2)
    0.5
    """
    if not (0 <= successes <= draws and k >= 1):
        raise UserError(
            "pass@k: counts", wanted="0 ≤ successes ≤ draws and k ≥ 1", seen=f"{successes} of {draws}, k={k}"
        )
    if draws < k:
        raise UserError(
            f"pass@{k}: too few draws",
            wanted=f"at least {k} draws an item",
            seen=f"{draws}",
            mend=f"generate with --draws {k} or more, or choose a smaller k",
        )
    return 1.0 - _all_fail(draws - successes, draws, k)


def pass_at_k(successes: Sequence[int], draws: int | Sequence[int], k: int) -> PassAtK:
    """pass@k over items, with the variance between items and the variance of the draws.

    Args:
        successes: passing draws of each item.
        draws: of every item, or one number for all.

    Raises:
        UserError: fewer than k draws somewhere, impossible counts, or lengths that differ.

    Source: Chen et al. 2021; the variance over items: Miller 2024 (arXiv 2411.00640). The draws' variance is
    f² - C(n - c, 2k) / C(n, 2k) with f the chance that k draws fail, since the last term is unbiased for the square of
    its mean.

    >>> found = pass_at_k([0, 2, 4], 4, 2)
    >>> round(found.value, 4), round(found.variance, 4), round(found.draw_variance, 4)
    (0.6111, 0.0957, 0.0031)
    """
    each = [draws] * len(successes) if isinstance(draws, int) else list(draws)
    if len(each) != len(successes):
        raise UserError(
            "pass@k: lengths differ", wanted="draws for each item", seen=f"{len(each)} for {len(successes)}"
        )
    values = [item_pass_at_k(c, n, k) for c, n in zip(successes, each, strict=True)]
    items = len(values)
    if not items:
        return PassAtK(f"pass@{k}", 0, k, None, None, None, note="no items")
    value = math.fsum(values) / items
    between = math.fsum((v - value) ** 2 for v in values) / (items - 1) / items if items > 1 else None
    enough = min(each) >= 2 * k
    within = [_draw_variance(c, n, k) for c, n in zip(successes, each, strict=True)] if enough else []
    note = "" if enough else f"draw variance needs {2 * k} draws an item"
    return PassAtK(
        f"pass@{k}, unbiased", items, k, value, between, math.fsum(within) / items**2 if enough else None, note=note
    )


def _draw_variance(successes: int, draws: int, k: int) -> float:
    failures = draws - successes
    return max(0.0, _all_fail(failures, draws, k) ** 2 - _all_fail(failures, draws, 2 * k))
