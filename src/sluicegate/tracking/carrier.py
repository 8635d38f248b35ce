"""Carries spools to MLflow, whenever there is one; run as a process, it does so for a process that must not wait.

A state file beside each spool says how far it was sent; replay is idempotent, so the carrier may be killed at any
moment. A dead server is asked at growing intervals and what is unsent stays on disk.

What is sent of a spool depends on the spool alone, not on when it was sent: of a (metric, step) that a resumed run logs
again an equal value is left out and a changed one follows the old, so that MLflow's latest value is the last.

As a process it reads orders from its standard input, one JSON object a line, and tells on its standard output what
comes of them. An input that ends means that who gave the orders is gone: what is there is sent, then it ends.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sluicegate.errors import UserError
from sluicegate.folder import EVENTS
from sluicegate.tracking.ends import end_gone
from sluicegate.tracking.link import Link
from sluicegate.tracking.outbox import GoneError, LateError, Outbox, RefusedError, order
from sluicegate.tracking.probe import check
from sluicegate.tracking.redact import without_credentials, without_secrets
from sluicegate.tracking.state import spools

EVERY_S, GRACE_S = 1.0, 30.0
LONGEST_WAIT_S = 30.0
TRIES = 3
"""Of one round, where the store turns out to be another one than before."""
LATE, NICE = 75, 5
Expect = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending.

    Args:
        waiting: lines that are still only on disk.
        faults: why, each in one line; also what was left out (a missing artifact, an unreadable line).
        runs: folder of the spool → MLflow's run id.
        ended: folders of runs that were gone without an end, and have one now.
    """

    waiting: int
    faults: tuple[str, ...]
    runs: dict[Path, str]
    ended: tuple[Path, ...] = ()


class Carrier:
    """The connection, the outboxes and what went wrong so far.

    Args:
        expect: told before each call how many seconds it may take.
        sure: ask the store for every run at first, also where a state file says that all was sent.
    """

    def __init__(self, uri: str, expect: Expect = lambda seconds: None, *, sure: bool = False) -> None:
        self.uri, self._sure = uri, sure
        self.ended: list[Path] = []
        self._expect = expect
        self._outboxes: dict[Path, Outbox] = {}
        self._faults: dict[str, None] = {}
        self._link: Link | None = None

    def round(self, folders: Iterable[Path], limit_s: float = math.inf) -> str:
        """Send what is new of each spool, parents first; what went wrong in one line, or nothing."""
        wanted = list(folders)
        try:
            for _ in range(TRIES):
                with contextlib.suppress(GoneError):
                    return self._round(wanted, limit_s)
                self._link = None
        except LateError:
            return "out of time"
        except Exception as fault:
            self._link = None
            return _one_line(fault)
        finally:
            self._expect(math.inf)
        return f"MLflow {without_credentials(self.uri)}: loses the runs that it has just been given"

    def _round(self, folders: Iterable[Path], limit_s: float) -> str:
        there = order(folder for folder in (*folders, *self._outboxes) if (folder / EVENTS).is_file())
        for folder in there:
            if folder not in self._outboxes:
                self._outboxes[folder] = Outbox(folder, self.uri)
        if self._link is None and not any(self._outboxes[folder].waits() or self._sure for folder in there):
            return ""
        if self._link is None:
            check(self.uri)
            self._link = Link(self.uri, self._expect)
            for outbox in self._outboxes.values():
                outbox.verify(self._link)
        deadline = time.monotonic() + limit_s  # importing mlflow takes seconds and is not the server's fault
        todo = [outbox for outbox in map(self._outboxes.__getitem__, there) if outbox.waits()]
        return "; ".join(filter(None, [self._send(self._link, outbox, deadline) for outbox in todo]))

    def _send(self, link: Link, outbox: Outbox, deadline: float) -> str:
        """Send one spool; its own fault in one line, so that the other spools go on.

        Raises:
            UserError: the server is at fault; its API is asked, as that says more than mlflow's exception.
        """
        above = self._outboxes.get(outbox.parent) if outbox.parent else None
        if above is not None and not above.run_id:
            return f"{outbox.folder}: waits for its parent {outbox.parent}"
        try:
            outbox.send(link, above.run_id if above else "", deadline)
        except (LateError, GoneError):
            raise
        except RefusedError as fault:
            self.note(str(fault))
        except Exception as fault:
            check(self.uri)
            return f"{outbox.folder}: {_one_line(fault)}"
        for note in outbox.notes():
            self.note(note)
        return ""

    def note(self, fault: str) -> None:
        """Keep a fault once."""
        self._faults[fault] = None

    def sent(self) -> Sent:
        """The account of it all."""
        waiting = sum(outbox.waiting() for outbox in self._outboxes.values())
        runs = {folder: outbox.run_id for folder, outbox in self._outboxes.items() if outbox.run_id}
        return Sent(waiting, tuple(self._faults), runs, tuple(self.ended))


def _one_line(fault: Exception) -> str:
    if isinstance(fault, UserError):
        told = f"{fault.what}: {fault.seen}"
    elif isinstance(fault, ModuleNotFoundError):
        told = f"{fault.name} is not installed: pip install 'mlflow>=3.17'"
    else:
        told = f"{type(fault).__name__}: {fault}"
    return " ".join(without_secrets(told).split())[:300]


