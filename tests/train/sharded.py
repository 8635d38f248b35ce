"""Trainings one after the other in the processes of one launch, for tests: each as its job says.

Usage: `accelerate launch … sharded.py JOBS`, a JSON list of {"settings": …, "launch": variables of the environment that
the launcher would set, "cut": step or null, "records": boolean}. A job with `cut` dies before that step; one that
records runs micro-batches as if they were CUDA graphs. Each process writes `held-RANK.json` beside JOBS: for each job
how many numbers it holds of the trained weights and their moments, and how many there are.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from accelerate import Accelerator

from sluicegate.models.causal import Causal
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.tracking.spool import Spool
from sluicegate.train import loop, step
from sluicegate.train.replay import Replay

RANK = int(os.environ.get("RANK", "0"))


class Cut(Exception):
    """The job is to end here."""


def _held(training: Any) -> list[int]:
    moments = [part for state in training.optimizer.state.values() for part in state.values() if part.ndim]
    tensors = [*training.names.values(), *moments]
    own = [part.to_local() if hasattr(part, "to_local") else part for part in tensors]
    return [sum(part.numel() for part in some) for some in (own, tensors)]


def _run(job: dict[str, Any]) -> list[int]:
    settings, cut = TrainSettings.model_validate(job["settings"]), job["cut"]
    held: list[int] = []

    def take(training: Any, number: int, *given: Any, **how: Any) -> Any:
        if number == cut:
            raise Cut
        done = step.take(training, number, *given, **how)
        held[:] = _held(training)
        return done

    spool = contextlib.nullcontext(Null()) if RANK else Spool(settings.model_dir)
    graphs = _as_graphs() if job["records"] else contextlib.nullcontext()
    with patch.object(loop, "take", take), graphs, contextlib.suppress(Cut), spool as tracker:
        loop.train(settings, tracker)
    return held


@contextlib.contextmanager
def _as_graphs() -> Iterator[None]:
    """Shapes are few, as on a GPU, and what would be replayed is done; the second process has drawn other weights."""

    def settle(self: Causal, *_: Any, **__: Any) -> str:
        self.static = True
        for part in self.model.parameters():
            if part.requires_grad and RANK:
                part.data += 0.1
        return ""

    def run(self: Replay, work: Any, batch: Any, share: float) -> Any:
        self._hold()
        return work(batch, share)

    with patch.object(Causal, "settle", settle), patch.object(Replay, "run", run):
        yield


def main() -> None:
    jobs = Path(sys.argv[1])
    Accelerator.end_training = lambda self: None  # the processes stay together for the next job
    found = []
    for job in json.loads(jobs.read_text("utf-8")):
        os.environ.update(job["launch"])
        found.append(_run(job))
        for name in job["launch"]:
            del os.environ[name]
    jobs.with_name(f"held-{RANK}.json").write_text(json.dumps(found), "utf-8")
    Accelerator().state.destroy_process_group()


if __name__ == "__main__":
    main()
