"""Carries spools to MLflow, whenever there is one, and never costs the run anything.

A state file beside each spool says how far it was sent; replay is idempotent, so the sender may be killed at
any moment. A dead server is asked at growing intervals and what is unsent stays on disk.

What is sent of a spool depends on the spool alone, not on when it was sent: of a (metric, step) that a
resumed run logs again an equal value is left out and a changed one follows the old, so that MLflow's latest
value is the last.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.folder import EVENTS
from sluicegate.tracking.link import Link
from sluicegate.tracking.outbox import LateError, Outbox, RefusedError, order
from sluicegate.tracking.probe import check
from sluicegate.tracking.redact import without_credentials
from sluicegate.tracking.state import spools, unsent

__all__ = ["Sent", "check", "drain", "follow", "unsent"]

EVERY_S, GRACE_S = 1.0, 30.0
LONGEST_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of sending.

    Args:
        lines: of spools that are now in MLflow and were not before.
        waiting: lines that are still only on disk.
        faults: why, each in one line; also what was left out (a missing artifact, an unreadable line).
        runs: folder of the spool → MLflow's run id.
    """

    lines: int
    waiting: int
    faults: tuple[str, ...]
    runs: dict[Path, str]


class _Sender:
    """The connection, the outboxes and what went wrong so far."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._outboxes: dict[Path, Outbox] = {}
        self._faults: dict[str, None] = {}
        self._link: Link | None = None
        self._lines = 0

    def round(self, folders: Iterable[Path], limit_s: float = float("inf")) -> str:
        """Send what is new of each spool, parents first; what went wrong in one line, or nothing."""
        try:
            there = order(folder for folder in (*folders, *self._outboxes) if (folder / EVENTS).is_file())
            for folder in there:
                if folder not in self._outboxes:
                    self._outboxes[folder] = Outbox(folder, self.uri)
            todo = [outbox for outbox in map(self._outboxes.__getitem__, there) if outbox.waits()]
            if todo and self._link is None:
                check(self.uri)
                self._link = Link(self.uri)
            deadline = time.monotonic() + limit_s  # importing mlflow takes seconds and is not the server's fault
            return "; ".join(filter(None, [self._send(self._link, outbox, deadline) for outbox in todo]))
        except LateError:
            return "out of time"
        except Exception as fault:
            self._link = None
            return _one_line(fault)

    def _send(self, link: Link | None, outbox: Outbox, deadline: float) -> str:
        """Send one spool; its own fault in one line, so that the other spools go on.

        Raises:
            UserError: the server is at fault; its API is asked, as that says more than mlflow's exception.
        """
        above = self._outboxes.get(outbox.parent) if outbox.parent else None
        if link is None or (above is not None and not above.run_id):
            return f"{outbox.folder}: waits for its parent {outbox.parent}"
        try:
            self._lines += outbox.send(link, above.run_id if above else "", deadline)
        except LateError:
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
        return Sent(self._lines, waiting, tuple(self._faults), runs)


def _one_line(fault: Exception) -> str:
    told = f"{fault.what}: {fault.seen}" if isinstance(fault, UserError) else f"{type(fault).__name__}: {fault}"
    return " ".join(without_credentials(told).split())[:300]


def drain(folders: Iterable[Path], uri: str) -> Sent:
    """Send spools once, with the spools of their parents before them.

    Never raises for a server: `Sent.faults` and `Sent.waiting` say what went wrong and what is left.
    """
    sender, wanted = _Sender(uri), list(folders)
    for folder in wanted:
        if not (folder / EVENTS).is_file():
            sender.note(f"{folder}: no {EVENTS} there")
    if fault := sender.round(wanted):
        sender.note(fault)
    return sender.sent()


def follow(
    root: Path,
    uri: str,
    stop: threading.Event,
    *,
    every_s: float = EVERY_S,
    grace_s: float = GRACE_S,
    tell: Callable[[str], None] = say,
) -> Sent:
    """Send the spools at and below `root` as they grow until `stop` is set, then the rest in `grace_s`.

    Meant for a thread. Never raises: a server that is away is told of once, by `tell`, and asked again after
    1, 2, 4 … 30 s. The last request may outlast `grace_s` by its time-out, MLFLOW_HTTP_REQUEST_TIMEOUT (5 s).
    """
    sender = _Sender(uri)
    wait, fault = every_s, ""
    while not stop.wait(wait):
        before, fault = fault, sender.round(_found(root))
        if fault and not before:
            tell(f"{fault}; the run goes on, what is unsent stays on disk (later: sluicegate sync {root})")
        elif before and not fault:
            tell(f"MLflow {without_credentials(uri)}: answers again")
        wait = min(2 * wait, LONGEST_WAIT_S) if fault else every_s
    if fault := sender.round(_found(root), grace_s):
        sender.note(fault)
    return sender.sent()


@contextlib.contextmanager
def sending(root: Path, uri: str) -> Iterator[None]:
    """While inside, `follow` runs in a thread; at the end it is given its time to send the rest."""
    stop = threading.Event()
    thread = threading.Thread(target=follow, args=(root, uri, stop), name="tracking", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _found(root: Path) -> list[Path]:
    return list(spools(root)) if root.is_dir() else []
