"""What does not hang together in a program: undefined and unused names, unreachable and repeated parts."""

from __future__ import annotations

from typing import NamedTuple


class Fault(NamedTuple):
    """One fault.

    Args:
        line: 1-based.
        what: the same words for the same fault, wherever it stands.
    """

    line: int
    what: str
