"""Checkov's side of the two comparisons; runs under the Python that Checkov is installed in, and needs nothing of ours.

    CHECKOV_PYTHON benchmarks/peers/k8s_checkov.py < request.json > answer.json

The request holds `files`, `rules` (names of Checkov's rules), and `ways`: what to time. The answer holds Checkov's
version, the processor seconds of each way, without its imports, and what each rule says of each object.
"""

from __future__ import annotations

import importlib
import json
import logging
import resource
import sys
from importlib.metadata import version
from typing import Any


def run(files: list[str], rules: list[str] | None) -> list[Any]:
    """The reports of one call of Checkov's Kubernetes runner."""
    runner = importlib.import_module("checkov.kubernetes.runner").Runner()
    chosen = importlib.import_module("checkov.runner_filter").RunnerFilter(framework=["kubernetes"], checks=rules)
    found = runner.run(root_folder=None, files=files, runner_filter=chosen)
    return found if isinstance(found, list) else [found]


def spent() -> float:
    """Processor seconds so far, of this process and of those it started and saw end."""
    mine, below = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return mine.ru_utime + mine.ru_stime + below.ru_utime + below.ru_stime


def timed(way: str, files: list[str], rules: list[str]) -> float:
    chosen = rules if way == "same rules, a call a file" else None
    started = spent()
    if way.endswith("one call"):
        run(files, chosen)
    else:
        for file in files:
            run([file], chosen)
    return spent() - started


def answers(files: list[str], rules: list[str]) -> list[list[Any]]:
    """File, first and last line, object, rule, passed: of each rule and object."""
    return [
        [record.file_abs_path, *record.file_line_range, record.resource, record.check_id, passed]
        for file in files
        for report in run([file], rules)
        for passed, records in ((True, report.passed_checks), (False, report.failed_checks))
        for record in records
    ]


def main() -> None:
    request = json.load(sys.stdin)
    logging.disable(logging.CRITICAL)
    run(request["files"][:1], None)  # imports and registries
    print(
        json.dumps(
            {
                "version": version("checkov"),
                "seconds": {way: timed(way, request["files"], request["rules"]) for way in request.get("ways", [])},
                "answers": answers(request["files"], request["rules"]) if request.get("answers") else [],
            }
        )
    )


if __name__ == "__main__":
    main()
