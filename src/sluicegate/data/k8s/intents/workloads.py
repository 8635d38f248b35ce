"""What the objects that start pods say around their pods."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from sluicegate.data.k8s.intents.node import Node
from sluicegate.data.k8s.intents.pods import of_pod
from sluicegate.data.k8s.intents.statement import FINE, MAIN, USUAL, Statement
from sluicegate.data.k8s.intents.wording import amounts, counts, enumerations, plural, schedules, seconds
from sluicegate.k8s.objects import PODS

POD_AT = {kind: tuple(str(step) for step in path) for (_, kind), path in PODS.items()}


def of_workload(root: Node, kind: str, rng: Random) -> Iterator[Statement]:
    """What may be said of an object that starts pods."""
    spec = root.at("spec")
    if spec is None:
        return
    if kind == "CronJob":
        yield from _cron(spec, rng)
        spec = spec.at("jobTemplate", "spec") or spec
    if kind in ("Job", "CronJob"):
        yield from _job(spec, rng)
    if replicas := spec.word("replicas"):
        said = plural(replicas, "replica", rng)
        number = rng.choice(counts(replicas))
        pods = f"{number} pod{'' if replicas == '1' else 's'}"
        be = "is" if replicas == "1" else "are"
        yield Statement(
            "replicas", {"replicas": said, "pods": pods, "n": replicas, "be": be}, spec.facts("replicas"), MAIN
        )
    pod = root.at(*POD_AT[kind])
    if pod is not None:
        yield from _claims(spec, pod, rng)
        yield from of_pod(pod, rng)
    yield from _rollout(spec, kind, rng)


def _cron(spec: Node, rng: Random) -> Iterator[Statement]:
    if cron := spec.word("schedule"):
        yield Statement("schedule", {"when": rng.choice(schedules(cron)), "cron": cron}, spec.facts("schedule"), MAIN)
    for topic, field in (("time_zone", "timeZone"), ("concurrency", "concurrencyPolicy")):
        if word := spec.word(field):
            yield Statement(topic, {"value": word}, spec.facts(field), USUAL)
    for topic, field in (("keep_successful", "successfulJobsHistoryLimit"), ("keep_failed", "failedJobsHistoryLimit")):
        if number := spec.word(field):
            jobs = plural(number, f"{topic.removeprefix('keep_')} job", rng)
            yield Statement("history", {"jobs": jobs}, spec.facts(field), FINE)
    if number := spec.word("startingDeadlineSeconds"):
        yield Statement("starting", {"time": seconds(number)}, spec.facts("startingDeadlineSeconds"), FINE)
    if spec.word("suspend") == "true":
        yield Statement("suspended", {}, spec.facts("suspend"), FINE)


def _job(spec: Node, rng: Random) -> Iterator[Statement]:
    for topic, field, word in (
        ("completions", "completions", "completion"),
        ("parallelism", "parallelism", "pod"),
        ("backoff", "backoffLimit", "retry"),
    ):
        if number := spec.word(field):
            said = plural(number, word, rng).replace("retrys", "retries")
            yield Statement(topic, {"count": said}, spec.facts(field), USUAL)
    for topic, field in (("deadline", "activeDeadlineSeconds"), ("ttl", "ttlSecondsAfterFinished")):
        if number := spec.word(field):
            yield Statement(topic, {"time": seconds(number)}, spec.facts(field), FINE)


def _claims(spec: Node, pod: Node, rng: Random) -> Iterator[Statement]:
    """Claims that a StatefulSet makes for each of its pods, with where they are mounted."""
    mounts = [mount for container in pod.children("containers") for mount in container.children("volumeMounts")]
    for claim in spec.children("volumeClaimTemplates"):
        size = claim.word("spec", "resources", "requests", "storage")
        mount = next((each for each in mounts if each.word("name") == claim.word("metadata", "name")), None)
        if not size:
            continue
        facts = claim.facts("spec", "resources", "requests", "storage")
        storage_class = claim.word("spec", "storageClassName")
        extra = f" from the storage class {storage_class}" if storage_class else ""
        facts += claim.facts("spec", "storageClassName") if storage_class else ()
        if mount is not None:
            facts += mount.facts("mountPath")
            extra += f", mounted at {mount.word('mountPath')}"
        yield Statement("claim_template", {"size": rng.choice(amounts(size)), "extra": extra}, facts, MAIN)


def _rollout(spec: Node, kind: str, rng: Random) -> Iterator[Statement]:
    if word := spec.word("serviceName"):
        yield Statement("service_name", {"value": word}, spec.facts("serviceName"), USUAL)
    if word := spec.word("podManagementPolicy"):
        yield Statement("pod_management", {"value": word}, spec.facts("podManagementPolicy"), FINE)
    if kind in ("Job", "CronJob"):
        return
    for field in ("strategy", "updateStrategy"):
        strategy = spec.at(field)
        if strategy is None:
            continue
        if word := strategy.word("type"):
            yield Statement("strategy", {"value": rng.choice(enumerations(word))}, strategy.facts("type"), FINE)
        for topic in ("maxSurge", "maxUnavailable"):
            if number := strategy.word("rollingUpdate", topic):
                pods = f"{number} of the pods" if "%" in number else f"{number} pod{'' if number == '1' else 's'}"
                state = "in excess" if topic == "maxSurge" else "unavailable"
                fills = {"pods": pods, "state": state, "field": topic, "n": number}
                yield Statement("rolling", fills, strategy.facts("rollingUpdate", topic), FINE)
    if number := spec.word("revisionHistoryLimit"):
        told = plural(number, "old revision", rng)
        yield Statement("revisions", {"count": told}, spec.facts("revisionHistoryLimit"), FINE)
