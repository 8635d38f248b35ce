"""The spool: what a run tells of itself, one JSON object a line in `events.jsonl`, before anything is sent.

It is the truth that MLflow and the report are made from. An append is one `write` of one line: it takes
microseconds, survives a kill, and knows no server. This module never imports mlflow.
"""

from __future__ import annotations

import getpass
import json
import math
import os
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sluicegate.folder import EVENTS
from sluicegate.jsonl import cut_torn_line, unwritable
from sluicegate.tracking import Status
from sluicegate.tracking.redact import is_secret, without_secret_names, without_secrets

Event = dict[str, Any]
SHAPES: dict[str, dict[str, type]] = {
    "run": {"name": str, "experiment": str},
    "params": {"values": dict},
    "dataset": {"name": str, "sha256": str, "path": str, "samples": int},
    "metrics": {"step": int, "time_ms": int, "values": dict},
    "system": {"step": int, "time_ms": int, "values": dict},
    "artifact": {"path": str},
    "model": {"name": str, "files": list, "tags": dict},
    "end": {"status": str},
}
"""The kinds of event and the fields that each must have; a line of another shape is unreadable."""


class Spool:
    """A `Tracker` that appends to `folder/events.jsonl`.

    Opening an existing spool cuts off a torn last line and goes on behind it. The first line gives the spool
    a name of its own, by which the sender finds the run again.

    Args:
        folder: the model folder or the run folder; made if missing.

    Raises:
        UserError: the folder cannot be written to. The same for every call, when the disk is full: what was
        written
            before stays whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.path = folder, folder / EVENTS
        self.dropped = 0
        """Values left out because they were NaN or infinite."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._stream = self.path.open("ab", buffering=0)
            cut_torn_line(self.path)
        except OSError as fault:
            raise unwritable(self.path, fault) from None
        self._name = spool_name(self.path)
        self._one_at_a_time = threading.Lock()
        self.going = False
        """Whether a run was begun here and has not ended."""

    def run(
        self,
        name: str,
        experiment: str,
        parent: Path | str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Start the run; in a spool that has one, note that it goes on, with the tags of now."""
        resumed = bool(self._name)
        self._name = self._name or uuid.uuid4().hex
        above = os.path.relpath(parent, self.folder) if parent else ""
        shown, refused = _public({key: str(value) for key, value in (tags or {}).items()})
        self._append(
            "run",
            spool=self._name,
            resumed=resumed,
            name=name,
            experiment=experiment,
            parent=Path(above).as_posix() if above else "",
            user=_user(),
            tags=shown,
            **({"refused": refused} if refused else {}),
        )
        self.going = True

    def params(self, values: Mapping[str, object]) -> None:
        """Settings as text; names of secrets are listed under `refused` and their values nowhere."""
        shown, refused = _public({key: _text(value) for key, value in values.items()})
        self._append("params", values=shown, **({"refused": refused} if refused else {}))

    def dataset(self, name: str, path: Path, sha256: str, samples: int) -> None:
        """A data file that went in."""
        self._append("dataset", name=name, sha256=sha256, path=without_secrets(str(path)), samples=samples)

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Figures at a step; what is not finite is listed under `dropped` and counted."""
        finite = {key: float(value) for key, value in values.items() if math.isfinite(value)}
        dropped = {key: str(float(value)) for key, value in values.items() if key not in finite}
        self.dropped += len(dropped)
        self._append("metrics", step=int(step), values=finite, **({"dropped": dropped} if dropped else {}))

    def system(self, values: Mapping[str, float], step: int) -> None:
        """What the machine does while the run is going, under MLflow's names for it; no figures of the run itself."""
        line = _line("system", step=step, values=dict(values))
        with self._one_at_a_time:
            if self.going:
                self._write(line)

    def artifact(self, path: Path, under: str = "") -> None:
        """A file or folder to be kept with the run; its path is stored relative to the spool's folder."""
        self._append("artifact", path=Path(os.path.relpath(path, self.folder)).as_posix(), under=under)

    def model(self, name: str, files: Sequence[Path], tags: Mapping[str, str]) -> None:
        """The finished model: its files, stored relative to the spool's folder, and what it is."""
        shown, refused = _public(tags)
        listed = [Path(os.path.relpath(path, self.folder)).as_posix() for path in files]
        self._append("model", name=name, files=listed, tags=shown, **({"refused": refused} if refused else {}))

    def end(self, status: Status, **more: object) -> None:
        """End the run, and let the disk have it; `more` are fields of the line, such as its time."""
        self.going = False
        self._append("end", status=status, **more)
        os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file; the run is not ended by it."""
        self._stream.close()

    def __enter__(self) -> Spool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, kind: str, **fields: Any) -> None:
        if not self._name:
            raise RuntimeError(f"{self.path}: {kind} before run()")
        line = _line(kind, **fields)
        with self._one_at_a_time:
            self._write(line)

    def _write(self, line: bytes) -> None:
        try:
            if self._stream.write(line) != len(line):
                raise OSError("no space left on the device")
        except OSError as fault:
            cut_torn_line(self.path)
            raise unwritable(self.path, fault) from None


def _line(kind: str, **fields: Any) -> bytes:
    event = {"kind": kind, "time_ms": time.time_ns() // 1_000_000, **fields}
    return (json.dumps(event, allow_nan=False) + "\n").encode()


def _public(values: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    shown = {without_secrets(key): without_secrets(value) for key, value in values.items() if not is_secret(key)}
    return shown, sorted(without_secrets(key) for key in values if is_secret(key))


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(without_secret_names(value), ensure_ascii=False, default=str)


def _user() -> str:
    """Who runs this; a number where a container's user has no name."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def spool_name(path: Path) -> str:
    """The name in a spool's first line; empty where there is no whole first line yet."""
    with path.open("rb") as stream:
        first = stream.readline()
    event = _parse(first) if first.endswith(b"\n") else None
    return str(event.get("spool", "")) if event else ""


def read(path: Path, start: int = 0) -> Iterator[tuple[int, Event | None]]:
    """The whole lines of a spool from a byte offset: (offset behind the line, event).

    A last line without its newline is still being written and is left for later. An unreadable line gives
    None.
    """
    with path.open("rb") as stream:
        stream.seek(start)
        offset = start
        for line in stream:
            if not line.endswith(b"\n"):
                return
            offset += len(line)
            yield offset, _parse(line)


def _parse(line: bytes) -> Event | None:
    try:
        event = json.loads(line)
    except (ValueError, RecursionError):
        return None
    shape = SHAPES.get(str(event.get("kind"))) if isinstance(event, dict) else None
    return event if shape and all(isinstance(event.get(key), kind) for key, kind in shape.items()) else None


def figures(event: Event) -> dict[str, float]:
    """The values of a metrics event that are finite numbers.

    >>> figures({"values": {"a": 1, "b": "2", "c": float("nan"), "d": True}})
    {'a': 1.0}
    """
    return {
        key: float(value)
        for key, value in event["values"].items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def curves(path: Path) -> dict[str, list[tuple[int, float]]]:
    """Every metric of a spool as (step, value), by step; of a step logged twice the last value counts.

    Raises:
        OSError: the spool cannot be read.
    """
    found: dict[str, dict[int, float]] = {}
    for _, event in read(path):
        if event and event["kind"] == "metrics":
            for key, value in figures(event).items():
                found.setdefault(key, {})[event["step"]] = value
    return {key: sorted(points.items()) for key, points in found.items()}
