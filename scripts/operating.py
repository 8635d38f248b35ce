#!/usr/bin/env python3
"""Simulates the gate over a grid of designs and writes docs/operating.{json,md,svg} and the older criterion's table.

Each task carries its own seed, so the figures do not depend on how many processes share the work.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path

from sluicegate.jsonl import write_text
from sluicegate.stages import older
from sluicegate.stages.operating import page, picture
from sluicegate.stages.operating.figures import dump, grouped, older_table
from sluicegate.stages.operating.findings import verdicts
from sluicegate.stages.operating.grid import Row, Task, tasks

ROOT = Path(__file__).resolve().parent.parent
DOCS, TABLE = ROOT / "docs", ROOT / "src" / "sluicegate" / "stages" / older.FILE


def rows_of(found: Sequence[Task], processes: int) -> list[Row]:
    """The row of each task, in their order, with a line of progress about every 15 seconds."""
    rows: list[Row] = [{} for _ in found]
    started = told = time.monotonic()
    order = sorted(range(len(found)), key=lambda place: -found[place].cost)  # long ones first, so that none is last
    os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}  # the processes share the cores already
    with get_context("spawn").Pool(processes) as pool:
        jobs = ((place, found[place]) for place in order)
        for done, (place, row) in enumerate(pool.imap_unordered(_run, jobs, chunksize=4), start=1):
            rows[place] = row
            if time.monotonic() - told > 15 or done == len(found):
                told = time.monotonic()
                print(f"operating: {done} of {len(found)} designs, {told - started:.0f} s", flush=True)
    return rows


def _run(job: tuple[int, Task]) -> tuple[int, Row]:
    place, task = job
    return place, task.run()


def main() -> None:
    """Simulate and write, or with `--pages` write the pages anew from the figures at hand."""
    parser = argparse.ArgumentParser(description="Operating characteristics of the gate, by simulation.")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--pages", action="store_true", help="write the page and the picture from docs/operating.json")
    asked = parser.parse_args()
    if not asked.pages:
        found = tasks()
        groups = grouped([task.group for task in found], rows_of(found, asked.processes))
        write_text(TABLE, dump(older_table(groups.pop("table"))))
        write_text(DOCS / "operating.json", dump(groups))
    figures = json.loads((DOCS / "operating.json").read_text("utf-8"))
    write_text(DOCS / "operating.md", page.page(figures))
    write_text(DOCS / "operating.svg", picture.draw(figures))
    print("\n".join(verdicts(figures)))


if __name__ == "__main__":
    main()
