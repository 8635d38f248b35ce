"""The tables of a plan as cells: what is done, what it takes, what it can find out, one row a stage."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sluicegate.report.clean import NONE, one_line
from sluicegate.stages.forecast import figures, machines
from sluicegate.stages.forecast.figures import UNKNOWN, ranged, share
from sluicegate.stages.forecast.machines import VERBS
from sluicegate.stages.forecast.records import Chances, Forecast
from sluicegate.stages.forecast.work import texts, work
from sluicegate.stages.plan import STAGES, Plan, resolve
from sluicegate.study import Study

OVER = "OVER BUDGET"


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells under a title; the first column names the stage."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


def every(study: Study, forecasts: Sequence[Forecast]) -> Iterator[Table]:
    """All tables of a study, in the order they are shown."""
    yield _done(study)
    yield _taken(forecasts)
    yield _by_step(study, forecasts)
    yield _resources(forecasts)
    if any(row.chances for row in forecasts):
        yield _found(study, forecasts)


def _stage(number: int) -> str:
    return f"{number} {STAGES[number].name}"


def _done(study: Study) -> Table:
    rows = [_sizes(study, resolve(study, stage.number)) for stage in STAGES]
    header = ("stage", "goal", "models", "train", "test", "draws", "decisions")
    note = "samples of each arm; ~ assumed" if any("~" in cell for row in rows for cell in row) else ""
    return Table("What is done", header, tuple(rows), note)


def _sizes(study: Study, plan: Plan) -> tuple[str, ...]:
    stage = plan.stage
    if not stage.size:
        return (_stage(stage.number), stage.goal, *[NONE] * 5)
    done = work(study, plan, texts(study, plan))
    some = "" if done.known else "~"
    test = f"{some}{done.test}" if stage.compares else "train rows"
    decisions = str(plan.attempts) if stage.decides else NONE
    counts = (str(len(plan.models)), f"{some}{done.train}", test, str(plan.draws))
    return (_stage(stage.number), stage.goal, *counts, decisions)


def _taken(forecasts: Sequence[Forecast]) -> Table:
    rows = [
        (
            _stage(row.stage), ranged(row.quantity("wall")), figures.time(row.budget["hours"]),
            ranged(row.quantity("dollars")), figures.dollars(row.budget["dollars"]), kept(row),
        )
        for row in forecasts
    ]  # fmt: skip
    note = "expected, and the range that should hold four times in five"
    return Table("What it takes", ("stage", "time", "budget", "dollars", "budget", ""), tuple(rows), note)


def kept(forecast: Forecast) -> str:
    """Whether the budget is, in two words."""
    within = [forecast.within(what) for what in ("hours", "dollars")]
    if False in within:
        return OVER
    known = all(forecast.quantity(name).expected is not None for name in ("wall", "dollars"))
    return "fits" if None not in within else "may exceed" if known else UNKNOWN


def _by_step(study: Study, forecasts: Sequence[Forecast]) -> Table:
    found = machines.of(study)
    header = ("stage", *(f"{verb} on {one_line(found[verb].name, 16)}" for verb in VERBS))
    rows = [(_stage(row.stage), *(ranged(row.quantity(verb)) for verb in VERBS)) for row in forecasts if row.stage > 0]
    return Table("Time of the steps", header, tuple(rows))


def _resources(forecasts: Sequence[Forecast]) -> Table:
    names = ("vram", "disk", "tokens trained", "tokens generated", "judge calls")
    header = ("stage", "VRAM, GiB", "disk, GiB", "tokens trained", "generated", "judge calls")
    rows = [(_stage(row.stage), *(ranged(row.quantity(name)) for name in names)) for row in forecasts if row.stage > 0]
    return Table("Memory, disk, tokens, judge calls", header, tuple(rows))


def _found(study: Study, forecasts: Sequence[Forecast]) -> Table:
    at = f"+{100 * study.design_gain:g}"
    header = ("stage", "finds", "power", "false GO", "false STOP", "STOP at 0", f"enough for {at}, each alone")
    rows = [(_stage(row.stage), *_odds(row.chances)) for row in forecasts if row.chances]
    note = (
        f"gains in points; finds: the smallest with 80% power, guarded metrics apart; power and false STOP at {at}; "
        "false GO in brackets: of the recipe"
    )
    return Table("What it can find out", header, tuple(rows), note)


def _odds(odds: Chances) -> tuple[str, ...]:
    recipe = "" if odds.false_go_recipe is None else f" ({share(odds.false_go_recipe)})"
    return (
        NONE if odds.mde is None else f"+{100 * odds.mde:.1f}", share(odds.power), share(odds.false_go) + recipe,
        share(odds.false_stop), share(odds.stop_without_gain),
        figures.needed(odds.needed) if odds.power is not None else NONE,
    )  # fmt: skip
