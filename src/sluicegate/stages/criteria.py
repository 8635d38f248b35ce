"""The criteria of the gates: pure functions of evidence, each giving one `Check`.

A criterion says what was wanted, what was seen, how to mend it, and which outcome its failure means. `passed=None`
shows something without deciding. Adding one: write a function, name it in `CRITERIA`, name it in a stage of `plan`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sluicegate.records import Check, Comparison, Outcome
from sluicegate.stages.evidence import Evidence

Criterion = Callable[[Evidence], Check]
MINIMUM_COVERAGE = 0.95
MEMORY_SLACK = 1.3
"""The peak may exceed the forecast by this factor: a Llama-3-8B in 4-bit on an H200 took 8.50 GiB where 8.56 were
forecast (micro-batch 1), 16.03 where 13.62 were (micro-batch 4)."""


def points(value: float | None) -> str:
    """A share as points with a sign: 0.123 → `+12.3`.

    >>> points(0.123), points(-0.05), points(None)
    ('+12.3', '-5.0', 'none')
    """
    return "none" if value is None else f"{100 * value:+.1f}"


def _results(evidence: Evidence) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for model in evidence.plan.models:
        if model.name in evidence.results:
            yield model.name, evidence.results[model.name]


def _each(name: str, wanted: str, rows: Mapping[str, tuple[bool, str]], remedy: str, expected: int) -> Check:
    """One check over several models: it passes when all expected ones are there and each holds."""
    seen = "; ".join(f"{model}: {text}" for model, (_, text) in rows.items()) or "no trained model"
    passed = len(rows) == expected and all(holds for holds, _ in rows.values())
    return Check(name, passed, wanted, seen, "" if passed else remedy)


def environment(evidence: Evidence) -> Check:
    """Stage 0: this machine's checks, each also shown by itself."""
    failed = [check.name for check in evidence.preflight if check.passed is False]
    passed = bool(evidence.preflight) and not failed
    seen = f"failed: {', '.join(failed)}" if failed else f"{len(evidence.preflight)} checks, none failed"
    return Check(
        "environment",
        passed,
        "every required check of this machine passes",
        seen,
        "" if passed else "see the failed checks",
    )


def steps_ended(evidence: Evidence) -> Check:
    """No step of the stage failed."""
    failure = evidence.failure
    if failure is None:
        return Check("steps_ended", True, "every step ends with exit code 0", "all did")
    tail = str(failure["tail"]).strip().splitlines()[-6:]
    seen = f"step {failure['step']} ended with {failure['code']}: " + " | ".join(line.strip() for line in tail)
    return Check(
        "steps_ended",
        False,
        "every step ends with exit code 0",
        seen,
        f"mend it (log: {failure['log']}), then run the stage again",
    )


def arms_trained(evidence: Evidence) -> Check:
    """Every model of the stage was trained to its end."""
    names = [model.name for model in evidence.plan.models]
    missing = [name for name in names if name not in evidence.results]
    seen = f"{len(names) - len(missing)} of {len(names)}" + (f"; missing {', '.join(missing)}" if missing else "")
    return Check(
        "arms_trained",
        not missing,
        f"{len(names)} trained models",
        seen,
        "run the stage again: it resumes" if missing else "",
    )


def tracking_complete(evidence: Evidence) -> Check:
    """The tracking server has every line of every model's spool."""
    unsent = {name: count for name, count in evidence.unsent.items() if count}
    seen = "; ".join(f"{name}: {count} lines unsent" for name, count in unsent.items()) or "everything sent"
    return Check(
        "tracking_complete",
        not unsent,
        "parameters, losses and artifacts at the tracking server",
        seen,
        "sluicegate sync <run folder>" if unsent else "",
    )


def four_bit(evidence: Evidence) -> Check:
    """The base was loaded as the settings asked: in 4-bit where `LOAD_IN_4BIT=true`."""
    rows = {}
    for model in evidence.plan.models:
        if result := evidence.results.get(model.name):
            said = str(evidence.plan.train[model.arm].get("load_in_4bit", "auto")).lower()
            asked = {"1": "true", "0": "false"}.get(said, said)
            loaded = bool(result["loaded_in_4bit"])
            text = f"{'4-bit' if loaded else 'not 4-bit'} ({result['why_4bit']})"
            rows[model.name] = (asked == "auto" or loaded == (asked == "true"), text)
    return _each(
        "four_bit",
        "base weights loaded as LOAD_IN_4BIT says",
        rows,
        "check bitsandbytes: sluicegate check",
        len(evidence.plan.models),
    )


