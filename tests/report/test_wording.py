"""What the report says of a decision: the claim, the account of alpha, what would settle it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import pytest

from sluicegate.records import Check, Claim, Outcome, Verdict, to_json
from sluicegate.report.wording import CLAIMS, LAST_GO, MEANING
from sluicegate.stages import plan
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.evidence import Evidence
from sluicegate.study import load

Told = Callable[[Path], dict[str, str]]
MakeVerdict = Callable[..., Verdict]
OVERCLAIM = re.compile(r"\b(recipe|method|approach|training|change)s? (is|are|was|were) better\b", re.IGNORECASE)
CLAIMED = re.compile(r"\bthis \w+ is better", re.IGNORECASE)
ONE_RUN = CRITERIA["recipe"](Evidence(load("demo"), plan.resolve(load("demo"), 3), ""))
"""The criterion's own words where there is one run an arm."""
OVER_RUNS = Check("recipe", True, "one-sided p over runs and items at most 0.025", "p = 0.0010 over items and 3 runs")


def _decide(root: Path, verdict: Verdict) -> None:
    (root / "verdict.json").write_text(to_json(verdict))


@pytest.mark.parametrize("stage", [3, 4])
@pytest.mark.parametrize("checks", [(), (ONE_RUN,), (OVER_RUNS,)], ids=["no check", "one run", "over runs"])
def test_one_run_an_arm_never_speaks_of_the_recipe(
    stage: int, checks: tuple[Check, ...], run_folder: Path, make_verdict: MakeVerdict, told: Told
) -> None:
    _decide(run_folder, make_verdict(Outcome.GO, stage=stage, claim="checkpoint", checks=checks, needs=()))
    for kind, text in told(run_folder).items():
        assert "This checkpoint is better" in text, kind
        # The criterion names the wording to deny it.
        assert not OVERCLAIM.search(text), kind


def test_the_recipe_is_better_only_with_the_check_over_its_runs(
    run_folder: Path, make_verdict: MakeVerdict, told: Told
) -> None:
    _decide(run_folder, make_verdict(Outcome.GO, claim="recipe", checks=(OVER_RUNS,)))
    assert all(CLAIMS["recipe"] in text for text in told(run_folder).values())
    _decide(run_folder, make_verdict(Outcome.GO, claim="recipe", checks=(ONE_RUN,)))
    for text in told(run_folder).values():
        assert CLAIMS["checkpoint"] in text
        assert CLAIMS["recipe"] not in text


@pytest.mark.parametrize("claim", ["checkpoint", "recipe"])
@pytest.mark.parametrize("outcome", [Outcome.STOP, Outcome.INCONCLUSIVE, Outcome.RETRY])
def test_what_is_no_go_claims_nothing(
    outcome: Outcome, claim: Claim, run_folder: Path, make_verdict: MakeVerdict, told: Told
) -> None:
    _decide(run_folder, make_verdict(outcome, claim=claim, checks=(OVER_RUNS,)))
    assert not [text for text in told(run_folder).values() if CLAIMED.search(text)]


def test_a_stage_that_tests_nothing_claims_nothing(run_folder: Path, make_verdict: MakeVerdict, told: Told) -> None:
    _decide(run_folder, make_verdict(Outcome.GO, stage=2, attempt=0, attempts=0, alpha=0.0, claim="checkpoint"))
    for text in told(run_folder).values():
        assert not CLAIMED.search(text)
        assert "tested at alpha" not in text


def test_every_claim_and_outcome_has_its_words() -> None:
    assert set(CLAIMS) == set(get_args(Claim))
    assert set(MEANING) == set(Outcome)


def test_the_last_stage_has_no_next_one(run_folder: Path, make_verdict: MakeVerdict, told: Told) -> None:
    _decide(run_folder, make_verdict(Outcome.GO, stage=4, claim="checkpoint"))
    assert LAST_GO in told(run_folder)["html"]


def test_the_account_of_alpha_is_in_every_report(run_folder: Path, told: Told) -> None:
    for text in told(run_folder).values():
        assert "decision 1 of 2 declared, tested at alpha 0.025 (0.05 in all)" in text


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.INCONCLUSIVE])
def test_an_open_attempt_spends_nothing(
    outcome: Outcome, run_folder: Path, make_verdict: MakeVerdict, told: Told
) -> None:
    _decide(run_folder, make_verdict(outcome, open=True, attempt=0, alpha=0.0, needs=()))
    for text in told(run_folder).values():
        assert "no alpha spent: the attempt is open and goes on" in text
        assert "tested at" not in text


def test_alpha_in_all_is_the_studys_where_nothing_is_registered(run_folder: Path, told: Told) -> None:
    (run_folder / "registration.json").unlink()
    assert "tested at alpha 0.025 (0.05 in all)" in told(run_folder)["txt"]
    (run_folder / "study.yaml").unlink()
    assert "tested at alpha 0.025 used" in told(run_folder)["txt"]


def test_what_would_settle_it_is_a_table(run_folder: Path, told: Told) -> None:
    seen = told(run_folder)
    assert "items 8 24 18 to 41 2 min 33 s $0.00 draws 2 not by this alone – – – seeds 1 6 4 or more" in seen["txt"]
    assert "items82418 to 412 min 33 s$0.00" in seen["html"]
    assert "draws2not by this alone" in seen["html"]
    assert '"needs": [{"vary": "items", "have": 8, "wanted": 24, "low": 18, "high": 41' in seen["json"]


def test_what_is_shown_only_says_why_it_does_not_decide(run_folder: Path, told: Told) -> None:
    for text in told(run_folder).values():
        assert "not used to decide, because it lets 4.8% of changes without gain through" in text
        assert "1 metrics, 4000 experiments)" in text, "the reason was cut"


def test_secondaries_and_guarded_metrics_are_marked(run_folder: Path, told: Told) -> None:
    seen = told(run_folder)
    for kind in ("txt", "html"):
        assert "secondary: Holm-adjusted, never opens a gate" in seen[kind]
        assert "must not worsen: lower bound above −2.0 points" in seen[kind]
        assert "adjusted" in seen[kind]
