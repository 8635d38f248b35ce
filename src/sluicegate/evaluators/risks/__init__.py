"""What is dangerous in a program, rule by rule, and how much of it."""

from __future__ import annotations

from typing import Final, NamedTuple

LOW, MEDIUM, HIGH = 1, 4, 7
"""Points of a finding, about where CVSS's bands of these names begin."""
SEVERITIES: Final = {"LOW": LOW, "MEDIUM": MEDIUM, "HIGH": HIGH}


class Risk(NamedTuple):
    """One finding.

    Args:
        line: 1-based.
        rule: its name.
        points: `LOW`, `MEDIUM` or `HIGH`.
        what: in words.
    """

    line: int
    rule: str
    points: int
    what: str
