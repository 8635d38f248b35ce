"""Manifests of one object."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from sluicegate.data.k8s.grammar import network, scaling, storage, workloads
from sluicegate.data.k8s.grammar.apps import task
from sluicegate.data.k8s.grammar.chores import CHORES
from sluicegate.data.k8s.grammar.draw import weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.made import (
    Made,
    any_agent,
    any_app,
    any_backend,
    any_listener,
    any_server,
    any_site,
    any_stateless,
    any_store,
    load,
)
from sluicegate.data.k8s.grammar.pods import Load
from sluicegate.data.k8s.grammar.practices import practices
from sluicegate.data.k8s.grammar.schedules import schedule
from sluicegate.data.k8s.grammar.wiring import wire

CLAIMED = ("uploads", "media", "data", "backups", "models", "cache", "logs", "exports")


def deployment(rng: Random, house: House) -> Made:
    """A Deployment."""
    made = load(rng, house, any_app)
    return Made((workloads.deployment(rng, made),), made.app.purpose)


def stateful_set(rng: Random, house: House) -> Made:
    """A StatefulSet whose service is elsewhere."""
    made = load(rng, house, any_store)
    service = rng.choice((made.app.name, f"{made.app.name}-headless"))
    return Made((workloads.stateful_set(rng, made, service),), made.app.purpose)


def daemon_set(rng: Random, house: House) -> Made:
    """A DaemonSet."""
    made = load(rng, house, any_agent)
    return Made((workloads.daemon_set(rng, made),), made.app.purpose)


def pod(rng: Random, house: House) -> Made:
    """A pod without a controller."""
    made = load(rng, house, any_app)
    return Made((workloads.pod(rng, made),), made.app.purpose)


def replica_set(rng: Random, house: House) -> Made:
    """A ReplicaSet without a Deployment."""
    made = load(rng, house, any_server)
    return Made((workloads.replica_set(rng, made),), made.app.purpose)


def job(rng: Random, house: House) -> Made:
    """A Job."""
    kept = practices(rng, house.care)
    app = task(rng, house, rng.choice(CHORES), pinned=kept.pinned)
    return Made((workloads.job(rng, Load(house, kept, app, wire(rng, house, app))),), app.purpose)


def cron_job(rng: Random, house: House) -> Made:
    """A CronJob."""
    kept, when = practices(rng, house.care), schedule(rng)
    app = task(rng, house, rng.choice([chore for chore in CHORES if chore.again]), pinned=kept.pinned, again=when.words)
    return Made((workloads.cron_job(rng, Load(house, kept, app, wire(rng, house, app)), when),), app.purpose)


def service(rng: Random, house: House) -> Made:
    """A Service."""
    house = replace(house, labelled=house.labelled or not house.namespace)
    app = load(rng, house, any_listener).app
    return Made((network.service(rng, house, app),), app.purpose)


def ingress(rng: Random, house: House) -> Made:
    """An Ingress to a service that is elsewhere."""
    app = load(rng, house, any_site).app
    return Made(
        (network.ingress(rng, house, app, network.backend(rng, network.service(rng, house, app))),), app.purpose
    )


def network_policy(rng: Random, house: House) -> Made:
    """A NetworkPolicy."""
    app = load(rng, house, weighted(rng, ((6, any_listener), (3, any_store)))).app
    return Made((network.network_policy(rng, house, app),), app.purpose)


def config_map(rng: Random, house: House) -> Made:
    """A ConfigMap of an application that is elsewhere."""
    app = load(rng, house, any_backend).app
    return Made((storage.lone_config_map(rng, house, app),), app.purpose)


def secret(rng: Random, house: House) -> Made:
    """A Secret of an application that is elsewhere."""
    app = load(rng, house, any_backend).app
    return Made((storage.lone_secret(rng, house, app),), app.purpose)


def claim(rng: Random, house: House) -> Made:
    """A PersistentVolumeClaim."""
    app, what = (
        load(rng, house, weighted(rng, ((1, any_server), (1, any_store), (1, any_stateless)))).app,
        rng.choice(CLAIMED),
    )
    return Made((storage.claim(rng, house, app, f"{app.name}-{what}"),), f"the {what} of {app.purpose}")


def autoscaler(rng: Random, house: House) -> Made:
    """A HorizontalPodAutoscaler of a workload that is elsewhere."""
    app = load(rng, house, any_app).app
    kind = weighted(rng, ((90, "Deployment"), (10, "StatefulSet")))
    return Made((scaling.autoscaler(rng, house, app, kind),), app.purpose)


def disruption_budget(rng: Random, house: House) -> Made:
    """A PodDisruptionBudget of pods that are elsewhere."""
    app = load(rng, house, weighted(rng, ((3, any_app), (1, any_store)))).app
    return Made((scaling.disruption_budget(rng, house, app),), app.purpose)
