"""What a study will do, before any of it runs: stages, sizes, budgets, criteria, as a table."""

from __future__ import annotations

from sluicegate.stages.plan import STAGES, Plan, resolve
from sluicegate.study import Study

HEADER = ("stage", "goal", "train", "test", "models", "draws", "hours", "$", "passes when")


def table(study: Study) -> str:
    """The plan of a study as aligned text.

    >>> from sluicegate import study
    >>> print(table(study.load("demo")).splitlines()[0])
    demo: Does metadata in the prompt help a tiny model to write small Python functions?
    """
    rows = [HEADER, *(_row(resolve(study, stage.number)) for stage in STAGES)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    minimum = f"smallest useful gain {100 * study.minimum_gain:g} points"
    facts = f"primary metric {study.primary}, alpha {study.alpha:g} one-sided, {minimum}"
    return "\n".join([f"{study.name}: {study.question}", facts, "", *lines])


def _row(plan: Plan) -> tuple[str, ...]:
    stage = plan.stage
    trains = bool(stage.size)
    return (
        f"{stage.number} {stage.name}",
        stage.goal,
        str(plan.train_samples or stage.size) if trains else "-",
        (str(plan.test_samples or stage.size) if stage.compares else "train rows") if trains else "-",
        str(len(plan.models)) if trains else "-",
        str(plan.draws) if trains else "-",
        f"{plan.hours:.2g}",
        f"{plan.dollars:g}",
        stage.passes_when,
    )
