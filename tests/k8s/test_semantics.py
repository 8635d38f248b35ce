"""Each semantic rule on an object that it accepts and on the same object with one fault that no schema sees."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.k8s import schema
from sluicegate.k8s.issues import place
from sluicegate.k8s.objects import objects
from sluicegate.k8s.parse import parse
from sluicegate.k8s.semantics import BUNDLE_RULES, RULES, semantics
from sluicegate.k8s.validity import validity

RULE_NAMES = [*(rule.name for rule in RULES), *(rule.name for rule in BUNDLE_RULES)]
GONE = object()
"""In a change: no such field."""
Body = dict[str, Any]
Change = dict[str, Any]


def named(api_version: str, kind: str, **fields: Any) -> Body:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"}, **fields}


POD_SPEC: Body = {"containers": [{"name": "web", "image": "a:1"}]}
TEMPLATE: Body = {"metadata": {"labels": {"app": "a"}}, "spec": POD_SPEC}
SELECTOR: Body = {"matchLabels": {"app": "a"}}
JOB: Body = {"template": {"spec": {**POD_SPEC, "restartPolicy": "Never"}}}
CLAIM: Body = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
BACKEND: Body = {"service": {"name": "a", "port": {"number": 80}}}
RBAC = "rbac.authorization.k8s.io/v1"
BASES: dict[str, Body] = {
    "Pod": named("v1", "Pod", spec=POD_SPEC),
    "Deployment": named("apps/v1", "Deployment", spec={"selector": SELECTOR, "template": TEMPLATE}),
    "StatefulSet": named("apps/v1", "StatefulSet", spec={"selector": SELECTOR, "template": TEMPLATE,
    "serviceName": "a"}),
    "DaemonSet": named("apps/v1", "DaemonSet", spec={"selector": SELECTOR, "template": TEMPLATE}),
    "ReplicationController": named("v1", "ReplicationController", spec={"selector": {"app": "a"},
    "template": TEMPLATE}),
    "Job": named("batch/v1", "Job", spec=JOB),
    "CronJob": named("batch/v1", "CronJob", spec={"schedule": "0 0 * * *", "jobTemplate": {"spec": JOB}}),
    "Service": named("v1", "Service", spec={"selector": {"app": "a"}, "ports": [{"port": 80}]}),
    "Ingress": named("networking.k8s.io/v1", "Ingress", spec={
        "rules": [{"host": "a.example", "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]}}]
    }),
    "NetworkPolicy": named("networking.k8s.io/v1", "NetworkPolicy", spec={
        "podSelector": {},
        "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}], "ports": [{"port": 80}]}],
    }),
    "ConfigMap": named("v1", "ConfigMap", data={"a": "b"}),
    "Secret": named("v1", "Secret", data={"a": "YQ=="}),
    "PersistentVolumeClaim": named("v1", "PersistentVolumeClaim", spec=CLAIM),
    "PersistentVolume": named("v1", "PersistentVolume", spec={
        "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/data"}
    }),
    "ResourceQuota": named("v1", "ResourceQuota", spec={"hard": {"pods": "4"}}),
    "LimitRange": named("v1", "LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "2"}}]}),
    "HorizontalPodAutoscaler": named("autoscaling/v2", "HorizontalPodAutoscaler", spec={
        "maxReplicas": 4, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}
    }),
    "PodDisruptionBudget": named("policy/v1", "PodDisruptionBudget", spec={"selector": SELECTOR, "minAvailable": 1}),
    "RoleBinding": named(RBAC, "RoleBinding", subjects=[{"kind": "User", "name": "a", "apiGroup": RBAC[:-3]}],
                         roleRef={"kind": "Role", "name": "a", "apiGroup": RBAC[:-3]}),
    "Role": named(RBAC, "Role", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]),
    "CustomResourceDefinition": {
        **named("apiextensions.k8s.io/v1", "CustomResourceDefinition", spec={
            "group": "example.com", "scope": "Namespaced", "names": {"plural": "as", "kind": "A"},
            "versions": [{"name": "v1", "served": True, "storage": True}],
        }),
        "metadata": {"name": "as.example.com"},
    },
}  # fmt: skip
WEB = "spec.containers.0."
TEMPLATE_POD = "spec.template.spec."
PROBE = {"httpGet": {"port": 80}}
TOKEN = "kubernetes.io/service-account-token"
NODES = "spec.affinity.nodeAffinity."
REQUIRED, PREFERRED = (
    "requiredDuringSchedulingIgnoredDuringExecution",
    "preferredDuringSchedulingIgnoredDuringExecution",
)
NO_VALUES = {"matchExpressions": [{"key": "a", "operator": "In"}]}
SOME_VALUES = {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}
USED = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
RAW = {"name": "cpu", "target": {"type": "AverageValue", "averageValue": "0"}}
DOWN = "spec.behavior.scaleDown"
SERVERS = {"nameservers": ["10.0.0.10"]}
CODES: Body = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1, 42]}}
DISRUPTED: Body = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}
FAILURES = "spec.podFailurePolicy"
FIRST = FAILURES + ".rules[0]"


def on_failure(*rules: Body) -> Change:
    return {FAILURES: {"rules": list(rules)}}


def on_codes(**fields: Any) -> Change:
    return on_failure({"action": "FailJob", "onExitCodes": {**CODES["onExitCodes"], **fields}})


EXAMPLES: dict[str, list[tuple[str, Change, Change, str]]] = {
    # rule → base, changes that it accepts, changes that it does not, where
    "object-name": [
        ("Pod", {"metadata.name": "a.b-1"}, {"metadata.name": "a_b"}, "metadata.name"),
        ("Pod", {"metadata.generateName": "a-"}, {"metadata.generateName": "A-"}, "metadata.generateName"),
        ("Pod", {"metadata.namespace": "team"}, {"metadata.namespace": "a.b"}, "metadata.namespace"),
        ("Service", {"metadata.name": "a1"}, {"metadata.name": "1a"}, "metadata.name"),
        ("CronJob", {"metadata.name": "a" * 52}, {"metadata.name": "a" * 53}, "metadata.name"),
        ("Role", {"metadata.name": "system:a"}, {"metadata.name": "a/b"}, "metadata.name"),
    ],
    "labels": [
        ("Pod", {"metadata.labels": {"example.com/a": "B_1"}}, {"metadata.labels": {"a b": "c"}},
         "metadata.labels['a b']"),
        ("Pod", {"metadata.labels": {"a": ""}}, {"metadata.labels": {"a": "b c"}}, "metadata.labels.a"),
        ("Pod", {"metadata.annotations": {"A": "b c"}}, {"metadata.annotations": {"a:": "b"}},
         "metadata.annotations['a:']"),
    ],
    "template-labels": [
        ("Deployment", {"spec.template.metadata.labels.b": "c"}, {"spec.template.metadata.labels.b": "-"},
         "spec.template.metadata.labels.b"),
    ],
    "selector": [
        ("PodDisruptionBudget", {"spec.selector": {"matchExpressions": [{"key": "a", "operator": "In",
         "values": ["b"]}]}},
         {"spec.selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}},
         "spec.selector.matchExpressions[0].values"),
        ("NetworkPolicy", {"spec.podSelector": {"matchLabels": {"a": "b"}}},
         {"spec.podSelector": {"matchLabels": {"a": "b/"}}},
         "spec.podSelector.matchLabels.a"),
        ("PodDisruptionBudget", {}, {"spec.selector": {"matchExpressions": [{"key": "a", "operator": "Is"}]}},
         "spec.selector.matchExpressions[0].operator"),
    ],
    "selector-template": [
        ("Deployment", {"spec.template.metadata.labels.b": "c"}, {"spec.template.metadata.labels": {"app": "b"}},
         "spec.selector.matchLabels.app"),
        ("StatefulSet", {}, {"spec.template.metadata": GONE}, "spec.selector.matchLabels.app"),
        ("DaemonSet", {"spec.selector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}},
         {"spec.selector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}},
         "spec.selector.matchExpressions[0]"),
        ("Deployment", {}, {"spec.selector": {}}, "spec.selector"),
    ],
    "selector-job": [
        ("Job", {"spec.selector": SELECTOR, "spec.manualSelector": True,
         "spec.template.metadata": {"labels": {"app": "a"}}},
         {"spec.selector": SELECTOR, "spec.template.metadata": {"labels": {"app": "a"}}}, "spec.selector"),
        ("Job", {"spec.selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "a"}}},
         {"spec.selector": SELECTOR, "spec.manualSelector": True}, "spec.selector.matchLabels.app"),
        ("CronJob", {}, {"spec.jobTemplate.spec.selector": SELECTOR}, "spec.jobTemplate.spec.selector"),
    ],
    "selector-replication": [
        ("ReplicationController", {"spec.selector": GONE}, {"spec.selector": {"app": "b"}}, "spec.selector.app"),
    ],
    "containers": [
        ("Pod", {}, {"spec.containers": []}, "spec.containers"),
        ("Pod", {}, {WEB + "image": GONE}, "spec.containers[0].image"),
        ("Pod", {}, {WEB + "image": " a:1"}, "spec.containers[0].image"),
    ],
    "container-name": [
        ("Pod", {WEB + "name": "web-1"}, {WEB + "name": "Web"}, "spec.containers[0].name"),
        ("Pod", {"spec.initContainers": [{"name": "init", "image": "a:1"}]},
         {"spec.initContainers": [{"name": "web", "image": "a:1"}]}, "spec.initContainers[0].name"),
    ],
    "container-port": [
        ("Pod", {WEB + "ports": [{"containerPort": 65535}]}, {WEB + "ports": [{"containerPort": 65536}]},
         "spec.containers[0].ports[0].containerPort"),
        ("Pod", {WEB + "ports": [{"containerPort": 1, "name": "http"}]}, {WEB + "ports": [{"containerPort": 1,
         "name": "80"}]},
         "spec.containers[0].ports[0].name"),
        ("Pod", {}, {WEB + "ports": [{"containerPort": 1, "name": "a"}, {"containerPort": 2, "name": "a"}]},
         "spec.containers[0].ports[1].name"),
    ],
    "host-port": [
        ("Pod", {"spec.hostNetwork": True, WEB + "ports": [{"containerPort": 1, "hostPort": 1}]},
         {"spec.hostNetwork": True, WEB + "ports": [{"containerPort": 1, "hostPort": 2}]},
         "spec.containers[0].ports[0].hostPort"),
    ],
    "environment": [
        ("Pod", {WEB + "env": [{"name": "A", "value": "b"}]}, {WEB + "env": [{"name": "A=", "value": "b"}]},
         "spec.containers[0].env[0].name"),
        ("Pod", {WEB + "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
         {WEB + "env": [{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "spec.name"}}}]},
         "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath"),
        ("Pod", {}, {WEB + "env": [{"name": "A", "valueFrom": {}}]}, "spec.containers[0].env[0].valueFrom"),
        ("Pod", {}, {WEB + "env": [{"name": "A"}, {"name": "A"}]}, "spec.containers[0].env[1].name"),
    ],
    "probe-handler": [
        ("Pod", {WEB + "livenessProbe": PROBE}, {WEB + "livenessProbe": {"periodSeconds": 1}},
         "spec.containers[0].livenessProbe"),
        ("Pod", {}, {WEB + "readinessProbe": {**PROBE, "tcpSocket": {"port": 1}}}, "spec.containers[0].readinessProbe"),
        ("Pod", {}, {WEB + "startupProbe": {"httpGet": {"port": 0}}}, "spec.containers[0].startupProbe.httpGet.port"),
        ("Pod", {}, {WEB + "startupProbe": {"exec": {"command": []}}}, "spec.containers[0].startupProbe.exec.command"),
    ],
    "probe-number": [
        ("Pod", {WEB + "livenessProbe": {**PROBE, "periodSeconds": 0}}, {WEB + "livenessProbe": {**PROBE,
         "periodSeconds": -1}},
         "spec.containers[0].livenessProbe.periodSeconds"),
        ("Pod", {WEB + "readinessProbe": {**PROBE, "successThreshold": 2}},
         {WEB + "livenessProbe": {**PROBE, "successThreshold": 2}},
         "spec.containers[0].livenessProbe.successThreshold"),
    ],
    "probe-port": [
        ("Pod", {WEB + "ports": [{"containerPort": 1,
         "name": "http"}], WEB + "livenessProbe": {"httpGet": {"port": "http"}}},
         {WEB + "ports": [{"containerPort": 1, "name": "http"}], WEB + "livenessProbe": {"httpGet": {"port": "web"}}},
         "spec.containers[0].livenessProbe.httpGet.port"),
    ],
    "probed-container": [
        ("Pod", {"spec.initContainers": [{"name": "a", "image": "a:1", "restartPolicy": "Always",
         "livenessProbe": PROBE}]},
         {"spec.initContainers": [{"name": "a", "image": "a:1", "livenessProbe": PROBE}]},
         "spec.initContainers[0].livenessProbe"),
    ],
    "hook-handler": [
        ("Pod", {WEB + "lifecycle": {"preStop": {"sleep": {"seconds": 1}}}}, {WEB + "lifecycle": {"preStop": {}}},
         "spec.containers[0].lifecycle.preStop"),
    ],
    "privileges": [
        ("Pod", {WEB + "securityContext": {"privileged": True}},
         {WEB + "securityContext": {"privileged": True, "allowPrivilegeEscalation": False}},
         "spec.containers[0].securityContext.allowPrivilegeEscalation"),
        ("Pod", {WEB + "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}, "allowPrivilegeEscalation": False}},
         {WEB + "securityContext": {"capabilities": {"add": ["CAP_SYS_ADMIN"]}, "allowPrivilegeEscalation": False}},
         "spec.containers[0].securityContext.allowPrivilegeEscalation"),
    ],
    "quantity": [
        ("Pod", {WEB + "resources": {"limits": {"cpu": "0.5"}}}, {WEB + "resources": {"limits": {"cpu": "0.5 cores"}}},
         "spec.containers[0].resources.limits.cpu"),
        ("Pod", {WEB + "resources": {"limits": {"memory": 0}}}, {WEB + "resources": {"limits": {"memory": "-1Mi"}}},
         "spec.containers[0].resources.limits.memory"),
    ],
    "resource-name": [
        ("Pod", {WEB + "resources": {"limits": {"nvidia.com/gpu": 1}}}, {WEB + "resources": {"limits": {"gpu": 1}}},
         "spec.containers[0].resources.limits.gpu"),
    ],
    "request-limit": [
        ("Pod", {WEB + "resources": {"limits": {"cpu": 1}, "requests": {"cpu": "1000m"}}},
         {WEB + "resources": {"limits": {"cpu": 1}, "requests": {"cpu": "1001m"}}},
         "spec.containers[0].resources.requests.cpu"),
        ("Pod", {WEB + "resources": {"limits": {"a.b/c": 2}, "requests": {"a.b/c": 2}}},
         {WEB + "resources": {"limits": {"a.b/c": 2}, "requests": {"a.b/c": 1}}},
         "spec.containers[0].resources.requests['a.b/c']"),
        ("Pod", {WEB + "resources": {"limits": {"a.b/c": 2}}}, {WEB + "resources": {"requests": {"a.b/c": 1}}},
         "spec.containers[0].resources.limits['a.b/c']"),
    ],
    "volume-size": [
        ("Pod", {"spec.volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1Gi"}}]},
         {"spec.volumes": [{"name": "a", "emptyDir": {"sizeLimit": "1GB"}}]}, "spec.volumes[0].emptyDir.sizeLimit"),
    ],
    "storage": [
        ("PersistentVolumeClaim", {}, {"spec.resources.requests.storage": "0"}, "spec.resources.requests.storage"),
        ("PersistentVolumeClaim", {}, {"spec.resources": GONE}, "spec.resources.requests.storage"),
        ("StatefulSet", {"spec.volumeClaimTemplates": [{"metadata": {"name": "b"}, "spec": CLAIM}]},
         {"spec.volumeClaimTemplates": [{"metadata": {"name": "b"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]},
         "spec.volumeClaimTemplates[0].spec.resources.requests.storage"),
    ],
    "capacity": [("PersistentVolume", {}, {"spec.capacity": {"storage": "much"}}, "spec.capacity.storage")],
    "quota": [("ResourceQuota", {}, {"spec.hard.pods": "-4"}, "spec.hard.pods")],
    "volume": [
        ("Pod", {"spec.volumes": [{"name": "a"}]}, {"spec.volumes": [{"name": "A"}]}, "spec.volumes[0].name"),
        ("Pod", {}, {"spec.volumes": [{"name": "a"}, {"name": "a"}]}, "spec.volumes[1].name"),
        ("Pod", {}, {"spec.volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/"}}]}, "spec.volumes[0]"),
    ],
    "volume-source": [
        ("Pod", {"spec.volumes": [{"name": "a", "secret": {"secretName": "b"}}]}, {"spec.volumes": [{"name": "a",
         "secret": {}}]},
         "spec.volumes[0].secret.secretName"),
        ("Pod", {"spec.volumes": [{"name": "a", "hostPath": {"path": "/a..b"}}]},
         {"spec.volumes": [{"name": "a", "hostPath": {"path": "/a/../b"}}]}, "spec.volumes[0].hostPath.path"),
        ("Pod", {"spec.volumes": [{"name": "a", "nfs": {"server": "b", "path": "/c"}}]},
         {"spec.volumes": [{"name": "a", "nfs": {"server": "b", "path": "c"}}]}, "spec.volumes[0].nfs.path"),
    ],
    "volume-mount": [
        ("Pod", {"spec.volumes": [{"name": "a"}], WEB + "volumeMounts": [{"name": "a", "mountPath": "/a"}]},
         {"spec.volumes": [{"name": "a"}], WEB + "volumeMounts": [{"name": "b", "mountPath": "/a"}]},
         "spec.containers[0].volumeMounts[0].name"),
        ("StatefulSet", {"spec.volumeClaimTemplates": [{"metadata": {"name": "b"}, "spec": CLAIM}],
                         TEMPLATE_POD + "containers.0.volumeMounts": [{"name": "b", "mountPath": "/b"}]},
         {TEMPLATE_POD + "containers.0.volumeMounts": [{"name": "b", "mountPath": "/b"}]},
         "spec.template.spec.containers[0].volumeMounts[0].name"),
    ],
    "volume-device": [
        ("Pod", {"spec.volumes": [{"name": "a", "persistentVolumeClaim": {"claimName": "b"}}],
                 WEB + "volumeDevices": [{"name": "a", "devicePath": "/dev/a"}]},
         {"spec.volumes": [{"name": "a"}], WEB + "volumeDevices": [{"name": "a", "devicePath": "/dev/a"}]},
         "spec.containers[0].volumeDevices[0].name"),
    ],
    "mount-path": [
        ("Pod", {"spec.volumes": [{"name": "a"}], WEB + "volumeMounts": [{"name": "a", "mountPath": "/a",
         "subPath": "b"}]},
         {"spec.volumes": [{"name": "a"}], WEB + "volumeMounts": [{"name": "a", "mountPath": "/a", "subPath": "../b"}]},
         "spec.containers[0].volumeMounts[0].subPath"),
        ("Pod", {}, {"spec.volumes": [{"name": "a"}], WEB + "volumeMounts": [{"name": "a", "mountPath": "/a"}] * 2},
         "spec.containers[0].volumeMounts[1].mountPath"),
    ],
    "volume-path": [
        ("Pod", {"spec.volumes": [{"name": "a", "configMap": {"name": "b", "items": [{"key": "c", "path": "d/e"}]}}]},
         {"spec.volumes": [{"name": "a", "configMap": {"name": "b", "items": [{"key": "c", "path": "/d"}]}}]},
         "spec.volumes[0].configMap.items[0].path"),
        ("Pod", {"spec.volumes": [{"name": "a", "projected": {"sources": [{"configMap": {"name": "b"}}]}}]},
         {"spec.volumes": [{"name": "a", "projected": {"sources": [{}]}}]}, "spec.volumes[0].projected.sources[0]"),
    ],
    "persistent-source": [
        ("PersistentVolume", {"spec.hostPath": GONE, "spec.nfs": {"server": "a", "path": "/b"}},
         {"spec.hostPath": GONE}, "spec"),
        ("PersistentVolume", {}, {"spec.nfs": {"server": "a", "path": "/b"}}, "spec"),
        ("PersistentVolume", {}, {"spec.hostPath.path": "/a/../b"}, "spec.hostPath.path"),
        ("PersistentVolume", {}, {"spec.hostPath": GONE, "spec.nfs": {"server": "a", "path": "b"}}, "spec.nfs.path"),
        ("PersistentVolume",
         {"spec.hostPath": GONE, "spec.local": {"path": "/a"},
          "spec.nodeAffinity": {"required": {"nodeSelectorTerms": [SOME_VALUES]}}},
         {"spec.hostPath": GONE, "spec.local": {"path": "/a"}}, "spec.nodeAffinity.required"),
    ],
    "user-id": [
        ("Pod", {"spec.securityContext": {"runAsUser": 0, "fsGroup": 2147483647, "supplementalGroups": [1]}},
         {"spec.securityContext": {"runAsUser": -1}}, "spec.securityContext.runAsUser"),
        ("Pod", {WEB + "securityContext": {"runAsGroup": 1}}, {WEB + "securityContext": {"runAsGroup": -1}},
         "spec.containers[0].securityContext.runAsGroup"),
        ("Deployment", {}, {TEMPLATE_POD + "securityContext": {"fsGroup": 2147483648}},
         "spec.template.spec.securityContext.fsGroup"),
        ("Pod", {}, {"spec.securityContext": {"supplementalGroups": [1, -1]}},
         "spec.securityContext.supplementalGroups[1]"),
    ],
    "file-mode": [
        ("Pod", {"spec.volumes": [{"name": "a", "secret": {"secretName": "b", "defaultMode": 0o777}}]},
         {"spec.volumes": [{"name": "a", "secret": {"secretName": "b", "defaultMode": 644}}]},
         "spec.volumes[0].secret.defaultMode"),
        ("Pod", {}, {"spec.volumes": [{"name": "a", "configMap": {"name": "b", "items": [{"key": "c", "path": "d",
         "mode": 755}]}}]},
         "spec.volumes[0].configMap.items[0].mode"),
        ("Pod", {}, {"spec.volumes": [{"name": "a", "projected": {"defaultMode": 644, "sources": []}}]},
         "spec.volumes[0].projected.defaultMode"),
    ],
    "pod-name": [
        ("Pod", {"spec.serviceAccountName": "a.b", "spec.hostname": "a", "spec.priorityClassName": ""},
         {"spec.serviceAccountName": "my_account"}, "spec.serviceAccountName"),
        ("Deployment", {}, {TEMPLATE_POD + "hostname": "a.b"}, "spec.template.spec.hostname"),
    ],
    "environment-source": [
        ("Pod", {WEB + "envFrom": [{"prefix": "A_", "configMapRef": {"name": "b"}}]}, {WEB + "envFrom": [{}]},
         "spec.containers[0].envFrom[0]"),
        ("Pod", {}, {WEB + "envFrom": [{"configMapRef": {"name": "b"}, "secretRef": {"name": "b"}}]},
         "spec.containers[0].envFrom[0]"),
        ("Pod", {}, {WEB + "envFrom": [{"secretRef": {}}]}, "spec.containers[0].envFrom[0].secretRef.name"),
    ],
    "node-selector": [
        ("Pod", {"spec.nodeSelector": {"kubernetes.io/os": "linux"}}, {"spec.nodeSelector": {"disk": "ssd or not"}},
         "spec.nodeSelector.disk"),
        ("Pod", {}, {"spec.nodeSelector": {"a b": "c"}}, "spec.nodeSelector['a b']"),
    ],
    "node-affinity": [
        ("Pod", {NODES + REQUIRED: {"nodeSelectorTerms": [SOME_VALUES]}}, {NODES + REQUIRED: {"nodeSelectorTerms": []}},
         f"{NODES}{REQUIRED}.nodeSelectorTerms"),
        ("Pod", {NODES + PREFERRED: [{"weight": 1, "preference": SOME_VALUES}]},
         {NODES + PREFERRED: [{"weight": 1, "preference": NO_VALUES}]},
         f"{NODES}{PREFERRED}[0].preference.matchExpressions[0].values"),
        ("Pod", {}, {NODES + REQUIRED: {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "Exists", "values": ["true"]}]}]}},
         f"{NODES}{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].values"),
        ("Pod", {}, {NODES + REQUIRED: {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1", "2"]}]}]}},
         f"{NODES}{REQUIRED}.nodeSelectorTerms[0].matchExpressions[0].values"),
    ],
    "preference": [
        ("Pod", {NODES + PREFERRED: [{"weight": 100, "preference": SOME_VALUES}]},
         {NODES + PREFERRED: [{"weight": 0, "preference": SOME_VALUES}]}, f"{NODES}{PREFERRED}[0].weight"),
        ("Pod", {}, {f"spec.affinity.podAntiAffinity.{PREFERRED}": [{"weight": 1,
         "podAffinityTerm": {"topologyKey": ""}}]},
         f"spec.affinity.podAntiAffinity.{PREFERRED}[0].podAffinityTerm.topologyKey"),
    ],
    "pod-selector": [
        ("Pod", {f"spec.affinity.podAffinity.{REQUIRED}": [{"topologyKey": "a", "labelSelector": SOME_VALUES}]},
         {f"spec.affinity.podAffinity.{REQUIRED}": [{"topologyKey": "a", "labelSelector": NO_VALUES}]},
         f"spec.affinity.podAffinity.{REQUIRED}[0].labelSelector.matchExpressions[0].values"),
        ("Pod", {},
         {"spec.topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule",
          "labelSelector": NO_VALUES}]},
         "spec.topologySpreadConstraints[0].labelSelector.matchExpressions[0].values"),
    ],
    "security-profile": [
        ("Pod", {"spec.securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a/b.json"}}},
         {"spec.securityContext": {"seccompProfile": {"type": "Localhost"}}},
         "spec.securityContext.seccompProfile.localhostProfile"),
        ("Pod", {WEB + "securityContext": {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": None}}},
         {WEB + "securityContext": {"seccompProfile": {"type": "RuntimeDefault", "localhostProfile": "a.json"}}},
         "spec.containers[0].securityContext.seccompProfile.localhostProfile"),
        ("Pod", {WEB + "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "a..b"}}},
         {WEB + "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "/a"}}},
         "spec.containers[0].securityContext.seccompProfile.localhostProfile"),
        ("Deployment",
         {TEMPLATE_POD + "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": ""}}},
         {TEMPLATE_POD + "securityContext": {"seccompProfile": {"type": "Localhost", "localhostProfile": "../a"}}},
         "spec.template.spec.securityContext.seccompProfile.localhostProfile"),
        ("Pod", {WEB + "securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "/a/../b"}}},
         {WEB + "securityContext": {"appArmorProfile": {"type": "Localhost"}}},
         "spec.containers[0].securityContext.appArmorProfile.localhostProfile"),
        ("Pod", {"spec.securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "a b"}}},
         {"spec.securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": ""}}},
         "spec.securityContext.appArmorProfile.localhostProfile"),
        ("Pod", {"spec.securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "a" * 4095}}},
         {"spec.securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "a" * 4096}}},
         "spec.securityContext.appArmorProfile.localhostProfile"),
        ("Pod", {}, {"spec.securityContext": {"appArmorProfile": {"type": "Localhost", "localhostProfile": "a "}}},
         "spec.securityContext.appArmorProfile.localhostProfile"),
        ("Pod", {}, {"spec.securityContext": {"appArmorProfile": {"type": "Unconfined", "localhostProfile": "a"}}},
         "spec.securityContext.appArmorProfile.localhostProfile"),
    ],
    "host-alias": [
        ("Pod", {"spec.hostAliases": [{"ip": "127.0.0.1", "hostnames": ["a.example", "b"]}]},
         {"spec.hostAliases": [{"ip": "localhost", "hostnames": ["a.example"]}]}, "spec.hostAliases[0].ip"),
        ("Pod", {"spec.hostAliases": [{"ip": "fd00::1"}, {"ip": "010.0.0.1"}, {"ip": "::ffff:10.0.0.1"}]},
         {"spec.hostAliases": [{"ip": "fd00::1"}, {"ip": ""}]}, "spec.hostAliases[1].ip"),
        ("Pod", {}, {"spec.hostAliases": [{"ip": "10.0.0.0/8"}]}, "spec.hostAliases[0].ip"),
        ("Pod", {}, {"spec.hostAliases": [{"ip": "fe80::1%eth0"}]}, "spec.hostAliases[0].ip"),
        ("Deployment", {TEMPLATE_POD + "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b.example."]}]},
         {TEMPLATE_POD + "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b_c"]}]},
         "spec.template.spec.hostAliases[0].hostnames[1]"),
        ("Pod", {}, {"spec.hostAliases": [{"ip": "10.0.0.1", "hostnames": ["*.a.example"]}]},
         "spec.hostAliases[0].hostnames[0]"),
    ],
    "name-server": [
        ("Deployment", {TEMPLATE_POD + "dnsPolicy": "None", TEMPLATE_POD + "dnsConfig": SERVERS},
         {TEMPLATE_POD + "dnsPolicy": "None"}, "spec.template.spec.dnsConfig.nameservers"),
        ("Pod", {"spec.dnsConfig": {"searches": ["a.example"]}},
         {"spec.dnsPolicy": "None", "spec.dnsConfig": {"searches": ["a.example"]}}, "spec.dnsConfig.nameservers"),
        ("Pod", {"spec.dnsConfig": {"nameservers": ["10.0.0.1", "10.0.0.2", "fd00::1"]}},
         {"spec.dnsConfig": {"nameservers": ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]}},
         "spec.dnsConfig.nameservers"),
        ("Pod", {}, {"spec.dnsConfig": {"nameservers": ["10.0.0.1", "dns.example"]}},
         "spec.dnsConfig.nameservers[1]"),
    ],
    "claim-template": [
        ("StatefulSet", {"spec.volumeClaimTemplates": [{"metadata": {"name": "b"}, "spec": CLAIM}]},
         {"spec.volumeClaimTemplates": [{"metadata": {}, "spec": CLAIM}]},
         "spec.volumeClaimTemplates[0].metadata.name"),
    ],
    "choice": [
        ("Service", {"spec.type": "NodePort"}, {"spec.type": "Nodeport"}, "spec.type"),
        ("Ingress", {}, {"spec.rules.0.http.paths.0.pathType": "Suffix"}, "spec.rules[0].http.paths[0].pathType"),
        ("Deployment", {"spec.strategy": {"type": "Recreate"}}, {"spec.strategy": {"type": "Rolling"}},
         "spec.strategy.type"),
        ("Service", {"spec.type": "", "spec.sessionAffinity": "", "spec.ports.0.protocol": ""},
         {"spec.type": " "}, "spec.type"),
        ("Deployment", {"spec.strategy": {"type": ""}}, {"spec.strategy": {"type": "recreate"}}, "spec.strategy.type"),
        ("StatefulSet", {"spec.podManagementPolicy": "", "spec.updateStrategy": {"type": ""}},
         {"spec.podManagementPolicy": "Ordered"}, "spec.podManagementPolicy"),
        ("DaemonSet", {"spec.updateStrategy": {"type": ""}}, {"spec.updateStrategy": {"type": "Recreate"}},
         "spec.updateStrategy.type"),
        ("CronJob", {"spec.concurrencyPolicy": ""}, {"spec.concurrencyPolicy": "forbid"}, "spec.concurrencyPolicy"),
        ("PersistentVolume", {"spec.persistentVolumeReclaimPolicy": ""}, {"spec.persistentVolumeReclaimPolicy": "Keep"},
         "spec.persistentVolumeReclaimPolicy"),
        ("PersistentVolumeClaim", {}, {"spec.volumeMode": ""}, "spec.volumeMode"),
        ("PodDisruptionBudget", {"spec.unhealthyPodEvictionPolicy": "AlwaysAllow"},
         {"spec.unhealthyPodEvictionPolicy": "Always"}, "spec.unhealthyPodEvictionPolicy"),
        ("HorizontalPodAutoscaler", {DOWN: {"selectPolicy": "Disabled"}}, {DOWN: {"selectPolicy": "None"}},
         f"{DOWN}.selectPolicy"),
        ("PersistentVolume", {"spec.hostPath.type": "Directory"}, {"spec.hostPath.type": "Folder"},
         "spec.hostPath.type"),
        ("Job", on_failure({**CODES, "action": "Count"}), on_failure({**CODES, "action": "Fail"}), f"{FIRST}.action"),
        ("CronJob", {"spec.jobTemplate.spec.podFailurePolicy": {"rules": [CODES]}},
         {"spec.jobTemplate.spec.podFailurePolicy": {"rules": [{**CODES, "action": ""}]}},
         "spec.jobTemplate.spec.podFailurePolicy.rules[0].action"),
        ("Job", on_codes(operator="NotIn"), on_codes(operator="Exists"), f"{FIRST}.onExitCodes.operator"),
        ("Job", on_failure({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": ""}]}),
         on_failure({"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "true"}]}),
         f"{FIRST}.onPodConditions[0].status"),
        ("StatefulSet", {"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"}},
         {"spec.persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Keep"}},
         "spec.persistentVolumeClaimRetentionPolicy.whenDeleted"),
    ],
    "pod-choice": [
        ("Pod", {WEB + "imagePullPolicy": "Never"}, {WEB + "imagePullPolicy": "never"},
         "spec.containers[0].imagePullPolicy"),
        ("Deployment", {TEMPLATE_POD + "dnsPolicy": "Default"}, {TEMPLATE_POD + "dnsPolicy": "Cluster"},
         "spec.template.spec.dnsPolicy"),
        ("Pod", {"spec.securityContext": {"appArmorProfile": {"type": "RuntimeDefault"}}},
         {"spec.securityContext": {"appArmorProfile": {"type": "runtime/default"}}},
         "spec.securityContext.appArmorProfile.type"),
        ("Pod", {WEB + "securityContext": {"appArmorProfile": {"type": "Unconfined"}}},
         {WEB + "securityContext": {"appArmorProfile": {"type": ""}}},
         "spec.containers[0].securityContext.appArmorProfile.type"),
        ("Pod", {"spec.dnsPolicy": "", WEB + "imagePullPolicy": "", WEB + "terminationMessagePolicy": "",
         WEB + "ports": [{"containerPort": 1, "protocol": ""}],
         WEB + "livenessProbe": {"httpGet": {"port": 1, "scheme": ""}}},
         {"spec.preemptionPolicy": ""}, "spec.preemptionPolicy"),
        ("Pod", {"spec.volumes": [{"name": "a", "emptyDir": {"medium": "HugePages-32Mi"}}]},
         {"spec.volumes": [{"name": "a", "emptyDir": {"medium": "HugePages-big"}}]}, "spec.volumes[0].emptyDir.medium"),
    ],
    "restart-policy": [
        ("Job", {}, {TEMPLATE_POD + "restartPolicy": GONE}, "spec.template.spec.restartPolicy"),
        ("Deployment", {TEMPLATE_POD + "restartPolicy": "Always"}, {TEMPLATE_POD + "restartPolicy": "Never"},
         "spec.template.spec.restartPolicy"),
        ("Job", {}, {TEMPLATE_POD + "restartPolicy": ""}, "spec.template.spec.restartPolicy"),
        ("Pod", {"spec.restartPolicy": ""}, {"spec.restartPolicy": "Sometimes"}, "spec.restartPolicy"),
    ],
    "toleration": [
        ("Pod", {"spec.tolerations": [{"operator": "Exists"}]}, {"spec.tolerations": [{"operator": "Equal"}]},
         "spec.tolerations[0].operator"),
        ("Pod", {"spec.tolerations": [{"key": "a", "operator": ""}]}, {"spec.tolerations": [{"effect": "NoSchedule"}]},
         "spec.tolerations[0].operator"),
        ("Pod", {"spec.tolerations": [{"key": "a", "effect": "NoExecute", "tolerationSeconds": 1}]},
         {"spec.tolerations": [{"key": "a", "effect": "NoSchedule", "tolerationSeconds": 1}]},
         "spec.tolerations[0].effect"),
    ],
    "spread": [
        ("Pod", {"spec.topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "a",
         "whenUnsatisfiable": "DoNotSchedule"}]},
         {"spec.topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"}]},
         "spec.topologySpreadConstraints[0].maxSkew"),
        ("Pod", {},
         {"spec.affinity.podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": ""}]}},
         "spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[0].topologyKey"),
    ],
    "count": [
        ("Deployment", {"spec.replicas": 0}, {"spec.replicas": -1}, "spec.replicas"),
        ("CronJob", {"spec.jobTemplate.spec.backoffLimit": 0}, {"spec.jobTemplate.spec.backoffLimit": -1},
         "spec.jobTemplate.spec.backoffLimit"),
    ],
    "pod-time": [
        ("Pod", {"spec.terminationGracePeriodSeconds": 0}, {"spec.terminationGracePeriodSeconds": -1},
         "spec.terminationGracePeriodSeconds"),
    ],
    "share": [
        ("PodDisruptionBudget", {"spec.minAvailable": "50%"}, {"spec.minAvailable": "half"}, "spec.minAvailable"),
    ],
    "rollout": [
        ("Deployment", {"spec.strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
         {"spec.strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}}, "spec.strategy.rollingUpdate"),
        ("Deployment", {"spec.strategy": {"type": "Recreate"}},
         {"spec.strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}}, "spec.strategy.rollingUpdate"),
        ("Deployment", {"spec.minReadySeconds": 9, "spec.progressDeadlineSeconds": 10},
         {"spec.minReadySeconds": 10, "spec.progressDeadlineSeconds": 10}, "spec.progressDeadlineSeconds"),
    ],
    "autoscaler": [
        ("HorizontalPodAutoscaler", {"spec.minReplicas": 4}, {"spec.minReplicas": 5}, "spec.minReplicas"),
        ("HorizontalPodAutoscaler", {}, {"spec.maxReplicas": 0}, "spec.maxReplicas"),
    ],
    "metric": [
        ("HorizontalPodAutoscaler", {"spec.metrics": [{"type": "Resource", "resource": USED}]},
         {"spec.metrics": [{"type": "Resource"}]}, "spec.metrics[0].resource"),
        ("HorizontalPodAutoscaler",
         {"spec.metrics": [{"type": "Object", "object": {"metric": {"name": "a"}, "describedObject": {"kind": "A",
          "name": "a"}, "target": {"type": "Value", "value": "10"}}}]},
         {"spec.metrics": [{"type": "Resource", "resource": USED, "pods": {"metric": {"name": "a"},
          "target": {"type": "AverageValue", "averageValue": "1"}}}]}, "spec.metrics[0].pods"),
        ("HorizontalPodAutoscaler", {},
         {"spec.metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}}]},
         "spec.metrics[0].resource.target"),
        ("HorizontalPodAutoscaler", {}, {"spec.metrics": [{"type": "Resource", "resource": RAW}]},
         "spec.metrics[0].resource.target.averageValue"),
        ("HorizontalPodAutoscaler", {},
         {"spec.metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Percent",
          "averageUtilization": 50}}}]}, "spec.metrics[0].resource.target.type"),
    ],
    "scaling": [
        ("HorizontalPodAutoscaler", {DOWN: {"stabilizationWindowSeconds": 3600}},
         {DOWN: {"stabilizationWindowSeconds": 3601}}, f"{DOWN}.stabilizationWindowSeconds"),
        ("HorizontalPodAutoscaler", {DOWN: {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 1800}]}},
         {DOWN: {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 0}]}}, f"{DOWN}.policies[0].periodSeconds"),
        ("HorizontalPodAutoscaler", {}, {DOWN: {"policies": []}}, f"{DOWN}.policies"),
    ],
    "share-of-all": [
        ("PodDisruptionBudget", {"spec.minAvailable": "100%"}, {"spec.minAvailable": "101%"}, "spec.minAvailable"),
        ("Deployment", {"spec.strategy": {"rollingUpdate": {"maxSurge": "200%"}}},
         {"spec.strategy": {"rollingUpdate": {"maxUnavailable": "200%"}}},
         "spec.strategy.rollingUpdate.maxUnavailable"),
    ],
    "completions": [
        ("Job", {"spec.completionMode": "Indexed", "spec.completions": 2}, {"spec.completionMode": "Indexed"},
         "spec.completions"),
        ("CronJob", {}, {"spec.jobTemplate.spec.completionMode": "Indexed"}, "spec.jobTemplate.spec.completions"),
    ],
    "limit-range": [
        ("LimitRange", {"spec.limits.0.default": {"cpu": "2000m"}}, {"spec.limits.0.default": {"cpu": "2001m"}},
         "spec.limits[0].default.cpu"),
        ("LimitRange", {"spec.limits.0.min": {"cpu": "1", "memory": "4Gi"}}, {"spec.limits.0.min": {"cpu": "3"}},
         "spec.limits[0].min.cpu"),
        ("LimitRange", {"spec.limits.0.type": "Pod"},
         {"spec.limits.0.type": "Pod", "spec.limits.0.default": {"cpu": "1"}}, "spec.limits[0].default"),
    ],
    "rollout-daemon": [
        ("DaemonSet", {"spec.updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}},
         {"spec.updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}, "spec.updateStrategy.rollingUpdate"),
        ("DaemonSet", {}, {"spec.updateStrategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "10%"}}},
         "spec.updateStrategy.rollingUpdate"),
    ],
    "disruption-budget": [("PodDisruptionBudget", {}, {"spec.maxUnavailable": 1}, "spec.maxUnavailable")],
    "schedule": [
        ("CronJob", {"spec.schedule": "*/5 * * * MON-FRI"}, {"spec.schedule": "60 * * * *"}, "spec.schedule"),
        ("CronJob", {"spec.schedule": "@daily"}, {"spec.schedule": "@often"}, "spec.schedule"),
    ],
    "time-zone": [
        ("CronJob", {"spec.timeZone": "America/Argentina/ComodRivadavia"}, {"spec.timeZone": ""}, "spec.timeZone"),
        ("CronJob", {"spec.timeZone": "Etc/GMT+1"}, {"spec.timeZone": "Local"}, "spec.timeZone"),
        ("CronJob", {"spec.timeZone": "UTC"}, {"spec.timeZone": "local"}, "spec.timeZone"),
        ("CronJob", {"spec.timeZone": "US/Pacific"}, {"spec.timeZone": "US/Pacific Time"}, "spec.timeZone"),
        ("CronJob", {"spec.timeZone": None}, {"spec.timeZone": "/Europe/Berlin"}, "spec.timeZone"),
        ("CronJob", {}, {"spec.timeZone": "Europe/../UTC"}, "spec.timeZone"),
        ("CronJob", {}, {"spec.timeZone": "-Europe/Berlin"}, "spec.timeZone"),
    ],
    "pod-failure": [
        ("Job", on_failure(CODES, DISRUPTED),
         {**on_failure(CODES), TEMPLATE_POD + "restartPolicy": "OnFailure"}, "spec.template.spec.restartPolicy"),
        ("CronJob", {"spec.jobTemplate.spec.podFailurePolicy": {"rules": [DISRUPTED]}},
         {"spec.jobTemplate.spec.podFailurePolicy": {"rules": [DISRUPTED]},
          "spec.jobTemplate.spec.template.spec.restartPolicy": "OnFailure"},
         "spec.jobTemplate.spec.template.spec.restartPolicy"),
        ("Job", {FAILURES: None, TEMPLATE_POD + "restartPolicy": "OnFailure"}, on_failure({"action": "Ignore"}), FIRST),
        ("Job", on_failure({**CODES, "onPodConditions": []}), on_failure({**CODES, **DISRUPTED}), FIRST),
        ("Job", {}, on_failure({"action": "Ignore", "onPodConditions": []}), FIRST),
        ("Job", on_failure(*[CODES] * 20), on_failure(*[CODES] * 21), f"{FAILURES}.rules"),
        ("Job", on_failure({**DISRUPTED, "onPodConditions": DISRUPTED["onPodConditions"] * 20}),
         on_failure({**DISRUPTED, "onPodConditions": DISRUPTED["onPodConditions"] * 21}), f"{FIRST}.onPodConditions"),
        ("Job", {**on_failure({**CODES, "action": "FailIndex"}), "spec.completionMode": "Indexed",
                 "spec.completions": 2, "spec.backoffLimitPerIndex": 0},
         on_failure({**CODES, "action": "FailIndex"}), "spec.backoffLimitPerIndex"),
        ("Job", on_codes(values=list(range(1, 256))), on_codes(values=list(range(1, 257))),
         f"{FIRST}.onExitCodes.values"),
        ("Job", {}, on_codes(values=[]), f"{FIRST}.onExitCodes.values"),
        ("Job", on_codes(operator="NotIn", values=[0]), on_codes(values=[0, 1]), f"{FIRST}.onExitCodes.values[0]"),
        ("Job", {}, on_codes(values=[1, 2, 2]), f"{FIRST}.onExitCodes.values[2]"),
        ("Job", {}, on_codes(values=[2, 1]), f"{FIRST}.onExitCodes.values"),
        ("Job", on_codes(containerName="web"), on_codes(containerName="app"), f"{FIRST}.onExitCodes.containerName"),
        ("Job", {**on_codes(containerName="a"), TEMPLATE_POD + "initContainers": [{"name": "a", "image": "a:1"}]},
         on_codes(containerName=""), f"{FIRST}.onExitCodes.containerName"),
    ],
    "service-port": [
        ("Service", {"spec.ports.0.port": 1}, {"spec.ports.0.port": 99999}, "spec.ports[0].port"),
        ("Service", {"spec.ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "b"}]},
         {"spec.ports": [{"port": 1, "name": "a"}, {"port": 2}]}, "spec.ports[1].name"),
        ("Service", {"spec.clusterIP": "None", "spec.ports": GONE}, {"spec.ports": GONE}, "spec.ports"),
        ("Service", {}, {"spec.ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}, "spec.ports[1].port"),
    ],
    "service-type": [
        ("Service", {"spec.type": "ExternalName", "spec.externalName": "a.example"},
         {"spec.type": "ExternalName", "spec.externalName": "a b"}, "spec.externalName"),
        ("Service", {"spec.type": "NodePort", "spec.ports.0.nodePort": 30000}, {"spec.ports.0.nodePort": 30000},
         "spec.ports[0].nodePort"),
        ("Service", {"spec.type": ""}, {"spec.type": "", "spec.ports.0.nodePort": 30000}, "spec.ports[0].nodePort"),
    ],
    "service-address": [
        ("Service", {"spec.clusterIP": "10.0.0.1"}, {"spec.clusterIP": "10.0.0"}, "spec.clusterIP"),
        ("Service", {"spec.clusterIP": "010.0.0.1"}, {"spec.clusterIP": "fe80::1%eth0"}, "spec.clusterIP"),
        ("Service", {"spec.externalIPs": ["fd00::1"], "spec.externalTrafficPolicy": "Local"},
         {"spec.externalTrafficPolicy": "Local"}, "spec.externalTrafficPolicy"),
        ("Service", {"spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10.0.0.0/8"]},
         {"spec.type": "LoadBalancer", "spec.loadBalancerSourceRanges": ["10.0.0.1"]},
         "spec.loadBalancerSourceRanges[0]"),
        ("Service", {}, {"spec.loadBalancerSourceRanges": ["10.0.0.0/8"]}, "spec.loadBalancerSourceRanges"),
        ("Service", {}, {"spec.externalIPs": ["a.example"]}, "spec.externalIPs[0]"),
    ],
    "service-selector": [("Service", {"spec.selector": {"a/b": "c"}}, {"spec.selector": {"a": "b c"}},
    "spec.selector.a")],
    "ingress-path": [
        ("Ingress", {"spec.rules.0.http.paths.0.path": "/a"}, {"spec.rules.0.http.paths.0.path": "a"},
         "spec.rules[0].http.paths[0].path"),
        ("Ingress", {}, {"spec.rules.0.http.paths.0.path": "/a/../b"}, "spec.rules[0].http.paths[0].path"),
    ],
    "ingress-backend": [
        ("Ingress", {"spec.rules.0.http.paths.0.backend.service.port": {"name": "http"}},
         {"spec.rules.0.http.paths.0.backend.service.port": {}}, "spec.rules[0].http.paths[0].backend.service.port"),
        ("Ingress", {"spec": {"defaultBackend": BACKEND}}, {"spec": {}}, "spec"),
        ("Ingress", {"spec.rules.0": {"host": "a.example"}}, {"spec.rules.0.http.paths": []},
         "spec.rules[0].http.paths"),
        ("Ingress", {}, {"spec.rules.0.http.paths.0.backend.service.name": "a_b"},
         "spec.rules[0].http.paths[0].backend.service.name"),
    ],
    "ingress-host": [
        ("Ingress", {"spec.rules.0.host": "*.a.example"}, {"spec.rules.0.host": "https://a.example"},
         "spec.rules[0].host"),
        ("Ingress", {}, {"spec.rules.0.host": "10.0.0.1"}, "spec.rules[0].host"),
        ("Ingress", {"spec.tls": [{"hosts": ["*.a.example"], "secretName": "a"}]},
         {"spec.tls": [{"hosts": ["https://a.example"]}]}, "spec.tls[0].hosts[0]"),
    ],
    "policy-port": [
        ("NetworkPolicy", {"spec.ingress.0.ports.0.endPort": 81}, {"spec.ingress.0.ports.0.endPort": 79},
         "spec.ingress[0].ports[0].endPort"),
        ("NetworkPolicy", {}, {"spec.ingress.0.ports.0.port": 0}, "spec.ingress[0].ports[0].port"),
    ],
    "policy-peer": [
        ("NetworkPolicy", {"spec.ingress.0.from.0": {"podSelector": {}}}, {"spec.ingress.0.from.0": {}},
         "spec.ingress[0].from[0]"),
        ("NetworkPolicy", {"spec.ingress.0.from.0.ipBlock.cidr": "010.0.0.0/8"},
         {"spec.ingress.0.from.0.ipBlock.cidr": "10.0.0.0"},
         "spec.ingress[0].from[0].ipBlock.cidr"),
        ("NetworkPolicy", {"spec.ingress.0.from.0.ipBlock.except": ["10.1.0.0/16"]},
         {"spec.ingress.0.from.0.ipBlock.except": ["11.0.0.0/16"]}, "spec.ingress[0].from[0].ipBlock.except[0]"),
    ],
    "data-key": [("ConfigMap", {"data": {"a.b_c-d": ""}}, {"data": {"a/b": ""}}, "data['a/b']")],
    "base64": [
        ("Secret", {"data": {"a": "aGVsbG8="}}, {"data": {"a": "hello"}}, "data.a"),
        ("ConfigMap", {"binaryData": {"b": "aGVsbG8="}}, {"binaryData": {"b": "hello"}}, "binaryData.b"),
    ],
    "secret-type": [
        ("Secret", {"type": "kubernetes.io/ssh-auth", "data": {"ssh-privatekey": "YQ=="}},
         {"type": "kubernetes.io/ssh-auth"},
         "data.ssh-privatekey"),
        ("Secret", {"type": "kubernetes.io/basic-auth", "stringData": {"username": ""}},
         {"type": "kubernetes.io/basic-auth"}, "data"),
        ("Secret", {"type": TOKEN, "metadata.annotations": {"kubernetes.io/service-account.name": "a"}},
         {"type": TOKEN}, "metadata.annotations['kubernetes.io/service-account.name']"),
    ],
    "registry": [
        ("Secret", {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}},
         {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "YQ=="}},
         "data['.dockerconfigjson']"),
        ("Secret",
         {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "YQ=="},
          "stringData": {".dockerconfigjson": "{}"}},
         {"type": "kubernetes.io/dockerconfigjson", "stringData": {".dockerconfigjson": "user:word"}},
         "stringData['.dockerconfigjson']"),
    ],
    "role-ref": [("RoleBinding", {"roleRef.kind": "ClusterRole"}, {"roleRef.kind": "User"}, "roleRef.kind")],
    "subject": [
        ("RoleBinding", {"subjects.0.kind": "Group"}, {"subjects.0.kind": "Team"}, "subjects[0].kind"),
        ("RoleBinding", {"subjects.0": {"kind": "ServiceAccount", "name": "a"}}, {"subjects.0.apiGroup": "apps"},
         "subjects[0].apiGroup"),
    ],
    "role-rule": [
        ("Role", {}, {"rules.0.verbs": []}, "rules[0].verbs"),
        ("Role", {}, {"rules.0.apiGroups": GONE}, "rules[0].apiGroups"),
    ],
    "access-mode": [
        ("PersistentVolumeClaim", {"spec.accessModes": ["ReadWriteOncePod"]}, {"spec.accessModes": []},
         "spec.accessModes"),
        ("PersistentVolumeClaim", {}, {"spec.accessModes": ["ReadWriteOncePod", "ReadOnlyMany"]}, "spec.accessModes"),
        ("StatefulSet", {"spec.volumeClaimTemplates": [{"metadata": {"name": "b"}, "spec": CLAIM}]},
         {"spec.volumeClaimTemplates": [{"metadata": {"name": "b"}, "spec": {"resources": CLAIM["resources"]}}]},
         "spec.volumeClaimTemplates[0].spec.accessModes"),
    ],
    "definition": [
        ("CustomResourceDefinition", {}, {"metadata.name": "a.example.com"}, "metadata.name"),
        ("CustomResourceDefinition", {}, {"spec.versions.0.storage": False}, "spec.versions"),
    ],
}  # fmt: skip
ROWS = [(rule, *row) for rule, rows in EXAMPLES.items() for row in rows]
IDS = [f"{rule}-{number}" for rule, rows in EXAMPLES.items() for number in range(len(rows))]


def changed(base: str, change: Change) -> Body:
    body = copy.deepcopy(BASES[base])
    for path, value in change.items():
        steps: list[Any] = [int(step) if step.isdigit() else step for step in path.split(".")]
        last = steps.pop()
        here: Any = body
        for step in steps:
            here = here[step] if isinstance(here, list) else here.setdefault(step, {})
        if value is GONE:
            del here[last]
        else:
            here[last] = value
    return body


def broken(*bodies: Body) -> list[tuple[str, str]]:
    """Rule and path of each issue, the objects being documents of one text."""
    return told("\n---\n".join(json.dumps(body) for body in bodies))


def told(text: str) -> list[tuple[str, str]]:
    return [(issue.rule, place(issue.path)) for issues in semantics(objects(parse(text))) for issue in issues]


def test_every_rule_has_examples_and_a_name_of_its_own() -> None:
    below = {"data-size", "object-twice", "target-port"}
    assert set(EXAMPLES) | below == set(RULE_NAMES)
    assert len(set(RULE_NAMES)) == len(RULE_NAMES)


@pytest.mark.parametrize("base", BASES)
def test_the_bases_break_no_rule_and_follow_their_schema(base: str) -> None:
    assert broken(BASES[base]) == []
    assert validity(json.dumps(BASES[base])).valid


@pytest.mark.parametrize(("rule", "base", "good", "bad", "where"), ROWS, ids=IDS)
def test_a_rule_passes_what_is_right_and_tells_what_is_not(
    rule: str, base: str, good: Change, bad: Change, where: str
) -> None:
    assert broken(changed(base, good)) == []
    assert broken(changed(base, bad)) == [(rule, where)]


KNOWN = schema.kinds(schema.resolved())


@pytest.mark.parametrize(("rule", "base", "good", "bad", "where"), ROWS, ids=IDS)
def test_no_schema_sees_it(rule: str, base: str, good: Change, bad: Change, where: str) -> None:
    """What a rule tells is news: the strict schema accepts the object all the same."""
    body = changed(base, bad)
    assert schema.check(body, body["apiVersion"], body["kind"], KNOWN).state is schema.State.VALID


def test_a_config_map_of_more_than_a_mebibyte() -> None:
    """More than a text may hold, but for aliases."""
    text = f"{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}, data: {{a: &a {'x' * 700_000}, b: *a}}}}"
    assert told(text.replace("b: *a", "b: c")) == []
    assert told(text) == [("data-size", "the object")]


def test_an_object_that_is_there_twice_is_told_of_once() -> None:
    one, other = BASES["Pod"], changed("Pod", {"metadata.namespace": "b"})
    assert broken(one, other, BASES["Service"]) == []
    assert broken(one, other, one) == [("object-twice", "metadata.name")]


def test_a_named_target_port_is_one_of_the_pods_that_are_selected() -> None:
    service = changed("Service", {"spec.ports.0.targetPort": "http"})
    port = {TEMPLATE_POD + "containers.0.ports": [{"containerPort": 1, "name": "http"}]}
    other = {TEMPLATE_POD + "containers.0.ports": [{"containerPort": 1, "name": "web"}]}
    assert broken(service) == []
    assert broken(service, changed("Deployment", port)) == []
    assert broken(service, changed("Deployment", other)) == [("target-port", "spec.ports[0].targetPort")]
    assert broken(service, changed("Deployment", {**other, "metadata.namespace": "b"})) == []


def test_another_groups_kinds_are_nobodys_business() -> None:
    body = changed("Service", {"spec.ports.0.port": 99999})
    assert broken({**body, "apiVersion": "serving.knative.dev/v1"}) == []


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=6),
    st.sampled_from(["a", "1Gi", "10.0.0.0/8", "0 0 * * *", "None", "In", "RollingUpdate", "50%", "*.a"]),
)  # fmt: skip
KEYS = sorted({str(step) for rows in EXAMPLES.values() for _, good, bad, _ in rows for change in (good, bad)
               for path in change for step in path.split(".") if not step.isdigit()})  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=3), st.dictionaries(st.sampled_from(KEYS), below, max_size=4)),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.sampled_from(sorted(BASES)))
def test_no_object_makes_a_rule_raise(data: st.DataObject, base: str) -> None:
    """Objects near to right ones, any part of which may be anything."""
    body = copy.deepcopy(BASES[base])
    for _ in range(data.draw(st.integers(1, 3))):
        here: Any = body
        while True:
            steps = list(here) if isinstance(here, dict) else list(range(len(here)))
            step = data.draw(st.sampled_from([*steps, *(["spec", *KEYS] if isinstance(here, dict) else [])] or [0]))
            below = here.get(step) if isinstance(here, dict) else here[step] if here else None
            if isinstance(below, (dict, list)) and below and data.draw(st.booleans()):
                here = below
                continue
            if isinstance(here, dict) or here:
                here[step] = data.draw(ANYTHING)
            break
    for issues in semantics(objects(parse(json.dumps(body)))):
        for issue in issues:
            assert "\n" not in str(issue)
