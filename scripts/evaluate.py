#!/usr/bin/env python3
"""Answer test sets with two models and score both.

The steps `generate` and `evaluate` for both arms; whatever was done is not done again. Leaves
`control-results.jsonl` and `experiment-results.jsonl` for `stats_analysis.py`. Predictions that were made
elsewhere take the place of a model.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

# A script's own folder comes first on sys.path; there, this file would pass for Hugging Face's `evaluate`.
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]

try:
    from sluicegate import cli, jsonl
    from sluicegate.__main__ import guard
    from sluicegate.data.reader import read_samples
    from sluicegate.errors import INCONCLUSIVE, UserError
    from sluicegate.evaluate import evaluate, out_of_budget, summary
    from sluicegate.evaluators import EVALUATORS, baselines, fitting, load, paid
    from sluicegate.records import Sample
except ModuleNotFoundError as missing:
    print(
        f"evaluate.py: {missing}; mend: .venv/bin/python scripts/evaluate.py, after make demo",
        file=sys.stderr,
    )
    sys.exit(2)

ARMS = ("control", "experiment")
DEFAULT_METRICS = "functional_correctness,exact_match"


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(description="Answer test sets with two models and score both.")
    for arm in ARMS:
        either = top.add_mutually_exclusive_group(required=True)
        where = "model folder, runs:/…, models:/… or http(s)://…"
        either.add_argument(f"--{arm}-model", metavar="FOLDER|URI", help=where)
        either.add_argument(f"--{arm}-predictions", type=Path, metavar="FILE", help="predictions already made")
    top.add_argument(
        "--test-set",
        "--test-sets",
        nargs="+",
        type=Path,
        required=True,
        metavar="FILE",
        help="samples (JSONL)",
    )
    top.add_argument("--scenarios", help="comma-separated; only samples of these")
    top.add_argument("--limit", type=int, metavar="N", help="only the first N samples")
    metrics = top.add_mutually_exclusive_group()
    metrics.add_argument("--metrics", default=DEFAULT_METRICS, help=f"comma-separated (default: {DEFAULT_METRICS})")
    metrics.add_argument("--all-metrics", action="store_true", help="every one that fits the scenarios")
    top.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    top.add_argument("--draws", type=int, default=1, help="answers a prompt (default: 1)")
    top.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    top.add_argument("--max-new-tokens", type=int, default=512, help="of one answer (default: 512)")
    top.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    return top


def run(argv: Sequence[str]) -> int:
    """Generate and evaluate for both arms."""
    told = parser().parse_args(argv)
    if not told.all_metrics:
        load(names(told.metrics))  # an unknown one is told before anything is generated
    data = gather(told.test_set, told.scenarios, told.out)
    samples = jsonl.read(Sample, data)[: told.limit]
    metrics = every_metric(samples) if told.all_metrics else names(told.metrics)
    scores = []
    for arm in ARMS:
        predictions = getattr(told, f"{arm}_predictions") or generate(told, arm, data)
        scores += evaluate(data, predictions, told.out / f"{arm}-results.jsonl", metrics, limit=told.limit)
    print(summary(scores, baselines.keep(told.out, samples, load(metrics))))
    files = [f"--{arm}-results {told.out / f'{arm}-results.jsonl'}" for arm in ARMS]
    print(f"next: python {Path(sys.argv[0]).with_name('stats_analysis.py')} {' '.join(files)}")
    return INCONCLUSIVE if out_of_budget(scores) else 0


def every_metric(samples: Sequence[Sample]) -> list[str]:
    """All metrics that fit the samples; those that a judge is paid for only where one is named."""
    judged = paid(EVALUATORS) if os.environ.get("JUDGE_BASE_URL") else []
    return [*fitting(sample.scenario for sample in samples), *judged]


def generate(told: argparse.Namespace, arm: str, data: Path) -> Path:
    """The predictions of one arm."""
    out: Path = told.out / f"{arm}-predictions.jsonl"
    words = {"model": getattr(told, f"{arm}_model"), "name": arm, "data": data, "out": out, "limit": told.limit}
    words |= {name: getattr(told, name) for name in ("draws", "temperature", "max_new_tokens", "seed")}
    options = [(f"--{name.replace('_', '-')}", str(word)) for name, word in words.items() if word is not None]
    cli.run(["generate", *(word for option in options for word in option)])
    return out


def names(text: str) -> list[str]:
    """The names in a list with commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def gather(paths: Sequence[Path], scenarios: str | None, out: Path) -> Path:
    """The test sets as one file in the output folder, which is never replaced by another.

    Raises:
        UserError: a repeated id, no sample left, or other samples in the output folder.
    """
    samples = [sample for path in paths for sample in read_samples(path)]
    wanted = set(names(scenarios or ""))
    have = sorted({sample.scenario for sample in samples})
    if missing := sorted(wanted - set(have)):
        raise UserError(f"--scenarios: none of {', '.join(missing)}", wanted=", ".join(have), seen=scenarios or "")
    chosen = [sample for sample in samples if not wanted or sample.scenario in wanted]
    if len({sample.id for sample in chosen}) < len(chosen):
        raise UserError("--test-set: ids repeat", wanted="an id once in all files", seen=f"{len(chosen)} samples")
    path = out / "test.jsonl"
    if not path.exists():
        jsonl.write(path, chosen)
    elif jsonl.read(Sample, path) != chosen:
        raise UserError(f"{path}: other samples", wanted="the samples given", seen="another set", mend="--out DIR")
    return path


if __name__ == "__main__":
    sys.exit(guard(lambda: run(sys.argv[1:])))
