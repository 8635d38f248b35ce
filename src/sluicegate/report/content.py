"""What a run folder holds, read for the report: every file may be missing, and an unreadable one is named.

Only reading and choosing happens here; nothing is computed that a file does not say.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from sluicegate import folder as layout
from sluicegate.compare import Contrast
from sluicegate.evaluators.baselines import Row
from sluicegate.evaluators.baselines import read as read_baselines
from sluicegate.jsonl import read_text
from sluicegate.records import Comparison, Run, Verdict, from_json, to_dict
from sluicegate.report import baselines, contrasts, failures, forecast, registration, wording
from sluicegate.report.failures import Part
from sluicegate.report.forecast import Forecast, Overrun
from sluicegate.report.reader import Reader
from sluicegate.report.registration import Override, Registration
from sluicegate.report.samples import Shown, choose
from sluicegate.study import Study, parse
from sluicegate.tracking.spool import curves

Paper = TypeVar("Paper", Registration, Forecast, Overrun)
STAGES = {0: "environment", 1: "micro", 2: "small", 3: "scenario", 4: "production"}


@dataclass(frozen=True, slots=True)
class Pairs:
    """comparisons.json: who was compared, and the rows, the primary metric first."""

    control: str
    experiment: str
    primary: str
    level: float
    seed: int
    rows: tuple[Comparison, ...]

    @property
    def first(self) -> Comparison | None:
        """The primary metric's row."""
        return next((row for row in self.rows if row.metric == self.primary), None)


@dataclass(frozen=True, slots=True)
class Model:
    """One model of the folder: how it was made, what came of the training, its loss curves."""

    name: str
    arm: str
    run: Run | None
    result: Mapping[str, Any]
    curves: Mapping[str, list[tuple[int, float]]]


@dataclass(frozen=True, slots=True)
class Content:
    """Everything the report shows.

    Args:
        name: of the run folder.
        overrun: the budget that ran out, or None.
        baselines: what answers of no model score, or None.
        contrasts: comparisons of arms that decide nothing.
        failures: where answers fall short, a table each.
        steps: step → wall seconds.
        faults: files that could not be read, one line each.
    """

    name: str
    study: Study | None = None
    verdict: Verdict | None = None
    pairs: Pairs | None = None
    registration: Registration | None = None
    forecast: Forecast | None = None
    overrun: Overrun | None = None
    baselines: tuple[Row, ...] | None = None
    contrasts: tuple[Contrast, ...] = ()
    failures: tuple[Part, ...] = ()
    models: tuple[Model, ...] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[Shown, ...] = ()
    faults: tuple[str, ...] = ()

    def lacks(self, file: str) -> str:
        """Why a file's part is empty."""
        return f"{file} could not be read" if self._unread(file) else f"{file} is not there"

    def _unread(self, file: str) -> bool:
        return any(fault.startswith(f"{file}: ") for fault in self.faults)

    @property
    def overrides(self) -> tuple[Override, ...]:
        """All of the study up to this stage."""
        return self.registration.overrides if self.registration else ()

    @property
    def doubt(self) -> str:
        """That overrides may be missing here, or nothing."""
        return wording.UNKNOWN if self._unread(registration.FILE) else ""

    @property
    def budget(self) -> dict[str, float]:
        """`hours` and `dollars` that the stage might use, where it is known: the study may have raised them since."""
        change = self.study.stages.get(self.verdict.stage) if self.study and self.verdict else None
        said = change.model_dump(include={"hours", "dollars"}, exclude_none=True) if change else {}
        return {**(self.forecast.budget if self.forecast else {}), **said}

    @property
    def claim(self) -> str:
        """What the verdict claims, or nothing."""
        return wording.claim(self.verdict) if self.verdict else ""

    @property
    def decision(self) -> str:
        """The account of alpha, or nothing."""
        line = self.registration.line if self.registration else None
        in_all = line.allowed if line else self.study.alpha if self.study else None
        return wording.decision(self.verdict, in_all) if self.verdict else ""


def read(root: Path) -> Content:
    """The content of a run folder; never raises for what is missing, malformed or unreadable."""
    reader = Reader(root)
    study = reader.read(layout.STUDY, lambda path: parse(read_text(path), layout.STUDY), None)
    pairs = reader.read(layout.COMPARISONS, _pairs, None)
    names = _names(root, study)
    primary = study.primary if study else pairs.primary if pairs else ""
    manifest: dict[str, Any] = reader.read(f"{layout.DATA}/manifest.json", _object, {})
    return Content(
        name=root.resolve().name,
        study=study,
        verdict=reader.read(layout.VERDICT, lambda path: from_json(Verdict, read_text(path)), None),
        pairs=pairs,
        registration=_paper(reader, registration.FILE, Registration),
        forecast=_paper(reader, forecast.FILE, Forecast),
        overrun=_paper(reader, forecast.BUDGET, Overrun),
        baselines=reader.read(baselines.FILE, _baselines, None, most=baselines.MOST),
        contrasts=contrasts.read_all(reader, study),
        failures=failures.find(reader, names, primary, manifest),
        models=tuple(_model(reader, name) for name in names if (root / layout.ARMS / name).is_dir()),
        steps=reader.read("steps.json", _seconds, {}),
        manifest=manifest,
        samples=choose(reader, names, primary),
        faults=tuple(reader.faults),
    )


