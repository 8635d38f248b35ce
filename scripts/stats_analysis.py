#!/usr/bin/env python3
"""Compare two score files: `stats_analysis.py --control-results A --experiment-results B`.

The sub-command `compare` under the name that the statistics are asked for by; with `--out DIR` it leaves
`comparisons.json` there. `--grim 87.3 --items 16 --parts 11` asks instead whether a percentage that somebody reports
can come from 16 items with 11 checks each at all.
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
    top = argparse.ArgumentParser(description="Compare two arms, paired by sample; or check reported percentages.")
    for arm in ("control", "experiment"):
        top.add_argument(
            f"--{arm}-results",
            nargs="+",
            metavar="FILE",
            help="score files: JSON Lines of ours, or JSON, JSON Lines, CSV with an id column and one a metric",
        )
    top.add_argument(
        "--primary",
        default="",
        help="the deciding metric (default: functional_correctness, or the only one in the files)",
    )
    top.add_argument("--metrics", help="comma-separated (default: all in the files)")
    top.add_argument("--level", default="0.95", help="of the two-sided intervals (default: 0.95)")
    top.add_argument("--seed", default="0", help="of the resampling (default: 0)")
    top.add_argument("--data", metavar="FILE", help="the samples: adds results clustered by scenario")
    top.add_argument("--out", type=Path, metavar="DIR", help="write comparisons.json there")
    top.add_argument("--grim", nargs="+", metavar="PERCENT", help="reported percentages: can --items give them?")
    top.add_argument("--items", type=int, metavar="N", help="items behind the percentages")
    top.add_argument("--parts", type=int, default=1, metavar="N", help="checks of each item (default: 1)")
    return top


def run(argv: Sequence[str]) -> int:
    """Compare, or check percentages."""
    top = parser()
    told = top.parse_args(argv)
    if told.grim:
        if told.items is None or told.control_results or told.experiment_results:
            top.error("--grim wants --items and no score files")
        from sluicegate.compare import reachable

        print("\n".join(reachable(told.grim, told.items, told.parts)))
        return 0
    if not (told.control_results and told.experiment_results):
        top.error("wanted --control-results FILE and --experiment-results FILE")
    words = ["--control-results", *told.control_results, "--experiment-results", *told.experiment_results]
    words += [f"--primary={told.primary}", "--level", told.level, "--seed", told.seed]
    words += ["--metrics", told.metrics] if told.metrics else []
    words += ["--data", told.data] if told.data else []
    words += ["--out", str(told.out / "comparisons.json")] if told.out else []
    return cli.run(["compare", *words])


if __name__ == "__main__":
    sys.exit(guard(lambda: run(sys.argv[1:])))
