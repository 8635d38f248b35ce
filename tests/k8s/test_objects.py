"""From documents to objects and from objects to pods: lists, groups, names, and what is none of them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sluicegate.k8s.objects import entries, get, objects, weight, workloads
from sluicegate.k8s.parse import parse

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}


def found(text: str) -> list[tuple[str, str, str, tuple[str | int, ...]]]:
    return [(item.api_version, item.kind, item.name, item.path) for item in objects(parse(text))]


def test_documents_and_items_in_order() -> None:
    text = """\
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Pod, metadata: {name: a}}
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: apps/v1, kind: Deployment, metadata: {name: b, namespace: c}}
---
{apiVersion: v1, kind: ConfigMapList, items: [{metadata: {name: d}}, {kind: Secret, metadata: {name: e}}]}
---
{apiVersion: batch/v1, kind: Job}
"""
    assert found(text) == [
        ("v1", "Pod", "a", ("items", 0)),
        ("apps/v1", "Deployment", "b", ("items", 1, "items", 0)),
        ("v1", "ConfigMap", "d", ("items", 0)),
        ("v1", "Secret", "e", ("items", 1)),
        ("batch/v1", "Job", "", ()),
    ]
    listed = objects(parse(text))
    assert [(item.group, item.namespace, item.document) for item in listed] == [
        ("", "", 0), ("apps", "c", 0), ("", "", 1), ("", "", 1), ("batch", "", 2),
    ]  # fmt: skip
    assert [item.line(("metadata", "name")) for item in listed] == [4, 8, 10, 10, None]
    assert listed[2].body["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    "body",
    [
        "text", 1, [POD], {}, {"kind": "Pod"}, {"apiVersion": "v1"}, {**POD, "kind": 1}, {**POD, "kind": ""},
        {**POD, "apiVersion": None}, {**POD, "apiVersion": ["v1"]},
        {"apiVersion": "v1", "kind": "List", "items": ["text", {"kind": "Pod"}, None]},
    ],
)  # fmt: skip
def test_what_is_no_object(body: Any) -> None:
    parsed = parse(json.dumps(body))
    assert objects(parsed) == ()
    assert [entry.object for entry in entries(parsed)] == [None] * weight(body)


@pytest.mark.parametrize("items", [None, {}, "text"])
def test_a_list_without_a_list_is_an_object_by_itself(items: object) -> None:
    assert found(json.dumps({"apiVersion": "v1", "kind": "List", "items": items})) == [("v1", "List", "", ())]


@pytest.mark.parametrize("metadata", [None, [], "a", {"name": 1, "namespace": ["b"]}, {"name": None}])
def test_names_that_are_none(metadata: object) -> None:
    (item,) = objects(parse(json.dumps({**POD, "metadata": metadata})))
    assert (item.name, item.namespace) == ("", "")


def test_weight_is_never_less_than_the_entries() -> None:
    texts = [
        {"kind": "PodList", "apiVersion": "v1", "items": [{}, {"items": [{}, {}]}]},
        {"kind": "List", "apiVersion": "v1", "items": [{"kind": "List", "apiVersion": "v1", "items": []}, 1]},
        {"kind": "ListList", "apiVersion": "v1", "items": [{"items": [{}, {}]}, {"items": 1}]},
        {"kind": "A", "apiVersion": "v1", "items": [1, 2]},
    ]
    for body in texts:
        assert weight(body) >= len(list(entries(parse(json.dumps(body)))))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("api_version", "kind", "path"),
    [
        ("v1", "Pod", ("spec",)),
        ("apps/v1", "Deployment", ("spec", "template", "spec")),
        ("apps/v1", "StatefulSet", ("spec", "template", "spec")),
        ("apps/v1", "DaemonSet", ("spec", "template", "spec")),
        ("apps/v1", "ReplicaSet", ("spec", "template", "spec")),
        ("v1", "ReplicationController", ("spec", "template", "spec")),
        ("batch/v1", "Job", ("spec", "template", "spec")),
        ("batch/v1", "CronJob", ("spec", "jobTemplate", "spec", "template", "spec")),
    ],
)
def test_workloads_and_where_their_pods_are(api_version: str, kind: str, path: tuple[str, ...]) -> None:
    pod: Any = {"containers": [{"name": "a"}, None], "initContainers": "b", "ephemeralContainers": [{"name": "c"}]}
    body: Any = pod
    for step in reversed(path):
        body = {step: body}
    (load,) = workloads(objects(parse(json.dumps({"apiVersion": api_version, "kind": kind, **body}))))
    assert (load.pod_path, load.pod) == (path, pod)
    assert load.containers == (((*path, "containers", 0), {"name": "a"}),)
    assert load.init_containers == ()
    assert load.ephemeral_containers == (((*path, "ephemeralContainers", 0), {"name": "c"}),)
    assert load.job is (api_version == "batch/v1")
    assert load.windows is False


@pytest.mark.parametrize(
    ("api_version", "kind"),
    [
        ("serving.knative.dev/v1", "Service"),
        ("v1", "Service"),
        ("extensions/v1beta1", "Deployment"),
        ("apps/v1", "Pod"),
    ],
)
def test_kinds_that_start_no_pods(api_version: str, kind: str) -> None:
    assert workloads(objects(parse(json.dumps({"apiVersion": api_version, "kind": kind, "spec": {}})))) == ()


@pytest.mark.parametrize("spec", [None, [], "text", {"template": []}, {"template": {"spec": 1}}])
def test_a_pod_that_is_missing_is_empty(spec: object) -> None:
    (load,) = workloads(objects(parse(json.dumps({"apiVersion": "apps/v1", "kind": "Deployment", "spec": spec}))))
    assert (load.pod, load.containers) == ({}, ())


def test_get_walks_and_gives_up() -> None:
    value: Any = {"a": [{"b": None}]}
    assert get(value, "a", 0, "b", default=1) is None
    assert get(value, "a", -1) == {"b": None}
    for path in (("a", 1), ("a", "0"), ("b",), ("a", 0, "b", "c"), (0,)):
        assert get(value, *path, default=7) == 7
