"""A run folder whose scores are there, taken to its verdict as a stage does it."""

from __future__ import annotations

from pathlib import Path

from sluicegate import compare, folder, jsonl
from sluicegate.records import Verdict
from sluicegate.stages import evidence, gate
from sluicegate.stages.plan import Plan
from sluicegate.stages.recompute import as_text
from sluicegate.stages.steps import comparison
from sluicegate.study import Study


def judged(attempt: Path, study: Study, plan: Plan) -> Verdict:
    """Compare the arms, decide, and write both."""
    asked = comparison(study, plan, attempt)
    pairs = compare.compare_files(
        asked.control, asked.experiment, data=asked.data, primary=asked.primary, metrics=asked.metrics,
        level=asked.level, minimum=asked.minimum,
    )  # fmt: skip
    compare.write(
        attempt / folder.COMPARISONS, pairs, control="control", experiment="experiment", primary=asked.primary,
        seed=0, level=asked.level,
    )  # fmt: skip
    verdict = gate.decide(evidence.read(attempt, plan.stage.number))
    jsonl.write_text(attempt / folder.VERDICT, as_text(verdict))
    return verdict
