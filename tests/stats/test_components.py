"""Variance components against the model they are drawn from, and what would settle a decision against simulation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special
from scipy import stats as peer

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.power import t_power
from sluicegate.stats.recipe import crossed
from sluicegate.stats.simulate import clusters, runs
from sluicegate.stats.variance import QUANTILES, between_draws, between_items, chances

Block = NDArray[np.float64]


def components(control: Block, experiment: Block, scenarios: list[str] | None = None) -> dict[str, float]:
    return stats.components(control.tolist(), experiment.tolist(), scenarios)


def drawn(design: stats.Design, rng: np.random.Generator, interaction: float = 0.0) -> tuple[Block, Block]:
    """Both arms' values of one experiment, shape (items, runs, draws); runs add normal noise, so they leave [0, 1]."""
    ranks = rng.integers(0, QUANTILES, design.items)
    other = np.where(rng.random(design.items) < design.agreement, ranks, rng.integers(0, QUANTILES, design.items))
    arms = []
    for rate, which in ((design.base, ranks), (design.base + design.gain, other)):
        chance = chances(rate, design.heterogeneity)[which][:, None, None]
        passed = (rng.random((design.items, design.seeds, design.draws)) < chance).astype(np.float64)
        passed += rng.normal(0, design.seed_sd, (1, design.seeds, 1))
        arms.append(passed + rng.normal(0, interaction**0.5, (design.items, design.seeds, 1)))
    shift = rng.normal(0, design.cluster_sd, design.clusters)[clusters(design)]
    return arms[0], arms[1] + shift[:, None, None]


def means(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: float(np.mean([each[name] for each in found])) for name in found[0]}


def variance_of(design: stats.Design, interaction: float = 0.0) -> dict[str, float]:
    """What `components` should find of a design; `interaction` of one arm."""
    found = {
        "items": between_items(design) + 2 * interaction / design.seeds,
        "draws": between_draws(design),
        "seeds": 2 * design.seed_sd**2,
        "interaction": 2 * interaction,
        "scenarios": design.cluster_sd**2,
    }
    return {name: value for name, value in found.items() if value or name in ("items", "draws")}


@pytest.mark.parametrize(
    ("design", "interaction"),
    [
        (stats.Design(items=6000, draws=4, gain=0.1), 0.0),
        (stats.Design(items=6000, draws=10, base=0.2, gain=0.2, heterogeneity=0.3, agreement=0.5), 0.0),
        (stats.Design(items=2000, draws=4, gain=0.1, seeds=3, seed_sd=0.1), 0.03),
    ],
)
def test_components_are_those_of_the_model(design: stats.Design, interaction: float) -> None:
    rng = np.random.default_rng(3)
    found = means([components(*drawn(design, rng, interaction)) for _ in range(1 if design.seeds == 1 else 50)])
    expected = variance_of(design, interaction)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        tolerance = 0.2 if name == "seeds" else 0.05
        assert found[name] == pytest.approx(value, rel=tolerance), name


def test_draws_that_were_not_judged_do_not_bias_the_components() -> None:
    design, rng = stats.Design(items=8000, draws=6, gain=0.1), np.random.default_rng(5)
    whole = drawn(design, rng)
    holed = []
    for arm in whole:
        lost = rng.random(arm.shape) < 0.5
        lost[:, :, 0] = False
        holed.append(np.where(lost, np.nan, arm))
    found = components(holed[0], holed[1])
    assert found["items"] == pytest.approx(between_items(design), rel=0.1)
    assert found["draws"] == pytest.approx(between_draws(design), rel=0.05)
    assert np.isnan(holed[0]).mean() > 0.3


