"""A model cut over processes, for what does not fit one device: torch's `fully_shard`, where a launch asks for FSDP.

Each process holds a part of every weight, gradient and moment. A layer's weights are gathered when it runs and let go
behind it; embeddings, head and last norm are one group, which stays from the forward to the end of the backward. What
is computed, and in which precision, is what one process computes. accelerate is not told that the launch is one of
FSDP: it knows that on GPUs only, and transformers would leave the weights of all processes but the first empty.

Source: torch 2.13, torch/distributed/fsdp/_fully_shard/_fully_shard.py.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from sluicegate.errors import UserError, UserErrors
from sluicegate.models import Learner
from sluicegate.models.base import quiet
from sluicegate.models.memory import ADAM_BYTES, GIB
from sluicegate.models.pair_memory import forecast_of
from sluicegate.settings import TrainSettings

ASKED = "ACCELERATE_USE_FSDP"
"""What `accelerate launch --use_fsdp` sets for its processes, and accelerate and transformers look at."""


@dataclass(frozen=True, slots=True)
class Sharding:
    """How the launch wants a model to be cut.

    Args:
        lets_go: whether a layer's weights are let go between its forward and its backward.
        recomputes: whether layers compute their activations again; on a GPU they always do.
    """

    lets_go: bool = True
    recomputes: bool = False


def asked(environ: Mapping[str, str]) -> Sharding | None:
    """What the options of `accelerate launch` say; None where the model is not to be cut.

    Those of which layers are cut, and of how states are loaded and saved, are not looked at: that is decided here.

    >>> asked({}), asked({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"})
    (None, Sharding(lets_go=True, recomputes=False))

    Raises:
        UserErrors: options that are not supported, all at once.
    """
    if not _on(environ, ASKED):
        return None
    version = environ.get("FSDP_VERSION", "1")
    lets_go = environ.get("FSDP_RESHARD_AFTER_FORWARD", "true").lower()
    rows = [
        (version != "2", "--fsdp_version", "2", version),
        (lets_go not in {"true", "false"}, "--fsdp_reshard_after_forward", "true or false", lets_go),
        (_on(environ, "FSDP_OFFLOAD_PARAMS"), "--fsdp_offload_params", "false", "true"),
        (
            _on(environ, "FSDP_ACTIVATION_CHECKPOINTING_OFFLOAD"),
            "--fsdp_activation_checkpointing_offload", "false", "true",
        ),
        ("FSDP_IGNORED_MODULES" in environ, "--fsdp_ignored_modules", "unset", environ.get("FSDP_IGNORED_MODULES")),
        (_on(environ, "ACCELERATE_USE_PARALLELISM_CONFIG"), "--use_parallelism_config", "unset", "true"),
    ]  # fmt: skip
    faults = [UserError(name, wanted=wanted, seen=str(seen)) for wrong, name, wanted, seen in rows if wrong]
    if faults:
        raise UserErrors(f"accelerate launch --use_fsdp: {len(faults)} option(s) are not supported", faults)
    return Sharding(lets_go=lets_go == "true", recomputes=_on(environ, "FSDP_ACTIVATION_CHECKPOINTING"))


def _on(environ: Mapping[str, str], name: str) -> bool:
    return environ.get(name, "").lower() in {"true", "1"}


def sharded(learner: Learner, settings: TrainSettings, accelerator: Any, how: Sharding) -> tuple[Any, str]:
    """Cut a learner's model over the processes, in place, and move each its part to its device.

    No GPU ever holds the whole model: a layer is moved there, cut, and the rest of it dropped.

    Args:
        learner: its model whole, on the CPU, fp32, without 4-bit weights.
        settings: of the training.
        accelerator: of several processes.
        how: what the launch asks for.

    Returns:
        `learner.scored` as it is called in training, and what was done, in a sentence.
    """
    model, device, processes = learner.model, accelerator.device, accelerator.num_processes
    gpu = device.type == "cuda"
    if settings.model_kind != "causal":
        from sluicegate.models.t5_plain import plainly

        plainly(model)
        # Of what blocks hand on, their biases are views, which nobody writes into.
        warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
    if gpu:
        for part in model.parameters():
            if not part.requires_grad:  # as on one GPU, where frozen weights are loaded so
                part.data = part.data.to(torch.bfloat16)
    if gpu or how.recomputes:
        with quiet():
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    # Of what accelerate prepares only the precision is wanted; nothing is wrapped.
    scored = accelerator.prepare_model(learner.scored, device_placement=False, evaluation_mode=True)
    mesh = init_device_mesh(device.type, (processes,))
    layers = _layers(model)
    for layer in layers:
        fully_shard(layer, mesh=mesh, reshard_after_forward=how.lets_go)
    fully_shard(scored, mesh=mesh)
    mine, every, elsewhere = _held(model)
    forecast = forecast_of(learner.size)(learner.size, settings, in_4bit=False, window=settings.max_seq_length, gpu=gpu)
    learner.facts = replace(
        learner.facts,
        why_4bit=f"sharded over {processes} processes, which 4-bit weights cannot be",
        forecast_gib=max(0.0, forecast - elsewhere / GIB),
    )
    told = f"sharded over {processes} processes, {len(layers)} layers: {mine:,} of {every:,} weights in this one"
    return scored, told


def _layers(model: Any) -> list[Any]:
    """The layers of a model, of encoders and decoders."""
    from transformers import GradientCheckpointingLayer

    return [part for part in model.modules() if isinstance(part, GradientCheckpointingLayer)]


def _held(model: Any) -> tuple[int, int, int]:
    """Weights in this process, weights in all, and bytes of weights, gradients and moments that only others hold."""
    mine = every = elsewhere = 0
    for part in model.parameters():
        own = part.to_local().numel()
        mine, every = mine + own, every + part.numel()
        elsewhere += (part.numel() - own) * (ADAM_BYTES if part.requires_grad else part.element_size())
    return mine, every, elsewhere


def is_sharded(model: Any) -> bool:
    """Whether a model was cut: then all its processes run it, save it and stop together."""
    return isinstance(model, FSDPModule)


def whole(part: Any) -> Any:
    """A tensor whose parts the processes hold, on the device of each of them, which all have to ask; others as is."""
    return part.full_tensor() if isinstance(part, DTensor) else part


def placed(tensor: Any, like: Any) -> Any:
    """What a process holds of a whole tensor where it holds such a part of another; nothing is exchanged.

    Args:
        tensor: the same in all processes, anywhere.
        like: of the same shape, whole or a part.
    """
    if not isinstance(like, DTensor):
        return tensor.to(like.device)
    return distribute_tensor(tensor, like.device_mesh, like.placements, src_data_rank=None)


def make_whole(model: Any, root: Any, *, here: bool, frozen: bool) -> None:
    """Put whole tensors on the CPU in the place of parts, to be saved; the model is not run any more.

    All processes have to ask.

    Args:
        model: whose weights they are.
        root: what was cut: it, or what holds it.
        here: whether this process is to have them; the others' parts stay.
        frozen: whether those that are not trained are wanted too.
    """
    for part in root.modules():
        if isinstance(part, FSDPModule):
            part.reshard()
    made: dict[Any, Any] = {}
    for part in model.modules():
        for name, held in part.named_parameters(recurse=False):
            if frozen or held.requires_grad:
                if held not in made:
                    found = whole(held.detach()).cpu()
                    made[held] = torch.nn.Parameter(found, requires_grad=held.requires_grad) if here else held
                part._parameters[name] = made[held]
