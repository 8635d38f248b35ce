"""Where the spread of a measured gain comes from: items, draws, training runs, scenarios.

Each has another cure and another price, so "too little evidence" can only say what would be enough when they are told
apart (`settling`). All estimates are analysis-of-variance moments, unbiased before a negative one is set to 0.

Notation: n items with a judged draw in both arms, S runs (seeds) an arm, K draws of an item in a run, C scenarios. The
gain's variance over such an experiment is

    items / n  +  draws / (n K S)  +  seeds / S  +  scenarios / C

What a run does to single items (`interaction`) is a part of `items`, which holds interaction / S of it; with one run
nothing can tell them apart.

Source: expected mean squares of nested and crossed random effects, Searle, Casella and McCulloch, Variance
Components, 1992; for evaluations, Miller 2024 (arXiv 2411.00640) and seeds, arXiv 2503.07329.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sluicegate.errors import UserError
from sluicegate.stats.results import Floats

Draws = Sequence[Sequence[Sequence[float | None]]]
"""One arm: item → run → draw → value, None where it was not judged."""


@dataclass(frozen=True, slots=True, eq=False)
class _Arm:
    """What one arm says.

    Args:
        means: of each item, over its runs' means over draws, shape (n,).
        draw: variance of one draw, mean over items; None where nothing tells it apart.
        noise: variance of each item's mean by its draws, shape (n,); 0 where `draw` is None.
        seeds: variance of a run's mean beyond items and draws, may be negative; None with one run.
        interaction: variance of an item in a run beyond both and beyond draws, may be negative; None with one run.
    """

    means: Floats
    draw: float | None
    noise: Floats
    seeds: float | None
    interaction: float | None


def components(control: Draws, experiment: Draws, scenarios: Sequence[str] | None = None) -> dict[str, float]:
    """The variance components of an item's difference between the arms, each at least 0.

    Args:
        control, experiment: paired by position, shape (n items, runs, draws) with None (or NaN) where a draw was not
            judged; an item without a value in one arm is left out. The arms may have different runs.
        scenarios: of each item, shape (n,).

    Returns:
        items: variance of q_i - p_i between items (of one scenario, where there are several), the arms' true item
            scores; with a single draw of a single run the draws are in it.
        draws: variance of one draw in each arm, given the item: both arms together. Only where an item has several
            draws or runs in both arms; with single draws of several runs, `interaction` is in it.
        seeds: variance of one run's mean in each arm: both together. Only with several runs in both arms.
        interaction: of one run in each arm on single items, a part of `items`. Only with several runs and draws.
        scenarios: variance of a scenario's gain beyond its items. Only with several scenarios, one of them with
            several items.

        Nothing at all for fewer than two items.

    Raises:
        UserError: infinities.

    >>> control, experiment = [[[0, 0]], [[1, 0]], [[1, 1]]], [[[1, 0]], [[1, 1]], [[1, 1]]]
    >>> {name: round(value, 4) for name, value in components(control, experiment).items()}
    {'items': 0.0, 'draws': 0.3333}
    >>> components([[[0.5]], [[0.0]]], [[[0.5]], [[1.0]]])  # single draws: items and draws together
    {'items': 0.5}
    """
    before, after = _block(control), _block(experiment)
    if len(before) != len(after) or (scenarios is not None and len(scenarios) != len(before)):
        raise ValueError(f"components: wanted paired items, seen {len(before)} and {len(after)}")
    whole = _judged(before) & _judged(after)
    if int(whole.sum()) < 2:
        return {}
    names = np.asarray(scenarios if scenarios is not None else [""] * len(before), dtype=np.str_)[whole]
    return _combined(_arm(before[whole]), _arm(after[whole]), np.unique(names, return_inverse=True)[1])


def _block(arm: Draws) -> Floats:
    """The values, shape (n, runs, draws), NaN where there is none."""
    runs = max((len(item) for item in arm), default=0)
    draws = max((len(run) for item in arm for run in item), default=0)
    if any(len(item) != runs or any(len(run) != draws for run in item) for item in arm):
        arm = [[_padded(item[run] if run < len(item) else (), draws) for run in range(runs)] for item in arm]
    block = np.array(arm, dtype=np.float64).reshape(len(arm), runs, draws)
    if np.isinf(block).any():
        raise UserError("components: values not finite", wanted="numbers, None where not judged", seen="infinity")
    return block


def _padded(run: Sequence[float | None], draws: int) -> list[float | None]:
    return [*run, *[None] * (draws - len(run))]


def _judged(block: Floats) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Items with at least one value."""
    return np.asarray((~np.isnan(block)).any(axis=(1, 2)))


