"""The ledger of a study: what each stage was going to be judged by, and what was decided; append-only and chained.

Three kinds of lines. `registered` is written before a stage does anything: the primary metric, the thresholds, the
share of alpha, the study and the code. `judged` is written before the first answer of a deciding stage is scored: from
there on somebody can see who wins, so an attempt that is left then has spent its alpha. `decided` follows with the
verdict and the alpha that it spent. Each line carries the digest of the one before, so a line that was changed, removed
or put in between breaks the chain, and reading says where. Newest lines that were cut off are missed by the run folders
that they registered (`require_whole`) and by the verdicts in them (`require_entered`); someone who removes those too
goes unseen, and so does a study that is given another name.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias, TypeVar, cast

from filelock import FileLock
from pydantic import ConfigDict, Discriminator

from sluicegate.errors import UserError
from sluicegate.jsonl import Journal, end_whole_line, read, read_text, sha256
from sluicegate.records import Outcome, Verdict, digest, from_json, to_dict

FIRST = "0" * 64
CLOCK_SLACK = timedelta(seconds=60)
"""Clocks are set right by a few seconds now and then; more than this is a clock that went backwards."""
_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What an attempt will be judged by, said before there is anything to judge.

    Args:
        previous: digest of the line before, 64 zeros for the first.
        attempt: its run folder's name.
        number, attempts: which decision of this stage it would be, and how many the study declares.
        alpha: one-sided, that its decision spends; 0 where the stage's GO rests on no test.
        spent: by the decisions of this stage before it, under whatever version of the study.
        allowed: alpha of this stage in all, as it was first registered.
        override: the reason given for starting without the former stage's GO, or empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    event: Literal["registered"] = "registered"
    previous: str = FIRST
    time: str = ""
    study: str
    study_sha256: str
    stage: int
    attempt: str
    number: int
    attempts: int
    alpha: float
    spent: float
    allowed: float
    primary: str
    minimum_gain: float
    must_not_worsen: Mapping[str, float] = field(default_factory=dict)
    code_sha256: str
    git_commit: str
    override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An attempt at a deciding stage whose scores can be seen from here on.

    Args:
        alpha: what it has spent until it is decided, and for good where it never is.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    event: Literal["judged"] = "judged"
    previous: str = FIRST
    time: str = ""
    study: str
    study_sha256: str
    stage: int
    attempt: str
    alpha: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """A verdict.

    Args:
        alpha: what it spends.
        open: whether the attempt goes on: something broke, or the budget ran out before there was enough to decide.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    event: Literal["decided"] = "decided"
    previous: str = FIRST
    time: str = ""
    study: str
    study_sha256: str
    stage: int
    attempt: str
    outcome: Outcome
    verdict_sha256: str
    alpha: float
    open: bool
    code_sha256: str
    git_commit: str


Line: TypeAlias = Registered | Judged | Decided
_READ = cast(type[Line], Annotated[Line, Discriminator("event")])
Kind = TypeVar("Kind", Registered, Judged, Decided)


def line_sha256(line: Line) -> str:
    """Digest of a line: what the next one carries."""
    return digest(to_dict(line))


def read_lines(path: Path, study: str) -> list[Line]:
    """All lines, the chain verified; none where there is no ledger.

    Nothing is written: a last line torn by a kill is passed over, and one that only lacks its end counts.

    Raises:
        UserError: the chain is broken, with the line; the ledger is another study's; its times run backwards; or
            the file cannot be read.
    """
    lines = read(_READ, path, torn=True) if path.exists() else []
    expected, earlier = FIRST, ""
    for number, line in enumerate(lines, start=1):
        if line.previous != expected:
            raise _tampered(f"{path}:{number}", f"previous digest {expected[:12]}…", f"{line.previous[:12]}…")
        if line.study != study:
            raise UserError(
                f"{path}:{number}: the ledger of another study",
                wanted=f"lines of {study}",
                seen=f"a line of {line.study}",
                mend="choose another --runs folder, or bring this study's own ledger back from a copy",
            )
        if not _dated(line.time) or line.time < earlier:
            raise _tampered(
                f"{path}:{number}", f"a time not before {earlier}" if earlier else "a time with its zone", line.time
            )
        expected, earlier = line_sha256(line), line.time
    return lines


