"""The results table of the Kubernetes study: its own steps, side by side on one GPU, in runs that are cut and go on.

    python benchmarks/k8s_results.py run FOLDER [--study FILE] [--jobs 3] [--seconds 540] [--only train,generate]
    python benchmarks/k8s_results.py page FOLDER [--docs DIR]      writes results-k8s.json and results-k8s.md into docs

`run` does the steps of the study's stage 3 that are not done yet, as soon as what they start from is there, `--jobs`
at a time; after `--seconds` those that run are asked to stop, which saves a checkpoint, and the next `run` goes on.
Models whose names match one of `--leave` are left out. `page` compares whatever has scores. Without arguments nothing
is run.
"""

from __future__ import annotations

import argparse
import fnmatch
import html
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate import folder, jsonl
from sluicegate.compare.comparing import compare
from sluicegate.errors import UserError
from sluicegate.evaluators import baselines
from sluicegate.records import Comparison, Prediction, Sample, Score
from sluicegate.report import clean, failures, reader
from sluicegate.stages.plan import Plan, resolve
from sluicegate.stages.steps import Step, steps
from sluicegate.study import Study, dump, load

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
STAGE = 3
LEVEL = 0.95
GRACE_S = 45
TARGETS = {"k8s_valid": 0.95, "k8s_bp": 0.90, "k8s_security": 0.80, "codebleu_k8s": 0.85, "k8s_quality": 0.85}
"""Of the earlier work, for its own study; on [0, 1]."""
WORST, LINES = 3, 30
"""Samples that are shown of each arm, and the lines of a text of theirs."""


@dataclass
class Running:
    """A step that runs."""

    step: Step
    child: subprocess.Popen[bytes]
    since: float


def attempt_of(root: Path, study: Study) -> Path:
    """The run folder, with the study in it."""
    attempt = root / study.name / f"stage{STAGE}"
    attempt.mkdir(parents=True, exist_ok=True)
    jsonl.write_text(attempt / folder.STUDY, dump(study))
    return attempt


def name_of(step: Step) -> tuple[str, str]:
    """What a step does, and for which model: `train`, `dual-s0`."""
    does, _, model = step.name.partition(" ")
    return does, model


def wanted(study: Study, plan: Plan, attempt: Path, only: Sequence[str], leave: Sequence[str]) -> list[Step]:
    """The steps to do, in the study's order: those of one model follow each other."""
    every = [step for step in steps(study, plan, attempt) if name_of(step)[0] in only]
    return [step for step in every if not any(fnmatch.fnmatch(name_of(step)[1], pattern) for pattern in leave)]


def run(told: argparse.Namespace) -> int:
    """Do what is not done; 0 when all is, 10 when the time was up first, 1 when a step failed."""
    until = time.monotonic() + told.seconds
    study = load(told.study)
    attempt, plan = attempt_of(told.folder, study), resolve(study, STAGE)
    left = [step for step in wanted(study, plan, attempt, told.only, told.leave) if not done(attempt, step)]
    if any(name_of(step)[0] == "train" for step in left):
        jsonl.write_text(attempt / "machine.json", json.dumps(machine()) + "\n")
    running: list[Running] = []
    failed: list[str] = []
    while (left or running) and time.monotonic() < until:
        for one in [one for one in running if one.child.poll() is not None]:
            running.remove(one)
            code, took = one.child.returncode, time.monotonic() - one.since
            print(f"{one.step.name}: {'done' if code == 0 else f'exit {code}'} in {took:.0f} s", flush=True)
            if code == 0:
                mark(attempt, one.step).touch()
            else:
                failed.append(one.step.name)
                print(log_of(attempt, one.step).read_text()[-1500:], flush=True)
        while len(running) < told.jobs and (step := next(ready(left, running), None)) is not None:
            left.remove(step)
            running.append(started(attempt, step))
        if not running:
            break
        time.sleep(0.2)
    stopped(running)
    names = ", ".join(step.name for step in [*left, *(one.step for one in running)])
    print(f"failed: {', '.join(failed) or 'none'}; left: {names or 'nothing'}", flush=True)
    return 1 if failed else 10 if names else 0


def ready(left: Sequence[Step], running: Sequence[Running]) -> Iterator[Step]:
    """The steps whose inputs are there, and are written by none that runs."""
    written = {path for one in running for path in one.step.outputs}
    return (step for step in left if all(path.exists() and path not in written for path in needs(step)))


def needs(step: Step) -> Iterator[Path]:
    """The files that another step must have left; a base's weights are not there where the base has a name."""
    return (path for path in step.inputs if path.parent.name != "base" and path.suffix != ".yaml")


def mark(attempt: Path, step: Step) -> Path:
    """A file that is there when a step is done."""
    made = attempt / "done"
    made.mkdir(exist_ok=True)
    return made / step.name.replace(" ", "-")


