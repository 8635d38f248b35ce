"""Fields that take one of a few words. Kubernetes' published schemas call them all plain texts.

An empty text is among the words where the API server takes it for nothing and sets its default.

Source: https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/v1/defaults.go, and of the other groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from sluicegate.k8s.document import Path, Value
from sluicegate.k8s.issues import said
from sluicegate.k8s.semantics.quantities import quantity
from sluicegate.k8s.semantics.rule import WORKLOADS, Body, Found, Kind, Rule, View, at, items, listed, mapping

Choices = Mapping[tuple[str, ...], Sequence[str]]
EACH: Final = "*"
"""Each item of a list."""
PROFILES: Final = ("RuntimeDefault", "Localhost", "Unconfined")
CONTAINER: Final[Choices] = {
    ("imagePullPolicy",): ("", "Always", "IfNotPresent", "Never"),
    ("terminationMessagePolicy",): ("", "File", "FallbackToLogsOnError"),
    ("ports", EACH, "protocol"): ("", "TCP", "UDP", "SCTP"),
    ("securityContext", "seccompProfile", "type"): PROFILES,
    ("securityContext", "appArmorProfile", "type"): PROFILES,
    ("securityContext", "procMount"): ("Default", "Unmasked"),
    ("volumeMounts", EACH, "mountPropagation"): ("None", "HostToContainer", "Bidirectional"),
    ("livenessProbe", "httpGet", "scheme"): ("", "HTTP", "HTTPS"),
    ("readinessProbe", "httpGet", "scheme"): ("", "HTTP", "HTTPS"),
    ("startupProbe", "httpGet", "scheme"): ("", "HTTP", "HTTPS"),
}
EFFECTS: Final = ("NoSchedule", "PreferNoSchedule", "NoExecute")
HOST_PATHS: Final = (
    "", "DirectoryOrCreate", "Directory", "FileOrCreate", "File", "Socket", "CharDevice", "BlockDevice",
)  # fmt: skip
MEDIA: Final = ("", "Memory", "HugePages")
PAGES: Final = "HugePages-"
NODE_OPERATORS: Final = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")
POD: Final[Choices] = {
    ("dnsPolicy",): ("", "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"),
    ("preemptionPolicy",): ("PreemptLowerPriority", "Never"),
    ("os", "name"): ("linux", "windows"),
    ("securityContext", "seccompProfile", "type"): PROFILES,
    ("securityContext", "appArmorProfile", "type"): PROFILES,
    ("securityContext", "fsGroupChangePolicy"): ("OnRootMismatch", "Always"),
    ("tolerations", EACH, "operator"): ("", "Exists", "Equal", "Lt", "Gt"),
    ("tolerations", EACH, "effect"): ("", *EFFECTS),
    ("topologySpreadConstraints", EACH, "whenUnsatisfiable"): ("DoNotSchedule", "ScheduleAnyway"),
    ("affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution", "nodeSelectorTerms", EACH,
     "matchExpressions", EACH, "operator"): NODE_OPERATORS,
    ("affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution", EACH, "preference",
     "matchExpressions", EACH, "operator"): NODE_OPERATORS,
    ("volumes", EACH, "hostPath", "type"): HOST_PATHS,
}  # fmt: skip
ACCESS_MODES: Final = ("ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod")
METRICS: Final = ("Resource", "Pods", "Object", "External", "ContainerResource")
JOB: Final[Choices] = {
    ("completionMode",): ("NonIndexed", "Indexed"),
    ("podFailurePolicy", "rules", EACH, "action"): ("FailJob", "FailIndex", "Ignore", "Count"),
    ("podFailurePolicy", "rules", EACH, "onExitCodes", "operator"): ("In", "NotIn"),
    ("podFailurePolicy", "rules", EACH, "onPodConditions", EACH, "status"): ("", "True", "False", "Unknown"),
}
KINDS: Final[Mapping[Kind, Choices]] = {
    ("", "Service"): {
        ("spec", "type"): ("", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"),
        ("spec", "sessionAffinity"): ("", "None", "ClientIP"),
        ("spec", "externalTrafficPolicy"): ("", "Cluster", "Local"),
        ("spec", "internalTrafficPolicy"): ("Cluster", "Local"),
        ("spec", "ipFamilyPolicy"): ("SingleStack", "PreferDualStack", "RequireDualStack"),
        ("spec", "ipFamilies", EACH): ("IPv4", "IPv6"),
        ("spec", "ports", EACH, "protocol"): ("", "TCP", "UDP", "SCTP"),
    },
    ("", "PersistentVolumeClaim"): {
        ("spec", "accessModes", EACH): ACCESS_MODES,
        ("spec", "volumeMode"): ("Filesystem", "Block"),
    },
    ("", "PersistentVolume"): {
        ("spec", "accessModes", EACH): ACCESS_MODES,
        ("spec", "volumeMode"): ("Filesystem", "Block"),
        ("spec", "persistentVolumeReclaimPolicy"): ("", "Retain", "Delete", "Recycle"),
        ("spec", "hostPath", "type"): HOST_PATHS,
    },
    ("", "LimitRange"): {("spec", "limits", EACH, "type"): ("Pod", "Container", "PersistentVolumeClaim")},
    ("apps", "Deployment"): {("spec", "strategy", "type"): ("", "RollingUpdate", "Recreate")},
    ("apps", "DaemonSet"): {("spec", "updateStrategy", "type"): ("", "RollingUpdate", "OnDelete")},
    ("apps", "StatefulSet"): {
        ("spec", "updateStrategy", "type"): ("", "RollingUpdate", "OnDelete"),
        ("spec", "podManagementPolicy"): ("", "OrderedReady", "Parallel"),
        ("spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"): ("", "Retain", "Delete"),
        ("spec", "persistentVolumeClaimRetentionPolicy", "whenScaled"): ("", "Retain", "Delete"),
        ("spec", "volumeClaimTemplates", EACH, "spec", "accessModes", EACH): ACCESS_MODES,
    },
    ("batch", "Job"): {("spec", *steps): words for steps, words in JOB.items()},
    ("batch", "CronJob"): {
        ("spec", "concurrencyPolicy"): ("", "Allow", "Forbid", "Replace"),
        **{("spec", "jobTemplate", "spec", *steps): words for steps, words in JOB.items()},
    },
    ("networking.k8s.io", "Ingress"): {
        ("spec", "rules", EACH, "http", "paths", EACH, "pathType"): ("Exact", "Prefix", "ImplementationSpecific"),
    },
    ("networking.k8s.io", "NetworkPolicy"): {
        ("spec", "policyTypes", EACH): ("Ingress", "Egress"),
        ("spec", "ingress", EACH, "ports", EACH, "protocol"): ("TCP", "UDP", "SCTP"),
        ("spec", "egress", EACH, "ports", EACH, "protocol"): ("TCP", "UDP", "SCTP"),
    },
    ("autoscaling", "HorizontalPodAutoscaler"): {
        ("spec", "metrics", EACH, "type"): METRICS,
        ("spec", "behavior", "scaleUp", "selectPolicy"): ("Max", "Min", "Disabled"),
        ("spec", "behavior", "scaleDown", "selectPolicy"): ("Max", "Min", "Disabled"),
        ("spec", "behavior", "scaleUp", "policies", EACH, "type"): ("Pods", "Percent"),
        ("spec", "behavior", "scaleDown", "policies", EACH, "type"): ("Pods", "Percent"),
    },
    ("policy", "PodDisruptionBudget"): {
        ("spec", "unhealthyPodEvictionPolicy"): ("IfHealthyBudget", "AlwaysAllow"),
    },
    ("storage.k8s.io", "StorageClass"): {
        ("reclaimPolicy",): ("Delete", "Retain"),
        ("volumeBindingMode",): ("Immediate", "WaitForFirstConsumer"),
    },
}
RESTARTS: Final[Mapping[Kind, tuple[str, ...]]] = {
    ("", "Pod"): ("Always", "OnFailure", "Never"),
    ("batch", "Job"): ("OnFailure", "Never"),
    ("batch", "CronJob"): ("OnFailure", "Never"),
}
"""Kind → the restart policies of its pods; of the kinds that are not named, Always alone."""


def _at(value: Value, steps: Sequence[str], path: Path) -> Iterator[tuple[Path, Value]]:
    """What stands at a path with `*` for each item, with its path."""
    if not steps:
        yield path, value
    elif steps[0] == EACH:
        for index, item in enumerate(listed(value)):
            yield from _at(item, steps[1:], (*path, index))
    elif isinstance(value, dict) and steps[0] in value:
        yield from _at(value[steps[0]], steps[1:], (*path, steps[0]))


def _wrong(body: Body, choices: Choices, path: Path) -> Iterator[Found]:
    for steps, words in choices.items():
        if steps[0] in body:
            for where, value in _at(body[steps[0]], steps[1:], (*path, steps[0])):
                if isinstance(value, str) and value not in words:
                    yield where, f"one of {', '.join(word for word in words if word)}", said(value)


def of_kind(seen: View) -> Iterator[Found]:
    """Fields of the object's own kind."""
    return _wrong(seen.body, KINDS[seen.object.group, seen.object.kind], ())


