"""Clusters and seeds against statsmodels and scipy, and their error rates."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats as peer

from sluicegate import stats
from sluicegate.errors import UserError


def test_cluster_robust_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    names = [f"s{i % 5}" for i in range(47)]
    values = rng.normal(0.1, 0.3, 47) + np.repeat(rng.normal(0, 0.1, 10), 5)[:47]
    found = stats.cluster_robust(values, names, alternative="two-sided")
    groups = np.unique(names, return_inverse=True)[1]
    expected = sm.OLS(values, np.ones(47)).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    assert found.se == pytest.approx(float(expected.bse[0]), abs=1e-9)
    assert found.p == pytest.approx(float(expected.pvalues[0]), abs=1e-9)
    low, high = expected.conf_int()[0]
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)
    assert found.df == 4


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
