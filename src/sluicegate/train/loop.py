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

import torch
from torch.optim import AdamW

from sluicegate.console import Progress, say
from sluicegate.data.reader import read_samples
from sluicegate.errors import Interrupted, UserError
from sluicegate.models import Learner, kind
from sluicegate.models.pair_memory import at_once, samples_at_once
from sluicegate.records import Run, Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Status, Tracker
from sluicegate.train import checkpoint, finish, identity, processes, result, sharding, start
from sluicegate.train.answering import Answering, answering, refuse_null
from sluicegate.train.batches import Schedule, ends, schedule, supervised_samples
from sluicegate.train.checkpoint import State
from sluicegate.train.events import Events
from sluicegate.train.replay import Replay
from sluicegate.train.result import Result
from sluicegate.train.selection import better, selected_by
from sluicegate.train.sharding import Sharding
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
from sluicegate.train.weights import gathered, moments, restore, trained


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
    with handled() as stop, processes.joined() as (accelerator, how):
        start.refuse_unfit(settings, accelerator.num_processes, sharded=how is not None)
        data = Data(read_samples(settings.dataset_path), _val_samples(settings))
        run, begun = processes.first_does(accelerator, lambda: _identify(settings, data, arm, stage, accelerator))
        done = result.read(settings.model_dir) if begun else None
        if done:
            main = accelerator.is_main_process
            if main:
                say(f"{settings.model_dir}: already trained with these settings, {done.steps} steps; nothing to do")
            Events(tracker, settings.model_dir, main=main, steps=done.steps).finished_before()
            return done
        refuse_null(settings, data.train, data.val)
        training = _prepared(settings, data, run, accelerator, how)
        with answering(training, data.train, data.val) as answers:
            state = _first_state(training, run, begun=begun)
            processes.refuse_differing(accelerator, settings.model_dir, state.step)
            main, steps = accelerator.is_main_process, training.schedule.steps
            events = Events(tracker, settings.model_dir, main=main, steps=steps, boards=settings.tensorboard)
            events.begin(run, training.learner.facts, experiment=experiment, parent=parent)
            events.data(settings, run, train=len(training.train), val=len(training.val))
            dropped = len(data.train) - len(training.train)
            return _followed(training, answers, state, events, stop, dropped=dropped)


def _followed(
    training: Training, answers: Answering, state: State, events: Events, stop: Stop, *, dropped: int
) -> Result:
    """The loop and its finish, with an end told for each way it ends."""
    status: Status = "FAILED"
    try:
        last = _steps(training, answers, state, events, stop)
        done = finish.finish(training, last, dropped=dropped)
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
    base = start.base_of(settings, [*data.train, *data.val])
    run = identity.run_record(
        settings,
        base=base,
        base_sha256=start.digest_of(settings, base),
        arm=arm,
        stage=stage,
        processes=accelerator.num_processes,
    )
    return run, identity.goes_on(settings.model_dir, run)


def _prepared(settings: TrainSettings, data: Data, run: Run, accelerator: Any, how: Sharding | None) -> Training:
    """Everything that a step needs."""
    if how is None:
        learner = _loaded(settings, run.base_model, accelerator.device)
    else:  # cut on the CPU, so that no device has to hold all of it
        plain = settings.model_copy(update={"load_in_4bit": "false"})
        learner = _loaded(plain, run.base_model, torch.device("cpu"))
    examples = learner.encode(data.train, settings.dataset_path)
    val = learner.encode(data.val, settings.val_dataset_path) if settings.val_dataset_path else []
    plan = _plan(settings, len(examples), accelerator.num_processes)
    learner.scored.train(settings.method == "supervised")
    told = learner.settle(at_once(settings), steps=plan.steps)
    recorded = processes.agreed(accelerator, learner.static and how is None)
    if how is None:
        # What DDP exchanges during a backward could not be recorded; then gradients are added up behind the last.
        model = accelerator.prepare_model(learner.scored, evaluation_mode=recorded)
    else:
        model, told = sharding.sharded(learner, settings, accelerator, how)
    if told and accelerator.is_main_process:
        say(f"{settings.model_name}: {told}")
    names = trained(learner.model)
    if recorded:
        processes.alike(accelerator, names.values())  # as DDP does
    return Training(
        settings=settings,
        accelerator=accelerator,
        learner=learner,
        model=model,
        optimizer=_optimizer(settings, names, getattr(learner.model.config, "query_rate", 1.0)),
        names=names,
        schedule=plan,
        train=examples,
        val=val,
        replay=Replay(names.values()) if recorded else None,
    )