def memory_forecast(evidence: Evidence) -> Check:
    """The peak of GPU memory stayed within its forecast; without a GPU there is nothing to hold against it."""
    rows = dict(_results(evidence))
    if rows and all(row["peak_vram_gib"] is None for row in rows.values()):
        return Check("memory_forecast", None, "GPU memory within its forecast", "no GPU: not measured")
    held = {
        name: (float(row["peak_vram_gib"]) <= MEMORY_SLACK * float(row["forecast_vram_gib"]),
               f"peak {row['peak_vram_gib']:.2f} GiB, forecast {row['forecast_vram_gib']:.2f} GiB")
        if row["peak_vram_gib"] is not None else (False, "trained without the GPU that others had")
        for name, row in rows.items()
    }  # fmt: skip
    return _each(
        "memory_forecast",
        f"peak within {MEMORY_SLACK:.0%} of the forecast",
        held,
        "lower BATCH_SIZE or MAX_SEQ_LENGTH",
        len(evidence.plan.models),
    )


def steps_done(evidence: Evidence) -> Check:
    """The optimizer steps that were asked for were done."""
    asked = {arm: int(str(train.get("max_steps") or 1)) for arm, train in evidence.plan.train.items()}
    rows = {
        model.name: (int(row["steps"]) >= asked[model.arm], f"{row['steps']} steps")
        for model in evidence.plan.models
        if (row := evidence.results.get(model.name))
    }
    wanted = " or ".join(map(str, sorted(set(asked.values()))))
    return _each("steps_done", f"{wanted} optimizer steps", rows, "see the training log", len(evidence.plan.models))


def loss_falls(evidence: Evidence) -> Check:
    """The training loss at the end is below the loss at the start."""
    rows = {
        name: (
            float(row["last_loss"]) < float(row["first_loss"]),
            f"{row['first_loss']:.3f} to {row['last_loss']:.3f}",
        )
        for name, row in _results(evidence)
    }
    return _each(
        "loss_falls",
        "training loss lower at the end than at the start",
        rows,
        "check the data and the learning rate",
        len(evidence.plan.models),
    )


def answers(evidence: Evidence) -> Check:
    """Each saved model was loaded again and answered every prompt."""
    files = evidence.manifest.get("files", {})
    rows = {}
    for model in evidence.plan.models:
        counts = evidence.answers.get(model.name, {})
        given, failed = sum(counts.values()), counts.get("error", 0)
        owed = int(files.get(f"{model.arm}-val.jsonl", {}).get("samples", 0)) * evidence.plan.draws
        rows[model.name] = (0 < owed == given and not failed, f"{given} of {owed} answers, {failed} errors")
    wanted = "the saved model loads and answers every prompt"
    return _each("answers", wanted, rows, "see the log of the generate step", len(evidence.plan.models))


def prompt_parity(evidence: Evidence) -> Check:
    """Both arms are asked the same, unless the study declares otherwise."""
    digests = dict(evidence.manifest.get("evaluation_prompts_sha256", {}))
    wanted = "the same evaluation prompts for both arms"
    if evidence.study.test_prompts == "as_trained":
        return Check(
            "prompt_parity",
            None,
            wanted,
            "declared otherwise: test_prompts is as_trained, so the prompt is part of the arm",
        )
    asked = {digests.get(arm) for arm in (evidence.study.control, evidence.study.experiment)}
    passed = len(asked) == 1 and None not in asked
    return Check(
        "prompt_parity",
        passed,
        wanted,
        "equal digests" if passed else f"digests {digests}",
        "" if passed else "rebuild the data: sluicegate data",
    )


def no_leak(evidence: Evidence) -> Check:
    """No test item stands in the training data."""
    leaks = evidence.manifest.get("leaks")
    passed = leaks == []
    seen = "no manifest" if leaks is None else f"{len(leaks)} leaks" + (f", first: {leaks[0]}" if leaks else "")
    return Check(
        "no_leak",
        passed,
        "no test item in the training data",
        seen,
        "" if passed else "remove them and split again: sluicegate data",
    )


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


