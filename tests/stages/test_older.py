"""The older criterion on comparisons, and its error rates as they were simulated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sluicegate.errors import UserError
from sluicegate.records import Comparison
from sluicegate.stages.older import error_rates, older_gate
from sluicegate.stages.operating import averages


def row(metric: str, control: float | None, gain: float | None, p: float | None = 0.5) -> Comparison:
    experiment = None if control is None or gain is None else control + gain
    return Comparison(metric, 20, control, experiment, gain, None, None, p, p, 0.9, "sign-flip", 0, 1.0)


def test_it_averages_relative_changes_and_takes_any_p() -> None:
    found = older_gate([row("a", 0.5, 0.1), row("b", 0.25, 0.025, 0.01)])
    assert found.average == pytest.approx(0.15)
    assert found.any_p == pytest.approx(0.02)
    assert found.go is True
    assert found.text.endswith("(wanted below 0.05): GO")


@pytest.mark.parametrize(
    ("rows", "go"),
    [
        ([row("a", 0.5, 0.05, 0.001)], False),  # exactly 10%
        ([row("a", 0.5, 0.1, 0.025)], False),  # two-sided, exactly 0.05
        ([row("a", 0.5, 0.2), row("b", 0.5, -0.01, 0.999)], True),  # a sure loss is a small p too
        ([row("a", 0.5, 0.2, None)], False),
        ([], False),
    ],
)
def test_its_thresholds(rows: list[Comparison], go: bool) -> None:
    assert older_gate(rows).go is go


def test_the_t_test_speaks_before_the_sign_flip() -> None:
    found = older_gate([replace(row("a", 0.5, 0.2, 0.3), effects={"t_p": 0.001})])
    assert found.any_p == pytest.approx(0.002)


def test_metrics_without_a_relative_change_are_left_out_and_said() -> None:
    found = older_gate([row("a", 0.5, 0.1), row("zero", 0.0, 0.1, 0.001), row("none", None, None, None)])
    assert found.average == pytest.approx(0.2)
    assert found.left_out == ("zero", "none")
    assert "left out, the control being at 0 or unknown: zero, none" in found.text
    nothing = older_gate([row("zero", 0.0, 0.1)])
    assert (nothing.average, nothing.go) == (None, False)
    assert "improvement none" in nothing.text


def test_error_rates_are_those_of_the_nearest_case() -> None:
    found = error_rates(16, 8)
    assert (found.n_simulated, found.metrics_simulated) == (15, 7)
    assert found.false_go < found.false_go_with_retries
    assert found.power_one < found.power
    assert error_rates(100_000, 100).n_simulated == 300
    assert error_rates(1, 1).n_simulated == 5
    with pytest.raises(UserError, match="out of range"):
        error_rates(0, 7)


@pytest.mark.parametrize(("n", "metrics"), [(15, 7), (75, 3)])
def test_the_table_is_what_the_simulation_gives_now(n: int, metrics: int) -> None:
    found, told = averages.simulate(n, metrics, repeats=4000, seed=12), error_rates(n, metrics)
    assert found.go == pytest.approx(told.false_go, abs=0.02)
    assert found.within(5) == pytest.approx(told.false_go_with_retries, abs=0.06)
    assert averages.simulate(n, metrics, 0.1, repeats=2000, seed=13).go == pytest.approx(told.power, abs=0.04)


def test_one_metric_alone_errs_as_a_t_test_does() -> None:
    found = averages.simulate(50, 1, repeats=4000, seed=14)
    assert found.any_p == pytest.approx(0.05, abs=0.015)
    strict = averages.simulate(50, 1, test="unpaired", repeats=4000, seed=14)
    assert strict.any_p < found.any_p
