"""Which arms of a study take part, and in which order they are trained: pure functions of their names.

The control and the experiment take part, so does every arm that is held `against` another one, and whatever these need:
the arm that one comes `after`, the arm that one is held against.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

Ties = Mapping[str, str]
"""Arm → the arm that it names."""


def lineup(roles: Sequence[str], after: Ties, against: Ties) -> tuple[str, ...]:
    """The arms that take part, each behind the one that it starts from; the roles first as far as that allows.

    Args:
        roles: control and experiment.
        after: arm → the arm whose trained model it starts from.
        against: arm → the arm that it is compared with.

    >>> lineup(("a", "b"), {"d": "c", "c": "b"}, {"d": "c"})
    ('a', 'b', 'c', 'd')
    """
    found: dict[str, None] = {}

    def take(arm: str) -> None:
        if arm in found:
            return
        if arm in after:
            take(after[arm])
        found[arm] = None
        if arm in against:
            take(against[arm])

    for arm in (*roles, *against):
        take(arm)
    return tuple(found)


def faults(arms: Sequence[str], roles: Sequence[str], after: Ties, against: Ties) -> Iterator[str]:
    """What is wrong with the ties of some arms, a sentence each.

    >>> list(faults(["a", "b", "c"], ("a", "b"), {"b": "x"}, {}))[0]
    "arms.b.after: 'x' is not one of the other arms ['a', 'c']"
    """
    sound = True
    for field, ties in (("after", after), ("against", against)):
        for arm, other in ties.items():
            if other not in arms or other == arm:
                sound = False
                yield f"arms.{arm}.{field}: {other!r} is not one of the other arms {sorted({*arms} - {arm})}"
        for ring in _rings(ties):
            sound = False
            yield f"arms.{ring[0]}.{field}: goes round: {' → '.join(ring)}"
    for arm in roles:
        if arm in against:
            yield f"arms.{arm}.against: control and experiment are compared with each other, and that decides"
    if sound and (idle := [arm for arm in arms if arm not in lineup(roles, after, against)]):
        yield (
            f"arms.{idle[0]}: takes no part: neither control nor experiment, no other arm comes after it or is held "
            f"against it, and it names no `against`"
        )


def _rings(ties: Ties) -> Iterator[tuple[str, ...]]:
    """Each chain of arms that comes back to its first, told once."""
    told: set[str] = set()
    for start in ties:
        chain = [start]
        while (following := ties.get(chain[-1])) is not None and following not in chain:
            chain.append(following)
        if following == start and len(chain) > 1 and start not in told:
            told |= set(chain)
            yield (*chain, start)
