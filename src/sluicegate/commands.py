"""What each sub-command does: read the arguments, call one function, print its result. No logic of its own."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sluicegate import cores
from sluicegate.errors import INCONCLUSIVE, RETRY, UserError

if TYPE_CHECKING:
    from sluicegate.records import Verdict
    from sluicegate.stages.run import Order

LAST_STAGE = 4


def run(arguments: Namespace) -> int:
    """Stages 0 to N."""
    from sluicegate.console import Live
    from sluicegate.stages.run import run_through

    order = _order(arguments)
    return _conclude(order, run_through(order, arguments.through, Live()))


def stage(arguments: Namespace) -> int:
    """One stage."""
    from sluicegate.console import Live
    from sluicegate.stages.run import run_stage

    order = _order(arguments)
    return _conclude(order, [run_stage(order, arguments.number, Live())])


def _order(arguments: Namespace) -> Order:
    from sluicegate import study
    from sluicegate.stages.run import Order

    named, uri = study.load(arguments.study), os.environ.get("MLFLOW_TRACKING_URI", "")
    elsewhere = [] if arguments.runs == Path("runs") else ["--runs", str(arguments.runs)]
    here = ["--local"] if arguments.local else []
    words = shlex.join(["--study", arguments.study, *elsewhere, *here])
    return Order(named, arguments.runs, uri, local=arguments.local, override=arguments.override, words=words)


def _conclude(order: Order, verdicts: Sequence[Verdict]) -> int:
    """The verdict table, what to do next, and where to look."""
    from sluicegate.records import Outcome
    from sluicegate.report.text import verdict_table
    from sluicegate.stages.ledger import latest, read_lines
    from sluicegate.stages.run import exit_code
    from sluicegate.tracking import default_uri

    print(verdict_table(verdicts))
    newest = verdicts[-1]
    print("".join(f"{line}\n" for line in _accounts(newest, order.study.alpha)), end="")
    goes_on = newest.outcome is Outcome.GO and newest.stage < LAST_STAGE
    for step in [f"sluicegate stage {newest.stage + 1} {order.words}"] if goes_on else newest.next_steps:
        print(f"next:   {step}")
    line = latest(read_lines(order.ledger, order.study.name), newest.stage, order.study.sha256_to(newest.stage))
    if line is not None:
        print(f"report: {order.runs / order.study.name / line.attempt / 'report.html'}")
    print(f"MLflow: {_window(order.uri or default_uri(order.runs))}")
    return exit_code(verdicts)


def _accounts(verdict: Verdict, alpha: float | None) -> list[str]:
    """What a GO claims, and what the decision spent of alpha; where there is something to say."""
    from sluicegate.report import wording

    told = {"claim:  ": wording.claim(verdict), "alpha:  ": wording.decision(verdict, alpha)}
    return [f"{name}{said}" for name, said in told.items() if said]


def _window(uri: str) -> str:
    """Where a browser finds the runs: the server, or the command that serves a local store."""
    from sluicegate.tracking.redact import without_credentials

    if uri.startswith("http"):
        return without_credentials(uri)
    python = min(sys.executable, os.path.relpath(sys.executable), key=len)
    return f"{python} -m mlflow ui --host 127.0.0.1 --backend-store-uri {without_credentials(uri)}"


def plan(arguments: Namespace) -> int:
    """What each stage of the study takes and can find out."""
    from sluicegate.stages.forecast import command

    given, named = arguments.study, arguments.named
    print(command(given, named, runs=arguments.runs, json=arguments.json, page=arguments.html))
    return 0


def check(arguments: Namespace) -> int:
    """This machine's checks."""
    from sluicegate import study
    from sluicegate.report.text import check_lines
    from sluicegate.stages.preflight import look

    checks = look(study.load(arguments.study), arguments.runs)
    print("\n".join(check_lines(checks)))
    return RETRY if any(row.passed is False for row in checks) else 0


PAIRS = ("folder", "synthesize", "imported", "intents", "depth", "version", "augment", "order")
"""Options of `data k8s` that are handed on where they are given."""


def data(arguments: Namespace) -> int:
    """The data files of a stage, or what is done to the sets that they are built from."""
    other = {"k8s": _pairs, "audit": _audit, "enrich": _enrich, "arms": _arms, "import": _import}
    return other.get(arguments.size, _sized)(arguments)


def _sized(arguments: Namespace) -> int:
    from sluicegate.data.build import command

    print(
        command(
            arguments.size, study=arguments.study, source=arguments.source, out=arguments.out,
            scenario=arguments.scenario, seed=arguments.seed, fresh_from=arguments.fresh_from, force=arguments.force,
            train_samples=arguments.train_samples, val_samples=arguments.val_samples,
            test_samples=arguments.test_samples, test_prompts=arguments.test_prompts,
        )
    )  # fmt: skip
    return 0


def _pairs(arguments: Namespace) -> int:
    from sluicegate.data.k8s import command

    given = {name: value for name in PAIRS if (value := getattr(arguments, name)) is not None}
    print(command(out=arguments.out, seed=arguments.seed, force=arguments.force, **given))
    return 0


