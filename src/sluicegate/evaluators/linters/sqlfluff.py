"""sqlfluff for SQL, in this process: its core rules, without those on the width of an indent and the end of a file."""

from __future__ import annotations

import logging
from functools import lru_cache
from threading import Lock
from typing import Any, Final

from sluicegate.evaluators.linters import LinterError

LIMIT: Final = 3_000
"""Characters; it needs seconds for as many thousands."""
LEFT_OUT: Final = "LT02,LT12"
_lock = Lock()


def findings(text: str, dialect: str) -> list[str]:
    """The rules that a script breaks, as often as it does.

    Raises:
        LinterError: sqlfluff is not installed or broke.
    """
    with _lock:  # its caches are not made for threads, and it holds the interpreter all the time
        try:
            linted = _linter(dialect).lint_string(text)
            return [str(found.rule_code()) for found in linted.get_violations(filter_warning=True)]
        except LinterError:
            raise
        except Exception as fault:  # a rule that breaks is our failure, whatever it raises
            raise LinterError(f"sqlfluff: {type(fault).__name__}") from None


@lru_cache
def _linter(dialect: str) -> Any:
    try:
        from sqlfluff.core import FluffConfig, Linter
    except ImportError:
        raise LinterError("sqlfluff: not installed: pip install 'sluicegate[eval]'") from None
    logging.getLogger("sqlfluff").setLevel(logging.CRITICAL)
    known = {"postgres": "postgres", "mysql": "mysql", "tsql": "tsql", "bigquery": "bigquery"}
    settings = {
        "dialect": known.get(dialect, "sqlite"),
        "rules": "core",
        "exclude_rules": LEFT_OUT,
        "disable_noqa": True,
    }
    return Linter(config=FluffConfig(overrides={**settings, "max_line_length": 120}, ignore_local_config=True))
