"""Processes that score: the same values in the same order, whoever dies meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.train import scoring
from sluicegate.train.reward import Answer, Reward, worths
from sluicegate.train.scoring import Job, scorers

pytestmark = pytest.mark.process
REWARD = Reward({"exact_match": 0.5, "token_f1": 0.5}, gated=True)


def jobs(count: int) -> list[Job]:
    return [
        Job(REWARD, Sample(f"s{number}", "p", f"print({number})"), (Answer("print(1)", True), Answer("", True)))
        for number in range(count)
    ]


def children() -> list[psutil.Process]:
    return psutil.Process().children(recursive=True)


def command(process: psutil.Process) -> str:
    """Its command line; nothing of one that has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:  # a zombie is one
        return ""


def test_values_come_in_the_order_of_the_jobs_and_are_those_of_one_process() -> None:
    asked = jobs(9)
    with scorers(2) as pool:
        pending = pool.submit(asked)
        found = pool.results(pending)
        assert pool.results(pending) == found
    assert [each.worths for each in found] == [worths(REWARD, job.sample, job.answers) for job in asked]
    assert found[1].worths[0].total == 1.0 and found[1].worths[1].total == 0.0
    assert all(each.seconds > 0 for each in found)


def test_a_killed_process_is_replaced_and_nothing_is_lost() -> None:
    with scorers(1) as pool:
        wanted = [each.worths for each in pool.results(pool.submit(jobs(3)))]
        workers = [process for process in children() if "spawn_main" in command(process)]
        assert workers
        for process in workers:
            process.send_signal(signal.SIGKILL)
        pending = pool.submit(jobs(3))
        assert [each.worths for each in pool.results(pending)] == wanted
        assert pending.deaths <= 1


def test_a_sample_that_kills_whoever_scores_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "_work", _dies)
    with scorers(1) as pool:
        pending = pool.submit(jobs(2))
        with pytest.raises(UserError, match="died 4 times") as told:
            pool.results(pending)
    assert "'s0'" in told.value.seen


def _dies(job: Job) -> None:
    os._exit(9)


def test_no_process_outlives_a_killed_parent() -> None:
    said = (
        "import os, time\n"
        "from sluicegate.records import Sample\n"
        "from sluicegate.train.reward import Answer, Reward\n"
        "from sluicegate.train.scoring import Job, scorers\n"
        "if __name__ == '__main__':\n"
        "    job = Job(Reward({'exact_match': 1.0}, True), Sample('s', 'p', 'c'), (Answer('c', True),))\n"
        "    with scorers(1) as pool:\n"
        "        pool.results(pool.submit([job]))\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", said], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline() == "ready\n"
    workers = psutil.Process(parent.pid).children(recursive=True)
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert workers and not alive


def test_scoring_goes_on_while_the_caller_does_something_else() -> None:
    with scorers(1) as pool:
        pool.results(pool.submit(jobs(1)))
        pending = pool.submit(jobs(2))
        until = time.monotonic() + 30
        while not all(future.done() for future in pending.futures) and time.monotonic() < until:
            time.sleep(0.01)
        assert all(future.done() for future in pending.futures)