def _arms(arguments: Namespace) -> int:
    from sluicegate.data.arms import command

    print(command(study=arguments.study, source=arguments.source, out=arguments.out, force=arguments.force))
    return 0


def _enrich(arguments: Namespace) -> int:
    from sluicegate.metadata.command import command

    print(command(arguments.source, arguments.out, force=arguments.force))
    return 0


def _audit(arguments: Namespace) -> int:
    from sluicegate.audit.command import command

    text, code = command(
        arguments.folder, scenario=arguments.scenario, workers=arguments.workers, mutants=arguments.mutants,
        tokenizers=arguments.tokenizer, as_json=arguments.json,
    )  # fmt: skip
    print(text)
    return code


COLUMNS = ("prompt_column", "completion_column", "tests_column")
OF_FORMATS = ("scenario", "language", *COLUMNS, "databases", "rows", "strict")
"""Options of `data import` that mean something with --format alone."""


def _import(arguments: Namespace) -> int:
    if bool(arguments.format) == bool(arguments.from_git) or bool(arguments.format) != bool(arguments.files):
        raise UserError("data import: what?", wanted="--format NAME FILE…, or --from-git DIR", seen="neither, or both")
    if arguments.from_git:
        if given := [name.replace("_", "-") for name in OF_FORMATS if getattr(arguments, name) not in (None, False)]:
            raise UserError(f"data import: --{given[0]} needs --format", wanted="--from-git DIR", seen=f"--{given[0]}")
        from sluicegate.data.mining.command import command as mine

        print(mine(arguments.from_git, arguments.out, licence=arguments.licence or "", force=arguments.force))
        return 0
    from sluicegate.data.importers import ROWS, Asked
    from sluicegate.data.importers.command import Order
    from sluicegate.data.importers.command import command as read

    rows = ROWS if arguments.rows is None else arguments.rows
    prompt, completion, tests = (getattr(arguments, name) or "" for name in COLUMNS)
    asked = Asked(prompt, completion, tests, arguments.databases, rows)
    order = Order(arguments.format, asked, arguments.scenario or "", arguments.language or "", arguments.licence or "")
    text, code = read(order, arguments.files, arguments.out, strict=arguments.strict, force=arguments.force)
    print(text)
    return code


def train(arguments: Namespace) -> int:
    """Train from the environment."""
    cores.share()
    from sluicegate.settings import load_train_settings

    settings = load_train_settings()
    from sluicegate.train.command import train_and_track

    train_and_track(
        settings, arm=arguments.arm, stage=arguments.stage, experiment=arguments.experiment,
        parent=arguments.parent, send=not arguments.no_send,
    )  # fmt: skip
    return 0


def generate(arguments: Namespace) -> int:
    """Predictions."""
    cores.share()
    from sluicegate.generate import Request
    from sluicegate.generate import generate as draw

    name = arguments.name or arguments.model.rstrip("/").rsplit("/", 1)[-1]
    count = draw(
        Request(
            model=arguments.model, name=name, data=arguments.data, out=arguments.out, draws=arguments.draws,
            temperature=arguments.temperature, top_p=arguments.top_p, max_new_tokens=arguments.max_new_tokens,
            batch_size=arguments.batch_size, seed=arguments.seed, limit=arguments.limit,
            endpoint_model=arguments.endpoint_model, endpoint_api=arguments.endpoint_api,
            load_in_4bit=arguments.load_in_4bit,
            trust_remote_code=arguments.trust_remote_code,
        )
    )  # fmt: skip
    print(f"{count} predictions in {arguments.out}")
    return 0


def evaluate(arguments: Namespace) -> int:
    """Scores."""
    from sluicegate.data.reader import read_samples
    from sluicegate.evaluate import choose_metrics, choose_scenarios, out_of_budget, summary
    from sluicegate.evaluate import evaluate as score
    from sluicegate.evaluators import baselines, load

    samples = [sample for path in arguments.data for sample in read_samples(path)]
    asked = choose_scenarios(arguments.scenarios, samples)[: arguments.limit]
    metrics = choose_metrics(None if arguments.all_metrics else arguments.metrics, asked)
    scores = score(
        arguments.data, arguments.predictions, arguments.out, metrics, scenarios=arguments.scenarios,
        limit=arguments.limit, workers=arguments.workers, backend=arguments.backend,
    )  # fmt: skip
    print(summary(scores, baselines.keep(arguments.out.parent, asked, load(metrics))))
    if left := out_of_budget(scores):
        print(f"evaluate: {left} of {len(scores)} rows are not judged: the judge's budget is used up", file=sys.stderr)
        print("  mend:   raise JUDGE_DOLLARS or the stage's dollars, then run the same command", file=sys.stderr)
        return INCONCLUSIVE
    return 0


def cost(arguments: Namespace) -> int:
    """What was spent, is reserved and is forecast."""
    from sluicegate.stages.spending import command

    print(command(arguments.where or str(arguments.runs), arguments.runs, release=arguments.release))
    return 0


