"""The eleven best-practice checks of a workload, in order, and what they say of it.

Six ask about security, five about reliability. All of them apply to Deployment, StatefulSet, DaemonSet, ReplicaSet,
ReplicationController and Pod, so that a score is k/11; Job and CronJob have no probes (k/9); on Windows pods 2-5 do not
apply. A workload without a container passes nothing. The checks read one manifest: what a cluster adds (admission,
defaults, Pod Security levels, LimitRanges) is not seen.
"""

from __future__ import annotations

from collections.abc import Container as Names
from collections.abc import Iterable
from itertools import chain, islice
from typing import Final

from sluicegate.k8s.checks.host import HOST_ISOLATION
from sluicegate.k8s.checks.image import IMAGE_PINNED
from sluicegate.k8s.checks.model import (
    CONTAINERS,
    EPHEMERAL,
    FLAWS_KEPT,
    INIT,
    RELIABILITY,
    SECURITY,
    Check,
    Container,
    Finding,
    Flaw,
    Pod,
    State,
    mapping,
)
from sluicegate.k8s.checks.probes import LIVENESS_PROBE, READINESS_PROBE
from sluicegate.k8s.checks.resources import RESOURCE_LIMITS, RESOURCE_REQUESTS
from sluicegate.k8s.checks.security import (
    DROP_ALL_CAPABILITIES,
    NO_PRIVILEGE_ESCALATION,
    READ_ONLY_ROOT_FS,
    RUN_AS_NON_ROOT,
    SECCOMP_PROFILE,
    is_root,
)
from sluicegate.k8s.objects import Workload
from sluicegate.k8s.parse import Path, Value

__all__ = ["CHECKS", "RELIABILITY", "SECURITY", "Check", "Finding", "Flaw", "State", "assess", "look"]

CHECKS: Final[tuple[Check, ...]] = (
    RUN_AS_NON_ROOT,
    NO_PRIVILEGE_ESCALATION,
    DROP_ALL_CAPABILITIES,
    READ_ONLY_ROOT_FS,
    SECCOMP_PROFILE,
    HOST_ISOLATION,
    RESOURCE_REQUESTS,
    RESOURCE_LIMITS,
    LIVENESS_PROBE,
    READINESS_PROBE,
    IMAGE_PINNED,
)


def assess(workload: Workload, skip: Names[str] = ()) -> tuple[Finding, ...]:
    """What each check says of a workload, in their order; never an exception, whatever the manifest holds.

    Args:
        skip: names of checks that are not asked.
    """
    pod, job, windows = seen_by_checks(workload), workload.job, workload.windows
    return tuple(
        Finding(check.name, State.SKIPPED, 0)
        if check.name in skip
        else look(check, pod)
        if (check.jobs or not job) and (check.windows or not windows)
        else Finding(check.name, State.NOT_APPLICABLE, 0)
        for check in CHECKS
    )


def look(check: Check, pod: Pod) -> Finding:
    """One check on one pod that it applies to."""
    flaws = list(islice(check.pod(pod), FLAWS_KEPT))
    looked = 0
    for container in chain.from_iterable(pod.groups[group] for group in check.covers):
        if len(flaws) >= FLAWS_KEPT:
            break
        looked += 1
        flaws.extend(islice(check.container(pod, container), FLAWS_KEPT - len(flaws)))
    if not pod.groups[CONTAINERS]:
        flaws.append(_without_containers(pod))
    return Finding(check.name, State.FAIL if flaws else State.PASS, looked, tuple(flaws))


def seen_by_checks(workload: Workload) -> Pod:
    """The workload's pod, with what the checks ask for again and again looked up once."""
    groups = {
        CONTAINERS: _containers(workload.containers),
        INIT: _containers(workload.init_containers),
        EPHEMERAL: _containers(workload.ephemeral_containers),
    }
    has_root = any(is_root(container) for group in groups.values() for container in group)
    return Pod(workload.pod_path, workload.pod, mapping(workload.pod.get("securityContext")), groups, has_root)


def _containers(found: Iterable[tuple[Path, dict[str, Value]]]) -> tuple[Container, ...]:
    return tuple(Container(path, body, mapping(body.get("securityContext"))) for path, body in found)


def _without_containers(pod: Pod) -> Flaw:
    return Flaw(
        (*pod.path, CONTAINERS),
        "no container",
        pod.path,
        {CONTAINERS: [{"name": "app", "image": "registry.example/app:1.0.0"}]},
        "which container it runs",
    )