def test_scenarios_of_unequal_sizes() -> None:
    rng, sizes = np.random.default_rng(2), (4, 9, 16, 7, 24)
    group = np.repeat(np.arange(5), sizes)
    names = [f"s{which}" for which in group]
    found = []
    for _ in range(400):
        gains = rng.normal(0, 0.5, 5)[group] + rng.normal(0, 0.2, len(group))
        found.append(stats.components([[[0.0]]] * len(group), [[[gain]] for gain in gains], names))
    assert means(found) == {"items": pytest.approx(0.04, rel=0.05), "scenarios": pytest.approx(0.25, rel=0.15)}


def test_the_components_add_up_to_the_variance_of_the_gain() -> None:
    design = stats.Design(items=60, draws=3, gain=0.1, seeds=3, seed_sd=0.03, clusters=6, cluster_sd=0.06)
    rng, gains, forecasts = np.random.default_rng(0), [], []
    names = [str(which) for which in clusters(design)]
    for _ in range(700):
        before, after = drawn(design, rng)
        gains.append(after.mean() - before.mean())
        parts = components(before, after, names)
        forecasts.append(parts["items"] / 60 + parts["draws"] / 540 + parts["seeds"] / 3 + parts["scenarios"] / 6)
    assert np.mean(forecasts) == pytest.approx(np.var(gains), rel=0.15)  # clipping at 0 leaves it a little above


def test_a_single_draw_leaves_items_and_draws_together() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.random((30, 1, 1)), rng.random((30, 1, 1))
    found = components(before, after)
    assert found == {"items": pytest.approx(float((after - before).var(ddof=1)), rel=1e-12)}


def test_single_draws_of_several_runs_count_as_draws() -> None:
    design, rng = stats.Design(items=3000, draws=1, gain=0.1, seeds=3, seed_sd=0.05), np.random.default_rng(4)
    found = means([components(*drawn(design, rng)) for _ in range(20)])
    assert found.keys() == {"items", "draws", "seeds"}
    assert found["items"] == pytest.approx(between_items(design), rel=0.1)
    assert found["draws"] == pytest.approx(between_draws(design), rel=0.05)


def test_two_way_mean_squares_by_hand() -> None:
    cells = np.array([[0.1, 0.5], [0.3, 0.3], [0.2, 0.7]])
    fitted = cells.mean(1, keepdims=True) + cells.mean(0) - cells.mean()
    residual = float(((cells - fitted) ** 2).sum()) / 2
    columns = float(cells.mean(0).var(ddof=1)) - residual / 3
    found = components(cells[:, :, None], 1 - cells[:, :, None])
    gains = 1 - 2 * cells.mean(1)
    assert found["draws"] == pytest.approx(2 * residual)
    assert found["seeds"] == pytest.approx(2 * columns)
    assert found["items"] == pytest.approx(max(0.0, float(gains.var(ddof=1)) - residual))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([], []),
        ([[[0.5]]], [[[0.5]]]),
        ([[[None]], [[0.5]], [[0.5]]], [[[0.5]], [[None]], [[1.0]]]),
        ([[[None, None]]] * 5, [[[1.0, 1.0]]] * 5),
    ],
)
def test_fewer_than_two_items_have_no_components(before: stats.Draws, after: stats.Draws) -> None:
    assert stats.components(before, after) == {}


def test_what_cannot_be_told_apart_is_left_out() -> None:
    one, several = [[[0.0, 1.0]], [[0.0, 0.0]]], [[[1.0, 1.0], [0.0, 1.0]], [[0.0, 1.0], [1.0, 1.0]]]
    assert stats.components(one, several).keys() == {"items", "draws"}  # one run in one arm
    assert stats.components([[[0.0]], [[1.0]]], several).keys() == {"items"}  # one draw in one arm
    assert stats.components(one, one, ["a", "b"]).keys() == {"items", "draws"}  # an item a scenario
    assert stats.components(one, one, ["a", "a"]).keys() == {"items", "draws"}
    with pytest.raises(ValueError, match="paired"):
        stats.components(one, one[:1])
    with pytest.raises(UserError, match="not finite"):
        stats.components(one, [[[1.0, float("inf")]], [[0.0, 0.0]]])


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1, allow_subnormal=False))


