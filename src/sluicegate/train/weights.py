"""What is trained, as named tensors: the weights, and the optimizer's moments of each."""

from __future__ import annotations

from typing import Any

import torch

from sluicegate.errors import UserError
from sluicegate.train.checkpoint import Checkpoint, Tensors
from sluicegate.train.sharding import placed, whole
from sluicegate.train.step import Training

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""AdamW's state of a parameter: both moments, and the number of its updates."""


def trained(model: Any) -> Tensors:
    """Name → parameter of everything that is trained; a tied one once."""
    return {name: part for name, part in model.named_parameters() if part.requires_grad}


def moments(training: Training) -> Tensors:
    """`moment/parameter` → tensor; a parameter without an update yet has none."""
    state = training.optimizer.state
    return {
        f"{moment}/{name}": state[part][moment]
        for name, part in training.names.items()
        if part in state
        for moment in MOMENTS
    }


def restore(training: Training, found: Checkpoint) -> None:
    """Put a checkpoint's weights and moments where they were.

    Raises:
        UserError: it is a checkpoint of other weights.
    """
    put_weights(training.names, found.weights)
    for name, part in training.names.items():
        if f"step/{name}" in found.moments:
            kept = {moment: found.moments[f"{moment}/{name}"] for moment in MOMENTS}
            training.optimizer.state[part] = {
                moment: placed(tensor, part) if tensor.shape == part.shape else tensor.to(part.device)
                for moment, tensor in kept.items()
            }


def gathered(tensors: Tensors, *, here: bool) -> Tensors:
    """The tensors whole, those of which processes hold parts on the CPU; all processes have to ask.

    Args:
        tensors: of a name the same in all processes, in the same order.
        here: whether this process is to have them; else there are none.
    """
    made: Tensors = {}
    for name, part in tensors.items():
        found = whole(part)
        if here:
            made[name] = part if found is part else found.cpu()
    return made


def put_weights(names: Tensors, weights: Tensors) -> None:
    """Copy weights into the model's parameters, or into what this process holds of each."""
    if names.keys() != weights.keys() or any(names[name].shape != part.shape for name, part in weights.items()):
        raise UserError(
            "the checkpoint is of other weights than the model's",
            wanted=f"{len(names)} trained tensors",
            seen=f"{len(weights)} in the checkpoint; did the base model or a library change?",
            mend="install the versions that run.json names, or choose another MODEL_NAME",
        )
    with torch.no_grad():
        for name, part in weights.items():
            names[name].copy_(placed(part, names[name]))
