"""What the stages cost beside their work: wall time of `sluicegate run --through 3` outside train, generate, evaluate.

Goal: under 5% of the whole. The study is the demo, in a folder of its own; start-up of the interpreters and imports of
torch count as work of their steps, building data and comparing do not.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

WORK = ("train", "generate", "evaluate")


def main() -> None:
    with tempfile.TemporaryDirectory() as runs:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "sluicegate", "run", "--through", "3", "--runs", runs],
            capture_output=True,
            text=True,
        )
        wall = time.perf_counter() - started
        if done.returncode not in {0, 10, 15, 20}:
            sys.exit(done.stderr)
        spent: dict[str, float] = defaultdict(float)
        for path in Path(runs).glob("demo/stage*/steps.json"):
            for name, stamp in json.loads(path.read_text()).items():
                spent[name.split()[0]] += stamp["seconds"]
    for name, seconds in sorted(spent.items(), key=lambda row: -row[1]):
        print(f"{name:<12} {seconds:7.1f} s   {seconds / wall:6.1%}")
    outside = wall - sum(spent[name] for name in WORK)
    print(f"{'all':<12} {wall:7.1f} s   exit code {done.returncode}")
    print(f"outside {', '.join(WORK)}: {outside:.1f} s = {outside / wall:.1%} (goal: under 5%)")


if __name__ == "__main__":
    main()
