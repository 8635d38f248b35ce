"""The ledger of a study: one line a verdict, append-only, each line carrying the digest of the one before.

A line that was changed, removed or put in between breaks the chain, and reading says at which line. The newest line
has none behind it: what a GO says is also held against its verdict.json. That newest lines were cut off goes unseen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

from filelock import FileLock
from pydantic import ConfigDict

from sluicegate.errors import UserError
from sluicegate.jsonl import Journal, cut_torn_line, read, read_text, sha256, unwritable
from sluicegate.records import Outcome, Verdict, digest, from_json, to_dict

FIRST = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One verdict in the ledger.

    Args:
        previous: digest of the line before, 64 zeros for the first.
        override: the reason given for starting without the former stage's GO, or empty.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    previous: str
    time: str
    study: str
    study_sha256: str
    stage: int
    attempt: str
    outcome: Outcome
    verdict_sha256: str
    git_commit: str
    override: str = ""

    @property
    def sha256(self) -> str:
        """Digest of this line."""
        return digest(to_dict(self))


def read_entries(path: Path) -> list[Entry]:
    """All entries, the chain verified; none where there is no ledger. A last line torn by a kill is cut off.

    Raises:
        UserError: the chain is broken, with the line; or the file is a folder or cannot be mended.
    """
    try:
        if path.exists() and not path.read_bytes().endswith(b"\n"):
            cut_torn_line(path)
    except OSError as fault:
        raise unwritable(path, fault) from None
    entries = read(Entry, path) if path.exists() else []
    expected = FIRST
    for number, entry in enumerate(entries, start=1):
        if entry.previous != expected:
            raise UserError(
                f"{path}:{number}: the ledger was tampered with",
                wanted=f"previous digest {expected[:12]}…",
                seen=f"{entry.previous[:12]}…",
                mend="restore the file from a copy; its verdicts cannot be trusted as it stands",
            )
        expected = entry.sha256
    return entries


def append(
    path: Path, verdict: Verdict, verdict_path: Path, *, study_sha256: str, commit: str, override: str = ""
) -> Entry:
    """Add a verdict; a verdict that is the newest line already is not added again."""
    with FileLock(path.with_suffix(".lock")):
        entries = read_entries(path)
        entry = Entry(
            previous=entries[-1].sha256 if entries else FIRST,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            study=verdict.study,
            study_sha256=study_sha256,
            stage=verdict.stage,
            attempt=verdict_path.parent.name,
            outcome=verdict.outcome,
            verdict_sha256=sha256(verdict_path),
            git_commit=commit,
            override=override,
        )
        if entries and (entries[-1].attempt, entries[-1].verdict_sha256) == (
            entry.attempt,
            entry.verdict_sha256,
        ):
            return entries[-1]
        with Journal(path) as journal:
            journal.append(entry)
    return entry


def latest(entries: list[Entry], stage: int, study_sha256: str) -> Entry | None:
    """The newest verdict of a stage for exactly this study."""
    return next(
        (entry for entry in reversed(entries) if entry.stage == stage and entry.study_sha256 == study_sha256),
        None,
    )


def read_verdict(entry: Entry, path: Path) -> Verdict:
    """The verdict that an entry tells of.

    Raises:
        UserError: it is not the file that was entered.
    """
    verdict = from_json(Verdict, read_text(path)) if sha256(path) == entry.verdict_sha256 else None
    if verdict is None or (verdict.outcome, verdict.stage) != (entry.outcome, entry.stage):
        seen = f"{verdict.outcome.value} of stage {verdict.stage}" if verdict else "another file"
        raise UserError(
            f"{path}: not the verdict that the ledger tells of",
            wanted=f"{entry.outcome.value} of stage {entry.stage}, SHA-256 {entry.verdict_sha256[:12]}…",
            seen=seen,
            mend=f"restore both from a copy, or remove {path.parent} and run stage {entry.stage} again",
        )
    return verdict


def require_go(entries: list[Entry], stage: int, study_sha256: str, words: str) -> None:
    """A stage starts only after the former one's GO.

    Raises:
        UserError: the former stage has no GO for this study file.
    """
    if stage == 0:
        return
    former = latest(entries, stage - 1, study_sha256)
    if former is not None and former.outcome is Outcome.GO:
        return
    others = [entry for entry in entries if entry.stage == stage - 1]
    seen = former.outcome.value if former else "a GO of another version of the study file" if others else "not run yet"
    raise UserError(
        f"stage {stage} may not start",
        wanted=f"a GO of stage {stage - 1} for this study file",
        seen=seen,
        mend=f"sluicegate stage {stage - 1} {words}, or --override 'reason' (recorded)",
    )
