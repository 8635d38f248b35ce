"""Comparisons of two arms: one row a metric, from the items that both arms have a value for.

The test is the paired sign-flip (exact for draws), the interval `stats.gain_interval`, the secondaries are adjusted
by Holm. Swapping the arms mirrors gain, low and high to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from sluicegate import stats
from sluicegate.compare.arms import Arm, lay_out, same_draws, shared_metrics
from sluicegate.compare.effects import Asked, effects, variance
from sluicegate.compare.reduction import PASSES, reduce_pass_at_k
from sluicegate.errors import UserError
from sluicegate.records import Comparison, Score
from sluicegate.stats.pairing import some
from sluicegate.stats.results import between

FEW = 15
"""Samples below which the simulated coverage of the intervals is not known to hold."""
FEW_DIFFER = 10
"""Samples with a gain or a loss below which the interval of pass/fail draws is no more than rough."""


def compare(
    control: Iterable[Score],
    experiment: Iterable[Score],
    *,
    primary: str,
    metrics: Iterable[str] | None = None,
    seed: int = 0,
    level: float = 0.95,
    alternative: stats.Alternative = "greater",
    scenarios: Mapping[str, str] | None = None,
    minimum: float | None = None,
    names: tuple[str, str] = ("control", "experiment"),
) -> list[Comparison]:
    """Compare two arms metric by metric, the primary first.

    A sample's score is the mean over the draws with a value of each model (seed) of its arm, then over the models. A
    sample without a value in one arm is not paired and lowers the coverage. Where `functional_correctness` has
    several draws K, pass@1 and pass@K are added as secondaries.

    Args:
        control, experiment: gone through once; what is kept of a score is its value and its place.
        primary: the metric that may decide.
        metrics: the others to compare; None for all that the scores have.
        seed: of the resampling.
        level: of the two-sided intervals, in (0, 1).
        alternative: of p; `greater` tests "gain ≤ 0".
        scenarios: sample id → scenario; adds cluster_low, cluster_high, cluster_p to the effects, and the scenarios'
            part to the variance.
        minimum: smallest gain of interest, in points; adds p_gain_minimum for pass/fail metrics.
        names: what messages call the arms: their names or files.

    Returns:
        Rows whose effects hold d_z, hedges_g_av, cliffs_delta; t_p and wilcoxon_p; mcnemar_mid_p for single
        pass/fail draws; p_gain_positive for pass/fail draws; seeds_low, seeds_high, seeds_p (over models) and
        recipe_low, recipe_high, recipe_p (over models and samples) with two or more models in each arm. `variance` is
        what `stats.components` finds, nothing for fewer than two samples.

    Raises:
        UserError: an arm without scores or without a metric, scores given twice, samples or draws that do not pair,
            a level, minimum or seed out of range.
    """
    between("level", level, 0, 1)
    if seed < 0:
        raise UserError("seed: out of range", wanted="0 or more", seen=f"{seed}")
    if minimum is not None:
        between("minimum", minimum, -1, 1)
    arms = (lay_out(control, names[0]), lay_out(experiment, names[1]))
    listed = None if metrics is None else list(dict.fromkeys((primary, *metrics)))
    chosen = shared_metrics(*arms, names, listed)
    if primary not in chosen:
        seen = f"the scores have {some(chosen)}"
        raise UserError(f"primary metric {primary!r}: not scored", wanted="a metric of both arms", seen=seen)
    for metric in chosen:
        same_draws(arms[0][metric], arms[1][metric])
    for k in _extra(arms[0], chosen):
        for arm, name in zip(arms, names, strict=True):
            arm.update(lay_out(reduce_pass_at_k(arm[PASSES].scores(), k), name))
        chosen.append(f"pass@{k}")
    asked = Asked(level, alternative, seed, minimum, scenarios)
    ordered = [primary, *(metric for metric in chosen if metric != primary)]
    return _adjusted([_row(arms[0][metric], arms[1][metric], asked) for metric in ordered])


def _extra(arm: Mapping[str, Arm], chosen: list[str]) -> list[int]:
    """The k of the pass@k to add: 1 and K where there are several draws."""
    if PASSES not in chosen or arm[PASSES].draws < 2:
        return []
    return [k for k in (1, arm[PASSES].draws) if f"pass@{k}" not in chosen]


def _adjusted(rows: list[Comparison]) -> list[Comparison]:
    """Holm over the secondaries; the primary keeps its p."""
    first, *others = rows
    corrected = stats.holm([row.p for row in others])
    return [
        replace(first, p_adjusted=first.p),
        *(replace(row, p_adjusted=p) for row, p in zip(others, corrected, strict=True)),
    ]


def _row(control: Arm, experiment: Arm, asked: Asked) -> Comparison:
    pairs = stats.pair(
        [(sample, control.item_mean(sample)) for sample in control.table],
        [(sample, experiment.item_mean(sample)) for sample in experiment.table],
        names=(f"{control.name}, {control.metric}", f"{experiment.name}, {control.metric}"),
    )
    n = len(pairs.ids)
    draws = _binary_draws(control, experiment, pairs) if n else None
    interval = stats.gain_interval(pairs.differences, level=asked.level, draws=draws, seed=asked.seed)
    test = stats.sign_flip(pairs.differences, alternative=asked.alternative, seed=asked.seed)
    return Comparison(
        metric=control.metric,
        n=n,
        control=_mean(pairs.control.tolist()),
        experiment=_mean(pairs.experiment.tolist()),
        gain=interval.estimate,
        low=interval.low,
        high=interval.high,
        p=test.p,
        p_adjusted=None,
        level=asked.level,
        method=f"{test.method}; interval: {interval.method}" if n else "none: no pairs",
        seed=asked.seed,
        coverage=pairs.coverage,
        control_interval=_arm_interval(pairs.control.tolist(), draws, asked),
        experiment_interval=_arm_interval(pairs.experiment.tolist(), draws, asked),
        effects=effects(control, experiment, pairs, draws, asked) if n else {},
        note="; ".join(_notes(pairs, interval.note, control, binary=draws is not None)),
        variance=variance(control, experiment, pairs, asked.scenarios),
    )


def _arm_interval(values: list[float], draws: float | None, asked: Asked) -> tuple[float, float] | None:
    found = stats.mean_interval(values, level=asked.level, draws=draws)
    return None if found.low is None or found.high is None else (found.low, found.high)


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _binary_draws(control: Arm, experiment: Arm, pairs: stats.Paired) -> float | None:
    """Pass/fail values an item, over draws and models, in the arm that has fewer; None for other scores."""
    if not (control.binary() and experiment.binary()):
        return None
    counts = [
        sum(
            value is not None
            for sample in pairs.ids
            for draws in arm.table[sample].values()
            for value in draws.values()
        )
        for arm in (control, experiment)
    ]
    return min(counts) / len(pairs.ids)


def _notes(pairs: stats.Paired, interval: str, arm: Arm, *, binary: bool) -> list[str]:
    notes = []
    if not pairs.ids:
        return [f"no sample has a value of {arm.metric} in both arms"]
    if len(pairs.ids) < pairs.items:
        notes.append(f"{pairs.items - len(pairs.ids)} of {pairs.items} samples have no value in one arm")
    differ = int(np.count_nonzero(pairs.differences))
    if len(pairs.ids) < FEW:
        notes.append(f"fewer than {FEW} samples: the interval is rough")
    elif binary and 0 < differ < FEW_DIFFER:
        notes.append(f"only {differ} samples differ: the interval is rough, more often too wide than too narrow")
    if interval:
        notes.append(interval)
    return notes
