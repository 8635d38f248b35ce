#!/usr/bin/env python3
"""Compare two score files: `stats_analysis.py --control-results A --experiment-results B`.

The sub-command `compare` under the name that the statistics are asked for by; with `--out DIR` it leaves
`comparisons.json` there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# A script's own folder comes first on sys.path; `evaluate.py` in it would pass for Hugging Face's `evaluate`.
sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != Path(__file__).resolve().parent]

try:
    from sluicegate import cli
    from sluicegate.__main__ import guard
except ModuleNotFoundError as missing:
    print(f"stats_analysis.py: {missing}; mend: .venv/bin/python scripts/stats_analysis.py", file=sys.stderr)
    sys.exit(2)


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    top = argparse.ArgumentParser(description="Compare two arms, paired by sample.")
    for arm in ("control", "experiment"):
        top.add_argument(f"--{arm}-results", nargs="+", required=True, metavar="FILE", help="score files (JSONL)")
    top.add_argument(
        "--primary",
        default="functional_correctness",
        help="the deciding metric (default: functional_correctness)",
    )
    top.add_argument("--metrics", help="comma-separated (default: all in the files)")
    top.add_argument("--level", default="0.95", help="of the two-sided intervals (default: 0.95)")
    top.add_argument("--seed", default="0", help="of the resampling (default: 0)")
    top.add_argument("--out", type=Path, metavar="DIR", help="write comparisons.json there")
    return top


def run(argv: Sequence[str]) -> int:
    """Compare."""
    told = parser().parse_args(argv)
    words = ["--control-results", *told.control_results, "--experiment-results", *told.experiment_results]
    words += ["--primary", told.primary, "--level", told.level, "--seed", told.seed]
    words += ["--metrics", told.metrics] if told.metrics else []
    words += ["--out", str(told.out / "comparisons.json")] if told.out else []
    return cli.run(["compare", *words])


if __name__ == "__main__":
    sys.exit(guard(lambda: run(sys.argv[1:])))
