"""Objects that start pods."""

from __future__ import annotations

from random import Random
from typing import Final

from sluicegate.data.k8s.grammar import words
from sluicegate.data.k8s.grammar.apps import App, all_labels, selector
from sluicegate.data.k8s.grammar.draw import chance, filled, weighted
from sluicegate.data.k8s.grammar.house import House
from sluicegate.data.k8s.grammar.pods import Load, spec, template
from sluicegate.data.k8s.grammar.schedules import Schedule
from sluicegate.data.k8s.render import Body

NEVER: Final = ("Never", "Never", "OnFailure")


def metadata(house: House, app: App, *, name: str = "", annotations: dict[str, str] | None = None) -> Body:
    """The metadata of an object that belongs to an application, in its house's way."""
    labels = all_labels(house, app) if house.labelled else {}
    return filled(name=name or app.name, namespace=house.namespace, labels=labels, annotations=annotations)


def _own_metadata(rng: Random, load: Load) -> Body:
    house, app = load.house, load.app
    notes = filled(
        **{
            "kubernetes.io/change-cause": f"release {app.version}" if app.version and chance(rng, 0.03) else "",
            "reloader.stakater.com/auto": "true" if load.wiring.config_map and chance(rng, 0.15 * house.detail) else "",
            "argocd.argoproj.io/sync-wave": rng.choice(("1", "2", "5", "-1"))
            if chance(rng, 0.05 * house.detail)
            else "",
            "example.com/contact": f"{house.team}@{house.company}.example" if chance(rng, 0.1 * house.detail) else "",
        }
    )
    labels = all_labels(house, app) if chance(rng, 0.8) else {}
    return filled(name=app.name, namespace=house.namespace, labels=labels, annotations=notes)


def replicas(rng: Random, load: Load, *, stateful: bool = False) -> int | None:
    """How many pods; None where an autoscaler decides, or where nobody wrote it down."""
    if load.wiring.scaled:
        return rng.choice((None, 2, 3))
    if load.wiring.budget:
        return rng.choice((2, 3, 3, 4, 5))
    if stateful:
        return weighted(rng, ((46, 1), (8, 2), (36, 3), (6, 5), (4, None)))
    return weighted(rng, ((30, 1), (24, 2), (22, 3), (6, 4), (5, 5), (3, 6), (2, 8), (8, None)))


def deployment(rng: Random, load: Load) -> Body:
    """A Deployment; one whose data has a single writer does not run old and new side by side."""
    count = replicas(rng, load)
    single = load.app.data != ""
    if single and not load.wiring.scaled and not load.wiring.budget:
        count = 1
    house = load.house
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _own_metadata(rng, load),
        "spec": filled(
            replicas=count,
            revisionHistoryLimit=rng.choice((2, 3, 5, 10)) if chance(rng, 0.04 + 0.18 * house.detail) else None,
            progressDeadlineSeconds=rng.choice((120, 300, 600)) if chance(rng, 0.08 * house.detail) else None,
            minReadySeconds=rng.choice((5, 10, 30)) if chance(rng, 0.1 * house.detail) else None,
            strategy={"type": "Recreate"} if single and chance(rng, 0.6) else _strategy(rng, house, single=single),
            selector={"matchLabels": selector(house, load.app)},
            template=template(rng, load, spec(rng, load, several=count is None or count > 1)),
        ),
    }


def _strategy(rng: Random, house: House, *, single: bool) -> Body:
    if single or not chance(rng, 0.08 + 0.25 * house.detail):
        return {}
    surge, less = rng.choice(
        ((1, 0), (1, 0), (1, 1), (2, 0), ("25%", 0), ("25%", "25%"), ("50%", 0), (0, 1), ("100%", "10%"))
    )
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": less}}
    return weighted(rng, ((84, rolling), (8, {"type": "Recreate"}), (8, {"type": "RollingUpdate"})))


def replica_set(rng: Random, load: Load) -> Body:
    """A ReplicaSet of its own, as tutorials have it."""
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": _own_metadata(rng, load),
        "spec": filled(
            replicas=rng.choice((1, 2, 3, 3, 4, 5)),
            selector={"matchLabels": selector(load.house, load.app)},
            template=template(rng, load, spec(rng, load, several=True)),
        ),
    }


def stateful_set(rng: Random, load: Load, service: str) -> Body:
    """A StatefulSet under a headless service, with a claim for each pod where there is data to keep."""
    house, app = load.house, load.app
    count = replicas(rng, load, stateful=True)
    templated = app.data != "" and chance(rng, 0.9)
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": _own_metadata(rng, load),
        "spec": filled(
            serviceName=service,
            replicas=count,
            podManagementPolicy=rng.choice(("Parallel", "OrderedReady"))
            if chance(rng, 0.05 + 0.15 * house.detail)
            else "",
            revisionHistoryLimit=rng.choice((3, 5, 10)) if chance(rng, 0.08 * house.detail) else None,
            updateStrategy=_rolling(rng, house),
            persistentVolumeClaimRetentionPolicy={
                "whenDeleted": rng.choice(("Retain", "Delete")),
                "whenScaled": "Retain",
            }
            if templated and chance(rng, 0.08 * house.detail)
            else {},
            selector={"matchLabels": selector(house, app)},
            template=template(rng, load, spec(rng, load, templated=templated, several=count is None or count > 1)),
            volumeClaimTemplates=[_claim(rng, house, app)] if templated else [],
        ),
    }


