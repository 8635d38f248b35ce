"""Runs and items crossed: against the formula by hand, its mirror image, what it refuses, and its level."""

from __future__ import annotations

import math

import numpy as np
import pytest

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.recipe import crossed

BEFORE = np.array([[0.0, 0.5, 1.0, 0.5], [0.2, 0.5, 0.8, 0.5], [0.0, 0.3, 1.0, 0.4]])
AFTER = np.array([[0.2, 0.9, 1.0, 0.8], [0.3, 0.8, 0.9, 0.9], [0.1, 0.9, 1.0, 0.6]])


def test_the_variance_is_that_of_runs_and_of_items_less_what_both_count() -> None:
    over_runs = sum(arm.mean(axis=1).var(ddof=1) / 3 for arm in (BEFORE, AFTER))
    over_items = (AFTER.mean(axis=0) - BEFORE.mean(axis=0)).var(ddof=1) / 4
    both = 0.0
    for arm in (BEFORE, AFTER):
        fitted = arm.mean(axis=1, keepdims=True) + arm.mean(axis=0, keepdims=True) - arm.mean()
        both += ((arm - fitted) ** 2).sum() / (2 * 3) / 12
    found = stats.recipe_level(BEFORE, AFTER)
    assert found.se == pytest.approx(math.sqrt(max(over_runs + over_items - both, over_runs, over_items)))
    assert found.estimate == pytest.approx(AFTER.mean() - BEFORE.mean())
    assert found.n == 4


def test_without_noise_of_items_it_is_welch() -> None:
    level = np.array([[0.1], [0.3], [0.2]])
    before, after = np.repeat(level, 6, axis=1), np.repeat(level + np.array([[0.3], [0.1], [0.2]]), 6, axis=1)
    found, welch = stats.recipe_level(before, after), stats.seed_level(before.mean(axis=1), after.mean(axis=1))
    assert (found.p, found.low, found.high) == pytest.approx((welch.p, welch.low, welch.high))


def test_without_noise_of_runs_it_is_paired_t() -> None:
    items = np.array([0.1, 0.4, 0.2, 0.6, 0.3])
    found = stats.recipe_level([items] * 3, [items + items**2] * 3, alternative="two-sided")
    expected = stats.paired_t(items**2)
    assert found.p == pytest.approx(expected.p)
    assert found.df == pytest.approx(4)


def test_swapping_the_arms_mirrors_it_to_the_last_bit() -> None:
    for names in (None, ["a", "a", "b", "b"]):
        found, mirror = (
            stats.recipe_level(BEFORE, AFTER, clusters=names),
            stats.recipe_level(AFTER, BEFORE, clusters=names, alternative="less"),
        )
        assert found.low is not None and found.high is not None and found.estimate is not None
        assert (mirror.estimate, mirror.low, mirror.high, mirror.p) == (
            -found.estimate,
            -found.high,
            -found.low,
            found.p,
        )


def test_what_cannot_be_known_is_none_with_a_note() -> None:
    for before, after in ((BEFORE[:1], AFTER), (BEFORE[:, :1], AFTER[:, :1]), (BEFORE[:0], AFTER)):
        found = stats.recipe_level(before, after)
        assert (found.p, found.low, found.high) == (None, None, None)
        assert found.note
    assert stats.recipe_level(BEFORE, AFTER, clusters=["a"] * 4).p is None
    equal = stats.recipe_level([[0.5, 0.5]] * 3, [[0.5, 0.5]] * 3)
    assert (equal.p, equal.note) == (None, "no spread")
    assert "no recipe claim" in stats.recipe_level(BEFORE[:2], AFTER[:2]).note


def test_bad_input_is_refused() -> None:
    with pytest.raises(UserError, match="lengths differ"):
        stats.recipe_level([[0.1, 0.2], [0.1]], [[0.1, 0.2], [0.3, 0.4]])
    with pytest.raises(UserError, match="lengths differ"):
        stats.recipe_level(BEFORE, AFTER, clusters=["a"])
    with pytest.raises(UserError, match="not finite"):
        stats.recipe_level([[0.1, math.nan]] * 3, [[0.1, 0.2]] * 3)
    with pytest.raises(ValueError, match="alternative"):
        stats.recipe_level(BEFORE, AFTER, alternative="more")  # type: ignore[arg-type]


@pytest.mark.parametrize(("seeds", "noise"), [(3, 0.0), (3, 0.03), (5, 0.02), (5, 0.05)])
def test_it_holds_its_level_whatever_the_noise_of_seeds(seeds: int, noise: float) -> None:
    design = stats.Design(items=75, draws=10, seeds=seeds, seed_sd=noise)
    assert stats.simulated("recipe", design, repeats=4000).share < 0.06


def test_arms_may_differ_in_their_runs() -> None:
    gain, variance, df = crossed(BEFORE, AFTER[:2])
    assert gain == pytest.approx(AFTER[:2].mean() - BEFORE.mean())
    assert variance > 0 and df > 1