def of_pod(seen: View) -> Iterator[Found]:
    """Fields of its pod and of the pod's containers."""
    yield from _wrong(seen.pod, POD, seen.pod_path)
    for path, container in seen.containers:
        yield from _wrong(container, CONTAINER, path)
    for path, volume in items(seen.pod, seen.pod_path, "volumes"):
        medium = mapping(volume.get("emptyDir")).get("medium")
        if isinstance(medium, str) and medium not in MEDIA and not _is_huge(medium):
            yield (*path, "emptyDir", "medium"), f"Memory, HugePages, or {PAGES} and a size such as 2Mi", said(medium)


def _is_huge(medium: str) -> bool:
    """Whether a medium is huge pages of some size.

    >>> _is_huge("HugePages-32Mi"), _is_huge("HugePages-"), _is_huge("HugePages-big")
    (True, False, False)
    """
    size = quantity(medium.removeprefix(PAGES)) if medium.startswith(PAGES) else None
    return size is not None and size > 0


def restarts(seen: View) -> Iterator[Found]:
    """What controllers keep running restarts always; what ends must not, and must say so."""
    words = RESTARTS.get((seen.object.group, seen.object.kind), ("Always",))
    policy, path = seen.pod.get("restartPolicy"), (*seen.pod_path, "restartPolicy")
    if isinstance(policy, str) and policy and policy not in words:
        yield path, " or ".join(words), said(policy)
    elif policy in (None, "") and "Always" not in words:
        yield path, " or ".join(words), "nothing, which means Always"


