"""Criteria of valid evidence: the arms were asked the same, the test was not trained on, the answers were judged."""

from __future__ import annotations

from sluicegate.evaluate.unconfined import VARIABLE
from sluicegate.evaluators import paid
from sluicegate.judge import LEAST, Judged
from sluicegate.records import Check
from sluicegate.stages.evidence import Evidence

MINIMUM_COVERAGE = 0.95


def prompt_parity(evidence: Evidence) -> Check:
    """Control and experiment are asked the same, unless the study declares otherwise."""
    digests = dict(evidence.manifest.get("evaluation_prompts_sha256", {}))
    wanted = "the same evaluation prompts for both arms"
    if evidence.study.test_prompts == "as_trained":
        return Check(
            "prompt_parity",
            None,
            wanted,
            "declared otherwise: test_prompts is as_trained, so the prompt is part of the arm",
        )
    asked = {digests.get(arm) for arm in evidence.study.roles}
    passed = len(asked) == 1 and None not in asked
    return Check(
        "prompt_parity",
        passed,
        wanted,
        "equal digests" if passed else f"digests {digests}",
        "" if passed else "rebuild the data: sluicegate data",
    )


def no_leak(evidence: Evidence) -> Check:
    """No test item stands in the training data."""
    leaks = evidence.manifest.get("leaks")
    passed = leaks == []
    seen = "no manifest" if leaks is None else f"{len(leaks)} leaks" + (f", first: {leaks[0]}" if leaks else "")
    return Check(
        "no_leak",
        passed,
        "no test item in the training data",
        seen,
        "" if passed else "remove them and split again: sluicegate data",
    )


def distinct_items(evidence: Evidence) -> Check:
    """No test item stands in the test twice: a copy is another draw of an item, and no further evidence."""
    groups = evidence.repeated
    copies = sum(len(group) - 1 for group in groups)
    seen = f"{copies} copies, first: {' = '.join(groups[0][:3])}" if groups else "all differ"
    remedy = "remove the copies from the samples, then run the stage again" if groups else ""
    return Check("distinct_items", not groups, "test items of which no two have the same content", seen, remedy)


def fresh_items(evidence: Evidence) -> Check:
    """No test item was a test item of the former stage: what was looked at once is not fresh evidence."""
    wanted = "test items that the former stage was not tested with"
    found = evidence.registration
    if found is None or found.former is None:
        return Check("fresh_items", None, wanted, "no GO of the former stage to hold against")
    fresh = evidence.manifest.get("fresh")
    if fresh is None:
        seen = f"the test items of {found.former.attempt} were not at hand"
        mend = f"bring {found.former.attempt}/data/test.jsonl back, remove this attempt's folder, run the stage again"
        return Check("fresh_items", False, wanted, seen, mend)
    reused = fresh["reused"]
    seen = f"{len(reused)} of them reused{': ' + ', '.join(reused[:5]) if reused else ''}; {fresh['items']} left out"
    return Check("fresh_items", not reused, wanted, seen, "add samples, then run the stage again" if reused else "")


def coverage(evidence: Evidence) -> Check:
    """Every answer has a score, and nearly every one has a value; so has every item, for the arms that decide."""
    row, asked = evidence.primary, evidence.asked
    # A mean over the draws that happen to be judged hides how many are not, so every answer is counted.
    judged = [evidence.judged.get(model.name, 0) for model in evidence.deciding]
    scored = [evidence.scored.get(model.name, 0) for model in evidence.deciding]
    least = min(judged) / asked if asked else 0.0
    whole = all(count == asked for count in scored)
    passed = row is not None and min(row.coverage, least) >= MINIMUM_COVERAGE and whole
    items = "no comparison" if row is None else f"{row.coverage:.1%} of the items"
    odd = next((f"; {count} scores of {asked} answers in one" for count in scored if count != asked), "")
    return Check(
        "coverage",
        passed,
        f"at least {MINIMUM_COVERAGE:.0%} of the items judged for both arms, and of each model's answers",
        f"{items}; at least {min(judged)} of {asked} answers a model{odd}",
        "" if passed else "see why in the scores, mend it, and run the stage again: it judges those anew",
    )


def sandboxed(evidence: Evidence) -> Check:
    """No program ran without a sandbox while it was scored, unless the user had set ALLOW_UNSAFE_EXEC=1 by then.

    Such a program may read the tests, and have whatever it likes said of it.
    """
    wanted = f"programs scored in a sandbox, or {VARIABLE}=1 while they are scored"
    unsafe, allowed = sum(evidence.unsafe.values()), sum(evidence.allowed.values())
    if unsafe:
        remedy = (
            "apt-get install bubblewrap, or see docs/sandbox.md for other sandboxes; where you trust these programs, "
            f"export {VARIABLE}=1; then run the stage again: it scores them anew"
        )
        return Check("sandboxed", False, wanted, f"{unsafe} scores of programs that ran without one (UNSAFE)", remedy)
    if allowed:
        return Check(
            "sandboxed", None, wanted, f"{allowed} scores of programs that ran without one (UNSAFE), as allowed"
        )
    return Check("sandboxed", True, wanted, "no program ran without one")


def judge_fit(evidence: Evidence) -> Check:
    """Where a judge has a say, it is one and the same for all models, and right on known pairs often enough."""
    wanted = f"one judge for both arms, right on {LEAST:.0%} of the known pairs in both orders"
    deciding = (evidence.study.primary, *evidence.study.must_not_worsen)
    asked = [name for name in paid(evidence.study.metrics) if name in deciding]
    if not asked:
        return Check("judge_fit", None, wanted, "no metric that decides is judged by a model")
    found = {name: _judges(evidence, name) for name in asked}
    faults = [fault for name, rows in found.items() if (fault := _unfit(name, rows, len(evidence.plan.models)))]
    shown = [f"{rows[0].model}: {rows[0].fitness.correct:.0%} for {name}" for name, rows in found.items() if rows]
    remedy = "name a stronger judge in JUDGE_MODEL, move scores/ of the run folder away, run the stage again"
    return Check("judge_fit", not faults, wanted, "; ".join(faults or shown), remedy if faults else "")


def _judges(evidence: Evidence, metric: str) -> list[Judged]:
    """Who judged a metric, of each model that somebody judged."""
    return [note.metrics[metric] for note in evidence.judges.values() if metric in note.metrics]


def _unfit(metric: str, rows: list[Judged], models: int) -> str:
    """Why a metric's judges have no say, or nothing."""
    if len(rows) < models:
        return f"{metric}: {len(rows)} of {models} models tell who judged them"
    if len({row.identity for row in rows}) > 1:
        return f"{metric}: different judges: {', '.join(sorted({f'{row.model} ({row.rubric})' for row in rows}))}"
    worst = min(rows, key=lambda row: row.fitness.correct)
    if worst.fitness.fit:
        return ""
    flips = "unknown" if worst.fitness.flip_rate is None else f"{worst.fitness.flip_rate:.0%}"
    said = f"{metric}: {worst.model} is right on {worst.fitness.correct:.0%} of {worst.fitness.pairs} known pairs"
    return f"{said}, changes its choice with the order on {flips}"
