"""The objects of one manifest agree with each other, and a pod with itself."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest

from sluicegate.data.k8s.grammar import Made, make
from sluicegate.data.k8s.render import Body

PATHS = {
    **dict.fromkeys(("Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job"), ("spec", "template")),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
    "Pod": (),
}
"""Kind → where its pod template is."""
PAIR = ["Service", "StatefulSet", "Deployment"]
CLUSTER = {"ClusterRole", "ClusterRoleBinding"}


@cache
def manifests() -> tuple[Made, ...]:
    return tuple(make(31, place) for place in range(1500))


def template(body: Body) -> Body:
    for step in PATHS[body["kind"]]:
        body = body[step]
    return body


def named(made: Made, kind: str) -> dict[str, Body]:
    return {body["metadata"]["name"]: body for body in made.bodies if body["kind"] == kind}


def started(made: Made) -> list[Body]:
    return [body for body in made.bodies if body["kind"] in PATHS]


def containers(body: Body) -> Iterator[Body]:
    spec = template(body)["spec"]
    yield from (*spec.get("initContainers", ()), *spec["containers"])


def selected(made: Made, selector: dict[str, str]) -> list[Body]:
    return [body for body in started(made) if selector.items() <= template(body)["metadata"].get("labels", {}).items()]


def several(kind: str) -> list[Made]:
    """The manifests that have an object of a kind together with something that starts pods."""
    found = [made for made in manifests() if named(made, kind) and started(made)]
    assert len(found) > 5
    return found


def test_one_namespace_a_manifest() -> None:
    for made in manifests():
        assert len({body["metadata"].get("namespace") for body in made.bodies if body["kind"] not in CLUSTER}) <= 1
        assert not any("namespace" in body["metadata"] for body in made.bodies if body["kind"] in CLUSTER)


def test_services_lead_to_ports_of_pods() -> None:
    for made in several("Service"):
        for service in named(made, "Service").values():
            pods = selected(made, service["spec"]["selector"])
            assert len(pods) == 1, made
            ports = [port for container in containers(pods[0]) for port in container.get("ports", ())]
            known = {port["containerPort"] for port in ports} | {port.get("name") for port in ports}
            for port in service["spec"]["ports"]:
                assert port.get("targetPort", port["port"]) in known


def test_ingresses_lead_to_ports_of_services() -> None:
    for made in (made for made in manifests() if named(made, "Ingress") and named(made, "Service")):
        services = named(made, "Service")
        for ingress in named(made, "Ingress").values():
            for rule in ingress["spec"]["rules"]:
                for path in rule["http"]["paths"]:
                    leads = path["backend"]["service"]
                    ports = services[leads["name"]]["spec"]["ports"]
                    known = {("number", port["port"]) for port in ports} | {
                        ("name", port.get("name")) for port in ports
                    }
                    assert set(leads["port"].items()) <= known
            for row in ingress["spec"].get("tls", ()):
                assert row["hosts"] == [rule["host"] for rule in ingress["spec"]["rules"]]


def test_autoscalers_have_something_to_scale_and_to_measure() -> None:
    for made in several("HorizontalPodAutoscaler"):
        for scaler in named(made, "HorizontalPodAutoscaler").values():
            target = scaler["spec"]["scaleTargetRef"]
            body = named(made, target["kind"])[target["name"]]
            first = template(body)["spec"]["containers"][0]
            wanted = {
                metric["resource"]["name"]
                for metric in scaler["spec"]["metrics"]
                if metric["type"] == "Resource" and metric["resource"]["target"]["type"] == "Utilization"
            }
            assert wanted <= first["resources"]["requests"].keys()


def test_disruption_budgets_leave_room() -> None:
    for made in several("PodDisruptionBudget"):
        for budget in named(made, "PodDisruptionBudget").values():
            (body,) = selected(made, budget["spec"]["selector"]["matchLabels"])
            assert body["spec"].get("replicas", 2) > 1
            assert budget["spec"].get("minAvailable") in (None, 1, "50%", "60%", "66%", "75%")


def test_network_policies_select_pods() -> None:
    for made in several("NetworkPolicy"):
        for policy in named(made, "NetworkPolicy").values():
            assert len(selected(made, policy["spec"]["podSelector"]["matchLabels"])) == 1


def test_stateful_sets_have_their_service() -> None:
    for made in (made for made in several("StatefulSet") if named(made, "Service")):
        for body in named(made, "StatefulSet").values():
            service = named(made, "Service")[body["spec"]["serviceName"]]
            assert service["spec"]["clusterIP"] == "None"


@pytest.mark.parametrize(
    ("kind", "whole", "single"),
    [("ConfigMap", "configMapRef", "configMapKeyRef"), ("Secret", "secretRef", "secretKeyRef")],
)
def test_keys_are_in_the_map_or_secret_beside(kind: str, whole: str, single: str) -> None:
    for made in several(kind):
        for name, body in named(made, kind).items():
            entries, used = body.get("data") or body["stringData"], set[str]()
            for container in (container for each in started(made) for container in containers(each)):
                for source in container.get("envFrom", ()):
                    used |= {key for key in entries if source.get(whole, {}).get("name") == name}
                for variable in container.get("env", ()):
                    told = variable.get("valueFrom", {}).get(single, {})
                    used |= {told["key"]} if told.get("name") == name else set()
            files = {
                key
                for each in started(made)
                for volume in template(each)["spec"].get("volumes", ())
                if volume.get("configMap", {}).get("name") == name
                for key in entries
            }
            assert used | files == entries.keys()


def test_claims_are_mounted() -> None:
    for made in several("PersistentVolumeClaim"):
        mounted = {
            volume["persistentVolumeClaim"]["claimName"]
            for each in started(made)
            for volume in template(each)["spec"].get("volumes", ())
            if "persistentVolumeClaim" in volume
        }
        assert named(made, "PersistentVolumeClaim").keys() <= mounted


def test_every_volume_is_mounted() -> None:
    for made in manifests():
        for body in started(made):
            volumes = {volume["name"] for volume in template(body)["spec"].get("volumes", ())}
            claims = {claim["metadata"]["name"] for claim in body["spec"].get("volumeClaimTemplates", ())}
            used = {mount["name"] for each in containers(body) for mount in each.get("volumeMounts", ())}
            assert used == volumes | claims


def test_accounts_are_bound_and_used() -> None:
    for made in (made for made in manifests() if named(made, "ServiceAccount")):
        accounts = named(made, "ServiceAccount")
        for body in made.bodies:
            if body["kind"].endswith("Binding"):
                assert body["roleRef"]["name"] in named(made, body["roleRef"]["kind"])
                (subject,) = body["subjects"]
                assert subject["name"] in accounts
                home = accounts[subject["name"]]["metadata"].get("namespace")
                assert subject.get("namespace", home) in (home, "default")
        for body in started(made):
            assert template(body)["spec"]["serviceAccountName"] in accounts


def test_read_only_roots_have_somewhere_to_write() -> None:
    for made in manifests():
        for body in started(made):
            first = template(body)["spec"]["containers"][0]
            if first.get("securityContext", {}).get("readOnlyRootFilesystem"):
                assert any(not mount.get("readOnly") for mount in first["volumeMounts"])


def test_probes_ask_their_own_container() -> None:
    for made in manifests():
        for body in started(made):
            for container in containers(body):
                ports: set[Any] = set()
                for port in container.get("ports", ()):
                    ports |= {port["containerPort"], port.get("name")}
                for field in ("livenessProbe", "readinessProbe", "startupProbe"):
                    for handler in ("httpGet", "tcpSocket", "grpc"):
                        asked = container.get(field, {}).get(handler, {}).get("port")
                        assert asked is None or asked in ports


def test_no_two_containers_of_a_pod_listen_on_one_port() -> None:
    for made in manifests():
        for body in started(made):
            ports = [port["containerPort"] for each in containers(body) for port in each.get("ports", ())]
            assert len(ports) == len(set(ports))


def test_a_program_knows_where_its_store_is() -> None:
    """In its own variables, or in a ConfigMap that is elsewhere."""
    pairs = [made for made in manifests() if [body["kind"] for body in made.bodies][:3] == PAIR]
    told = 0
    for made in pairs:
        (store,), (front,) = named(made, "StatefulSet"), named(made, "Deployment").values()
        first = template(front)["spec"]["containers"][0]
        values = [variable.get("value") for variable in first.get("env", ())]
        told += store in values
        assert (
            store in values
            or any("configMapRef" in each for each in first.get("envFrom", ()))
            or "configMapKeyRef" in str(first)
        )
        assert store in named(made, "Service")
    assert told > len(pairs) / 2 > 1
