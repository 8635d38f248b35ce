"""The gate and its criteria on made-up evidence: each criterion can pass and can fail, and gravity decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sluicegate import study
from sluicegate.records import Check, Comparison, Outcome
from sluicegate.stages import gate
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.evidence import Evidence
from sluicegate.stages.plan import STAGES, resolve

DEMO = study.load("demo")


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
    "leaks": [],
    "evaluation_prompts_sha256": {"control": "a", "experiment": "a"},
    "files": {
        "test.jsonl": {"sha256": "t" * 64, "samples": 40},
        "control-val.jsonl": {"sha256": "v" * 64, "samples": 5},
        "experiment-val.jsonl": {"sha256": "v" * 64, "samples": 5},
    },
}


def evidence(number: int, row: Comparison | None = None, **changes: Any) -> Evidence:
    plan = resolve(DEMO, number)
    names = [model.name for model in plan.models]
    whole = Evidence(
        study=DEMO,
        plan=plan,
        sha256="e" * 64,
        preflight=(Check("python", True, "w", "s"),) if number == 0 else (),
        manifest=MANIFEST,
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
    "tracking_complete": (3, {"unsent": {"control-s0": 3}}),
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
    "no_leak": (3, {"manifest": {**MANIFEST, "leaks": ["demo-1 = demo-7"]}}),
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


@pytest.mark.parametrize(
    "changes",
    [
        {"judged": {"control-s0": 160, "experiment-s0": 151}},
        {"judged": {"control-s0": 160}},
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


def test_invalid_evidence_outweighs_a_stop() -> None:
    verdict = gate.decide(evidence(3, compared(-0.2, -0.3, -0.1, 1.0), manifest={"leaks": ["a"]}))
    assert verdict.outcome is Outcome.RETRY


def test_every_criterion_belongs_to_a_stage_and_every_stage_knows_its_criteria() -> None:
    named = {name for stage in STAGES for name in stage.criteria}
    assert named == set(CRITERIA)


def test_swapping_the_arms_mirrors_the_interval_check() -> None:
    row = compared(0.2, 0.1, 0.3, 0.001)
    mirrored = compared(-0.2, -0.3, -0.1, 0.999)
    assert gate.decide(evidence(3, row)).outcome is Outcome.GO
    assert gate.decide(evidence(3, mirrored)).outcome is Outcome.STOP


def test_one_seed_claims_a_checkpoint_and_several_must_agree_to_claim_a_recipe() -> None:
    assert CRITERIA["claim"](evidence(3, GOOD)).passed is None
    several = DEMO.model_copy(update={"stages": {3: study.StageChange(seeds=3, train={})}})
    plan = resolve(several, 3)
    for p, passed in ((0.01, True), (0.05, True), (0.06, False), (None, False)):
        row = replace(GOOD, effects={"seeds_p": p})
        check = CRITERIA["claim"](replace(evidence(3, row), study=several, plan=plan))
        assert check.passed is passed
        assert check.blames is Outcome.INCONCLUSIVE


def test_a_prompt_that_was_not_answered_fails() -> None:
    found = evidence(1, GOOD, answers={"control-s0": {"stop": 5}, "experiment-s0": {"stop": 4}})
    assert CRITERIA["answers"](found).passed is False