def compare(arguments: Namespace) -> int:
    """Comparisons."""
    from sluicegate import compare as comparing

    paths = (arguments.control_results, arguments.experiment_results)
    metrics = [name.strip() for name in arguments.metrics.split(",") if name.strip()] if arguments.metrics else None
    rows = comparing.compare_files(
        *paths, primary=arguments.primary, data=arguments.data, metrics=metrics,
        level=arguments.level, minimum=arguments.minimum, seed=arguments.seed,
    )  # fmt: skip
    if arguments.out:
        names = arguments.names or ("control", "experiment")
        comparing.write(
            arguments.out, rows, control=names[0], experiment=names[1],
            primary=rows[0].metric, seed=arguments.seed, level=arguments.level,
        )  # fmt: skip
    control, experiment = (", ".join(map(str, part)) for part in paths)
    print(comparing.summary(rows, (control, experiment)))
    return 0


def gate(arguments: Namespace) -> int:
    """A verdict, shown or decided again; the exit code is its outcome's."""
    from sluicegate.report.text import check_lines, verdict_table
    from sluicegate.stages.recompute import in_ledger, read_verdict, recompute
    from sluicegate.stages.run import exit_code

    if arguments.recompute:
        again = recompute(arguments.verdict)
        print(again.text, end="")
        print("\n".join(again.noted), file=sys.stderr)
        return exit_code([again.verdict])
    path, verdict = read_verdict(arguments.verdict)
    print(verdict_table([verdict]))
    steps = [f"next:   {step}" for step in verdict.next_steps]
    print("\n".join([*check_lines(verdict.checks), *_accounts(verdict, None), *steps]))
    print(f"ledger: {in_ledger(path)}")
    return exit_code([verdict])


def report(arguments: Namespace) -> int:
    """The report of a run folder."""
    from sluicegate import folder as layout
    from sluicegate import report as reporting

    if not arguments.folder.is_dir():
        raise UserError(
            f"{arguments.folder}: no run folder", wanted="runs/<study>/stage<N>-<time>", seen="no such folder"
        )
    if not any((arguments.folder / name).exists() for name in (layout.STUDY, layout.VERDICT, layout.ARMS)):
        raise UserError(
            f"{arguments.folder}: no run folder; nothing was written",
            wanted="runs/<study>/stage<N>-<time>",
            seen=f"a folder without {layout.STUDY}, {layout.VERDICT} and {layout.ARMS}",
        )
    for path in reporting.write(arguments.folder).values():
        print(path)
    return 0


def sync(arguments: Namespace) -> int:
    """What the tracking server does not have yet."""
    from sluicegate.tracking import default_uri, probe, sender, state

    uri = arguments.uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(Path("runs"))
    spools = list(state.spools(arguments.folder))
    if not spools:
        raise UserError(f"{arguments.folder}: nothing to send", wanted="a folder with events.jsonl", seen="none in it")
    probe.check(uri)
    if arguments.again:
        state.forget(spools)
    sent = sender.drain(spools, uri, tell=lambda line: None)
    print("".join(f"sync: {fault}\n" for fault in sent.faults), end="", file=sys.stderr)
    for folder in sent.ended:
        print(f"{folder}: no end was written and no process holds it: KILLED")
    print(f"{len(spools)} runs, {sent.waiting} lines left unsent")
    return RETRY if sent.waiting else 0


def promote(arguments: Namespace) -> int:
    """The winning model of a GO as the champion."""
    from sluicegate.stages.promote import promote as make_champion
    from sluicegate.tracking import default_uri

    uri = arguments.uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(Path("runs"))
    print(make_champion(arguments.verdict, uri, name=arguments.name))
    return 0


def k8s(arguments: Namespace) -> int:
    """What is wrong with manifests, hardened copies of them, one check explained, or the list of checks."""
    from sluicegate.k8s import command

    if arguments.action == "checks":
        print(command.listing(arguments.format), end="")
        return 0
    if arguments.explain:
        print(command.explain(arguments.explain), end="")
        return 0
    asked = command.Asked(
        names=arguments.names, format=arguments.format, out=arguments.out, minimum=arguments.minimum,
        skip=arguments.skip, version=arguments.kube_version, validity=not arguments.no_validity,
        in_place=arguments.in_place,
    )  # fmt: skip
    if arguments.fix:
        told = command.copies(asked, sys.stdin.buffer)
    else:
        coloured = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        told = command.check(asked, sys.stdin.buffer, colours=coloured)
    _write(told.files)
    sys.stdout.buffer.write(told.shown)
    print(told.beside, end="", file=sys.stderr)
    return told.code


def _write(files: Sequence[tuple[Path, bytes]]) -> None:
    """Write files atomically; one that is replaced keeps who may read it, and a link stays one."""
    if files:
        from sluicegate.jsonl import replacing
    for path, content in files:
        there = path.resolve()
        usual = os.umask(0)
        os.umask(0o666 & ~there.stat().st_mode if there.exists() else usual)
        try:
            with replacing(there) as stream:
                stream.write(content)
        finally:
            os.umask(usual)
