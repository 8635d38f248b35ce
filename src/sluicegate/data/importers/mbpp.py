"""MBPP, full (`text`) or sanitized (`prompt`): a sentence, `code`, and assertions that call it.

The sentence does not name the function, so the request gives the signatures of what the tests call. The tests stay
hidden: none of them stands in the request.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.data.importers import Asked, Draft, Rows, python, text, unused
from sluicegate.data.importers.rows import json_rows
from sluicegate.data.reader import LineError

SCENARIO, LANGUAGE = "python", "python"
FIELDS = ("task_id", "text", "prompt", "code", "test_list", "test_setup_code", "challenge_test_list", "test_imports")


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`."""
    return json_rows(path)


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    number = row.get("task_id")
    if not isinstance(number, int | str) or isinstance(number, bool):
        raise LineError(f"task_id: wanted a number, seen {number!r:.60}")
    request, code = text(row, "text" if "text" in row else "prompt").strip(), text(row, "code")
    checks = _texts(row, "test_list")
    if not checks:
        raise LineError("test_list: empty")
    parts = [*_texts(row, "test_imports"), text(row, "test_setup_code", usual=""), *checks]
    tests = "\n".join(part for part in [*parts, *_texts(row, "challenge_test_list")] if part.strip())
    tree, called = python.parsed("code", code), python.used(python.parsed("the tests", tests))
    heads = list(python.heads(tree, called))
    if not heads:
        raise LineError(
            f"test_list: calls nothing that code defines ({', '.join(sorted(python.names(tree))) or 'nothing'})"
        )
    asking = f"{request}\n\nWrite it in Python, as:\n\n" + "\n".join(heads)
    return Draft(asking, f"{code.strip()}\n", tests=f"{tests}\n", id=f"mbpp-{number}", unused=unused(row, *FIELDS))


def _texts(row: Mapping[str, Any], name: str) -> list[str]:
    value = row.get(name) or []
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise LineError(f"{name}: wanted a list of texts, seen {type(value).__name__}")
    return [one.replace("\r\n", "\n") for one in value]
