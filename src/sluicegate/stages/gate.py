"""The gate: evidence in, verdict out, and nothing else. No clock, no files, no chance."""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.records import Check, Outcome, Verdict
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.evidence import Evidence

GRAVITY = (Outcome.RETRY, Outcome.STOP, Outcome.INCONCLUSIVE)
"""Invalid evidence decides nothing, so RETRY outweighs STOP; a sure STOP outweighs too little evidence for a GO."""


def outcome(checks: Sequence[Check]) -> Outcome:
    """The gravest outcome that a failed check blames; GO when none failed.

    >>> outcome([Check("a", True, "", ""), Check("b", False, "", "", blames=Outcome.STOP)])
    <Outcome.STOP: 'STOP'>
    >>> outcome([Check("a", None, "", "")])
    <Outcome.GO: 'GO'>
    """
    blamed = {check.blames for check in checks if check.passed is False}
    return next((grave for grave in GRAVITY if grave in blamed), Outcome.GO)


def decide(evidence: Evidence) -> Verdict:
    """The verdict on one attempt at a stage."""
    checks = (*evidence.preflight, *(CRITERIA[name](evidence) for name in evidence.plan.stage.criteria))
    decided = outcome(checks)
    return Verdict(
        stage=evidence.plan.stage.number,
        outcome=decided,
        checks=checks,
        dollars=evidence.dollars,
        hours=round(sum(evidence.seconds.values()) / 3600, 6),
        evidence_sha256=evidence.sha256,
        study=evidence.study.name,
        primary=evidence.primary,
        next_steps=_next_steps(evidence, decided, checks),
    )


def _next_steps(evidence: Evidence, decided: Outcome, checks: Sequence[Check]) -> tuple[str, ...]:
    number = evidence.plan.stage.number
    if decided is Outcome.GO:
        return (f"stage {number + 1} may start",) if number < 4 else ("publish the result",)
    remedies = [
        f"{check.name}: {check.remedy}"
        for check in checks
        if check.passed is False and check.blames is decided and check.remedy
    ]
    return tuple(dict.fromkeys(remedies))
