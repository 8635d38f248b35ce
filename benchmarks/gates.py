"""The seconds of a decision: a comparison against scipy's resampling, and a gate over 100,000 scores.

    OMP_NUM_THREADS=1 python benchmarks/gates.py [--repeats 3]

Goals: under 2 s for 10 metrics of 500 items in 2 arms with 10,000 resamples, under 5 s for the gate. Ours is all of
`compare`: laying out the scores, sign-flip test and BCa interval of every metric, effect sizes, variance components.
Scipy's is `permutation_test` and `bootstrap(method="BCa")` of the paired differences with as many resamples, alone and
vectorized. Rounds are interleaved and medians are compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats as peer

from sluicegate import compare, folder, jsonl, study
from sluicegate.records import Comparison, Prediction, Sample, Score
from sluicegate.stages import evidence, gate, ledger, register
from sluicegate.stages.plan import resolve
from sluicegate.stages.recompute import LEDGER, as_text, recompute
from sluicegate.stages.steps import comparison
from sluicegate.stats.paired import RESAMPLES

METRICS, ITEMS = 10, 500
SAMPLES, DRAWS = 5000, 10
STAGE = 3
PRIMARY = "functional_correctness"
Floats = NDArray[np.float64]
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def arm(values: Floats, model: str) -> list[Score]:
    """Scores of any value, a row a metric."""
    return [
        Score(f"s{item:04d}", model, 0, f"metric{metric}", float(value))
        for metric, row in enumerate(values)
        for item, value in enumerate(row)
    ]


def with_scipy(gains: Floats) -> list[tuple[float, float, float]]:
    """p, low and high of each metric."""
    found = []
    for row in gains:
        test = peer.permutation_test(
            (row,), np.mean, permutation_type="samples", alternative="greater", n_resamples=RESAMPLES,
            vectorized=True, batch=1000, rng=np.random.default_rng(0),
        )  # fmt: skip
        interval = peer.bootstrap(
            (row,), np.mean, method="BCa", n_resamples=RESAMPLES, vectorized=True, batch=1000,
            rng=np.random.default_rng(0),
        ).confidence_interval  # fmt: skip
        found.append((float(test.pvalue), float(interval.low), float(interval.high)))
    return found


def comparisons(repeats: int) -> None:
    rng = np.random.default_rng(0)
    before = rng.random((METRICS, ITEMS))
    after = np.clip(before + rng.normal(0.01, 0.2, before.shape), 0, 1)
    arms = arm(before, "control"), arm(after, "experiment")
    ours: list[Comparison] = []
    theirs: list[tuple[float, float, float]] = []
    taken: dict[str, list[float]] = {"sluicegate compare": [], "scipy": []}
    for _ in range(repeats):
        seconds, ours = timed(partial(compare.compare, *arms, primary="metric0"))
        taken["sluicegate compare"].append(seconds)
        seconds, theirs = timed(partial(with_scipy, after - before))
        taken["scipy"].append(seconds)
    print(f"{METRICS} metrics x {ITEMS} items x 2 arms, {RESAMPLES:,} resamples, {repeats} rounds")
    base = statistics.median(taken["sluicegate compare"])
    for name, times in taken.items():
        middle = statistics.median(times)
        print(f"{name:<20} {middle:7.2f} s ({min(times):.2f} to {max(times):.2f})   {middle / base:5.1f} x ours")
    print(f"largest difference: p {apart(ours, theirs, 0):.4f}, interval ends {apart(ours, theirs, 1):.5f}")
    print(f"goal under 2 s: {'met' if base < 2 else 'missed'}")


def apart(ours: Sequence[Comparison], theirs: Sequence[tuple[float, float, float]], first: int) -> float:
    """The largest difference between both, of p or of the interval's ends."""
    mine = [(row.p, row.low, row.high) for row in ours]
    pairs = [
        (one or 0.0, other)
        for left, right in zip(mine, theirs, strict=True)
        for one, other in list(zip(left, right, strict=True))[first : 1 + 2 * first]
    ]
    return max(abs(one - other) for one, other in pairs)


