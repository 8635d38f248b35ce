"""SIGTERM and SIGINT: end at once where nothing is lost by it, else finish the step, save, and end then."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from sluicegate.console import say
from sluicegate.errors import Interrupted

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """What a signal does now.

    Args:
        patient: False: it raises `Interrupted` on the spot. True: it sets `asked`, and the loop ends when it can.
    """

    def __init__(self) -> None:
        self.patient = False
        self.asked = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signal handler."""
        name = signal.Signals(number).name
        if not self.patient:
            raise Interrupted(f"{name}: interrupted before the first step")
        if not self.asked:
            say(f"{name}: saving a checkpoint after this step, then ending")
        self.asked = True


@contextlib.contextmanager
def handled() -> Iterator[Stop]:
    """Signals go to a `Stop` inside the block; outside the main thread, where Python has no say, nothing changes."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
