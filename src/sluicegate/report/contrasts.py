"""The comparisons beside the one that decides, as contrasts/<arm>.json tell them: cells for the page and the text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sluicegate.compare import CONTRASTS, Contrast
from sluicegate.compare.contrasts import adjusted
from sluicegate.compare.files import read
from sluicegate.report.clean import NONE, chance, one_line, points, share
from sluicegate.report.reader import Reader
from sluicegate.study import Study

TITLE: Final = "Beside the question"
HEAD: Final = ("metric", "n", "other", "this", "gain", "interval", "p", "adjusted")
NOTE: Final = (
    "Arms that the study holds against others, paired by sample. They spend no alpha and open no gate. The p of the "
    "primary metric, which is marked, is adjusted by Holm over these arms; that of the others over the metrics of an "
    "arm."
)


def read_all(reader: Reader, study: Study | None) -> tuple[Contrast, ...]:
    """Those that are there, in the study's order."""
    names = [f"{CONTRASTS}/{arm}.json" for arm in (study.against if study else ())]
    found = [reader.read(name, read, None) for name in names if (reader.root / name).exists()]
    return adjusted(
        [Contrast(row.experiment, row.control, row.primary, row.level, row.comparisons) for row in found if row]
    )


def cells(contrast: Contrast) -> Sequence[tuple[str, ...]]:
    """The rows of one contrast, as under HEAD; the primary metric first."""
    return [
        (
            one_line(row.metric, 24) + (" *" if row.metric == contrast.primary else ""), f"{row.n:,}",
            share(row.control), share(row.experiment), points(row.gain),
            NONE if row.low is None or row.high is None else f"{points(row.low)} to {points(row.high)}",
            chance(row.p), chance(row.p_adjusted),
        )
        for row in contrast.rows
    ]  # fmt: skip


def title(contrast: Contrast) -> str:
    """Who is held against whom."""
    return f"{one_line(contrast.arm, 40)} against {one_line(contrast.against, 40)}, {contrast.level:.0%} intervals"
