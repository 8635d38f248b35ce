"""The strict schemas: what they use, what they say, and that a general validator says the same."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import UserError
from sluicegate.k8s import schema
from sluicegate.k8s.parse import parse
from sluicegate.k8s.schema import State, check, kinds, resolved, versions
from sluicegate.k8s.strict import USED, Schemas

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.yaml"))
NEWEST = resolved()
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a"}]}}


def told(body: Any, version: str = NEWEST) -> tuple[State, list[str]]:
    found = check(body, body["apiVersion"], body["kind"], kinds(version))
    return found.state, [str(issue) for issue in found.issues]


def parts(node: Any) -> Iterator[dict[str, Any]]:
    """Each schema within a schema."""
    yield node
    for below in (*node.get("properties", {}).values(), *node.get("oneOf", ())):
        yield from parts(below)
    for below in (node.get("items"), node.get("additionalProperties")):
        if isinstance(below, dict):
            yield from parts(below)


def test_versions_are_in_order_and_have_the_kinds_that_people_write() -> None:
    assert versions() == tuple(sorted(versions(), key=lambda text: [int(part) for part in text.split(".")]))
    assert len(versions()) >= 10
    for version in versions():
        for told_kind in (("v1", "Pod"), ("apps/v1", "Deployment"), ("batch/v1", "CronJob"), ("v1", "ConfigMapList")):
            assert told_kind in kinds(version).names


@pytest.mark.parametrize("version", versions())
def test_the_schemas_use_no_more_than_is_compiled(version: str) -> None:
    for definition in kinds(version).schemas.definitions.values():
        for part in parts(definition):
            keywords = {name for name in part if not name.startswith("x-")} - {"description", "default", "format"}
            assert keywords <= USED
            for alone in ("$ref", "oneOf"):
                assert alone not in part or keywords == {alone}
            assert "enum" not in part or keywords <= {"enum", "type"}


@pytest.mark.parametrize("text", ["", "1.37", "v1.37", "1.37.2"])
def test_spellings_of_a_version(text: str) -> None:
    assert resolved(text) == "1.37"


@pytest.mark.parametrize("text", ["1", "1.2", "2.0", "latest", "../1.37", "1.37\n", "１.37", "1.37.x", "x" * 500])
def test_a_version_that_is_not_there(text: str) -> None:
    with pytest.raises(UserError) as caught:
        resolved(text)
    assert "one of 1." in str(caught.value)
    assert len(str(caught.value)) < 400


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    schema._folders.cache_clear()
    monkeypatch.setattr(schema, "PACKAGE", "no_such_package")
    try:
        with pytest.raises(UserError, match="schemas are missing") as caught:
            versions()
        assert "pip install" in caught.value.mend
        assert "--no-validity" in caught.value.mend
    finally:
        schema._folders.cache_clear()


@pytest.mark.parametrize(
    ("change", "issues"),
    [
        ({}, []),
        ({"spec": {"containers": [{"name": "a", "image": None}]}}, []),
        ({"spec": {"containers": [{"nam": "a"}]}}, [
            "spec.containers[0].nam: wanted one of name, envFrom, terminationMessagePath, seen an unknown field",
            "spec.containers[0].name: wanted a text, seen nothing",
        ]),
        ({"spec": {"containers": {}}}, ["spec.containers: wanted a list, seen an empty mapping"]),
        ({"spec": {"containers": [{"name": 1}]}}, ["spec.containers[0].name: wanted a text, seen 1"]),
        ({"spec": {"containers": ["a"]}}, ["spec.containers[0]: wanted a mapping, seen the text 'a'"]),
        ({"spec": {}}, ["spec.containers: wanted a list, seen nothing"]),
        ({"metadata": {"labels": {"a": True}}}, ["metadata.labels.a: wanted a text, seen true"]),
        ({"metadata": {"labels": {"a": 1.5}}}, ["metadata.labels.a: wanted a text, seen 1.5"]),
        ({"spec": {**POD["spec"], "hostNetwork": "yes"}}, [  # type: ignore[dict-item]
            "spec.hostNetwork: wanted true or false, seen the text 'yes'"
        ]),
        ({"spec": {**POD["spec"], "priority": 2**31}}, [  # type: ignore[dict-item]
            "spec.priority: wanted a whole number of 32 bits, seen 2147483648"
        ]),
        ({"spec": {**POD["spec"], "activeDeadlineSeconds": 1.5}}, [  # type: ignore[dict-item]
            "spec.activeDeadlineSeconds: wanted a whole number of 64 bits, seen 1.5"
        ]),
        ({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": True}}}]}}, [
            "spec.containers[0].resources.limits.cpu: wanted a text or a number, seen true"
        ]),
        ({"spec": {"containers": [{"name": "a", "livenessProbe": {"httpGet": {"port": []}}}]}}, [
            "spec.containers[0].livenessProbe.httpGet.port: wanted a text or a whole number, seen an empty list"
        ]),
    ],
)  # fmt: skip
def test_what_an_object_is_told(change: dict[str, Any], issues: list[str]) -> None:
    assert told({**POD, **change}) == (State.INVALID if issues else State.VALID, issues)


@pytest.mark.parametrize(
    ("api_version", "kind", "issue"),
    [
        ("extensions/v1beta1", "Deployment",
         "apiVersion: wanted apps/v1 for a Deployment, seen extensions/v1beta1 Deployment"),
        ("autoscaling/v2beta2", "HorizontalPodAutoscaler",
         "apiVersion: wanted autoscaling/v1 or autoscaling/v2 for a HorizontalPodAutoscaler, "
         "seen autoscaling/v2beta2 HorizontalPodAutoscaler"),
        ("apps/v1", "deployment", "apiVersion: wanted apps/v1 for a Deployment, seen apps/v1 deployment"),
        ("serving.knative.dev/v1", "Service",
         "kind: wanted a kind of Kubernetes 1.37, seen serving.knative.dev/v1 Service"),
        ("v1", "../../Pod", "kind: wanted a kind of Kubernetes 1.37, seen v1 ../../Pod"),
        ("v1", "a\nb", "kind: wanted a kind of Kubernetes 1.37, seen 'v1 a\\nb'"),
        ("v1", "DeleteOptions", "kind: wanted a kind of Kubernetes 1.37, seen v1 DeleteOptions"),
    ],
)  # fmt: skip
def test_kinds_that_are_unknown(api_version: str, kind: str, issue: str) -> None:
    assert told({"apiVersion": api_version, "kind": kind}, "1.37") == (State.UNKNOWN, [issue])


def test_a_kind_comes_and_goes_with_the_version() -> None:
    flow = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1beta2", "kind": "FlowSchema", "metadata": {"name": "a"}}
    assert told(flow, "1.25")[0] is State.VALID
    assert told(flow, NEWEST)[0] is State.UNKNOWN


def test_a_definition_that_names_itself() -> None:
    inner: dict[str, Any] = {"type": "object"}
    for _ in range(30):
        inner = {"type": "object", "properties": {"a": inner}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": inner}}
    body = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": "a"},
            "spec": {"group": "a.b", "scope": "Cluster", "names": {"kind": "A", "plural": "as"},
                     "versions": [version]}}  # fmt: skip
    assert told(body)[0] is State.VALID
    deepest = inner
    while "properties" in deepest:
        deepest = deepest["properties"]["a"]
    deepest["type"] = 1
    assert told(body)[0] is State.INVALID


def test_issues_of_an_object_are_bounded() -> None:
    body = {**POD, "spec": {"containers": [{f"f{number}": 1 for number in range(1000)}]}}
    assert len(told(body)[1]) == 20


def test_the_schemas_are_read_once_a_process() -> None:
    assert kinds(NEWEST) is kinds(NEWEST)
    started = time.process_time()
    read = kinds.cache_info().misses
    for _ in range(1000):
        told(POD)
    assert kinds.cache_info().misses == read
    assert time.process_time() - started < 30.0


# A general validator of JSON Schema, over the same definitions, as the oracle.
DEFINITIONS = kinds(NEWEST).schemas.definitions
OBJECTS: list[dict[str, Any]] = [
    body
    for path in FIXTURES
    for document in parse(path.read_bytes()).documents
    if isinstance(body := document.value, dict)
]


def accepts(name: str, body: Any) -> bool:
    whole = {"$ref": f"#/$defs/{name}", "$defs": DEFINITIONS}
    return bool(jsonschema.Draft202012Validator(whole).is_valid(body))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixtures_as_the_oracle_says(path: Path) -> None:
    (body,) = [document.value for document in parse(path.read_bytes()).documents]
    assert isinstance(body, dict)
    name = kinds(NEWEST).names[str(body["apiVersion"]), str(body["kind"])]
    assert (told(body)[0] is State.VALID) == accepts(name, body)


FIELDS = ["image", "name", "volumes", "unknown", "ports", "command", "type"]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 70_000), st.floats(-10, 10), st.text(max_size=5),
    st.lists(st.integers(0, 9), max_size=2), st.dictionaries(st.sampled_from(["name", "a"]), st.text(max_size=3)),
    st.just({}), st.just([]), st.sampled_from([1.0, 2.5, "1Gi", "true"]),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_spoilt_objects_as_the_oracle_says(data: st.DataObject) -> None:
    """Any part of a right object replaced, added or taken away."""
    body = copy.deepcopy(data.draw(st.sampled_from(OBJECTS)))
    name = kinds(NEWEST).names[body["apiVersion"], body["kind"]]
    for _ in range(data.draw(st.integers(1, 2))):
        here: Any = body["spec"]
        for _ in range(data.draw(st.integers(0, 8))):
            inside = here.values() if isinstance(here, dict) else here
            below = [value for value in inside if value and isinstance(value, (dict, list))]
            if not below:
                break
            here = data.draw(st.sampled_from(below))
        steps = list(here) if isinstance(here, dict) else list(range(len(here)))
        way = data.draw(st.sampled_from(["replace", "add", "remove"]))
        if way == "add" or not steps:
            if isinstance(here, dict):
                here[data.draw(st.sampled_from(FIELDS))] = data.draw(VALUES)
            else:
                here.append(data.draw(VALUES))
        elif way == "replace":
            here[data.draw(st.sampled_from(steps))] = data.draw(VALUES)
        else:
            del here[data.draw(st.sampled_from(steps))]
    state, issues = told(body)
    assert (state is State.VALID) == accepts(name, body), (issues, json.dumps(body))
    assert bool(issues) == (state is State.INVALID)


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_small_schemas_as_the_oracle_says(value: Any) -> None:
    definitions: dict[str, Any] = {
        "whole": {"type": "integer"}, "number": {"type": ["number", "null"]}, "text": {"type": ["string", "null"]},
        "port": {"oneOf": [{"type": ["string", "null"]}, {"type": ["integer", "null"]}]},
        "list": {"type": "array", "items": {"$ref": "#/$defs/whole"}}, "any": {}, "object": {"type": "object"},
        "strict": {"type": "object", "properties": {"name": {"type": "string"}}, "additionalProperties": False,
                   "required": ["name"]},
        "labels": {"type": ["object", "null"], "additionalProperties": {"type": ["string", "null"]}},
        "enum": {"type": "string", "enum": ["true", "1Gi"]},
    }  # fmt: skip
    known = Schemas(definitions)
    for name in definitions:
        oracle = jsonschema.Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": definitions})
        assert known.accepts(name, value) == oracle.is_valid(value), name
        assert known.accepts(name, value) != bool(list(known.explain(name, value)))
