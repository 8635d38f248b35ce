"""Intent fidelity: what facts and references count, what speaks against, and what costs nothing."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.leaves import Scalar

BARE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx, ports: [{containerPort: 8080}], env: [{name: MODE, value: prod}]}
"""
FACTS: list[list[Scalar]] = [
    ["kind", "Deployment"],
    ["metadata.name", "web"],
    ["spec.replicas", 3],
    ["spec.template.spec.containers[web].image", "nginx"],
    ["spec.template.spec.containers[web].ports[8080].containerPort", 8080],
    ["spec.template.spec.containers[web].env[MODE].value", "prod"],
]
HARDENED = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: default
  labels: {app: web}
spec:
  replicas: 3
  revisionHistoryLimit: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      automountServiceAccountToken: false
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      containers:
      - name: main
        image: docker.io/library/nginx:1.27.3
        imagePullPolicy: IfNotPresent
        env: [{name: MODE, value: prod}]
        ports: [{name: http, containerPort: 8080, protocol: TCP}]
        resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {cpu: 1, memory: 128Mi}}
        livenessProbe: {httpGet: {path: /, port: http}}
        readinessProbe: {httpGet: {path: /, port: http}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        volumeMounts: [{name: scratch, mountPath: /tmp}]
      volumes: [{name: scratch, emptyDir: {}}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 1, selector: {matchLabels: {app: web}}}
"""


def pod(**spec: Any) -> str:
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": spec}) + "\n"


def value(text: str, reference: str = BARE, facts: object = None) -> float:
    found = fidelity(text, reference, facts).value
    assert found is not None
    return found


def test_hardening_and_its_companion_cost_nothing() -> None:
    assert value(HARDENED, BARE, FACTS) == 1.0
    added = ("  labels: {app: web}\n", "name: http, ")
    plain = HARDENED.replace("name: main", "name: web")
    for part in added:
        assert part in plain
        plain = plain.replace(part, "", 1)
    assert value(plain) == 1.0
    assert value(HARDENED) == pytest.approx(2 * 8 / (9 + 11))  # a name that differs, a label and a port's name


@pytest.mark.parametrize("facts", [FACTS, None])
def test_each_fact_left_out_lowers_it(facts: object) -> None:
    leaving = [
        BARE.replace("  replicas: 3\n", ""),
        BARE.replace(", env: [{name: MODE, value: prod}]", ""),
        BARE.replace(", ports: [{containerPort: 8080}]", ""),
        BARE.replace(", image: nginx", ""),
    ]
    assert all(0 < value(text, BARE, facts) < 1 for text in leaving)
    less, seen = BARE, [1.0]
    for part in (
        ", env: [{name: MODE, value: prod}]",
        ", ports: [{containerPort: 8080}]",
        ", image: nginx",
        "  replicas: 3\n",
    ):
        less = less.replace(part, "")
        seen.append(value(less, BARE, facts))
    assert seen == sorted(set(seen), reverse=True)


@pytest.mark.parametrize("facts", [FACTS, None])
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("metadata: {name: web}", "metadata: {name: shop}"),
        ("replicas: 3", "replicas: 30"),
        ("image: nginx", "image: httpd"),
        ("containerPort: 8080", "containerPort: 80"),
        ("value: prod", "value: test"),
    ],
)
def test_another_value_lowers_it_but_not_to_nothing(old: str, new: str, facts: object) -> None:
    told = value(BARE.replace(old, new, 1), BARE, facts)
    assert 0 < told < 1


def test_a_value_that_contradicts_is_worse_than_silence() -> None:
    silent, contradicting = BARE.replace("  replicas: 3\n", ""), BARE.replace("replicas: 3", "replicas: 30")
    assert value(contradicting, BARE, FACTS) < value(silent, BARE, FACTS)
    assert value(contradicting) < value(silent)


@pytest.mark.parametrize("facts", [FACTS, None])
def test_objects_too_many_lower_it_more_with_each(facts: object) -> None:
    more = "".join(
        f"---\n{{apiVersion: v1, kind: Service, metadata: {{name: s{n}}}, spec: {{type: NodePort}}}}\n"
        for n in range(3)
    )
    seen = [value(BARE + more[: (len(more) // 3) * count], BARE, facts) for count in range(4)]
    assert seen == sorted(set(seen), reverse=True)
    assert fidelity(BARE + more, BARE, FACTS).why == "5 of 5 facts, 3 objects too many"


def test_an_object_of_the_reference_is_not_too_many() -> None:
    service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
    assert value(BARE + service, BARE + service, FACTS) == 1.0
    assert value(BARE, BARE + service, FACTS) == 1.0
    assert value(BARE, BARE + service) < 1.0


@pytest.mark.parametrize(("wanted", "other"), [("v1", "serving.knative.dev/v1"), ("serving.knative.dev/v1", "v1")])
def test_another_groups_kind_of_the_same_name_is_not_what_was_asked(wanted: str, other: str) -> None:
    text = "{apiVersion: %s, kind: Service, metadata: {name: web}, spec: {ports: [{port: 80}]}}\n"
    facts = [["kind", "Service"], ["metadata.name", "web"], ["spec.ports[80].port", 80]]
    assert value(text % wanted, text % wanted, facts) == 1.0
    assert value(text % other, text % wanted, facts) == value(text % other, text % wanted) == 0.0


@pytest.mark.parametrize("version", ["apps/v1", "apps/v1beta1", "extensions/v1beta1"])
def test_an_older_version_of_a_kind_is_the_kind(version: str) -> None:
    assert value(BARE.replace("apps/v1", version), BARE, FACTS) == 1.0


def test_who_opens_every_usual_port_does_not_know_which() -> None:
    every = ", ".join(f"{{containerPort: {port}}}" for port in (80, 443, 3000, 5000, 8080, 9090))
    told = fidelity(BARE.replace("{containerPort: 8080}", every), BARE, FACTS)
    assert told.value is not None
    assert told.value < 0.75
    assert told.why == "5 of 5 facts, 5 items too many"


def test_a_second_container_is_too_many_only_where_containers_were_asked_for() -> None:
    sidecar = BARE.replace("      - {name: web", "      - {name: log, image: fluentd}\n      - {name: web")
    assert value(sidecar, BARE, FACTS) < 1.0
    assert value(sidecar, BARE, [["metadata.name", "web"]]) == 1.0
    assert value(sidecar, sidecar, FACTS) == 1.0


def test_the_kind_is_no_fact_among_others() -> None:
    other = BARE.replace("name: web", "name: x").replace("nginx", "y").replace("8080", "1").replace("3", "4")
    assert value(other.replace("MODE", "Z"), BARE, FACTS) == 0.0
    assert value(BARE.replace("kind: Deployment", "kind: StatefulSet"), BARE, FACTS) == 0.0
    assert value(BARE.replace("kind: Deployment", "kind: StatefulSet")) == 0.0
    assert value(BARE, BARE, [["kind", "Deployment"]]) == 1.0
    assert value("{apiVersion: v1, kind: Namespace}", "{apiVersion: v1, kind: Namespace}") == 1.0


@pytest.mark.parametrize(
    ("fact", "met"),
    [
        (["spec.containers[*].image", "redis"], True),
        (["spec.containers[*].image", "mysql"], False),
        (["spec.containers[*].image", "*"], True),
        (["spec.containers[cache].image", "redis"], True),
        (["spec.containers[*].livenessProbe", "*"], True),
        (["spec.containers[*].readinessProbe", "*"], False),
        (["spec.containers", "*"], True),
        (["spec.volumes", "*"], False),
        (["Pod/*:spec.containers[*].image", "nginx"], True),
        (["Pod/a:spec.containers[*].image", "nginx"], True),
        (["Service/*:spec.type", "*"], False),
        (["metadata.labels.\"app.kubernetes.io/name\"", "shop"], True),
        (["spec.securityContext.runAsNonRoot", True], True),
        (["spec.containers[*].securityContext.runAsNonRoot", True], True),
        (["spec.containers[*].resources.limits.memory", "1024Mi"], True),
        (["spec.containers[*].resources.limits.cpu", "500m"], True),
        (["spec.containers[*].resources.limits.cpu", 1], False),
        (["spec.restartPolicy", "Always"], True),
        (["spec.restartPolicy", "Never"], False),
    ],
)  # fmt: skip
def test_one_fact(fact: list[Scalar], met: bool) -> None:
    text = """\
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app.kubernetes.io/name: shop}}
spec:
  securityContext: {runAsNonRoot: true}
  containers:
  - {name: b, image: nginx, livenessProbe: {tcpSocket: {port: 80}}}
  - {name: c, image: "redis:7", resources: {limits: {memory: 1Gi, cpu: 0.5}}}
