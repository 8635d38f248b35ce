"""References within a manifest: which are edges, where they lead, and that no manifest has too many."""

from __future__ import annotations

import pytest

from sluicegate.k8s.objects import objects
from sluicegate.k8s.parse import parse
from sluicegate.k8s.references import EDGES_LIMIT, Edge, edges

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web, tier: front}}
    spec:
      serviceAccountName: runner
      imagePullSecrets: [{name: registry}]
      initContainers:
      - {name: init, volumeMounts: [{name: conf, mountPath: /conf}]}
      containers:
      - name: web
        ports: [{name: http, containerPort: 8080}]
        env:
        - {name: A, valueFrom: {configMapKeyRef: {name: settings, key: a}}}
        - {name: B, value: plain}
        envFrom: [{secretRef: {name: token}}]
        volumeMounts: [{name: conf, mountPath: /etc/web}, {name: gone, mountPath: /gone}]
      volumes:
      - {name: conf, configMap: {name: settings}}
      - {name: disk, persistentVolumeClaim: {claimName: disk}}
"""


def found(text: str) -> set[Edge]:
    return set(edges(objects(parse(text))))


def test_what_a_workload_refers_to() -> None:
    assert found(DEPLOYMENT) == {
        ("own", "Deployment", "app", "web"),
        ("mount", "/conf", "configMap"),
        ("mount", "/etc/web", "configMap"),
        ("read", "ConfigMap", "settings", "a", "outside"),
        ("read", "ConfigMap", "settings", "", "outside"),
        ("read", "Secret", "token", "", "outside"),
        ("read", "PersistentVolumeClaim", "disk", "", "outside"),
        ("run as", "ServiceAccount", "runner", "", "outside"),
        ("pull", "Secret", "registry", "", "outside"),
    }


@pytest.mark.parametrize(
    ("text", "edge"),
    [
        ("{apiVersion: v1, kind: Service, metadata: {name: s}, "
         "spec: {selector: {app: web}, ports: [{port: 80, targetPort: http}]}}",
         {("select", "Service", "Deployment", "app", "web"), ("port", "80", "8080")}),
        ("{apiVersion: v1, kind: Service, metadata: {name: s}, "
         "spec: {selector: {app: other}, ports: [{port: 8080}]}}", set()),
        ("{apiVersion: v1, kind: Service, metadata: {name: s}, "
         "spec: {selector: {app: web}, ports: [{port: 8080}, {port: 9}]}}",
         {("select", "Service", "Deployment", "app", "web"), ("port", "8080", "8080")}),
        ("{apiVersion: policy/v1, kind: PodDisruptionBudget, spec: {selector: {matchLabels: {tier: front}}}}",
         {("select", "PodDisruptionBudget", "Deployment", "tier", "front")}),
        ("{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, spec: {podSelector: {matchLabels: {app: web}}}}",
         {("select", "NetworkPolicy", "Deployment", "app", "web")}),
        ("{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, "
         "spec: {scaleTargetRef: {kind: Deployment, name: web}}}",
         {("scale", "Deployment", "web", "", "here")}),
        ("{apiVersion: networking.k8s.io/v1, kind: Ingress, "
         "spec: {rules: [{http: {paths: [{backend: {service: {name: web, port: {number: 80}}}}]}}]}}",
         {("route", "Service", "web", "80", "outside")}),
        ("{apiVersion: extensions/v1beta1, kind: Ingress, spec: {backend: {serviceName: web, servicePort: 80}}}",
         {("route", "Service", "web", "80", "outside")}),
        ("{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, "
         "roleRef: {kind: Role, name: r}, subjects: [{kind: User, name: u}]}",
         {("bind", "Role", "r", "", "outside"), ("bind", "User", "u", "", "outside")}),
    ],
)  # fmt: skip
def test_what_refers_to_a_workload(text: str, edge: set[Edge]) -> None:
    assert found(f"{DEPLOYMENT}---\n{text}") - found(DEPLOYMENT) == edge


def test_a_claim_template_is_a_volume() -> None:
    text = DEPLOYMENT.replace("kind: Deployment", "kind: StatefulSet").replace(
        "spec:\n  selector", "spec:\n  volumeClaimTemplates: [{metadata: {name: gone}}, {name: gone}]\n  selector", 1
    )
    assert ("mount", "/gone", "volumeClaimTemplate") in found(text)


def test_a_reference_says_whether_its_object_is_there() -> None:
    settings = "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}\n"
    assert ("read", "ConfigMap", "settings", "a", "here") in found(DEPLOYMENT + settings)


def test_a_selector_that_is_empty_or_odd_selects_nothing() -> None:
    for selector in ("{}", "null", "[a]", "{matchLabels: {}}", "{app: {a: b}}"):
        assert found(f"{DEPLOYMENT}---\n{{apiVersion: v1, kind: Service, spec: {{selector: {selector}}}}}") == found(
            DEPLOYMENT
        )


def test_edges_are_bounded() -> None:
    pod = "{apiVersion: v1, kind: Pod, metadata: {labels: {a: a}}, spec: {containers: []}}"
    service = "{apiVersion: v1, kind: Service, spec: {selector: {a: a}}}"
    text = "---\n".join([f"{pod}\n"] * 250 + [f"{service}\n"] * 250)
    assert edges(objects(parse(text))).total() == EDGES_LIMIT