@st.composite
def arms(draw: st.DrawFn) -> tuple[stats.Draws, stats.Draws, list[str]]:
    items, draws = draw(st.integers(1, 8)), draw(st.integers(1, 4))
    shape = [
        st.lists(
            st.lists(st.lists(VALUES, min_size=draws, max_size=draws), min_size=count, max_size=count),
            min_size=items,
            max_size=items,
        )
        for count in (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    ]
    return draw(shape[0]), draw(shape[1]), draw(st.lists(st.sampled_from("abc"), min_size=items, max_size=items))


@given(arms())
@settings(max_examples=100, deadline=None)
def test_components_are_finite_and_the_same_from_either_arm(
    drawn: tuple[stats.Draws, stats.Draws, list[str]],
) -> None:
    control, experiment, scenarios = drawn
    for names in (None, scenarios):
        found = stats.components(control, experiment, names)
        assert all(np.isfinite(value) and value >= 0 for value in found.values())
        assert stats.components(experiment, control, names) == found
        turned = None if names is None else names[::-1]
        assert stats.components(control[::-1], experiment[::-1], turned) == pytest.approx(found, rel=1e-9, abs=1e-12)


# What would settle it


@pytest.mark.parametrize(("n", "gain"), [(8, 0.3), (20, 0.1), (75, 0.05), (75, 0.0), (400, 0.03)])
def test_one_test_alone_is_noncentral_t(n: int, gain: float) -> None:
    variance = {"items": 0.03, "draws": 0.2}
    se = ((0.03 + 0.2 / 5) / n) ** 0.5
    expected = t_power(gain / se, float(peer.t.ppf(0.95, n - 1)), n - 1)
    found = stats.power_of(variance, gain=gain, sizes=stats.Sizes(n, 5), alpha=0.05, step=0.0)
    assert found == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.0125])
@pytest.mark.parametrize(
    ("design", "within"),
    [
        (stats.Design(items=1, draws=10, gain=0.1), 0.03),
        (stats.Design(items=1, draws=10, gain=0.05), 0.03),
        (stats.Design(items=1, draws=3, base=0.3, gain=0.1), 0.03),
        (stats.Design(items=1, draws=1, gain=0.15), 0.04),
        (stats.Design(items=1, draws=1, base=0.2, gain=0.1), 0.05),
        (stats.Design(items=1, draws=10, base=0.1, gain=0.1), 0.35),  # skewed, which the components do not tell
    ],
)
def test_the_items_needed_agree_with_the_planner(design: stats.Design, within: float, alpha: float) -> None:
    planned = stats.needed("sign_flip", design, alpha=alpha)
    have = stats.Sizes(items=30, draws=design.draws)
    found = stats.settles(variance_of(design), gain=design.gain, have=have, alpha=alpha)
    assert found[0].wanted == pytest.approx(planned, rel=within)


def test_draws_and_seeds_needed_agree_with_the_planner() -> None:
    design = stats.Design(items=40, gain=0.1)
    have = stats.Sizes(items=40)
    assert stats.needed("sign_flip", design, vary="draws") == 8
    assert stats.settles(variance_of(design), gain=0.1, have=have, alpha=0.05)[1].wanted in (8, 9)
    for noise in (0.03, 0.05):
        recipe = stats.Design(items=1000, draws=10, gain=0.1, seed_sd=noise, agreement=1.0)
        found = stats.settles(variance_of(recipe), gain=0.1, have=stats.Sizes(1000, 10, 3), alpha=0.05)
        assert found[2].wanted == stats.needed("recipe", recipe, vary="seeds")