"""
    assert value(text, text, [fact]) == float(met)


def test_facts_of_several_objects_are_each_held_against_their_own() -> None:
    text = "".join(
        "---\napiVersion: v1\nkind: Service\n"
        f"metadata: {{name: {name}}}\nspec: {{type: {kind}, ports: [{{port: {port}}}]}}\n"
        for name, kind, port in (("a", "NodePort", 80), ("b", "LoadBalancer", 443))
    )
    facts = [
        ["Service/b:spec.type", "LoadBalancer"],
        ["Service/a:spec.ports[80].port", 80],
        ["Service/a:metadata.name", "a"],
    ]
    assert value(text, text, facts) == 1.0
    assert value(text.replace("name: a", "name: z"), text, facts) == pytest.approx(2 * 2 / (3 + 3))
    assert value(text, text, [["Service/a:spec.type", "LoadBalancer"]]) == 0.0


@pytest.mark.parametrize(
    "facts",
    [
        "kind",
        {"kind": "Pod"},
        7,
        [["kind"]],
        [["kind", "Pod", 1]],
        [[1, 2]],
        [["kind", ["Pod"]]],
        [["a..b", 1]],
        [["", 1]],
        [["a." * 5000 + "a", 1]],
        ["kind"],
    ],
)
def test_facts_that_cannot_be_read_give_no_score_and_the_reason(facts: object) -> None:
    found = fidelity(BARE, BARE, facts)
    assert found.value is None
    assert found.why.startswith("the facts cannot be read")


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_without_facts_the_reference_counts(nothing: object) -> None:
    assert fidelity(BARE, BARE, nothing).why.endswith("leaves, 9 said")


def test_a_default_may_be_said_or_not() -> None:
    said = pod(restartPolicy="Always", dnsPolicy="ClusterFirst", containers=[{"name": "a", "image": "b"}])
    silent = pod(containers=[{"name": "a", "image": "b"}])
    assert value(said, silent) == value(silent, said) == 1.0


@pytest.mark.parametrize(
    ("key", "said"), [("status", "active"), ("namespace", "default"), ("protocol", "TCP"), ("replicas", "1")]
)
def test_a_key_of_ones_own_has_no_default_and_is_not_passed_over(key: str, said: str) -> None:
    text = "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, labels: {tier: b%s}}, data: {mode: c%s}}\n"
    entry = f", {key}: '{said}'"
    whole = text % (entry, entry)
    facts: list[list[Scalar]] = [["data.mode", "c"], [f"data.{key}", said]]
    assert value(text % ("", entry), whole) == value(text % (entry, ""), whole) == pytest.approx(2 * 4 / (5 + 4))
    assert value(text % ("", ""), whole, facts) == pytest.approx(2 * 1 / (2 + 1))
    assert value(whole, whole) == value(whole, whole, facts) == 1.0


def test_labels_of_items_may_change_where_nothing_else_does() -> None:
    one = pod(containers=[{"name": "a", "image": "x"}, {"name": "b", "image": "y"}])
    renamed = pod(containers=[{"name": "p", "image": "y"}, {"name": "q", "image": "x"}])
    assert value(renamed, one) == pytest.approx(3 / 5)


def test_a_renamed_object_loses_its_name_and_no_more() -> None:
    assert value(BARE.replace("metadata: {name: web}", "metadata: {name: other}"), BARE, FACTS) == pytest.approx(4 / 5)


def test_what_ends_in_the_middle_says_nothing() -> None:
    found = fidelity(BARE + "---\na: [", BARE, FACTS)
    assert found.value == 0.0
    assert found.why.startswith("not parsed: ")
