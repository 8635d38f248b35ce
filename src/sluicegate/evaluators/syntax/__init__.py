"""Programs as trees: what several evaluators read, each parsed once.

A text that is no program of its language, is longer than `answer.LIMIT` or nests deeper than `DEPTH` is refused with
`UnparsableError`. So every walk below ends, and may be recursive.
"""

from __future__ import annotations

from typing import Final

from sluicegate.evaluators.answer import LIMIT, TOO_LONG

DEPTH: Final = 200
"""Levels of a tree; Python itself allows 100 of indentation, and 200 brackets."""
KEPT: Final = 32
"""Parsed texts that are kept: the answer that several evaluators judge, and the references beside it."""


class UnparsableError(ValueError):
    """The text is no program that can be judged; the message says why, in one line."""


class GrammarError(UnparsableError):
    """The language's own parser reads the program and our grammar does not: our lack, not the program's fault."""


def refuse_long(text: str) -> None:
    """Refuse what no parser should see.

    Raises:
        UnparsableError: more than `LIMIT` characters.
    """
    if len(text) > LIMIT:
        raise UnparsableError(TOO_LONG)


def too_deep() -> UnparsableError:
    """The refusal of a tree of too many levels."""
    return UnparsableError(f"nests deeper than {DEPTH} levels")
