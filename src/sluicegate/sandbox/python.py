"""Runs Python programs against their tests, several at a time.

A worker process (`worker`) is kept for each program that runs at once. What the reference answer's objects
are asked for is found out once for each set of tests, by running the reference itself. A failure of ours is
tried once more and then reported as one.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from sluicegate.sandbox.backends import Choice, choose
from sluicegate.sandbox.limits import Limits, Outcome
from sluicegate.sandbox.processes import remove

ROOT = Path(__file__).resolve().parents[1]
LAUNCH = """\
import sys, types
for name, path in (("sluicegate", sys.argv[1]), ("sluicegate.sandbox", sys.argv[1] + "/sandbox")):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [path]
del sys.argv[1]
from sluicegate.sandbox.worker import main
main()
"""
"""Starts a worker from these files alone: nothing else that is installed is in reach of the tests."""
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""All that a worker inherits, but the PATH, by which it finds bubblewrap and node; with a fixed hash seed the order of
a set is the same in every run."""
START_S = 60.0
SILENCE_S = 60.0
"""A worker that says nothing this long after its program's deadline is taken for dead."""
TRIES = 2
LIMITS = Limits()
SHOWN_LIMIT = 512
"""References whose steps are remembered."""


def run(
    candidate: str,
    tests: str,
    *,
    reference: str = "",
    limits: Limits = LIMITS,
    backend: str = "",
    other: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a program and its tests; threads may share it, and no program makes it raise.

    Args:
        candidate, tests: source text.
        reference: a program known to be right, or empty: what its objects do, others' objects may do.
        backend: empty for the best that works here.
        other: another interpreter's path and the code of both ends, where it is not Python; see `javascript`.
    """
    chosen = choose(backend)
    if not chosen.name:
        return Outcome("infra", chosen.why)
    if other is not None and other.get("modules"):
        chosen = replace(chosen, modules=other["modules"])
    request = {"tests": tests, "limits": asdict(limits), "other": dict(other) if other else None}
    shown = _shown(chosen, reference, request)
    if isinstance(shown, Outcome):
        return shown
    told = _asked(chosen, {**request, "candidate": candidate, "reference": shown}, limits.wall_s)
    return Outcome(told["kind"], told["why"], chosen.label)


_Told = dict[str, Any]
_reference_lock = threading.Lock()
_references: dict[tuple[str, str, str], _Told] = {}


def _shown(chosen: Choice, reference: str, request: Mapping[str, Any]) -> _Told | Outcome:
    """What the reference showed, from its own run; or that we failed, or that the tests cannot be run."""
    if not reference.strip():
        return {"names": [], "steps": None}
    key = (chosen.name, reference, request["tests"])
    with _reference_lock:
        found = _references.get(key)
    if found is None:
        asked = {**request, "candidate": reference, "reference": None}
        told = _asked(chosen, asked, request["limits"]["wall_s"])
        if told["kind"] in ("infra", "tests"):
            return Outcome(told["kind"], told["why"], chosen.label)
        found = {"names": list(told["names"]), "steps": list(told["steps"]) if told["kind"] == "pass" else None}
        with _reference_lock:
            while len(_references) >= SHOWN_LIMIT:
                del _references[next(iter(_references))]
            _references[key] = found
    return found


def _asked(chosen: Choice, request: Mapping[str, Any], wall_s: float) -> _Told:
    """A worker's answer; what was our failure is tried once more."""
    line = json.dumps(request).encode() + b"\n"
    told = _told("infra", "no try")
    for _ in range(TRIES):
        try:
            worker = _take(chosen)
        except OSError as fault:
            return _told("infra", f"no worker could be started: {fault}")
        try:
            told = worker.ask(line, wall_s + SILENCE_S)
        except WorkerLostError:
            worker.end()
            told = _lost(chosen)
            continue
        except BaseException:
            worker.end()
            raise
        _give(chosen, worker)
        if told["kind"] != "infra":
            break
    return told


def _lost(chosen: Choice) -> _Told:
    """What a worker's death says: without a sandbox the program may have done it."""
    if chosen.is_safe:
        return _told("infra", "the process that runs programs ended or fell silent")
    return _told("crash", "ended or stopped the process that ran it")


def _told(kind: str, why: str) -> _Told:
    return {"kind": kind, "why": why, "names": (), "steps": ()}


class WorkerLostError(Exception):
    """The worker died, or did not answer in time."""


class Worker:
    """One worker process and the folder that it works in."""

    def __init__(self, chosen: Choice) -> None:
        self.folder = tempfile.mkdtemp(prefix="sluicegate-")
        try:
            self.process = subprocess.Popen(
                _command(chosen, self.folder),
                env={**ENVIRONMENT, "PATH": os.environ.get("PATH", os.defpath)},
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except BaseException:
            remove(self.folder)
            raise
        try:
            self._answer(time.monotonic() + START_S)
        except WorkerLostError:
            self.end()
            raise OSError(f"{sys.executable} does not start a worker") from None

    def alive(self) -> bool:
        """Whether the process runs."""
        return self.process.poll() is None

    def ask(self, request: bytes, patience_s: float) -> _Told:
        """Send a request and wait for its answer.

        Raises:
            WorkerLostError: no whole answer within `patience_s` seconds.
        """
        asked = self.process.stdin
        assert asked is not None  # noqa: S101 - PIPE was asked for
        until = time.monotonic() + patience_s
        try:
            _write_all(asked.fileno(), request, until)
        except OSError:
            raise WorkerLostError from None
        told: _Told = json.loads(self._answer(until))
        return told

    def _answer(self, until: float) -> bytes:
        answers = self.process.stdout
        assert answers is not None  # noqa: S101 - PIPE was asked for
        answer = b""
        while not answer.endswith(b"\n"):
            _wait(answers.fileno(), select.POLLIN, until)
            chunk = os.read(answers.fileno(), 65_536)
            if not chunk:
                raise WorkerLostError
            answer += chunk
        return answer

    def end(self) -> None:
        """Have the worker end, with which its sandboxes die, and delete the folder."""
        assert self.process.stdin is not None  # noqa: S101 - PIPE was asked for
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(ENDING_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        remove(self.folder)


ENDING_S = 15.0
"""How long a worker that is told to end may take to clear up."""


def _command(chosen: Choice, folder: str) -> Sequence[str]:
    told = json.dumps({name: value and asdict(value) for name, value in chosen.parts.items()})
    return [sys.executable, "-s", "-S", "-P", "-X", "utf8", "-c", LAUNCH, str(ROOT), folder, told, chosen.modules]


def _write_all(stream: int, data: bytes, until: float) -> None:
    os.set_blocking(stream, False)
    while data:
        _wait(stream, select.POLLOUT, until)
        data = data[os.write(stream, data) :]


def _wait(stream: int, events: int, until: float) -> None:
    poll = select.poll()
    poll.register(stream, events)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise WorkerLostError


_idle: dict[Choice, list[Worker]] = {}
_lock = threading.Lock()


def _take(chosen: Choice) -> Worker:
    """An idle worker, or a new one."""
    while True:
        with _lock:
            idle = _idle.get(chosen)
            worker = idle.pop() if idle else None
        if worker is None:
            return Worker(chosen)
        if worker.alive():
            return worker
        worker.end()


def _give(chosen: Choice, worker: Worker) -> None:
    with _lock:
        _idle.setdefault(chosen, []).append(worker)


@atexit.register
def close() -> None:
    """End the idle workers; the next run starts new ones."""
    with _lock:
        workers = [worker for idle in _idle.values() for worker in idle]
        _idle.clear()
    for worker in workers:
        worker.end()
