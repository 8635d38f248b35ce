"""Where answers are judged: in threads of this process, in processes of this machine, or on a cluster by joblib.

The scores are the same wherever they are made, and come in the order of the jobs. On a cluster each machine needs
this package with its extra `eval`, and what its metrics need (a sandbox, models, linters).
"""

from __future__ import annotations

import importlib.util
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from typing import Any, Final, Protocol, cast

from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.evaluators import EVALUATORS, Evaluator
from sluicegate.records import Prediction, Sample, Score

NOT_GENERATED = "generation failed"
ROUND: Final = 128
"""Jobs a worker that are given to joblib at once; what a kill takes is at most a round."""
PART: Final = 8
"""Jobs that travel together."""
SCHEDULER: Final = "DASK_SCHEDULER_ADDRESS"


@dataclass(frozen=True, slots=True)
class Job:
    """One row to be made: plain data, which goes to other processes and machines."""

    metric: str
    sample: Sample
    answer: Prediction


def score(job: Job) -> Score:
    """Judge one answer by one metric."""
    if job.answer.finish == "error":
        return Score(job.sample.id, job.answer.model, job.answer.draw, job.metric, None, NOT_GENERATED)
    return cast(Evaluator, import_module(EVALUATORS[job.metric])).score(job.sample, job.answer)


class Pool(Protocol):
    """A backend: scores in the order of the jobs, a bounded number of jobs ahead."""

    def __call__(self, jobs: Iterable[Job], workers: int | None) -> Iterator[Score]:
        """Judge them; `workers` None for as many as there are cores."""
        ...


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def threads(jobs: Iterable[Job], workers: int | None, leave: Callable[[], None] = lambda: None) -> Iterator[Score]:
    """In threads; `leave` is called where it ends early."""
    count = workers or cores()
    with ThreadPoolExecutor(count, thread_name_prefix="evaluate") as pool:
        ahead: deque[Future[Score]] = deque()
        try:
            for job in jobs:
                ahead.append(pool.submit(score, job))
                if len(ahead) > 4 * count:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        except BaseException:
            leave()
            raise
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _processes(jobs: Iterable[Job], workers: int | None) -> Iterator[Score]:
    joblib = _package("processes", "joblib")
    try:
        yield from _by_joblib(joblib, "loky", jobs, workers or cores())
    finally:
        import_module("joblib.externals.loky").get_reusable_executor().shutdown(wait=True)


def _ray(jobs: Iterable[Job], workers: int | None) -> Iterator[Score]:
    joblib, ray = _package("ray", "joblib"), _package("ray", "ray")
    begun = not ray.is_initialized()
    if begun:
        ray.init(log_to_driver=False)  # RAY_ADDRESS names a cluster; without it one is started here
    try:
        import_module("ray.util.joblib").register_ray()
        say(f"evaluate: ray, {int(ray.cluster_resources().get('CPU', 0))} cores")
        yield from _by_joblib(joblib, "ray", jobs, workers or -1)
    finally:
        if begun:
            ray.shutdown()


def _dask(jobs: Iterable[Job], workers: int | None) -> Iterator[Score]:
    joblib, distributed = _package("dask", "joblib"), _package("dask", "distributed")
    address = os.environ.get(SCHEDULER)
    here = {} if address else {"n_workers": workers or cores(), "threads_per_worker": 1, "dashboard_address": None}
    with distributed.Client(address, **here) as client:
        say(f"evaluate: dask, {sum(client.nthreads().values())} cores")
        yield from _by_joblib(joblib, "dask", jobs, workers or -1)


def _by_joblib(joblib: Any, backend: str, jobs: Iterable[Job], workers: int) -> Iterator[Score]:
    waiting = iter(jobs)
    with joblib.parallel_config(backend, n_jobs=workers), joblib.Parallel() as pool:
        size = ROUND * joblib.effective_n_jobs(workers)
        while taken := list(islice(waiting, size)):
            parts = (taken[start : start + PART] for start in range(0, len(taken), PART))
            for scores in pool(joblib.delayed(_scored)(part) for part in parts):
                yield from scores


def _scored(jobs: Sequence[Job]) -> list[Score]:
    return [score(job) for job in jobs]


def _package(backend: str, name: str) -> Any:
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:  # a folder of that name is no package
        wanted = {"joblib": "joblib", "ray": "ray", "distributed": "'dask[distributed]'"}[name]
        raise UserError(
            f"--backend {backend}: no package {name}",
            wanted=f"{name}, here and on every machine of the cluster",
            seen="not installed",
            mend=f"pip install {wanted}",
        )
    return import_module(name)


BACKENDS: dict[str, Pool] = {"threads": threads, "processes": _processes, "ray": _ray, "dask": _dask}
