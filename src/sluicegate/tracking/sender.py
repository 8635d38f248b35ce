"""Has spools carried to MLflow by a process of its own, so that nothing a server does reaches who writes them.

The carrier shares no interpreter lock with a training, imports mlflow in its stead, may hang, be killed or run out of
memory: it is started again, and goes on where it was. It outlives a training that was killed for long enough to say so.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import math
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from sluicegate.console import say
from sluicegate.tracking.carrier import GRACE_S, LONGEST_WAIT_S, Sent, from_dict
from sluicegate.tracking.redact import without_credentials
from sluicegate.tracking.state import unsent
from sluicegate.tracking.store import address

SLACK_S = 15.0
"""What the end may take beyond the grace: a request under way, and mlflow's import."""
ARGV = (sys.executable, "-m", "sluicegate.tracking.carrier")
Tell = Callable[[str], None]


class Courier:
    """A carrier's process; while it follows a folder it is started again where it dies.

    Args:
        uri: the store, credentials included; it goes through a pipe, where no list of processes shows it.
        tell: is told what the carrier has to say.
    """

    def __init__(self, uri: str, tell: Tell) -> None:
        self.uri, self.tell, self.busy = uri, tell, False
        self._root: Path | None = None
        self._answers: queue.Queue[Sent | str] = queue.Queue()
        self._lock, self._over = threading.Lock(), threading.Event()
        self._start()

    def _start(self) -> None:
        self.process = subprocess.Popen(
            ARGV, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            start_new_session=True,
        )  # fmt: skip
        self._write({"uri": self.uri})

    def _write(self, order: dict[str, Any]) -> None:
        """Give an order; of a process that is dead the listener knows."""
        with contextlib.suppress(OSError, ValueError):
            assert self.process.stdin  # noqa: S101 (it was opened as a pipe)
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()

    def alive(self) -> bool:
        """Whether it can be given an order."""
        return self.process.poll() is None and not self._over.is_set()

    def follow(self, root: Path) -> None:
        """Send what grows at and below a folder, until `rest`."""
        self._root = root
        self._order({"follow": str(root)})

    def rest(self, grace_s: float) -> Sent | str:
        """Send what is left; the account, or why there is none."""
        with self._lock:
            self._root = None
            self._write({"rest": grace_s})
        return self._wait(grace_s + SLACK_S)

    def carry(self, folders: Iterable[Path]) -> Sent | str:
        """Send spools once; the account, or why there is none."""
        self._order({"carry": [str(folder) for folder in folders]})
        return self._wait(math.inf)

    def _order(self, order: dict[str, Any]) -> None:
        self.busy = True
        self._write(order)
        self._listener = threading.Thread(target=self._listen, args=(order,), name="tracking", daemon=True)
        self._listener.start()

    def _wait(self, limit_s: float) -> Sent | str:
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            with contextlib.suppress(queue.Empty):
                found = self._answers.get(timeout=1.0)
                self.busy = False
                return found
        self.close()
        return f"MLflow {without_credentials(self.uri)}: not everything could be sent in {limit_s:.0f} s"

    def _listen(self, order: dict[str, Any]) -> None:
        """Hear the carrier out to the end of an order."""
        for wait in itertools.chain((1.0, 2.0, 4.0, 8.0, 16.0), itertools.repeat(LONGEST_WAIT_S)):
            found, why = self._hear()
            with self._lock:
                follows = found is None and self._root is not None
            if not follows:
                self._answers.put(found or why)
                return
            if wait == 1.0:
                self.tell(f"{why}; the run goes on, what is unsent stays on disk (later: sluicegate sync {self._root})")
            self._over.wait(wait)
            with self._lock:
                if self._root is None or self._over.is_set():
                    self._answers.put(why)
                    return
                with contextlib.suppress(OSError):  # no memory for a process, for example
                    self._close_pipes()
                    self._start()
                    self._write(order)

    def _hear(self) -> tuple[Sent | None, str]:
        """What came of the order; None, and why, where the process ended before."""
        why = ""
        for line in self.process.stdout or ():
            told = json.loads(line)
            if "tell" in told:
                self.tell(str(told["tell"]))
            if "late" in told:
                why = f"MLflow {without_credentials(self.uri)}: {told['late']}"
            if "sent" in told:
                return from_dict(told["sent"]), ""
        return None, why or f"the process that sends to MLflow ended with {self.process.wait()}"

    def close(self) -> None:
        """End the process; nothing that was sent is lost by it."""
        self._over.set()
        with self._lock:
            self.process.kill()
            self.process.wait()
            self._close_pipes()

    def _close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                if pipe:
                    pipe.close()


_idle: dict[tuple[str, tuple[tuple[str, str], ...]], Courier] = {}
"""Couriers without an order, by the store and MLflow's variables: importing mlflow takes seconds."""


@contextlib.contextmanager
def _courier(uri: str, tell: Tell) -> Iterator[Courier]:
    """A courier that is idle, else a new one; kept for the next order if it is well afterwards."""
    kind = (uri, tuple(sorted(item for item in os.environ.items() if item[0].startswith("MLFLOW_"))))
    courier = _idle.pop(kind, None)
    if courier is None or not courier.alive():
        courier = Courier(uri, tell)
    courier.tell = tell
    try:
        yield courier
    finally:
        if courier.alive() and not courier.busy and kind not in _idle:
            _idle[kind] = courier
        else:
            courier.close()


@atexit.register
def _dismiss() -> None:
    """End the couriers that wait for an order."""
    while _idle:
        _idle.popitem()[1].close()


def drain(folders: Iterable[Path], uri: str, *, tell: Tell = say) -> Sent:
    """Send spools once, with the spools of their parents before them, and end those that are gone.

    Never raises for a server: `Sent.faults` and `Sent.waiting` say what went wrong and what is left; `tell` is told.
    """
    wanted = list(folders)
    try:
        with _courier(uri, tell) as courier:
            found = courier.carry(wanted)
    except OSError as fault:
        found = _unstarted(fault)
    sent = found if isinstance(found, Sent) else Sent(sum(map(_waiting(uri), wanted)), (found,), {})
    for folder in wanted:
        _tell_of(sent.faults, folder, uri, tell)
    return sent


@contextlib.contextmanager
def sending(root: Path, uri: str, *, grace_s: float = GRACE_S, tell: Tell = say) -> Iterator[None]:
    """While inside, what grows at and below `root` is sent; at the end it is given its time to send the rest.

    What could not be sent is told at the end, and how to send it later.
    """
    with contextlib.ExitStack() as stack:
        try:
            courier = stack.enter_context(_courier(uri, tell))
        except OSError as fault:
            yield
            _tell_of((_unstarted(fault),), root, uri, tell)
            return
        courier.follow(root)
        try:
            yield
        finally:
            found = courier.rest(grace_s)
            _tell_of(found.faults if isinstance(found, Sent) else (found,), root, uri, tell)


def _unstarted(fault: OSError) -> str:
    return f"no process can be started to send: {fault.strerror}"


def _tell_of(faults: Iterable[str], root: Path, uri: str, tell: Tell) -> None:
    for fault in faults:
        tell(f"tracking: {fault}")
    if root.is_dir() and (left := _waiting(uri)(root)):
        tell(f"tracking: {left} lines of {root} are only on disk; send them later: sluicegate sync {root}")


def _waiting(uri: str) -> Callable[[Path], int]:
    there = without_credentials(address(uri))
    return lambda root: sum(unsent(root, there).values())
