"""Registers an attempt before it does anything: what it will be judged by goes into the ledger, then into its folder.

What a gate must know of the past (which decision this is, the former stage's GO, overrides, the samples that the
former stage used) is copied into the run folder, so that the folder alone decides the same for ever.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, ValidationError

from sluicegate import __version__, folder, jsonl
from sluicegate.errors import UserError
from sluicegate.records import Outcome, Verdict, from_json, to_json
from sluicegate.stages import ledger
from sluicegate.stages.ledger import Decided, Judged, Line, Registered
from sluicegate.stages.plan import Plan
from sluicegate.stages.steps import FORMER_TEST, source_files
from sluicegate.study import Study

FILE = "registration.json"
SOURCES = "sources.json"
"""In the run folder: digests of the files with samples that its data are built from."""


@dataclass(frozen=True, slots=True)
class Override:
    """A stage that was started without the former one's GO, and the reason given."""

    stage: int
    time: str
    reason: str


@dataclass(frozen=True, slots=True)
class Registration:
    """What was registered, and what a gate must know of the past.

    Args:
        sha256: digest of the ledger's line.
        overrides: all of this study so far.
        former: the verdict on the former stage, where it was a GO.
        left: other attempts at this stage that were judged and are not decided.
        sources, former_sources: file with samples → digest, of this stage and of the former one.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    line: Registered
    sha256: str
    overrides: tuple[Override, ...] = ()
    former: Decided | None = None
    left: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)
    former_sources: Mapping[str, str] | None = None
    version: str = __version__


def register(path: Path, attempt: Path, study: Study, plan: Plan, *, override: str) -> Registration:
    """Write the ledger's line, then `registration.json`; an attempt that goes on under the same code adds no line.

    Args:
        path: of the ledger.
        attempt: the run folder.

    Raises:
        UserError: the ledger cannot be trusted or written, or the clock stands before its newest line.
    """
    lines = ledger.read_lines(path, study.name)
    former = _former(lines, study, plan.stage.number)
    line = ledger.append(path, _line(lines, attempt, study, plan, override))
    found = Registration(
        line=line,
        sha256=ledger.line_sha256(line),
        overrides=tuple(
            Override(row.stage, row.time, row.override) for row in ledger.overrides(ledger.read_lines(path, study.name))
        ),
        former=former,
        left=ledger.left(_others(lines, attempt), plan.stage.number),
        sources=sources(study, plan),
        former_sources=_sources_of(attempt.parent / former.attempt) if former else None,
    )
    if former is not None and plan.stage.fresh:
        _keep_former_test(attempt.parent / former.attempt, attempt)
    jsonl.write_text(attempt / FILE, to_json(found, indent=1) + "\n")
    return found


def _line(lines: Sequence[Line], attempt: Path, study: Study, plan: Plan, override: str) -> Registered:
    """What is registered. The attempt's own lines do not count as spent before it."""
    stage = plan.stage.number
    used = ledger.used(_others(lines, attempt), stage)
    alpha = plan.alpha if plan.stage.decides else 0.0
    first = ledger.allowed(lines, stage)
    return Registered(
        study=study.name,
        study_sha256=study.sha256_to(stage),
        stage=stage,
        attempt=attempt.name,
        number=len(used) + 1,
        attempts=plan.attempts,
        alpha=alpha,
        spent=round(sum(used.values()), 12),
        allowed=first if first is not None else study.alpha if plan.stage.decides else 0.0,
        primary=study.primary,
        minimum_gain=study.minimum_gain,
        must_not_worsen=study.must_not_worsen,
        code_sha256=folder.code_sha256(),
        git_commit=folder.git_commit(),
        override=override,
    )


def _others(lines: Iterable[Line], attempt: Path) -> list[Line]:
    return [row for row in lines if row.attempt != attempt.name]


def _former(lines: Sequence[Line], study: Study, stage: int) -> Decided | None:
    if stage == 0:
        return None
    found = ledger.standing(lines, stage - 1, study.sha256_to(stage - 1))
    return found if found is not None and found.outcome is Outcome.GO else None


def sources(study: Study, plan: Plan) -> dict[str, str]:
    """File with samples → digest, of those that are there."""
    return {str(path): jsonl.sha256(path) for path in source_files(study, plan) if path.is_file()}


def _sources_of(attempt: Path) -> dict[str, str]:
    """What an attempt's data were built from; nothing where it does not say."""
    path = attempt / SOURCES
    return {str(name): str(found) for name, found in json.loads(jsonl.read_text(path)).items()} if path.exists() else {}


def resampled(study: Study, plan: Plan, attempt: Path) -> bool:
    """Whether the samples were changed since the attempt began; what it has trained and drawn is of the old ones."""
    begun = _sources_of(attempt)
    return any(begun.get(name) != found for name, found in sources(study, plan).items())


def _keep_former_test(former: Path, attempt: Path) -> None:
    """A copy of the former stage's test items, which this one's must not be among."""
    path = former / folder.DATA / "test.jsonl"
    if path.is_file() and not (attempt / FORMER_TEST).exists():
        jsonl.write_text(attempt / FORMER_TEST, jsonl.read_text(path))


def read(attempt: Path) -> Registration | None:
    """What an attempt registered; None where it did not.

    Raises:
        UserError: the file is not what `register` writes, or its line is not the one whose digest it holds.
    """
    path = attempt / FILE
    if not path.exists():
        return None
    try:
        found = from_json(Registration, jsonl.read_text(path))
    except ValidationError as fault:
        raise _damaged(path, jsonl.explain(fault)) from None
    if ledger.line_sha256(found.line) != found.sha256:
        raise _damaged(
            path, f"a line of digest {ledger.line_sha256(found.line)[:12]}…, {found.sha256[:12]}… registered"
        )
    return found


def _damaged(path: Path, seen: str) -> UserError:
    return UserError(
        f"{path}: damaged; nothing is decided",
        wanted="the file as the stage wrote it",
        seen=seen,
        mend="restore it from a copy; the ledger holds the digest of what was registered",
    )


def judged(study: Study, plan: Plan, attempt: Path) -> Judged:
    """The ledger's line of an attempt whose answers are about to be scored."""
    stage = plan.stage.number
    return Judged(
        study=study.name, study_sha256=study.sha256_to(stage), stage=stage, attempt=attempt.name, alpha=plan.alpha
    )


def decided(verdict: Verdict, attempt: Path, registered: Registration) -> Decided:
    """The ledger's line of a verdict."""
    return Decided(
        study=verdict.study,
        study_sha256=registered.line.study_sha256,
        stage=verdict.stage,
        attempt=attempt.name,
        outcome=verdict.outcome,
        verdict_sha256=jsonl.sha256(attempt / folder.VERDICT),
        alpha=verdict.alpha,
        open=verdict.open,
        code_sha256=folder.code_sha256(),
        git_commit=folder.git_commit(),
    )
