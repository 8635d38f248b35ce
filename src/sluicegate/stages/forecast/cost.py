"""What a stage takes: seconds of each step, memory, disk, tokens, judge calls, dollars, each with a range.

A small explicit model: work × what a unit of it takes, from `measured` where an earlier stage of the study measured
it, else from `priors`. What cannot be known is None and stays None.
"""

from __future__ import annotations

from collections.abc import Mapping

from sluicegate.stages.budget import price
from sluicegate.stages.forecast import counts, duration, priors, space
from sluicegate.stages.forecast.layout import Figure, Stage, of_all, scaled, summed
from sluicegate.stages.forecast.machines import VERBS
from sluicegate.stages.forecast.records import Quantity
from sluicegate.stages.forecast.span import NOTHING

GIB, HOUR = 2**30, 3600.0
DIGITS = 4


def quantities(stage: Stage) -> tuple[Quantity, ...]:
    """Every quantity of a stage, in a fixed order."""
    if not stage.plan.stage.size:
        looked = Figure(priors.LOOK_S, "prior")
        rows = [_hours("wall", looked, ""), _row("dollars", "$", Figure(NOTHING, "nothing is bought"))]
        return tuple(rows)
    seconds = {verb: of_all(stage, cost) for verb, cost in duration.COSTS.items()}
    wall = summed([*seconds.values(), Figure(duration.other(stage), "")])
    rows = [_hours(verb, seconds[verb], stage.machines[verb].name) for verb in VERBS]
    rows += [
        _hours("wall", wall, ""),
        _row("vram", "GiB", space.vram(stage), stage.machines["train"].name),
        _row("disk", "GiB", scaled(space.disk(stage), 1 / GIB)),
        _row("tokens trained", "", of_all(stage, counts.tokens_trained)),
        _row("tokens generated", "", of_all(stage, counts.tokens_generated)),
        _row("judge calls", "", counts.judge_calls(stage)),
        _row("dollars", "$", _dollars(stage, seconds)),
    ]
    return tuple(rows)


def _hours(name: str, figure: Figure, machine: str) -> Quantity:
    return _row(name, "h", scaled(figure, 1 / HOUR), machine)


def _row(name: str, unit: str, figure: Figure, machine: str = "") -> Quantity:
    span = figure.span
    low, expected, high = (None, None, None) if span is None else map(_rounded, (span.low, span.expected, span.high))
    return Quantity(name, unit, low, expected, high, machine, figure.basis)


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _dollars(stage: Stage, seconds: Mapping[str, Figure]) -> Figure:
    """Hours × the machines' prices, and the judges."""
    parts = [counts.judging(stage)]
    for verb, figure in seconds.items():
        rate = price(stage.study, verb)
        if rate:
            parts.append(Figure(scaled(figure, rate / HOUR).span, f"${rate:g} an hour for {verb}"))
    total = summed(parts)
    return Figure(total.span, total.basis or "no machine and no metric of the study has a price")
