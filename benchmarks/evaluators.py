"""1,500 predictions through every evaluator that needs neither sandbox nor judge: wall time, peak memory.

    OMP_NUM_THREADS=1 STYLE_NODE=FOLDER EMBEDDING_MODEL=FOLDER python benchmarks/evaluators.py [--each] [--growth]

Predictions are the micro samples' references, some with a line less and some with another's text, so all five
scenarios are there in equal parts. What has no linter or model on this machine is said. The memory is this process's
peak, with torch and the model where one is named; ESLint's Node process is apart. `--growth` scores 10,000 and 100,000
predictions on the same samples by exact_match, each in a process of its own: time grows with them and memory does not.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from sluicegate import jsonl
from sluicegate.data.micro import SAMPLES
from sluicegate.evaluate import evaluate
from sluicegate.evaluators.linters import eslint
from sluicegate.evaluators.semantic_similarity import VARIABLE
from sluicegate.records import Prediction, Sample

LOCAL = (
    "exact_match", "code_accuracy", "codebleu", "coherence", "length", "relevance", "safety", "structural_similarity",
    "style", "token_f1", "semantic_similarity",
)  # fmt: skip


def samples(count: int) -> list[Sample]:
    """The micro samples over and over, each with words of its own in the prompt."""
    chosen = (SAMPLES[number % len(SAMPLES)] for number in range(count))
    return [Sample(f"{one.id}-{number}", f"{one.prompt} ({number})", one.completion, one.scenario, tests=one.tests,
                   meta=one.meta) for number, one in enumerate(chosen)]  # fmt: skip


def predictions(asked: list[Sample], draws: int, model: str) -> Iterator[Prediction]:
    """Right, cut and foreign answers, each a text of its own."""
    rng = random.Random(model)
    for sample in asked:
        for draw in range(draws):
            lines = sample.completion.splitlines()
            if draw % 3 == 1:
                del lines[rng.randrange(len(lines))]
            if draw % 3 == 2:
                lines = rng.choice(SAMPLES).completion.splitlines()
            mark = {"python": "#", "bugfix": "#", "sql": "--"}.get(sample.scenario, "//")
            text = "\n".join([*lines, f"{mark} {sample.id} {draw}"]) + "\n"
            yield Prediction(sample.id, model, draw, text, len(text) // 4, 0.1, "stop")


def run(metrics: list[str], count: int, draws: int, arms: int) -> float:
    """Seconds for scoring all rows of all arms."""
    spent = 0.0
    with tempfile.TemporaryDirectory() as name:
        folder, asked = Path(name), samples(count)
        jsonl.write(folder / "data.jsonl", asked)
        for arm in range(arms):
            jsonl.write(folder / f"{arm}.jsonl", predictions(asked, draws, f"arm{arm}"))
            started = time.perf_counter()
            evaluate(folder / "data.jsonl", folder / f"{arm}.jsonl", folder / f"{arm}-scores.jsonl", metrics)
            spent += time.perf_counter() - started
    return spent


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=75)
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--arms", type=int, default=2)
    parser.add_argument("--each", action="store_true", help="every metric by itself, too")
    parser.add_argument("--metrics", help="these alone, separated by commas")
    parser.add_argument("--growth", action="store_true", help="10,000 and 100,000 predictions by exact_match, only")
    told = parser.parse_args()
    if told.growth:
        return growth()
    metrics = told.metrics.split(",") if told.metrics else available()
    count = told.samples * told.draws * told.arms
    for metric in metrics if told.each else ():
        spent = run([metric], told.samples, told.draws, told.arms)
        print(f"{metric:22} {spent:7.1f} s  {spent / count * 1e3:6.2f} ms a prediction")
    spent = run(metrics, told.samples, told.draws, told.arms)
    of = ", ".join(metrics) if told.metrics else f"all {len(metrics)}"
    print(f"{of}: {count} predictions in {spent:.1f} s, {count / spent:.0f}/s, peak {peak_mib():.0f} MiB", flush=True)


def growth() -> None:
    """Ten times the draws of the same samples."""
    for draws in (10, 100):
        words = ("--samples", "1000", "--draws", str(draws), "--arms", "1", "--metrics", "exact_match")
        subprocess.run([sys.executable, __file__, *words], check=True)


def available() -> list[str]:
    """The metrics of `LOCAL` that this machine has a model for."""
    modules = Path(os.environ.get(eslint.VARIABLE) or eslint.HERE) / "node_modules"
    if shutil.which("node") is None or not modules.is_dir():
        print(f"style does not judge JavaScript: no Node, or no packages ({eslint.VARIABLE})")
    if VARIABLE in os.environ:
        return list(LOCAL)
    print(f"semantic_similarity is left out: {VARIABLE} is not set")
    return [metric for metric in LOCAL if metric != "semantic_similarity"]


if __name__ == "__main__":
    main()
