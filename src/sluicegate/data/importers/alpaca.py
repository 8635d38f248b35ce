"""Alpaca: `instruction`, `input` and `output`; the input stands below the instruction."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sluicegate.data.importers import Asked, Draft, Rows, text, unused
from sluicegate.data.importers.rows import json_rows

SCENARIO, LANGUAGE = "alpaca", ""
FIELDS = ("instruction", "input", "output")


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`."""
    return json_rows(path)


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    told = [text(row, "instruction").strip(), text(row, "input", usual="").strip()]
    return Draft("\n\n".join(filter(None, told)), text(row, "output"), unused=unused(row, *FIELDS))
