#!/usr/bin/env python3
"""Answer test sets with two models and score both.

The steps `generate` and `evaluate` for both arms; whatever was done is not done again. Leaves
`control-results.jsonl` and `experiment-results.jsonl` for `stats_analysis.py`. Predictions that were made
elsewhere take the place of a model.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

# A script's own folder comes first on sys.path; there, this file would pass for Hugging Face's `evaluate`.
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]

try:
    from sluicegate import cli, jsonl
    from sluicegate.__main__ import guard
    from sluicegate.data.reader import read_samples
    from sluicegate.errors import INCONCLUSIVE, UserError
    from sluicegate.evaluate import choose_metrics, choose_scenarios, evaluate, out_of_budget, summary
    from sluicegate.evaluators import baselines, load
    from sluicegate.records import Sample
except ModuleNotFoundError as missing:
    print(
        f"evaluate.py: {missing}; mend: .venv/bin/python scripts/evaluate.py, after make demo",
        file=sys.stderr,
    )
    sys.exit(2)

ARMS = ("control", "experiment")


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
    top.add_argument("--scenarios", metavar="NAME[,NAME…]", help="only samples of these")
    top.add_argument("--limit", type=int, metavar="N", help="only the first N samples")
    metrics = top.add_mutually_exclusive_group()
    metrics.add_argument("--metrics", default=cli.METRICS, metavar="NAME[,NAME…]", help=f"default: {cli.METRICS}")
    metrics.add_argument("--all-metrics", action="store_true", help="every one that fits the samples")
    top.add_argument("--out", type=Path, default=Path("results"), metavar="DIR", help="default: results")
    top.add_argument("--draws", type=int, default=1, help="answers a prompt (default: 1)")
    top.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    top.add_argument("--max-new-tokens", type=int, default=512, help="of one answer (default: 512)")
    top.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    top.add_argument("--workers", type=int, metavar="N", help="answers judged side by side (default: the cores)")
    top.add_argument(
        "--backend", default="threads", metavar="NAME",
        help="where answers are judged: threads (default), processes, ray or dask",
    )  # fmt: skip
    return top


def run(argv: Sequence[str]) -> int:
    """Generate and evaluate for both arms."""
    told = parser().parse_args(argv)
    samples = [sample for path in told.test_set for sample in read_samples(path)]
    chosen = choose_scenarios(told.scenarios, samples)
    metrics = choose_metrics(None if told.all_metrics else told.metrics, chosen)  # before anything is generated
    data = gather(chosen, told.out)
    scores = []
    for arm in ARMS:
        predictions = getattr(told, f"{arm}_predictions") or generate(told, arm, data)
        scores.append(
            evaluate(
                told.test_set, predictions, told.out / f"{arm}-results.jsonl", metrics, scenarios=told.scenarios,
                limit=told.limit, workers=told.workers, backend=told.backend,
            )
        )  # fmt: skip
    fixed = baselines.keep(told.out, chosen[: told.limit], load(metrics))
    print(summary(chain.from_iterable(scores), fixed))
    files = [f"--{arm}-results {told.out / f'{arm}-results.jsonl'}" for arm in ARMS]
    print(f"next: python {Path(sys.argv[0]).with_name('stats_analysis.py')} {' '.join(files)}")
    return INCONCLUSIVE if any(map(out_of_budget, scores)) else 0


def generate(told: argparse.Namespace, arm: str, data: Path) -> Path:
    """The predictions of one arm."""
    out: Path = told.out / f"{arm}-predictions.jsonl"
    words = {"model": getattr(told, f"{arm}_model"), "name": arm, "data": data, "out": out, "limit": told.limit}
    words |= {name: getattr(told, name) for name in ("draws", "temperature", "max_new_tokens", "seed")}
    options = [(f"--{name.replace('_', '-')}", str(word)) for name, word in words.items() if word is not None]
    cli.run(["generate", *(word for option in options for word in option)])
    return out


def gather(chosen: Sequence[Sample], out: Path) -> Path:
    """The samples as one file in the output folder, which is never replaced by another.

    Raises:
        UserError: a repeated id, or other samples in the output folder.
    """
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
