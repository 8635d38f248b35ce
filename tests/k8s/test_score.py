"""BP and security of a text: k/11, k/9, k/6, means, and what cannot be judged."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.k8s.checks import CHECKS, SECURITY
from sluicegate.k8s.score import SECURITY_CHECKS, score

FIXTURES = Path(__file__).parent / "fixtures"
GOOD = (FIXTURES / "run_as_non_root.pass.pod-flag.yaml").read_text()
NO_PROBE = (FIXTURES / "readiness_probe.fail.yaml").read_text()
ROOT = (FIXTURES / "run_as_non_root.fail.unset.yaml").read_text()
JOB = (FIXTURES / "image_pinned.fail.latest.yaml").read_text()
SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"


def test_the_security_checks_come_first() -> None:
    assert {check.group for check in CHECKS[:SECURITY_CHECKS]} == {SECURITY}
    assert SECURITY not in {check.group for check in CHECKS[SECURITY_CHECKS:]}


@pytest.mark.parametrize(
    ("text", "bp", "security"),
    [
        (GOOD, 1.0, 1.0),
        (NO_PROBE, 10 / 11, 1.0),
        (ROOT, 10 / 11, 5 / 6),
        (JOB, 8 / 9, 1.0),
        (f"{GOOD}---\n{ROOT}---\n{SERVICE}", (1 + 10 / 11) / 2, (1 + 5 / 6) / 2),
        ("apiVersion: v1\nkind: Pod\nspec: {containers: []}", 0.0, 0.0),
    ],
)
def test_the_share_of_what_applies(text: str, bp: float, security: float) -> None:
    found = score(text)
    assert found.bp == pytest.approx(bp)
    assert found.security == pytest.approx(security)
    assert found.why == ""


def test_windows_leaves_seven_of_eleven_and_two_of_six() -> None:
    found = score((FIXTURES / "host_isolation.fail.host-process.yaml").read_text())
    assert found.bp == pytest.approx(6 / 7)
    assert found.security == pytest.approx(1 / 2)


@pytest.mark.parametrize("text", ["", SERVICE, "just words", "a: [", "\x00", f"{GOOD}---\na: ["])
def test_without_a_workload_there_is_no_score_unless_the_reference_has_one(text: str) -> None:
    alone, beside, among = score(text), score(text, GOOD), score(text, SERVICE)
    assert (alone.bp, alone.security, alone.coverage) == (None, None, 0.0)
    assert (beside.bp, beside.security) == (0.0, 0.0)
    assert among.bp is None
    assert alone.why
    assert "reference" in beside.why


def test_a_reference_does_not_change_what_can_be_judged() -> None:
    assert score(NO_PROBE, GOOD) == score(NO_PROBE)
    assert score(NO_PROBE.encode()).bp == score(NO_PROBE).bp


def test_coverage_is_the_share_of_objects_that_are_workloads() -> None:
    assert score(f"{GOOD}---\n{SERVICE}").coverage == 0.5
