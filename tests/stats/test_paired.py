"""Paired tests against scipy and statsmodels, brute force, and degenerate data."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as peer
from statsmodels.stats.contingency_tables import mcnemar as peer_mcnemar
from statsmodels.stats.weightstats import DescrStatsW

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.paired import discordant_p
from sluicegate.stats.results import Alternative
from sluicegate.stats.signflip import EXACT_ITEMS, steps, tail

ALTERNATIVES: tuple[Alternative, ...] = ("greater", "less", "two-sided")
gains = st.lists(st.floats(-1, 1, allow_nan=False).map(lambda x: round(x, 6)), min_size=1, max_size=12)


def brute(values: list[float], alternative: Alternative) -> float:
    """Every assignment of signs, one by one."""
    observed = math.fsum(values)
    sums = [
        math.fsum(s * v for s, v in zip(signs, values, strict=True))
        for signs in itertools.product((1, -1), repeat=len(values))
    ]
    reached = {
        "greater": [s >= observed - 1e-12 for s in sums],
        "less": [s <= observed + 1e-12 for s in sums],
        "two-sided": [abs(s) >= abs(observed) - 1e-12 for s in sums],
    }[alternative]
    return sum(reached) / len(reached)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("grid", [True, False])
def test_sign_flip_is_exact_against_brute_force(alternative: Alternative, grid: bool) -> None:
    rng = np.random.default_rng(3)
    for n in range(1, 11):
        values = rng.integers(-3, 4, n) / 3 if grid else rng.normal(0.2, 1, n)
        found = stats.sign_flip(values, alternative=alternative)
        assert found.p == pytest.approx(brute(values.tolist(), alternative), abs=1e-12)
        assert found.seed is None


def test_both_exact_ways_agree_and_drawn_flips_come_near() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(-4, 6, EXACT_ITEMS) / 5
    values = values[values != 0]
    counted = tail(values, two_sided=False, resamples=0, seed=0).p
    halves = tail(values + 1e-7 * rng.normal(size=values.size), two_sided=False, resamples=0, seed=0).p
    assert halves == pytest.approx(counted, rel=0.1)
    noisy = np.concatenate([values, values]) * math.sqrt(2)
    drawn = tail(noisy, two_sided=False, resamples=20_000, seed=0)
    exact = tail(np.concatenate([values, values]), two_sided=False, resamples=0, seed=0)
    assert drawn.drawn and not exact.drawn
    assert abs(drawn.p - exact.p) < 4 * math.sqrt(exact.p / 20_000) + 1e-4


def test_sign_flip_agrees_with_scipy_permutation_test() -> None:
    values = np.random.default_rng(1).normal(0.3, 1, 12)
    found = peer.permutation_test(
        (values,),
        lambda x, axis: np.mean(x, axis=axis),
        vectorized=True,
        permutation_type="samples",
        alternative="greater",
        n_resamples=2**13,
    )  # more than 2^12: exact
    assert stats.sign_flip(values).p == pytest.approx(found.pvalue, abs=1e-9)


def test_drawn_p_is_never_zero_and_repeats_with_its_seed() -> None:
    values = np.random.default_rng(2).uniform(0.5, 1, 60) * math.sqrt(2) / 2
    found = stats.sign_flip(values, resamples=500, seed=4)
    assert found.p == pytest.approx(1 / 501)
    assert found == stats.sign_flip(values, resamples=500, seed=4)
    assert (found.seed, found.n) == (4, 60)


def test_exact_p_of_thousands_of_items_stays_above_zero() -> None:
    found = stats.sign_flip([1.0] * 3000)
    assert found.p is not None and found.p > 0


@settings(max_examples=25, deadline=None)
@given(gains)
def test_swapping_the_arms_swaps_the_tails(values: list[float]) -> None:
    swapped = [-value for value in values]
    assert stats.sign_flip(values).p == stats.sign_flip(swapped, alternative="less").p
    assert stats.sign_flip(values, alternative="two-sided").p == stats.sign_flip(swapped, alternative="two-sided").p
    assert stats.wilcoxon(values, alternative="greater").p == stats.wilcoxon(swapped, alternative="less").p


@settings(max_examples=25, deadline=None)
@given(gains, st.randoms(use_true_random=False))
def test_order_and_scale_do_not_count(values: list[float], shuffler: object) -> None:
    order = list(values)
    shuffler.shuffle(order)  # type: ignore[attr-defined]
    assert stats.sign_flip(order).p == stats.sign_flip(values).p
    quarter = [value / 4 for value in values]
    assert stats.sign_flip(quarter).p == pytest.approx(stats.sign_flip(values).p, abs=1e-12)


def test_steps_keep_small_differences() -> None:
    assert steps(np.array([1e-9, 0.5])) is None
    assert steps(np.array([0.3 - 0.2, 0.1])).tolist() == [1, 1]  # type: ignore[union-attr]


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_paired_t_agrees_with_scipy_and_statsmodels(alternative: Alternative) -> None:
    rng = np.random.default_rng(5)
    before, after = rng.random(30), rng.random(30)
    found = stats.paired_t(after - before, alternative=alternative)
    expected = peer.ttest_rel(after, before, alternative=alternative)
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)
    assert found.statistic == pytest.approx(expected.statistic, abs=1e-9)
    words = {"greater": "larger", "less": "smaller", "two-sided": "two-sided"}
    assert found.p == pytest.approx(
        DescrStatsW(after - before).ttest_mean(0, alternative=words[alternative])[1], abs=1e-9
    )


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@pytest.mark.parametrize("n", [8, 40])
def test_wilcoxon_agrees_with_scipy_exact(alternative: Alternative, n: int) -> None:
    values = np.random.default_rng(n).normal(0.2, 1, n)
    expected = peer.wilcoxon(values, alternative=alternative, method="exact")
    assert stats.wilcoxon(values, alternative=alternative).p == pytest.approx(expected.pvalue, abs=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_wilcoxon_with_many_ties_agrees_with_scipy_normal(alternative: Alternative) -> None:
    values = np.random.default_rng(9).integers(-5, 7, 800).astype(float)
    expected = peer.wilcoxon(values, alternative=alternative, method="approx", correction=False)
    found = stats.wilcoxon(values, alternative=alternative)
    assert found.method == "Wilcoxon signed-rank (normal)"
    assert found.p == pytest.approx(expected.pvalue, abs=1e-9)


def test_wilcoxon_is_exact_with_ties() -> None:
    values = [0.1, 0.3 - 0.2, -0.1, 0.4, 0.0]  # the first three tie, though not in binary
    assert stats.wilcoxon(values, alternative="greater").p == pytest.approx(brute([2, 2, -2, 4], "greater"))


@pytest.mark.parametrize(("gained", "lost"), [(9, 2), (2, 9), (5, 5), (0, 0), (7, 0)])
def test_mcnemar_agrees_with_statsmodels(gained: int, lost: int) -> None:
    before = [0.0] * gained + [1.0] * lost + [1.0] * 3
    after = [1.0] * gained + [0.0] * lost + [1.0] * 3
    expected = peer_mcnemar([[3, lost], [gained, 0]], exact=True).pvalue
    assert stats.mcnemar(before, after).p == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
def test_mcnemar_is_the_sign_flip_of_single_draws(alternative: Alternative) -> None:
    rng = np.random.default_rng(8)
    before, after = rng.integers(0, 2, 40).astype(float), rng.integers(0, 2, 40).astype(float)
    exact = stats.mcnemar(before, after, alternative=alternative).p
    assert stats.sign_flip(after - before, alternative=alternative).p == pytest.approx(exact, abs=1e-12)


def test_mid_p_takes_half_the_observed_table() -> None:
    for gained, lost in itertools.product(range(8), range(8)):
        exact = discordant_p(gained, lost, alternative="greater")
        mid = discordant_p(gained, lost, alternative="greater", mid=True)
        assert exact - mid == pytest.approx(peer.binom.pmf(gained, gained + lost, 0.5) / 2, abs=1e-12)
    assert discordant_p(3, 3, alternative="two-sided", mid=True) == pytest.approx(1.0)


@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [0.2] * 5, [1.0] * 2])
def test_degenerate_differences_give_no_nan(values: list[float]) -> None:
    for found in (stats.sign_flip(values), stats.paired_t(values), stats.wilcoxon(values)):
        assert found.p is None or 0 < found.p <= 1
        assert found.statistic is None or math.isfinite(found.statistic)
        assert found.n == len(values)
        assert found.p is not None or found.note


def test_constant_gain_is_as_sure_as_its_number_of_items() -> None:
    assert stats.sign_flip([0.3] * 5).p == pytest.approx(2**-5)
    assert stats.paired_t([0.3] * 5).p is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_none_are_refused(bad: float) -> None:
    for test in (stats.sign_flip, stats.paired_t, stats.wilcoxon):
        with pytest.raises(UserError, match="not finite"):
            test([0.1, bad])


def test_mcnemar_refuses_shares_and_misspelt_alternatives_are_bugs() -> None:
    with pytest.raises(UserError, match="pass/fail"):
        stats.mcnemar([0.5], [1.0])
    with pytest.raises(ValueError, match="alternative"):
        stats.sign_flip([0.1], alternative="bigger")  # type: ignore[arg-type]


def test_sign_flip_holds_its_level_without_effect() -> None:
    design = stats.Design(items=20, draws=10, base=0.4)
    found = stats.simulated("sign_flip", design, repeats=3000, seed=1)
    assert 0.03 < found.share < 0.06
