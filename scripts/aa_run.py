"""A/A runs of the whole pipeline: both arms are the same recipe on the same data, so every GO is a false one.

Each repetition is a study of its own (other data, other seeds), decided by stage 3 with three training runs an arm:
real trainings, generations, scores, comparison and gate, on models made on the spot. Goal: no more GO than chance
gives at alpha.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from scipy.stats import binom

from sluicegate.records import Outcome, Verdict, from_json

ALPHA = 0.05
CODES = {0, 15, 20}
"""Exit codes of a stage that decided: GO, INCONCLUSIVE, STOP."""


@dataclass(frozen=True, slots=True)
class Repetition:
    """One A/A experiment, decided."""

    number: int
    verdict: Verdict
    seconds: float

    def line(self) -> str:
        """Outcome, both rates, the gain with its interval, the p over items and of the recipe."""
        row = self.verdict.primary
        if row is None or row.gain is None or row.low is None or row.high is None:
            return f"{self.number:>3}  {self.verdict.outcome:<12}  no gain"
        ps = [row.p, row.effects.get("recipe_p")]
        told = "  ".join("none  " if p is None else f"{p:.4f}" for p in ps)
        rates = f"{100 * (row.control or 0):5.1f}  {100 * (row.experiment or 0):5.1f}"
        interval = f"{100 * row.low:+6.1f} … {100 * row.high:+6.1f}"
        return f"{self.number:>3}  {self.verdict.outcome:<12}  {rates}  {100 * row.gain:+6.1f}  {interval}  {told}"


def study(number: int, asked: argparse.Namespace) -> dict[str, object]:
    """Two arms that differ in nothing but the seeds of their runs."""
    arms = {"control": {"prompts": "enriched", "seed": 0}, "experiment": {"prompts": "enriched", "seed": 1000}}
    sizes = {"train_samples": asked.train, "val_samples": 10, "test_samples": asked.test}
    return {
        "name": f"aa-{number}",
        "question": "How often does the gate say GO to a change that changes nothing?",
        "scenarios": ["python"],
        "data": {"source": "demo", "seed": number},
        "arms": arms,
        "test_prompts": "as_trained",
        "metrics": ["functional_correctness"],
        "primary": "functional_correctness",
        "minimum_gain": 0.0,
        "alpha": ALPHA,
        "train": {
            "base_model": "tiny", "max_seq_length": 256, "batch_size": 16, "learning_rate": 0.003, "lora_r": 16,
            "lora_alpha": 32, "lora_dropout": 0.0, "save_every": 1000,
        },
        "generate": {"draws": asked.draws, "temperature": 0.3, "max_new_tokens": 40, "batch_size": 64},
        "stages": {3: {**sizes, "seeds": asked.seeds, "train": {"epochs": asked.epochs}}},
    }  # fmt: skip


def repeat(number: int, folder: Path, asked: argparse.Namespace) -> Repetition:
    """One repetition in a folder of runs of its own.

    Raises:
        RuntimeError: the stage did not decide.
    """
    runs, file = folder / str(number), folder / f"aa-{number}.yaml"
    file.write_text(json.dumps(study(number, asked)), encoding="utf-8")  # JSON is YAML
    argv = ["stage", "3", "--override", "A/A", "--study", str(file), "--runs", str(runs)]
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", *argv],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    seconds = time.perf_counter() - started
    verdicts = list(runs.glob(f"aa-{number}/stage3-*/verdict.json"))
    if done.returncode not in CODES or len(verdicts) != 1:
        raise RuntimeError(
            f"repetition {number} ended with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        )
    return Repetition(number, from_json(Verdict, verdicts[0].read_bytes()), seconds)


def report(found: Sequence[Repetition]) -> None:
    """The sum of it."""
    went = sum(row.verdict.outcome is Outcome.GO for row in found)
    chance = float(binom.sf(went - 1, len(found), ALPHA)) if went else 1.0
    print(f"{went} GO of {len(found)}")
    print(f"chance of that many or more at alpha {ALPHA:g}: {chance:.3f} (goal: not below {ALPHA:g})")


def main() -> None:
    """Run, print each, then the sum."""
    parser = argparse.ArgumentParser(description="A/A runs of the whole pipeline.")
    parser.add_argument("--repetitions", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of the first, to go on with more")
    parser.add_argument("--together", type=int, default=2, help="repetitions side by side")
    parser.add_argument("--train", type=int, default=200, help="training samples")
    parser.add_argument("--test", type=int, default=40, help="test items")
    parser.add_argument("--epochs", type=float, default=6)
    parser.add_argument("--draws", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3, help="training runs an arm")
    parser.add_argument("--keep", type=Path, help="a folder for the runs (default: a temporary one)")
    asked = parser.parse_args()
    numbers = range(asked.first, asked.first + asked.repetitions)
    print("  n  outcome       control  exp.    gain  interval           p items  p recipe")
    with tempfile.TemporaryDirectory() as temporary, ThreadPoolExecutor(asked.together) as pool:
        folder = asked.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        found = []
        for row in pool.map(lambda number: repeat(number, folder, asked), numbers):
            found.append(row)
            print(f"{row.line()}   {row.seconds:.0f} s", flush=True)
    report(found)


if __name__ == "__main__":
    main()
