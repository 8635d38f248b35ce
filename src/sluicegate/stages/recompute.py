"""Decides a stage again from the files of its run folder, for somebody else, years later.

The scores are compared again, the gate decides again, and the verdict must come out the same to the byte. Nothing is
written, and nothing outside the run folder is read, but for the ledger beside it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluicegate import compare, folder, jsonl
from sluicegate.errors import UserError
from sluicegate.records import Comparison, Verdict, from_json, to_dict, to_json
from sluicegate.stages import evidence, gate, ledger, register
from sluicegate.stages.evidence import Evidence, contrast_files
from sluicegate.stages.plan import STAGES
from sluicegate.stages.steps import Asked, comparison, contrasts

LEDGER = "ledger.jsonl"
CLOSE = 1e-9
"""Figures that another version of numpy or another processor sums in another order differ by less."""


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A verdict that was decided again.

    Args:
        text: of the verdict file, as it comes out now.
        noted: what else was held against it, in words.
    """

    verdict: Verdict
    text: str
    noted: tuple[str, ...]


def read_verdict(path: Path) -> tuple[Path, Verdict]:
    """A verdict file, or that of a run folder, and the verdict in it.

    Raises:
        UserError: there is none, or it is not a verdict.
    """
    path = path / folder.VERDICT if path.is_dir() else path
    try:
        verdict = from_json(Verdict, jsonl.read_text(path))
    except ValidationError as fault:
        raise _no_verdict(path, jsonl.explain(fault)) from None
    if verdict.stage not in range(len(STAGES)):
        raise _no_verdict(path, f"a stage that there is not, of 0 to {len(STAGES) - 1}")
    return path, verdict


def _no_verdict(path: Path, seen: str) -> UserError:
    return UserError(f"{path}: not a verdict", wanted="runs/<study>/stage<N>-<time>/verdict.json", seen=seen)


def as_text(verdict: Verdict) -> str:
    """What a verdict file holds."""
    return to_json(verdict, indent=1) + "\n"


def recompute(path: Path) -> Recomputed:
    """The verdict on a run folder, decided again and held against the one that lies there.

    Raises:
        UserError: the evidence is missing, damaged or altered, the scores give other comparisons, or another
            verdict comes out; with what differs.
    """
    path, before = read_verdict(path)
    attempt = path.parent
    found = evidence.read(attempt, before.stage)
    noted = [*_compared_again(attempt, found)]
    verdict = gate.decide(found)
    text = as_text(verdict)
    if text != jsonl.read_text(path):
        raise _differs(path, before, verdict, found)
    noted.append("the verdict comes out the same to the byte")
    return Recomputed(verdict, text, (*noted, in_ledger(path)))


def _compared_again(attempt: Path, found: Evidence) -> Sequence[str]:
    """The comparisons, made again from the scores where the stage made them; those that decide nothing too."""
    if not found.comparisons:
        return ()
    beside = contrasts(found.study, found.plan, attempt)
    made = [(comparison(found.study, found.plan, attempt), found.comparisons)]
    made += [(beside[path.stem], compare.read(path).comparisons) for path in contrast_files(attempt, found.study)]
    return [_same_again(asked, rows) for asked, rows in made]


def _same_again(asked: Asked, before: Sequence[Comparison]) -> str:
    rows = compare.compare_files(
        asked.control, asked.experiment, data=asked.data, primary=asked.primary, metrics=asked.metrics,
        level=asked.level, minimum=asked.minimum,
    )  # fmt: skip
    for row, again in zip(before, rows, strict=False):
        if not close(to_dict(row), to_dict(again)):
            raise _not_from_scores(asked.out, row, again)
    if len(rows) != len(before):
        raise _not_from_scores(asked.out, None, None)
    return f"{len(rows)} comparisons of {asked.names[1]} with {asked.names[0]} come out of the scores again"


def _not_from_scores(path: Path, row: Comparison | None, again: Comparison | None) -> UserError:
    return UserError(
        f"{path}: not what the scores give",
        wanted=f"{again.metric} gain {again.gain}, p {again.p}" if again else "a row for each metric of the scores",
        seen=f"{row.metric} gain {row.gain}, p {row.p}" if row else "another number of rows",
        mend="restore the run folder from a copy; neither file can be trusted as it stands",
    )


def close(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same but for rounding.

    >>> close({"a": [1.0, None]}, {"a": [1.0 + 1e-12, None]}), close({"a": 1.0}, {"a": 1.1}), close(None, 0.0)
    (True, False, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return math.isclose(one, other, rel_tol=CLOSE, abs_tol=CLOSE)
    return bool(one == other)


def _differs(path: Path, before: Verdict, now: Verdict, found: Evidence) -> UserError:
    """Another verdict comes out: what differs, and whether another version of the program is why."""
    line = found.registration.line if found.registration else None
    told, again = to_dict(before), to_dict(now)
    fields = [name for name in again if told.get(name) != again[name]]
    checks = [f"check {one.name}" for one, other in zip(now.checks, before.checks, strict=False) if one != other]
    if "evidence_sha256" in fields:
        mend = "the evidence was changed after the verdict: restore the run folder from a copy"
    elif before.version != now.version:
        mend = f"it was decided by sluicegate {before.version}: pip install 'sluicegate=={before.version}'"
    elif line is not None and line.code_sha256 != folder.code_sha256():
        mend = f"it was decided by other code than this: git checkout {line.git_commit.rstrip('+') or '<its commit>'}"
    else:
        mend = "verdict.json was changed after it was written: restore it from a copy"
    return UserError(
        f"{path}: another verdict comes out of the evidence",
        wanted=f"{before.outcome.value}, as the file says",
        seen=f"{now.outcome.value}; {', '.join([*fields, *checks][:8])} differ",
        mend=mend,
    )


def in_ledger(path: Path) -> str:
    """What the ledger beside the run folder says of a verdict.

    Raises:
        UserError: the ledger is broken, or does not tell of this verdict in this run folder.
    """
    study = from_json(Verdict, jsonl.read_text(path)).study
    beside = path.parent.parent / LEDGER
    if not beside.exists():
        return "no ledger lies beside the run folder"
    lines = ledger.read_lines(beside, study)
    told = [line for line in lines if isinstance(line, ledger.Decided) and line.attempt == path.parent.name]
    if not told:
        raise UserError(
            f"{path}: the ledger beside it does not tell of this verdict",
            wanted=f"a line that decides {path.parent.name}",
            seen=f"none of {len(lines)}: a copied folder, lines that were cut off, or a kill before the line",
            mend="restore both from a copy, or run the stage again: it decides from the same files and enters it",
        )
    ledger.read_verdict(told[-1], path)
    registered = register.read(path.parent)
    known = {ledger.line_sha256(line) for line in lines}
    if registered is None or registered.sha256 not in known:
        raise UserError(
            f"{path.parent / register.FILE}: not what the ledger registered",
            wanted="the digest of one of its lines",
            seen="none" if registered is None else f"{registered.sha256[:12]}…",
            mend="restore both from a copy",
        )
    return f"the ledger tells of it, {told[-1].time}, after {len(told) - 1} other decision(s) of this attempt"
