"""What a stage took in the end, beside what was forecast: read from its run folder, never an error."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from sluicegate import folder, study
from sluicegate.jsonl import read_text, write_text
from sluicegate.records import from_json, to_json
from sluicegate.report.reader import FAULTS
from sluicegate.stages.budget import machine_dollars
from sluicegate.stages.forecast import earlier
from sluicegate.stages.forecast.cost import DIGITS, GIB, HOUR
from sluicegate.stages.forecast.counts import calls_an_answer
from sluicegate.stages.forecast.machines import VERBS
from sluicegate.stages.forecast.records import Forecast
from sluicegate.stages.plan import resolve
from sluicegate.study import Study

FILE = "forecast.json"
Read = TypeVar("Read")


def settle(attempt: Path) -> None:
    """Fill in what each quantity was; what no file tells stays None, and without a forecast nothing is done."""
    path = attempt / FILE
    with contextlib.suppress(*FAULTS):
        known = from_json(Forecast, read_text(path))
        actual = _actual(attempt, known.stage)
        rows = tuple(replace(row, actual=_rounded(actual.get(row.name))) for row in known.quantities)
        write_text(path, to_json(replace(known, quantities=rows), indent=1) + "\n")


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{DIGITS}g}")


def _actual(attempt: Path, number: int) -> dict[str, float | None]:
    """Name of a quantity → what it was."""
    the_study = study.load(attempt / folder.STUDY)
    names = [model.name for model in resolve(the_study, number).models]
    seconds = _read(lambda: folder.Steps(attempt / "steps.json").seconds()) or {}
    results = [row for name in names if (row := _read(earlier.result_of, attempt, name))]
    drawn = [
        found for path in _files(attempt / folder.PREDICTIONS, names) if (found := _read(earlier.drawn, path, None))
    ]
    count = sum(found[0] for found in drawn) if drawn else None
    peaks = [float(row["peak_vram_gib"]) for row in results if row.get("peak_vram_gib") is not None]
    return {
        **{verb: _hours(seconds, verb) for verb in VERBS},
        "wall": _hours(seconds, ""),
        "vram": max(peaks, default=None),
        "disk": earlier.bytes_under(attempt) / GIB,
        "tokens trained": sum(float(row["tokens"]) for row in results) if results else None,
        "tokens generated": sum(found[0] * found[1] for found in drawn) if drawn else None,
        "judge calls": None if count is None else float(calls_an_answer(the_study) * count),
        "dollars": _dollars(the_study, attempt, names, seconds),
    }


def _read(read: Callable[..., Read], *asked: object) -> Read | None:
    """What can be read; None of a file that is missing or damaged."""
    try:
        return read(*asked)
    except FAULTS:
        return None


def _files(where: Path, names: Iterable[str]) -> list[Path]:
    return [path for name in names if (path := where / f"{name}.jsonl").exists()]


def _hours(seconds: Mapping[str, float], verb: str) -> float | None:
    """Of the steps of a verb, or of all; None where there were none."""
    spent = [value for step, value in seconds.items() if not verb or step.startswith(f"{verb} ")]
    return sum(spent) / HOUR if spent else None


def _dollars(the_study: Study, attempt: Path, names: Iterable[str], seconds: Mapping[str, float]) -> float:
    judged = sum(earlier.dollars_in(path) for path in _files(attempt / folder.SCORES, names))
    return judged + machine_dollars(the_study, seconds)
