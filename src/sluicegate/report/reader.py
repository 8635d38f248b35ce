"""Reads files of one folder, each of which may be missing, and collects what was wrong with the others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from sluicegate.errors import UserError
from sluicegate.jsonl import explain
from sluicegate.report.clean import one_line

Value = TypeVar("Value")
FAULTS = (UserError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError)
"""What a malformed file can raise on its way into a record."""


class Reader:
    """Reads files below `root`; `faults` has one line for each that could not be read."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.faults: list[str] = []

    def read(self, name: str, parse: Callable[[Path], Value], missing: Value, *, most: int | None = None) -> Value:
        """A file by a function of its path; `missing` where it is not there or cannot be read.

        Args:
            most: bytes of the largest file that is read.
        """
        path = self.root / name
        try:
            if not path.exists():
                return missing
            if most is not None and path.stat().st_size > most:
                raise ValueError(f"{path.stat().st_size:,} bytes, at most {most:,} are read")
            return parse(path)
        except FAULTS as fault:
            self.faults.append(f"{name}: {_told(fault, path, name)}")
            return missing


def _told(fault: Exception, path: Path, name: str) -> str:
    """The fault in one line, without the folder's place: a report must not change with it."""
    if isinstance(fault, UserError):
        parts = (fault.what, fault.seen)
    else:
        parts = (type(fault).__name__, explain(fault) if isinstance(fault, ValidationError) else str(fault))
    told = ": ".join(part for part in parts if part).replace(str(path), name)
    return one_line(told.removeprefix(f"{name}:").strip(), 200)
