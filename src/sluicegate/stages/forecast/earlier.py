"""What one attempt at a stage left in its run folder, as far as a forecast asks for it. Only reading."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import compare, folder, study
from sluicegate.jsonl import read_text
from sluicegate.records import Comparison
from sluicegate.stages.plan import Plan, resolve
from sluicegate.study import Study

FREE = re.compile(rb'"dollars":0\.0[,}]')
LOOKED_AT = 5000
"""Rows of a predictions file whose tokens and seconds are read; the rest are counted."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model of an earlier stage.

    Args:
        result: its result.json; empty where its training did not end.
        seconds: verb → wall seconds of its step.
        answers, tokens, decoding: predictions, their mean tokens, seconds of all their batches.
        bytes: of its folder.
        dollars: that judging its answers cost.
    """

    arm: str
    result: Mapping[str, Any]
    seconds: Mapping[str, float]
    answers: int
    tokens: float
    decoding: float
    bytes: int
    dollars: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """The newest attempt at an earlier stage that left anything to be learnt from."""

    name: str
    plan: Plan
    study: Study
    models: tuple[Model, ...]
    rows: tuple[Comparison, ...] = ()

    def of(self, arm: str) -> list[Model]:
        """Its models of an arm."""
        return [model for model in self.models if model.arm == arm]


def read(path: Path, stage: int) -> Attempt:
    """An attempt at a stage.

    Raises:
        UserError, OSError, ValueError, KeyError, TypeError: a file of it is not what a stage writes.
    """
    the_study = study.load(path / folder.STUDY)
    plan = resolve(the_study, stage)
    stamps = folder.Steps(path / "steps.json").seconds()
    models = (_model(path, model.name, model.arm, stamps) for model in plan.models)
    pairs = path / folder.COMPARISONS
    return Attempt(
        name=path.name,
        plan=plan,
        study=the_study,
        models=tuple(model for model in models if model.result or model.answers),
        rows=compare.read(pairs).comparisons if pairs.exists() else (),
    )


def _model(path: Path, name: str, arm: str, stamps: Mapping[str, float]) -> Model:
    answers, tokens, decoding = drawn(path / folder.PREDICTIONS / f"{name}.jsonl")
    return Model(
        arm=arm,
        result=result_of(path, name),
        seconds={verb: spent for verb in ("train", "generate", "evaluate") if (spent := stamps.get(f"{verb} {name}"))},
        answers=answers,
        tokens=tokens,
        decoding=decoding,
        bytes=bytes_under(path / folder.ARMS / name),
        dollars=dollars_in(path / folder.SCORES / f"{name}.jsonl"),
    )


def result_of(path: Path, name: str) -> Mapping[str, Any]:
    """A model's result.json; empty where there is none.

    Raises:
        ValueError, KeyError: it is not what training writes.
    """
    file = path / folder.ARMS / name / "result.json"
    if not file.exists():
        return {}
    row = json.loads(read_text(file))
    for key in ("tokens", "seconds", "samples", "epochs", "steps"):
        if not math.isfinite(float(row[key])):
            raise ValueError(f"{file.name}: {key} is {row[key]}")
    return dict(row)


def drawn(path: Path, most: int | None = LOOKED_AT) -> tuple[int, float, float]:
    """Predictions in a file, their mean tokens, and seconds of them all, from the first `most` rows."""
    if not path.exists():
        return 0, 0.0, 0.0
    with path.open("rb") as stream:
        rows = [_numbers(line) for line in itertools.islice(stream, most) if line.strip()]
        rest = sum(1 for line in stream if line.strip())
    if not rows:
        return 0, 0.0, 0.0
    tokens, seconds = (sum(part) / len(rows) for part in zip(*rows, strict=True))
    count = len(rows) + rest
    return count, tokens, seconds * count


def _numbers(line: bytes) -> tuple[float, float]:
    row = json.loads(line)
    return float(row["tokens"]), float(row["seconds"])


def dollars_in(path: Path) -> float:
    """What the rows of a score file cost; rows that cannot be read cost nothing here."""
    if not path.exists():
        return 0.0
    total = 0.0
    with path.open("rb") as stream:
        for line in stream:
            if not FREE.search(line):
                total += _dollars(line)
    return total


def _dollars(line: bytes) -> float:
    try:
        return float(json.loads(line).get("dollars", 0.0))
    except (ValueError, TypeError, AttributeError):
        return 0.0


def bytes_under(path: Path) -> int:
    """Bytes of all files in a folder; what vanishes meanwhile counts nothing."""
    return sum(_sizes(path))


def _sizes(path: Path) -> Iterator[int]:
    for file in path.rglob("*"):
        try:
            if file.is_file() and not file.is_symlink():
                yield file.stat().st_size
        except OSError:
            continue
