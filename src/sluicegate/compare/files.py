"""comparisons.json: written in one stroke, the same bytes for the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, ValidationError

from sluicegate.errors import UserError
from sluicegate.jsonl import explain, read_text, write_text
from sluicegate.records import Comparison, from_json, to_dict


@dataclass(frozen=True, slots=True)
class Comparisons:
    """The contents of comparisons.json.

    Args:
        control, experiment: names of the arms.
        comparisons: the primary metric first.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    control: str
    experiment: str
    primary: str
    seed: int
    level: float
    comparisons: tuple[Comparison, ...]


def write(
    path: Path,
    comparisons: Sequence[Comparison],
    *,
    control: str,
    experiment: str,
    primary: str,
    seed: int,
    level: float,
) -> None:
    """Write comparisons.json atomically.

    Raises:
        UserError: the folder cannot be written to, or the file is there and is no comparisons file.
    """
    if path.is_file() and path.stat().st_size:
        _refuse_foreign(path)
    found = Comparisons(control, experiment, primary, seed, level, tuple(comparisons))
    write_text(path, json.dumps(to_dict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _refuse_foreign(path: Path) -> None:
    """Scores took hours to make; a slip in `--out` must not put a table in their place."""
    try:
        read(path)
    except UserError as fault:
        raise UserError(
            f"{path}: holds something else; nothing was written",
            wanted="a new file, or one of earlier comparisons",
            seen=fault.seen[:200],
            mend="choose another --out, or move this file away",
        ) from None


def read(path: Path) -> Comparisons:
    """Read comparisons.json.

    Raises:
        UserError: missing, or not what `write` writes.
    """
    try:
        return from_json(Comparisons, read_text(path))
    except ValidationError as fault:
        raise UserError(
            f"{path}: not a comparisons file",
            wanted="a file written by `sluicegate compare --out`",
            seen=explain(fault),
        ) from None