def _chance(p: float | None) -> str:
    return "p none" if p is None else "p < 0.0001" if p < 0.0001 else f"p = {p:.4f}"


def _told(row: Comparison) -> str:
    interval = f"{row.level:.0%} interval {points(row.low)} to {points(row.high)}"
    return f"{row.metric} gain {points(row.gain)} points, {interval}, n = {row.n}"


def coverage(evidence: Evidence) -> Check:
    """Nearly every item could be judged for both arms."""
    row, asked = evidence.primary, evidence.asked
    # A mean over the draws that happen to be judged hides how many are not, so every answer is counted.
    judged = [evidence.judged.get(model.name, 0) for model in evidence.plan.models]
    least = min(judged) / asked if asked else 0.0
    passed = row is not None and min(row.coverage, least) >= MINIMUM_COVERAGE
    items = "no comparison" if row is None else f"{row.coverage:.1%} of the items"
    return Check(
        "coverage",
        passed,
        f"at least {MINIMUM_COVERAGE:.0%} of the items judged for both arms, and of each model's answers",
        f"{items}; at least {min(judged)} of {asked} answers a model",
        "" if passed else "see why in the scores, mend it, and run the stage again: it judges those anew",
    )


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
    """Stage 2 shows the gain; it does not decide on it."""
    row = evidence.primary
    wanted = "shown, not decided on: under +5 points investigate"
    if row is None or row.gain is None:
        return Check("signal", None, wanted, "none")
    word = "investigate" if row.gain < 0.05 else "some signal" if row.gain <= 0.10 else "strong signal"
    return Check("signal", None, wanted, f"{word}: {_told(row)}")


def gain_not_too_small(evidence: Evidence) -> Check:
    """STOP when even the upper bound is below the smallest gain worth its cost."""
    minimum = evidence.study.minimum_gain
    wanted = f"upper bound of the gain at least {points(minimum)} points"

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        passed = high >= minimum
        return Check(
            "gain_not_too_small",
            passed,
            wanted,
            _told(row),
            "" if passed else "more data will not save this change",
            Outcome.STOP,
        )

    return _primary(evidence, "gain_not_too_small", wanted, rule)


def gain_is_real(evidence: Evidence) -> Check:
    """The pre-registered test of the primary metric at the study's alpha."""
    alpha = evidence.study.alpha
    wanted = f"one-sided p of the primary metric at most {alpha:g}"

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


def claim(evidence: Evidence) -> Check:
    """What a GO may claim: with one seed an arm the checkpoint, with more the recipe, and then the seeds must agree.

    One run an arm cannot tell a better recipe from a luckier seed; the item test alone does not see the difference.
    """
    seeds, alpha = evidence.plan.seeds, evidence.study.alpha
    if seeds == 1:
        seen = "one seed an arm: a GO says 'this checkpoint is better', not 'this recipe is better'"
        return Check("claim", None, "several seeds for a claim about the recipe", seen)
    wanted = f"one-sided p over the seeds at most {alpha:g}"

    def rule(row: Comparison, gain: float, low: float, high: float) -> Check:
        p = row.effects.get("seeds_p")
        passed = p is not None and p <= alpha
        seen = f"{_chance(p)} over {seeds} seeds an arm"
        return Check("claim", passed, wanted, seen, "" if passed else "more seeds", Outcome.INCONCLUSIVE)

    return _primary(evidence, "claim", wanted, rule)


CRITERIA: dict[str, Criterion] = {
    "environment": environment,
    "steps_ended": steps_ended,
    "arms_trained": arms_trained,
    "tracking_complete": tracking_complete,
    "four_bit": four_bit,
    "memory_forecast": memory_forecast,
    "steps_done": steps_done,
    "loss_falls": loss_falls,
    "answers": answers,
    "prompt_parity": prompt_parity,
    "no_leak": no_leak,
    "coverage": coverage,
    "not_futile": not_futile,
    "signal": signal,
    "gain_not_too_small": gain_not_too_small,
    "gain_is_real": gain_is_real,
    "claim": claim,
}
