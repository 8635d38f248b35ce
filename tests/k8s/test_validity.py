"""The levels of validity, of objects and of texts, and what the linter makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import UserError
from sluicegate.k8s.lint import Source, lint
from sluicegate.k8s.output import Problem
from sluicegate.k8s.parse import parse
from sluicegate.k8s.schema import State
from sluicegate.k8s.validity import validity

FIXTURES = sorted((Path(__file__).parent / "fixtures").glob("*.yaml"))
GOOD = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: b, image: c}]}}"
LEVELS = ("parses", "objects", "strict", "clean", "valid")


def levels(text: str | bytes) -> tuple[bool, ...]:
    found = validity(text)
    return tuple(getattr(found, level) for level in LEVELS)


@pytest.mark.parametrize(
    ("text", "told", "why"),
    [
        # parses, objects, strict, clean, valid
        (GOOD, (1, 1, 1, 1, 1), ""),
        (f"{GOOD}\n---\n{GOOD.replace('name: a', 'name: b')}", (1, 1, 1, 1, 1), ""),
        ("a: [", (0, 0, 0, 0, 0), "line 2: syntax: while parsing a flow node"),
        (f"{GOOD}\n---\na: [", (0, 0, 0, 0, 0), "line 4: syntax"),
        (b"\xff", (0, 0, 0, 0, 0), "line 1: not UTF-8"),
        ("", (1, 0, 0, 0, 0), "no Kubernetes object"),
        ("{apiVersion: v1, kind: List, items: []}", (1, 0, 0, 0, 0), "no Kubernetes object"),
        ("I cannot help with that.", (1, 0, 0, 0, 0), "line 1: the object: wanted a mapping with apiVersion and kind"),
        ("kind: Pod", (1, 0, 0, 0, 0), "line 1: apiVersion: wanted a text, seen nothing"),
        (GOOD.replace("kind: Pod", "kind: 1"), (1, 0, 0, 0, 0), "line 1: kind: wanted a text, seen 1"),
        (GOOD.replace("name: a", "x: a"), (1, 0, 0, 0, 0), "line 1: metadata.name: wanted a text, seen nothing"),
        (GOOD.replace("name: a", "name: 1"), (1, 0, 0, 0, 0), "line 1: metadata.name: wanted a text, seen 1"),
        (GOOD.replace("name: a", "generateName: a-"), (1, 1, 1, 1, 1), ""),
        (GOOD.replace("image: c", "imag: c"), (1, 1, 0, 0, 0), "line 1: spec.containers[0].imag: wanted one of image"),
        (GOOD.replace("image: c", "image: c, command: d"), (1, 1, 0, 1, 0), "line 1: spec.containers[0].command"),
        (GOOD.replace("image: c", "image: c, image: c"), (1, 1, 0, 1, 0), "line 1: duplicate key: the key 'image'"),
        (GOOD.replace("name: b", "name: B"), (1, 1, 1, 0, 0), "line 1: spec.containers[0].name: wanted a DNS label"),
        (f"{GOOD}\n---\n{GOOD}", (1, 1, 1, 0, 0), "line 3: metadata.name: wanted a name that no other Pod"),
        ("{apiVersion: a.example/v1, kind: B, metadata: {name: c}}", (1, 1, 0, 1, 0), "line 1: kind: wanted a kind of"),
        (f"{GOOD}\n---\nkind: Pod", (1, 0, 0, 0, 0), "line 3: apiVersion"),
        ("{apiVersion: v1, kind: PodList, items: [{metadata: {name: a}, spec: {containers: [{name: b, image: c}]}}]}",
         (1, 1, 1, 1, 1), ""),
        ("{apiVersion: v1, kind: List, items: 1}", (1, 0, 0, 0, 0), "line 1: items: wanted a list of objects, seen 1"),
        ("{apiVersion: authentication.k8s.io/v1, kind: TokenReview, spec: {token: a}}", (1, 1, 1, 1, 1), ""),
        ("{apiVersion: apiregistration.k8s.io/v1, kind: APIService, metadata: {generateName: a}}", (1, 0, 0, 0, 0),
         "line 1: metadata.name: wanted a text, seen nothing"),
    ],
)  # fmt: skip
def test_the_levels_of_a_text(text: str | bytes, told: tuple[int, ...], why: str) -> None:
    assert levels(text) == tuple(map(bool, told))
    found = validity(text).why
    assert found.startswith(why)
    assert (found == "") == (why == "")


def test_the_levels_of_each_object() -> None:
    text = f"""\
{GOOD}
---
apiVersion: v1
kind: Service
metadata: {{name: a}}
spec: {{ports: [{{port: 0, foo: 1}}]}}
---
{{apiVersion: a.example/v1, kind: B, metadata: {{name: c}}}}
---
apiVersion: v1
kind: List
items:
- text
- {{apiVersion: v1, kind: Namespace}}
"""
    found = validity(text)
    assert [(each.document, each.path, each.line) for each in found.entries] == [
        (0, (), 1), (1, (), 3), (2, (), 8), (3, ("items", 0), 13), (3, ("items", 1), 14),
    ]  # fmt: skip
    assert [(each.is_object, each.state, each.strict, each.clean, each.valid) for each in found.entries] == [
        (True, State.VALID, True, True, True),
        (True, State.INVALID, False, False, False),
        (True, State.UNKNOWN, False, True, False),
        (False, None, False, True, False),
        (False, State.VALID, False, True, False),
    ]
    assert [[issue.rule for issue in each.issues] for each in found.entries] == [
        [], ["schema", "service-port"], ["schema"], ["object"], ["object"],
    ]  # fmt: skip
    assert (found.unknown, found.parses, found.objects) == (1, True, False)


def test_the_version_decides() -> None:
    beta = "{apiVersion: flowcontrol.apiserver.k8s.io/v1beta2, kind: FlowSchema, metadata: {name: a}}"
    assert (validity(beta, "1.25").valid, validity(beta).valid) == (True, False)
    assert (validity(beta, "v1.25.3").version, validity(GOOD, "").version) == ("1.25", validity(GOOD).version)
    with pytest.raises(UserError):
        validity(GOOD, "0.1")


def test_a_parsed_text_is_not_parsed_again() -> None:
    assert validity(parse(GOOD)) == validity(GOOD) == validity(GOOD.encode())


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_fixtures_are_valid_but_for_what_kubernetes_refuses(path: Path) -> None:
    refused = {
        "drop_all_capabilities.fail.no-list", "liveness_probe.fail.no-handler", "liveness_probe.fail.two-handlers",
        "no_privilege_escalation.fail.as-text", "no_privilege_escalation.fail.on-the-pod",
        "resource_limits.fail.no-quantity", "run_as_non_root.fail.user-as-text",
    }  # fmt: skip
    assert validity(path.read_bytes()).valid == (path.stem not in refused), validity(path.read_bytes()).why


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(), st.binary(), st.text("apiVersion: v1\nkd{}[]-,'*&\"")))
def test_no_text_makes_it_raise(text: str | bytes) -> None:
    found = validity(text)
    assert found.valid == (found.why == "")
    assert found.valid <= found.strict <= found.objects <= found.parses


def problems(text: str, version: str | None = "", found: bool = False) -> list[tuple[int | None, bool, str]]:
    linted = lint(Source("a", text.encode(), found=found), version)
    return [(problem.line, problem.refused, problem.told) for problem in linted.problems]


def test_the_linter_tells_of_what_kubernetes_refuses() -> None:
    assert problems(GOOD) == []
    assert problems(GOOD.replace("name: b", "name: B")) == [
        (1, True, "Pod/a: spec.containers[0].name: wanted a DNS label: at most 63 of a-z, 0-9 and -, a letter or digit "
                  "at both ends, seen the text 'B' (container-name)")
    ]  # fmt: skip
    assert problems(GOOD.replace("image", "imag"))[0][2].endswith("seen an unknown field (schema)")
    assert problems(GOOD.replace("name: b", "name: B"), None) == []


def test_the_linter_tells_of_a_key_that_is_there_twice_once() -> None:
    text = GOOD.replace("image: c", "image: c, image: d")
    assert problems(text) == [(1, True, "the text: the key 'image' appears twice")]
    assert lint(Source("a", text.encode()), "").faults == ()
    assert len(lint(Source("a", text.encode()), None).faults) == 1


@pytest.mark.parametrize(
    ("api_version", "kind", "refused"),
    [
        ("extensions/v1beta1", "Deployment", True),
        ("apps/v1", "Deploymnt", True),
        ("networking.k8s.io/v1beta1", "Ingress", True),
        ("serving.knative.dev/v1", "Service", False),
        ("gateway.networking.k8s.io/v1", "Gateway", False),
        ("kustomize.config.k8s.io/v1beta1", "Kustomization", False),
    ],
)
def test_only_a_group_of_its_own_is_refused_without_a_schema(api_version: str, kind: str, refused: bool) -> None:
    for metadata in ("{name: a}", "{}"):
        told = problems(f"{{apiVersion: {api_version}, kind: {kind}, metadata: {metadata}}}")
        assert {each[1] for each in told} == {refused}


@pytest.mark.parametrize(
    ("text", "named", "found"),
    [
        ("on: push", 2, 0),
        ("text", 1, 0),
        ("- a", 1, 0),
        ("kind: Pod", 1, 1),
        ("apiVersion: v1", 1, 1),
    ],
)
def test_yaml_of_another_kind_is_an_error_only_where_it_was_named(text: str, named: int, found: int) -> None:
    assert sum(each[1] for each in problems(text)) == named
    assert sum(each[1] for each in problems(text, found=True)) == found


def test_a_text_without_an_object_is_told_of() -> None:
    assert problems("") == problems("# nothing") == [(None, False, "the text: it holds no Kubernetes object")]
    assert problems("", found=True) == []


def test_a_template_is_told_what_to_do() -> None:
    (told,) = lint(Source("a", b"kind: Pod\nname: {{ .Values.name }}\n"), None).problems
    assert isinstance(told, Problem)
    assert "helm template" in told.what