def _names(root: Path, study: Study | None) -> list[str]:
    """Models of the folder: the control arm's, the experiment's, then others, each arm's by their seeds."""
    arms = {path.name for path in (root / layout.ARMS).glob("*") if path.is_dir()}
    files = {path.stem for part in (layout.PREDICTIONS, layout.SCORES) for path in (root / part).glob("*.jsonl")}
    first = list(study.lineup) if study else []

    def place(name: str) -> tuple[int, str, int, str]:
        arm, _, seed = name.rpartition("-s")
        return (first.index(arm) if arm in first else len(first), arm, int(seed) if seed.isdecimal() else 0, name)

    return sorted(arms | files, key=place)


def _object(path: Path) -> dict[str, Any]:
    found = json.loads(read_text(path), parse_constant=_refuse)
    if not isinstance(found, dict):
        raise TypeError(f"wanted a JSON object, seen {type(found).__name__}")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _paper(reader: Reader, name: str, kind: type[Paper]) -> Paper | None:
    return reader.read(name, lambda path: from_json(kind, read_text(path)), None, most=registration.MOST)


def _baselines(path: Path) -> tuple[Row, ...] | None:
    found = read_baselines(path)
    return found.rows if found else None


def _seconds(path: Path) -> dict[str, float]:
    spent = {name: float(stamp["seconds"]) for name, stamp in _object(path).items()}
    if odd := [name for name, value in spent.items() if not 0 <= value < math.inf]:
        raise ValueError(f"{odd[0]}: no number of seconds")
    return spent


def _pairs(path: Path) -> Pairs:
    found = _object(path)
    rows = [from_json(Comparison, json.dumps(row)) for row in found["comparisons"]]
    return Pairs(
        control=str(found["control"]),
        experiment=str(found["experiment"]),
        primary=str(found["primary"]),
        level=float(found["level"]),
        seed=int(found["seed"]),
        rows=tuple(sorted(rows, key=lambda row: row.metric != found["primary"])),
    )


def _model(reader: Reader, name: str) -> Model:
    here = f"{layout.ARMS}/{name}"
    run = reader.read(f"{here}/run.json", lambda path: from_json(Run, read_text(path)), None)
    return Model(
        name=name,
        arm=run.arm if run and run.arm else name.rpartition("-s")[0] or name,
        run=run,
        result=reader.read(f"{here}/result.json", _object, {}),
        curves=reader.read(f"{here}/{layout.EVENTS}", curves, {}),
    )


def as_json(content: Content) -> dict[str, Any]:
    """The content as plain JSON types, without the curves and the texts, which lie in the folder."""
    pairs, verdict = content.pairs, content.verdict
    return {
        "folder": content.name,
        "claim": content.claim,
        "decision": content.decision,
        "overrides": [to_dict(row) for row in content.registration.overrides] if content.registration else None,
        "study": content.study.model_dump(mode="json") if content.study else None,
        "verdict": to_dict(verdict) if verdict else None,
        "needs": [to_dict(row) for row in verdict.needs] if verdict else [],
        "registration": to_dict(content.registration) if content.registration else None,
        "forecast": to_dict(content.forecast) if content.forecast else None,
        "budget": to_dict(content.overrun) if content.overrun else None,
        "comparisons": {
            "control": pairs.control, "experiment": pairs.experiment, "primary": pairs.primary,
            "level": pairs.level, "seed": pairs.seed, "rows": [to_dict(row) for row in pairs.rows],
        } if pairs else None,
        "contrasts": [to_dict(row) for row in content.contrasts],
        "failures": [to_dict(row) for row in content.failures],
        "baselines": [to_dict(row) for row in content.baselines] if content.baselines is not None else None,
        "models": [
            {"name": model.name, "arm": model.arm, "run": to_dict(model.run) if model.run else None,
             "result": dict(model.result)}
            for model in content.models
        ],
        "samples": [{"id": shown.id, "rule": shown.rule} for shown in content.samples],
        "seconds": dict(content.steps),
        "manifest": dict(content.manifest),
        "unreadable": list(content.faults),
    }  # fmt: skip
