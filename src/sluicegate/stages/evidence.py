"""Evidence: all that a gate looks at, read from the files of a run folder, and its digest.

Reading is the only I/O of a decision; everything after it is pure, so the same files give the same verdict for ever.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluicegate import folder, jsonl, study
from sluicegate.errors import UserError
from sluicegate.records import Check, Comparison, Prediction, digest, from_json
from sluicegate.stages.plan import Plan, resolve
from sluicegate.study import Study

FAILURE, PREFLIGHT, TRACKING = "failure.json", "preflight.jsonl", "tracking.json"


@dataclass(frozen=True)
class Evidence:
    """What one attempt at a stage left behind.

    Args:
        preflight: checks of this machine; stage 0 only.
        failure: the step that failed (name, code, tail of its output), or None.
        manifest: of the data folder.
        results: model → its result.json; a model that did not end well is absent.
        answers: model → finish reasons of its predictions, counted.
        comparisons: primary metric first.
        unsent: model → tracking lines that the server does not have.
        seconds: step → wall seconds.
        sha256: digest over all evidence files.
    """

    study: Study
    plan: Plan
    sha256: str
    preflight: tuple[Check, ...] = ()
    failure: Mapping[str, Any] | None = None
    manifest: Mapping[str, Any] = field(default_factory=dict)
    results: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    answers: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    comparisons: tuple[Comparison, ...] = ()
    unsent: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)

    @property
    def primary(self) -> Comparison | None:
        """The comparison that decides."""
        return next((row for row in self.comparisons if row.metric == self.study.primary), None)


def read(attempt: Path, number: int) -> Evidence:
    """The evidence of an attempt.

    Raises:
        UserError: a file of it cannot be read; nothing is decided then.
    """
    the_study = study.load(attempt / folder.STUDY)
    plan = resolve(the_study, number)
    try:
        return _read(attempt, the_study, plan)
    except (ValidationError, json.JSONDecodeError, KeyError, TypeError) as fault:
        raise UserError(
            f"{attempt}: evidence cannot be read", wanted="files as the stage wrote them", seen=str(fault)
        ) from None


def _read(attempt: Path, the_study: Study, plan: Plan) -> Evidence:
    names = [model.name for model in plan.models]
    pairs = attempt / folder.COMPARISONS
    checks = attempt / PREFLIGHT
    return Evidence(
        study=the_study,
        plan=plan,
        sha256=_digest(attempt, names),
        preflight=tuple(jsonl.read(Check, checks)) if checks.exists() else (),
        failure=_json(attempt / FAILURE),
        manifest=_json(attempt / folder.DATA / "manifest.json") or {},
        results={name: row for name in names if (row := _json(attempt / folder.ARMS / name / "result.json"))},
        answers={name: _finishes(attempt / folder.PREDICTIONS / f"{name}.jsonl") for name in names},
        comparisons=tuple(from_json(Comparison, json.dumps(row)) for row in _rows(pairs)),
        unsent=(_json(attempt / TRACKING) or {}).get("unsent", {}),
        seconds=folder.Steps(attempt / "steps.json").seconds(),
    )


def _json(path: Path) -> dict[str, Any] | None:
    found: dict[str, Any] | None = json.loads(jsonl.read_text(path)) if path.exists() else None
    return found


def _rows(path: Path) -> list[dict[str, Any]]:
    return list((_json(path) or {}).get("comparisons", []))


def _finishes(path: Path) -> dict[str, int]:
    return dict(Counter(row.finish for row in jsonl.read(Prediction, path))) if path.exists() else {}


def _digest(attempt: Path, names: list[str]) -> str:
    """Over every evidence file by name: what is missing counts as missing."""
    files = [
        folder.STUDY, folder.COMPARISONS, FAILURE, PREFLIGHT, TRACKING, "steps.json", f"{folder.DATA}/manifest.json",
        *(f"{folder.ARMS}/{name}/result.json" for name in names),
        *(f"{part}/{name}.jsonl" for part in (folder.PREDICTIONS, folder.SCORES) for name in names),
    ]  # fmt: skip
    return digest({name: jsonl.sha256(attempt / name) if (attempt / name).exists() else None for name in sorted(files)})
