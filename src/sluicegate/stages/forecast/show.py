"""A study's forecasts as text of at most 100 columns, as JSON, as an HTML page: the same tables each time."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluicegate.errors import UserError
from sluicegate.records import to_dict
from sluicegate.report.clean import one_line
from sluicegate.stages.forecast import figures, machines, priors, tables
from sluicegate.stages.forecast.figures import ranged
from sluicegate.stages.forecast.making import of
from sluicegate.stages.forecast.measured import before
from sluicegate.stages.forecast.records import Chances, Forecast
from sluicegate.stages.forecast.tables import OVER, Table
from sluicegate.stages.plan import STAGES
from sluicegate.study import Study

WIDTH = 100
LOUD = ("NOT TESTABLE", OVER, "does NOT FIT")
"""What a warning holds that must not be overlooked."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything that is shown.

    Args:
        facts: what holds for all stages, a line each.
        warnings: what is over budget, cannot be tested or may not fit.
        notes: where the figures come from.
    """

    study: Study
    forecasts: tuple[Forecast, ...]
    facts: tuple[str, ...]
    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def content(study: Study, runs: Path | None = None) -> Content:
    """Forecasts of all stages, and what is to be said of them."""
    forecasts = tuple(of(study, stage.number, runs) for stage in STAGES)
    return Content(
        study=study,
        forecasts=forecasts,
        facts=tuple(_facts(study, runs)),
        tables=tuple(tables.every(study, forecasts)),
        warnings=tuple(_warnings(forecasts)),
        notes=tuple(_notes(forecasts)),
    )


def text(shown: Content) -> str:
    """As text."""
    parts = ["\n".join(line for fact in shown.facts for line in _wrapped(fact, ""))]
    parts += [_aligned(part) for part in shown.tables]
    for title, lines in (("Warnings", shown.warnings), ("Where the figures come from", shown.notes)):
        if lines:
            parts.append("\n".join([title, *(row for line in lines for row in _wrapped(f"- {line}", "  "))]))
    return "\n\n".join(parts)


def json_text(shown: Content) -> str:
    """As JSON."""
    study = shown.study
    told = {
        "study": study.name,
        "study_sha256": study.sha256,
        "question": study.question,
        "machines": [
            {"name": machine.name, "does": verbs, "told": machine.told}
            for machine, verbs in machines.shared(machines.of(study))
        ],
        "stages": [to_dict(forecast) for forecast in shown.forecasts],
        "warnings": list(shown.warnings),
    }
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)


def page(shown: Content) -> str:
    """As one HTML page that needs nothing else.

    Raises:
        UserError: the package for pages is not installed.
    """
    try:
        from sluicegate.stages.forecast.page import page as filled
    except ModuleNotFoundError as fault:
        mend = "pip install 'sluicegate[eval]'"
        raise UserError("pages need jinja2", seen=f"no {fault.name}", mend=mend) from None
    return filled(shown)


def _facts(study: Study, runs: Path | None) -> Iterator[str]:
    yield f"{study.name}: {one_line(study.question)}"
    yield (
        f"Primary metric {study.primary}, alpha {study.alpha:g} one-sided; smallest useful gain "
        f"{100 * study.minimum_gain:g} points, stages sized to find {100 * study.design_gain:g}."
    )
    if study.must_not_worsen:
        guarded = ", ".join(f"{name} by {100 * margin:g} points" for name, margin in study.must_not_worsen.items())
        yield f"Must not worsen: {guarded}."
    for machine, verbs in machines.shared(machines.of(study)):
        yield f"Machine {machine.name} ({machine.told}): {', '.join(verbs)}."
    seen = before(runs, study.name, len(STAGES)).attempts if runs is not None else ()
    if seen:
        yield f"Refined by {', '.join(attempt.name for attempt in reversed(seen))}."


def _warnings(forecasts: Sequence[Forecast]) -> Iterator[str]:
    for row in forecasts:
        where = f"stage {row.stage}"
        if row.testable is False:
            yield f"{where}: NOT TESTABLE as planned: {row.why}. Cheapest change: {row.cheapest}."
        for what, name, show in (("hours", "wall", figures.time), ("dollars", "dollars", figures.dollars)):
            if row.within(what) is False:
                most = show(row.budget[what])
                yield f"{where}: {OVER}: {ranged(row.quantity(name))} expected, {most} may be spent."
    for note in dict.fromkeys(note for row in forecasts for note in row.notes):
        told = [str(row.stage) for row in forecasts if note in row.notes]
        yield f"stage{'s' if len(told) > 1 else ''} {', '.join(told)}: {note}."


def _notes(forecasts: Sequence[Forecast]) -> Iterator[str]:
    yield (
        "Time: on a GPU 2 FLOP a weight, token and pass, as many passes as the memory model has for the machine, at "
        "the share of its speed that was measured on an H200 (docs/performance.md); on a CPU 4 a weight and token of "
        "LoRA training, and what each layer costs; src/sluicegate/stages/forecast/priors.py has every constant with "
        "its source."
    )
    for known, stages in _alike(forecasts):
        how = f"alpha {known.alpha:g} a decision; {known.method}"
        yield f"Stage {stages}: {known.test}; {how}; spread of scores: {known.basis}."
    odds = [row.chances for row in forecasts if row.chances]
    if any(row.claim == "checkpoint" for row in odds):
        yield (
            "False GO is of what a GO claims, 'these checkpoints are better'. In brackets: of a recipe without gain, "
            "whose training seeds that claim does not cover."
        )
    if any("expected:" in row.basis for row in odds):
        yield "Until a stage has measured their spread, scores count as pass/fail draws: none on [0, 1] vary more."
    if any(row.basis == "measured" for row in forecasts):
        yield (
            f"What earlier stages measured holds to a ratio either way: speed {priors.SPEED_RATIO:g}, "
            f"start {priors.START_RATIO:g}, judging {priors.PROGRAM_RATIO:g}, answers {priors.ANSWER_RATIO:g}, "
            f"memory {priors.MEMORY_RATIO:g}, disk {priors.DISK_RATIO:g}."
        )


def _alike(forecasts: Sequence[Forecast]) -> list[tuple[Chances, str]]:
    """Chances that were computed in one way, with their stages."""
    found: dict[tuple[object, ...], tuple[Chances, list[str]]] = {}
    for row in forecasts:
        if (known := row.chances) is not None:
            key = (known.test, known.alpha, known.method, known.basis)
            found.setdefault(key, (known, []))[1].append(str(row.stage))
    return [(known, " and ".join(stages)) for known, stages in found.values()]


def _aligned(part: Table) -> str:
    """The table in columns; what is too wide for the last one goes on in the next line."""
    every = (part.header, *part.rows)
    widths = [max(len(row[column]) for row in every) for column in range(len(part.header) - 1)]
    indent = sum(widths) + 2 * len(widths)
    lines = _wrapped(f"{part.title} ({part.note})" if part.note else part.title, "")
    for *cells, last in every:
        left = "".join(f"{cell:<{width}}  " for cell, width in zip(cells, widths, strict=True))
        lines += [row.rstrip() for row in _wrapped(last, " " * indent, left, max(WIDTH, indent + 12))]
    return "\n".join(lines)


def _wrapped(line: str, indent: str, first: str = "", width: int = WIDTH) -> list[str]:
    said = one_line(line, 2000)
    found = textwrap.wrap(
        said, width, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False
    )
    return found or [first]
