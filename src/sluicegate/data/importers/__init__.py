"""Data sets of others, in their own formats, as samples with tests where the source has them.

A format is a module: it says where the rows of a file begin and what one row means. A row that cannot be read is a
fault with its place and a reason, and the others go on. Nothing of a source is run here, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, cast

from sluicegate.data.reader import LineError
from sluicegate.errors import UserError

FORMATS: Final = {
    "humaneval": "sluicegate.data.importers.humaneval",
    "mbpp": "sluicegate.data.importers.mbpp",
    "quixbugs": "sluicegate.data.importers.quixbugs",
    "spider": "sluicegate.data.importers.spider",
    "hf": "sluicegate.data.importers.hf",
    "openai-chat": "sluicegate.data.importers.openai_chat",
    "alpaca": "sluicegate.data.importers.alpaca",
    "csv": "sluicegate.data.importers.table",
}
ROWS: Final = 50
"""Rows taken of each table of a database."""

Rows: TypeAlias = Iterator[tuple[str, "Mapping[str, Any] | LineError"]]
"""Place (`file:line`, or the file alone) and row, or why the row cannot be read."""


@dataclass(frozen=True, slots=True)
class Asked:
    """How a source is to be read.

    Args:
        prompt, completion, tests: names of columns; empty for those of our own schema. `csv` and `hf` only.
        databases: the folder with `<db_id>/<db_id>.sqlite`; None for `database` beside the file. `spider` only.
        rows: at most so many of each table. `spider` only.
    """

    prompt: str = ""
    completion: str = ""
    tests: str = ""
    databases: Path | None = None
    rows: int = ROWS

    def __post_init__(self) -> None:
        """Refuse to take no rows.

        Raises:
            UserError: as it says.
        """
        if self.rows < 1:
            raise UserError("--rows: too few", wanted="1 or more", seen=str(self.rows))


@dataclass(frozen=True, slots=True)
class Draft:
    """What one row says.

    Args:
        id: empty where the source gives none.
        language, licence: of this row; empty where the source does not say.
        group: what it must not be split from; empty for nothing.
        meta: more that the source says.
        unused: names of what the row has and no sample can hold.
        noted: what the owner should know of it, in words that can be counted.
    """

    prompt: str
    completion: str
    tests: str = ""
    id: str = ""
    language: str = ""
    licence: str = ""
    group: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    noted: tuple[str, ...] = ()


class Format(Protocol):
    """What a module of `FORMATS` offers."""

    SCENARIO: str
    LANGUAGE: str

    def rows(self, path: Path, asked: Asked) -> Rows:
        """All rows of a file or folder.

        Raises:
            UserError: it cannot be read at all.
        """
        ...

    def draft(self, row: Mapping[str, Any], asked: Asked) -> Draft:
        """What a row means.

        Raises:
            LineError: it means nothing, with the reason.
        """
        ...


def load(name: str) -> Format:
    """The module of a format.

    Raises:
        KeyError: unknown.
    """
    return cast(Format, import_module(FORMATS[name]))


def text(row: Mapping[str, Any], name: str, *, usual: str | None = None) -> str:
    """A field that holds text.

    Args:
        usual: what stands for a field that is missing or null; None where it is needed.

    Raises:
        LineError: it is missing, or is no text.
    """
    value = row.get(name)
    if value is None and usual is not None:
        return usual
    if not isinstance(value, str):
        seen = "nothing" if value is None else type(value).__name__
        raise LineError(
            f"{name}: wanted text, seen {seen}; the row has {', '.join(map(str, list(row)[:12])) or 'no field'}"
        )
    return value.replace("\r\n", "\n")


def unused(row: Mapping[str, Any], *used: str) -> tuple[str, ...]:
    """Names of the fields that were not used."""
    return tuple(str(name) for name in row if name not in used)