def carry(folders: Iterable[Path], uri: str, expect: Expect = lambda seconds: None) -> Sent:
    """Send spools once, with the spools of their parents before them, and end those that are gone.

    Never raises for a server: `Sent.faults` and `Sent.waiting` say what went wrong and what is left.
    """
    carrier, wanted = Carrier(uri, expect, sure=True), list(folders)
    for folder in wanted:
        if not (folder / EVENTS).is_file():
            carrier.note(f"{folder}: no {EVENTS} there")
    there = [folder for folder in wanted if (folder / EVENTS).is_file()]
    carrier.ended += end_gone(there)
    if fault := carrier.round(there):
        carrier.note(fault)
    return carrier.sent()


def follow(
    root: Path,
    uri: str,
    stop: threading.Event,
    *,
    tell: Callable[[str], None],
    every_s: float = EVERY_S,
    grace_s: Callable[[], float] = lambda: GRACE_S,
    expect: Expect = lambda seconds: None,
) -> Sent:
    """Send the spools at and below `root` as they grow until `stop` is set, then the rest in `grace_s`.

    Never raises: a server that is away is told of once, by `tell`, and asked again after 1, 2, 4 … 30 s. The last
    request may outlast `grace_s` by its time-out, MLFLOW_HTTP_REQUEST_TIMEOUT (5 s).
    """
    carrier = Carrier(uri, expect)
    wait, fault = every_s, ""
    while not stop.wait(wait):
        before, fault = fault, carrier.round(_found(root))
        if fault and not before:
            tell(f"{fault}; the run goes on, what is unsent stays on disk (later: sluicegate sync {root})")
        elif before and not fault:
            tell(f"MLflow {without_credentials(uri)}: answers again")
        wait = min(2 * wait, LONGEST_WAIT_S) if fault else every_s
    carrier.ended += end_gone(_found(root))
    if fault := carrier.round(_found(root), grace_s()):
        carrier.note(fault)
    return carrier.sent()


def _found(root: Path) -> list[Path]:
    return list(spools(root)) if root.is_dir() else []


class Watch:
    """Ends the process when one call takes longer than it may: what was sent is safe, and who waits is told."""

    def __init__(self, late: Callable[[float], None], every_s: float = 0.5) -> None:
        self._late, self._every_s = late, every_s
        self._allowed, self._deadline = math.inf, math.inf
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def expect(self, seconds: float) -> None:
        """The call that begins now may take so long."""
        self._allowed, self._deadline = seconds, time.monotonic() + seconds

    def _run(self) -> None:
        while time.monotonic() <= self._deadline:
            time.sleep(self._every_s)
        self._late(self._allowed)


class Service:
    """The carrier as a process: orders in, what came of them out.

    Args:
        orders, answers: JSON Lines. The first order names the store: `{"uri": …}`; then come `{"carry": [folder, …]}`
            or `{"follow": folder}` with its `{"rest": seconds}`. Answers are `{"tell": text}` and `{"sent": {…}}`.
    """

    def __init__(self, orders: IO[str], answers: IO[str]) -> None:
        self._orders, self._answers = orders, answers
        self._todo: queue.Queue[dict[str, Any]] = queue.Queue()
        self._stop, self._grace_s, self._follows = threading.Event(), GRACE_S, False
        self._watch = Watch(self._late)

    def run(self) -> None:
        """Serve until the orders end."""
        uri = str(json.loads(self._orders.readline())["uri"])
        threading.Thread(target=self._read, name="orders", daemon=True).start()
        while asked := self._todo.get():
            if root := asked.get("follow"):
                told = follow(
                    Path(root), uri, self._stop, tell=lambda line: self._answer({"tell": line}),
                    grace_s=lambda: self._grace_s, expect=self._watch.expect,
                )  # fmt: skip
                self._follows = False
            else:
                told = carry(map(Path, asked["carry"]), uri, self._watch.expect)
            self._answer({"sent": as_dict(told)})

    def _read(self) -> None:
        for line in self._orders:
            asked = json.loads(line)
            if "rest" in asked:
                self._grace_s = float(asked["rest"])
                self._stop.set()
            else:
                self._follows = self._follows or "follow" in asked
                self._stop.clear()
                self._todo.put(asked)
        if not self._follows:
            os._exit(0)
        self._todo.put({})
        time.sleep(1.0)  # until the locks of a process that was killed are free
        self._stop.set()

    def _answer(self, told: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._answers.write(json.dumps(told) + "\n")
            self._answers.flush()

    def _late(self, allowed_s: float) -> None:
        self._answer({"late": f"a request was not answered to its end in {allowed_s:.0f} s"})
        os._exit(LATE)


def as_dict(sent: Sent) -> dict[str, Any]:
    """As JSON has it."""
    runs = {str(folder): run_id for folder, run_id in sent.runs.items()}
    return {
        "waiting": sent.waiting, "faults": list(sent.faults), "runs": runs,
        "ended": [str(folder) for folder in sent.ended],
    }  # fmt: skip


def from_dict(told: dict[str, Any]) -> Sent:
    """Of JSON."""
    runs = {Path(folder): str(run_id) for folder, run_id in told["runs"].items()}
    return Sent(told["waiting"], tuple(told["faults"]), runs, tuple(map(Path, told["ended"])))


def main() -> None:
    """Serve the process that started this one, behind everything else: for the processor, and where memory ends."""
    os.nice(NICE)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    Service(sys.stdin, answers).run()


if __name__ == "__main__":
    main()
