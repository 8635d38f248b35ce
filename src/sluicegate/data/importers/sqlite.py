"""A part of a SQLite file as text: its tables, and rows of them, in the form of the sandbox's tests.

The file is a stranger's: it is opened read-only, nothing of it is trusted, and what is made of it is built once in
memory, where it may do nothing but make tables and fill them.
"""

from __future__ import annotations

import re
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from sluicegate.data.reader import LineError

SECONDS: Final = 20.0
SIZE_LIMIT: Final = 500_000
"""Characters of the tests of one database."""
SECTION: Final = re.compile(r"--[ \t]*(schema|database|rows)\b.*")
REFUSED: Final = frozenset((sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_PRAGMA))
CUT: Final = "a database of more rows than --rows: its first ones were taken"
NOT_UTF8: Final = "a database with texts that are not UTF-8: the bytes at fault became U+FFFD"


@dataclass(frozen=True, slots=True)
class Copy:
    """What was taken of a database.

    Args:
        tables: the statements that make its tables and views.
        tests: in the sandbox's format.
    """

    tables: str
    tests: str
    noted: tuple[str, ...]


def copied(path: Path, rows: int) -> Copy:
    """Tables, views and at most so many rows of each table.

    Raises:
        LineError: no file, no database, or one that cannot be told as text.
    """
    if not path.is_file():
        raise LineError(f"no database {path}")
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)) as source:
            return _copied(source, rows)
    except (sqlite3.Error, sqlite3.Warning) as fault:
        raise LineError(f"{path}: {fault}") from None


def _copied(source: sqlite3.Connection, rows: int) -> Copy:
    ends = time.monotonic() + SECONDS
    source.set_progress_handler(lambda: time.monotonic() > ends, 10_000)
    source.text_factory = lambda raw: raw.decode("utf-8", "replace")
    source.execute("PRAGMA trusted_schema = OFF")
    made = source.execute(
        "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' "
        "ESCAPE '\\' AND sql IS NOT NULL ORDER BY rowid"
    ).fetchall()
    if not made:
        raise LineError("the database has no tables")
    tables = "\n".join(f"{sql.strip().rstrip(';')};" for _, _, sql in made)
    if any(SECTION.fullmatch(line) for line in tables.splitlines()):
        raise LineError("the database's statements hold a line that would end a section of the tests")
    held = {name: _rows(source, name, rows) for kind, name, _ in made if kind == "table"}
    first = "".join(_insert(name, found[:rows]) for name, found in held.items())
    second = "".join(_insert(name, found[:rows:2]) for name, found in held.items())
    tests = f"-- schema\n{tables}\n-- database first\n{first}-- database half\n{second}"
    if len(tests) > SIZE_LIMIT:
        raise LineError(f"the database's part is too large: {len(tests):,} characters; lower --rows")
    _build(f"{tables}\n{first}")
    noted = [CUT] if any(len(found) > rows for found in held.values()) else []
    return Copy(tables, tests, (*noted, *([NOT_UTF8] if "\ufffd" in tests else [])))


def _rows(source: sqlite3.Connection, table: str, rows: int) -> list[tuple[Any, ...]]:
    """The first rows, and one more where there are more; without columns that the table computes."""
    names = [row[1] for row in source.execute(f"PRAGMA table_info({_name(table)})")]
    columns = ", ".join(map(_name, names))
    return source.execute(f"SELECT {columns} FROM {_name(table)} LIMIT {rows + 1}").fetchall()  # noqa: S608 - quoted


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _insert(table: str, rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    told = ",\n".join(f"({', '.join(map(_literal, row))})" for row in rows)
    return f"INSERT INTO {_name(table)} VALUES\n{told};\n"


def _literal(value: Any) -> str:
    r"""A value as SQL, on one line whatever it holds.

    >>> _literal(None), _literal(1.5), _literal("it's"), _literal("a\n-- rows"), _literal(b"\0")
    ('NULL', '1.5', "'it''s'", "CAST(X'610a2d2d20726f7773' AS TEXT)", "X'00'")
    """
    if value is None:
        return "NULL"
    if isinstance(value, float):
        return repr(value) if abs(value) != float("inf") else f"{'-' if value < 0 else ''}9e999"
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    if isinstance(value, str):
        return (
            f"CAST(X'{value.encode().hex()}' AS TEXT)"
            if not value.isprintable()
            else "'" + value.replace("'", "''") + "'"
        )
    return str(value)


def _build(script: str) -> None:
    """Build it once in memory, to know that it can be built and does nothing else."""

    def allows(action: int, *_: object) -> int:
        return sqlite3.SQLITE_DENY if action in REFUSED else sqlite3.SQLITE_OK

    with closing(sqlite3.connect(":memory:")) as copy:
        copy.set_authorizer(allows)
        copy.executescript(script)
