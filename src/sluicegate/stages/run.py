"""Runs one stage: its steps in order, the evidence, the verdict, the report, the ledger.

Whatever stops it (a kill, a cut, a fault that the user mends), the same command goes on where it was: a step that ended
well is not done again. A stage that decided is over; running it again is a new attempt.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sluicegate import errors, evaluate, folder, jsonl, report, runners
from sluicegate.errors import INTERRUPTED, Interrupted, UserError
from sluicegate.records import Outcome, Verdict, to_json
from sluicegate.runners import Job, Result
from sluicegate.stages import evidence, gate, ledger, preflight
from sluicegate.stages.plan import Plan, resolve
from sluicegate.stages.steps import Step, source_files, steps
from sluicegate.study import Study, dump, load
from sluicegate.tracking import Tracker, default_uri, probe, sender, state, store
from sluicegate.tracking.redact import without_credentials
from sluicegate.tracking.spool import Spool

Show = Callable[[str], None]
SOURCES = "sources.json"
"""In the run folder: digests of the files with samples that its data are built from."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run and where.

    Args:
        runs: the folder of all run folders.
        uri: of the MLflow server; empty for a SQLite store under `runs`.
        override: the reason for starting without the former stage's GO; recorded.
        words: the options that name this study and these runs on a command line, for messages.
    """

    study: Study
    runs: Path
    uri: str = ""
    runner: str = "local"
    override: str = ""
    words: str = ""

    @property
    def ledger(self) -> Path:
        """The study's ledger."""
        return self.runs / self.study.name / "ledger.jsonl"


def run_through(order: Order, last: int, show: Show) -> list[Verdict]:
    """Stages 0 to `last`, stopping at the first that is not GO; a stage that has its GO is not run again."""
    verdicts = []
    for number in range(last + 1):
        verdict = decided(order, number) or run_stage(order, number, show)
        verdicts.append(verdict)
        if verdict.outcome is not Outcome.GO:
            break
    return verdicts


def decided(order: Order, number: int) -> Verdict | None:
    """The GO that a stage already has for this study file, if its run folder is still there.

    Raises:
        UserError: the verdict in the run folder is not the one that the ledger tells of.
    """
    entry = ledger.latest(ledger.read_entries(order.ledger), number, order.study.sha256)
    if entry is None or entry.outcome is not Outcome.GO:
        return None
    path = order.runs / order.study.name / entry.attempt / folder.VERDICT
    return ledger.read_verdict(entry, path) if path.exists() else None


def run_stage(order: Order, number: int, show: Show) -> Verdict:
    """One stage to its verdict.

    Raises:
        UserError: it may not start, another process runs it, or the tracking server cannot be reached; the run
            folder keeps what is done. A step that failed is no error: the verdict is RETRY then.
        Interrupted: a signal asked it to stop.
    """
    if not order.override:
        ledger.require_go(ledger.read_entries(order.ledger), number, order.study.sha256, order.words)
        decided(order, number - 1)
    uri = order.uri or default_uri(order.runs)
    probe.check(uri)
    attempt = _attempt(order, number)
    plan = resolve(order.study, number)
    with folder.holding(attempt):
        jsonl.write_text(attempt / SOURCES, json.dumps(_sources(order.study, plan), indent=1) + "\n")
        jsonl.write_text(attempt / folder.STUDY, dump(order.study))
        show(f"stage {number} {plan.stage.name}: {plan.stage.goal} ({attempt})")
        with sender.sending(attempt, uri):
            _open_spool(order, plan, attempt).close()
            _do(order, plan, attempt, show)
        _note_unsent(attempt, uri)
        found = evidence.read(attempt, number)
        verdict = gate.decide(found)
        jsonl.write_text(attempt / folder.VERDICT, to_json(verdict, indent=1) + "\n")
        report.write(attempt)
        with _open_spool(order, plan, attempt, outcome=verdict.outcome.value) as spool:
            _publish(spool, attempt, found, verdict, uri)
        _enter(order, attempt, verdict)
    return verdict


def _attempt(order: Order, number: int) -> Path:
    """The newest attempt while it is of this study and its samples, and open, else a new one.

    The ledger closes an attempt, with any verdict but RETRY; that line is written last of all, so a stage that was
    killed before it decides again from the same files.
    """
    closed = {row.attempt for row in ledger.read_entries(order.ledger) if row.outcome is not Outcome.RETRY}
    for path in folder.attempts(order.runs, order.study.name, number)[-1:]:
        known = path / folder.STUDY
        if path.name in closed:
            continue
        if not known.exists() or (load(known).sha256 == order.study.sha256 and not _resampled(order, number, path)):
            return path
    return folder.new_attempt(order.runs, order.study.name, number)


