"""Pairing two arms by item id: the step that every paired test rests on, so it refuses rather than guesses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sluicegate.errors import UserError
from sluicegate.stats.results import Floats, finite

SHOWN = 5


@dataclass(frozen=True, slots=True, eq=False)
class Paired:
    """Two arms on the same items.

    Notation: n items with a value in both arms, in the order of their ids.

    Args:
        ids: the n paired items, sorted.
        control, experiment: shape (n,).
        items: all items asked about, those without a value in one arm included.
    """

    ids: tuple[str, ...]
    control: Floats
    experiment: Floats
    items: int

    @property
    def differences(self) -> Floats:
        """Experiment minus control, shape (n,)."""
        return self.experiment - self.control

    @property
    def coverage(self) -> float:
        """Paired items over all items, in [0, 1]."""
        return len(self.ids) / self.items if self.items else 0.0


def some(ids: Iterable[str]) -> str:
    """The first few ids, for a message.

    >>> some(["b", "a"])
    'a, b'
    """
    ordered = sorted(ids)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more


def same_items(control: Iterable[str], experiment: Iterable[str], names: tuple[str, str]) -> None:
    """Refuse two arms that were not asked about the same items.

    Raises:
        UserError: the first few ids that only one arm has, and which arm.
    """
    left, right = set(control), set(experiment)
    rows = [
        f"only in {name}: {some(only)}" for name, only in zip(names, (left - right, right - left), strict=True) if only
    ]
    if rows:
        raise UserError(
            f"{names[0]} and {names[1]}: the items do not pair",
            wanted=f"the same items in both ({len(left)} and {len(right)} given)",
            seen="; ".join(rows),
            mend="evaluate both arms on the same test file",
        )


def pair(
    control: Sequence[tuple[str, float | None]],
    experiment: Sequence[tuple[str, float | None]],
    *,
    names: tuple[str, str] = ("control", "experiment"),
) -> Paired:
    """Pair two lists of (item id, value or None).

    An item with None in either arm is not paired and lowers the coverage.

    Raises:
        UserError: duplicate ids, ids that only one arm has, NaN or infinities.

    >>> pairs = pair([("a", 0.0), ("b", 1.0), ("c", None)], [("b", 0.5), ("a", 1.0), ("c", 1.0)])
    >>> pairs.ids, pairs.differences.tolist(), round(pairs.coverage, 3)
    (('a', 'b'), [1.0, -0.5], 0.667)
    """
    for name, rows in zip(names, (control, experiment), strict=True):
        twice = [key for key, count in Counter(key for key, _ in rows).items() if count > 1]
        if twice:
            raise UserError(f"{name}: duplicate ids", wanted="each item once", seen=some(twice))
    left, right = dict(control), dict(experiment)
    same_items(left, right, names)
    both = [(key, left[key], right[key]) for key in sorted(left)]
    whole = [(key, before, after) for key, before, after in both if before is not None and after is not None]
    return Paired(
        tuple(key for key, _, _ in whole),
        finite((before for _, before, _ in whole), names[0]),
        finite((after for _, _, after in whole), names[1]),
        len(both),
    )
