"""Comparisons: pairing and coverage, mirror images, Holm, pass@k, and scores that do not fit together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate import stats
from sluicegate.compare import compare, reduce_pass_at_k
from sluicegate.compare.reduction import PASSES
from sluicegate.errors import UserError
from sluicegate.records import Comparison, Score


def scores(values: Sequence[Sequence[float | None]], *, model: str = "m", metric: str = PASSES) -> list[Score]:
    """One row of draws a sample, samples named s00, s01 and so on."""
    return [
        Score(f"s{sample:02d}", model, draw, metric, value, "" if value is not None else "sandbox failed")
        for sample, draws in enumerate(values)
        for draw, value in enumerate(draws)
    ]


def drawn(seed: int, rate: float, *, samples: int = 20, draws: int = 4, model: str = "m") -> list[Score]:
    rng = np.random.default_rng(seed)
    return scores((rng.random((samples, draws)) < rate).astype(float).tolist(), model=model)


def continuous(seed: int, *, samples: int = 60, metric: str = "codebleu") -> list[Score]:
    rng = np.random.default_rng(seed)
    return scores(rng.random((samples, 1)).tolist(), metric=metric)


def row(rows: list[Comparison], metric: str) -> Comparison:
    return next(found for found in rows if found.metric == metric)


def test_a_sample_counts_by_the_mean_of_its_draws_and_models() -> None:
    control = scores([[0, 0], [1, 0]]) + scores([[1, 0], [1, 1]], model="m2")
    experiment = scores([[1, 1], [1, 1]])
    found = compare(control, experiment, primary=PASSES)[0]
    assert (found.n, found.coverage) == (2, 1.0)
    assert found.control == pytest.approx((0.25 + 0.75) / 2)
    assert found.gain == pytest.approx(0.5)


def test_a_value_that_is_none_is_left_out_and_lowers_coverage() -> None:
    control = scores([[None, 1.0], [None, None], [0.0, 0.0]])
    experiment = scores([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]])
    found = compare(control, experiment, primary=PASSES)[0]
    assert (found.n, found.control, found.experiment) == (2, 0.5, 0.75)
    assert found.coverage == pytest.approx(2 / 3)
    assert "1 of 3 samples have no value in one arm" in found.note


def test_none_everywhere_is_a_row_without_numbers() -> None:
    control, experiment = scores([[None], [None]]), scores([[1.0], [1.0]])
    found = compare(control, experiment, primary=PASSES)[0]
    assert (found.n, found.coverage) == (0, 0.0)
    assert (found.control, found.gain, found.low, found.p, found.p_adjusted) == (None, None, None, None, None)
    assert "no sample has a value" in found.note


@pytest.mark.parametrize("make", [drawn, lambda seed, _: continuous(seed)])
def test_swapping_the_arms_mirrors_the_comparison_to_the_last_bit(make: object) -> None:
    control, experiment = make(1, 0.4), make(2, 0.6)  # type: ignore[operator]
    metric = control[0].metric
    there = row(compare(control, experiment, primary=metric), metric)
    back = row(compare(experiment, control, primary=metric, alternative="less"), metric)
    assert there.gain is not None and there.low is not None and there.high is not None
    assert (back.gain, back.low, back.high) == (-there.gain, -there.high, -there.low)
    assert back.p == there.p
    for name in ("d_z", "hedges_g_av", "cliffs_delta"):
        assert back.effects[name] == -(there.effects[name] or 0.0)


VALUES = st.one_of(st.none(), st.sampled_from([0.0, 1.0]), st.floats(0, 1, allow_subnormal=False))


@st.composite
def two_arms(draw: st.DrawFn) -> tuple[list[list[Score]], dict[str, str]]:
    """Arms of a few samples with every pattern of runs, draws and values that are None."""
    samples, draws = draw(st.integers(1, 9)), draw(st.integers(1, 3))
    values = draw(st.sampled_from([VALUES, st.sampled_from([None, 0.0, 1.0])]))
    arms = []
    for name in ("c", "e"):
        block = st.lists(st.lists(values, min_size=draws, max_size=draws), min_size=samples, max_size=samples)
        arms.append(
            [row for run in range(draw(st.integers(1, 3))) for row in scores(draw(block), model=f"{name}{run}")]
        )
    groups = draw(st.lists(st.sampled_from("abcdef"), min_size=samples, max_size=samples))
    return arms, {f"s{n:02d}": group for n, group in enumerate(groups)}


@given(two_arms(), st.booleans())
@settings(max_examples=40, deadline=None)
def test_any_two_arms_have_a_mirror_image(drawn: tuple[list[list[Score]], dict[str, str]], clustered: bool) -> None:
    (control, experiment), scenarios = drawn
    given_scenarios = scenarios if clustered else None
    there = compare(control, experiment, primary=PASSES, scenarios=given_scenarios)
    back = compare(experiment, control, primary=PASSES, scenarios=given_scenarios, alternative="less")
    for one, other in zip(there, back, strict=True):
        assert (one.n, one.coverage, one.p, one.variance) == (other.n, other.coverage, other.p, other.variance)
        assert (one.gain, one.low, one.high) == (negated(other.gain), negated(other.high), negated(other.low))
        assert (one.control, one.control_interval) == (other.experiment, other.experiment_interval)
        assert all(value is None or np.isfinite(value) for value in (*one.effects.values(), *one.variance.values()))
        for name in ("seeds", "cluster", "recipe"):
            assert one.effects.get(f"{name}_p") == other.effects.get(f"{name}_p")
            assert one.effects.get(f"{name}_low") == negated(other.effects.get(f"{name}_high"))


def negated(value: float | None) -> float | None:
    return None if value is None else -value


def test_the_variance_is_that_of_the_paired_draws() -> None:
    control, experiment = drawn(1, 0.4), drawn(2, 0.6)
    blocks = [np.array([score.value for score in arm]).reshape(20, 1, 4).tolist() for arm in (control, experiment)]
    found = compare(control, experiment, primary=PASSES)
    assert found[0].variance == stats.components(blocks[0], blocks[1])
    assert found[0].variance.keys() == {"items", "draws"}
    assert row(found, "pass@4").variance.keys() == {"items"}  # one value a sample
    single = compare(continuous(1), continuous(2), primary="codebleu")[0]
    gains = np.array([s.value for s in continuous(2)]) - np.array([s.value for s in continuous(1)])
    assert single.variance == {"items": pytest.approx(float(gains.var(ddof=1)), rel=1e-12)}


def test_draws_that_were_not_judged_and_samples_that_do_not_pair_are_left_out_of_the_variance() -> None:
    control = scores([[None, 1.0], [None, None], [0.0, 0.0], [1.0, 0.0]])
    experiment = scores([[1.0, 1.0], [1.0, 1.0], [1.0, None], [1.0, 1.0]])
    expected = stats.components(
        [[[None, 1.0]], [[0.0, 0.0]], [[1.0, 0.0]]], [[[1.0, 1.0]], [[1.0, None]], [[1.0, 1.0]]]
    )
    assert compare(control, experiment, primary=PASSES)[0].variance == expected
    assert compare(scores([[0.0]]), scores([[1.0]]), primary=PASSES)[0].variance == {}


def test_the_recipe_is_tested_on_the_samples_that_every_run_answered() -> None:
    control = [*drawn(1, 0.3), *drawn(2, 0.35, model="m2"), *drawn(3, 0.3, model="m3")]
    experiment = [*drawn(4, 0.6), *drawn(5, 0.65, model="m2"), *drawn(6, 0.6, model="m3")]
    holed = [replace(s, value=None, why="lost") if (s.sample_id, s.model) == ("s03", "m2") else s for s in control]
    means = [
        [
            [np.mean([s.value for s in arm if s.model == model and s.sample_id == f"s{n:02d}"]) for n in range(20)]
            for model in ("m", "m2", "m3")
        ]
        for arm in (control, experiment)
    ]
    for arm, kept in ((control, range(20)), (holed, [n for n in range(20) if n != 3])):
        expected = stats.recipe_level(*[[[float(run[n]) for n in kept] for run in runs] for runs in means])
        found = compare(arm, experiment, primary=PASSES)[0]
        assert found.n == 20
        assert found.effects["recipe_p"] == pytest.approx(expected.p, rel=1e-9)
        assert found.effects["recipe_low"] == pytest.approx(expected.low, rel=1e-9)


def test_the_order_of_draws_and_models_does_not_count() -> None:
    rng = np.random.default_rng(8)
    arms = [[one for run in ("m0", "m1") for one in scores(rng.random((12, 3)).tolist(), model=run)] for _ in range(2)]
    shuffled = [[arm[index] for index in rng.permutation(len(arm))] for arm in arms]
    assert compare(shuffled[0], shuffled[1], primary=PASSES) == compare(arms[0], arms[1], primary=PASSES)


def test_the_order_of_scores_and_the_names_of_samples_do_not_count() -> None:
    control, experiment = drawn(1, 0.4), drawn(2, 0.6)
    found = compare(control, experiment, primary=PASSES)
    shuffled = [control[index] for index in np.random.default_rng(0).permutation(len(control))]
    assert compare(shuffled, experiment, primary=PASSES) == found
    renamed = [
        [replace(score, sample_id=f"x{99 - int(score.sample_id[1:])}") for score in arm]
        for arm in (control, experiment)
    ]
    assert compare(renamed[0], renamed[1], primary=PASSES) == found


def test_the_primary_comes_first_and_holm_is_over_the_others() -> None:
    control = drawn(1, 0.4, draws=1, samples=60) + continuous(3) + continuous(4, metric="a")
    experiment = drawn(2, 0.7, draws=1, samples=60) + continuous(5) + continuous(6, metric="a")
    found = compare(control, experiment, primary="codebleu")
    assert [each.metric for each in found] == ["codebleu", "a", PASSES]
    assert found[0].p_adjusted == found[0].p
    assert [each.p_adjusted for each in found[1:]] == stats.holm([each.p for each in found[1:]])


def test_the_row_is_what_stats_says_of_the_differences() -> None:
    control, experiment = drawn(1, 0.4), drawn(2, 0.6)
    found = compare(control, experiment, primary=PASSES, level=0.9, minimum=0.05)[0]
    gains = np.array([s.value for s in experiment]).reshape(20, 4).mean(1) - np.array(
        [s.value for s in control]
    ).reshape(20, 4).mean(1)
    interval = stats.gain_interval(gains, level=0.9, draws=4)
    assert (found.gain, found.low, found.high) == (interval.estimate, interval.low, interval.high)
    assert found.p == stats.sign_flip(gains).p
    assert found.method == "sign-flip (exact); interval: adjusted t"
    assert found.effects["wilcoxon_p"] == stats.wilcoxon(gains, alternative="greater").p
    assert 0 < (found.effects["p_gain_minimum"] or 0) < (found.effects["p_gain_positive"] or 0) < 1


def test_scores_that_are_no_passes_get_bca_from_fifty_samples() -> None:
    few = compare(continuous(1, samples=49), continuous(2, samples=49), primary="codebleu")[0]
    many = compare(continuous(1), continuous(2), primary="codebleu", seed=7)[0]
    assert few.method.endswith("interval: t")
    assert many.method.endswith("interval: BCa (10000 resamples)")
    assert many.seed == 7
    assert many == compare(continuous(1), continuous(2), primary="codebleu", seed=7)[0]


def test_equal_arms_have_an_interval_with_width_and_no_gain() -> None:
    arm = drawn(1, 0.5)
    found = compare(arm, arm, primary=PASSES)[0]
    assert (found.gain, found.p) == (0.0, 1.0)
    assert found.low is not None and found.high is not None and found.low < -0.1 < 0.1 < found.high
    assert found.effects["d_z"] is None
    assert "all differences are equal" in found.note


def test_single_draws_carry_mcnemar_mid_p() -> None:
    found = compare(drawn(1, 0.3, draws=1), drawn(2, 0.7, draws=1), primary=PASSES)[0]
    assert found.p is not None
    assert 0 < (found.effects["mcnemar_mid_p"] or 0) < found.p


def test_scenarios_and_seeds_add_their_own_intervals() -> None:
    control = drawn(1, 0.3) + drawn(2, 0.35, model="m2") + drawn(3, 0.3, model="m3")
    experiment = drawn(4, 0.6) + drawn(5, 0.65, model="m2") + drawn(6, 0.6, model="m3")
    scenarios = {f"s{i:02d}": f"group{i % 5}" for i in range(20)}
    effects = compare(control, experiment, primary=PASSES, scenarios=scenarios)[0].effects
    runs = [
        np.mean([s.value for s in arm if s.model == model])
        for arm in (control, experiment)
        for model in ("m", "m2", "m3")
    ]
    expected = stats.seed_level([float(run) for run in runs[:3]], [float(run) for run in runs[3:]])
    assert effects["seeds_p"] == pytest.approx(expected.p, rel=1e-9)
    assert effects["seeds_low"] == pytest.approx(expected.low, rel=1e-9)
    assert (effects["cluster_low"] or 1) < (effects["cluster_high"] or 0)
    with pytest.raises(UserError, match="scenarios"):
        compare(control, experiment, primary=PASSES, scenarios={"s00": "a"})


def test_several_draws_add_pass_at_one_and_at_k() -> None:
    found = compare(drawn(1, 0.4), drawn(2, 0.6), primary=PASSES)
    assert [each.metric for each in found] == [PASSES, "pass@1", "pass@4"]
    assert row(found, "pass@1").gain == found[0].gain
    assert (row(found, "pass@1").low, row(found, "pass@1").high) == (found[0].low, found[0].high)
    assert (row(found, "pass@4").control or 0) > (found[0].control or 1)
    single = compare(drawn(1, 0.4, draws=1), drawn(2, 0.6, draws=1), primary=PASSES)
    assert [each.metric for each in single] == [PASSES]


def test_pass_at_k_of_draws() -> None:
    reduced = reduce_pass_at_k(scores([[1, 0, 0, 0], [0.5, 0.5, 1, 1], [1, None, None, None]]), 2)
    assert [(score.sample_id, score.metric, score.value) for score in reduced] == [
        ("s00", "pass@2", 0.5),
        ("s01", "pass@2", pytest.approx(1 - 1 / 6)),
        ("s02", "pass@2", None),
    ]
    assert reduced[2].why == "1 of 4 draws judged, 2 needed"
    assert [score.value for score in reduce_pass_at_k(scores([[0.5, 1.0, None]]), 1)] == [0.0, 1.0, None]
    with pytest.raises(UserError, match="too few draws"):
        reduce_pass_at_k(scores([[1, 0]]), 3)


def test_samples_of_one_arm_only_are_refused_by_name() -> None:
    control, experiment = drawn(1, 0.5), [score for score in drawn(2, 0.5) if score.sample_id != "s07"]
    with pytest.raises(UserError, match="do not pair") as fault:
        compare(control, experiment, primary=PASSES, names=("a.jsonl", "b.jsonl"))
    assert "only in a.jsonl, functional_correctness: s07" in str(fault.value)


def test_a_score_given_twice_is_refused() -> None:
    control = drawn(1, 0.5)
    with pytest.raises(UserError, match="control: 1 scores given twice") as fault:
        compare([*control, control[5]], drawn(2, 0.5), primary=PASSES)
    assert "s01, model m, draw 1" in str(fault.value)


def test_draws_that_differ_are_refused() -> None:
    control = drawn(1, 0.5)
    with pytest.raises(UserError, match="draws differ") as fault:
        compare(control[:-1], drawn(2, 0.5), primary=PASSES)
    assert "s19 (m)" in str(fault.value)
    with pytest.raises(UserError, match="different draws"):
        compare(control, drawn(2, 0.5, draws=3), primary=PASSES)


def test_a_model_that_missed_samples_is_refused() -> None:
    control = drawn(1, 0.5) + drawn(3, 0.5, model="m2", samples=19)
    with pytest.raises(UserError, match="1 samples without scores of a model") as fault:
        compare(control, drawn(2, 0.5), primary=PASSES)
    assert "s19 (m2)" in str(fault.value)


def test_empty_and_one_sided_scores_are_refused() -> None:
    with pytest.raises(UserError, match="experiment: no scores"):
        compare(drawn(1, 0.5), [], primary=PASSES)
    with pytest.raises(UserError, match="one-sided") as fault:
        compare(drawn(1, 0.5), drawn(2, 0.5) + continuous(3, samples=20), primary=PASSES)
    assert "codebleu not in control" in str(fault.value)
    with pytest.raises(UserError, match="bleu"):
        compare(drawn(1, 0.5), drawn(2, 0.5), primary="bleu")
    with pytest.raises(UserError, match="level"):
        compare(drawn(1, 0.5), drawn(2, 0.5), primary=PASSES, level=95)


def test_metrics_named_leave_the_others_out() -> None:
    control, experiment = drawn(1, 0.5, draws=1, samples=60) + continuous(3), drawn(2, 0.5, draws=1, samples=60)
    found = compare(control, experiment, primary=PASSES, metrics=[PASSES])
    assert [each.metric for each in found] == [PASSES]


def test_few_samples_that_differ_are_noted() -> None:
    control, experiment = scores([[0.0]] * 40), scores([[1.0]] * 3 + [[0.0]] * 37)
    assert "only 3 samples differ" in compare(control, experiment, primary=PASSES)[0].note


def test_one_sample_is_compared_with_a_warning() -> None:
    found = compare(scores([[0.0]]), scores([[1.0]]), primary=PASSES)[0]
    assert (found.n, found.gain, found.p) == (1, 1.0, 0.5)
    assert "one pair" in found.note
    assert found.low is not None and found.low < 0
