"""What is shown beside a decision: pass@k, the GRIM check, posterior probabilities; and pairing."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as peer

from sluicegate import stats
from sluicegate.errors import UserError
from sluicegate.stats.bayes import effective_draws, intraclass


def test_pass_at_k_is_the_share_of_subsets_with_a_pass() -> None:
    for draws, k in ((5, 2), (6, 3), (4, 4)):
        for successes in range(draws + 1):
            outcomes = [True] * successes + [False] * (draws - successes)
            subsets = [any(subset) for subset in itertools.combinations(outcomes, k)]
            assert stats.item_pass_at_k(successes, draws, k) == pytest.approx(sum(subsets) / len(subsets), abs=1e-12)


def test_pass_at_k_and_its_draw_variance_are_unbiased() -> None:
    n, k, p = 8, 3, 0.3
    chances = peer.binom.pmf(range(n + 1), n, p)
    values = [stats.item_pass_at_k(c, n, k) for c in range(n + 1)]
    mean = float(np.dot(chances, values))
    assert mean == pytest.approx(1 - (1 - p) ** k, abs=1e-12)
    variance = float(np.dot(chances, (np.array(values) - mean) ** 2))
    estimates = [stats.pass_at_k([c], n, k).draw_variance or 0.0 for c in range(n + 1)]
    assert min(estimates) >= 0
    assert float(np.dot(chances, estimates)) == pytest.approx(variance, abs=1e-12)


def test_pass_at_k_refuses_what_it_cannot_know() -> None:
    with pytest.raises(UserError, match="too few draws"):
        stats.item_pass_at_k(1, 3, 5)
    with pytest.raises(UserError, match="counts"):
        stats.item_pass_at_k(4, 3, 1)
    with pytest.raises(UserError, match="lengths"):
        stats.pass_at_k([1, 2], [3], 1)
    assert stats.pass_at_k([], 5, 1).value is None
    few = stats.pass_at_k([1, 2], 3, 2)
    assert few.draw_variance is None and "4 draws" in few.note
    assert stats.pass_at_k([1], 3, 1).variance is None


@given(st.integers(1, 400), st.data(), st.integers(0, 3))
def test_grim_accepts_every_percentage_that_counts_give(n: int, data: st.DataObject, decimals: int) -> None:
    count = data.draw(st.integers(0, n))
    assert stats.grim(f"{100 * count / n:.{decimals}f}", n).consistent


@pytest.mark.parametrize(("percent", "n"), [("96.3", 16), ("87.3", 16 * 11), ("33.4%", 15), ("99.99", 15)])
def test_grim_finds_unreachable_percentages(percent: str, n: int) -> None:
    found = stats.grim(percent, n)
    assert not found.consistent
    low, high = found.nearest
    assert low < float(percent.rstrip("%")) < high


def test_grim_says_when_it_shows_nothing_and_refuses_nonsense() -> None:
    assert stats.grim("12.3", 1000).note
    assert not stats.grim("12.3", 999).note
    for percent, n in (("abc", 10), ("101", 10), ("-1", 10), ("NaN", 10), ("50", 0)):
        with pytest.raises(UserError, match="grim"):
            stats.grim(percent, n)


def test_posterior_agrees_with_sampling() -> None:
    before, after = np.array([1.0] * 8 + [0.0] * 12), np.array([1.0] * 13 + [0.0] * 7)
    found = stats.posterior(before, after, 1, minimum=0.1)
    rng = np.random.default_rng(0)
    gain = rng.beta(14, 8, 400_000) - rng.beta(9, 13, 400_000)
    assert found.p_positive == pytest.approx((gain > 0).mean(), abs=0.003)
    assert found.p_minimum == pytest.approx((gain > 0.1).mean(), abs=0.003)
    assert found.trials == (20.0, 20.0)


def test_draws_of_one_item_are_not_items() -> None:
    rng = np.random.default_rng(1)
    same = rng.binomial(10, 0.5, 2000) / 10
    mixed = rng.binomial(10, rng.beta(0.5, 0.5, 2000)) / 10
    assert intraclass(same, 10) == pytest.approx(0, abs=0.02)
    assert intraclass(mixed, 10) == pytest.approx(0.5, abs=0.04)
    assert effective_draws(mixed, 10) < 0.25 * 20_000
    assert effective_draws(np.zeros(7), 10) == 7


def test_posterior_of_nothing_is_nothing() -> None:
    assert stats.posterior([], [], 1).p_positive is None
    with pytest.raises(UserError, match="shares"):
        stats.posterior([1.5], [0.5], 1)


def test_pairing_refuses_duplicates_strangers_and_bad_numbers() -> None:
    with pytest.raises(UserError, match="duplicate") as duplicate:
        stats.pair([("a", 1.0), ("a", 0.0)], [("a", 1.0)])
    assert "a" in duplicate.value.seen
    with pytest.raises(UserError, match="do not pair") as strangers:
        stats.pair([("a", 1.0), ("b", 1.0)], [("a", 1.0), ("c", 1.0)], names=("old.jsonl", "new.jsonl"))
    assert "only in old.jsonl: b" in strangers.value.seen
    assert "only in new.jsonl: c" in strangers.value.seen
    with pytest.raises(UserError, match="not finite"):
        stats.pair([("a", math.nan)], [("a", 1.0)])


def test_pairing_of_nothing_covers_nothing() -> None:
    assert stats.pair([], []).coverage == 0.0
    none = stats.pair([("a", None)], [("a", None)])
    assert (none.ids, none.items, none.coverage) == ((), 1, 0.0)