def done(attempt: Path, step: Step) -> bool:
    return mark(attempt, step).exists() and all(path.exists() for path in step.outputs)


def log_of(attempt: Path, step: Step) -> Path:
    (attempt / folder.LOGS).mkdir(exist_ok=True)
    return attempt / folder.LOGS / f"{step.name.replace(' ', '-')}.log"


def started(attempt: Path, step: Step) -> Running:
    with log_of(attempt, step).open("ab") as log:
        env = {**os.environ, **step.env}
        child = subprocess.Popen(step.command(), env=env, stdout=log, stderr=log, start_new_session=True)
    return Running(step, child, time.monotonic())


def stopped(running: Sequence[Running]) -> None:
    """Ask what runs to stop, and wait until it has."""
    for one in running:
        os.killpg(one.child.pid, signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    for one in running:
        try:
            one.child.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(one.child.pid, signal.SIGKILL)


def page(told: argparse.Namespace) -> int:
    """Compare what has scores and write the figures and the page."""
    study = load(told.study)
    attempt, plan = attempt_of(told.folder, study), resolve(study, STAGE)
    found = figures(study, plan, attempt)
    jsonl.write_text(told.docs / "results-k8s.json", json.dumps(found, indent=1) + "\n")
    jsonl.write_text(told.docs / "results-k8s.md", text(found))
    return 0


def scores_of(plan: Plan, attempt: Path, arm: str) -> list[Score]:
    """The scores of the models of an arm that there are."""
    paths = [attempt / folder.SCORES / f"{model.name}.jsonl" for model in plan.of(arm)]
    return [score for path in paths if path.exists() for score in jsonl.read(Score, path)]


def figures(study: Study, plan: Plan, attempt: Path) -> dict[str, Any]:
    """All that the page tells, as JSON."""
    scores = {arm: found for arm in study.lineup if (found := scores_of(plan, attempt, arm))}
    pairs = {arm: study.against.get(arm, study.control) for arm in scores if arm != study.control}
    trained_on = [arm for arm in scores if study.arms[arm].after]
    pairs |= {f"{arm} (to the baseline)": study.control for arm in trained_on}
    known = baselines.read(attempt / folder.SCORES / baselines.FILE)
    return {
        "study": study.name,
        "settings": {key: value for key, value in plan.train[study.experiment].items() if value is not None},
        "versions": json.loads((attempt / "machine.json").read_text()) if (attempt / "machine.json").exists() else {},
        "samples": {"train": plan.train_samples, "val": plan.val_samples, "test": plan.test_samples},
        "metrics": list(study.metrics),
        "arms": {arm: summary(study, plan, attempt, arm, found) for arm, found in scores.items()},
        "no_model": [{"name": row.name, "metric": row.metric, "mean": row.mean} for row in known.rows] if known else [],
        "contrasts": {
            name: [told(row) for row in compared(study, scores, other, name.split(" ")[0])]
            for name, other in pairs.items()
            if other in scores
        },
        "against": pairs,
        "failures": [
            {"title": part.title, "arms": list(part.arms), "rows": [list(row) for row in part.rows]}
            for part in failures.find(
                reader.Reader(attempt), [model.name for model in plan.models if model.arm in scores], study.primary,
                json.loads((attempt / folder.DATA / "manifest.json").read_text()),
            )
        ],
        "worst": {arm: worst(study, plan, attempt, arm) for arm in scores},
    }  # fmt: skip


def worst(study: Study, plan: Plan, attempt: Path, arm: str) -> list[dict[str, Any]]:
    """The samples that the first run of an arm does worst by the primary metric; by all metrics where that is equal."""
    model = plan.of(arm)[0].name
    asked = {row.id: row for row in jsonl.read(Sample, attempt / folder.DATA / "test.jsonl")}
    drawn = {row.sample_id: row for row in jsonl.read(Prediction, attempt / folder.PREDICTIONS / f"{model}.jsonl")}
    scored: dict[str, list[Score]] = {}
    for row in jsonl.read(Score, attempt / folder.SCORES / f"{model}.jsonl"):
        scored.setdefault(row.sample_id, []).append(row)
    ranked = {
        name: (value, mean(row.value for row in rows), name)
        for name, rows in scored.items()
        if (value := next((row.value for row in rows if row.metric == study.primary), None)) is not None
    }
    return [
        {
            "sample": name,
            "value": ranked[name][0],
            "failed": [f"{row.metric}: {row.why}" for row in scored[name] if row.value is not None and row.value < 1.0],
            "asked": asked[name].prompt,
            "expected": cut(asked[name].completion),
            "written": cut(drawn[name].text),
        }
        for name in sorted(ranked, key=lambda name: ranked[name])[:WORST]
    ]


def cut(text: str) -> str:
    r"""The first lines of a text, with how many are left out.

    >>> cut("a: 1\n" * 31).splitlines()[-2:]
    ['a: 1', '… (1 line more)']
    """
    lines = clean.visible(text).splitlines()
    more = len(lines) - LINES
    return "\n".join([*lines[:LINES], *([f"… ({more} line{'s' * (more > 1)} more)"] if more > 0 else [])])


def summary(study: Study, plan: Plan, attempt: Path, arm: str, scores: Sequence[Score]) -> dict[str, Any]:
    """Means of an arm, of each of its runs, and what its trainings took."""
    runs = [model.name for model in plan.of(arm) if (attempt / folder.SCORES / f"{model.name}.jsonl").exists()]
    results = [json.loads((attempt / folder.ARMS / name / "result.json").read_text()) for name in runs]
    kept = ("steps", "tokens", "seconds", "total_parameters", "peak_vram_gib", "best_step", "collapsed")
    values = {
        name: [
            mean(row.value for row in scores if (row.metric, row.model) == (metric, name)) for metric in study.metrics
        ]
        for name in runs
    }
    return {"runs": values, "results": [{key: row.get(key) for key in kept} for row in results]}


def mean(values: Iterator[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def compared(study: Study, scores: dict[str, list[Score]], other: str, arm: str) -> list[Comparison]:
    """The arm against the other; arms of different numbers of runs are compared over the runs that both have."""
    count = min(len({row.model for row in scores[name]}) for name in (other, arm))
    one, two = (first(scores[name], count) for name in (other, arm))
    return compare(
        one, two, primary=study.primary, metrics=study.metrics, level=LEVEL, alternative="two-sided", names=(other, arm)
    )


def first(scores: Sequence[Score], count: int) -> list[Score]:
    kept = sorted({row.model for row in scores})[:count]
    return [row for row in scores if row.model in kept]


def told(row: Comparison) -> dict[str, Any]:
    kept = ("metric", "n", "control", "experiment", "gain", "low", "high", "p", "p_adjusted")
    effects = {key: row.effects.get(key) for key in ("d_z", "hedges_g_av", "recipe_p", "seeds_p")}
    return {**{key: getattr(row, key) for key in kept}, **effects}


def machine() -> dict[str, str]:
    """What the trainings ran on."""
    import torch
    import transformers

    gpu = torch.cuda.get_device_name(0) if torch.cuda.is_available() else "no GPU"
    return {
        "gpu": gpu,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }


def shown(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:.{digits}f}"


def chance(value: float | None) -> str:
    """A p-value.

    >>> chance(0.03), chance(0.00001), chance(None)
    ('0.0300', '< 0.0001', '–')
    """
    return "–" if value is None else "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def text(found: dict[str, Any]) -> str:
    """The page, from the figures alone."""
    parts = (_head, _table, _targets, _contrasts, _speed, _failures, _worst)
    return "\n".join(line for part in parts for line in part(found)) + "\n"


def _head(found: dict[str, Any]) -> Iterator[str]:
    on, samples = found["versions"], found["samples"]
    yield from ("<!-- written by benchmarks/k8s_results.py page -->", "# The Kubernetes study, measured", "")
    yield (
        f"One {on.get('gpu', '?')}, {on.get('date', '?')}, torch {on.get('torch', '?')}, transformers "
        f"{on.get('transformers', '?')}. Models of random weights (`{found['settings'].get('base_model')}`), manifests "
        f"of the grammar: {samples['train']:,} to train, {samples['val']:,} to validate, {samples['test']:,} to test. "
        "Study: `benchmarks/k8s_results.yaml`; figures: `results-k8s.json`. Means in percent over the test samples and "
        "the runs of an arm."
    )
    yield ""


def _table(found: dict[str, Any]) -> Iterator[str]:
    metrics = found["metrics"]
    yield from ("## The arms", "", f"| arm | runs | {' | '.join(metrics)} |", "|---" * (len(metrics) + 2) + "|")
    for arm, row in found["arms"].items():
        means = means_of(row, metrics)
        yield f"| {arm} | {len(row['runs'])} | {' | '.join(shown(means[metric]) for metric in metrics)} |"
    for name, known in no_models(found).items():
        yield f"| {name} (no model) | | {' | '.join(shown(known.get(metric)) for metric in metrics)} |"
    yield ""


def means_of(row: dict[str, Any], metrics: Sequence[str]) -> dict[str, float | None]:
    """Metric → mean over the runs of an arm."""
    runs = zip(*row["runs"].values(), strict=True)
    return {metric: mean(iter(values)) for metric, values in zip(metrics, runs, strict=True)}


def no_models(found: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Name of a row without a model → metric → mean."""
    rows: dict[str, dict[str, float]] = {}
    for row in found["no_model"]:
        rows.setdefault(row["name"], {})[row["metric"]] = row["mean"]
    return rows


def _targets(found: dict[str, Any]) -> Iterator[str]:
    metrics, reference = found["metrics"], no_models(found).get("copy of reference", {})
    arms = {arm: means_of(row, metrics) for arm, row in found["arms"].items()}
    yield from ("## The earlier work's targets", "")
    yield from ("| metric | target | the best arm | | the references themselves |", "|---|---|---|---|---|")
    for metric, target in TARGETS.items():
        best = max(arms, key=lambda arm: arms[arm][metric] or 0.0)
        value, limit = arms[best][metric] or 0.0, reference.get(metric)
        below = limit is not None and limit < target
        yield (
            f"| {metric} | {shown(target)} | {best}, {shown(value)} | {'met' if value >= target else 'missed'} | "
            f"{shown(limit)}{', below it: only who departs from what was asked for can meet it' if below else ''} |"
        )
    yield ""


def _contrasts(found: dict[str, Any]) -> Iterator[str]:
    yield from (
        "## Arm against arm",
        "",
        "Gain in points with its 95% interval over the samples; p two-sided, paired by sample, which is about these "
        "checkpoints; p over runs and samples, from three runs an arm, is about the recipe.",
        "",
    )
    yield "| arm | against | metric | n | gain | interval | p | p over runs and samples | d_z |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name, rows in found["contrasts"].items():
        for row in rows:
            if row["metric"] not in ("quality_gated", "k8s_valid", "k8s_bp", "intent_fidelity", "codebleu_k8s"):
                continue
            interval = f"{shown(row['low'])} to {shown(row['high'])}"
            size = "–" if row["d_z"] is None else f"{row['d_z']:.2f}"
            yield (
                f"| {name} | {found['against'][name]} | {row['metric']} | {row['n']} | {shown(row['gain'])} | "
                f"{interval} | {chance(row['p'])} | {chance(row['recipe_p'])} | {size} |"
            )
    yield ""


def _speed(found: dict[str, Any]) -> Iterator[str]:
    yield from (
        "## What the trainings took",
        "",
        "| arm | parameters | steps | tokens | seconds | peak GiB |",
        "|---" * 6 + "|",
    )
    for arm, row in found["arms"].items():
        for result in row["results"][:1]:
            peak = "–" if result["peak_vram_gib"] is None else f"{result['peak_vram_gib']:.1f}"
            yield (
                f"| {arm} | {result['total_parameters']:,} | {result['steps']:,} | {result['tokens']:,} | "
                f"{result['seconds']:.0f} | {peak} |"
            )
    yield from ("", "Of the first run; several trainings shared the GPU.", "")


def _failures(found: dict[str, Any]) -> Iterator[str]:
    yield from ("## Where answers fall short", "")
    for part in found["failures"]:
        yield f"| {part['title']} | {' | '.join(part['arms'])} |"
        yield "|---" * (len(part["arms"]) + 1) + "|"
        yield from (f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in part["rows"])
        yield ""


def _worst(found: dict[str, Any]) -> Iterator[str]:
    yield from ("## The worst samples", "")
    if "worst" not in found:
        yield "Not kept of this run, which was made before the script wrote them; the next run has them."
        return
    yield f"Of each arm the {WORST} samples with the lowest score of its first run, and what each metric says of them."
    yield ""
    for arm, rows in found["worst"].items():
        for row in rows:
            yield f"<details><summary>{arm}: {row['sample']}, {shown(row['value'])}</summary>"
            yield from ("", *(f"- {html.escape(reason)}" for reason in row["failed"]), "")
            for name in ("asked", "expected", "written"):
                yield from (f"{name.capitalize()}:", "", *fenced(row[name]), "")
            yield from ("</details>", "")


def fenced(text: str) -> Iterator[str]:
    """A text as a block that nothing in it can end."""
    fence = "`" * max([3, *(len(run) + 1 for run in re.findall("`+", text))])
    yield from (f"{fence}text", *text.splitlines(), fence)


def main() -> int:
    parser = argparse.ArgumentParser(description="The results table of the Kubernetes study.")
    parser.add_argument("does", nargs="?", choices=("run", "page"))
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--docs", type=Path, default=DOCS)
    parser.add_argument("--study", default=str(HERE / "k8s_results.yaml"))
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=1e9)
    parser.add_argument(
        "--only", type=lambda said: said.split(","), default=["data", "base", "train", "generate", "evaluate"]
    )
    parser.add_argument("--leave", type=lambda said: said.split(","), default=[])
    said = parser.parse_args()
    if said.does is None:
        print(
            "k8s_results: hours on a CPU, so nothing is run without arguments; docs/results-k8s.md has what a GPU gave"
        )
        return 0
    if said.folder is None:
        parser.error("wanted: a folder")
    try:
        return run(said) if said.does == "run" else page(said)
    except UserError as fault:
        print(fault, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