def tolerations(seen: View) -> Iterator[Found]:
    """A toleration's value and time fit its operator and effect."""
    for path, row in items(seen.pod, seen.pod_path, "tolerations"):
        if row.get("operator") == "Exists" and row.get("value"):
            yield (*path, "value"), "nothing, since the operator is Exists", said(row["value"])
        operator = row.get("operator")
        if not row.get("key") and operator != "Exists" and (operator is None or isinstance(operator, str)):
            yield (*path, "operator"), "Exists, since there is no key", said(operator) if operator else "nothing"
        if row.get("tolerationSeconds") is not None and row.get("effect") != "NoExecute":
            yield (*path, "effect"), "NoExecute, since there are tolerationSeconds", said(row.get("effect"))


def spreads(seen: View) -> Iterator[Found]:
    """A spread has a skew above 0, and a pod affinity a topology key."""
    for path, row in items(seen.pod, seen.pod_path, "topologySpreadConstraints"):
        skew = row.get("maxSkew")
        if isinstance(skew, int) and skew < 1:
            yield (*path, "maxSkew"), "1 or more", said(skew)
        if row.get("topologyKey") == "":
            yield (*path, "topologyKey"), "a label key of nodes", "nothing"
    affinity = mapping(seen.pod.get("affinity"))
    for kind in ("podAffinity", "podAntiAffinity"):
        terms = at(affinity, (kind, "requiredDuringSchedulingIgnoredDuringExecution"))
        for index, term in enumerate(listed(terms)):
            if isinstance(term, dict) and not term.get("topologyKey"):
                where = ("affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution", index, "topologyKey")
                yield (*seen.pod_path, *where), "a label key of nodes", "nothing"


RULES = (
    Rule("choice", "Fields that take one of a few words have one of them.", frozenset(KINDS), of_kind),
    Rule("pod-choice", "So have those of a pod and its containers.", WORKLOADS, of_pod),
    Rule("restart-policy", "Jobs restart Never or OnFailure, controllers Always.", WORKLOADS, restarts),
    Rule("toleration", "A toleration's value and time fit its operator and effect.", WORKLOADS, tolerations),
    Rule("spread", "Spreads and pod affinities say over what.", WORKLOADS, spreads),
)
