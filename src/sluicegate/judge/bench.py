"""The judge of this process while scores are made, and what is noted beside them: who judged, how fit, at what cost.

Scores of two judges are never mixed in one file: what judged a metric is noted before its first row, and another model,
rubric or limit is refused for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, ValidationError

from sluicegate import jsonl
from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.judge import settings as environment
from sluicegate.judge.asking import Judge
from sluicegate.judge.fitness import LEAST, Fitness, measure, pairs
from sluicegate.judge.ledger import Ledger
from sluicegate.judge.money import NANO, shown
from sluicegate.judge.rubrics import RUBRICS
from sluicegate.judge.settings import Settings
from sluicegate.records import from_json, to_json

NOTE = ".judge.json"
"""Beside `scores.jsonl` lies `scores.jsonl.judge.json`."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Who judged one metric, and how fit it was found."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    model: str
    rubric: str
    max_tokens: int
    fitness: Fitness
    fit: bool

    @property
    def identity(self) -> tuple[str, str, int]:
        """What must be the same for scores to be comparable."""
        return self.model, self.rubric, self.max_tokens


@dataclass(frozen=True, slots=True)
class Note:
    """What lies beside judged scores.

    Args:
        metrics: metric → who judged it.
        account: of the ledger.
        spent, reserved: dollars of the account when the file was last written; what a killed process had reserved is
            among the reserved.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    metrics: Mapping[str, Judged] = field(default_factory=dict)
    account: str = ""
    spent: float = 0.0
    reserved: float = 0.0


def read_note(out: Path) -> Note | None:
    """What lies beside a score file; None where nothing does.

    Raises:
        UserError: it is damaged.
    """
    if not out.name:  # `.` or `/`: no score file
        return None
    path = out.with_name(out.name + NOTE)
    if not path.exists():
        return None
    try:
        return from_json(Note, jsonl.read_text(path))
    except ValidationError as fault:
        raise UserError(
            f"{path}: damaged; nothing was judged",
            wanted="the note of who judged, as it was written",
            seen=jsonl.explain(fault)[:200],
            mend=f"restore it from a copy, or move {out} and {path.name} away",
        ) from None


_current: list[Judge] = []


def current() -> Judge:
    """The judge of this process.

    Raises:
        UserError: there is none outside of `sitting`.
    """
    if not _current:
        raise UserError(
            "judged metrics: no judge",
            wanted="a judge with a budget",
            seen="a metric that was asked by itself",
            mend="score with: sluicegate evaluate --metrics …",
        )
    return _current[-1]


@contextlib.contextmanager
def sitting(metrics: Mapping[str, str], out: Path) -> Iterator[Judge | None]:
    """A judge for some metrics of a score file: found fit or not first, its cost noted at the end.

    Args:
        metrics: metric → rubric; with none of them nothing is read and nobody is asked.
        out: the score file.

    Raises:
        UserError: a setting of the environment, or other scores in the file; nothing was written and asked then.
            Later: the endpoint refuses every request, or the ledger cannot be used.
    """
    if not metrics:
        yield None
        return
    settings = environment.read(os.environ, out.parent / environment.FILE)
    before = read_note(out) or Note()
    _refuse_another(out, before, metrics, settings)
    _refuse_forgetting(out, before, settings)
    ledger = Ledger(settings.ledger)
    judge = Judge(settings, ledger)
    judged = dict(before.metrics)
    try:
        for metric, rubric in metrics.items():
            judged[metric] = _looked_at(judge, settings, rubric)
            _warn(metric, judged[metric])
        _write(out, judged, settings, ledger)
        _current.append(judge)
        yield judge
    finally:
        judge.hush()
        _current.clear()
        if judged:
            _write(out, judged, settings, ledger)


def _looked_at(judge: Judge, settings: Settings, rubric: str) -> Judged:
    found = measure(judge, RUBRICS[rubric], pairs(rubric))
    return Judged(settings.model, RUBRICS[rubric].tag, settings.max_tokens, found, found.fit)


def _warn(metric: str, judged: Judged) -> None:
    found = judged.fitness
    if not judged.fit:
        unanswered = f", {found.unanswered} without all replies" if found.unanswered else ""
        say(
            f"judge {judged.model}: NOT FIT for {metric}: right on {found.correct:.0%} of {found.pairs} known pairs"
            f"{unanswered}, wanted {LEAST:.0%}; its scores have no say in a gate"
        )


def _refuse_another(out: Path, before: Note, metrics: Mapping[str, str], settings: Settings) -> None:
    for metric, rubric in metrics.items():
        known = before.metrics.get(metric)
        asked = (settings.model, RUBRICS[rubric].tag, settings.max_tokens)
        if known is not None and known.identity != asked:
            raise UserError(
                f"{out}: {metric} was judged by another judge",
                wanted=f"{known.model}, rubric {known.rubric}, at most {known.max_tokens} tokens",
                seen=f"{asked[0]}, rubric {asked[1]}, at most {asked[2]} tokens",
                mend=f"go on with that judge, or move {out} and what lies beside it away",
            )


def _refuse_forgetting(out: Path, before: Note, settings: Settings) -> None:
    """A ledger that knows of less than the note beside the scores is another one, or was put back."""
    if before.account != settings.account or not before.spent:
        return
    known = Ledger(settings.ledger, new=False).of(settings.account).spent if settings.ledger.exists() else 0
    if known < round(before.spent * NANO):
        raise UserError(
            f"{settings.ledger}: not the ledger that {out.name} was paid from",
            wanted=f"{shown(round(before.spent * NANO))} spent or more, as {out.name}{NOTE} says",
            seen=shown(known) if settings.ledger.exists() else "no such file",
            mend=f"bring it back, or name it in JUDGE_LEDGER; or move {out} and what lies beside it away",
        )


def _write(out: Path, judged: Mapping[str, Judged], settings: Settings, ledger: Ledger) -> None:
    sums = ledger.of(settings.account)
    note = Note(judged, settings.account, sums.spent / NANO, (sums.live + sums.stale) / NANO)
    jsonl.write_text(out.with_name(out.name + NOTE), to_json(note, indent=1) + "\n")
