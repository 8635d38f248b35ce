"""Power formulas against statsmodels, exact enumeration and simulation; minimum gains, sample sizes, false GOs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats as peer
from statsmodels.stats.power import TTestPower

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.power import t_power
from sluicegate.stats.simulate import differences, runs
from sluicegate.stats.variance import discordance, item_skewness, item_variance


@pytest.mark.parametrize(("effect", "n"), [(0.2, 20), (0.5, 15), (0.0, 30), (-0.3, 40), (1.5, 10)])
def test_t_power_agrees_with_statsmodels(effect: float, n: int) -> None:
    expected = TTestPower().power(effect, n, 0.05, alternative="larger")
    critical = float(peer.t.ppf(0.95, n - 1))
    assert t_power(effect * np.sqrt(n), critical, n - 1) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    "design",
    [
        stats.Design(items=1000, draws=10, base=0.1, gain=0.1),
        stats.Design(items=1000, draws=3, base=0.3, gain=0.2, agreement=0.5, heterogeneity=0.2),
        stats.Design(items=1000, draws=1, base=0.9, gain=0.05),
        stats.Design(items=1000, draws=5, seeds=3, base=0.7, gain=-0.1, heterogeneity=0.0),
    ],
)
def test_the_variance_model_is_what_the_simulator_draws(design: stats.Design) -> None:
    values = differences(design, 400, np.random.default_rng(0)).ravel()
    assert values.mean() == pytest.approx(design.gain, abs=0.004)
    assert values.var() == pytest.approx(item_variance(design), rel=0.02)
    assert peer.skew(values) == pytest.approx(item_skewness(design), abs=0.05)
    if design.draws == 1:
        shares = ((values > 0).mean(), (values < 0).mean())
        assert shares == (
            pytest.approx(discordance(design)[0], abs=0.002),
            pytest.approx(discordance(design)[1], abs=0.002),
        )


CASES = [
    ("sign_flip", stats.Design(items=70, draws=10, gain=0.07), 0.0),
    ("sign_flip", stats.Design(items=80, draws=3, base=0.3, gain=0.08), 0.0),
    ("sign_flip", stats.Design(items=75, draws=1, gain=0.15), 0.0),
    ("mcnemar", stats.Design(items=75, base=0.2, gain=0.1), 0.0),
    ("paired_t", stats.Design(items=30, draws=5, gain=0.1), 0.0),
    ("cluster_robust", stats.Design(items=75, draws=10, gain=0.1, clusters=5, cluster_sd=0.03), 0.0),
    ("seed_level", stats.Design(items=75, draws=10, gain=0.1, seeds=3, seed_sd=0.03, agreement=1.0), 0.0),
    ("recipe", stats.Design(items=75, draws=10, gain=0.1, seeds=3, seed_sd=0.03), 0.0),
    ("recipe", stats.Design(items=75, draws=1, gain=0.12, seeds=5, seed_sd=0.01), 0.0),
    ("recipe", stats.Design(items=75, draws=10, gain=0.15, seeds=3, seed_sd=0.03, clusters=5, cluster_sd=0.05), 0.0),
    ("non_inferiority", stats.Design(items=60, draws=10), 0.05),
    ("equivalence", stats.Design(items=100, draws=10), 0.07),
    ("sign_flip", stats.Design(items=75, draws=10, seed_sd=0.03), 0.0),
]


@pytest.mark.parametrize(("test", "design", "margin"), CASES)
def test_formulas_agree_with_simulation(test: str, design: stats.Design, margin: float) -> None:
    tolerance = 0.035  # 4 standard errors of 3000 experiments
    formula = stats.power(test, design, margin=margin)
    simulated = stats.simulated(test, design, margin=margin, repeats=3000, seed=2)
    assert formula.method == "formula"
    assert formula.power == pytest.approx(simulated.share, abs=tolerance)


def test_few_items_are_simulated_and_the_planned_n_holds_where_differences_are_skewed() -> None:
    design = stats.Design(items=20, draws=10, base=0.1, gain=0.1)
    found = stats.power("sign_flip", design)
    assert found.method == "sign_flip, 4000 simulated experiments"
    assert found == stats.power("sign_flip", design)
    n = stats.needed("sign_flip", design)
    assert n is not None
    shares = [
        stats.simulated("sign_flip", replace(design, items=round(n * f)), repeats=8000, seed=5).share
        for f in (0.9, 1.1)
    ]
    assert shares[0] < 0.8 < shares[1]


def test_mcnemar_power_counts_every_table() -> None:
    design = stats.Design(items=9, base=0.3, gain=0.4, agreement=0.5)
    up, down = discordance(design)
    total = 0.0
    for gained in range(10):
        for lost in range(10 - gained):
            if peer.binom.cdf(lost, gained + lost, 0.5) <= 0.05:
                total += float(peer.multinomial.pmf([gained, lost, 9 - gained - lost], 9, [up, down, 1 - up - down]))
    assert stats.power("mcnemar", design).power == pytest.approx(total, abs=1e-9)


def test_wilcoxon_power_is_simulated_and_says_so() -> None:
    found = stats.power("wilcoxon", stats.Design(items=30, draws=10, gain=0.15), seed=3)
    assert found.seed == 3
    assert "simulated" in found.method
    assert found.power > 0.7


@pytest.mark.parametrize(("draws", "base", "gain"), [(1, 0.5, 0.15), (3, 0.5, 0.1), (10, 0.5, 0.1)])
def test_the_planned_n_has_the_power_it_promises(draws: int, base: float, gain: float) -> None:
    design = stats.Design(items=1, draws=draws, base=base, gain=gain)
    n = stats.needed("sign_flip", design)
    assert n is not None
    shares = [
        stats.simulated(
            "mcnemar" if draws == 1 else "sign_flip", replace(design, items=round(n * f)), repeats=4000
        ).share
        for f in (0.9, 1.1)
    ]
    assert shares[0] < 0.8 < shares[1]  # so n is within 10% of what simulation finds


def test_mde_inverts_power_and_needed_inverts_items() -> None:
    design = stats.Design(items=75, draws=10)
    gain = stats.mde("sign_flip", design)
    assert gain is not None
    assert stats.power("sign_flip", replace(design, gain=gain)).power == pytest.approx(0.8, abs=0.005)
    n = stats.needed("paired_t", replace(design, gain=0.1))
    assert n is not None
    assert stats.power("paired_t", replace(design, gain=0.1, items=n)).power >= 0.8
    assert stats.power("paired_t", replace(design, gain=0.1, items=n - 1)).power < 0.8


def test_draws_and_seeds_can_be_asked_for_and_do_not_always_suffice() -> None:
    design = stats.Design(items=40, gain=0.1)
    draws = stats.needed("sign_flip", design, vary="draws")
    assert draws is not None and draws > 1
    assert stats.needed("sign_flip", stats.Design(items=8, gain=0.05), vary="draws") is None
    recipe = stats.Design(items=75, draws=10, gain=0.1, seed_sd=0.03, agreement=1.0)
    seeds = stats.needed("seed_level", recipe, vary="seeds")
    assert seeds is not None and 3 <= seeds <= 5


def test_a_gain_that_does_not_fit_is_not_detectable() -> None:
    assert stats.mde("sign_flip", stats.Design(items=5, base=0.97)) is None
    with pytest.raises(ValueError, match="absence"):
        stats.mde("equivalence", stats.Design(items=50))
    with pytest.raises(ValueError, match="test: wanted"):
        stats.power("anova", stats.Design(items=50))


def test_too_small_designs_have_no_power_and_no_nan() -> None:
    for test in ("paired_t", "sign_flip", "mcnemar", "equivalence", "seed_level", "cluster_robust"):
        assert stats.power(test, stats.Design(items=1, gain=0.2), margin=0.1).power == 0.0
    assert stats.false_stop(stats.Design(items=1), minimum=0.05) == 0.0


def test_attempts_without_split_alpha_add_up() -> None:
    design = stats.Design(items=75, draws=10)
    one = stats.false_go("paired_t", design)
    assert one == pytest.approx(0.05, abs=1e-3)
    assert stats.false_go("paired_t", design, attempts=4, split=False) == pytest.approx(1 - (1 - one) ** 4)
    assert stats.false_go("paired_t", design, attempts=4) <= 0.051


def test_a_true_gain_is_seldom_stopped() -> None:
    design = stats.Design(items=20, draws=4, gain=0.1)
    assert stats.false_stop(design, minimum=0.05) < 0.05 < stats.false_stop(replace(design, gain=0.0), minimum=0.05)
    assert stats.false_stop(replace(design, gain=0.05), minimum=0.05) == pytest.approx(0.05, abs=1e-6)


def test_fit_recovers_the_design_it_was_drawn_from() -> None:
    truth = stats.Design(items=4000, draws=8, base=0.35, gain=0.1, heterogeneity=0.4, agreement=0.8)
    before, after = runs(truth, 1, np.random.default_rng(0))
    found = stats.fit(before[0, 0], after[0, 0], 8, prior=stats.Design(items=1))
    assert found.base == pytest.approx(truth.base, abs=0.02)
    assert found.gain == pytest.approx(truth.gain, abs=0.02)
    assert found.heterogeneity == pytest.approx(truth.heterogeneity, abs=0.03)
    assert found.agreement == pytest.approx(truth.agreement, abs=0.05)


def test_fit_of_all_failures_keeps_off_certainty() -> None:
    found = stats.fit([0.0] * 10, [0.0] * 10, 4, prior=stats.Design(items=1))
    assert 0 < found.base < 0.05
    assert stats.power("sign_flip", replace(found, gain=0.1)).power > 0
    with pytest.raises(UserError, match="too few items"):
        stats.fit([0.1], [0.2], 4, prior=stats.Design(items=1))


@pytest.mark.parametrize(
    "wrong",
    [
        {"base": 1.0},
        {"gain": 0.6},
        {"heterogeneity": 1.0},
        {"items": 0},
        {"agreement": -0.1},
        {"seed_sd": float("nan")},
    ],
)
def test_impossible_designs_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UserError, match="design"):
        replace(stats.Design(items=10), **wrong)  # type: ignore[arg-type]


def test_a_batch_is_bounded_and_seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    design = stats.Design(items=50, draws=4, gain=0.1)
    first = stats.simulated("paired_t", design, repeats=200, seed=1)
    assert first == stats.simulated("paired_t", design, repeats=200, seed=1)
    monkeypatch.setattr("sluicegate.stats.simulate.CELLS", 1000)
    assert stats.simulated("paired_t", design, repeats=200, seed=1).share == pytest.approx(first.share, abs=0.12)
