"""Rows with named columns, of which some are a sample's: what `csv` and `hf` have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sluicegate.data.importers import Asked, Draft, text, unused
from sluicegate.data.reader import LineError


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """The sample of a row: its columns `prompt`, `completion`, `tests`, or those that were asked for.

    `id`, `language` and `licence` (or `license`) are taken where they are there.

    Raises:
        LineError: a column is missing, or holds no text.
    """
    prompt, completion = asked.prompt or "prompt", asked.completion or "completion"
    tests = asked.tests or "tests"
    licence = "licence" if "licence" in row else "license"
    return Draft(
        text(row, prompt), text(row, completion), id=_id(row),
        tests=text(row, tests, usual=None if asked.tests else ""),
        language=text(row, "language", usual=""), licence=text(row, licence, usual=""),
        unused=unused(row, prompt, completion, tests, "id", "language", licence),
    )  # fmt: skip


def _id(row: Mapping[str, Any]) -> str:
    value = row.get("id")
    if value is None or value == "":
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise LineError(f"id: wanted text or a whole number, seen {type(value).__name__}")
    return str(value)
