"""One answer against its reference: who is judged, who is not, and why; the evaluators say how."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sluicegate.evaluators import answer
from sluicegate.evaluators.syntax import GrammarError, UnparsableError, sql
from sluicegate.records import Prediction, Sample

Read = TypeVar("Read")
Valued = tuple[float | None, str]
"""A value in [0, 1], or None, and the reason."""


def judged(
    sample: Sample,
    prediction: Prediction,
    languages: tuple[str, ...],
    read: Callable[[str, str, str], Read],
    compare: Callable[[Read, Read], Valued],
) -> Valued:
    """Read answer and reference, then compare them.

    Args:
        languages: those that `read` knows.
        read: language, text and SQL's dialect → what is compared; refuses with UnparsableError.
        compare: answer and reference → value and reason.

    Returns:
        0 for an answer that is empty or does not parse; None for another language, without a reference, for one that
        does not parse, or where our grammar is what fails.
    """
    if unknown := answer.unjudged(sample, languages, "parser"):
        return None, unknown
    told, asked = answer.given(sample, prediction), answer.wanted(sample)
    if asked.empty:
        return None, answer.NO_REFERENCE
    dialect = sql.dialect_of(sample) if asked.language == "sql" else sql.DIALECT
    try:
        wanted = read(asked.language, asked.text, dialect)
    except UnparsableError as fault:
        return None, f"the reference does not parse: {fault}"
    return (0.0, answer.EMPTY) if told.empty else _against(wanted, told, dialect, read, compare)


def _against(
    wanted: Read,
    told: answer.Answer,
    dialect: str,
    read: Callable[[str, str, str], Read],
    compare: Callable[[Read, Read], Valued],
) -> Valued:
    try:
        seen = read(told.language, told.text, dialect)
    except GrammarError as fault:
        return None, str(fault)
    except UnparsableError as fault:
        return 0.0, str(fault)
    return compare(seen, wanted)
