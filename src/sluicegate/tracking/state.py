"""How far a spool has been sent: `events.sent.json` beside it, written atomically after each step.

Losing the file, or finding an older one, only makes the sender send again what MLflow already has; MLflow
keeps one copy of an equal point, parameter, tag, data set and file, so nothing shows twice.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pydantic import ValidationError

from sluicegate.errors import UserError
from sluicegate.folder import EVENTS
from sluicegate.jsonl import read_text, write_text
from sluicegate.records import from_json, to_json
from sluicegate.tracking.spool import read, spool_name

SENT = "events.sent.json"
TAIL = 4096
PRUNED = frozenset({"checkpoints", "__pycache__"})


@dataclass(frozen=True, slots=True)
class State:
    """How far one spool has been sent to one store.

    Args:
        uri: the store, credentials cut out.
        spool: the spool's own name.
        run_id: MLflow's name of the run; empty until it is made.
        offset: bytes of the spool that were sent.
        tail: digest of the last of those bytes; in a spool that was replaced by another copy they are others.
        files: artifact → SHA-256 of what was sent.
    """

    uri: str
    spool: str
    run_id: str = ""
    offset: int = 0
    tail: str = ""
    files: Mapping[str, str] = field(default_factory=dict)


def load(folder: Path, uri: str | None) -> State:
    """The state of a spool towards a store; a fresh one where the file is missing or of something else."""
    name = spool_name(folder / EVENTS)
    try:
        state = from_json(State, read_text(folder / SENT))
    except (UserError, ValidationError):
        return State(uri or "", name)
    if state.spool != name or (uri is not None and state.uri != uri):
        return State(uri or "", name)
    return state if state.tail == tail(folder / EVENTS, state.offset) else replace(state, offset=0, tail="")


def tail(path: Path, offset: int) -> str:
    """Digest of the bytes of a spool before an offset, as many as tell it from another spool; empty for none."""
    with path.open("rb") as stream:
        stream.seek(max(0, offset - TAIL))
        return hashlib.sha256(stream.read(min(offset, TAIL))).hexdigest() if offset else ""


def save(folder: Path, state: State) -> None:
    """Write the state atomically."""
    write_text(folder / SENT, to_json(state) + "\n")


def forget(folders: Iterable[Path]) -> None:
    """Know nothing any more of what was sent of these spools."""
    for folder in folders:
        (folder / SENT).unlink(missing_ok=True)


def spools(root: Path) -> Iterator[Path]:
    """Folders at and below `root` that hold a spool, in the order of their names."""
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in PRUNED and not name.startswith("."))
        if EVENTS in files:
            yield Path(here)


def unsent(root: Path, uri: str | None = None) -> dict[Path, int]:
    """Folder → lines of its spool that the store does not have yet; empty when everything was sent.

    Args:
        uri: the store, as `State` keeps it (without credentials); None for whichever was sent to last.

    Raises:
        OSError: a spool cannot be read.
    """
    waiting = {folder: sum(1 for _ in read(folder / EVENTS, load(folder, uri).offset)) for folder in spools(root)}
    return {folder: lines for folder, lines in waiting.items() if lines}