def _arm(block: Floats) -> _Arm:
    counts = (~np.isnan(block)).sum(axis=2)
    present = counts > 0
    means = np.nansum(block, axis=2) / np.maximum(counts, 1)
    squares = np.nansum((block - means[:, :, None]) ** 2, axis=2)
    runs = present.sum(axis=1)
    spare = (counts - present).sum(axis=1)  # degrees of freedom within runs
    seeds, residual = _two_way(means[present.all(axis=1)])
    several = spare > 0
    own = squares.sum(axis=1)[several] / spare[several]
    draw = _mean(own) if several.any() else residual
    single = np.full(len(block), 0.0 if draw is None else draw)
    single[several] = own
    shares = np.divide(1.0, counts, out=np.zeros(counts.shape), where=present)
    told = several.any() and residual is not None
    cells = (single[:, None] * shares)[present.all(axis=1)]
    return _Arm(
        means=np.where(present, means, 0.0).sum(axis=1) / runs,
        draw=draw,
        noise=single * shares.sum(axis=1) / runs**2,
        seeds=seeds,
        interaction=residual - _mean(cells) if told and residual is not None else None,
    )


def _two_way(cells: Floats) -> tuple[float | None, float | None]:
    """Of item × run means: the runs' variance component, and the mean square that is neither item's nor run's."""
    items, runs = cells.shape
    if items < 2 or runs < 2:
        return None, None
    columns = np.array([_mean(column) for column in cells.T])
    away = columns - columns.mean()
    left = cells - cells.mean(axis=1, keepdims=True) - away
    residual = math.fsum((left**2).ravel().tolist()) / ((items - 1) * (runs - 1))
    return float((away**2).sum()) / (runs - 1) - residual / items, residual


def _combined(before: _Arm, after: _Arm, group: np.ndarray[tuple[int], np.dtype[np.int64]]) -> dict[str, float]:
    """Both arms' components, those of the items and scenarios from the differences."""
    gains, n = after.means - before.means, len(group)
    draws = _sum(before.draw, after.draw)
    noise = before.noise + after.noise if draws is not None else np.zeros(n)
    sizes = np.bincount(group)
    if sizes.size == n:  # every item a scenario of its own: they cannot be told apart
        group, sizes = np.zeros(n, dtype=np.int64), np.array([n])
    centres = _group_means(gains, group)
    within = math.fsum(((gains - centres[group]) ** 2).tolist()) / (n - sizes.size)
    drawn = math.fsum((_group_means(noise, group) * (sizes - 1)).tolist()) / (n - sizes.size)
    found = {"items": max(0.0, within - drawn)}
    if draws is not None:
        found["draws"] = draws
    seeds, interaction = _sum(before.seeds, after.seeds), _sum(before.interaction, after.interaction)
    if seeds is not None:
        found["seeds"] = max(0.0, seeds)
    if interaction is not None:
        found["interaction"] = max(0.0, interaction)
    if sizes.size > 1:
        between = math.fsum((sizes * (centres - _mean(gains)) ** 2).tolist()) / (sizes.size - 1)
        usual = (n - math.fsum((sizes**2).tolist()) / n) / (sizes.size - 1)
        found["scenarios"] = max(0.0, (between - within) / usual)
    return found


def _group_means(values: Floats, group: np.ndarray[tuple[int], np.dtype[np.int64]]) -> Floats:
    return np.array([_mean(values[group == which]) for which in range(int(group.max()) + 1)])


def _mean(values: Floats) -> float:
    """The mean, summed exactly, so that the order of the items does not change a bit."""
    return math.fsum(values.ravel().tolist()) / values.size


def _sum(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one + other
