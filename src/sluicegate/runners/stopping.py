"""SIGINT and SIGTERM while a job runs: it is asked to stop first, and has its time for that."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator


class Stop:
    """Whether the job was asked to stop, and whether a signal wanted that, also one that came before it began.

    Args:
        grace_s: a job that was asked to stop may take so long.
        act: asks the job, in a signal handler; where it is None the one who runs the job looks at `asked`.
    """

    def __init__(self, grace_s: float) -> None:
        self.asked = False
        self.by_signal = False
        self.act: Callable[[], None] | None = None
        self._grace_s, self._until = grace_s, float("inf")

    def __call__(self, *_: object) -> None:
        """The first signal asks and starts the clock; a second one waits no longer."""
        self.by_signal = True
        self.ask()

    def ask(self) -> None:
        """Ask, or, where it was asked before, wait no longer."""
        self._until = 0.0 if self.asked else time.monotonic() + self._grace_s
        self.asked = True
        if self.act is not None:
            self.act()

    def overdue(self) -> bool:
        """Whether the job had its time."""
        return time.monotonic() > self._until


@contextlib.contextmanager
def listening(grace_s: float) -> Iterator[Stop]:
    """Signals go to a `Stop` inside the block."""
    stop = Stop(grace_s)
    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
