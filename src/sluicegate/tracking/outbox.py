"""One spool on its way to MLflow: what is new in it, sent in order, and the state written behind each step.

Nothing here knows how often or how long: `sender` does. One sender at a time holds a spool, by a lock beside
it.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from sluicegate.folder import EVENTS
from sluicegate.jsonl import sha256
from sluicegate.tracking.link import Link, Point, is_gone, is_refusal
from sluicegate.tracking.redact import without_credentials, without_secrets
from sluicegate.tracking.spool import Event, figures, read
from sluicegate.tracking.state import SENT, State, load, save, tail
from sluicegate.tracking.store import address

BATCH = 1000
"""Points of one request; MLflow takes no more."""
CURVES = frozenset({"metrics", "system"})


class LateError(Exception):
    """The time given is over; the rest stays on disk."""


class RefusedError(Exception):
    """MLflow refuses this spool's run, and would again."""


class GoneError(Exception):
    """The store does not hold the run that the state file names: it was replaced by another."""


class Outbox:
    """One spool and how far it has been sent.

    Args:
        folder: where the spool lies.
        uri: the store, credentials included.
    """

    def __init__(self, folder: Path, uri: str) -> None:
        self.folder, self._path = folder, folder / EVENTS
        self._uri = without_credentials(address(uri))
        self._notes: list[str] = []
        self._refused = self._torn = False
        self._open()

    def _open(self) -> None:
        """Read the state, and what was sent already, from the disk."""
        self._torn = False
        self.state: State = load(self.folder, self._uri)
        self._last: dict[tuple[str, int], float] = {}
        self.parent = parent_of(self.folder)
        for offset, event in read(self._path):
            if offset > self.state.offset:
                break
            self._new_points(event)

    @property
    def run_id(self) -> str:
        """MLflow's name of the run; empty before it is made."""
        return self.state.run_id

    def waits(self) -> bool:
        """Whether there may be something to send."""
        if not self._path.is_file():
            return False
        if not self.state.spool:
            self._open()
        return bool(self.state.spool) and not self._refused and self._path.stat().st_size > self.state.offset

    def waiting(self) -> int:
        """Lines not yet sent."""
        return sum(1 for _ in read(self._path, self.state.offset)) if self._path.is_file() else 0

    def notes(self) -> list[str]:
        """What was left out since last asked: unreadable lines, missing artifacts."""
        told, self._notes = self._notes, []
        return told

    def verify(self, link: Link) -> None:
        """Begin anew where the store does not hold the run: another database, or one that was made anew."""
        if self.run_id and not link.holds(self.run_id):
            with contextlib.suppress(Timeout), FileLock(self.folder / f".{SENT}.lock", timeout=0):
                self._keep(State(self._uri, self.state.spool))
                self._torn = True

    def send(self, link: Link, parent_run_id: str, deadline: float) -> None:
        """Send what is new.

        Raises:
            LateError: `deadline` (of `time.monotonic`) passed. RefusedError: MLflow will not have the run.
            GoneError: the store does not know the run. Exception: any other fault, the server's; the state says how
                far it got.
        """
        with contextlib.suppress(Timeout), FileLock(self.folder / f".{SENT}.lock", timeout=0):
            if self._torn or load(self.folder, self._uri) != self.state:  # another sender may have been here
                self._open()
            try:
                self._send(link, parent_run_id, deadline)
            except Exception as fault:
                self._torn = True
                if is_gone(fault):
                    raise GoneError(_told(fault)) from None
                if is_refusal(fault):
                    self._refused = True
                    raise RefusedError(f"{self.folder}: MLflow refuses it: {_told(fault)}") from None
                raise

    def _send(self, link: Link, parent_run_id: str, deadline: float) -> None:
        for end, event, points in self._batches():
            if time.monotonic() > deadline:
                raise LateError
            try:
                if points:
                    link.metrics(self.run_id, points)
                elif event:
                    self._one(link, event, parent_run_id, deadline)
            except Exception as fault:
                if not is_refusal(fault) or not self.run_id or not link.takes(self.run_id):
                    raise
                self._notes.append(f"{self._path}: MLflow refuses what ends at byte {end}, left out: {_told(fault)}")
            self._keep(replace(self.state, offset=end, tail=tail(self._path, end)))

    def _batches(self) -> Iterator[tuple[int, Event | None, list[Point]]]:
        """Consecutive metric lines together, any other line alone: (offset behind, event, points)."""
        points: list[Point] = []
        held = 0
        for end, event in read(self._path, self.state.offset):
            if event is not None and event["kind"] in CURVES:
                points += self._new_points(event)
                held = end
                if len(points) < BATCH:
                    continue
            if held:
                yield held, None, points
                points, held = [], 0
            if event is None:
                self._notes.append(f"{self._path}: the line before byte {end} is unreadable and was left out")
            if event is None or event["kind"] not in CURVES:
                yield end, event, []
        if held:
            yield held, None, points

    def _new_points(self, event: Event | None) -> list[Point]:
        """The points of a line that say something new of their (metric, step)."""
        if event is None or event["kind"] not in CURVES:
            return []
        step = event["step"]
        fresh = {key: value for key, value in figures(event).items() if self._last.get((key, step)) != value}
        self._last |= {(key, step): value for key, value in fresh.items()}
        return [(key, value, event["time_ms"], step) for key, value in fresh.items()]

    def _one(self, link: Link, event: Event, parent_run_id: str, deadline: float) -> None:
        kind = event["kind"]
        if kind == "run" and not self.run_id:
            self._keep(replace(self.state, run_id=link.run(event, parent_run_id)))
        elif kind == "run" and event.get("resumed"):
            link.go_on(self.run_id, event, parent_run_id)
        elif kind == "artifact":
            self._artifact(link, event, deadline)
        elif kind == "model":
            self._model(link, event, deadline)
        else:
            _PLAIN.get(kind, _nothing)(link, self.run_id, event)

    def _artifact(self, link: Link, event: Event, deadline: float) -> None:
        """Each file of an artifact, unless the same bytes are there already."""
        source = self.folder / event["path"]
        if not source.exists():
            self._notes.append(f"{self._path}: artifact {event['path']} is missing and was left out")
        for path, under in files_of(source, str(event.get("under", ""))):
            self._file(path, under, deadline, lambda path, under: link.file(self.run_id, path, under))

    def _model(self, link: Link, event: Event, deadline: float) -> None:
        """The model's files into a model of MLflow's, which is ready when they are all there."""
        model_id = link.model(self.run_id, event)
        for name in event["files"]:
            path = self.folder / str(name)
            if not path.is_file():
                self._notes.append(f"{self._path}: {name} of the model is missing and was left out")
                continue
            inner = "/".join(Path(os.path.relpath(path.parent, self.folder)).parts)
            put = functools.partial(link.model_file, model_id)
            self._file(path, inner, deadline, put, kept=f"{model_id}:")
        link.model_ready(self.run_id, model_id)

    def _file(self, path: Path, under: str, deadline: float, put: Callable[[Path, str], None], kept: str = "") -> None:
        """One file, unless the same bytes are there already; what is sent is what the digest is of."""
        if time.monotonic() > deadline:
            raise LateError
        name, found = kept + f"{under}/{path.name}".lstrip("/"), sha256(path)
        if self.state.files.get(name) != found:
            put(path, under)
            if sha256(path) != found:
                raise OSError(f"{path} was written to while it was sent")
            self._keep(replace(self.state, files={**self.state.files, name: found}))

    def _keep(self, state: State) -> None:
        save(self.folder, state)
        self.state = state


