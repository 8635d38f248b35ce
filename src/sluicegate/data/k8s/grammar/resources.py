"""How much of a node a container asks for, and how much it may take."""

from __future__ import annotations

from random import Random

from sluicegate.data.k8s.grammar.draw import chance, filled, near, weighted
from sluicegate.data.k8s.grammar.practices import Practices
from sluicegate.data.k8s.grammar.words import CPUS, MEMORIES
from sluicegate.data.k8s.render import Body

GPU = "nvidia.com/gpu"


def resources(rng: Random, kept: Practices, *, tall: int, gpus: int = 0, scaled: bool = False) -> Body:
    """Requests and limits of a container.

    Args:
        tall: place in MEMORIES that its requests lie around; its cpu goes with it.
        scaled: an autoscaler measures it by its requests, so that at least cpu is asked for.
    """
    cpu, memory = near(rng, round(tall * 0.75), 3, len(CPUS)), near(rng, tall, 2, len(MEMORIES))
    high_cpu = min(cpu + rng.choice((0, 1, 2, 3, 4, 5)), len(CPUS) - 1)
    high_memory = min(memory + rng.choice((0, 1, 2, 3, 4)), len(MEMORIES) - 1)
    requests = {"cpu": CPUS[cpu], "memory": MEMORIES[memory]}
    limits = {"cpu": CPUS[high_cpu], "memory": MEMORIES[high_memory]}
    asked = requests if kept.requests else {"cpu": requests["cpu"]} if scaled else _part(rng, requests)
    most = limits if kept.limits else weighted(rng, ((72, {}), (28, {"memory": limits["memory"]})))
    if kept.requests and kept.limits and chance(rng, 0.04):
        asked, most = {**asked, "ephemeral-storage": "1Gi"}, {**most, "ephemeral-storage": "2Gi"}
    return filled(requests=asked, limits={**most, **({GPU: gpus} if gpus else {})})


def _part(rng: Random, requests: dict[str, str]) -> dict[str, str]:
    """What those ask for who do not ask for both."""
    return weighted(rng, ((70, {}), (16, {"cpu": requests["cpu"]}), (14, {"memory": requests["memory"]})))
