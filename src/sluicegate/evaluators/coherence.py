"""Whether the answer hangs together: it parses, no undefined or unused names, nothing unreachable or said twice.

The score is 1 / (1 + faults), so one fault halves it, and no padding dilutes it. An answer that is empty or does not
parse is 0. A fault that the reference has too is not counted: the task may leave a name to be defined elsewhere.
Python is read by pyflakes and rules for unreachable and repeated code; JavaScript, JSX, TypeScript and TSX by their
scopes (of types only the unused imports, since which types there are is not told); SQL by its scopes, and by the
tables that the prompt, the context, the tests or meta's `schema` describe. It does not ask whether the answer is
right, or an answer to the question: a program that does nothing is coherent.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from sluicegate.evaluators import answer
from sluicegate.evaluators.faults import Fault
from sluicegate.evaluators.faults import python as in_python
from sluicegate.evaluators.faults import script as in_script
from sluicegate.evaluators.faults import sql as in_sql
from sluicegate.evaluators.syntax import UnparsableError, sql, trees
from sluicegate.records import Prediction, Sample, Score

NAME = "coherence"
LANGUAGES: Final = ("python", *trees.SCRIPTS, "sql")
SHOWN: Final = 3
"""Faults that the reason names."""


def score(sample: Sample, prediction: Prediction) -> Score:
    """1 / (1 + faults), 0 for what does not parse, None for another language."""
    value, why = _judged(sample, prediction)
    return Score(sample.id, prediction.model, prediction.draw, NAME, value, answer.in_a_line(why))


def _judged(sample: Sample, prediction: Prediction) -> tuple[float | None, str]:
    if unknown := answer.unjudged(sample, LANGUAGES, "rules of coherence"):
        return None, unknown
    told = answer.given(sample, prediction)
    if told.empty:
        return 0.0, answer.EMPTY
    try:
        found = _of(told, sample)
    except UnparsableError as fault:
        return 0.0, str(fault)
    if found is None:
        return 0.0, "nothing but comments"
    excused = _excused(sample)
    counted = [fault for fault in found if fault.what not in excused]
    shown = "; ".join(f"line {fault.line}: {fault.what}" for fault in counted[:SHOWN])
    more = f"; and {len(counted) - SHOWN} more" if len(counted) > SHOWN else ""
    return 1 / (1 + len(counted)), shown + more


def _of(told: answer.Answer, sample: Sample) -> tuple[Fault, ...] | None:
    """The faults, or None where there is no program."""
    if told.language != "sql":
        return _faults(told.language, told.text)
    schema = sample.meta.get("schema")
    tests = sample.tests if in_sql.CREATE.search(sample.tests) else ""
    texts = (sample.prompt, sample.context, tests, schema if isinstance(schema, str) else "")
    return _faults("sql", told.text, sql.dialect_of(sample), texts)


@lru_cache(maxsize=64)
def _faults(language: str, text: str, dialect: str = "", texts: tuple[str, ...] = ()) -> tuple[Fault, ...] | None:
    """The faults of a program, kept, since all draws are held against one reference."""
    if language == "sql":
        return tuple(in_sql.faults(text, dialect, _schema(texts)))
    if language == "python":
        found = in_python.faults(text)
        return tuple(found) if in_python.says_something(text) else None
    found = in_script.faults(language, text)
    return tuple(found) if in_script.says_something(language, text) else None


@lru_cache(maxsize=64)
def _schema(texts: tuple[str, ...]) -> in_sql.Schema:
    return in_sql.schema(texts)


def _excused(sample: Sample) -> frozenset[str]:
    """What is said of the reference, too."""
    asked = answer.wanted(sample)
    if asked.empty:
        return frozenset()
    try:
        return frozenset(fault.what for fault in _of(asked, sample) or ())
    except UnparsableError:
        return frozenset()
