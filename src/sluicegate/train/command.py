"""Training as a command: holds the model folder, opens its tracking spool, and sends that if nobody else does."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from sluicegate import folder
from sluicegate.console import say
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null, default_uri, probe, sender, system
from sluicegate.tracking.spool import Spool


def train_and_track(
    settings: TrainSettings, *, arm: str, stage: int | None, experiment: str, parent: Path | None, send: bool
) -> None:
    """Train one model; see `train.loop.train` for the arguments and for what it raises.

    Args:
        send: carry the spool to MLFLOW_TRACKING_URI (unset: SQLite under runs/) while training. Where a stage runs
            this command, the stage sends.

    A tracking server that is away, or refuses, costs nothing: that is said, and what it was not told can be sent later.

    Raises:
        UserError: another process holds the folder, or MLFLOW_TRACKING_URI is nothing that could ever be used.
    """
    if int(os.environ.get("RANK", "0")):  # accelerate launch and torchrun set it; only the first process writes
        from sluicegate.train.loop import train

        train(settings, Null(), arm=arm, stage=stage, experiment=experiment, parent=parent)
        return
    uri = settings.mlflow_tracking_uri or default_uri(Path("runs"))
    if send:
        _look(uri)
    from sluicegate.train.loop import train  # torch: only now, after every cheap fault was found

    sending = sender.sending(settings.model_dir, uri) if send else contextlib.nullcontext()
    with (
        folder.holding(settings.model_dir), Spool(settings.model_dir) as spool, sending,
        system.sampling(spool, system.every_s()),
    ):  # fmt: skip
        train(settings, spool, arm=arm, stage=stage, experiment=experiment, parent=parent)


def _look(uri: str) -> None:
    """Say before the first step what the training will not wait for."""
    try:
        probe.check(uri)
    except probe.AwayError as fault:
        say(f"{fault}\n  the training goes on without it; what it is not told stays on disk")
