"""What a stage can find out: the chances of the rule that gates decide by, and the change that makes it testable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluicegate import study
from sluicegate.records import Comparison
from sluicegate.stages.forecast import Chances, chances, machines, work
from sluicegate.stages.forecast.assumptions import Assumed, assumed
from sluicegate.stages.forecast.chances import formula_power, least
from sluicegate.stages.forecast.earlier import Attempt
from sluicegate.stages.forecast.layout import Stage, lay_out
from sluicegate.stages.forecast.making import of
from sluicegate.stages.forecast.measured import NOTHING_MEASURED, Measured
from sluicegate.stages.forecast.remedy import can_be_tested, cheapest
from sluicegate.stages.forecast.remedy import changed as after
from sluicegate.stages.operating import Rule, simulate
from sluicegate.stages.operating.grid import Sizing
from sluicegate.stages.plan import resolve
from sluicegate.stats import Design
from sluicegate.stats.variance import between_draws, between_items
from sluicegate.study import Expected, StageChange, Study

DEMO = study.load("demo").model_copy(update={"must_not_worsen": {}, "stages": {}})


def planned(number: int = 3, expected: dict[str, Any] | None = None, **change: Any) -> Study:
    """The demo with no other metric to guard, 100 test items and 4 draws, and with changes of one stage."""
    sizes = {"train_samples": 400, "val_samples": 40, "test_samples": 100, **change}
    update = {"stages": {number: StageChange(train={}, **sizes)}, "expected": Expected(**(expected or {}))}
    return DEMO.model_copy(update=update)


def odds(changed: Study, number: int = 3) -> Chances:
    found = of(changed, number).chances
    assert found is not None
    return found


def test_stages_0_and_1_decide_nothing() -> None:
    for number in (0, 1):
        forecast = of(DEMO, number)
        assert (forecast.chances, forecast.testable, forecast.cheapest) == (None, None, "")


def test_stage_2_stops_a_worthless_change_at_alpha_and_a_good_one_never() -> None:
    found = odds(planned(2, {"seed_sd": 0.0}), 2)
    assert found.power is None
    assert found.false_go is None
    assert found.stop_without_gain == pytest.approx(0.05, abs=0.015)
    assert found.false_stop is not None
    assert found.false_stop < 0.005
    assert of(planned(2), 2).testable is None


def test_a_single_run_holds_alpha_for_the_checkpoint_and_not_for_the_recipe() -> None:
    found = odds(planned(expected={"seed_sd": 0.03}))
    assert found.claim == "checkpoint"
    assert found.false_go is not None
    assert found.false_go_recipe is not None
    assert found.false_go <= 0.06
    assert found.false_go_recipe > 0.12
    several = odds(planned(expected={"seed_sd": 0.03}, seeds=4))
    assert (several.claim, several.false_go_recipe) == ("recipe", None)
    assert several.false_go is not None
    assert several.false_go <= 0.06
    assert "crossed" in several.test


def test_declared_attempts_share_alpha() -> None:
    one, three = odds(planned()), odds(planned(attempts=3))
    assert three.alpha == pytest.approx(0.05 / 3)
    assert three.attempts == 3
    assert one.false_go is not None
    assert three.false_go is not None
    assert three.false_go <= 0.06
    assert one.power is not None
    assert three.power is not None
    assert three.power < one.power


def test_power_is_that_of_the_whole_rule() -> None:
    changed = planned(expected={"seed_sd": 0.02})
    design = Design(items=100, draws=4, gain=0.1, seed_sd=0.02)
    true = simulate(design, Rule(), 8000, seed=7)
    found = odds(changed)
    assert found.power == pytest.approx(true.go, abs=0.03)
    assert found.false_stop == pytest.approx(true.stop, abs=0.01)
    assert found.mde is not None
    assert simulate(replace(design, gain=found.mde), Rule(), 8000, seed=7).go == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize("clusters", [1, 5])
@pytest.mark.parametrize("items", [25, 100])
def test_the_formula_is_near_the_simulation_of_all_tests_at_once(items: int, clusters: int, seeds: int) -> None:
    design = Design(items=items, draws=4, gain=0.1, seeds=seeds, seed_sd=0.02, clusters=clusters)
    assert formula_power(design, 0.05) == pytest.approx(simulate(design, Rule(), 3000).go, abs=0.06)


def test_a_large_design_is_computed_by_formula() -> None:
    found = odds(planned(test_samples=3000))
    assert found.method == "formula"
    assert found.power is not None
    assert found.power > 0.95


def test_more_runs_than_one_are_three_or_more() -> None:
    def power(design: Design) -> float:
        return formula_power(design, 0.05)

    noisy = Design(items=200, draws=4, gain=0.1, seed_sd=0.06)
    enough = least(noisy, "seeds", power)
    assert enough is not None
    assert enough >= 3
    assert power(replace(noisy, seeds=enough)) >= 0.8
    assert least(Design(items=200, draws=4, gain=0.1), "seeds", power) == 1
    assert least(Design(items=3, draws=4, gain=0.1), "draws", power) is None


@pytest.mark.parametrize(("draws", "base", "gain"), [(10, 0.1, 0.1), (10, 0.8, 0.1), (10, 0.5, 0.2), (5, 0.5, 0.1)])
def test_the_items_that_plan_asks_for_are_those_of_simulation(draws: int, base: float, gain: float) -> None:
    """By formula alone they are up to 16% too many (24 for 21, 12 for 10.4)."""
    row = Sizing(Design(2, draws, base, gain), seed=5).run()
    assert abs(row["plan prints"] / row["simulated"] - 1) <= 0.1


def staged(changed: Study, number: int = 3, seen: Measured = NOTHING_MEASURED) -> tuple[Stage, Assumed, Chances]:
    plan = resolve(changed, number)
    stage = lay_out(changed, plan, work.work(changed, plan, work.texts(changed, plan)), machines.of(changed), seen)
    found = assumed(changed, plan, stage.work.test, 1, seen)
    odds = chances.chances(changed, plan, found)
    assert odds is not None
    return stage, found, odds


@pytest.mark.parametrize("vary", ["items", "draws", "seeds"])
def test_what_is_said_to_make_it_testable_does(vary: str) -> None:
    small = planned(test_samples=25 if vary == "items" else 60, draws=1 if vary == "draws" else 4)
    stage, found, odds = staged(small)
    assert can_be_tested(stage.study, stage.plan, found, odds)[0] is False
    wanted = getattr(odds.needed, vary)
    assert wanted is not None
    told = {"items": {"test_samples": wanted}, "draws": {"draws": wanted}, "seeds": {"seeds": wanted}}[vary]
    own = {"test_samples": stage.work.test, "draws": stage.plan.draws}
    assert of(planned(**{**own, **told}), 3).testable is True
    more = after(stage, vary, wanted)
    assert more.answers * len(more.plan.models) > stage.answers * len(stage.plan.models)


def test_the_cheapest_change_comes_first_with_its_price() -> None:
    stage, found, odds = staged(planned(test_samples=40, draws=1))
    said = cheapest(stage, found, odds)
    assert said.startswith("stages.3: test_samples 40 → ") or said.startswith("stages.3: draws 1 → ")
    assert "(+" in said
    assert "NOT TESTABLE" not in said


def test_where_no_single_change_does_it_says_so() -> None:
    forecast = of(planned(test_samples=60, expected={"seed_sd": 0.15}), 3)
    assert forecast.testable is False
    assert forecast.cheapest.startswith("no number of items, draws or seeds alone does")


def test_a_base_without_room_for_the_gain_cannot_be_tested() -> None:
    forecast = of(planned(expected={"base": 0.95}), 3)
    assert forecast.testable is False
    assert "leaves no room" in forecast.why
    assert "harder items" in forecast.cheapest


def test_a_guarded_metric_costs_power_and_that_is_said() -> None:
    guarded = planned().model_copy(update={"must_not_worsen": {"exact_match": 0.02}})
    forecast = of(guarded, 3)
    alone = odds(planned())
    assert forecast.chances is not None
    assert forecast.chances.power is not None
    assert alone.power is not None
    assert forecast.chances.power < alone.power - 0.2
    assert forecast.chances.mde == alone.mde
    assert "for the primary metric alone" in forecast.why


def seen_at(design: Design, runs: int = 1, **changes: Any) -> Measured:
    """A stage that measured exactly the variances of a design."""
    variance = {"items": between_items(design), "draws": between_draws(design)}
    row = Comparison(
        "functional_correctness", n=design.items, control=design.base, experiment=design.base + design.gain,
        gain=design.gain, low=None, high=None, p=None, p_adjusted=None, level=0.9, method="", seed=0, coverage=1.0,
        variance=variance,
    )  # fmt: skip
    plan = resolve(DEMO.model_copy(update={"stages": {2: StageChange(seeds=runs, train={})}}), 2)
    return Measured((Attempt("stage2-x", plan, DEMO, (), (replace(row, **changes),)),))


def test_the_measured_spread_takes_the_place_of_the_expected_one() -> None:
    true = Design(items=60, draws=4, base=0.3, gain=0.15, heterogeneity=0.7, agreement=0.6)
    changed = planned()
    found = assumed(changed, resolve(changed, 3), 100, 1, seen_at(true))
    assert found.variance == ()
    assert found.basis.startswith("measured in stage2-x")
    assert found.design.base == pytest.approx(0.3)
    assert found.design.heterogeneity == pytest.approx(0.7, abs=1e-6)
    assert found.design.agreement == pytest.approx(0.6, abs=1e-6)
    assert (found.design.items, found.design.draws) == (100, 4)


def test_the_measured_gain_is_never_planned_for() -> None:
    lucky = Design(items=60, draws=4, base=0.3, gain=0.4, heterogeneity=0.7, agreement=0.6)
    changed = planned()
    found = assumed(changed, resolve(changed, 3), 100, 1, seen_at(lucky))
    assert found.design.gain == changed.design_gain
    assert odds(changed).design_gain == 0.1


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"variance": {}}, "no variances"), ({"n": 8}, "8 items"), ({"control": 0.01}, "base of 1%"),
     ({"control": 0.99}, "base of 99%")],
)  # fmt: skip
def test_a_stage_that_tells_too_little_leaves_the_expected_spread(changes: dict[str, Any], why: str) -> None:
    changed = planned()
    found = assumed(changed, resolve(changed, 3), 100, 1, seen_at(Design(items=60, draws=4, base=0.3), **changes))
    assert why in found.basis
    assert found.design.heterogeneity == changed.expected.heterogeneity


def test_scores_that_are_no_pass_or_fail_are_computed_from_their_variances() -> None:
    narrow = {"items": 0.004, "draws": 0.002}
    stage, found, odds = staged(
        planned(test_samples=20), seen=seen_at(Design(items=60, draws=4, base=0.4), variance=narrow)
    )
    assert dict(found.variance) == narrow
    assert "measured variances" in odds.method
    assert odds.power is not None
    assert odds.power > 0.9
    wide = of(planned(test_samples=20), 3).chances
    assert wide is not None
    assert wide.power is not None
    assert wide.power < odds.power
    assert odds.needed.items is not None
    assert odds.needed.items < 20
    assert odds.false_go is not None
    assert odds.false_go <= 0.05
    assert odds.false_go_recipe is not None
    assert odds.false_go_recipe > odds.false_go
    assert can_be_tested(stage.study, stage.plan, found, odds)[0] is True


def test_single_draws_hold_the_draws_in_their_items() -> None:
    true = Design(items=60, draws=1, base=0.4, gain=0.1, heterogeneity=0.5, agreement=0.8)
    both = {"items": between_items(true) + between_draws(true)}
    changed = planned(draws=1)
    found = assumed(changed, resolve(changed, 3), 100, 1, seen_at(true, variance=both))
    assert found.design.agreement == pytest.approx(0.8, abs=1e-6)


def test_the_same_study_has_the_same_forecast() -> None:
    chances._rates.cache_clear()
    first = of(planned(), 3)
    chances._rates.cache_clear()
    assert of(planned(), 3) == first


def test_more_difference_between_items_than_the_model_has_is_taken_as_measured() -> None:
    # What stage 3 of the demo measured: 69% against 97%, so few alike that no agreement explains it.
    wide = {"items": 0.1774, "draws": 0.0733}
    seen = seen_at(Design(items=100, draws=4, base=0.6875, gain=0.285), variance=wide)
    guarded = planned(test_samples=120).model_copy(update={"must_not_worsen": {"exact_match": 0.05}})
    _, found, odds = staged(guarded, seen=seen)
    assert (dict(found.variance), found.step) == (wide, 1.0)
    stage, free, alone = staged(planned(test_samples=120), seen=seen)
    assert odds.power is not None
    assert alone.power is not None
    assert odds.power < alone.power < 0.8
    assert f"({alone.power:.0%} for the primary metric alone" in can_be_tested(guarded, stage.plan, found, odds)[1]
    assert free.guards == ()
