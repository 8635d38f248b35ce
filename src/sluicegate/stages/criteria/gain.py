"""Criteria of the gain: is it there, can it matter, and what may be claimed of it."""

from __future__ import annotations

from collections.abc import Callable

from sluicegate import stats
from sluicegate.records import Check, Comparison, Outcome
from sluicegate.stages import older
from sluicegate.stages.advice import diagnose
from sluicegate.stages.criteria.validity import MINIMUM_COVERAGE
from sluicegate.stages.evidence import Evidence


def points(value: float | None) -> str:
    """A share as points with a sign: 0.123 → `+12.3`.

    >>> points(0.123), points(-0.05), points(None)
    ('+12.3', '-5.0', 'none')
    """
    return "none" if value is None else f"{100 * value:+.1f}"


def _primary(
    evidence: Evidence, name: str, wanted: str, rule: Callable[[Comparison, float, float, float], Check]
) -> Check:
    """A check on the primary comparison; without a gain and an interval the evidence is too thin to decide."""
    row = evidence.primary
    if row is None:
        return Check(name, False, wanted, "no comparison of the primary metric", "run the stage again: it resumes")
    if row.gain is None or row.low is None or row.high is None:
        return Check(
            name,
            False,
            wanted,
            f"n = {row.n}: {row.note or 'no interval'}",
            "more test items or draws",
            Outcome.INCONCLUSIVE,
        )
    return rule(row, row.gain, row.low, row.high)


def _of_claim(evidence: Evidence, row: Comparison, low: float, high: float) -> tuple[float, float]:
    """The widest of the intervals that the claim rests on: over items, and with the noise of runs and of scenarios.

    The interval over items alone knows nothing of the luck of a seed, or of these scenarios.
    """
    names = [name for name, counts in (("recipe", evidence.of_recipe), ("cluster", evidence.across)) if counts]
    lows, highs = ([row.effects.get(f"{name}_{end}") for name in names] for end in ("low", "high"))
    return (
        min([low, *(bound for bound in lows if bound is not None)]),
        max([high, *(bound for bound in highs if bound is not None)]),
    )


def _widened(evidence: Evidence, row: Comparison, low: float, high: float) -> str:
    """That interval in words, where it is another than the one over items."""
    widest = _of_claim(evidence, row, low, high)
    if widest == (low, high):
        return ""
    noise = " and ".join(
        name for name, counts in (("runs", evidence.of_recipe), ("scenarios", evidence.across)) if counts
    )
    return f"; with the noise of {noise} {points(widest[0])} to {points(widest[1])}"


def _chance(p: float | None) -> str:
    return "p none" if p is None else "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def _told(row: Comparison) -> str:
    interval = f"{row.level:.0%} interval {points(row.low)} to {points(row.high)}"
    return f"{row.metric} gain {points(row.gain)} points, {interval}, n = {row.n}"


def not_futile(evidence: Evidence) -> Check:
    """Stage 2 stops only for sure harm: the upper bound of the gain below 0."""

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        passed = high >= 0
        return Check(
            "not_futile",
            passed,
            "upper bound of the gain not below 0",
            _told(row),
            "" if passed else "the change harms: rethink it",
            Outcome.STOP,
        )

    return _primary(evidence, "not_futile", "upper bound of the gain not below 0", rule)


def signal(evidence: Evidence) -> Check:
    """Stage 2 shows the gain and, where it is small, what the evidence points to; it does not decide on it."""
    row = evidence.primary
    wanted = "shown, not decided on: under +5 points investigate"
    if row is None or row.gain is None:
        return Check("signal", None, wanted, "none")
    word = "investigate" if row.gain < 0.05 else "some signal" if row.gain <= 0.10 else "strong signal"
    reasons = diagnose(evidence) if word == "investigate" else []
    return Check("signal", None, wanted, "; ".join([f"{word}: {_told(row)}", *reasons]))


def gain_not_too_small(evidence: Evidence) -> Check:
    """STOP when even the upper bound is below the smallest gain worth its cost."""
    minimum = evidence.study.minimum_gain
    wanted = f"upper bound of the gain at least {points(minimum)} points"

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        passed = _of_claim(evidence, row, low, high)[1] >= minimum
        return Check(
            "gain_not_too_small",
            passed,
            wanted,
            _told(row) + _widened(evidence, row, low, high),
            "" if passed else "more data will not save this change",
            Outcome.STOP,
        )

    return _primary(evidence, "gain_not_too_small", wanted, rule)


def gain_is_real(evidence: Evidence) -> Check:
    """The pre-registered test of the primary metric, at the alpha of one decision."""
    alpha = evidence.plan.alpha
    wanted = f"one-sided p of the primary metric at most {alpha:g}{_split(evidence)}"

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        passed = row.p is not None and row.p <= alpha
        seen = f"{_chance(row.p)} ({row.method}); {_told(row)}"
        return Check(
            "gain_is_real",
            passed,
            wanted,
            seen,
            "" if passed else "more test items, draws or seeds",
            Outcome.INCONCLUSIVE,
        )

    return _primary(evidence, "gain_is_real", wanted, rule)


def _split(evidence: Evidence) -> str:
    attempts = evidence.plan.attempts
    return f" ({evidence.study.alpha:g} over {attempts} declared decisions)" if attempts > 1 else ""


