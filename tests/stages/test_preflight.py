"""Whether this machine has a sandbox, told before anything is spent."""

from __future__ import annotations

import pytest

from sluicegate.sandbox.backends import Choice
from sluicegate.stages import preflight

RUNS = ("functional_correctness", "exact_match")


@pytest.mark.parametrize(
    ("found", "allowed", "passed", "seen"),
    [
        (Choice("bwrap", True), "", True, "bwrap"),
        (Choice("bwrap", True), "1", True, "bwrap"),
        (Choice("rlimits", False, why="no bubblewrap"), "", False, "rlimits, UNSAFE: no bubblewrap"),
        (Choice("rlimits", False, why="no bubblewrap"), "1", None, "rlimits, UNSAFE: no bubblewrap; allowed by"),
        (Choice("", False, why="not POSIX"), "1", False, "none: not POSIX"),
    ],
)
def test_programs_need_a_sandbox_or_the_users_leave(
    monkeypatch: pytest.MonkeyPatch, found: Choice, allowed: str, passed: bool | None, seen: str
) -> None:
    monkeypatch.setattr(preflight, "choose", lambda: found)
    monkeypatch.setenv("ALLOW_UNSAFE_EXEC", allowed)
    (check,) = preflight.sandbox(RUNS)
    assert check.passed is passed
    assert check.seen.startswith(seen)
    assert bool(check.remedy) == (passed is False)


def test_a_study_that_runs_no_program_needs_none() -> None:
    assert preflight.sandbox(("exact_match", "k8s_bp")) == ()
