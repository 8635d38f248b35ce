"""Processes that score answers while the GPU does something else; none of them imports torch.

A process that dies (killed, out of memory) is replaced, and what it had not finished is scored again: scoring changes
nothing and its values do not depend on who scores.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context

from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.train.reward import Answer, Reward, Worth, worths

MOST = 16
"""Processes where nobody says how many."""
DEATHS = 3
"""Times the processes may die over one batch."""


@dataclass(frozen=True, slots=True)
class Job:
    """Answers to one sample."""

    reward: Reward
    sample: Sample
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Scored:
    """Worths of a job's answers, and the seconds it took."""

    worths: list[Worth]
    seconds: float


@dataclass(slots=True)
class Pending:
    """Jobs on their way; `futures` has one a job, and `deaths` counts how often they were sent again."""

    jobs: Sequence[Job]
    futures: list[Future[Scored]] = field(default_factory=list)
    deaths: int = 0


class Scorers:
    """The processes; started with the first batch, and again after one died.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def submit(self, jobs: Sequence[Job]) -> Pending:
        """Send jobs off; returns at once."""
        pending = Pending(jobs)
        self._send(pending, range(len(jobs)))
        return pending

    def results(self, pending: Pending) -> list[Scored]:
        """Wait for all jobs; in their order. May be called again.

        Raises:
            UserError: the processes die whatever is done.
        """
        while True:
            try:
                return [future.result() for future in pending.futures]
            except BrokenProcessPool:
                self._again(pending)

    def _again(self, pending: Pending) -> None:
        pending.deaths += 1
        lost = [place for place, future in enumerate(pending.futures) if not _done(future)]
        if pending.deaths > DEATHS:
            raise UserError(
                f"scoring: the processes died {pending.deaths} times over the same answers",
                wanted="processes that end their work",
                seen=f"{len(lost)} of {len(pending.jobs)} jobs without a score, "
                f"the first of sample {pending.jobs[lost[0]].sample.id!r}",
                mend="lower RL_WORKERS where memory is short, or score that sample by hand: sluicegate evaluate",
            )
        self.close()
        self._send(pending, lost)

    def _send(self, pending: Pending, places: Sequence[int]) -> None:
        pending.futures += [Future() for _ in range(len(pending.jobs) - len(pending.futures))]
        for place in places:
            try:
                pending.futures[place] = self._running().submit(_work, pending.jobs[place])
            except BrokenProcessPool as fault:  # died between two submissions; `results` sends it again
                broken: Future[Scored] = Future()
                broken.set_exception(fault)
                pending.futures[place] = broken

    def _running(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Forking a process that holds a GPU is not safe.
            self._pool = ProcessPoolExecutor(
                self.workers, mp_context=get_context("spawn"), initializer=_begin, initargs=(os.getpid(),)
            )
        return self._pool

    def close(self) -> None:
        """End the processes; what is on its way is lost."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


@contextlib.contextmanager
def scorers(workers: int | None) -> Iterator[Scorers]:
    """Processes that end with the block; `None` leaves one core free, up to `MOST`."""
    pool = Scorers(workers or min(MOST, max(1, _cores() - 1)))
    try:
        yield pool
    finally:
        pool.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _done(future: Future[Scored]) -> bool:
    return future.done() and not future.cancelled() and future.exception() is None


def _begin(parent: int) -> None:
    """In a new process: Ctrl-C is the parent's to answer, and it ends when the parent does, however that ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _work(job: Job) -> Scored:
    started = time.monotonic()
    found = worths(job.reward, job.sample, job.answers)
    return Scored(found, time.monotonic() - started)