def _dated(time: str) -> bool:
    """Whether it is a time that says its zone."""
    try:
        return datetime.fromisoformat(time).tzinfo is not None
    except ValueError:
        return False


def _tampered(where: str, wanted: str, seen: str) -> UserError:
    return UserError(
        f"{where}: the ledger was tampered with",
        wanted=wanted,
        seen=seen,
        mend="restore the file from a copy; its verdicts cannot be trusted as it stands",
    )


def append(path: Path, line: Kind, *, now: datetime | None = None) -> Kind:
    """Add a line, chained and dated; one that says what the attempt's last line of its kind says is not added again.

    A last line torn by a kill is cut off.

    Raises:
        UserError: as `read_lines`; or the clock stands before the newest line.
    """
    with FileLock(path.with_suffix(".lock")):
        lines = read_lines(path, line.study)
        said = next((row for row in reversed(lines) if row.attempt == line.attempt and type(row) is type(line)), None)
        if said is not None and replace(line, previous=said.previous, time=said.time) == said:
            return said
        linked = replace(
            line, previous=line_sha256(lines[-1]) if lines else FIRST, time=_time(lines, path, now or datetime.now(UTC))
        )
        end_whole_line(_READ, path)
        with Journal(path) as journal:
            journal.append(linked)
    return linked


def _time(lines: Sequence[Line], path: Path, now: datetime) -> str:
    """Now, and never before the newest line."""
    stamp = now.isoformat(timespec="seconds")
    newest = lines[-1].time if lines else stamp
    if datetime.fromisoformat(newest) - now > CLOCK_SLACK:
        raise UserError(
            f"{path}: the clock went backwards; nothing was decided",
            wanted=f"a time after the newest line, {newest}",
            seen=f"{stamp} on this machine",
            mend="set the clock (timedatectl status), then run the same command again",
        )
    return max(stamp, newest)


def require_whole(lines: Iterable[Line], folder: Path, registration: str) -> None:
    """Every run folder that was registered must be in the ledger, under its own name.

    Args:
        folder: `runs/<study>`.
        registration: the name of the file in a run folder that holds the digest of its line.

    Raises:
        UserError: the ledger lacks a line, or the folder is a copy of another.
    """
    known = {line_sha256(line): line.attempt for line in lines}
    for path in sorted(folder.glob(f"stage*/{registration}")):
        try:
            found = json.loads(read_text(path))["sha256"]
        except (ValueError, KeyError, TypeError, RecursionError):
            found = "unreadable"
        of = known.get(str(found))
        if of != path.parent.name:
            why = f"is that of {of}" if of else f"in none of {len(known)} lines: cut off, or a file was changed"
            raise UserError(
                f"{folder}: the ledger does not know {path.parent.name}",
                wanted="the line that registered it",
                seen=f"digest {str(found)[:12]}… {why}",
                mend=f"restore both from a copy; a folder that belongs elsewhere can be moved: mv {path.parent} …",
            )


def require_entered(lines: Iterable[Line], folder: Path, verdict: str, *, besides: Path) -> None:
    """Every verdict in a run folder must be in the ledger, but for that of the attempt that goes on.

    A stage that was killed between its verdict and its line decides again from the same files when it is run again,
    and enters it then; until it has, no other attempt begins.

    Args:
        folder: `runs/<study>`.
        verdict: the name of the file in a run folder.
        besides: the run folder that is about to be decided again.

    Raises:
        UserError: the ledger lacks a verdict.
    """
    known = {(line.attempt, line.verdict_sha256) for line in lines if isinstance(line, Decided)}
    for path in sorted(folder.glob(f"stage*/{verdict}")):
        if path.parent != besides and (path.parent.name, sha256(path)) not in known:
            raise UserError(
                f"{folder}: the ledger does not know the verdict of {path.parent.name}",
                wanted="the line that tells of it: what it spent counts",
                seen="none: cut off, or killed before it was written",
                mend="run that stage again with the study file as it was: it decides from the same files and enters it",
            )