def recipe(evidence: Evidence) -> Check:
    """With several runs an arm the runs must agree too, for one lucky seed is no better recipe.

    The test over items takes these checkpoints for the recipe and Welch's over runs these items for all; a claim about
    the recipe carries the noise of both (`stats.recipe_level`).
    """
    seeds, alpha = evidence.plan.seeds, evidence.plan.alpha
    if not evidence.of_recipe:
        seen = f"{seeds} an arm: a GO speaks of these checkpoints, not of the recipe"
        return Check("recipe", None, f"{stats.RUNS_FOR_A_RECIPE} runs an arm for a claim on the recipe", seen)
    wanted = f"one-sided p over runs and items at most {alpha:g}"

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        p = row.effects.get("recipe_p")
        passed = p is not None and p <= alpha
        seen = f"{_chance(p)} over items and {seeds} runs an arm"
        return Check("recipe", passed, wanted, seen, "" if passed else "more seeds", Outcome.INCONCLUSIVE)

    return _primary(evidence, "recipe", wanted, rule)


def across_scenarios(evidence: Evidence) -> Check:
    """With five scenarios or more the gain must hold over them, each counted as one cluster."""
    alpha, count = evidence.plan.alpha, evidence.scenarios
    wanted = f"one-sided p over the scenarios at most {alpha:g}, where there are {stats.CLUSTERS_TO_DECIDE} or more"

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        p = row.effects.get("cluster_p")
        seen = f"{_chance(p)} (cluster-robust t) over {count} scenarios"
        if not evidence.across:
            return Check("across_scenarios", None, wanted, f"{seen}: too few to decide by; the claim is on these alone")
        passed = p is not None and p <= alpha
        remedy = "" if passed else "see which scenarios gain; more scenarios, or one claim for each"
        return Check("across_scenarios", passed, wanted, seen, remedy, Outcome.INCONCLUSIVE)

    if count < 2:
        return Check("across_scenarios", None, wanted, f"{count} scenario: the claim is on it alone")
    return _primary(evidence, "across_scenarios", wanted, rule)


def must_not_worsen(evidence: Evidence) -> Check:
    """Each named metric is shown not to fall by its margin or more; surely worse is STOP, not shown is INCONCLUSIVE.

    All of them must hold, so none needs a smaller alpha (intersection-union).
    """
    margins = evidence.study.must_not_worsen
    wanted = "; ".join(f"lower bound of {name} above {points(-margin)} points" for name, margin in margins.items())
    if not margins:
        return Check("must_not_worsen", None, "named metrics do not worsen", "the study names none")
    rows = {row.metric: row for row in evidence.comparisons}
    found = {name: _not_worse(evidence, rows.get(name), margin) for name, margin in margins.items()}
    seen = "; ".join(f"{name}: {text}" for name, (_, text) in found.items())
    blames = {outcome for outcome, _ in found.values() if outcome}
    gravest = next((outcome for outcome in (Outcome.RETRY, Outcome.STOP) if outcome in blames), Outcome.INCONCLUSIVE)
    remedies = {
        Outcome.RETRY: "judge these metrics for both arms, then run the stage again",
        Outcome.STOP: "the change costs more than it may: find out where (report: samples lost), or rethink it",
        Outcome.INCONCLUSIVE: "more test items or draws, or declare a margin that they can show",
    }
    return Check("must_not_worsen", not blames, wanted, seen, remedies[gravest] if blames else "", gravest)


def _not_worse(evidence: Evidence, row: Comparison | None, margin: float) -> tuple[Outcome | None, str]:
    """What the failure means, None where it holds; and what was seen."""
    if row is None:
        return Outcome.RETRY, "not compared"
    if row.coverage < MINIMUM_COVERAGE:
        return Outcome.RETRY, f"only {row.coverage:.0%} of the items judged for both arms"
    if row.low is None or row.high is None:
        return Outcome.INCONCLUSIVE, f"n = {row.n}: {row.note or 'no interval'}"
    seen = f"{points(row.gain)} points, {row.level:.0%} interval {points(row.low)} to {points(row.high)}, n = {row.n}"
    seen += _widened(evidence, row, row.low, row.high)
    low, high = _of_claim(evidence, row, row.low, row.high)
    if low > -margin:
        return None, seen
    return (Outcome.STOP if high < -margin else Outcome.INCONCLUSIVE), seen


def older_gate(evidence: Evidence) -> Check:
    """The older criterion (average relative improvement, any p), shown with its error rates and never decided on."""
    wanted = f"average relative improvement above {older.AVERAGE:.0%} and any p below {older.P:g}: not used to decide"
    if not evidence.comparisons or evidence.primary is None or evidence.primary.n < 1:
        return Check("older_gate", None, wanted, "nothing was compared")
    found = older.older_gate(evidence.comparisons)
    rates = older.error_rates(evidence.primary.n, len(evidence.comparisons))
    because = (
        f"it lets {rates.false_go:.1%} of changes without gain through, {rates.false_go_with_retries:.1%} within five "
        f"attempts, and {rates.power:.0%} of those with a gain of 10 points on every metric, {rates.power_one:.0%} "
        f"where one metric gains (simulated: {rates.n_simulated} items, {rates.metrics_simulated} metrics, "
        f"{rates.experiments} experiments)"
    )
    return Check("older_gate", None, wanted, f"{found.text}; not used to decide, because {because}")
