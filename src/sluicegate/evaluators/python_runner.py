"""Runs Python programs against their tests in processes of their own, several at a time.

Starting an interpreter costs more than most tests, so workers (`python_worker`) are kept and fork once a
program. A worker that dies or falls silent is replaced and the program tried once more: once may be our bad
luck, twice is the program's doing. What this does not do is in the head of `functional_correctness`.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path

WORKER = Path(__file__).with_name("python_worker.py")
ENVIRONMENT = {"PYTHONHASHSEED": "0"}
"""All that a worker inherits; with a fixed hash seed the order of a set is the same in every run."""
START_S = 60.0
SILENCE_S = 15.0
"""A worker that says nothing this long after its program's deadline is taken for dead."""
TRIES = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use.

    Args:
        wall_s: seconds on the clock, for all that it starts.
        cpu_s: seconds of CPU, for each of its processes.
        memory_bytes: address space of each of its processes.
    """

    wall_s: float = 10.0
    cpu_s: int = 3
    memory_bytes: int = 2**30


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a program ended.

    Args:
        kind: `pass`, `fail`, `error`, `timeout`, `memory`, `crash`; `tests` where the tests cannot be
            compiled; `infra` where we failed.
        why: in words, one line.
    """

    kind: str
    why: str = ""


LIMITS = Limits()


def run(candidate: str, tests: str, limits: Limits = LIMITS) -> Outcome:
    """Run a program and then its tests; threads may share it, and no program makes it raise."""
    if os.name != "posix":
        return Outcome("infra", "programs need a POSIX system: use WSL or the evaluation image")
    request = json.dumps({"candidate": candidate, "tests": tests, **asdict(limits)}).encode() + b"\n"
    for _ in range(TRIES):
        try:
            worker = _take()
        except OSError as fault:
            return Outcome("infra", f"no worker could be started: {fault}")
        try:
            kind, why = worker.ask(request, limits.wall_s + SILENCE_S)
        except _WorkerLostError:
            worker.end()
            continue
        except BaseException:
            worker.end()
            raise
        _give(worker)
        return Outcome(kind, why)
    return Outcome("crash", "ended or stopped the process that ran it")


class _WorkerLostError(Exception):
    """The worker died, or did not answer in time."""


class _Worker:
    """One worker process and the folder that its programs run in."""

    def __init__(self) -> None:
        self._folder = tempfile.mkdtemp(prefix="sluicegate-")
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-s", "-S", "-P", "-B", "-X", "utf8", str(WORKER), self._folder],
                env=ENVIRONMENT,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                bufsize=0,
                start_new_session=True,
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        try:
            self._answer(time.monotonic() + START_S)
        except _WorkerLostError:
            self.end()
            raise OSError(f"{sys.executable} {WORKER} does not start") from None

    def alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, request: bytes, patience_s: float) -> tuple[str, str]:
        """Send a request and wait for its answer.

        Raises:
            _WorkerLostError: no whole answer within `patience_s` seconds.
        """
        asked = self._process.stdin
        assert asked is not None  # noqa: S101 - PIPE was asked for
        until = time.monotonic() + patience_s
        try:
            _write_all(asked.fileno(), request, until)
        except OSError:
            raise _WorkerLostError from None
        kind, why = json.loads(self._answer(until))
        return kind, why

    def _answer(self, until: float) -> bytes:
        answers = self._process.stdout
        assert answers is not None  # noqa: S101 - PIPE was asked for
        answer = b""
        while not answer.endswith(b"\n"):
            _wait(answers.fileno(), select.POLLIN, until)
            chunk = os.read(answers.fileno(), 65_536)
            if not chunk:
                raise _WorkerLostError
            answer += chunk
        return answer

    def end(self) -> None:
        """Kill the worker, with which its program dies, and delete the folder."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        subprocess.run(["/bin/rm", "-rf", self._folder], check=False, stderr=subprocess.DEVNULL)


def _write_all(stream: int, data: bytes, until: float) -> None:
    os.set_blocking(stream, False)
    while data:
        _wait(stream, select.POLLOUT, until)
        data = data[os.write(stream, data) :]


def _wait(stream: int, events: int, until: float) -> None:
    poll = select.poll()
    poll.register(stream, events)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise _WorkerLostError


_idle: list[_Worker] = []
_lock = threading.Lock()


def _take() -> _Worker:
    """An idle worker, or a new one."""
    while True:
        with _lock:
            worker = _idle.pop() if _idle else None
        if worker is None:
            return _Worker()
        if worker.alive():
            return worker
        worker.end()


def _give(worker: _Worker) -> None:
    with _lock:
        _idle.append(worker)


@atexit.register
def close() -> None:
    """End the idle workers; the next run starts new ones."""
    while True:
        with _lock:
            if not _idle:
                return
            worker = _idle.pop()
        worker.end()