def played(runs: Path) -> Path:
    """A stage as it lies on the disk when all its steps are done; returns its run folder."""
    changes = {STAGE: study.StageChange(draws=DRAWS, test_samples=SAMPLES, train={})}
    told = study.load("demo").model_copy(update={"stages": changes, "metrics": (PRIMARY,), "must_not_worsen": {}})
    plan = resolve(told, STAGE)
    attempt = folder.new_attempt(runs, told.name, STAGE)
    jsonl.write_text(attempt / folder.STUDY, study.dump(told))
    register.register(runs / told.name / LEDGER, attempt, told, plan, override="benchmark")
    test = attempt / folder.DATA / "test.jsonl"
    jsonl.write(test, [Sample(f"s{n:04d}", f"prompt {n}", "completion", scenario="python") for n in range(SAMPLES)])
    manifest = {
        "counts": {"python": {"train": SAMPLES, "val": SAMPLES, "test": SAMPLES}},
        "leaks": [],
        "evaluation_prompts_sha256": {told.control: "a", told.experiment: "a"},
        "files": {"test.jsonl": {"sha256": jsonl.sha256(test), "samples": SAMPLES}},
    }
    jsonl.write_text(test.with_name("manifest.json"), json.dumps(manifest))
    rng = np.random.default_rng(0)
    chance = rng.beta(0.5, 0.5, SAMPLES)
    for model in plan.models:
        result = dict.fromkeys(evidence.RESULT_FIELDS, 1.0) | {"samples": SAMPLES, "dropped": 0, "last_loss": 0.5}
        jsonl.write_text(attempt / folder.ARMS / model.name / "result.json", json.dumps(result))
        passed = rng.random((SAMPLES, DRAWS)) < chance[:, None] + (0.1 if model.arm == told.experiment else 0.0)
        drawn = [(f"s{item:04d}", draw) for item in range(SAMPLES) for draw in range(DRAWS)]
        answers = [Prediction(item, model.name, draw, "def f(): ...", 9, 0.1, "stop") for item, draw in drawn]
        scores = [Score(item, model.name, draw, PRIMARY, float(passed[int(item[1:]), draw])) for item, draw in drawn]
        jsonl.write(attempt / folder.PREDICTIONS / f"{model.name}.jsonl", answers)
        jsonl.write(attempt / folder.SCORES / f"{model.name}.jsonl", scores)
    asked = comparison(told, plan, attempt)
    rows = compare.compare_files(
        asked.control, asked.experiment, data=asked.data, primary=asked.primary, metrics=asked.metrics,
        level=asked.level, minimum=asked.minimum,
    )  # fmt: skip
    compare.write(
        attempt / folder.COMPARISONS, rows, control=told.control, experiment=told.experiment,
        primary=asked.primary, seed=0, level=asked.level,
    )  # fmt: skip
    return attempt


def decisions(repeats: int) -> None:
    with tempfile.TemporaryDirectory() as runs:
        attempt = played(Path(runs))
        outcome = ""
        reading, deciding, again = [], [], []
        for _ in range(repeats):
            seconds, found = timed(partial(evidence.read, attempt, STAGE))
            reading.append(seconds)
            seconds, verdict = timed(partial(gate.decide, found))
            deciding.append(seconds)
            outcome = verdict.outcome.value
            jsonl.write_text(attempt / folder.VERDICT, as_text(verdict))
            assert found.registration is not None
            told = register.decided(verdict, attempt, found.registration)
            ledger.append(attempt.parent / LEDGER, told)
            again.append(timed(partial(recompute, attempt))[0])
    scores = 2 * SAMPLES * DRAWS
    whole = statistics.median(reading) + statistics.median(deciding)
    print(f"a gate over {scores:,} scores and as many predictions: {outcome}, {repeats} rounds")
    print(f"{'read the evidence':<20} {statistics.median(reading):7.2f} s")
    print(f"{'decide':<20} {statistics.median(deciding):7.2f} s")
    print(f"{'both':<20} {whole:7.2f} s   goal under 5 s: {'met' if whole < 5 else 'missed'}")
    print(f"{'gate --recompute':<20} {statistics.median(again):7.2f} s   (compares all scores again)")


def main() -> None:
    parser = argparse.ArgumentParser(description="Seconds of a comparison beside scipy's, and of a gate.")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    comparisons(asked.repeats)
    decisions(asked.repeats)


if __name__ == "__main__":
    main()
