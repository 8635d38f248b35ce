"""One process or several: started by `accelerate launch`, or not. The loop's code is the same for both."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import Accelerator, DistributedType
from accelerate.utils import AutocastKwargs, broadcast_object_list

from sluicegate.errors import UserError
from sluicegate.train import sharding
from sluicegate.train.sharding import Sharding

Value = TypeVar("Value")
AT_ONCE = 2**26
"""Bytes of gradients that are exchanged in one go, beside which lies a copy of them."""
KNOWN = (DistributedType.NO, DistributedType.MULTI_CPU, DistributedType.MULTI_GPU)


@contextlib.contextmanager
def joined() -> Iterator[tuple[Any, Sharding | None]]:
    """Accelerate's accelerator for this process, and how the model is to be cut over all; None: each holds all of it.

    On GPUs that have bf16 it is of that precision, elsewhere of fp32.

    Raises:
        UserError: a launch of another kind, or with options that are not supported.
    """
    gpu, launched = torch.cuda.is_available(), int(os.environ.get("WORLD_SIZE", "1"))
    bf16 = gpu and torch.cuda.is_bf16_supported()
    how = sharding.asked(os.environ) if launched > 1 else None
    asked = os.environ.pop(sharding.ASKED, None)
    # A cache of autocast would hold every layer's weights in bf16 until the forward is done.
    options = [AutocastKwargs(cache_enabled=False)] if how else []
    try:
        # Without being told that CPUs are meant, accelerate makes each of several CPU processes a training of its own.
        accelerator = Accelerator(
            mixed_precision="bf16" if bf16 else "no", cpu=launched > 1 and not gpu, kwargs_handlers=options
        )
        if accelerator.distributed_type not in KNOWN or accelerator.num_processes != launched:
            raise UserError(
                "accelerate launch: this kind of launch is not supported",
                wanted="one process, data-parallel processes (MULTI_GPU, MULTI_CPU), or FSDP of version 2",
                seen=f"{accelerator.distributed_type.value}, {accelerator.num_processes} of {launched} process(es)",
                mend="accelerate launch --multi_gpu, or --use_fsdp --fsdp_version 2",
            )
        if launched > 1 and not gpu:
            _keep_forever(torch.distributed.group.WORLD)
        try:
            yield accelerator, how
            accelerator.wait_for_everyone()
        finally:
            accelerator.end_training()
    finally:
        if asked is not None:
            os.environ[sharding.ASKED] = asked


def _keep_forever(group: Any) -> None:
    """Let a group of gloo's never be freed.

    Freeing it holds Python's lock and waits for gloo's threads, of which one may wait for that lock to drop what it
    last sent.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(group))


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


def agreed(accelerator: Any, value: bool) -> bool:
    """Whether it is so in every process."""
    return bool(accelerator.reduce(torch.tensor(float(not value), device=accelerator.device), "sum") == 0)


def alike(accelerator: Any, parts: Iterable[Any]) -> None:
    """Give every process the first's weights: what was drawn on another kind of device may differ."""
    if accelerator.num_processes > 1:
        for part in parts:
            torch.distributed.broadcast(part.data, 0)


def added(accelerator: Any, parts: Iterable[Any]) -> None:
    """Add up gradients over all processes, in place.

    Args:
        accelerator: of one process or several.
        parts: the same in all processes, in the same order; each has a gradient.
    """
    if accelerator.num_processes == 1:
        return
    for some in _bundles([part.grad for part in parts]):
        flat = torch.cat([one.flatten() for one in some])
        torch.distributed.all_reduce(flat)
        sums = flat.split([one.numel() for one in some])
        torch._foreach_copy_(some, [each.view(one.shape) for each, one in zip(sums, some, strict=True)])


def _bundles(tensors: Iterable[Any]) -> Iterator[list[Any]]:
    """Neighbours of one precision, `AT_ONCE` bytes together unless one alone has more.

    An exchange takes a while whatever its size.

    >>> [len(some) for some in _bundles([torch.zeros(AT_ONCE // 8)] * 3 + [torch.zeros(1, dtype=torch.bfloat16)])]
    [2, 1, 1]
    """
    some: list[Any] = []
    size = 0
    for one in tensors:
        if some and (size + one.nbytes > AT_ONCE or one.dtype != some[0].dtype):
            yield some
            some, size = [], 0
        some.append(one)
        size += one.nbytes
    if some:
        yield some


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
