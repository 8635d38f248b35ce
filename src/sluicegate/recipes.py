"""Recipes of earlier work as presets: training settings, and what the training samples of an arm are.

A recipe is the lowest of all: whatever a study, a stage or an arm says itself wins over it. `v1` and `v4` are the two
that the Kubernetes study was run with before; their figures are theirs, not ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Order = Literal["shuffled", "curriculum", "reversed"]
Value = str | int | float


@dataclass(frozen=True, slots=True)
class Recipe:
    """A preset.

    Args:
        train: training settings, lower-case names.
        augment: share of the training samples that get a security-emphasised variant, in [0, 1].
        order: of the training samples.
    """

    train: Mapping[str, Value]
    augment: float = 0.0
    order: Order = "shuffled"


_COMMON: dict[str, Value] = {
    "lora_r": 0, "batch_size": 4, "gradient_accumulation_steps": 1, "weight_decay": 0.01, "max_grad_norm": 1.0,
}  # fmt: skip
RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "v1": Recipe({**_COMMON, "epochs": 3.0, "learning_rate": 5e-5, "warmup_steps": 100}),
        "v4": Recipe(
            {
                **_COMMON, "epochs": 10.0, "learning_rate": 3e-5, "warmup_steps": 200, "select_by": "quality_gated",
            },
            augment=0.3,
            order="curriculum",
        ),
    }
)  # fmt: skip
PLAIN = Recipe({})


def named(name: str | None) -> Recipe:
    """The recipe of a name; without one, the recipe that says nothing.

    >>> named("v1").train["epochs"], named(None).augment
    (3.0, 0.0)
    """
    return RECIPES[name] if name else PLAIN
