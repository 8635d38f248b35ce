"""Pairs of a request and its code, mined from the documented definitions of a local git checkout.

What was committed is read, file by file, through git's own objects: a link cannot lead out of the checkout, and the
same commit gives the same samples. Nothing of it is run, no hook or filter of its configuration neither, and nothing is
fetched.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pair:
    """One documented definition.

    Args:
        request: its documentation, and its signature.
        code: its source without the documentation.
        scenario, language: of a sample made of it.
        line: where it begins, 1-based.
    """

    request: str
    code: str
    scenario: str
    language: str
    line: int


@dataclass(frozen=True, slots=True)
class Left:
    """A definition that no pair was made of, and why."""

    line: int
    why: str


class UnreadableError(ValueError):
    """A file that is no program of its language; the message says why."""


class Language(Protocol):
    """What a module of `LANGUAGES` offers."""

    def pairs(self, source: str, suffix: str) -> Sequence[Pair | Left]:
        """The documented definitions at the top level of a file, in its order.

        Raises:
            UnreadableError: it cannot be parsed.
        """
        ...


LANGUAGES = {
    ".py": "sluicegate.data.mining.python",
    ".js": "sluicegate.data.mining.script",
    ".mjs": "sluicegate.data.mining.script",
    ".cjs": "sluicegate.data.mining.script",
    ".jsx": "sluicegate.data.mining.script",
    ".ts": "sluicegate.data.mining.script",
    ".mts": "sluicegate.data.mining.script",
    ".cts": "sluicegate.data.mining.script",
    ".tsx": "sluicegate.data.mining.script",
}
"""Suffix → module."""
WORDS_LEAST = 4
"""Words of a documentation that asks for something."""
LINES_LEAST, LINES_MOST = 3, 200
"""Lines of code: shorter ones teach nothing, longer ones answer more than was asked."""


def fault_of(told: str, code: str) -> str:
    """Why documentation and code make no pair; empty where they do."""
    if len(told.split()) < WORDS_LEAST:
        return "documented in too few words"
    lines = sum(bool(line.strip()) for line in code.split("\n"))
    if lines < LINES_LEAST:
        return "code too short"
    return "code too long" if lines > LINES_MOST else ""