def decided(
    design: stats.Design, *, alpha: float, minimum: float, repeats: int, interaction: float = 0.0
) -> tuple[float, float]:
    """Shares of GO and STOP among simulated experiments: t over items, runs and items crossed, t over scenarios."""
    rng = np.random.default_rng(1)
    before, after = (
        arm + rng.normal(0, interaction**0.5, arm.shape) if interaction else arm for arm in runs(design, repeats, rng)
    )
    gains, n, seeds = after.mean(1) - before.mean(1), design.items, design.seeds
    centre, se = gains.mean(1), gains.std(1, ddof=1) / n**0.5
    critical = special.stdtrit(n - 1, 1 - alpha)
    go, stop = centre - 1 / (n * design.draws * seeds) > critical * se, centre + critical * se < minimum
    if seeds >= 3:
        found = crossed(before, after, clusters(design) if design.clusters >= 5 else None)
        go &= centre > special.stdtrit(found.df, 1 - alpha) * np.sqrt(found.variance)
    if design.clusters >= 5:
        member = np.equal.outer(clusters(design), np.arange(design.clusters)).astype(np.float64)
        sums = ((gains - centre[:, None]) @ member) ** 2
        robust = np.sqrt(design.clusters / (design.clusters - 1) * sums.sum(1)) / n
        go &= centre > special.stdtrit(design.clusters - 1, 1 - alpha) * robust
    return float((go & ~stop).mean()), float(stop.mean())


@pytest.mark.parametrize(
    ("design", "interaction"),
    [
        (stats.Design(items=75, draws=10, gain=0.1, seeds=3, seed_sd=0.03), 0.0),
        (stats.Design(items=75, draws=10, gain=0.0, seeds=3, seed_sd=0.03), 0.0),
        (stats.Design(items=75, draws=10, gain=0.1, seeds=5, seed_sd=0.05), 0.02),
        (stats.Design(items=75, draws=10, gain=0.1, clusters=5, cluster_sd=0.03), 0.0),
        (stats.Design(items=150, draws=5, gain=0.1, seeds=3, seed_sd=0.02, clusters=5, cluster_sd=0.05), 0.02),
        (stats.Design(items=200, draws=5, gain=0.0), 0.0),
    ],
)
@pytest.mark.parametrize("alpha", [0.05, 0.0125])
def test_the_chances_of_all_tests_at_once_agree_with_simulation(
    design: stats.Design, interaction: float, alpha: float
) -> None:
    go, stop = decided(design, alpha=alpha, minimum=0.05, repeats=2500, interaction=interaction)
    variance = variance_of(design, interaction)
    sizes = stats.Sizes(design.items, design.draws, design.seeds, design.clusters)
    found = stats.power_of(variance, gain=design.gain, sizes=sizes, alpha=alpha, minimum=0.05)
    assert found == pytest.approx(go, abs=0.035)  # 3 to 4 standard errors
    found = stats.stop_of(variance, gain=design.gain, sizes=sizes, alpha=alpha, minimum=0.05)
    assert found == pytest.approx(stop, abs=0.035)


def test_the_chance_of_a_stop_is_the_planner_s() -> None:
    design = stats.Design(items=75, draws=10, gain=0.02)
    found = stats.stop_of(variance_of(design), gain=0.02, sizes=stats.Sizes(75, 10), alpha=0.05, minimum=0.08)
    assert found == pytest.approx(stats.false_stop(design, minimum=0.08), abs=0.005)


def test_the_number_wanted_is_the_least_that_holds() -> None:
    variance, have = {"items": 0.03, "draws": 0.25, "seeds": 0.001}, stats.Sizes(40, 4, 3)
    for row in stats.settles(variance, gain=0.1, have=have, alpha=0.05):
        assert row.wanted is not None and row.wanted > 3
        for count, holds in ((row.wanted, True), (row.wanted - 1, False)):
            sizes = replace(have, **{row.vary: count})
            chance = stats.power_of(variance, gain=0.1, sizes=sizes, alpha=0.05, measured_seeds=3)
            assert (chance >= 0.8) is holds
        assert row.low is not None and row.low <= row.wanted
        assert row.high is None or row.wanted <= row.high