def _plan(settings: TrainSettings, samples: int, processes: int) -> Schedule:
    """How many steps there are, and the order of the samples."""
    most = settings.max_steps
    if settings.method != "supervised":  # few prompts of many: in the file's order they would be its first ones
        return Schedule(samples, settings.rl_prompts, min(settings.rl_steps, most or settings.rl_steps), settings.seed)
    seed = settings.seed if settings.shuffle else None
    per_step = settings.batch_size * settings.gradient_accumulation_steps * processes
    if settings.steps_like_rl:
        like = supervised_samples(
            settings.rl_steps, settings.rl_prompts, settings.rl_samples, anchor=settings.rl_anchor > 0
        )
        steps = -(-like // per_step)
        return Schedule(samples, per_step, min(steps, most or steps), seed)
    return schedule(samples, per_step=per_step, epochs=settings.epochs, max_steps=most, seed=seed)


def _loaded(settings: TrainSettings, base: str, device: Any) -> Learner:
    try:
        learner = kind(settings.model_kind).load(settings, base, device)
        start.put_adapter(settings, learner.model)
        return learner
    except RuntimeError as fault:
        if not ran_out_of_memory(fault):
            raise
        raise UserError(
            f"BASE_MODEL {base!r}: out of memory while it was loaded",
            wanted=f"memory for the model on {device}",
            seen=str(fault).partition(". ")[0],
            mend="LOAD_IN_4BIT=true, a smaller base, or end what else uses the memory",
        ) from None


def _optimizer(settings: TrainSettings, names: dict[str, Any], query_rate: float) -> Any:
    """AdamW; vectors (norms, biases) do not decay. A group's `share` is its part of the learning rate.

    Args:
        query_rate: of query weights, in a base that says so; see `scratch`.
    """
    queries = [name for name in names if query_rate != 1 and name.endswith("Attention.q.weight")]
    rest = [part for name, part in names.items() if name not in queries]
    groups = [
        {"params": [part for part in rest if part.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [part for part in rest if part.ndim <= 1], "weight_decay": 0.0},
        {"params": [names[name] for name in queries], "weight_decay": settings.weight_decay, "share": query_rate},
    ]
    return AdamW([group for group in groups if group["params"]], lr=settings.learning_rate, fused=True)


def _first_state(training: Training, run: Run, *, begun: bool) -> State:
    """The state to go on from; the record of the run is written where there is none."""
    settings, main = training.settings, training.accelerator.is_main_process
    model_dir = settings.model_dir
    if main and not begun:
        identity.begin(model_dir, run)
    path = checkpoint.newest(model_dir) if begun else None
    if path is None:
        # What a finished training goes on from may stay the best.
        first = training.learner.facts.at_once or at_once(settings)
        return State(0, first, validated=settings.init_from is None)
    found = checkpoint.read(path)
    restore(training, found)
    if main:
        say(f"{model_dir}: going on from step {found.state.step} of {training.schedule.steps}")
    best = checkpoint.best(model_dir, found.state)
    if best is None:
        if main and found.state.best_step is not None:
            say(f"{model_dir}: the best checkpoint (step {found.state.best_step}) is gone; the best from here counts")
        return replace(found.state, best_val_loss=None, best_metric=None, best_step=None)
    checkpoint.read(best)
    return found.state


def _steps(training: Training, answers: Answering, state: State, events: Events, stop: Stop) -> State:
    """The loop: take steps; validate and save every SAVE_EVERY of them and at the end.

    What the guard of reinforcement learning stops ends here too, with the best checkpoint's weights.

    Raises:
        Interrupted: a process was asked to stop; the state is saved.
    """
    steps, main, asked = training.schedule.steps, training.accelerator.is_main_process, False
    stop.patient = True
    with Progress(f"train {training.settings.model_name}", steps) as progress:
        while (state.step < steps and not state.stopped) or not state.validated:
            if state.validated:
                state, taken = _advanced(training, answers, state, stop)
                asked = taken.stop
                events.step(state.step, taken)
                if main:
                    progress.update(state.step, loss=taken.loss, tokens_per_s=round(events.tokens_per_s))
            if not state.validated and not asked:
                state, asked = _validated(training, answers, state, events, stop)
            if asked or state.stopped or _due(training, state.step):
                _save(training, state)
            if asked:
                raise Interrupted(f"interrupted after step {state.step} of {steps}, which is saved")
    return state


def _due(training: Training, step: int) -> bool:
    return step % training.settings.save_every == 0 or step == training.schedule.steps


def _advanced(training: Training, answers: Answering, state: State, stop: Stop) -> tuple[State, Taken]:
    """The state after one more step, and the step's figures."""
    started, step, steps = time.monotonic(), state.step + 1, training.schedule.steps
    if answers.policy is None:
        taken = take(training, step, state.micro_batch, stop=lambda: stop.asked)
    else:
        state, taken = answers.policy.take(state, stop=lambda: stop.asked)
    last = ends(steps) if state.stopped else float(step > steps - ends(steps))
    return replace(
        state,
        step=step,
        micro_batch=taken.micro_batch,
        tokens=state.tokens + taken.tokens,
        seconds=state.seconds + time.monotonic() - started,
        first_loss=state.first_loss + (taken.loss if step <= ends(steps) else 0.0),
        last_loss=(0.0 if state.stopped else state.last_loss) + last * taken.loss,
        peak_bytes=max(state.peak_bytes, peak_bytes()),
        validated=bool(state.stopped) or not _due(training, step),
    ), taken


def _validated(training: Training, answers: Answering, state: State, events: Events, stop: Stop) -> tuple[State, bool]:
    """The state after the validation that is due, and whether a process was asked to stop meanwhile."""
    if not training.val:
        return replace(state, validated=True), False
    started = time.monotonic()
    asked = samples_at_once(training.settings, state.micro_batch)
    loss, fitted = with_memory(training, asked, lambda size: validation_loss(training, size, lambda: stop.asked))
    if loss is None:
        return state, True
    refuse_not_finite("validation loss", loss, state.step)
    value = None
    if answers.quality is not None:
        value = processes.first_does(training.accelerator, answers.quality.value)
    events.validation(state.step, loss, {} if value is None else {selected_by(training.settings): value})
    seconds = state.seconds + time.monotonic() - started
    micro_batch = state.micro_batch if fitted == asked else fitted
    state = replace(state, validated=True, micro_batch=micro_batch, seconds=seconds)
    if better(state, loss, value):
        state = replace(state, best_val_loss=loss, best_metric=value, best_step=state.step)
    return state, False


def _save(training: Training, state: State) -> None:
    """Save a checkpoint; the first process does."""
    main = training.accelerator.is_main_process
    weights, held = (gathered(tensors, here=main) for tensors in (training.names, moments(training)))
    if main:
        checkpoint.save(training.settings.model_dir, state, weights, held)
