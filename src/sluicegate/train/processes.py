"""One process or several: started by `accelerate launch`, or not. The loop's code is the same for both."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import broadcast_object_list

from sluicegate.errors import UserError

Value = TypeVar("Value")
KNOWN = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


@contextlib.contextmanager
def joined() -> Iterator[Any]:
    """Accelerate's accelerator for this process: bf16 on GPUs that have it, fp32 elsewhere.

    Raises:
        UserError: a launch that shards the model, which checkpoints of whole tensors cannot follow.
    """
    gpu, launched = torch.cuda.is_available(), int(os.environ.get("WORLD_SIZE", "1"))
    bf16 = gpu and torch.cuda.is_bf16_supported()
    # Without being told that CPUs are meant, accelerate makes each of several CPU processes a training of its own.
    accelerator = Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=launched > 1 and not gpu)
    if accelerator.distributed_type not in KNOWN or accelerator.num_processes != launched:
        raise UserError(
            "accelerate launch: this kind of launch is not supported",
            wanted="one process, or data-parallel processes (MULTI_GPU, MULTI_CPU)",
            seen=f"{accelerator.distributed_type.value}, {accelerator.num_processes} of {launched} process(es)",
            mend="accelerate launch --multi_gpu, without FSDP or DeepSpeed",
        )
    try:
        yield accelerator
    finally:
        accelerator.end_training()


def first_does(accelerator: Any, work: Callable[[], Value]) -> Value:
    """Let the first process alone do some work, and give what it returns to all.

    Raises:
        UserError: on the other processes, when it raised on the first; there its own error is raised.
    """
    if accelerator.num_processes == 1:
        return work()
    told: list[Any] = [None, None]
    fault: Exception | None = None
    if accelerator.is_main_process:
        try:
            told = [True, work()]
        except Exception as seen:
            fault = seen
    broadcast_object_list(told)
    if fault:
        raise fault
    if not told[0]:
        raise UserError("the first process ended; its message says why")
    return told[1]  # type: ignore[no-any-return]


def refuse_differing(accelerator: Any, model_dir: Path, step: int) -> None:
    """Refuse processes that would go on from different steps: they do not see the same folder.

    Raises:
        UserError: on every process.
    """
    steps = accelerator.gather(torch.tensor([step], device=accelerator.device)).tolist()
    if len(set(steps)) > 1:
        raise UserError(
            f"{model_dir}: the processes do not see the same checkpoints",
            wanted="one folder for all of them (a shared file system, where they run on several machines)",
            seen=f"checkpoints of steps {', '.join(map(str, steps))}",
            mend="set OUTPUT_DIR to a folder that all machines share",
        )
