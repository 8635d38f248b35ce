"""Clusters and seeds against statsmodels and scipy, and their error rates."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as peer

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.groups import over_clusters
from sluicegate.stats.recipe import crossed


def test_cluster_robust_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    names = [f"s{i % 5}" for i in range(45)]
    values = rng.normal(0.1, 0.3, 45) + np.repeat(rng.normal(0, 0.1, 9), 5)
    found = stats.cluster_robust(values, names, alternative="two-sided")
    groups = np.unique(names, return_inverse=True)[1]
    expected = sm.OLS(values, np.ones(45)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert found.se == pytest.approx(float(expected.bse[0]), abs=1e-9)
    assert found.p == pytest.approx(float(expected.pvalues[0]), abs=1e-9)
    low, high = expected.conf_int()[0]
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)
    assert found.df == pytest.approx(4)


SIZES = (60, 5, 5, 5, 5)


def _unequal(count: int, spread: float) -> tuple[np.ndarray, list[str]]:
    """Experiments without gain in scenarios of unequal size, shape (count, 80), and the scenario of each item."""
    rng = np.random.default_rng(11)
    which = np.repeat(np.arange(len(SIZES)), SIZES)
    moved = rng.normal(0, spread, (count, len(SIZES)))[:, which]
    return moved + rng.normal(0, 0.3, (count, which.size)), [f"s{cluster}" for cluster in which]


def test_clusters_of_unequal_size_follow_bell_and_mccaffrey() -> None:
    values, names = _unequal(1, 0.1)
    found = stats.cluster_robust(values[0], names, alternative="two-sided")
    n, groups = len(names), np.unique(names, return_inverse=True)[1]
    left = np.eye(n) - 1 / n  # takes the mean off
    variance, rows = 0.0, []
    for cluster in range(len(SIZES)):
        mine = np.flatnonzero(groups == cluster)
        size = mine.size
        # A with A (I - H) A = I, H having 1/n everywhere: its square root on the cluster's mean, nothing else counts
        stretched = np.ones(size) / np.sqrt(1 - size / n)
        variance += (stretched @ (left @ values[0])[mine]) ** 2 / n**2
        rows.append(left[:, mine] @ stretched / n)
    alike = np.equal.outer(groups, groups).astype(float)  # items of a cluster move together
    spread = np.array(rows) @ alike @ np.array(rows).T
    assert found.se == pytest.approx(np.sqrt(variance))
    assert found.df == pytest.approx(np.trace(spread) ** 2 / (spread**2).sum())
    assert found.df is not None and found.se is not None and found.estimate is not None
    assert found.df < 1.2
    assert found.p == pytest.approx(2 * peer.t.sf(abs(found.estimate / found.se), found.df))


@pytest.mark.parametrize("spread", [0.0, 0.03, 0.1])
def test_one_large_cluster_among_small_ones_is_no_evidence(spread: float) -> None:
    values, names = _unequal(2000, spread)
    variance, df = over_clusters(values, np.unique(names, return_inverse=True)[1])
    statistic = values.mean(axis=1) / np.sqrt(variance)
    assert stats.cluster_robust(values[0], names).p == pytest.approx(peer.t.sf(statistic[0], df))
    assert np.mean(statistic >= peer.t.isf(0.05, df)) < 0.06
    assert np.mean(np.abs(statistic) <= peer.t.isf(0.05, df)) > 0.88


def test_a_recipe_over_clusters_of_unequal_size_holds_its_level_too() -> None:
    values, names = _unequal(2000, 0.1)
    noise = np.random.default_rng(12).normal(0, 0.05, (2, 2000, 3, 80))
    before, after = noise[0], values[:, None] + noise[1]  # the luck of the scenarios is that of all runs
    gain, variance, df = crossed(before, after, np.unique(names, return_inverse=True)[1])
    assert np.mean(gain / np.sqrt(variance) >= peer.t.isf(0.05, df)) < 0.06


def test_seed_level_agrees_with_scipy_welch() -> None:
    before, after = [0.50, 0.53, 0.49, 0.55], [0.60, 0.58, 0.65]
    found = stats.seed_level(before, after)
    expected = peer.ttest_ind(after, before, equal_var=False, alternative="greater")
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.df == pytest.approx(expected.df, abs=1e-9)
    low, high = peer.ttest_ind(after, before, equal_var=False).confidence_interval()
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)
    assert found.n == 7


@pytest.mark.parametrize(
    ("before", "after"), [([], [0.1]), ([0.1], [0.2]), ([0.1, 0.1], [0.2, 0.2]), ([0.1, 0.2], [0.3])]
)
def test_too_few_runs_have_no_p(before: list[float], after: list[float]) -> None:
    found = stats.seed_level(before, after)
    assert (found.p, found.low, found.high) == (None, None, None)
    assert found.note


def test_two_runs_an_arm_are_no_recipe_claim() -> None:
    assert "no recipe claim" in stats.seed_level([0.1, 0.2], [0.3, 0.5]).note


def test_one_cluster_or_no_spread_has_no_p() -> None:
    assert stats.cluster_robust([0.1, 0.2], ["a", "a"]).p is None
    assert stats.cluster_robust([0.1, 0.1], ["a", "b"]).p is None
    assert stats.cluster_robust([], []).estimate is None
    with pytest.raises(UserError, match="lengths"):
        stats.cluster_robust([0.1], ["a", "b"])


def test_five_clusters_hold_their_level_where_items_alone_do_not() -> None:
    design = stats.Design(items=75, draws=10, clusters=5, cluster_sd=0.08)
    assert stats.simulated("cluster_robust", design, repeats=3000).share < 0.065
    assert stats.simulated("paired_t", design, repeats=3000).share > 0.10


def test_seed_noise_passes_the_item_test_and_not_the_seed_test() -> None:
    noisy = stats.Design(items=75, draws=10, seed_sd=0.03, agreement=1.0)
    assert stats.simulated("sign_flip", noisy, repeats=2000).share > 0.15
    seeds = stats.Design(items=75, draws=10, seed_sd=0.03, seeds=3, agreement=1.0)
    assert stats.simulated("seed_level", seeds, repeats=2000).share < 0.065
