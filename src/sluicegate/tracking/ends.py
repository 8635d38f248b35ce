"""Ends for runs that were cut off without one: a container that is gone, a process that was killed.

Such a run shows as RUNNING for ever. A training holds its folder's lock as long as it lives, whatever ends it; so a
spool without an end whose lock is there and free is that of a run that is gone. A folder without a lock was never
trained in on this machine, and says nothing about where it was.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from pathlib import Path

from sluicegate import folder
from sluicegate.errors import UserError
from sluicegate.folder import EVENTS
from sluicegate.tracking.spool import Event, Spool, read

LOCK = ".lock"
WHY = "no end was written, and no process holds the folder"


def end_gone(folders: Iterable[Path]) -> list[Path]:
    """End the runs of these folders that are gone as KILLED, at their last sign of life; which those were."""
    return [path for path in folders if _end(path)]


def _end(path: Path) -> bool:
    if not (path / LOCK).exists() or _last_if_open(path) is None:
        return False
    with contextlib.suppress(UserError), folder.holding(path):
        last = _last_if_open(path)
        if last is not None:
            with Spool(path) as spool:
                spool.end("KILLED", time_ms=last["time_ms"], why=WHY)
            return True
    return False


def _last_if_open(path: Path) -> Event | None:
    """The last event of a run that has begun and not ended; None of any other."""
    last, still_open = None, False
    for _, event in read(path / EVENTS):
        if event is not None:
            last = event
            still_open = {"run": True, "end": False}.get(event["kind"], still_open)
    return last if still_open and last is not None and isinstance(last.get("time_ms"), int) else None
