"""Pods: containers, volumes and contexts put together, and the template that a controller makes them from."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sluicegate.data.k8s.grammar import containers
from sluicegate.data.k8s.grammar.apps import App, all_labels, scraped, selector
from sluicegate.data.k8s.grammar.contexts import exposure, guard
from sluicegate.data.k8s.grammar.draw import chance, filled
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.practices import Practices
from sluicegate.data.k8s.grammar.scheduling import everywhere, scheduling
from sluicegate.data.k8s.grammar.volumes import stores, volume
from sluicegate.data.k8s.grammar.wiring import Wiring
from sluicegate.data.k8s.render import Body


@dataclass(frozen=True, slots=True)
class Load:
    """All that a workload is made from.

    Args:
        kept: the practices that its pods follow.
    """

    house: House
    kept: Practices
    app: App
    wiring: Wiring


def spec(
    rng: Random, load: Load, *, restart: str = "", templated: bool = False, several: bool = False, daemon: bool = False
) -> Body:
    """A pod spec.

    Args:
        restart: the restart policy to write down; Never and OnFailure also say that the pod ends.
        templated: its data comes from the claim template of a StatefulSet.
        several: there is more than one such pod.
        daemon: every node runs one.
    """
    house, app, wiring = load.house, load.app, load.wiring
    ends = restart in ("Never", "OnFailure")
    shared = exposure(rng, app, load.kept, claimed=templated or wiring.claim != "")
    run = containers.Run(house, load.kept, guard(rng, app, load.kept, shared), shared)
    mounted = stores(rng, house, app, wiring, kept=load.kept, shared=shared, templated=templated)
    token = not wiring.account and chance(rng, 0.25 * max(house.care - 0.3, 0) + 0.08 * house.detail)
    return filled(
        serviceAccountName=wiring.account,
        automountServiceAccountToken=False if token else None,
        hostNetwork=True if shared.network else None,
        hostPID=True if shared.pid else None,
        dnsPolicy="ClusterFirstWithHostNet" if shared.network and chance(rng, 0.4) else "",
        imagePullSecrets=[{"name": wiring.pull_secret}] if wiring.pull_secret else [],
        restartPolicy=restart,
        terminationGracePeriodSeconds=_grace(rng, house, ends=ends),
        securityContext=run.guard.pod,
        **(everywhere(rng, house) if daemon else scheduling(rng, house, selector(house, app), spread=several)),
        initContainers=[] if ends else containers.before(rng, run, app, wiring, mounted),
        containers=[
            containers.main(rng, run, app, wiring, mounted, ends=ends),
            *([] if ends else containers.beside(rng, run, app, mounted)),
        ],
        volumes=[volume(store) for store in mounted if store.source],
    )


def _grace(rng: Random, house: House, *, ends: bool) -> int | None:
    return rng.choice((10, 20, 30, 45, 60, 120, 300)) if not ends and chance(rng, 0.02 + 0.16 * house.detail) else None


def template(rng: Random, load: Load, pod: Body) -> Body:
    """A pod template; of a Job's pods too, which nobody selects."""
    annotations = _annotations(rng, load.house, load.app, pod)
    return {"metadata": filled(labels=all_labels(load.house, load.app), annotations=annotations), "spec": pod}


def _annotations(rng: Random, house: House, app: App, pod: Body) -> dict[str, str]:
    """What tools beside Kubernetes read from a pod."""
    found: dict[str, str] = {}
    if app.ports and chance(rng, 0.05 + 0.22 * house.detail):
        found |= dict(list(scraped(app).items())[: rng.choice((2, 2, 3))])
    mesh = rng.random()
    if mesh < 0.05 * house.detail:
        found["sidecar.istio.io/inject"] = rng.choice(("true", "false"))
    elif mesh < 0.1 * house.detail:
        found["linkerd.io/inject"] = "enabled"
    if chance(rng, 0.06 * house.detail):
        found["cluster-autoscaler.kubernetes.io/safe-to-evict"] = rng.choice(("true", "false"))
    return found
