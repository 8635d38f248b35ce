"""The end of a training: the best weights as a standard model folder, then `result.json`.

The files are written beside their places and moved there; a kill in between only means that it is done again.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from sluicegate.jsonl import sha256, unwritable
from sluicegate.models.memory import GIB
from sluicegate.train import checkpoint, identity, result, sharding
from sluicegate.train.batches import ends
from sluicegate.train.checkpoint import State
from sluicegate.train.processes import first_does
from sluicegate.train.result import Result
from sluicegate.train.selection import selected_by
from sluicegate.train.step import Training
from sluicegate.train.weights import put_weights

SAVING = ".saving"
OWN = (identity.RUN, result.RESULT, ".holder")
"""Files of the folder that nobody else writes; a tracker's sender may be writing others at any moment."""


def finish(training: Training, state: State, *, dropped: int) -> Result:
    """Save the best weights (the last ones without a validation file) and write the result: the first process does.

    Args:
        training: whose model holds the last weights; where it is cut over processes, it is not run any more.
        state: after the last step.
        dropped: training samples that were left out for their length.

    Raises:
        UserError: the best checkpoint is corrupt, or the folder cannot be written to.
    """
    accelerator = training.accelerator
    if not training.sharded:
        return first_does(accelerator, lambda: _finished(_best(training, state), state, dropped=dropped))
    _best(training, state)
    sharding.make_whole(
        training.learner.model, training.model, here=accelerator.is_main_process, frozen=not training.settings.lora_r
    )
    return first_does(accelerator, lambda: _finished(training, state, dropped=dropped))


def _best(training: Training, state: State) -> Training:
    """The training with the best weights in its model."""
    best = checkpoint.best(training.settings.model_dir, state)
    if best and state.best_step != state.step:
        put_weights(training.names, checkpoint.read(best).weights)
    return training


def _finished(training: Training, state: State, *, dropped: int) -> Result:
    """Write the model as it is, and its result."""
    model_dir = training.settings.model_dir
    digest = _saved(training, model_dir)
    done = _result(training, state, dropped=dropped, digest=digest)
    result.write(model_dir, done)
    for name in OWN:
        for remains in model_dir.glob(f".{name}.*.tmp"):  # of writes that a kill cut off
            remains.unlink(missing_ok=True)
    return done


def _saved(training: Training, model_dir: Path) -> str:
    """Write the model's files into the folder; returns the digest of the weights' file."""
    beside = model_dir / SAVING
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir()
        weights = training.learner.save(beside)
        digest = sha256(weights)
        for path in beside.iterdir():
            path.replace(model_dir / path.name)
    except OSError as fault:
        raise unwritable(model_dir, fault) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return digest


def _result(training: Training, state: State, *, dropped: int, digest: str) -> Result:
    facts, settings, planned = training.learner.facts, training.settings, training.schedule.steps
    return Result(
        steps=state.step,
        epochs=round(training.schedule.epochs(state.step), 4),
        first_loss=state.first_loss / min(ends(planned), state.step),
        last_loss=state.last_loss / ends(planned),
        best_val_loss=state.best_val_loss,
        best_step=state.step if state.best_step is None else state.best_step,
        tokens=state.tokens,
        seconds=round(state.seconds, 3),
        samples=len(training.train),
        dropped=dropped,
        loaded_in_4bit=facts.loaded_in_4bit,
        why_4bit=facts.why_4bit,
        forecast_vram_gib=round(facts.forecast_gib, 4),
        peak_vram_gib=round(state.peak_bytes / GIB, 4) if state.peak_bytes else None,
        trainable_parameters=facts.trainable_parameters,
        total_parameters=facts.total_parameters,
        sha256=digest,
        method=settings.method,
        select_by=selected_by(settings),
        best_metric=state.best_metric,
        collapses=state.collapses,
        collapsed=bool(state.stopped),
        why_stopped=state.stopped,
    )
