"""What scores come to: means and coverage of each metric, one row at a time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sluicegate import judge
from sluicegate.evaluators.baselines import NO_MODEL, Row
from sluicegate.records import Score


def out_of_budget(scores: Iterable[Score]) -> int:
    """Rows that are not judged because the judge's cap did not allow it; a larger one lets them be."""
    return sum(row.value is None and row.why.startswith(judge.OUT_OF_BUDGET) for row in scores)


class _Sum:
    """The mean of the samples' means over draws; a sample's rows stand together, as in a score file."""

    def __init__(self) -> None:
        self.rows = self.judged = self._samples = 0
        self._means = self._total = 0.0
        self._count, self._sample = 0, ""

    def add(self, row: Score) -> None:
        self.rows += 1
        if row.value is None:
            return
        if row.sample_id != self._sample:
            self._close()
            self._sample = row.sample_id
        self.judged += 1
        self._count += 1
        self._total += row.value

    def _close(self) -> None:
        if self._count:
            self._samples += 1
            self._means += self._total / self._count
        self._total, self._count = 0.0, 0

    def figures(self) -> tuple[str, str, str]:
        """Mean, samples judged, coverage."""
        self._close()
        mean = self._means / self._samples if self._samples else None
        return _mean(mean), str(self._samples), f"{self.judged / self.rows:.0%}"


def summary(scores: Iterable[Score], fixed: Sequence[Row] = ()) -> str:
    """A text table: model, metric, mean over samples, samples judged, share of rows judged.

    Args:
        scores: the rows of one model and sample together.
        fixed: what answers of no model score on the same samples, shown below the models.

    >>> print(summary([Score("a", "m", 0, "f1", 1.0), Score("b", "m", 0, "f1", None, "no tests")]))
    model  metric   mean  n  coverage
    m      f1      1.000  1       50%
    """
    groups: dict[tuple[str, str], _Sum] = {}
    for row in scores:
        groups.setdefault((row.model, row.metric), _Sum()).add(row)
    table = [("model", "metric", "mean", "n", "coverage")]
    table += [(model, metric, *found.figures()) for (model, metric), found in groups.items()]
    table += [
        (f"{row.name} {NO_MODEL}", row.metric, _mean(row.mean), str(row.n), f"{row.coverage:.0%}") for row in fixed
    ]
    wide = [max(len(row[column]) for row in table) for column in range(5)]
    sides = "<<>>>"
    return "\n".join(
        "  ".join(f"{text:{side}{width}}" for text, side, width in zip(row, sides, wide, strict=True)) for row in table
    )


def _mean(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
