"""What a comparison carries beside its test: effect sizes, tests over other units, and where the variance comes from.

Shown, and read by criteria; the test and the interval of the gain are in `comparing`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sluicegate import stats
from sluicegate.compare.arms import Arm, mean
from sluicegate.errors import UserError
from sluicegate.stats.pairing import some
from sluicegate.stats.recipe import CLUSTERS_TO_DECIDE

Effects = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is the same for every metric."""

    level: float
    alternative: stats.Alternative
    seed: int
    minimum: float | None
    scenarios: Mapping[str, str] | None


def variance(
    control: Arm, experiment: Arm, pairs: stats.Paired, scenarios: Mapping[str, str] | None
) -> dict[str, float]:
    """The variance components of the difference, from every draw of the paired samples."""
    names = None if scenarios is None else _scenarios(pairs, scenarios)
    return stats.components(control.draws_of(pairs.ids), experiment.draws_of(pairs.ids), names)


def effects(control: Arm, experiment: Arm, pairs: stats.Paired, draws: float | None, asked: Asked) -> Effects:
    """Those of a metric with at least one paired sample; None for what cannot be computed."""
    gains = pairs.differences
    found: Effects = {
        "d_z": stats.d_z(gains).value,
        "hedges_g_av": stats.hedges_g_av(pairs.control, pairs.experiment).value,
        "cliffs_delta": stats.cliffs_delta(pairs.control, pairs.experiment).value,
        "t_p": stats.paired_t(gains, alternative=asked.alternative).p,
        "wilcoxon_p": stats.wilcoxon(gains, alternative=asked.alternative).p,
    }
    if draws is not None:
        found |= _pass_effects(pairs, draws, asked)
    if asked.scenarios is not None:
        found |= _cluster_effects(pairs, asked, asked.scenarios)
    if min(len(control.models), len(experiment.models)) > 1:
        found |= _seed_effects(control, experiment, pairs, asked)
    return found


def _pass_effects(pairs: stats.Paired, draws: float, asked: Asked) -> Effects:
    """For display: posterior probabilities, and the mid-p of single draws."""
    belief = stats.posterior(pairs.control, pairs.experiment, draws, minimum=asked.minimum or 0.0)
    found = {"p_gain_positive": belief.p_positive}
    if asked.minimum is not None:
        found["p_gain_minimum"] = belief.p_minimum
    if np.isin(np.concatenate([pairs.control, pairs.experiment]), (0.0, 1.0)).all() and draws == 1:
        test = stats.mcnemar(pairs.control, pairs.experiment, alternative=asked.alternative, mid=True)
        found["mcnemar_mid_p"] = test.p
    return found


def _scenarios(pairs: stats.Paired, scenarios: Mapping[str, str]) -> list[str]:
    unknown = [sample for sample in pairs.ids if sample not in scenarios]
    if unknown:
        raise UserError("scenarios: samples missing", wanted="a scenario for each sample", seen=some(unknown))
    return [scenarios[sample] for sample in pairs.ids]


def _cluster_effects(pairs: stats.Paired, asked: Asked, scenarios: Mapping[str, str]) -> Effects:
    found = stats.cluster_robust(
        pairs.differences, _scenarios(pairs, scenarios), alternative=asked.alternative, level=asked.level
    )
    return {"cluster_low": found.low, "cluster_high": found.high, "cluster_p": found.p}


def _seed_effects(control: Arm, experiment: Arm, pairs: stats.Paired, asked: Asked) -> Effects:
    """Over the runs of each arm: Welch's t on the paired samples, and runs crossed with those that every run has."""
    before, after = (
        [mean(arm.run_mean(sample, model) for sample in pairs.ids) for model in arm.models]
        for arm in (control, experiment)
    )
    over_runs = stats.seed_level(
        [value for value in before if value is not None],
        [value for value in after if value is not None],
        alternative=asked.alternative,
        level=asked.level,
    )
    crossed = _recipe(control, experiment, pairs, asked)
    return {
        "seeds_low": over_runs.low, "seeds_high": over_runs.high, "seeds_p": over_runs.p,
        "recipe_low": crossed.low, "recipe_high": crossed.high, "recipe_p": crossed.p,
    }  # fmt: skip


def _recipe(control: Arm, experiment: Arm, pairs: stats.Paired, asked: Asked) -> stats.Estimate:
    before, after = (
        {sample: [arm.run_mean(sample, model) for model in arm.models] for sample in pairs.ids}
        for arm in (control, experiment)
    )
    whole = [sample for sample in pairs.ids if None not in before[sample] and None not in after[sample]]
    names = [asked.scenarios[sample] for sample in whole] if asked.scenarios is not None else []
    many = len(set(names)) >= CLUSTERS_TO_DECIDE
    return stats.recipe_level(
        _by_run([before[sample] for sample in whole], len(control.models)),
        _by_run([after[sample] for sample in whole], len(experiment.models)),
        clusters=names if many else None,
        alternative=asked.alternative,
        level=asked.level,
    )


def _by_run(samples: list[list[float | None]], runs: int) -> list[list[float]]:
    """Sample × run turned round."""
    return [[value for sample in samples if (value := sample[run]) is not None] for run in range(runs)]
