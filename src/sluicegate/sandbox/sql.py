"""Runs SQL answers against databases made for them: SQLite, read-only, in the sandbox of Python programs.

A sample's tests are text in sections, each begun by a line of its own:

    -- schema
    CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT);
    -- database small
    INSERT INTO t VALUES (1, 'Ann');
    -- database other
    INSERT INTO t VALUES (1, 'Bob'), (2, 'Cid');
    -- rows
    ["Bob"]
    ["Cid"]

`schema` opens every database; each `database NAME` adds its own rows. The answer must give the rows that
the reference (the sample's completion) gives on each database, and, where a `rows` section follows a
database, those rows too: one JSON list a row, not from the reference, so that neither an answer made for
one database nor a wrong reference goes unnoticed. Rows are compared as a multiset; their order counts only
where the reference orders by a clause of its own outermost level. Names of columns do not count; 1 equals
1.0, a real equals any number that it shares 9 digits with, and whole numbers are equal where they are the same.

The answer is one SELECT. It is run inside (`sql_inside`); databases are built, the reference is run and
rows are compared outside (`sql_checks`), so no expected row enters the sandbox.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path
from typing import cast, get_args

from sluicegate.sandbox import python
from sluicegate.sandbox.limits import Kind, Limits, Outcome

LIMITS = Limits()
SECTION = re.compile(r"--[ \t]*(schema|database|rows)\b[ \t]*(.*?)[ \t]*")


def run(candidate: str, tests: str, *, reference: str = "", limits: Limits = LIMITS, backend: str = "") -> Outcome:
    """Run an answer on every database of the tests; threads may share it, and no answer makes it raise.

    Args:
        candidate: one SELECT.
        tests: in the format at the head of this module.
        reference: a SELECT known to be right; may be empty where every database has its rows.
        backend: empty for the best that works here.
    """
    try:
        databases = parsed(tests)
    except ValueError as fault:
        return Outcome("tests", str(fault))
    given = {"candidate": candidate, "reference": reference, "databases": databases}
    checks = f"from sluicegate.sandbox.sql_checks import check\ncheck(query, {json.dumps(json.dumps(given))})\n"
    outcome = python.run(_inside(), checks, limits=limits, backend=backend)
    return _reworded(outcome)


@functools.cache
def _inside() -> str:
    return Path(__file__).with_name("sql_inside.py").read_text(encoding="utf-8")


def _reworded(outcome: Outcome) -> Outcome:
    """The outcome in terms of the query: the checks say how it ended in the message of their exception."""
    said = outcome.why.partition(" (tests, line ")[0]
    name, _, told = said.partition(": ")
    kind, _, why = told.partition(": ")
    if outcome.kind == "error" and name == "QueryError" and kind in get_args(Kind):
        return Outcome(cast(Kind, kind), why, outcome.backend)
    return Outcome(outcome.kind, said.removeprefix("AssertionError: "), outcome.backend)


def parsed(tests: str) -> list[dict[str, object]]:
    """The databases of a sample's tests, each with `name`, `build` (SQL) and `rows` (None where not given).

    Raises:
        ValueError: the text is not in the format, with the line.

    >>> parsed("-- schema\\nCREATE TABLE t(x);\\n-- database a\\nINSERT INTO t VALUES (1);\\n-- rows\\n[1]\\n")
    [{'name': 'a', 'build': 'CREATE TABLE t(x);\\nINSERT INTO t VALUES (1);\\n', 'rows': [[1]]}]
    """
    schema, databases, section = "", list[dict[str, object]](), ""
    for number, line in enumerate(tests.splitlines(), start=1):
        if match := SECTION.fullmatch(line):
            section = match[1]
            if section == "database":
                databases.append({"name": match[2] or str(len(databases) + 1), "build": schema, "rows": None})
            elif section == "rows":
                if not databases:
                    raise ValueError(f"line {number}: rows before the first database")
                databases[-1]["rows"] = []
        elif section == "schema" and not databases:
            schema += line + "\n"
        elif section == "database":
            databases[-1]["build"] = f"{databases[-1]['build']}{line}\n"
        elif section == "rows" and line.strip():
            cast(list[object], databases[-1]["rows"]).append(_row(line, number))
        elif line.strip():
            raise ValueError(f"line {number}: wanted a line `-- schema` or `-- database NAME` first")
    if not databases:
        raise ValueError("no line `-- database NAME`")
    return databases


def _row(line: str, number: int) -> list[object]:
    try:
        row = json.loads(line)
    except ValueError as fault:
        raise ValueError(f"line {number}: a row is not JSON: {fault}") from None
    if not isinstance(row, list) or any(isinstance(value, (dict, list, bool)) for value in row):
        raise ValueError(f"line {number}: a row is a JSON list of numbers, texts and nulls")
    return row
