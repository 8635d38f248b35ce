"""Whether a training compiles its layers: arithmetic that forecasts share with trainings, so it imports no torch."""

from __future__ import annotations

from sluicegate.settings import TrainSettings

STEPS_TO_COMPILE = 50
"""A compiled shape takes some 20 s to make, and spares about a third of a step of one second."""


def compiles(settings: TrainSettings, steps: int) -> bool:
    """Whether layers are to be compiled in a training of so many steps; COMPILE is read."""
    return settings.compile == "true" or (settings.compile == "auto" and steps >= STEPS_TO_COMPILE)
