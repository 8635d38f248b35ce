"""The training loop, for every kind of model: settings in, a model folder out.

`train` prepares, `_steps` is the loop, `finish` saves. A run that was cut off goes on from its last
checkpoint as if nothing had happened. How samples become a loss is the model kind's business; devices,
precision and processes are accelerate's; who holds the folder is the command's.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.optim import AdamW

from sluicegate.console import Progress, say
from sluicegate.data.reader import read_samples
from sluicegate.errors import Interrupted, UserError
from sluicegate.models import Learner, kind, tiny
from sluicegate.records import Run, Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Status, Tracker
from sluicegate.train import checkpoint, finish, identity, processes, result
from sluicegate.train.batches import ends, schedule
from sluicegate.train.checkpoint import State
from sluicegate.train.events import Events
from sluicegate.train.result import Result
from sluicegate.train.signals import Stop, handled
from sluicegate.train.step import (
    Taken,
    Training,
    peak_bytes,
    ran_out_of_memory,
    refuse_not_finite,
    take,
    validation_loss,
    with_memory,
)
from sluicegate.train.weights import moments, restore, trained


@dataclass(frozen=True, slots=True)
class Data:
    """The samples of a training: read before anything else happens."""

    train: list[Sample]
    val: list[Sample]


def train(
    settings: TrainSettings,
    tracker: Tracker,
    *,
    arm: str = "",
    stage: int | None = None,
    experiment: str = "train",
    parent: Path | None = None,
) -> Result:
    """Train one model into `settings.model_dir`, or go on where an earlier attempt ended.

    Args:
        settings: of the training; the same settings go on with an unfinished folder.
        tracker: is told the run's beginning, settings, data, losses, files and end, on the first process only.
        arm: of the study; empty for a run by hand.
        stage: 0-4; None for a run by hand.
        experiment: the study's name, for the tracker.
        parent: folder of the stage's own spool, for the tracker.

    Returns:
        The figures of the finished training, also those of one that had been finished before.

    Raises:
        UserError: bad data, an unknown base, a folder of another training, a corrupt checkpoint, a full disk,
            a loss that is not finite, too little memory. Nothing that was there is overwritten.
        Interrupted: SIGTERM or SIGINT; a checkpoint of the last step was saved.
    """
    with handled() as stop, processes.joined() as accelerator:
        data = Data(read_samples(settings.dataset_path), _val_samples(settings))
        run, begun = processes.first_does(accelerator, lambda: _identify(settings, data, arm, stage, accelerator))
        done = result.read(settings.model_dir) if begun else None
        if done:
            main = accelerator.is_main_process
            if main:
                say(f"{settings.model_dir}: already trained with these settings, {done.steps} steps; nothing to do")
            Events(tracker, settings.model_dir, main=main, steps=done.steps).finished_before()
            return done
        training = _prepared(settings, data, run, accelerator)
        state = _first_state(training, run, begun=begun)
        processes.refuse_differing(accelerator, settings.model_dir, state.step)
        events = Events(tracker, settings.model_dir, main=accelerator.is_main_process, steps=training.schedule.steps)
        events.begin(run, training.learner.facts, experiment=experiment, parent=parent)
        events.data(settings, run, train=len(training.train), val=len(training.val))
        return _followed(training, state, events, stop, dropped=len(data.train) - len(training.train))


def _followed(training: Training, state: State, events: Events, stop: Stop, *, dropped: int) -> Result:
    """The loop and its finish, with an end told for each way it ends."""
    status: Status = "FAILED"
    try:
        last = _steps(training, state, events, stop)
        done = processes.first_does(training.accelerator, lambda: finish.finish(training, last, dropped=dropped))
        events.files()
        status = "FINISHED"
    except Interrupted:
        status = "KILLED"
        raise
    finally:
        events.end(status)
    return done


def _val_samples(settings: TrainSettings) -> list[Sample]:
    return read_samples(settings.val_dataset_path) if settings.val_dataset_path else []


def _identify(settings: TrainSettings, data: Data, arm: str, stage: int | None, accelerator: Any) -> tuple[Run, bool]:
    """The run's record, and whether its folder holds its beginning."""
    base = _base(settings, data)
    run = identity.run_record(
        settings,
        base=base,
        base_sha256=identity.base_digest(base),
        arm=arm,
        stage=stage,
        processes=accelerator.num_processes,
    )
    return run, identity.goes_on(settings.model_dir, run)


