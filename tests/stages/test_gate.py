"""The gate and its criteria on made-up evidence: each criterion can pass and can fail, and gravity decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluicegate import study
from sluicegate.records import Check, Comparison, Outcome
from sluicegate.stages import gate
from sluicegate.stages.advice import diagnose
from sluicegate.stages.budget import Overrun
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.evidence import Evidence
from sluicegate.stages.ledger import Decided, Registered
from sluicegate.stages.plan import STAGES, resolve
from sluicegate.stages.register import Registration
from sluicegate.study import Study

DEMO = study.load("demo").model_copy(update={"must_not_worsen": {}})


def compared(gain: float | None, low: float | None, high: float | None, p: float | None, **changes: Any) -> Comparison:
    row = Comparison(
        metric=DEMO.primary, n=40, control=0.4, experiment=0.4 + (gain or 0), gain=gain, low=low, high=high, p=p,
        p_adjusted=p, level=0.9, method="sign-flip", seed=0, coverage=1.0,
    )  # fmt: skip
    return replace(row, **changes)


RESULT = {
    "steps": 10, "first_loss": 5.0, "last_loss": 1.0, "loaded_in_4bit": False, "why_4bit": "small",
    "peak_vram_gib": None, "forecast_vram_gib": 0.1,
}  # fmt: skip


MANIFEST = {
    "counts": {"python": {"train": 400, "val": 5, "test": 40}},
    "fresh": {"sha256": "f" * 64, "items": 40, "reused": []},
    "leaks": [],
    "evaluation_prompts_sha256": {"control": "a", "experiment": "a"},
    "files": {
        "test.jsonl": {"sha256": "t" * 64, "samples": 40},
        "control-val.jsonl": {"sha256": "v" * 64, "samples": 5},
        "experiment-val.jsonl": {"sha256": "v" * 64, "samples": 5},
    },
}


def registration(the_study: Study, stage: int, **changes: Any) -> Registration:
    """As `register` writes it, after a GO of the stage before."""
    plan = resolve(the_study, stage)
    same: dict[str, Any] = {"study": the_study.name, "code_sha256": "c" * 64, "git_commit": "c"}
    told: dict[str, Any] = {
        "number": 1, "attempts": plan.attempts, "alpha": plan.alpha if plan.stage.decides else 0.0, "spent": 0.0,
        "allowed": the_study.alpha if plan.stage.decides else 0.0,
    }  # fmt: skip
    line = Registered(
        **same, **{**told, **changes}, study_sha256=the_study.sha256_to(stage), stage=stage, attempt="a",
        primary=the_study.primary, minimum_gain=the_study.minimum_gain, must_not_worsen=the_study.must_not_worsen,
    )  # fmt: skip
    former = Decided(
        **same, study_sha256="", stage=stage - 1, attempt="b", outcome=Outcome.GO, verdict_sha256="", alpha=0.0,
        open=False,
    )  # fmt: skip
    return Registration(line, "r" * 64, former=former if stage else None)


def evidence(number: int, row: Comparison | None = None, the_study: Study = DEMO, **changes: Any) -> Evidence:
    plan = resolve(the_study, number)
    names = [model.name for model in plan.models]
    whole = Evidence(
        study=the_study,
        plan=plan,
        sha256="e" * 64,
        registration=registration(the_study, number),
        preflight=(Check("python", True, "w", "s"),) if plan.stage.looks else (),
        manifest=MANIFEST,
        scored=dict.fromkeys(names, 40 * plan.draws),
        judged=dict.fromkeys(names, 40 * plan.draws),
        results={} if number == 0 else dict.fromkeys(names, RESULT),
        answers={name: {"stop": 5} for name in names},
        comparisons=(row,) if row else (),
        seconds={"train": 7.2},
    )
    return replace(whole, **changes)


GOOD = compared(0.2, 0.1, 0.3, 0.001)


@pytest.mark.parametrize("number", [0, 1, 2, 3, 4])
def test_good_evidence_is_go(number: int) -> None:
    found = evidence(number, GOOD)
    if number == 1:
        found = replace(found, plan=replace(found.plan, train={arm: {"max_steps": 10} for arm in found.plan.train}))
    verdict = gate.decide(found)
    assert verdict.outcome is Outcome.GO, verdict.checks
    assert verdict.hours == pytest.approx(0.002)
    assert verdict.evidence_sha256 == "e" * 64


@pytest.mark.parametrize(
    ("row", "outcome"),
    [
        (compared(0.01, -0.02, 0.04, 0.3), Outcome.STOP),
        (compared(0.02, 0.01, 0.03, 0.001), Outcome.STOP),
        (compared(0.10, -0.02, 0.22, 0.09), Outcome.INCONCLUSIVE),
        (compared(0.10, 0.01, 0.19, 0.05), Outcome.GO),
        (compared(0.10, 0.01, 0.19, 0.0500001), Outcome.INCONCLUSIVE),
        (compared(-0.2, -0.3, -0.1, 0.999), Outcome.STOP),
        (compared(None, None, None, None, n=0, note="no value in either arm", coverage=0.0), Outcome.RETRY),
        (compared(0.3, None, None, None, n=1, note="one item"), Outcome.INCONCLUSIVE),
        (compared(0.2, 0.1, 0.3, 0.001, coverage=0.5), Outcome.RETRY),
        (None, Outcome.RETRY),
    ],
)
def test_stage_three_decides_on_the_primary_metric(row: Comparison | None, outcome: Outcome) -> None:
    assert gate.decide(evidence(3, row)).outcome is outcome


@pytest.mark.parametrize(
    ("row", "outcome", "word"),
    [
        (compared(-0.2, -0.3, -0.01, 1.0), Outcome.STOP, "investigate"),
        (compared(-0.2, -0.5, 0.1, 0.9), Outcome.GO, "investigate"),
        (compared(0.07, -0.1, 0.2, 0.3), Outcome.GO, "some signal"),
        (compared(0.4, 0.2, 0.6, 0.0), Outcome.GO, "strong signal"),
    ],
)
def test_stage_two_stops_only_for_sure_harm_and_shows_the_signal(row: Comparison, outcome: Outcome, word: str) -> None:
    verdict = gate.decide(evidence(2, row))
    assert verdict.outcome is outcome
    shown = next(check for check in verdict.checks if check.name == "signal")
    assert shown.passed is None
    assert shown.seen.startswith(word)


BROKEN: dict[str, tuple[int, dict[str, Any]]] = {
    "environment": (0, {"preflight": (Check("disk", False, "2 GiB", "0 GiB", "free some"),)}),
    "steps_ended": (3, {"failure": {"step": "train", "code": 1, "tail": "boom\n", "log": "x.log"}}),
    "arms_trained": (3, {"results": {"control-s0": RESULT}}),
    "steps_done": (
        1,
        {"results": {f"{arm}-s0": {**RESULT, "steps": 9} for arm in ("control", "experiment")}},
    ),
    "loss_falls": (
        1,
        {"results": {f"{arm}-s0": {**RESULT, "last_loss": 5.0} for arm in ("control", "experiment")}},
    ),
    "memory_forecast": (
        1,
        {"results": {f"{arm}-s0": {**RESULT, "peak_vram_gib": 9.0} for arm in ("control", "experiment")}},
    ),
    "answers": (1, {"answers": {"control-s0": {"stop": 5}, "experiment-s0": {"stop": 4, "error": 1}}}),
    "sandboxed": (3, {"unsafe": {"control-s0": 1}, "allowed": {"control-s0": 39}}),
    "no_leak": (3, {"manifest": {**MANIFEST, "leaks": ["demo-1 = demo-7"]}}),
    "distinct_items": (3, {"repeated": (("a", "b", "c"), ("d", "e"))}),
}


@pytest.mark.parametrize("name", BROKEN)
def test_each_broken_thing_is_retry_and_says_how_to_mend_it(name: str) -> None:
    number, changes = BROKEN[name]
    verdict = gate.decide(evidence(number, GOOD, **changes))
    check = next(check for check in verdict.checks if check.name == name)
    assert check.passed is False
    assert check.remedy
    assert verdict.outcome is Outcome.RETRY
    assert verdict.next_steps


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_scores_made_without_a_sandbox_open_no_gate_unless_the_user_allowed_it(number: int) -> None:
    def decided(**changes: Any) -> tuple[Outcome, bool | None, str]:
        found = evidence(number, GOOD, **changes)
        plan = replace(found.plan, train={arm: {"max_steps": 10} for arm in found.plan.train})
        verdict = gate.decide(replace(found, plan=plan))
        check = next(check for check in verdict.checks if check.name == "sandboxed")
        return verdict.outcome, check.passed, check.seen

    assert decided() == (Outcome.GO, True, "no program ran without one")
    outcome, passed, seen = decided(allowed={"control-s0": 40, "experiment-s0": 40})
    assert (outcome, passed) == (Outcome.GO, None)
    assert seen == "80 scores of programs that ran without one (UNSAFE), as allowed"
    outcome, passed, seen = decided(unsafe={"experiment-s0": 1})
    assert (outcome, passed) == (Outcome.RETRY, False)
    assert seen == "1 scores of programs that ran without one (UNSAFE)"


@pytest.mark.parametrize(
    "changes",
    [
        {"judged": {"control-s0": 160, "experiment-s0": 151}},
        {"judged": {"control-s0": 160}},
        {"scored": {"control-s0": 160, "experiment-s0": 159}},
        {"scored": {"control-s0": 164, "experiment-s0": 160}},
        {"manifest": {key: value for key, value in MANIFEST.items() if key != "files"}},
    ],
)
def test_draws_that_were_not_judged_count_even_where_every_item_has_a_value(changes: dict[str, Any]) -> None:
    assert evidence(3, GOOD).asked == 160
    assert CRITERIA["coverage"](evidence(3, GOOD)).passed is True
    assert CRITERIA["coverage"](evidence(3, GOOD, judged={"control-s0": 160, "experiment-s0": 152})).passed is True
    verdict = gate.decide(evidence(3, GOOD, **changes))
    assert verdict.outcome is Outcome.RETRY
    assert [check.name for check in verdict.checks if check.passed is False] == ["coverage"]


def test_each_arm_owes_its_own_number_of_steps() -> None:
    found = evidence(1)
    plan = replace(found.plan, train={"control": {"max_steps": 10}, "experiment": {"max_steps": 20}})
    assert CRITERIA["steps_done"](found).passed is True
    assert CRITERIA["steps_done"](replace(found, plan=plan)).passed is False


def test_a_model_that_lost_its_gpu_fails_the_memory_check() -> None:
    results = {"control-s0": {**RESULT, "peak_vram_gib": 0.1}, "experiment-s0": RESULT}
    check = CRITERIA["memory_forecast"](evidence(1, results=results))
    assert check.passed is False
    assert "experiment-s0: trained without" in check.seen


def test_four_bit_that_was_asked_for_and_not_loaded_fails() -> None:
    found = evidence(1, GOOD)

    def asking(said: str) -> Evidence:
        return replace(found, plan=replace(found.plan, train={arm: {"load_in_4bit": said} for arm in found.plan.train}))

    assert CRITERIA["four_bit"](asking("auto")).passed is True
    assert CRITERIA["four_bit"](asking("false")).passed is True
    assert CRITERIA["four_bit"](asking("true")).passed is False


def test_prompt_parity_is_required_unless_declared_otherwise() -> None:
    plain = replace(evidence(3, GOOD), study=DEMO.model_copy(update={"test_prompts": "plain"}))
    assert CRITERIA["prompt_parity"](plain).passed is True
    apart = replace(
        plain, manifest={**plain.manifest, "evaluation_prompts_sha256": {"control": "a", "experiment": "b"}}
    )
    assert CRITERIA["prompt_parity"](apart).passed is False
    assert CRITERIA["prompt_parity"](replace(plain, manifest={})).passed is False
    assert CRITERIA["prompt_parity"](evidence(3, GOOD)).passed is None


def test_a_tracking_server_that_is_away_changes_no_verdict_and_is_told_of() -> None:
    verdict = gate.decide(evidence(3, GOOD, unsent={"control-s0": 3, "experiment-s0": 0}))
    check = next(check for check in verdict.checks if check.name == "tracking_complete")
    assert (verdict.outcome, check.passed) == (Outcome.GO, None)
    assert check.seen == "only on disk, control-s0: 3 lines; later: sluicegate sync RUN_FOLDER"
    assert CRITERIA["tracking_complete"](evidence(3, GOOD)).passed is True


def test_advice_on_epochs_needs_to_know_the_best_step() -> None:
    def told(**best: Any) -> list[str]:
        row = {**RESULT, "best_val_loss": 1.0, **best}
        return [line for line in diagnose(evidence(3, GOOD, results={"control-s0": row})) if line.startswith("epochs")]

    assert told(best_step=10) == ["epochs: the validation loss of control-s0 was still falling at the end: more epochs"]
    assert [line.split(":")[1].split("lowest")[1] for line in told(best_step=4)] == [" at step 4 of 10"]
    assert told(best_step=6) == told() == told(best_step=None) == []


def test_invalid_evidence_outweighs_a_stop() -> None:
    verdict = gate.decide(evidence(3, compared(-0.2, -0.3, -0.1, 1.0), manifest={"leaks": ["a"]}))
    assert verdict.outcome is Outcome.RETRY


def test_every_criterion_belongs_to_a_stage_and_every_stage_knows_its_criteria() -> None:
    named = {name for stage in STAGES for name in (*stage.entry, *stage.criteria)}
    assert named == set(CRITERIA)
    assert tuple(stage.number for stage in STAGES if stage.decides) == study.DECIDING_STAGES
    assert STAGES[-1].number == study.LAST_STAGE


def names(checks: Sequence[Check]) -> list[str]:
    return [check.name for check in checks if check.passed is False]


def changed(**changes: Any) -> Study:
    return study.Study.model_validate({**DEMO.model_dump(), **changes})


SEVERAL = changed(stages={3: {"seeds": 3}})


@pytest.mark.parametrize(
    ("p", "outcome"),
    [(0.01, Outcome.GO), (0.05, Outcome.GO), (0.06, Outcome.INCONCLUSIVE), (None, Outcome.INCONCLUSIVE)],
)
def test_several_runs_an_arm_must_agree_before_a_recipe_is_called_better(p: float | None, outcome: Outcome) -> None:
    verdict = gate.decide(evidence(3, replace(GOOD, effects={"recipe_p": p}), SEVERAL))
    assert verdict.outcome is outcome
    assert verdict.claim == ("recipe" if outcome is Outcome.GO else "")


def test_one_run_an_arm_speaks_of_a_checkpoint_only() -> None:
    verdict = gate.decide(evidence(3, GOOD))
    assert verdict.claim == "checkpoint"
    assert next(check.passed for check in verdict.checks if check.name == "recipe") is None
    assert gate.decide(evidence(2, GOOD)).claim == ""


@pytest.mark.parametrize(
    ("scenarios", "p", "outcome"),
    [(1, None, Outcome.GO), (4, 0.9, Outcome.GO), (5, 0.04, Outcome.GO), (5, 0.06, Outcome.INCONCLUSIVE),
     (5, None, Outcome.INCONCLUSIVE)],
)  # fmt: skip
def test_five_scenarios_must_gain_together(scenarios: int, p: float | None, outcome: Outcome) -> None:
    counts = {f"s{number}": {"train": 100, "val": 5, "test": 8} for number in range(scenarios)}
    found = evidence(4, replace(GOOD, effects={"cluster_p": p}), manifest={**MANIFEST, "counts": counts})
    assert gate.decide(found).outcome is outcome


CAREFUL = changed(must_not_worsen={"exact_match": 0.05})


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"gain": 0.0, "low": -0.04, "high": 0.04}, Outcome.GO),
        ({"gain": 0.0, "low": -0.05, "high": 0.04}, Outcome.INCONCLUSIVE),
        ({"gain": -0.2, "low": -0.3, "high": -0.06}, Outcome.STOP),
        ({"low": None, "high": None}, Outcome.INCONCLUSIVE),
        ({"gain": 0.0, "low": -0.01, "high": 0.01, "coverage": 0.9}, Outcome.RETRY),
        (None, Outcome.RETRY),
    ],
)
def test_what_must_not_worsen_is_shown_not_to(changes: dict[str, Any] | None, outcome: Outcome) -> None:
    rows = () if changes is None else (replace(compared(0.0, -0.01, 0.01, 0.5), metric="exact_match", **changes),)
    verdict = gate.decide(evidence(3, GOOD, CAREFUL, comparisons=(GOOD, *rows)))
    assert verdict.outcome is outcome
    assert names(verdict.checks) == ([] if outcome is Outcome.GO else ["must_not_worsen"])


@pytest.mark.parametrize(
    ("number", "spent", "passed"), [(1, 0.0, True), (2, 0.025, True), (3, 0.05, False), (2, 0.03, False)]
)
def test_alpha_is_split_over_the_declared_decisions_and_no_more_are_taken(
    number: int, spent: float, passed: bool
) -> None:
    twice = changed(attempts=2)
    found = evidence(3, compared(0.2, 0.1, 0.3, 0.03), twice)
    found = replace(found, registration=registration(twice, 3, number=number, spent=spent))
    assert found.plan.alpha == 0.025
    verdict = gate.decide(found)
    if passed:
        assert verdict.outcome is Outcome.INCONCLUSIVE  # 0.03 is above 0.025
        assert (verdict.attempt, verdict.attempts, verdict.alpha) == (number, 2, 0.025)
    else:
        assert verdict.outcome is Outcome.RETRY
        assert names(verdict.checks) == ["declared"]
        assert (verdict.attempt, verdict.alpha, verdict.open) == (0, 0.0, True)


@pytest.mark.parametrize(
    "edit",
    [{"alpha": 0.04}, {"minimum_gain": 0.02}, {"primary": "exact_match"}, {"must_not_worsen": {"exact_match": 0.3}}],
)
def test_a_study_that_was_edited_after_its_registration_is_invalid(edit: dict[str, Any]) -> None:
    found = replace(evidence(3, GOOD, changed(**edit)), registration=registration(DEMO, 3))
    verdict = gate.decide(found)
    assert verdict.outcome is Outcome.RETRY
    assert names(verdict.checks) == ["registered"]


def test_without_a_registration_nothing_is_decided() -> None:
    for number in range(5):
        verdict = gate.decide(evidence(number, GOOD, registration=None))
        assert verdict.outcome is Outcome.RETRY
        assert "registered" in names(verdict.checks)


def test_an_override_is_shown_and_lets_the_stage_decide() -> None:
    told = registration(DEMO, 4, override="the tower was down")
    verdict = gate.decide(evidence(4, GOOD, registration=replace(told, former=None)))
    assert verdict.outcome is Outcome.GO
    shown = {check.name: check for check in verdict.checks}
    assert shown["former_go"].passed is None
    assert "the tower was down" in shown["former_go"].seen
    assert [shown[name].passed for name in ("same_code", "same_data", "fresh_items")] == [None, None, None]
    assert (
        gate.decide(evidence(4, GOOD, registration=replace(registration(DEMO, 4), former=None))).outcome
        is Outcome.RETRY
    )


def test_stage_four_wants_the_code_the_samples_and_the_machine_as_they_were_and_fresh_items() -> None:
    told = registration(DEMO, 4)
    assert told.former is not None
    other = replace(told, former=replace(told.former, code_sha256="d" * 64))
    assert names(gate.entry(evidence(4, registration=other))) == ["same_code"]
    changed_samples = replace(told, former_sources={"a.jsonl": "1"}, sources={"a.jsonl": "2"})
    assert names(gate.entry(evidence(4, registration=changed_samples))) == ["same_data"]
    same = replace(told, former_sources={"a.jsonl": "1"}, sources={"a.jsonl": "1", "b.jsonl": "2"})
    assert names(gate.entry(evidence(4, registration=same))) == []
    broken = (Check("disk", False, "40 GiB", "1 GiB", "free some"),)
    assert names(gate.entry(evidence(4, preflight=broken))) == ["disk", "environment"]
    for fresh in (None, {"sha256": "f", "items": 40, "reused": ["demo-7"]}):
        verdict = gate.decide(evidence(4, GOOD, manifest={**MANIFEST, "fresh": fresh}))
        assert names(verdict.checks) == ["fresh_items"]


def test_a_budget_that_ran_out_is_inconclusive_spends_nothing_and_goes_on() -> None:
    found = evidence(3, None, overrun=Overrun("hours", 5.0, 5.01, "train experiment-s0", 5), results={}, judged={})
    verdict = gate.decide(found)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert names(verdict.checks) == ["within_budget"]
    assert (verdict.alpha, verdict.attempt, verdict.open) == (0.0, 0, True)
    assert "raise stages.3.hours" in verdict.next_steps[0]


@given(gain=st.floats(-1, 1), half=st.floats(0, 0.5), p=st.floats(1e-6, 1), other=st.floats(1e-6, 1))
def test_swapping_the_arms_mirrors_the_verdict(gain: float, half: float, p: float, other: float) -> None:
    """What is a GO for one arm is a STOP for the other; never a GO for both."""
    row = compared(gain, gain - half, gain + half, p)
    mirrored = compared(-gain, -gain - half, -gain + half, max(other, 1 - p))
    pair = [gate.decide(evidence(3, one)).outcome for one in (row, mirrored)]
    assert pair.count(Outcome.GO) < 2
    if p <= 0.05 and gain - half > -0.05:
        assert pair == [Outcome.GO if gain + half >= 0.05 else Outcome.STOP, Outcome.STOP]


def test_a_prompt_that_was_not_answered_fails() -> None:
    found = evidence(1, GOOD, answers={"control-s0": {"stop": 5}, "experiment-s0": {"stop": 4}})
    assert CRITERIA["answers"](found).passed is False


def test_a_recipe_is_not_stopped_for_the_bad_luck_of_its_seeds() -> None:
    """The bound over items is below the minimum; the one that knows of the seeds' noise is not."""
    row = replace(compared(0.0, -0.03, 0.03, 0.5), effects={"recipe_p": 0.5, "recipe_high": 0.08})
    assert gate.decide(evidence(3, row, SEVERAL)).outcome is Outcome.INCONCLUSIVE
    assert gate.decide(evidence(3, row)).outcome is Outcome.STOP
    sure = replace(row, effects={"recipe_p": 0.5, "recipe_high": 0.04})
    assert gate.decide(evidence(3, sure, SEVERAL)).outcome is Outcome.STOP
