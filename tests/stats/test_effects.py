"""Effect sizes against their definitions, and where they do not exist."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

from sluicegate import stats
from sluicegate.stats.effects import small_sample


def test_cliffs_delta_against_all_pairs() -> None:
    rng = np.random.default_rng(0)
    before, after = rng.integers(0, 6, 40) / 5, rng.integers(0, 6, 30) / 5
    dominance = np.sign(after[:, None] - before[None, :]).mean()
    assert stats.cliffs_delta(before, after).value == pytest.approx(dominance, abs=1e-12)


def test_d_z_and_g_av_against_their_definitions() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.random(20), rng.random(20)
    gain = after - before
    assert stats.d_z(gain).value == pytest.approx(gain.mean() / gain.std(ddof=1))
    spread = math.sqrt((before.var(ddof=1) + after.var(ddof=1)) / 2)
    correction = special.gamma(19) / (math.sqrt(19) * special.gamma(18.5))
    assert stats.hedges_g_av(before, after).value == pytest.approx(gain.mean() / spread * correction, abs=1e-9)


def test_the_correction_is_near_its_usual_approximation() -> None:
    assert small_sample(38) == pytest.approx(1 - 3 / (4 * 38 - 1), abs=1e-4)


@pytest.mark.parametrize("values", [[], [0.5], [0.5, 0.5]])
def test_no_spread_no_effect_size(values: list[float]) -> None:
    for found in (stats.d_z(values), stats.hedges_g_av(values, values)):
        assert found.value is None
        assert found.note
        assert found.n == len(values)


def test_every_effect_is_called_by_its_full_name() -> None:
    assert stats.d_z([0, 1]).method == "d_z"
    assert stats.hedges_g_av([0, 1], [1, 1]).method == "Hedges g_av"
    assert stats.cliffs_delta([0, 1], [1, 1]).method == "Cliff's delta"
    assert stats.cliffs_delta([], [1]).value is None
