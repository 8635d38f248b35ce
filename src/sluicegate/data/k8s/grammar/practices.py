"""Which of the eleven best practices a pod follows, given how much care its team takes.

Each practice asks for some care, those that people take up first for the least. A team's care for security and for
reliability differ somewhat from its care as a whole, and it forgets or remembers single practices by chance: so they
go together as in real manifests, and every number of them occurs.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Final

ASKS: Final = {
    "isolated": 0.03, "pinned": 0.14, "requests": 0.24, "limits": 0.33, "readiness": 0.41, "liveness": 0.48,
    "non_root": 0.56, "no_escalation": 0.66, "drop_all": 0.75, "seccomp": 0.86, "read_only": 0.88,
}  # fmt: skip
"""Practice → the care that it asks for."""
SECURITY: Final = frozenset(("non_root", "no_escalation", "drop_all", "seccomp", "read_only"))
TEMPER, WHIM = 0.07, 0.12
"""Standard deviations: of the care for security or reliability about the whole, and of one practice about that."""


@dataclass(frozen=True, slots=True)
class Practices:
    """Whether each of the practices that `sluicegate.k8s.checks` asks for is followed."""

    isolated: bool
    pinned: bool
    requests: bool
    limits: bool
    readiness: bool
    liveness: bool
    non_root: bool
    no_escalation: bool
    drop_all: bool
    seccomp: bool
    read_only: bool


def practices(rng: Random, care: float) -> Practices:
    """Draw what a pod follows."""
    security, reliability = care + rng.gauss(0, TEMPER), care + rng.gauss(0, TEMPER)
    return Practices(
        **{
            name: (security if name in SECURITY else reliability) + rng.gauss(0, WHIM) > asks
            for name, asks in ASKS.items()
        }
    )
