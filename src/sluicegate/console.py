"""What a person sees while something runs: a live line on a terminal, plain lines where there is none.

Everything goes to stderr; stdout belongs to results. The plain form is what a parent process reads of its child:
one line now and then, `label 40/375 loss=1.23 …`, so that the same text serves a log file and a live display.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
from types import TracebackType
from typing import IO

PLAIN_EVERY_S, DRAWN_EVERY_S = 5.0, 0.5
EVERY_VARIABLE = "SLUICEGATE_PROGRESS_S"
"""Seconds between two plain lines; a process with a terminal sets it for its children, to draw what they say."""
PROGRESS = re.compile(r"(^|\s)\d+/\d+(\s|$)")


def say(text: str, *, stream: IO[str] | None = None) -> None:
    """Print one line to stderr, at once."""
    print(text, file=stream or sys.stderr, flush=True)


class Progress:
    """Progress of one piece of work.

    Args:
        label: what is being done, at most a few words.
        total: units of work in all; 0 where unknown.
        every: seconds between two plain lines (default: SLUICEGATE_PROGRESS_S, else 5).
    """

    def __init__(self, label: str, total: int, *, every: float | None = None, stream: IO[str] | None = None) -> None:
        self.label, self.total = label, total
        self.every = _seconds(os.environ.get(EVERY_VARIABLE)) if every is None else every
        self._stream = stream or sys.stderr
        self._live = self._stream.isatty()
        self._shown = self._started = time.monotonic()
        self._last = ""

    def update(self, done: int, **figures: float | str) -> None:
        """Show that `done` units are finished, with figures such as `loss=1.23`."""
        now = time.monotonic()
        told = " ".join(
            f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}" for key, value in figures.items()
        )
        share = f"{done}/{self.total}" if self.total else str(done)
        self._last = f"{self.label} {share} {told}".rstrip()
        wait = 0.1 if self._live else self.every
        if now - self._shown >= wait or done == self.total:
            self._shown = now
            self._draw()

    def _draw(self) -> None:
        if self._live:
            print(f"\r\x1b[K{self._last}", end="", file=self._stream, flush=True)
        else:
            say(self._last, stream=self._stream)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live and self._last:
            print(
                f"\r\x1b[K{self._last} in {time.monotonic() - self._started:.1f} s",
                file=self._stream,
                flush=True,
            )


def _seconds(said: str | None) -> float:
    try:
        return max(0.0, float(said or PLAIN_EVERY_S))
    except ValueError:
        return PLAIN_EVERY_S


class Live:
    """Shows the lines of a child process: progress in place on a terminal, everything as plain lines elsewhere."""

    def __init__(self, stream: IO[str] | None = None) -> None:
        self._stream = stream or sys.stderr
        self._tty = self._stream.isatty()
        self._drawn = False
        if self._tty:
            os.environ.setdefault(EVERY_VARIABLE, str(DRAWN_EVERY_S))

    def __call__(self, line: str) -> None:
        """Show one line; the control characters in it are dropped, since a model may have written them."""
        clean = "".join(sign if sign.isprintable() else " " for sign in line)
        if self._tty and PROGRESS.search(clean):
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\x1b[K{clean[:width]}", end="", file=self._stream, flush=True)
            self._drawn = True
            return
        if self._drawn:
            print("\r\x1b[K", end="", file=self._stream)
            self._drawn = False
        say(clean, stream=self._stream)
