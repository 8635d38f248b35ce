"""One thing that a request may say of a manifest, before it is put into words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sluicegate.data.k8s.intents.node import Fact

LONGEST = 110
"""Characters of a value that a person would still write into a request."""
LINE = 220
"""Characters of what is said of several values at once."""
MAIN, USUAL, FINE = 1, 2, 3
"""How early a topic is thought of: what it is, what most people say, details."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One thing that may be said.

    Args:
        topic: key of `phrases.PHRASES`.
        fills: of the phrases' placeholders.
        facts: that it states.
        weight: MAIN, USUAL or FINE.
    """

    topic: str
    fills: Mapping[str, str]
    facts: tuple[Fact, ...]
    weight: int = USUAL

    @property
    def sayable(self) -> bool:
        """Whether every value is there and fits into a line of a request."""
        told = all(_line(value) for key, value in self.fills.items() if key not in OPTIONAL)
        return bool(self.facts) and told and all(_line(value) or not value for value in self.fills.values())


OPTIONAL = frozenset({"where", "extra", "s"})
"""Fills that may be empty."""


def _line(value: str) -> bool:
    return bool(value.strip()) and len(value) <= LINE and value.isprintable()
