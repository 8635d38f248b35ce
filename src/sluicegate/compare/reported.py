"""Percentages that somebody reports without the scores: can they come from that many items at all?"""

from __future__ import annotations

from collections.abc import Sequence

from sluicegate.errors import UserError
from sluicegate.stats import Grim, grim


def reachable(percents: Sequence[str], items: int, parts: int = 1) -> list[str]:
    """The GRIM check of each reported percentage, a line each.

    Args:
        percents: as written, for their decimals count: `"87.3"`, `"87.30%"`.
        items: that were judged.
        parts: yes-or-no checks of each item (or draws), where the percentage is a mean over those.

    Raises:
        UserError: not a percentage, or no items.

    >>> print("\\n".join(reachable(["96.3"], 16)))
    96.3% of 16: not reachable; the nearest are 93.75% (15 of 16) and 100% (16 of 16)
    >>> print("\\n".join(reachable(["93.8", "50"], 16)))
    93.8% of 16: reachable (15 of 16)
    50% of 16: reachable (8 of 16)
    """
    if min(items, parts) < 1:
        raise UserError("grim: nothing to count", wanted="1 or more items and parts", seen=f"{items} and {parts}")
    return [_line(grim(percent, items * parts), items, parts) for percent in percents]


def _line(found: Grim, items: int, parts: int) -> str:
    of = f"{found.n}" if parts == 1 else f"{items} × {parts} = {found.n}"
    said = f"{found.reported.strip().removesuffix('%')}% of {of}"
    counts = [round(near * found.n / 100) for near in found.nearest]
    if found.consistent:
        value = float(found.reported.strip().removesuffix("%"))
        count = min(counts, key=lambda each: abs(100 * each / found.n - value))
        return f"{said}: reachable ({count} of {found.n})" + (f"; {found.note}" if found.note else "")
    below, above = (f"{near:.6g}% ({count} of {found.n})" for near, count in zip(found.nearest, counts, strict=True))
    return f"{said}: not reachable; the nearest are {below} and {above}"
