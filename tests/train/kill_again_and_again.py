"""A script for `test_processes`: trains in children that die by SIGKILL, again and again, until one comes to the end.

It imports torch once and forks, so that a killed attempt costs a fraction of a second. Each attempt dies before a
later one of its writes, renames, removals and steps than the attempt before it, so the kills fall everywhere.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from sluicegate import models
from sluicegate.settings import TrainSettings
from sluicegate.tracking.spool import Spool
from sluicegate.train import loop

torch.set_num_threads(1)
KILLED = -signal.SIGKILL


def attempt(settings: TrainSettings, prepare: Callable[[], None], *, kill_after: float | None = None) -> int:
    """Train in a child; how it ended."""
    child = os.fork()
    if child == 0:
        prepare()
        with Spool(settings.model_dir) as spool:
            loop.train(settings, spool)
        os._exit(0)
    if kill_after is not None:
        time.sleep(kill_after)
        os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def die_before_call(number: int) -> None:
    """Let this process kill itself before the given one of the calls that leave something behind."""
    left = [number]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] <= 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **options)

        return call

    os.fsync = counted(os.fsync)
    shutil.rmtree = counted(shutil.rmtree)  # type: ignore[assignment]
    Path.rename = counted(Path.rename)  # type: ignore[method-assign]
    Path.replace = counted(Path.replace)  # type: ignore[method-assign]
    loop.take = counted(loop.take)  # type: ignore[attr-defined]


def main(base: str, data: str, out: str, in_4bit: str) -> None:
    def settings(name: str) -> TrainSettings:
        known = {"dataset_path": f"{data}/train.jsonl", "val_dataset_path": f"{data}/val.jsonl", "base_model": base}
        sizes = {
            "batch_size": 4,
            "epochs": 100.0,
            "max_steps": 6,
            "save_every": 2,
            "lora_r": 4,
            "load_in_4bit": in_4bit,
        }
        return TrainSettings.model_validate(known | sizes | {"output_dir": out, "model_name": name})

    # Loaded here, the libraries need not be in every child.
    models.kind("causal").load(settings("whole"), base, torch.device("cpu"))
    ends = {"whole": [attempt(settings("whole"), lambda: None)], "counted": [], "timed": []}
    number = 1
    while not ends["counted"] or ends["counted"][-1] == KILLED:
        ends["counted"].append(attempt(settings("counted"), partial(die_before_call, number)))
        number += 1
    for seconds in (0.1, 0.3, 0.5, 0.7):
        ends["timed"].append(attempt(settings("timed"), lambda: None, kill_after=seconds))
    ends["timed"].append(attempt(settings("timed"), lambda: None))
    print(json.dumps(ends))


if __name__ == "__main__":
    main(*sys.argv[1:])
