"""Simulated experiments: they are what the model says, and their p is that of the test on each of them."""

from __future__ import annotations

import numpy as np
import pytest

from sluicegate import stats
from sluicegate.stats.recipe import crossed
from sluicegate.stats.simulate import clusters, differences, runs, sign_flip_ps

DESIGNS = [
    stats.Design(items=12, draws=1, gain=0.2),
    stats.Design(items=30, draws=10, base=0.05),
    stats.Design(items=25, draws=3, gain=-0.1),
    stats.Design(items=20, draws=4, seeds=3, seed_sd=0.05, gain=0.1),
    stats.Design(items=90, draws=7, gain=0.05),
]


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("cells", [2_000_000, 500])
def test_p_values_of_a_batch_are_those_of_each_experiment(
    design: stats.Design, cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = differences(design, 40, np.random.default_rng(1))
    monkeypatch.setattr("sluicegate.stats.simulate.CELLS", cells)
    found = sign_flip_ps(values, design.draws * design.seeds)
    assert found == pytest.approx([stats.sign_flip(row).p for row in values], abs=1e-12)


def test_sure_experiments_and_empty_batches() -> None:
    assert sign_flip_ps(np.ones((1, 60)), 1)[0] == pytest.approx(0.0, abs=1e-15)
    assert sign_flip_ps(-np.ones((1, 60)), 1)[0] == 1.0
    assert sign_flip_ps(np.zeros((0, 5)), 1).size == 0


def test_seeds_and_scenarios_move_rates_and_leave_shares_of_draws() -> None:
    design = stats.Design(items=60, draws=5, base=0.3, gain=0.1, seeds=4, seed_sd=0.05, clusters=6, cluster_sd=0.04)
    before, after = runs(design, 3000, np.random.default_rng(2))
    for arm in (before, after):
        assert arm.min() >= 0 and arm.max() <= 1
        assert np.abs(arm * 5 - np.rint(arm * 5)).max() < 1e-9
    assert after.mean() - before.mean() == pytest.approx(design.gain, abs=0.003)
    between = before.mean(axis=2).var(axis=1, ddof=1).mean()
    noise = between - _draw_noise(before, 5)
    assert np.sqrt(noise) == pytest.approx(design.seed_sd, rel=0.05)


def _draw_noise(arm: np.ndarray[tuple[int, ...], np.dtype[np.float64]], draws: int) -> float:
    """What draws alone make the mean of a run vary by, from the items' shares."""
    return float((arm * (1 - arm)).mean() / (draws - 1) / arm.shape[2])


def test_a_recipe_is_held_to_its_level_where_both_other_tests_together_are_not() -> None:
    design = stats.Design(items=500, draws=10, seeds=5, seed_sd=0.01)
    before, after = runs(design, 4000, np.random.default_rng(3))
    items = sign_flip_ps(after.mean(axis=1) - before.mean(axis=1), 50)
    over = [arm.mean(axis=2) for arm in (before, after)]
    welch = np.array([stats.seed_level(left, right).p for left, right in zip(*over, strict=True)])
    both = ((items <= 0.05) & (welch <= 0.05)).mean()
    recipe = stats.simulated("recipe", design, repeats=4000, seed=3).share
    assert both > 0.065
    assert recipe < 0.06


def test_the_batch_of_recipes_is_the_recipe_of_each() -> None:
    design = stats.Design(items=40, draws=4, seeds=3, seed_sd=0.03, clusters=5, cluster_sd=0.05, gain=0.05)
    before, after = runs(design, 30, np.random.default_rng(4))
    names = [f"s{which}" for which in clusters(design)]
    for which, named in ((None, None), (clusters(design), names)):
        gain, variance, df = crossed(before, after, which)
        for row in range(30):
            found = stats.recipe_level(before[row], after[row], clusters=named)
            assert (found.estimate, found.se, found.df) == pytest.approx((gain[row], variance[row] ** 0.5, df[row]))
