"""The command line: one sub-command an arrow of the pipeline, and the stages on top.

Each sub-command reads files and environment and writes files. Only what a sub-command needs is imported, so that
`--help` is instant and judging never loads a GPU stack.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TypeAlias

from sluicegate import __version__

DEMO, RUNS = "demo", Path("runs")
CODES = (
    "exit codes: 0 GO or done, 10 RETRY, 15 INCONCLUSIVE, 20 STOP, 2 you must do something, 1 our bug, 130 interrupted"
)
DATA_CODES = "exit codes: 0 done, 10 something to mend, 2 you must do something, 1 our bug, 130 interrupted"
SIZES = {
    "micro": "5 authored samples",
    "small": "20, 5 and 20 samples",
    "scenario": "one scenario, split 70/15/15",
    "all": "all scenarios, split 70/15/15",
}
METRICS = "functional_correctness,exact_match"
IMPORTED = ("humaneval", "mbpp", "quixbugs", "spider", "hf", "openai-chat", "alpaca", "csv")
K8S_CHECK = "Say what is wrong with manifests, with the remedy; or write hardened copies of them."
K8S_CHECKS = "List the checks."
K8S_CODES = "exit codes: 0 nothing to mend, 10 something to mend, 2 you must do something, 1 our bug, 130 interrupted"


def run(argv: Sequence[str]) -> int:
    """Parse the arguments and run the sub-command; its exit code."""
    arguments = parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = getattr(import_module("sluicegate.commands"), arguments.command)
    return command(arguments)


def parser() -> argparse.ArgumentParser:
    """The whole command line as a parser."""
    top = argparse.ArgumentParser(
        prog="sluicegate",
        description="Runs a fine-tuning experiment through staged gates: GO, STOP, INCONCLUSIVE or RETRY.",
        epilog=CODES,
    )
    top.add_argument("--version", action="version", version=f"sluicegate {__version__}")
    parts = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        _add_run,
        _add_stage,
        _add_plan,
        _add_check,
        _add_data,
        _add_train,
        _add_generate,
        _add_evaluate,
        _add_cost,
        _add_compare,
        _add_gate,
        _add_report,
        _add_sync,
        _add_promote,
        _add_k8s,
    ):
        add(parts)
    return top


Parts: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"


def _part(parts: Parts, name: str, text: str) -> argparse.ArgumentParser:
    part: argparse.ArgumentParser = parts.add_parser(name, help=text, description=text, epilog=CODES)
    part.set_defaults(command=name)
    return part


def _study_options(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "--study", default=DEMO, metavar="NAME|FILE", help="a shipped study or a study file (default: demo)"
    )
    part.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where run folders lie (default: runs)")


def _stage_options(part: argparse.ArgumentParser) -> None:
    _study_options(part)
    part.add_argument("--override", default="", metavar="REASON", help="start without the former stage's GO; recorded")
    part.add_argument("--local", action="store_true", help="run every step here, whatever machines the study names")


def _add_run(parts: Parts) -> None:
    part = _part(parts, "run", "Run stages 0 to N, stopping at the first that is not GO.")
    part.add_argument("--through", type=int, choices=range(5), required=True, metavar="N", help="the last stage, 0-4")
    _stage_options(part)


def _add_stage(parts: Parts) -> None:
    part = _part(parts, "stage", "Run one stage to its verdict; the same command resumes it.")
    part.add_argument("number", type=int, choices=range(5), metavar="N", help="the stage, 0-4")
    _stage_options(part)


def _add_plan(parts: Parts) -> None:
    part = _part(parts, "plan", "Show what each stage of a study does, costs and can detect, before any of it runs.")
    part.add_argument("study", nargs="?", metavar="STUDY", help="a shipped study or a study file (default: demo)")
    part.add_argument("--study", dest="named", metavar="NAME|FILE", help="the same, as the other commands take it")
    part.add_argument(
        "--runs", type=Path, default=RUNS, metavar="DIR", help="refine by stages that ran there (default: runs)"
    )
    part.add_argument("--json", action="store_true", help="print the forecasts as JSON")
    part.add_argument("--html", type=Path, metavar="FILE", help="write a page beside")


def _add_check(parts: Parts) -> None:
    _study_options(_part(parts, "check", "Is this machine fit for the study? Looks and changes nothing."))


def _add_data(parts: Parts) -> None:
    part = _part(parts, "data", "Build the data of a stage, and look after the data sets that it is built from.")
    inner = part.add_subparsers(title="commands", dest="size", required=True, metavar="COMMAND")
    for size, text in SIZES.items():
        _add_size(_data_part(inner, size, f"Build training, validation and test files: {text}."))
    _add_arms(_data_part(inner, "arms", "Write whole scenarios as each arm sees them: <arm>/<scenario>/samples.jsonl."))
    _add_k8s_data(
        _data_part(inner, "k8s", "Make a source for the others: pairs of a request and a Kubernetes manifest.")
    )
    _add_enrich(
        _data_part(inner, "enrich", "Fill in the metadata that parsing the answers can tell; authored fields stay.")
    )
    _add_audit(_data_part(inner, "audit", "Try every sample of a data set, and say all that is wrong."))
    _add_import(_data_part(inner, "import", "Make samples of others' data sets, or of documented code in a checkout."))


def _data_part(inner: Parts, name: str, text: str) -> argparse.ArgumentParser:
    part: argparse.ArgumentParser = inner.add_parser(name, help=text, description=text, epilog=DATA_CODES)
    return part


def _add_size(part: argparse.ArgumentParser) -> None:
    part.add_argument("--study", metavar="NAME|FILE", help="build for the arms of a study; without it: plain files")
    part.add_argument(
        "--source",
        metavar="DIR|NAME",
        help="samples: demo, micro, kubernetes, or a folder with <scenario>/samples.jsonl",
    )
    part.add_argument("--scenario", help="which scenario, for size scenario")
    _output_options(part, "datasets/<size>")
    part.add_argument(
        "--test-prompts",
        choices=("plain", "enriched"),
        help="how test.jsonl asks, the same of all arms (default: plainly, or as the study says)",
    )
    part.add_argument(
        "--fresh-from", type=Path, metavar="FILE", help="test items of an earlier stage, none of which is one again"
    )
    for name in ("train", "val", "test"):
        part.add_argument(
            f"--{name}-samples",
            type=int,
            metavar="N",
            help=f"how many {name} samples (default: the size's own)",
        )


def _add_arms(part: argparse.ArgumentParser) -> None:
    part.add_argument("--study", metavar="NAME|FILE", help="whose arms (default: control plain, experiment enriched)")
    part.add_argument("--source", metavar="DIR", help="a folder with <scenario>/samples.jsonl (default: datasets)")
    part.add_argument("--out", type=Path, metavar="DIR", help="where to write (default: datasets)")
    part.add_argument("--force", action="store_true", help="replace files that differ")


def _output_options(part: argparse.ArgumentParser, usual: str) -> None:
    part.add_argument("--out", type=Path, metavar="DIR", help=f"where to write (default: {usual})")
    part.add_argument("--seed", type=int, default=0, help="of the split (default: 0)")
    part.add_argument("--force", action="store_true", help="replace files that differ")


def _add_enrich(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "source", type=Path, metavar="IN", help="a file of samples, or a folder of <scenario>/samples.jsonl"
    )
    part.add_argument("out", type=Path, metavar="OUT", help="the file, or folder, to write")
    part.add_argument("--force", action="store_true", help="replace files that differ")


def _add_audit(part: argparse.ArgumentParser) -> None:
    part.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="of <scenario>/samples.jsonl, or a file (default: datasets)",
    )
    part.add_argument("--scenario", help="only this one")
    part.add_argument("--workers", type=int, metavar="N", help="samples tried side by side (default: the cores)")
    part.add_argument("--mutants", type=int, default=8, metavar="N", help="changed references a sample (default: 8)")
    part.add_argument(
        "--tokenizer",
        type=Path,
        nargs="+",
        default=[],
        metavar="DIR",
        help="measure lengths with these, not by estimate",
    )
    part.add_argument("--json", action="store_true", help="print all that was found as JSON")


def _add_import(part: argparse.ArgumentParser) -> None:
    part.add_argument("files", nargs="*", type=Path, metavar="FILE", help="of --format; quixbugs and hf take a folder")
    part.add_argument("--format", choices=IMPORTED, help="what the files hold")
    part.add_argument("--from-git", type=Path, metavar="DIR", help="mine a local checkout, as it was committed")
    part.add_argument("--out", type=Path, required=True, metavar="DIR", help="gets <scenario>/samples.jsonl")
    part.add_argument("--licence", metavar="SPDX", help="of what does not say it itself")
    part.add_argument("--scenario", help="of all samples (default: the format's)")
    part.add_argument("--language", help="of all samples (default: the format's)")
    for name in ("prompt", "completion", "tests"):
        part.add_argument(f"--{name}-column", metavar="NAME", help=f"csv and hf: which it is (default: {name})")
    part.add_argument("--databases", type=Path, metavar="DIR", help="spider: of <db_id>/<db_id>.sqlite")
    part.add_argument("--rows", type=int, metavar="N", help="spider: at most N of a table (default: 50)")
    part.add_argument("--strict", action="store_true", help="write nothing where a row cannot be read")
    part.add_argument("--force", action="store_true", help="replace files that differ")


def _add_k8s_data(part: argparse.ArgumentParser) -> None:
    part.add_argument("--from", dest="folder", type=Path, metavar="DIR", help="real manifests, a folder a repository")
    part.add_argument("--synthesize", type=int, metavar="N", help="manifests made from a grammar")
    part.add_argument(
        "--import",
        dest="imported",
        type=Path,
        nargs="+",
        metavar="FILE",
        help="pairs: a training file, and a test file",
    )
    part.add_argument("--intents", type=int, metavar="N", help="requests a manifest, 1-5 (default: 1)")
    part.add_argument("--depth", type=int, metavar="N", help="folders of --from that name a repository (default: 1)")
    part.add_argument("--kube-version", dest="version", metavar="V", help="whose schemas hold (default: newest)")
    part.add_argument("--augment", type=float, metavar="SHARE", help="variants that ask for security (default: 0)")
    part.add_argument("--order", choices=("shuffled", "curriculum", "reversed"), help="of training (default: shuffled)")
    _output_options(part, "datasets/k8s")


def _add_train(parts: Parts) -> None:
    part = _part(
        parts,
        "train",
        "Train one model from the environment (DATASET_PATH, EPOCHS, …); resumes what was begun.",
    )
    part.add_argument("--no-send", action="store_true", help="write the tracking spool only; somebody else sends it")
    part.add_argument("--arm", default="", help="arm of the study, recorded")
    part.add_argument("--stage", type=int, choices=range(5), help="stage, recorded")
    part.add_argument("--experiment", default="train", help="MLflow experiment (default: train)")
    part.add_argument("--parent", type=Path, help="folder of the parent's tracking spool")


def _add_generate(parts: Parts) -> None:
    part = _part(parts, "generate", "Answer every prompt of a file with a model; resumes what was begun.")
    part.add_argument(
        "--model",
        required=True,
        metavar="FOLDER|URI",
        help="model folder, runs:/…, models:/… or http(s)://… (OpenAI-compatible)",
    )
    part.add_argument("--data", type=Path, required=True, metavar="FILE", help="samples (JSONL)")
    part.add_argument("--out", type=Path, required=True, metavar="FILE", help="predictions (JSONL)")
    part.add_argument("--name", help="the model's name in the predictions (default: the last part of --model)")
    part.add_argument("--draws", type=int, default=1, help="answers a prompt (default: 1)")
    part.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default)")
    part.add_argument("--top-p", type=float, default=1.0, help="nucleus sampling (default: 1)")
    part.add_argument("--max-new-tokens", type=int, default=512, help="of one answer (default: 512)")
    part.add_argument(
        "--batch-size", type=int, default=16, help="answers made side by side; 0: as many as memory holds (default: 16)"
    )
    part.add_argument("--seed", type=int, default=0, help="of the draws (default: 0)")
    part.add_argument("--limit", type=int, help="only the first N samples")
    part.add_argument("--endpoint-model", default="", help="model name sent to an endpoint")
    part.add_argument(
        "--endpoint-api", choices=("chat", "completions"), default="chat", help="of an endpoint (default: chat)"
    )
    part.add_argument(
        "--load-in-4bit",
        choices=("auto", "true", "false"),
        default="auto",
        help="NF4 base weights (default: auto)",
    )
    part.add_argument("--trust-remote-code", action="store_true", help="run code that a model folder brings along")


def _add_evaluate(parts: Parts) -> None:
    part = _part(parts, "evaluate", "Score predictions; resumes what was begun.")
    part.add_argument(
        "--data",
        "--test-set",
        "--test-sets",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="samples with tests (JSONL); several files count as one",
    )
    part.add_argument("--predictions", type=Path, required=True, metavar="FILE", help="predictions (JSONL)")
    part.add_argument("--out", type=Path, required=True, metavar="FILE", help="scores (JSONL)")
    metrics = part.add_mutually_exclusive_group()
    metrics.add_argument(
        "--metrics",
        default=METRICS,
        metavar="NAME[,NAME…]",
        help=f"default: {METRICS}",
    )
    metrics.add_argument("--all-metrics", action="store_true", help="every one that fits the samples")
    part.add_argument("--scenarios", metavar="NAME[,NAME…]", help="only samples of these")
    part.add_argument("--limit", type=int, metavar="N", help="only the first N samples")
    part.add_argument("--workers", type=int, metavar="N", help="answers judged side by side (default: the cores)")
    part.add_argument(
        "--backend",
        default="threads",
        metavar="NAME",
        help="where answers are judged: threads (default), processes, ray or dask",
    )


def _add_cost(parts: Parts) -> None:
    part = _part(parts, "cost", "Show what judges and machines cost: spent, reserved and forecast of each stage.")
    part.add_argument(
        "where", nargs="?", metavar="RUNS|STUDY", help="folder of runs, judge's ledger, or study (default: --runs)"
    )
    part.add_argument("--runs", type=Path, default=RUNS, metavar="DIR", help="where a study's runs lie (default: runs)")
    part.add_argument(
        "--release", action="store_true", help="count what killed processes had reserved as not spent; see the bill"
    )


def _add_compare(parts: Parts) -> None:
    part = _part(parts, "compare", "Compare two arms, paired by sample: gains, intervals, tests, effect sizes.")
    part.add_argument(
        "--control-results",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="score files of the control arm",
    )
    part.add_argument(
        "--experiment-results",
        type=Path,
        nargs="+",
        required=True,
        metavar="FILE",
        help="score files of the experiment arm",
    )
    part.add_argument(
        "--primary", help="the one metric that may decide (default: functional correctness, or the only one)"
    )
    part.add_argument("--metrics", help="comma-separated (default: all in the files)")
    part.add_argument("--level", type=float, default=0.95, help="of the two-sided intervals (default: 0.95)")
    part.add_argument("--seed", type=int, default=0, help="of the resampling (default: 0)")
    part.add_argument("--minimum", type=float, help="smallest gain of interest, a share: adds P(gain > minimum)")
    part.add_argument("--data", type=Path, metavar="FILE", help="the samples: adds results clustered by scenario")
    part.add_argument("--out", type=Path, metavar="FILE", help="comparisons (JSON)")
    part.add_argument("--names", nargs=2, metavar="ARM", help="of control and experiment, as --out tells them")


def _add_gate(parts: Parts) -> None:
    part = _part(parts, "gate", "Show a verdict and hold it against the ledger; or decide it again from the evidence.")
    part.add_argument("verdict", type=Path, metavar="FILE|DIR", help="verdict.json, or the run folder it lies in")
    part.add_argument(
        "--recompute",
        action="store_true",
        help="compare and decide again from the files, print the verdict file; the same bytes, or what differs",
    )


def _add_report(parts: Parts) -> None:
    part = _part(parts, "report", "Write the report of a run folder again, from its files.")
    part.add_argument("folder", type=Path, help="runs/<study>/stage<N>-<time>")


def _add_sync(parts: Parts) -> None:
    part = _part(parts, "sync", "Send what a run folder has not told the tracking server yet; never twice.")
    part.add_argument("folder", type=Path, help="a run folder or a model folder")
    part.add_argument("--uri", help="tracking server (default: MLFLOW_TRACKING_URI, else the SQLite store under runs/)")
    part.add_argument("--again", action="store_true", help="from the beginning, for a server restored from an old copy")


def _add_promote(parts: Parts) -> None:
    part = _part(parts, "promote", "Make the model that won a GO the champion of MLflow's registry; no other.")
    part.add_argument("verdict", type=Path, metavar="DIR|FILE", help="a run folder whose stage decides")
    part.add_argument("--name", default="", metavar="MODEL", help="of the registered model (default: the study's)")
    part.add_argument("--uri", help="tracking server (default: MLFLOW_TRACKING_URI, else the SQLite store under runs/)")


def _add_k8s(parts: Parts) -> None:
    part = _part(parts, "k8s", "Check Kubernetes manifests: best practice, validity, hardened copies.")
    inner = part.add_subparsers(title="commands", dest="action", required=True, metavar="COMMAND")
    check = inner.add_parser("check", help=K8S_CHECK, description=K8S_CHECK, epilog=K8S_CODES)
    check.add_argument("names", nargs="*", metavar="FILE|DIR|-", help="manifests; - is the standard input")
    check.add_argument(
        "--format", choices=("text", "json", "sarif", "junit"), default="text", help="of the report (default: text)"
    )
    check.add_argument("--out", metavar="FILE|DIR", help="write the report, or with --fix the copies, there")
    check.add_argument(
        "--minimum", type=float, metavar="N", help="pass at a mean BP of N percent (0-100) or more, whatever is found"
    )
    check.add_argument(
        "--skip", action="append", default=[], metavar="CHECK[,CHECK…]", help="do not ask these checks; may be repeated"
    )
    check.add_argument("--kube-version", default="", metavar="V", help="validate for it, as in 1.31 (default: newest)")
    check.add_argument("--no-validity", action="store_true", help="the checks alone: no schemas, no semantic rules")
    check.add_argument("--fix", action="store_true", help="write hardened copies: to --out, in place, or to stdout")
    check.add_argument("--in-place", action="store_true", help="with --fix: replace the files")
    check.add_argument("--explain", metavar="CHECK", help="say what a check, by name or number, asks and why")
    checks = inner.add_parser("checks", help=K8S_CHECKS, description=K8S_CHECKS, epilog=K8S_CODES)
    checks.add_argument("--format", choices=("text", "json"), default="text", help="of the list (default: text)")