def _told(fault: Exception) -> str:
    return " ".join(without_secrets(str(fault)).split())[:300]


def _nothing(link: Link, run_id: str, event: Event) -> None:
    """A repeated first line says nothing new."""


_PLAIN: dict[str, Callable[[Link, str, Event], None]] = {
    "params": lambda link, run_id, event: link.params(run_id, event["values"]),
    "dataset": lambda link, run_id, event: link.dataset(run_id, event),
    "end": lambda link, run_id, event: link.end(run_id, event),
}


def files_of(source: Path, under: str) -> list[tuple[Path, str]]:
    """The files of an artifact and the artifact folder of each, hidden files and the sender's own left out.

    A folder goes in under its contents, not under its name.
    """
    if source.is_file():
        return [(source, under)]
    found = []
    for path in sorted(source.rglob("*")):
        inner = path.relative_to(source)
        if path.is_file() and not path.is_symlink() and path.name != SENT and not any(p[0] == "." for p in inner.parts):
            found.append((path, "/".join(part for part in (under, *inner.parent.parts) if part)))
    return found


def parent_of(folder: Path) -> Path | None:
    """The folder of the parent's spool; None where a spool has no parent or the parent has no spool."""
    _, event = next(read(folder / EVENTS), (0, None))
    if not event or not event.get("parent"):
        return None
    above = Path(folder, event["parent"]).resolve()
    return above if (above / EVENTS).is_file() else None


def order(folders: Iterable[Path]) -> list[Path]:
    """The folders and the parents of each, parents first, each once.

    Raises:
        OSError: a folder holds no readable spool.
    """
    ordered: dict[Path, None] = {}
    for folder in folders:
        line = [folder.resolve()]
        while (above := parent_of(line[-1])) is not None and above not in line:
            line.append(above)
        ordered |= dict.fromkeys(reversed(line))
    return list(ordered)
