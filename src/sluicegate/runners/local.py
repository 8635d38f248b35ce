"""Runs a job as a child process of this one."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import TypeAlias

from sluicegate.errors import Interrupted
from sluicegate.jsonl import unwritable
from sluicegate.runners import TAIL_LINES, Job, Result, warm
from sluicegate.runners.stopping import Stop, listening

GRACE_S = 60.0
"""A child that was asked to stop may take this long to save a checkpoint."""
WAKE_S = 0.2
Started: TypeAlias = "subprocess.Popen[str] | warm.Child"


def run(job: Job, show: Callable[[str], None], over: Callable[[], bool] = lambda: False) -> Result:
    """See `Runner.run`. The child has its own session, so that a Ctrl-C reaches it once, through us.

    Raises:
        UserError: the log cannot be written; the child was asked to stop and has ended.
    """
    try:
        return _run(job, show, over)
    except BrokenPipeError:
        raise
    except OSError as fault:
        raise unwritable(job.log, fault) from None


def _run(job: Job, show: Callable[[str], None], over: Callable[[], bool]) -> Result:
    started = time.monotonic()
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    job.log.parent.mkdir(parents=True, exist_ok=True)
    with job.log.open("a", encoding="utf-8") as log, listening(GRACE_S) as stop:
        child = _started(job)
        stop.act = lambda: _signal(child, signal.SIGTERM)
        if stop.asked:
            stop.act()
        try:
            for line in _lines(child, stop, over):
                log.write(line)
                log.flush()
                tail.append(line.rstrip("\n"))
                show(tail[-1])
            code = child.wait()
        except BaseException:
            _end(child)
            raise
    if stop.by_signal:
        raise Interrupted(f"interrupted in step {job.name}")
    return Result(code, time.monotonic() - started, "\n".join(tail))


def _started(job: Job) -> Started:
    """The job's process, which leads a session of its own; with its modules loaded before, where that can be."""
    env = {**os.environ, **job.env}
    if job.loads and job.argv[:2] == (sys.executable, "-m") and (child := warm.child(job.argv[2:], env, job.loads)):
        return child
    return subprocess.Popen(
        job.argv,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


def _lines(child: Started, stop: Stop, over: Callable[[], bool]) -> Iterator[str]:
    """The child's output line by line; a child that was asked to stop and does not is killed in the end.

    A thread reads, so that this one wakes up often enough to run signal handlers: the kernel may hand a signal to any
    thread, and a blocked read here would not notice.
    """
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read() -> None:
        for line in child.stdout or ():
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, name=f"output of {child.pid}", daemon=True).start()
    looked = time.monotonic()
    while True:
        if time.monotonic() - looked >= WAKE_S:
            looked = time.monotonic()
            if not stop.asked and over():
                stop.ask()
            if stop.overdue():
                _signal(child, signal.SIGKILL)
        try:
            line = lines.get(timeout=WAKE_S)
        except queue.Empty:
            continue
        if line is None:
            return
        yield line


def _signal(child: Started, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)


def _end(child: Started) -> None:
    _signal(child, signal.SIGTERM)
    try:
        child.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        _signal(child, signal.SIGKILL)
        child.wait()
