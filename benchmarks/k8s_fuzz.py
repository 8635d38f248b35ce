"""Hostile manifests through everything that reads one: no exception, at most 1 s and 200 MB for any text up to 1 MB.

    python benchmarks/k8s_fuzz.py [--seconds 60] [--seed 0] [--only WORD] [--all]

First every text of tests/hostile_manifests.py, each through each part in a process of its own, timed there (processor
seconds), its memory counted beyond what the process began with; those over half a limit are printed, with --all the
rest too. A part that reads the text twice, or writes a report as well, has twice as much of both. Then fixtures with
bytes changed at random, for so many seconds, in this process. The test suite runs a part of the same.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import hostile_manifests
from sluicegate.k8s.codebleu import codebleu
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.fix import fix
from sluicegate.k8s.lint import Source, lint
from sluicegate.k8s.objects import objects, workloads
from sluicegate.k8s.output import FORMATS
from sluicegate.k8s.parse import parse
from sluicegate.k8s.score import judge, score
from sluicegate.k8s.validity import validity

SECONDS, MEGABYTES = 1.0, 200.0
PATIENCE = 20
"""Processor seconds after which a call is ended."""
REFERENCE = (hostile_manifests.FIXTURES / "run_as_non_root.pass.pod-flag.yaml").read_text()


def text_of(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")


def bytes_of(data: str | bytes) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data


def shown(name: str, data: str | bytes) -> str:
    return FORMATS[name]([lint(Source("-", bytes_of(data)), "")])


PARTS: dict[str, Callable[[str | bytes], Any]] = {
    "parse": parse,
    "objects": lambda data: workloads(objects(parse(data))),
    "checks": lambda data: judge(workloads(objects(parse(data)))),
    "score": lambda data: score(data, REFERENCE),
    "validity": validity,
    "fix": lambda data: fix(text_of(data)),
    "lint": lambda data: lint(Source("-", bytes_of(data)), ""),
    **{f"lint as {name}": partial(shown, name) for name in FORMATS},
    "codebleu": lambda data: codebleu(text_of(data), REFERENCE),
    "codebleu of it": lambda data: codebleu(REFERENCE, text_of(data)),
    "fidelity": lambda data: fidelity(text_of(data), REFERENCE),
    "fidelity to it": lambda data: fidelity(REFERENCE, text_of(data)),
    "codebleu of it twice": lambda data: codebleu(text_of(data), text_of(data)),
    "fidelity of it twice": lambda data: fidelity(text_of(data), text_of(data)),
}


def apart(part: Callable[[str | bytes], Any], data: str | bytes) -> tuple[float, float, str]:
    """Processor seconds, megabytes and the exception, if there was one, of one call in a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        signal.setitimer(signal.ITIMER_PROF, PATIENCE)
        before, started, fault = peak(), time.process_time(), ""
        try:
            part(data)
        except BaseException:
            fault = traceback.format_exc(limit=-3)
        told = time.process_time() - started, peak() - before, fault[-2000:]
        os.write(writer, json.dumps(told).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        answer = stream.read()
    os.waitpid(child, 0)
    seconds, megabytes, fault = (
        json.loads(answer) if answer else (float(PATIENCE), 0.0, f"ended after {PATIENCE} s, or killed\n")
    )
    return seconds, megabytes, fault


def peak() -> float:
    """The most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def worst_cases(only: str, whole: bool) -> int:
    over = 0
    worst_s, worst_mb = (0.0, ""), (0.0, "")
    validity(REFERENCE)  # reads the schemas, once a process
    for name, make in hostile_manifests.CASES.items():
        data = make()
        for part, call in PARTS.items():
            if only not in f"{part}: {name}":
                continue
            seconds, megabytes, fault = apart(call, data)
            place = f"{part}: {name}"
            texts = 2 if part.endswith("twice") or part.startswith("lint as") else 1
            seconds, megabytes = seconds / texts, megabytes / texts
            worst_s, worst_mb = max(worst_s, (seconds, place)), max(worst_mb, (megabytes, place))
            bad = bool(fault) or seconds > SECONDS or megabytes > MEGABYTES
            over += bad
            if whole or bad or seconds > SECONDS / 2 or megabytes > MEGABYTES / 2:
                mark = "OVER " if bad else "     "
                print(f"{mark}{seconds:6.2f} s {megabytes:6.0f} MB  {place}\n{fault}", end="", flush=True)
    print(f"slowest {worst_s[0]:.2f} s ({worst_s[1]}), largest {worst_mb[0]:.0f} MB ({worst_mb[1]})")
    return over


def at_random(seconds: float, seed: int) -> int:
    until, tried, slowest = time.monotonic() + seconds, 0, 0.0
    while time.monotonic() < until:
        for data in hostile_manifests.at_random(seed + tried, 20):
            for part, call in PARTS.items():
                started = time.process_time()
                try:
                    call(data)
                except Exception:
                    print(f"{part}: {data!r}\n{traceback.format_exc(limit=-3)}")
                    return 1
                slowest = max(slowest, time.process_time() - started)
            tried += 1
    print(f"{tried:,} texts at random through {len(PARTS)} parts: no exception, slowest {slowest:.3f} s")
    return 0


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--seconds", type=float, default=60.0)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--only", default="", metavar="WORD", help="parts and texts that hold it")
    asked.add_argument("--all", action="store_true", help="print what stays well within the limits, too")
    told = asked.parse_args()
    over = worst_cases(told.only, told.all) + at_random(told.seconds, told.seed)
    print(f"goal 1 s and 200 MB, no exception: {'missed' if over else 'met'}")
    sys.exit(1 if over else 0)


if __name__ == "__main__":
    main()
