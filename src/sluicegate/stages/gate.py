"""The gate: evidence in, verdict out, and nothing else. No clock, no files, no chance."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluicegate import __version__
from sluicegate.records import Check, Claim, Outcome, Verdict
from sluicegate.stages.advice import advise, needs
from sluicegate.stages.criteria import CRITERIA
from sluicegate.stages.evidence import Evidence
from sluicegate.stages.plan import BUILT

GRAVITY = (Outcome.RETRY, Outcome.STOP, Outcome.INCONCLUSIVE)
"""Invalid evidence decides nothing, so RETRY outweighs STOP; a sure STOP outweighs too little evidence for a GO."""


def outcome(checks: Iterable[Check]) -> Outcome:
    """The gravest outcome that a failed check blames; GO when none failed.

    >>> outcome([Check("a", True, "", ""), Check("b", False, "", "", blames=Outcome.STOP)])
    <Outcome.STOP: 'STOP'>
    >>> outcome([Check("a", None, "", "")])
    <Outcome.GO: 'GO'>
    """
    blamed = {check.blames for check in checks if check.passed is False}
    return next((grave for grave in GRAVITY if grave in blamed), Outcome.GO)


def entry(evidence: Evidence) -> tuple[Check, ...]:
    """What must hold before a stage does any step."""
    return (*evidence.preflight, *(CRITERIA[name](evidence) for name in evidence.plan.stage.entry))


def built(evidence: Evidence) -> tuple[Check, ...]:
    """What must hold of the data before anything is trained on them."""
    return tuple(CRITERIA[name](evidence) for name in evidence.plan.stage.criteria if name in BUILT)


def decide(evidence: Evidence) -> Verdict:
    """The verdict on one attempt at a stage.

    Where the entry does not hold, the budget ran out before the stage was complete or the data are invalid, nothing
    else is looked at.
    """
    checks = entry(evidence)
    if outcome(checks) is Outcome.GO:
        checks = (*checks, *_at_the_end(evidence))
    decided = outcome(checks)
    goes_on = decided is Outcome.RETRY or evidence.overrun is not None
    registered = evidence.registration.line if evidence.registration else None
    spends = evidence.plan.stage.decides and not goes_on
    wanting = needs(evidence) if spends and decided is Outcome.INCONCLUSIVE else ()
    return Verdict(
        stage=evidence.plan.stage.number,
        outcome=decided,
        checks=checks,
        dollars=evidence.dollars,
        hours=round(sum(evidence.seconds.values()) / 3600, 6),
        evidence_sha256=evidence.sha256,
        study=evidence.study.name,
        primary=evidence.primary,
        next_steps=advise(evidence, decided, checks, wanting),
        claim=_claim(evidence, decided),
        attempt=registered.number if registered and spends else 0,
        attempts=evidence.plan.attempts if evidence.plan.stage.decides else 0,
        alpha=evidence.plan.alpha if spends else 0.0,
        open=goes_on,
        needs=wanting,
        version=__version__,
    )


def _at_the_end(evidence: Evidence) -> Sequence[Check]:
    if evidence.overrun is not None:
        return [CRITERIA["within_budget"](evidence)]
    if evidence.manifest and outcome(invalid := built(evidence)) is not Outcome.GO:
        return invalid
    return [CRITERIA[name](evidence) for name in evidence.plan.stage.criteria]


def _claim(evidence: Evidence, decided: Outcome) -> Claim:
    """What a GO may say is better: with runs enough, and in agreement, the recipe; else these checkpoints."""
    if decided is not Outcome.GO or not evidence.plan.stage.decides:
        return ""
    return "recipe" if evidence.of_recipe else "checkpoint"