def _rolling(rng: Random, house: House) -> Body:
    if not chance(rng, 0.06 + 0.2 * house.detail):
        return {}
    return rng.choice(
        ({"type": "RollingUpdate"}, {"type": "OnDelete"}, {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    )


def _claim(rng: Random, house: House, app: App) -> Body:
    storage_class = rng.choice(words.STORAGE_CLASSES) if chance(rng, 0.55) else ""
    return {
        "metadata": filled(name="data", labels=selector(house, app) if chance(rng, 0.12) else {}),
        "spec": filled(
            accessModes=["ReadWriteOnce"],
            storageClassName=storage_class,
            resources={"requests": {"storage": rng.choice(words.SIZES)}},
        ),
    }


def daemon_set(rng: Random, load: Load) -> Body:
    """A DaemonSet."""
    house = load.house
    rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": rng.choice((1, 2, "10%", "25%", "100%"))}}
    written = chance(rng, 0.15 + 0.3 * house.detail)
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": _own_metadata(rng, load),
        "spec": filled(
            revisionHistoryLimit=rng.choice((3, 5, 10)) if chance(rng, 0.08 * house.detail) else None,
            minReadySeconds=rng.choice((5, 10, 30)) if chance(rng, 0.08 * house.detail) else None,
            updateStrategy=rng.choice((rolling, rolling, {"type": "RollingUpdate"}, {"type": "OnDelete"}))
            if written
            else {},
            selector={"matchLabels": selector(house, load.app)},
            template=template(rng, load, spec(rng, load, daemon=True)),
        ),
    }


def pod(rng: Random, load: Load) -> Body:
    """A pod without a controller."""
    found = spec(rng, load, restart=rng.choice(("", "", "", "Always", "Never")))
    return {"apiVersion": "v1", "kind": "Pod", "metadata": _own_metadata(rng, load), "spec": found}


def job(rng: Random, load: Load) -> Body:
    """A Job."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _own_metadata(rng, load),
        "spec": _job(rng, load, alone=True),
    }


def _job(rng: Random, load: Load, *, alone: bool) -> Body:
    """What a Job does; `alone`: it has no schedule, so it may do several pieces at once."""
    house = load.house
    many = alone and chance(rng, 0.25)
    completions = rng.choice((2, 3, 4, 5, 8, 10, 12, 20, 50)) if many else None
    return filled(
        completions=completions,
        parallelism=rng.choice([count for count in (1, 2, 3, 4, 5, 8, 10) if count <= completions])
        if completions
        else None,
        completionMode="Indexed" if completions and chance(rng, 0.3) else "",
        backoffLimit=rng.choice((0, 1, 2, 3, 4, 5, 6)) if chance(rng, 0.65) else None,
        activeDeadlineSeconds=rng.choice((120, 300, 600, 900, 1200, 1800, 3600, 7200, 14400))
        if chance(rng, 0.12 + 0.3 * house.detail)
        else None,
        ttlSecondsAfterFinished=rng.choice((60, 100, 300, 600, 1800, 3600, 7200, 86400))
        if chance(rng, 0.15 + 0.3 * house.detail)
        else None,
        template=template(rng, load, spec(rng, load, restart=rng.choice(NEVER if alone else ("OnFailure", "Never")))),
    )


def cron_job(rng: Random, load: Load, schedule: Schedule) -> Body:
    """A CronJob."""
    detail = load.house.detail
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": _own_metadata(rng, load),
        "spec": filled(
            schedule=schedule.text,
            timeZone=rng.choice(words.ZONE_NAMES) if chance(rng, 0.05 + 0.2 * detail) else "",
            concurrencyPolicy=rng.choice(("Forbid", "Forbid", "Replace", "Allow"))
            if chance(rng, 0.4 + 0.3 * detail)
            else "",
            startingDeadlineSeconds=rng.choice((60, 100, 120, 200, 300, 600))
            if chance(rng, 0.06 + 0.25 * detail)
            else None,
            suspend=rng.choice((True, False)) if chance(rng, 0.05) else None,
            successfulJobsHistoryLimit=rng.choice((0, 1, 2, 3, 5)) if chance(rng, 0.2 + 0.35 * detail) else None,
            failedJobsHistoryLimit=rng.choice((1, 1, 2, 3, 5)) if chance(rng, 0.2 + 0.35 * detail) else None,
            jobTemplate={"spec": _job(rng, load, alone=False)},
        ),
    }
