"""Runners carry out a job somewhere: argv, environment, files and a log; nothing about what the job means.

A runner is a module with `run(job, show) -> Result`. The dict below is the whole registry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from sluicegate.study import Machine

TAIL_LINES = 30


@dataclass(frozen=True, slots=True)
class Files:
    """What a job that runs elsewhere takes along and brings back; all of it lies in one folder.

    Args:
        folder: the run folder; elsewhere it has the same absolute path.
        inputs: files and folders that the job reads.
        outputs: files and folders that it writes, and goes on with where they are begun.
        marks: of the outputs, the files that say that the job is done; they come last.
        sha256: digest of all that the job depends on.
    """

    folder: Path
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    marks: tuple[Path, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Place:
    """A machine of the study, by its name there."""

    name: str
    machine: Machine


@dataclass(frozen=True, slots=True)
class Job:
    """One command to run.

    Args:
        name: of the step, for people.
        argv: program and arguments; never a shell line.
        env: added to the environment it inherits.
        log: its output is appended here.
        files, place: for a runner that runs it elsewhere.
        loads: modules that it loads where it is a `python -m …`; a runner may have them loaded before.
    """

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str] = field(default_factory=dict)
    files: Files | None = None
    place: Place | None = None
    loads: tuple[str, ...] = ()


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


RUNNERS = {"local": "sluicegate.runners.local", "docker": "sluicegate.runners.docker"}


def load(name: str) -> Runner:
    """The runner of that name."""
    return cast(Runner, import_module(RUNNERS[name]))
