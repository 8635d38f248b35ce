"""Intervals against scipy and statsmodels, mirror images, degenerate data, and simulated coverage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as peer
from statsmodels.stats.proportion import proportion_confint

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.simulate import differences

gains = st.lists(st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 3)), min_size=1, max_size=80)


def test_t_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).normal(0.1, 0.2, 25)
    found = stats.t_interval(values, level=0.9)
    low, high = peer.ttest_1samp(values, 0).confidence_interval(0.9)
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)


def test_bca_agrees_with_scipy_on_the_same_resamples() -> None:
    values = np.sort(np.random.default_rng(1).exponential(0.2, 60))  # sorted and positive: the canonical order
    found = stats.bca(values, resamples=2000, seed=5)
    expected = peer.bootstrap(
        (values,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(5), vectorized=True
    ).confidence_interval
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high], abs=1e-9)
    assert found.seed == 5


def test_bca_chunks_do_not_change_the_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(2).random(70)
    whole = stats.bca(values, resamples=1000)
    monkeypatch.setattr("sluicegate.stats.intervals.CHUNK", 701)
    assert stats.bca(values, resamples=1000) == whole


@pytest.mark.parametrize(("successes", "n"), [(0, 10), (3, 10), (10, 10), (50, 200)])
def test_wilson_agrees_with_statsmodels(successes: int, n: int) -> None:
    found = stats.wilson(successes, n)
    low, high = proportion_confint(successes, n, method="wilson")
    assert [found.low, found.high] == pytest.approx([low, high], abs=1e-9)


def test_adjusted_t_at_one_draw_is_bonett_and_price_with_a_quarter_of_their_counts() -> None:
    values = [1.0] * 6 + [-1.0] * 2 + [0.0] * 12
    found = stats.gain_interval(values, draws=1)
    up, down, n = 6.25 / 20.5, 2.25 / 20.5, 20
    se = math.sqrt((up + down - (up - down) ** 2) / (n + 0.5))
    half = peer.t.ppf(0.975, n - 1) * se
    assert found.low == pytest.approx(up - down - half, abs=1e-12)
    assert found.high == pytest.approx(up - down + half, abs=1e-12)
    assert found.estimate == pytest.approx(0.2)


def test_constant_differences_keep_a_width_that_is_clopper_pearsons() -> None:
    found = stats.gain_interval([0.0] * 15, draws=10)
    bound = proportion_confint(0, 15, method="beta")[1]
    assert [found.low, found.high] == pytest.approx([-bound, bound], abs=1e-9)
    certain = stats.gain_interval([1.0] * 15)
    assert certain.low == pytest.approx(1 - 2 * bound)
    assert certain.high == 1.0
    assert "equal" in found.note


@settings(max_examples=25, deadline=None)
@given(gains, st.sampled_from([None, 1.0, 10.0]))
def test_swapping_the_arms_mirrors_the_interval_to_the_last_bit(values: list[float], draws: float | None) -> None:
    found = stats.gain_interval(values, draws=draws, resamples=200)
    mirror = stats.gain_interval([-value for value in values], draws=draws, resamples=200)
    assert (mirror.estimate, mirror.low, mirror.high) == (-_(found.estimate), -_(found.high), -_(found.low))


def _(value: float | None) -> float:
    assert value is not None
    return value


@settings(max_examples=25, deadline=None)
@given(gains, st.randoms(use_true_random=False))
def test_the_interval_holds_the_gain_and_order_does_not_count(values: list[float], shuffler: object) -> None:
    for draws in (None, 4.0):
        found = stats.gain_interval(values, draws=draws, resamples=200)
        assert -1 <= _(found.low) <= _(found.estimate) + 1e-12
        assert _(found.estimate) - 1e-12 <= _(found.high) <= 1
        order = list(values)
        shuffler.shuffle(order)  # type: ignore[attr-defined]
        assert stats.gain_interval(order, draws=draws, resamples=200) == found


def test_a_symmetric_sample_has_a_symmetric_bootstrap_interval() -> None:
    values = np.concatenate([np.linspace(0.01, 0.5, 40), -np.linspace(0.01, 0.5, 40)])
    found = stats.gain_interval(values)
    assert found.method.startswith("BCa")
    assert _(found.low) == -_(found.high)


@pytest.mark.parametrize("values", [[], [0.0], [0.4], [0.0, 0.0], [1.0] * 60, [0.0] * 59 + [1.0]])
def test_degenerate_data_give_numbers_or_a_note(values: list[float]) -> None:
    for found in (stats.gain_interval(values), stats.t_interval(values), stats.bca(values)):
        assert (found.low is None) == (found.high is None)
        assert found.low is not None or found.note
        assert all(bound is None or math.isfinite(bound) for bound in (found.estimate, found.low, found.high))


def test_bad_numbers_are_refused() -> None:
    for bad in ([math.nan], [0.1, math.inf], [1.5]):
        with pytest.raises(UserError):
            stats.gain_interval(bad)
    with pytest.raises(UserError, match="level"):
        stats.gain_interval([0.1], level=95)
    with pytest.raises(UserError, match="wilson"):
        stats.wilson(3, 2)


@pytest.mark.parametrize(
    ("n", "draws", "base", "gain"),
    [(15, 10, 0.5, 0.1), (30, 5, 0.8, 0.0), (30, 1, 0.5, 0.1), (75, 10, 0.05, 0.05), (150, 3, 0.9, 0.05)],
)
def test_intervals_of_pass_fail_draws_cover(n: int, draws: int, base: float, gain: float) -> None:
    design = stats.Design(items=n, draws=draws, base=base, gain=gain)
    rows = differences(design, 1000, np.random.default_rng(0))
    found = [stats.gain_interval(row, draws=draws) for row in rows]
    covered = np.mean([_(row.low) <= gain <= _(row.high) for row in found])
    assert 0.93 <= covered <= 0.975  # 0.95 ± 3 standard errors of 1000 experiments


def test_bca_covers_a_skewed_score_better_than_t_does() -> None:
    rng = np.random.default_rng(3)
    rows = (rng.random((400, 75)) < 0.1) * rng.beta(2, 2, (400, 75))
    found = {"BCa": [stats.bca(row, resamples=1000) for row in rows], "t": [stats.t_interval(row) for row in rows]}
    covered = {name: np.mean([_(row.low) <= 0.05 <= _(row.high) for row in each]) for name, each in found.items()}
    assert covered["BCa"] > covered["t"]
    assert 0.92 <= covered["BCa"] <= 0.98
