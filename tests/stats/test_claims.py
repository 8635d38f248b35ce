"""Holm, non-inferiority and equivalence against statsmodels, and their duality with intervals."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import ttost_paired

from sluicegate import stats
from sluicegate.errors import UserError


def test_holm_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 7, 30):
        ps = np.round(rng.random(count) ** 3, 2).tolist()  # rounded, so that some tie
        assert stats.holm(ps) == pytest.approx(multipletests(ps, method="holm")[1].tolist(), abs=1e-9)


def test_holm_leaves_out_what_was_not_tested() -> None:
    assert stats.holm([None, 0.02, None, 0.01]) == [None, 0.02, None, 0.02]
    assert stats.holm([]) == []


def test_equivalence_agrees_with_statsmodels() -> None:
    rng = np.random.default_rng(0)
    before = rng.random(40)
    after = before + rng.normal(0.01, 0.05, 40)
    p, (lower_t, lower_p, _), _ = ttost_paired(after, before, -0.03, 0.03)
    assert stats.equivalence(after - before, 0.03).p == pytest.approx(p, abs=1e-9)
    assert stats.non_inferiority(after - before, 0.03).p == pytest.approx(lower_p, abs=1e-9)
    assert lower_t > 0


@pytest.mark.parametrize("draws", [None, 1.0, 10.0])
def test_p_and_interval_decide_alike(draws: float | None) -> None:
    rng = np.random.default_rng(1)
    for _ in range(200):
        values = rng.integers(-4, 5, 12) / 4
        for claim in (stats.non_inferiority, stats.equivalence):
            found = claim(values, 0.4, draws=draws)
            assert found.p is not None
            assert found.holds == (found.p < found.alpha)


def test_few_equal_differences_show_nothing_and_many_do() -> None:
    few, many = stats.non_inferiority([0.0] * 10, 0.05), stats.non_inferiority([0.0] * 100, 0.05)
    assert (few.holds, many.holds) == (False, True)
    assert few.p is None and few.note
    assert stats.equivalence([], 0.05).holds is None


def test_margins_and_alphas_out_of_range_are_refused() -> None:
    with pytest.raises(UserError, match="margin"):
        stats.non_inferiority([0.1, 0.2], -0.05)
    with pytest.raises(UserError, match="alpha"):
        stats.equivalence([0.1, 0.2], 0.05, alpha=0.6)
