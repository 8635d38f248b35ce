"""When reinforcement learning has collapsed: pure functions of what its answers look like.

A step is compared with the first one, whose answers are still those of the model it began with. Means over a few steps
are looked at, so that one unlucky batch is no collapse.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Final, NamedTuple

WINDOW: Final = 4
"""Steps that are averaged; fewer are not judged."""
LEAST_SHARE: Final = 0.75
"""Of the valid answers, and of those that end, that there were at the start."""
MOST_KL: Final = 20.0
"""Times RL_TARGET_KL."""
ENTROPY: Final = (0.1, 5.0)
"""Times the entropy of the start: below, all answers are one; above, they are noise."""


class Health(NamedTuple):
    """Figures of the answers of a step.

    Args:
        valid, ended, empty: shares in [0, 1].
        kl, entropy: nats a token.
    """

    valid: float
    ended: float
    empty: float
    kl: float
    entropy: float


def collapsed(first: Health, recent: Sequence[Health], *, target_kl: float) -> str:
    """Why the policy has collapsed; empty where it has not.

    Args:
        first: of the first step.
        recent: of the last steps, the latest last.

    >>> well, bad = Health(0.9, 0.95, 0.0, 0.001, 0.3), Health(0.2, 0.95, 0.0, 0.001, 0.3)
    >>> collapsed(well, [well] * 4, target_kl=0.01), collapsed(well, [bad] * 3, target_kl=0.01)
    ('', '')
    >>> collapsed(well, [well] + [bad] * 3, target_kl=0.01)
    'valid answers fell from 90% to 38%'
    """
    if len(recent) < WINDOW:
        return ""
    now = Health(*map(fmean, zip(*recent[-WINDOW:], strict=True)))
    for name, before, after in (("valid answers", first.valid, now.valid), ("ended answers", first.ended, now.ended)):
        if after < LEAST_SHARE * before:
            return f"{name} fell from {before:.0%} to {after:.0%}"
    if now.kl > MOST_KL * target_kl:
        return f"KL rose to {now.kl:.3g} nats a token, {MOST_KL:g} times RL_TARGET_KL are allowed"
    low, high = (share * first.entropy for share in ENTROPY)
    if not low <= now.entropy <= high:
        return f"entropy went from {first.entropy:.3g} to {now.entropy:.3g} nats a token"
    return ""
