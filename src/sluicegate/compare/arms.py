"""The scores of one arm, laid out by metric, sample, model and draw, and refused where they do not fit together.

A mean over draws that differ in number, or over samples that only one model was asked, compares nothing; so such
scores are refused, with the ids, before anything is computed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from sluicegate.errors import UserError
from sluicegate.records import Score
from sluicegate.stats.pairing import some

Draws = dict[int, float | None]
Table = dict[str, dict[str, Draws]]
"""Sample → model → draw → value."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm's scores of one metric.

    Args:
        table: every sample has the same models, every model the same draws.
    """

    name: str
    metric: str
    table: Table

    @property
    def draws(self) -> int:
        """Draws of each sample and model."""
        return len(next(iter(next(iter(self.table.values())).values())))

    @property
    def models(self) -> list[str]:
        """The training runs of the arm."""
        return sorted(next(iter(self.table.values())))

    def run_mean(self, sample: str, model: str) -> float | None:
        """The mean over the draws that have a value, of one sample in one run."""
        return mean(self.table[sample][model].values())

    def item_mean(self, sample: str) -> float | None:
        """The mean over the runs of their means over draws."""
        return mean(self.run_mean(sample, model) for model in self.table[sample])

    def draws_of(self, samples: Iterable[str]) -> list[list[list[float | None]]]:
        """Every value, sample → run → draw, in the order of the samples, the models' names and the draws' numbers."""
        return [
            [[values[draw] for draw in sorted(values)] for _, values in sorted(self.table[sample].items())]
            for sample in samples
        ]

    def values(self) -> Iterable[float]:
        """Every value there is."""
        for models in self.table.values():
            for draws in models.values():
                yield from (value for value in draws.values() if value is not None)

    def scores(self) -> Iterator[Score]:
        """The scores that it was laid out from, without their reasons."""
        for sample, models in self.table.items():
            for model, draws in models.items():
                for draw, value in draws.items():
                    yield Score(sample, model, draw, self.metric, value, "no value" if value is None else "")

    def binary(self) -> bool:
        """Whether every value is a pass or a fail."""
        return all(value in (0.0, 1.0) for value in self.values())


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of what there is, summed exactly so that the order does not count; None where there is nothing.

    >>> mean([1.0, None, 0.0]), mean([None])
    (0.5, None)
    """
    present = [value for value in values if value is not None]
    return math.fsum(present) / len(present) if present else None


def lay_out(scores: Iterable[Score], name: str) -> dict[str, Arm]:
    """One arm's scores by metric.

    Raises:
        UserError: no scores, the same score twice, samples or draws that differ from run to run.
    """
    tables: dict[str, Table] = {}
    twice: list[str] = []
    for score in scores:
        draws = tables.setdefault(score.metric, {}).setdefault(score.sample_id, {}).setdefault(score.model, {})
        if score.draw in draws:
            twice.append(f"{score.metric} of {score.sample_id}, model {score.model}, draw {score.draw}")
        draws[score.draw] = score.value
    if not tables:
        raise UserError(
            f"{name}: no scores",
            wanted="at least one score in each arm",
            seen="none",
            mend="run `sluicegate evaluate` for this arm first",
        )
    if twice:
        raise UserError(
            f"{name}: {len(twice)} scores given twice",
            wanted="one score for each sample, model, draw and metric",
            seen=some(twice),
            mend="name each score file once; several draws of a sample need a draw column",
        )
    for metric, table in tables.items():
        _same_runs(f"{name}, {metric}", table)
    return {metric: Arm(name, metric, table) for metric, table in tables.items()}


def _same_runs(where: str, table: Table) -> None:
    """Refuse samples that have other models or other draws than most have."""
    models = {model for rows in table.values() for model in rows}
    missing = [f"{sample} ({model})" for sample, rows in table.items() for model in models - set(rows)]
    if missing:
        raise UserError(
            f"{where}: {len(missing)} samples without scores of a model",
            wanted=f"every sample scored for each of {some(models)}",
            seen=some(missing),
            mend="evaluate every model of the arm on the same test file",
        )
    counts: dict[tuple[int, ...], list[str]] = {}
    for sample, rows in table.items():
        for model, draws in rows.items():
            counts.setdefault(tuple(sorted(draws)), []).append(f"{sample} ({model})")
    if len(counts) > 1:
        usual, *others = sorted(counts.items(), key=lambda item: -len(item[1]))
        odd = [place for _, places in others for place in places]
        raise UserError(
            f"{where}: the draws differ",
            wanted=f"the {len(usual[0])} draws of most samples for every sample",
            seen=some(odd),
            mend="finish the evaluation of this arm; what cannot be judged is a score with value null",
        )


def same_draws(control: Arm, experiment: Arm) -> None:
    """Refuse arms with different numbers of draws.

    Raises:
        UserError: with both numbers.
    """
    if control.draws != experiment.draws:
        raise UserError(
            f"{control.metric}: the arms have different draws",
            wanted="as many draws a sample in both arms",
            seen=f"{control.draws} in {control.name}, {experiment.draws} in {experiment.name}",
            mend="generate both arms with the same --draws",
        )


def shared_metrics(
    control: Mapping[str, Arm], experiment: Mapping[str, Arm], names: tuple[str, str], wanted: list[str] | None
) -> list[str]:
    """The metrics to compare, in the order asked for, else by name.

    Raises:
        UserError: a metric that an arm does not have.
    """
    asked = wanted if wanted is not None else sorted({*control, *experiment})
    faults = [
        f"{metric} not in {name}"
        for metric in asked
        for name, arm in zip(names, (control, experiment), strict=True)
        if metric not in arm
    ]
    if faults:
        raise UserError(
            "one-sided scores",
            wanted="every metric in both arms",
            seen=f"{'; '.join(faults)}; {names[0]} has {some(control)}; {names[1]} has {some(experiment)}",
            mend="evaluate both arms with the same metrics, or name the metrics to compare",
        )
    return asked