def _sources(study: Study, plan: Plan) -> dict[str, str]:
    """File with samples → digest, of those that are there."""
    return {str(path): jsonl.sha256(path) for path in source_files(study, plan) if path.is_file()}


def _resampled(order: Order, number: int, attempt: Path) -> bool:
    """Whether the samples were changed since the attempt began; what it has trained and drawn is of the old ones."""
    path = attempt / SOURCES
    begun = json.loads(jsonl.read_text(path)) if path.exists() else {}
    now = _sources(order.study, resolve(order.study, number))
    return any(begun.get(name) != found for name, found in now.items())


def _open_spool(order: Order, plan: Plan, attempt: Path, **tags: str) -> Spool:
    """The parent run of the stage, begun or gone on with."""
    spool = Spool(attempt)
    told = {
        "stage": str(plan.stage.number),
        "git_commit": folder.git_commit(),
        "study_sha256": order.study.sha256,
        **tags,
    }
    spool.run(attempt.name, order.study.name, tags=told)
    return spool


def _do(order: Order, plan: Plan, attempt: Path, show: Show) -> None:
    """Every step that is not done yet; a failed step is written down and ends the stage."""
    (attempt / evidence.FAILURE).unlink(missing_ok=True)
    if plan.stage.number == 0:
        jsonl.write(attempt / evidence.PREFLIGHT, preflight.look(order.study, order.runs))
    stamps = folder.Steps(attempt / "steps.json")
    runner = runners.load(order.runner)
    for step in steps(order.study, plan, attempt):
        inputs = step.inputs_sha256(attempt)
        if stamps.done(step.name, inputs) and not (step.scores and evaluate.unsettled(step.scores)):
            show(f"{step.name}: done before")
            continue
        log = attempt / folder.LOGS / f"{step.name.replace(' ', '-')}.log"
        stamps.spend(step.name, 0.0)
        started = time.monotonic()
        try:
            result = runner.run(Job(step.name, step.command(), log, step.env), _labelled(step.name, show))
        finally:
            stamps.spend(step.name, time.monotonic() - started)
        if result.code != 0:
            _failed(attempt, step, result, log)
            return
        stamps.stamp(step.name, inputs, outputs=step.outputs)


def _labelled(name: str, show: Show) -> Show:
    return lambda line: show(line if line.startswith(name) else f"{name}: {line}")


def _failed(attempt: Path, step: Step, result: Result, log: Path) -> None:
    """A step that did not end well: interrupted goes up, anything else becomes evidence."""
    if result.code == INTERRUPTED:
        raise Interrupted(f"interrupted in step {step.name}")
    row = {"step": step.name, "code": result.code, "tail": result.tail, "log": str(log)}
    jsonl.write_text(attempt / evidence.FAILURE, json.dumps(row, indent=1) + "\n")


def _note_unsent(attempt: Path, uri: str) -> None:
    there = without_credentials(store.address(uri))
    unsent = {path.name: count for path, count in state.unsent(attempt / folder.ARMS, there).items()}
    jsonl.write_text(attempt / evidence.TRACKING, json.dumps({"unsent": unsent}) + "\n")


def _enter(order: Order, attempt: Path, verdict: Verdict) -> None:
    path, commit = attempt / folder.VERDICT, folder.git_commit()
    ledger.append(order.ledger, verdict, path, study_sha256=order.study.sha256, commit=commit, override=order.override)


def _publish(spool: Tracker, attempt: Path, found: evidence.Evidence, verdict: Verdict, uri: str) -> None:
    """The verdict's figures and the run folder's papers to the tracking server; what fails to go stays in the spool."""
    for row in found.comparisons:
        told = {"control": row.control, "experiment": row.experiment, "gain": row.gain, "p": row.p}
        spool.metrics({f"{row.metric}/{key}": value for key, value in told.items() if value is not None}, 0)
    for name in (folder.STUDY, folder.VERDICT, folder.COMPARISONS, "report.html", "report.json"):
        if (attempt / name).exists():
            spool.artifact(attempt / name)
    spool.end("FINISHED" if verdict.outcome is not Outcome.RETRY else "FAILED")
    with contextlib.suppress(UserError):
        sender.drain([attempt], uri)


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """The process's exit code for the last verdict."""
    return {
        Outcome.GO: errors.GO,
        Outcome.STOP: errors.STOP,
        Outcome.INCONCLUSIVE: errors.INCONCLUSIVE,
        Outcome.RETRY: errors.RETRY,
    }[verdicts[-1].outcome]
