"""Spider: questions with their queries in JSON (`db_id`, `question`, `query`), and a folder of SQLite databases.

The request is the question with the tables. The tests are two small databases made from the file, its first rows and
every second one of those, and the answer must find what the query finds. All questions on one database are one group.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from sluicegate.data.importers import Asked, Draft, Rows, text, unused
from sluicegate.data.importers.rows import json_rows
from sluicegate.data.importers.sqlite import Copy, copied
from sluicegate.data.reader import LineError
from sluicegate.errors import UserError

SCENARIO, LANGUAGE = "sql", "sql"
NAME: Final = re.compile(r"\w[\w.-]*")
FOLDER: Final = "database"
REQUEST: Final = "{question}\n\nThe data is in SQLite; answer with one SELECT.\n\n{tables}"
PLACE: Final = "__databases__"
FIELDS: Final = ("db_id", "question", "query", PLACE)


def rows(path: Path, asked: Asked) -> Rows:
    """See `Format`."""
    folder = asked.databases or path.parent / FOLDER
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no databases", wanted="a folder with <db_id>/<db_id>.sqlite", seen="no such folder",
            mend="name it with --databases DIR",
        )  # fmt: skip
    for place, row in json_rows(path):
        yield place, row if isinstance(row, LineError) else {**row, PLACE: folder}


def draft(row: Mapping[str, Any], asked: Asked) -> Draft:
    """See `Format`."""
    name = text(row, "db_id")
    if not NAME.fullmatch(name):
        raise LineError(f"db_id: no name of a database: {name!r:.60}")
    found = _database(row[PLACE] / name / f"{name}.sqlite", asked.rows)
    if isinstance(found, LineError):
        raise found
    return Draft(
        REQUEST.format(question=text(row, "question").strip(), tables=found.tables), f"{text(row, 'query').strip()}\n",
        tests=found.tests, group=f"spider/{name}", meta={"database": name},
        unused=unused(row, *FIELDS), noted=found.noted,
    )  # fmt: skip


@lru_cache(maxsize=256)
def _database(path: Path, rows: int) -> Copy | LineError:
    try:
        return copied(path, rows)
    except LineError as fault:
        return fault