def test_a_minimum_asks_for_a_stop_of_two_equal_arms_as_well() -> None:
    variance, have = {"items": 0.025, "draws": 0.25}, stats.Sizes(20, 10)
    plain = stats.settles(variance, gain=0.1, have=have, alpha=0.05)[0]
    both = stats.settles(variance, gain=0.1, have=have, alpha=0.05, minimum=0.05)[0]
    assert plain.wanted is not None and both.wanted is not None and both.wanted > 3 * plain.wanted
    sizes = stats.Sizes(both.wanted, 10)
    assert stats.stop_of(variance, gain=0.0, sizes=sizes, alpha=0.05, minimum=0.05) >= 0.8
    assert stats.power_of(variance, gain=0.1, sizes=sizes, alpha=0.05, minimum=0.05) >= 0.99


def test_the_range_holds_the_truth_in_four_of_five_stages() -> None:
    design, rng = stats.Design(items=30, draws=6, gain=0.1), np.random.default_rng(7)
    truth = stats.settles(variance_of(design), gain=0.1, have=stats.Sizes(30, 6), alpha=0.05)[0].wanted
    assert truth is not None
    held = []
    for _ in range(200):
        found = stats.settles(components(*drawn(design, rng)), gain=0.1, have=stats.Sizes(30, 6), alpha=0.05)[0]
        assert found.low is not None
        held.append(found.low <= truth <= (found.high or 10**9))
    assert 0.76 < np.mean(held) < 0.92


def test_nothing_is_said_of_what_was_not_measured() -> None:
    have = stats.Sizes(20, 1)
    assert stats.settles({}, gain=0.1, have=have, alpha=0.05) == ()
    assert [row.vary for row in stats.settles({"items": 0.1}, gain=0.1, have=have, alpha=0.05)] == ["items"]
    told = {"items": 0.1, "draws": 0.2, "seeds": 0.0}
    assert [row.vary for row in stats.settles(told, gain=0.1, have=stats.Sizes(20, 4), alpha=0.05)] == [
        "items",
        "draws",
    ]
    several = stats.settles(told, gain=0.1, have=stats.Sizes(20, 4, 3), alpha=0.05)
    assert [row.vary for row in several] == ["items", "draws", "seeds"]


def test_what_no_number_settles_is_none() -> None:
    rows = stats.settles({"items": 0.3, "draws": 0.2}, gain=0.05, have=stats.Sizes(10, 2), alpha=0.05)
    assert rows[1].wanted is None and rows[1].high is None
    noisy = {"items": 0.02, "draws": 0.2, "seeds": 0.02}
    rows = stats.settles(noisy, gain=0.1, have=stats.Sizes(50, 4, 3), alpha=0.05)
    assert rows[0].wanted is None and rows[2].wanted is not None
    assert stats.settles({"items": 1.0}, gain=1e-4, have=stats.Sizes(50), alpha=0.05)[0].wanted is None


def test_items_that_all_differ_alike_still_need_some() -> None:
    rows = stats.settles({"items": 0.0, "draws": 0.0}, gain=0.1, have=stats.Sizes(15, 4), alpha=0.05, minimum=0.05)
    assert rows[0].wanted is not None and rows[0].wanted >= 5
    assert stats.power_of({}, gain=0.1, sizes=stats.Sizes(4), alpha=0.05) == 0.0  # 4 gains of 4 are p = 1/16
    assert stats.stop_of({}, gain=0.1, sizes=stats.Sizes(1), alpha=0.05, minimum=0.05) == 0.0
    with pytest.raises(ValueError, match="1 or more"):
        stats.Sizes(0)


def test_few_scenarios_are_taken_as_they_are() -> None:
    variance = {"items": 0.03, "draws": 0.25, "scenarios": 0.02}
    chance = {
        count: stats.power_of(variance, gain=0.1, sizes=stats.Sizes(100, 10, 1, count), alpha=0.05)
        for count in (1, 4, 5)
    }
    assert chance[1] > 0.98 and chance[4] > 0.9
    assert chance[5] < 0.4
