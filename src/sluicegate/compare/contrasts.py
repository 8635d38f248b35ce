"""Comparisons beside the one that decides: arms held against others, each in a file of its own, read together.

They answer other questions than the study's, so they spend nothing of its alpha and open no gate; over them the p of
the primary metric is adjusted by Holm.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sluicegate import stats
from sluicegate.compare.files import read
from sluicegate.records import Comparison

CONTRASTS: Final = "contrasts"
"""In a run folder: the folder of their files, `<arm>.json`."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """An arm compared with another one.

    Args:
        arm, against: their names; the gain is arm - against.
        rows: the primary metric first, its `p_adjusted` Holm's over all contrasts; that of the others over this one.
    """

    arm: str
    against: str
    primary: str
    level: float
    rows: tuple[Comparison, ...]


def read_contrasts(paths: Iterable[Path]) -> tuple[Contrast, ...]:
    """The contrasts in these files, in their order.

    Raises:
        UserError: as `read`.
    """
    found = [read(path) for path in paths]
    return adjusted([Contrast(row.experiment, row.control, row.primary, row.level, row.comparisons) for row in found])


def adjusted(contrasts: Sequence[Contrast]) -> tuple[Contrast, ...]:
    """With the p of the primary metric adjusted over all of them.

    >>> row = Comparison("m", 9, 0.1, 0.2, 0.1, 0.0, 0.2, 0.02, 0.02, 0.9, "t", 0, 1.0)
    >>> one, other = (Contrast(arm, "x", "m", 0.9, (row,)) for arm in "ab")
    >>> [found.rows[0].p_adjusted for found in adjusted([one, other])]
    [0.04, 0.04]
    """
    corrected = stats.holm([each.rows[0].p for each in contrasts])
    return tuple(
        replace(each, rows=(replace(each.rows[0], p_adjusted=p), *each.rows[1:]))
        for each, p in zip(contrasts, corrected, strict=True)
    )
