"""HumanEval: `task_id`, `prompt`, `entry_point`, `canonical_solution`, and `test`, which defines `check(candidate)`.

Our answers are whole programs, so the request says so, and the completion is the prompt with the solution below it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.data.importers import Asked, Draft, Rows, python, text, unused
from sluicegate.data.importers.rows import json_rows
from sluicegate.data.reader import LineError

SCENARIO, LANGUAGE = "python", "python"
FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")
REQUEST = "Complete the function `{name}`. Answer with the whole program, what is given here included.\n\n{prompt}"


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`."""
    return json_rows(path)


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    name, prompt, test = text(row, "entry_point"), text(row, "prompt"), text(row, "test")
    completion = prompt + text(row, "canonical_solution")
    if name not in python.names(python.parsed("prompt and canonical_solution", completion)):
        raise LineError(f"entry_point: {name!r} is not defined by prompt and canonical_solution")
    if "check" not in python.names(python.parsed("test", test)):
        raise LineError("test: defines no check(candidate)")
    return Draft(
        REQUEST.format(name=name, prompt=prompt.strip("\n")), f"{completion.strip()}\n",
        tests=f"{test.strip()}\n\ncheck({name})\n", id=text(row, "task_id"), unused=unused(row, *FIELDS),
    )  # fmt: skip