def decisions(lines: Iterable[Line], stage: int) -> Iterator[Decided]:
    """The verdicts on a stage, oldest first."""
    return (line for line in lines if isinstance(line, Decided) and line.stage == stage)


def latest(lines: Sequence[Line], stage: int, study_sha256: str) -> Decided | None:
    """The newest verdict of a stage for exactly this study."""
    found = [line for line in decisions(lines, stage) if line.study_sha256 == study_sha256]
    return found[-1] if found else None


def standing(lines: Sequence[Line], stage: int, study_sha256: str) -> Decided | None:
    """The newest verdict that closed an attempt; the newest open one where none did.

    A further attempt that broke, or that was not declared, decided nothing: what was decided before stands.
    """
    closed = [line for line in lines if not (isinstance(line, Decided) and line.open)]
    return latest(closed, stage, study_sha256) or latest(lines, stage, study_sha256)


def used(lines: Iterable[Line], stage: int) -> dict[str, float]:
    """Attempt → alpha that it has spent, under whatever version of the study: it was decided, or judged and left."""
    counted = (line for line in lines if not isinstance(line, Registered) and line.stage == stage)
    return {line.attempt: line.alpha for line in counted if line.alpha > 0}


def left(lines: Sequence[Line], stage: int) -> tuple[str, ...]:
    """Attempts at a stage that were judged and are not decided."""
    closed = {line.attempt for line in decisions(lines, stage) if not line.open}
    return tuple(attempt for attempt in used(lines, stage) if attempt not in closed)


def allowed(lines: Iterable[Line], stage: int) -> float | None:
    """Alpha of a stage in all, as it was first registered; None where it was not."""
    return next((line.allowed for line in lines if isinstance(line, Registered) and line.stage == stage), None)


def overrides(lines: Iterable[Line]) -> Iterator[Registered]:
    """The stages that were started without the former one's GO."""
    return (line for line in lines if isinstance(line, Registered) and line.override)


def read_verdict(line: Decided, path: Path) -> Verdict:
    """The verdict that a line tells of.

    Raises:
        UserError: it is not the file that was entered.
    """
    verdict = from_json(Verdict, read_text(path)) if sha256(path) == line.verdict_sha256 else None
    said = (line.outcome, line.stage, line.alpha, line.open)
    if verdict is None or (verdict.outcome, verdict.stage, verdict.alpha, verdict.open) != said:
        seen = f"{verdict.outcome.value} of stage {verdict.stage}" if verdict else "another file"
        raise UserError(
            f"{path}: not the verdict that the ledger tells of",
            wanted=f"{line.outcome.value} of stage {line.stage}, SHA-256 {line.verdict_sha256[:12]}…",
            seen=seen,
            mend=f"restore both from a copy, or remove {path.parent} and run stage {line.stage} again",
        )
    return verdict


def require_go(lines: Sequence[Line], stage: int, study_sha256: str, words: str) -> None:
    """A stage starts only after the former one's GO.

    Args:
        study_sha256: of the study as far as the former stage goes.

    Raises:
        UserError: the former stage has no GO for this study file.
    """
    if stage == 0:
        return
    former = standing(lines, stage - 1, study_sha256)
    if former is not None and former.outcome is Outcome.GO:
        return
    others = list(decisions(lines, stage - 1))
    seen = former.outcome.value if former else "a GO of another version of the study file" if others else "not run yet"
    raise UserError(
        f"stage {stage} may not start",
        wanted=f"a GO of stage {stage - 1} for this study file",
        seen=seen,
        mend=f"sluicegate stage {stage - 1} {words}, or --override 'reason' (recorded)",
    )
