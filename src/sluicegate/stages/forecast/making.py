"""The forecast of one stage, put together: its work, its costs, its chances, and what would make it testable."""

from __future__ import annotations

from pathlib import Path

from sluicegate.jsonl import write_text
from sluicegate.records import to_json
from sluicegate.stages.forecast import machines
from sluicegate.stages.forecast.actual import FILE
from sluicegate.stages.forecast.assumptions import assumed
from sluicegate.stages.forecast.chances import chances
from sluicegate.stages.forecast.cost import quantities
from sluicegate.stages.forecast.layout import lay_out, unknown
from sluicegate.stages.forecast.measured import before
from sluicegate.stages.forecast.records import Forecast
from sluicegate.stages.forecast.remedy import can_be_tested, cheapest
from sluicegate.stages.forecast.space import fits
from sluicegate.stages.forecast.work import texts, work
from sluicegate.stages.plan import resolve
from sluicegate.study import Study


def of(study: Study, number: int, runs: Path | None = None) -> Forecast:
    """The forecast of one stage.

    Args:
        runs: where earlier stages of the study may lie; what they measured takes the place of assumptions.

    Raises:
        UserErrors: training settings that training would refuse.

    >>> from sluicegate import study
    >>> forecast = of(study.load("demo"), 3)
    >>> forecast.testable, [row.name for row in forecast.quantities][:4]
    (True, ['train', 'generate', 'evaluate', 'wall'])
    """
    plan = resolve(study, number)
    known = texts(study, plan)
    seen = before(runs, study.name, number)
    stage = lay_out(study, plan, work(study, plan, known), machines.of(study), seen)
    rows = quantities(stage)
    budget = {"hours": plan.hours, "dollars": plan.dollars}
    basis = "measured" if any("measured in" in row.basis for row in rows) else "prior"
    if not plan.stage.size:
        return Forecast(number, basis, rows, None, None, budget=budget)
    scenarios = sum(count > 0 for count in known.counts.values())
    found = assumed(study, plan, max(1, stage.work.test), scenarios, seen) if plan.stage.compares else None
    odds = chances(study, plan, found) if found else None
    good, why = can_be_tested(study, plan, found, odds) if found else (None, "")
    vram = next(row for row in rows if row.name == "vram")
    notes = [stage.work.note, *unknown(stage), fits(stage, vram), *seen.notes]
    return Forecast(
        stage=number,
        basis="measured" if odds and odds.basis.startswith("measured") else basis,
        quantities=rows,
        chances=odds,
        testable=good,
        why=why,
        cheapest=cheapest(stage, found, odds) if found and odds and good is False else "",
        budget=budget,
        notes=tuple(dict.fromkeys(note for note in notes if note)),
    )


def write(attempt: Path, study: Study, number: int, runs: Path | None = None) -> None:
    """Write the forecast of a stage into its run folder, before any step."""
    write_text(attempt / FILE, to_json(of(study, number, runs), indent=1) + "\n")
