"""Runs one stage: its steps in order, the evidence, the verdict, the report, the ledger.

Whatever stops it (a kill, a cut, a fault that the user mends), the same command goes on where it was: a step that ended
well is not done again. A stage that decided is over; running it again is a new attempt.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sluicegate import errors, evaluate, folder, jsonl, report, runners
from sluicegate.errors import INTERRUPTED, Interrupted, UserError
from sluicegate.records import Outcome, Verdict
from sluicegate.runners import Job, Place, Result
from sluicegate.stages import budget, evidence, forecast, gate, ledger, preflight, register
from sluicegate.stages.budget import Meter
from sluicegate.stages.ledger import Line
from sluicegate.stages.plan import Plan, resolve
from sluicegate.stages.recompute import as_text
from sluicegate.stages.register import Registration
from sluicegate.stages.steps import DATA, Step, steps
from sluicegate.study import Study, dump, load
from sluicegate.tracking import Tracker, default_uri, probe, sender, state, store
from sluicegate.tracking.redact import without_credentials
from sluicegate.tracking.spool import Spool

Show = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Order:
    """What to run and where.

    Args:
        runs: the folder of all run folders.
        uri: of the MLflow server; empty for a SQLite store under `runs`.
        local: run every step here, whatever machines the study names.
        override: the reason for starting without the former stage's GO; recorded.
        words: the options that name this study and these runs on a command line, for messages.
    """

    study: Study
    runs: Path
    uri: str = ""
    local: bool = False
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
    line = ledger.standing(_lines(order), number, order.study.sha256_to(number))
    if line is None or line.outcome is not Outcome.GO:
        return None
    path = order.runs / order.study.name / line.attempt / folder.VERDICT
    return ledger.read_verdict(line, path) if path.exists() else None


def _lines(order: Order) -> list[Line]:
    """The ledger, whole and in order."""
    lines = ledger.read_lines(order.ledger, order.study.name)
    ledger.require_whole(lines, order.ledger.parent, register.FILE)
    return lines


def run_stage(order: Order, number: int, show: Show) -> Verdict:
    """One stage to its verdict.

    Raises:
        UserError: it may not start, another process runs it, or the tracking server cannot be reached; the run
            folder keeps what is done. A step that failed is no error: the verdict is RETRY then.
        Interrupted: a signal asked it to stop.
    """
    if not order.override and number > 0:
        ledger.require_go(_lines(order), number, order.study.sha256_to(number - 1), order.words)
        decided(order, number - 1)
    uri = order.uri or default_uri(order.runs)
    probe.check(uri)
    plan = resolve(order.study, number)
    attempt = _attempt(order, plan)
    ledger.require_entered(_lines(order), order.ledger.parent, folder.VERDICT, besides=attempt)
    with folder.holding(attempt):
        show(f"stage {number} {plan.stage.name}: {plan.stage.goal} ({attempt})")
        registered = _begin(order, plan, attempt)
        with sender.sending(attempt, uri):
            _open_spool(order, plan, attempt).close()
            if gate.outcome(gate.entry(evidence.at_entry(attempt, number))) is Outcome.GO:
                _do(order, plan, attempt, show)
        _note_unsent(attempt, uri)
        found = evidence.read(attempt, number)
        verdict = gate.decide(found)
        jsonl.write_text(attempt / folder.VERDICT, as_text(verdict))
        forecast.settle(attempt)
        report.write(attempt)
        with _open_spool(order, plan, attempt, outcome=verdict.outcome.value) as spool:
            _publish(spool, attempt, found, verdict, uri)
        _enter(order, attempt, verdict, registered)
    return verdict


def _begin(order: Order, plan: Plan, attempt: Path) -> Registration:
    """What must be written before a stage does anything: study, samples, registration, forecast, the machine."""
    sources = register.sources(order.study, plan)
    jsonl.write_text(attempt / register.SOURCES, json.dumps(sources, indent=1) + "\n")
    jsonl.write_text(attempt / folder.STUDY, dump(order.study))
    registered = register.register(order.ledger, attempt, order.study, plan, override=order.override)
    if not (attempt / forecast.FILE).exists():
        forecast.write(attempt, order.study, plan.stage.number, order.runs)
    if plan.stage.looks:
        jsonl.write(attempt / evidence.PREFLIGHT, preflight.look(order.study, order.runs, local=order.local))
    return registered


def _attempt(order: Order, plan: Plan) -> Path:
    """The newest attempt that is of this study and its samples, and open, else a new one.

    The ledger closes an attempt with the line of its verdict, which is written last of all; so a stage that was
    killed before it decides again from the same files.
    """
    number = plan.stage.number
    closed = {row.attempt for row in ledger.decisions(_lines(order), number) if not row.open}
    for path in reversed(folder.attempts(order.runs, order.study.name, number)):
        known = path / folder.STUDY
        if path.name in closed:
            continue
        same = known.exists() and load(known).sha256_to(number) == order.study.sha256_to(number)
        if not known.exists() or (same and not register.resampled(order.study, plan, path)):
            return path
    return folder.new_attempt(order.runs, order.study.name, number)


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
    """Every step that is not done yet; a failed step, or a budget that runs out, is written down and ends the stage.

    Data that no gate would take end it too, before anything is trained on them.
    """
    (attempt / evidence.FAILURE).unlink(missing_ok=True)
    budget.write(attempt, None)
    stamps = folder.Steps(attempt / "steps.json")
    meter = Meter(order.study, plan, attempt, stamps)
    every = list(steps(order.study, plan, attempt))
    for place, step in enumerate(every):
        if place and every[place - 1].name == DATA and not _valid(attempt, plan):
            return None
        inputs = step.inputs_sha256(attempt)
        if stamps.done(step.name, inputs) and not (step.scores and evaluate.unsettled(step.scores)):
            show(f"{step.name}: done before")
            continue
        if overrun := meter.overrun(step.name, len(every) - place):
            return budget.write(attempt, overrun)
        if step.scores and plan.stage.decides:
            ledger.append(order.ledger, register.judged(order.study, plan, attempt))
        runner, job = _job(order, step, attempt)
        meter.start(step.name)
        try:
            result = runners.load(runner).run(job, _labelled(step.name, show), meter.over)
        finally:
            meter.stop()
        if (missed := result.seconds - stamps.seconds()[step.name]) > 0:  # it ran on while nobody counted
            stamps.spend(step.name, missed)
        if result.code == errors.INCONCLUSIVE:
            return budget.write(attempt, meter.exhausted(step.name, len(every) - place))
        if result.code != 0:
            if overrun := meter.overrun(step.name, len(every) - place):
                return budget.write(attempt, overrun)
            return _failed(attempt, step, result, job.log)
        stamps.stamp(step.name, inputs, outputs=step.outputs)


def _job(order: Order, step: Step, attempt: Path) -> tuple[str, Job]:
    """The runner of a step and what it is told: the machine that does such steps, or here."""
    log = attempt / folder.LOGS / f"{step.name.replace(' ', '-')}.log"
    job = Job(step.name, step.command(), log, step.env, loads=step.loads)
    named = order.study.machine_of(step.verb)
    if order.local or named is None or named[1].runner == "local":
        return "local", job
    return named[1].runner, replace(job, files=step.files(attempt), place=Place(*named))


def _valid(attempt: Path, plan: Plan) -> bool:
    """Whether the data that were built can be decided on."""
    return gate.outcome(gate.built(evidence.built(attempt, plan.stage.number))) is Outcome.GO


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


def _enter(order: Order, attempt: Path, verdict: Verdict, registered: Registration) -> None:
    ledger.append(order.ledger, register.decided(verdict, attempt, registered))


def _publish(spool: Tracker, attempt: Path, found: evidence.Evidence, verdict: Verdict, uri: str) -> None:
    """The verdict's figures and the run folder's papers to the tracking server; what fails to go stays in the spool."""
    for row in found.comparisons:
        told = {"control": row.control, "experiment": row.experiment, "gain": row.gain, "p": row.p}
        spool.metrics({f"{row.metric}/{key}": value for key, value in told.items() if value is not None}, 0)
    for contrast in found.contrasts:
        for row in contrast.rows:
            told = {"mean": row.experiment, "gain": row.gain, "p_adjusted": row.p_adjusted}
            where = f"{contrast.arm} against {contrast.against}/{row.metric}"
            spool.metrics({f"{where}/{key}": value for key, value in told.items() if value is not None}, 0)
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
