"""Manifests a second, parsing and all eleven checks, on one core; beside Checkov in process, over the same files.

    python benchmarks/k8s_checks.py [FOLDER] [--checkov-python PYTHON] [--rounds 5]

Goals: 1,500 files/s, and 40 times Checkov called once a file. Both are processor seconds, so that neither a busy
machine nor a second core changes a ratio. Checkov runs in its own process, its imports left out, in three ways: a call
a file, as a reward or an editor would; the same with only the rules that our checks match, which spares it the others;
and one call for all files. It is no dependency: its Python is named, for instance that of
`python -m venv /tmp/checkov && /tmp/checkov/bin/pip install checkov`. FOLDER is any folder of manifests; without one
the test fixtures are taken, which are small.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from sluicegate.k8s.lint import Source, lint, read
from sluicegate.k8s.rules import CHECKOV, RULES

FIXTURES = Path(__file__).parent.parent / "tests" / "k8s" / "fixtures"
SIDE = Path(__file__).parent / "peers" / "k8s_checkov.py"
WAYS = ("all rules, a call a file", "same rules, a call a file", "all rules, one call")
PER_SECOND, RATIO = 1500, 40


def once(sources: list[Source], version: str | None = None) -> tuple[float, int, int]:
    """Processor seconds to judge every text, and the objects and workloads found; with a version, validity too."""
    gc.collect()
    started = time.process_time()
    found = [lint(source, version) for source in sources]
    seconds = time.process_time() - started
    return seconds, sum(each.objects for each in found), sum(len(each.judged) for each in found)


def checkov(python: str, files: list[str]) -> dict[str, Any]:
    request = {
        "files": files,
        "rules": sorted({rule for rules in RULES.values() for rule in rules[CHECKOV]}),
        "ways": WAYS,
    }
    done = subprocess.run([python, str(SIDE)], input=json.dumps(request), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"Checkov's side failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("folder", nargs="?", default=str(FIXTURES))
    asked.add_argument("--checkov-python", default="", metavar="PYTHON")
    asked.add_argument("--rounds", type=int, default=5)
    told = asked.parse_args()
    sources = read([told.folder], sys.stdin.buffer)
    runs = [once(sources) for _ in range(told.rounds)]
    _, objects, workloads = runs[0]
    size = sum(len(source.data) for source in sources)
    print(f"{len(sources):,} files, {size / 1e6:.2f} MB, {objects:,} objects, {workloads:,} workloads")
    seconds = statistics.median(run[0] for run in runs)
    speed = len(sources) / seconds
    spread = f"{min(run[0] for run in runs):.2f} to {max(run[0] for run in runs):.2f} s"
    print(f"sluicegate, a call a file: {speed:8,.0f} files/s   (median of {told.rounds}; {spread})")
    valid = statistics.median(once(sources, "")[0] for _ in range(told.rounds))
    print(f"the same with validity, as `k8s check` does it: {len(sources) / valid:8,.0f} files/s")
    print(f"goal {PER_SECOND:,} files/s: {'met' if speed >= PER_SECOND else 'missed'}")
    if not told.checkov_python:
        print("Checkov: skipped, --checkov-python names no Python that has it")
        return
    answer = checkov(told.checkov_python, [str(Path(source.name).resolve()) for source in sources])
    for way, taken in answer["seconds"].items():
        theirs = len(sources) / taken
        print(f"Checkov {answer['version']}, {way}: {theirs:8,.1f} files/s   ours is {speed / theirs:6.1f} x that")
    ratio = speed * answer["seconds"][WAYS[0]] / len(sources)
    print(f"goal {RATIO} x, a call a file: {'met' if ratio >= RATIO else 'missed'}")


if __name__ == "__main__":
    main()
