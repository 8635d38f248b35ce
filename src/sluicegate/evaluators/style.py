"""How few findings a linter has: 1 − findings / lines of code, that is 1 − findings per 100 lines / 100, at least 0.

ruff reads Python, ESLint JavaScript, JSX, TypeScript and TSX, sqlfluff SQL, each with rules of style only and with
comments that switch findings off switched off. Lines that are blank or only a comment do not count, so they dilute
nothing. What is empty or does not parse is 0. A linter that this machine does not have is our failure and no score:
ESLint needs Node and `npm ci` in `evaluators/linters`. Short answers weigh each finding more.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from sluicegate.evaluators import INFRA, answer
from sluicegate.evaluators.linters import LinterError, eslint, ruff, sqlfluff
from sluicegate.evaluators.syntax import UnparsableError, python, sql, trees
from sluicegate.records import Prediction, Sample, Score

NAME = "style"
LANGUAGES: Final = ("python", *trees.SCRIPTS, "sql")
COMMENT: Final = {"python": "#", "sql": "--"}
SHOWN: Final = 3
"""Rules that the reason names."""


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 − findings / lines, at least 0; None for another language, or without its linter."""
    value, why = _judged(sample, prediction)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, answer.in_a_line(why))


def _judged(sample: Sample, prediction: Prediction) -> tuple[float | None, str]:
    if unknown := answer.unjudged(sample, LANGUAGES, "linter"):
        return None, unknown
    told = answer.given(sample, prediction)
    if told.empty:
        return 0.0, answer.EMPTY
    try:
        found = _findings(told, sample)
    except UnparsableError as fault:
        return 0.0, str(fault)
    except LinterError as fault:
        return None, f"{INFRA}: {fault}"
    lines = _lines(told)
    if not lines:
        return 0.0, "nothing but comments"
    return max(0.0, (lines - len(found)) / lines), _told(found, lines)


def _findings(told: answer.Answer, sample: Sample) -> list[str]:
    if told.language == "python":
        python.module(told.text)
        return ruff.findings(told.text)
    if told.language == "sql":
        dialect = sql.dialect_of(sample)
        sql.statements(told.text, dialect)
        if len(told.text) > sqlfluff.LIMIT:
            raise UnparsableError(f"longer than {sqlfluff.LIMIT:,} characters of SQL")
        return sqlfluff.findings(told.text, dialect)
    trees.tree(told.language, told.text)
    return eslint.findings(told.language, told.text)


def _lines(told: answer.Answer) -> int:
    """Lines that hold more than blank space and a comment."""
    comment = COMMENT.get(told.language, "//")
    return sum(bool(line.strip()) and not line.strip().startswith(comment) for line in told.text.splitlines())


def _told(found: list[str], lines: int) -> str:
    rules = ", ".join(f"{rule} × {count}" for rule, count in Counter(found).most_common(SHOWN))
    return f"{len(found)} findings on {lines} lines" + (f": {rules}" if found else "")
