"""What runs a query in the sandbox: this file is sent there as the program, and knows no expected rows."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

SECONDS = 2.5
"""For one query; below the program's own limit of CPU, so that it can say so itself."""
STEPS = 10_000
ROWS = 100_000
ALLOWED = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_RECURSIVE)
REFUSED_FUNCTIONS = ("load_extension", "fts3_tokenizer", "readfile", "writefile", "edit")
LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 2**20,
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 100_000,
    sqlite3.SQLITE_LIMIT_COLUMN: 500,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 100,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 500,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 0,
    sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
}
PATH = "database.sqlite"


def query(database: bytes, sql: str) -> tuple[str, Any]:
    """Run one SELECT.

    Args:
        database: the bytes of a SQLite file.

    Returns:
        `rows` and the rows, or `error`, `timeout` or `limit` and why.
    """
    with open(PATH, "wb") as stream:  # noqa: PTH123
        stream.write(database)
    connection = sqlite3.connect(f"file:{PATH}?mode=ro&immutable=1", uri=True)
    connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
    for limit, value in LIMITS.items():
        connection.setlimit(limit, value)
    until = time.process_time() + SECONDS
    connection.set_progress_handler(lambda: time.process_time() > until, STEPS)
    connection.set_authorizer(_authorized)
    try:
        cursor = connection.execute(sql)
        if cursor.description is None:
            return "error", "not a query: it gives no rows"
        rows = cursor.fetchmany(ROWS + 1)
    except sqlite3.Error as fault:
        return _kind(fault, time.process_time() > until), f"{type(fault).__name__}: {fault}"
    except sqlite3.Warning as fault:
        return "error", f"{type(fault).__name__}: {fault}"
    finally:
        connection.close()
    if len(rows) > ROWS:
        return "limit", f"more than {ROWS} rows"
    return "rows", rows


def _authorized(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    if action in ALLOWED:
        return sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second not in REFUSED_FUNCTIONS:
        return sqlite3.SQLITE_OK
    return sqlite3.SQLITE_DENY


def _kind(fault: sqlite3.Error, is_late: bool) -> str:
    if is_late and "interrupted" in str(fault):
        return "timeout"
    return "limit" if isinstance(fault, sqlite3.DataError) or "too big" in str(fault) else "error"
