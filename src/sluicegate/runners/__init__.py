"""Runners carry out a job somewhere: argv, environment and a log; nothing about what the job means.

A runner is a module with `run(job, show) -> Result`. The dict below is the whole registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run.

    Args:
        name: of the step, for people.
        argv: program and arguments; never a shell line.
        env: added to the environment it inherits.
        log: its output is appended here.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended: exit code (negative: the signal that killed it), wall seconds, last lines of its output."""

    code: int
    seconds: float
    tail: str


class Runner(Protocol):
    """What a runner module offers."""

    def run(self, job: Job, show: Callable[[str], None], over: Callable[[], bool] = lambda: False) -> Result:
        """Run a job to its end, handing each line of its output to `show` as it comes.

        `over` is asked every second or more often; once it says so the job is asked to stop, and what it ended with
        is returned.

        Raises:
            Interrupted: this process was asked to stop; the job was asked first and has ended.
        """
        ...


RUNNERS = {"local": "sluicegate.runners.local"}


def load(name: str) -> Runner:
    """The runner of that name."""
    return cast(Runner, import_module(RUNNERS[name]))
