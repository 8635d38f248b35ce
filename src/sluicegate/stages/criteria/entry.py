"""Criteria of a stage's beginning: it may run at all, and it is the experiment that was registered.

They are looked at before any step. A stage that fails one spends nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from sluicegate.records import Check, Outcome
from sluicegate.stages.evidence import Evidence
from sluicegate.stages.register import Registration


def environment(evidence: Evidence) -> Check:
    """This machine's checks, each also shown by itself."""
    failed = [check.name for check in evidence.preflight if check.passed is False]
    passed = bool(evidence.preflight) and not failed
    seen = f"failed: {', '.join(failed)}" if failed else f"{len(evidence.preflight)} checks, none failed"
    return Check(
        "environment",
        passed,
        "every required check of this machine passes",
        seen,
        "" if passed else "see the failed checks",
    )


def _unregistered(name: str, wanted: str) -> Check:
    return Check(name, False, wanted, "the attempt was not registered", "run the stage again: it registers first")


def registered(evidence: Evidence) -> Check:
    """The study, its primary metric and its thresholds are those that the ledger had before the stage ran."""
    wanted = "study, primary metric, thresholds and alpha as registered before the stage ran"
    found = evidence.registration
    if found is None:
        return _unregistered("registered", wanted)
    line, study, plan = found.line, evidence.study, evidence.plan
    pairs = {
        "study": (line.study_sha256, study.sha256_to(plan.stage.number)),
        "primary": (line.primary, study.primary),
        "minimum_gain": (line.minimum_gain, study.minimum_gain),
        "must_not_worsen": (dict(line.must_not_worsen), study.must_not_worsen),
        "alpha": (line.alpha, plan.alpha if plan.stage.decides else 0.0),
    }
    differ = [f"{name}: {said} registered, {now} now" for name, (said, now) in pairs.items() if said != now]
    seen = "; ".join(differ) or f"{study.primary}, line {found.sha256[:12]}… of {line.time}"
    return Check("registered", not differ, wanted, seen, "run the stage again: it begins anew" if differ else "")


def declared(evidence: Evidence) -> Check:
    """No more decisions than the study declared: each spends its share of alpha, and there is no more than that.

    An attempt that was judged and left for another one counts as a decision, since its scores could be seen.
    """
    plan, found = evidence.plan, evidence.registration
    wanted = f"at most {plan.attempts} decision(s) of this stage, as declared before the first"
    if found is None:
        return _unregistered("declared", wanted)
    line = found.line
    left = round(line.allowed - line.spent, 12)
    passed = line.number <= line.attempts and line.alpha <= left + 1e-9
    seen = f"decision {line.number}; alpha {line.alpha:g} wanted, {left:g} of {line.allowed:g} left"
    remedy = (
        "alpha is spent, so no further result of this experiment can be a GO: a new question is a new study, "
        "under another name, on fresh items, with `attempts` declared before its first decision"
    )
    if found.left:
        seen += f"; judged and left undecided: {', '.join(found.left)}"
        remedy = f"run the stage with the study file and samples of {found.left[-1]}: it goes on; or, since {remedy}"
    return Check("declared", passed, wanted, seen, "" if passed else remedy)


def former_go(evidence: Evidence) -> Check:
    """The former stage said GO for this study, or somebody gave a reason to go on without."""
    wanted = f"a GO of stage {evidence.plan.stage.number - 1} for this study file"
    found = evidence.registration
    if found is None:
        return _unregistered("former_go", wanted)
    if found.former is not None:
        return Check("former_go", True, wanted, f"GO of {found.former.attempt}, {found.former.time}")
    if found.line.override:
        return Check("former_go", None, wanted, f"OVERRIDDEN: {found.line.override}")
    mend = f"sluicegate stage {evidence.plan.stage.number - 1}, or --override 'reason' (recorded)"
    return Check("former_go", False, wanted, "none in the ledger", mend)


def same_code(evidence: Evidence) -> Check:
    """The code that the former stage's GO was decided by is the code that runs now."""
    wanted = "the code of the former stage's GO"

    def rule(found: Registration, former: str) -> Check:
        passed = former == found.line.code_sha256
        seen = f"{former[:12]}… then, {found.line.code_sha256[:12]}… now"
        remedy = f"run stage {evidence.plan.stage.number - 1} with this code, or check out the former one"
        return Check("same_code", passed, wanted, "the same" if passed else seen, "" if passed else remedy)

    found = evidence.registration
    former = found.former.code_sha256 if found is not None and found.former is not None else None
    return _against_former(evidence, "same_code", wanted, former, rule)


def same_data(evidence: Evidence) -> Check:
    """The samples that the former stage was built from are unchanged."""
    wanted = "the former stage's files with samples, unchanged"

    def rule(found: Registration, former: str) -> Check:
        begun = found.former_sources or {}
        changed = [name for name, said in begun.items() if found.sources.get(name) != said]
        seen = f"changed or gone: {', '.join(changed)}" if changed else f"{len(begun)} file(s), unchanged"
        remedy = f"bring them back, or run stage {evidence.plan.stage.number - 1} on the new ones"
        return Check("same_data", not changed, wanted, seen, remedy if changed else "")

    found = evidence.registration
    former = found.former.attempt if found is not None and found.former is not None else None
    return _against_former(evidence, "same_data", wanted, former, rule)


def _against_former(
    evidence: Evidence, name: str, wanted: str, former: str | None, rule: Callable[[Registration, str], Check]
) -> Check:
    """A check against the former stage; nothing to hold against where it was overridden."""
    found = evidence.registration
    if found is None:
        return _unregistered(name, wanted)
    if former is None:
        return Check(name, None, wanted, "no GO of the former stage to hold against")
    return rule(found, former)


def within_budget(evidence: Evidence) -> Check:
    """The stage was complete before its hours or dollars were used up."""
    plan, overrun = evidence.plan, evidence.overrun
    wanted = f"complete within {plan.hours:g} hours and ${plan.dollars:g}"
    if overrun is None:
        return Check("within_budget", True, wanted, "complete")
    seen = (
        f"{overrun.spent:.4g} of {overrun.budget:g} {overrun.what} used, stopped at step {overrun.step}, "
        f"{overrun.left} step(s) left"
    )
    remedy = (
        f"raise stages.{plan.stage.number}.{overrun.what} in the study file and run the same command: "
        "it goes on where it stopped, and no alpha is spent"
    )
    return Check("within_budget", False, wanted, seen, remedy, Outcome.INCONCLUSIVE)
