"""What a run folder holds, read for the report: every file may be missing, and an unreadable one is named.

Only reading and choosing happens here; nothing is computed that a file does not say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluicegate import folder as layout
from sluicegate.jsonl import read_text
from sluicegate.records import Comparison, Run, Verdict, from_json, to_dict
from sluicegate.report.reader import Reader
from sluicegate.report.samples import Shown, choose
from sluicegate.study import Study, parse
from sluicegate.tracking.spool import curves

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
        steps: step → wall seconds.
        faults: files that could not be read, one line each.
    """

    name: str
    study: Study | None = None
    verdict: Verdict | None = None
    pairs: Pairs | None = None
    models: tuple[Model, ...] = ()
    steps: Mapping[str, float] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    samples: tuple[Shown, ...] = ()
    faults: tuple[str, ...] = ()


def read(root: Path) -> Content:
    """The content of a run folder; never raises for what is missing, malformed or unreadable."""
    reader = Reader(root)
    study = reader.read(layout.STUDY, lambda path: parse(read_text(path), layout.STUDY), None)
    pairs = reader.read(layout.COMPARISONS, _pairs, None)
    names = _names(root, study)
    primary = study.primary if study else pairs.primary if pairs else ""
    return Content(
        name=root.resolve().name,
        study=study,
        verdict=reader.read(layout.VERDICT, lambda path: from_json(Verdict, read_text(path)), None),
        pairs=pairs,
        models=tuple(_model(reader, name) for name in names if (root / layout.ARMS / name).is_dir()),
        steps=reader.read("steps.json", _seconds, {}),
        manifest=reader.read(f"{layout.DATA}/manifest.json", _object, {}),
        samples=choose(reader, names, primary),
        faults=tuple(reader.faults),
    )


def _names(root: Path, study: Study | None) -> list[str]:
    """Models of the folder: the control arm's, the experiment's, then others, each in the order of the seeds."""
    arms = {path.name for path in (root / layout.ARMS).glob("*") if path.is_dir()}
    files = {path.stem for part in (layout.PREDICTIONS, layout.SCORES) for path in (root / part).glob("*.jsonl")}
    first = [study.control, study.experiment] if study else []

    def place(name: str) -> tuple[int, str, int, str]:
        arm, _, seed = name.rpartition("-s")
        return (first.index(arm) if arm in first else 9, arm, int(seed) if seed.isdecimal() else 0, name)

    return sorted(arms | files, key=place)


def _object(path: Path) -> dict[str, Any]:
    found = json.loads(read_text(path), parse_constant=_refuse)
    if not isinstance(found, dict):
        raise TypeError(f"wanted a JSON object, seen {type(found).__name__}")
    return found


def _refuse(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _seconds(path: Path) -> dict[str, float]:
    return {name: float(stamp["seconds"]) for name, stamp in _object(path).items()}


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
    pairs = content.pairs
    return {
        "folder": content.name,
        "study": content.study.model_dump(mode="json") if content.study else None,
        "verdict": to_dict(content.verdict) if content.verdict else None,
        "comparisons": {
            "control": pairs.control, "experiment": pairs.experiment, "primary": pairs.primary,
            "level": pairs.level, "seed": pairs.seed, "rows": [to_dict(row) for row in pairs.rows],
        } if pairs else None,
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
