"""Start-up of the command: `sluicegate --help` against a bare interpreter and against importing torch, in one run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

REPEATS = 9
COMMANDS = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "sluicegate --help": (sys.executable, "-m", "sluicegate", "--help"),
    "sluicegate plan": (sys.executable, "-m", "sluicegate", "plan"),
    "python -c 'import torch'": (sys.executable, "-c", "import torch"),
}


def seconds(argv: tuple[str, ...]) -> float:
    started = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True)
    return time.perf_counter() - started


def main() -> None:
    taken: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(REPEATS):
        for name, argv in COMMANDS.items():
            taken[name].append(seconds(argv))
    base = statistics.median(taken["python -c pass"])
    for name, times in taken.items():
        median = statistics.median(times)
        print(f"{name:<26} median {1000 * median:7.0f} ms   {median / base:6.1f} x a bare interpreter")


if __name__ == "__main__":
    main()