def _base(settings: TrainSettings, data: Data) -> str:
    """The base's absolute folder or hub name; `tiny` is made from the samples at hand, beside the models."""
    if settings.base_model == "tiny":
        return str(tiny.cached(settings.output_dir / ".bases", tiny.texts_of([*data.train, *data.val])))
    folder = Path(settings.base_model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else settings.base_model


def _prepared(settings: TrainSettings, data: Data, run: Run, accelerator: Any) -> Training:
    """Everything that a step needs."""
    learner = _loaded(settings, run.base_model, accelerator.device)
    examples = learner.encode(data.train, settings.dataset_path)
    val = learner.encode(data.val, settings.val_dataset_path) if settings.val_dataset_path else []
    plan = schedule(
        len(examples),
        per_step=settings.batch_size * settings.gradient_accumulation_steps * accelerator.num_processes,
        epochs=settings.epochs,
        max_steps=settings.max_steps,
        seed=settings.seed,
    )
    learner.scored.train()
    told = learner.settle(settings.batch_size, steps=plan.steps)
    if told and accelerator.is_main_process:
        say(f"{settings.model_name}: {told}")
    names = trained(learner.model)
    return Training(
        settings=settings,
        accelerator=accelerator,
        learner=learner,
        model=accelerator.prepare_model(learner.scored),
        optimizer=_optimizer(settings, names),
        names=names,
        schedule=plan,
        train=examples,
        val=val,
    )


def _loaded(settings: TrainSettings, base: str, device: Any) -> Learner:
    try:
        return kind(settings.model_kind).load(settings, base, device)
    except RuntimeError as fault:
        if not ran_out_of_memory(fault):
            raise
        raise UserError(
            f"BASE_MODEL {base!r}: out of memory while it was loaded",
            wanted=f"memory for the model on {device}",
            seen=str(fault).partition(". ")[0],
            mend="LOAD_IN_4BIT=true, a smaller base, or end what else uses the memory",
        ) from None


def _optimizer(settings: TrainSettings, names: dict[str, Any]) -> Any:
    """AdamW; vectors (norms, biases) do not decay."""
    groups = [
        {"params": [part for part in names.values() if part.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [part for part in names.values() if part.ndim <= 1], "weight_decay": 0.0},
    ]
    return AdamW([group for group in groups if group["params"]], lr=settings.learning_rate, fused=True)


def _first_state(training: Training, run: Run, *, begun: bool) -> State:
    """The state to go on from; the record of the run is written where there is none."""
    model_dir, main = training.settings.model_dir, training.accelerator.is_main_process
    if main and not begun:
        identity.begin(model_dir, run)
    path = checkpoint.newest(model_dir) if begun else None
    if path is None:
        return State(0, training.settings.batch_size)
    found = checkpoint.read(path)
    restore(training, found)
    if main:
        say(f"{model_dir}: going on from step {found.state.step} of {training.schedule.steps}")
    best = checkpoint.best(model_dir, found.state)
    if best is None:
        if main and found.state.best_step:
            say(f"{model_dir}: the best checkpoint (step {found.state.best_step}) is gone; the best from here counts")
        return replace(found.state, best_val_loss=None, best_step=0)
    checkpoint.read(best)
    return found.state


def _steps(training: Training, state: State, events: Events, stop: Stop) -> State:
    """The loop: take steps; validate and save every SAVE_EVERY of them and at the end.

    Raises:
        Interrupted: a process was asked to stop; the state is saved.
    """
    steps, main, asked = training.schedule.steps, training.accelerator.is_main_process, False
    stop.patient = True
    with Progress(f"train {training.settings.model_name}", steps) as progress:
        while state.step < steps or not state.validated:
            if state.validated:
                state, taken = _advanced(training, state, stop)
                asked = taken.stop
                events.step(state.step, taken)
                if main:
                    progress.update(state.step, loss=taken.loss, tokens_per_s=round(events.tokens_per_s))
            if not state.validated and not asked:
                state, asked = _validated(training, state, events, stop)
            if asked or _due(training, state.step):
                _save(training, state)
            if asked:
                raise Interrupted(f"interrupted after step {state.step} of {steps}, which is saved")
    return state


def _due(training: Training, step: int) -> bool:
    return step % training.settings.save_every == 0 or step == training.schedule.steps


def _advanced(training: Training, state: State, stop: Stop) -> tuple[State, Taken]:
    """The state after one more step, and the step's figures."""
    started, step, steps = time.monotonic(), state.step + 1, training.schedule.steps
    taken = take(training, step, state.micro_batch, stop=lambda: stop.asked)
    return replace(
        state,
        step=step,
        micro_batch=taken.micro_batch,
        tokens=state.tokens + taken.tokens,
        seconds=state.seconds + time.monotonic() - started,
        first_loss=state.first_loss + (taken.loss if step <= ends(steps) else 0.0),
        last_loss=state.last_loss + (taken.loss if step > steps - ends(steps) else 0.0),
        peak_bytes=max(state.peak_bytes, peak_bytes()),
        validated=not _due(training, step),
    ), taken


def _validated(training: Training, state: State, events: Events, stop: Stop) -> tuple[State, bool]:
    """The state after the validation that is due, and whether a process was asked to stop meanwhile."""
    if not training.val:
        return replace(state, validated=True), False
    started = time.monotonic()
    loss, micro_batch = with_memory(
        training, state.micro_batch, lambda size: validation_loss(training, size, lambda: stop.asked)
    )
    if loss is None:
        return state, True
    refuse_not_finite("validation loss", loss, state.step)
    events.validation(state.step, loss)
    seconds = state.seconds + time.monotonic() - started
    state = replace(state, validated=True, micro_batch=micro_batch, seconds=seconds)
    if state.best_val_loss is None or loss < state.best_val_loss:
        state = replace(state, best_val_loss=loss, best_step=state.step)
    return state, False


def _save(training: Training, state: State) -> None:
    if training.accelerator.is_main_process:
        checkpoint.save(training.settings.model_dir, state, training.names, moments(training))
