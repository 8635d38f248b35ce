"""A hardened copy passes what it can, says what it cannot, and differs in the named fields alone."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.k8s.checks import CHECKS, State
from sluicegate.k8s.fix import ELSEWHERE, MAPPING, fix
from sluicegate.k8s.objects import get
from sluicegate.k8s.parse import parse
from sluicegate.k8s.score import score
from sluicegate.k8s.validity import validity

FIXTURES = Path(__file__).parent / "fixtures"
ALL = sorted(FIXTURES.glob("*.yaml"))
NEVER = {"host_isolation", "resource_limits", "liveness_probe", "readiness_probe", "image_pinned"}

BARE = """\
# before

apiVersion: apps/v1
kind: Deployment
metadata: {name: 'web', labels: {app:  web}}   # two blanks
spec:
    replicas:   2
    selector:
        matchLabels: {app: web}
    template:
        metadata:
            labels: {app: web}
        spec:
            containers:
                -   image: "nginx"     # a comment, far off
                    name: web
                    args:
                    - a
                    -   b
                    env: [ {name: TEXT, value: "yes"} ]
                    # after the last field

            terminationGracePeriodSeconds: 0x10
# behind
---
---
# a second one
kind: ConfigMap
apiVersion: v1
data:
  script: |+
    one

"""


def failed(text: str) -> set[str]:
    return {
        finding.check for judged in score(text).judged for finding in judged.findings if finding.state is State.FAIL
    }


def to_mend(text: str) -> set[str]:
    """Checks with a flaw that can be mended without knowing the application."""
    return {
        each.check
        for judged in score(text).judged
        for each in judged.findings
        if any(not flaw.needs for flaw in each.flaws)
    }


def without_flaws_to_mend(text: str) -> bool:
    return not to_mend(text)


def lost(before: str, after: str) -> list[str]:
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line.startswith("- ")]


def test_what_was_written_stays_to_the_last_blank() -> None:
    fixed = fix(BARE)
    assert lost(BARE, fixed.text) == []
    assert failed(fixed.text) == {
        "resource_requests", "resource_limits", "liveness_probe", "readiness_probe", "image_pinned",
    }  # fmt: skip
    assert {left.check for left in fixed.left} == failed(fixed.text)
    assert all(left.needs for left in fixed.left)
    assert (
        """\
                    env: [ {name: TEXT, value: "yes"} ]
                    securityContext:
                        allowPrivilegeEscalation: false
                        capabilities:
                            drop:
                                - ALL
                        readOnlyRootFilesystem: true
                    # after the last field

            terminationGracePeriodSeconds: 0x10
            securityContext:
                runAsNonRoot: true
                seccompProfile:
                    type: RuntimeDefault
# behind
"""
        in fixed.text
    )


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_fixed_fixture_has_nothing_left_to_mend(path: Path) -> None:
    text = path.read_text()
    fixed = fix(text)
    assert without_flaws_to_mend(fixed.text)
    assert {left.check for left in fixed.left} == failed(fixed.text)
    assert (fixed.text == text) == (not fixed.changes)
    for change in fixed.changes:
        assert change.check not in NEVER


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_second_fix_changes_nothing(path: Path) -> None:
    once = fix(path.read_text()).text
    again = fix(once)
    assert (again.text, again.changes) == (once, ())


def pod(body: str) -> str:
    return f"apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\nspec:\n{body}"


def test_what_contradicts_is_replaced_and_told() -> None:
    text = pod(
        "  securityContext: {seccompProfile: {type: Unconfined}, runAsNonRoot: false}\n"
        "  containers:\n"
        "  - image: a:1\n"
        "    securityContext:\n"
        "      readOnlyRootFilesystem: false  # it writes to /tmp\n"
        "      allowPrivilegeEscalation: True\n"
        "      capabilities: {drop: [all, 'NET_RAW']}\n"
    )
    fixed = fix(text)
    assert [(change.check, change.before, change.after) for change in fixed.changes] == [
        ("run_as_non_root", "false", "true"),
        ("no_privilege_escalation", "true", "false"),
        ("drop_all_capabilities", "[all, NET_RAW]", "[ALL, NET_RAW]"),
        ("read_only_root_fs", "false", "true"),
        ("seccomp_profile", "Unconfined", "RuntimeDefault"),
    ]
    assert "      readOnlyRootFilesystem: true  # it writes to /tmp\n" in fixed.text
    assert "      capabilities: {drop: [ALL, 'NET_RAW']}\n" in fixed.text
    assert "  securityContext: {seccompProfile: {type: RuntimeDefault}, runAsNonRoot: true}\n" in fixed.text


def test_limits_say_what_the_requests_are() -> None:
    text = pod("  containers:\n  - image: a:1\n    resources:\n      limits: {cpu: '1', memory: 1Gi}\n")
    value = yaml.safe_load(fix(text).text)
    assert value["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "1", "memory": "1Gi"}


def test_what_needs_the_application_is_left() -> None:
    text = pod(
        "  hostNetwork: true\n"
        "  volumes: [{name: a, hostPath: {path: /}}]\n"
        "  containers:\n"
        "  - image: a\n"
        "    ports: [{containerPort: 1, hostPort: 1}]\n"
        "    securityContext: {privileged: true, runAsUser: 0, capabilities: {add: [SYS_ADMIN]}}\n"
    )
    value = yaml.safe_load(fix(text).text)
    assert value["spec"]["hostNetwork"] is True
    assert value["spec"]["volumes"] == [{"name": "a", "hostPath": {"path": "/"}}]
    assert value["spec"]["containers"][0]["securityContext"] == {
        "privileged": True, "runAsUser": 0, "capabilities": {"add": ["SYS_ADMIN"], "drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }  # fmt: skip


def test_what_was_written_where_a_mapping_belongs_is_left_and_told() -> None:
    text = pod("  containers:\n  - image: a:1\n    securityContext:\n      runAsUser:1000\n      fsGroup:2000\n")
    fixed = fix(text)
    assert lost(text, fixed.text) == []
    assert "  securityContext:\n    runAsNonRoot: true\n" in fixed.text
    seen = {left.check: left.needs for left in fixed.left}
    assert seen["read_only_root_fs"] == f"what is meant by the text 'runAsUser:1000 fsGroup:2000': {MAPPING}"


def test_a_container_that_adds_sys_admin_is_not_made_one_that_kubernetes_refuses() -> None:
    text = pod("  containers:\n  - {name: a, image: a:1, securityContext: {capabilities: {add: [CAP_SYS_ADMIN]}}}\n")
    fixed = fix(text)
    assert validity(text).valid
    assert validity(fixed.text).valid
    needs = {left.check: left.needs for left in fixed.left}
    assert needs["no_privilege_escalation"] == "whether it can do without CAP_SYS_ADMIN"


def test_a_container_that_is_root_keeps_the_flag_off_the_pod() -> None:
    text = pod(
        "  initContainers:\n  - image: a:1\n    securityContext: {runAsUser: 0}\n  containers:\n  - image: a:1\n"
    )
    value = yaml.safe_load(fix(text).text)
    assert "runAsNonRoot" not in value["spec"]["securityContext"]
    assert value["spec"]["containers"][0]["securityContext"]["runAsNonRoot"] is True
    assert "runAsNonRoot" not in value["spec"]["initContainers"][0]["securityContext"]


def test_json_stays_json() -> None:
    text = (
        '{"apiVersion": "v1", "kind": "Pod", "spec": {\n  "containers": [{"image": "a:1", "securityContext": {}}]\n}}\n'
    )
    fixed = fix(text)
    assert yaml.safe_load(fixed.text) == json.loads(fixed.text)
    assert without_flaws_to_mend(fixed.text)


@pytest.mark.parametrize("context", ["", " null", " ~", " # none", " {}", " []", " text"])
def test_a_context_that_holds_nothing(context: str) -> None:
    text = pod(f"  containers:\n  - securityContext:{context}\n    image: a:1\n  securityContext:{context}\n")
    fixed = fix(text)
    if context in (" []", " text"):  # where a mapping belongs: nothing here says what was meant
        assert fixed.text == text
        assert {left.check for left in fixed.left if MAPPING in left.needs} == to_mend(text)
    else:
        assert without_flaws_to_mend(fixed.text), fixed.text
        assert "# none" not in context or fixed.text.count("# none") == 2


def test_line_ends_byte_order_mark_and_a_missing_last_newline_stay() -> None:
    text = "\ufeff" + pod("  containers:\n  - image: ä:1 # ü").replace("\n", "\r\n")
    fixed = fix(text)
    assert fixed.text.startswith("\ufeffapiVersion: v1\r\n")
    assert "\n" not in fixed.text.replace("\r\n", "")
    assert "ä:1 # ü\r\n" in fixed.text
    assert not fixed.text.endswith("\n")
    assert without_flaws_to_mend(fixed.text[1:])


def test_a_text_block_at_the_end_keeps_its_lines() -> None:
    text = pod("  containers:\n  - image: a:1\n    args:\n    - |\n      one\n      # no comment\n\n---\nkind: x\n")
    fixed = fix(text)
    assert without_flaws_to_mend(fixed.text)
    assert yaml.safe_load(fixed.text.split("---")[0])["spec"]["containers"][0]["args"] == ["one\n# no comment\n"]


SHARED = """\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - image: a:1
    securityContext: &context
      privileged: false
  - image: b:1
    securityContext: *context
"""


def test_an_alias_that_is_meant_to_change_in_both_places_does() -> None:
    fixed = fix(SHARED)
    assert without_flaws_to_mend(fixed.text)
    assert "securityContext: *context" in fixed.text
    assert fixed.text.count("readOnlyRootFilesystem") == 1


def test_an_alias_that_would_carry_the_change_elsewhere_is_refused() -> None:
    text = (
        SHARED
        + "---\n"
        + SHARED.replace("privileged: false", "readOnlyRootFilesystem: true")
        .replace("  containers:", "  volumes:\n  - name: v\n    emptyDir: &context {}\n  containers:")
        .replace("&context\n      readOnlyRootFilesystem: true", "*context")
    )
    fixed = fix(text)
    first, second = fixed.text.split("---\n")
    assert second == text.split("---\n")[1]
    assert "readOnlyRootFilesystem" in first
    assert {left.needs for left in fixed.left if left.check == "read_only_root_fs"} == {ELSEWHERE}


def test_a_merge_key_is_kept_and_what_it_brings_is_not_shadowed() -> None:
    text = """\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  containers:
  - &base
    image: a:1
    securityContext: {privileged: false}
  - <<: *base
    name: b
"""
    fixed = fix(text)
    (again,) = [document.value for document in parse(fixed.text).documents]
    if fixed.changes:
        assert without_flaws_to_mend(fixed.text)
        contexts = [get(again, "spec", "containers", place, "securityContext", "privileged") for place in (0, 1)]
        assert contexts == [False, False]
    else:
        assert fixed.text == text
        assert ELSEWHERE in {left.needs for left in fixed.left}


def test_a_list_of_objects_is_fixed_in_place() -> None:
    text = """\
apiVersion: v1
kind: List
items:
- apiVersion: batch/v1
  kind: CronJob
  spec:
    jobTemplate:
      spec:
        template:
          spec:
            containers:
            - image: a:1
- apiVersion: v1
  kind: Service
"""
    fixed = fix(text)
    assert lost(text, fixed.text) == []
    assert without_flaws_to_mend(fixed.text)
    assert len(score(fixed.text).judged) == 1


def test_more_flaws_than_are_kept_are_left_as_a_whole() -> None:
    text = pod("  containers:\n" + "  - image: a:1\n" * 100)
    fixed = fix(text)
    assert (fixed.text, fixed.changes) == (text, ())
    assert "nothing was changed" in fixed.fault
    assert fix(pod("  containers:\n" + "  - image: a:1\n" * 99)).changes


def test_a_check_that_is_skipped_changes_nothing() -> None:
    fixed = fix(BARE, {"read_only_root_fs", "image_pinned"})
    assert "readOnlyRootFilesystem" not in fixed.text
    told = {change.check for change in fixed.changes} | {left.check for left in fixed.left}
    assert not told & {"read_only_root_fs", "image_pinned"}
    assert "allowPrivilegeEscalation: false" in fixed.text


def test_one_document_that_cannot_be_mended_leaves_the_others_mended() -> None:
    good = pod("  containers:\n  - image: a:1\n")
    held = pod("  securityContext: &x {}\n  containers:\n  - image: a:1\n    securityContext: *x\n")
    fixed = fix("---\n".join([good, held, good, held, good]))
    first, second, third, fourth, fifth = fixed.text.split("---\n")
    assert (second, fourth) == (held, held)
    assert first == third == fifth == fix(good).text
    assert {left.needs for left in fixed.left if left.check == "read_only_root_fs"} == {ELSEWHERE}


@pytest.mark.parametrize("text", ["a: [", "\x00", "a: b: c", "*x"])
def test_a_text_that_does_not_parse_is_handed_back(text: str) -> None:
    fixed = fix(text)
    assert (fixed.text, fixed.changes) == (text, ())
    assert fixed.fault.startswith("not parsed: ")


def test_every_check_is_either_mended_or_named_as_not() -> None:
    bare = fix(BARE)
    told = {change.check for change in bare.changes} | {left.check for left in bare.left}
    assert told | {"host_isolation"} == {check.name for check in CHECKS}


CONTEXTS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {}, optional={
        "runAsUser": st.sampled_from([None, 0, 1000, "1000"]), "runAsNonRoot": st.sampled_from([None, True, False]),
        "privileged": st.sampled_from([None, True, False]), "allowPrivilegeEscalation": st.sampled_from([None, True]),
        "readOnlyRootFilesystem": st.sampled_from([None, False, "true"]),
        "seccompProfile": st.sampled_from([None, {}, {"type": "Unconfined"}, [], "RuntimeDefault"]),
        "capabilities": st.sampled_from(
            [None, {}, {"drop": []}, {"drop": ["all"]}, {"drop": ["NET_RAW"], "add": ["CHOWN"]}, {"drop": "ALL"}, []]
        ),
    },
)  # fmt: skip
CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"image": st.sampled_from(["a:1", "a"])},
        optional={
            "securityContext": st.one_of(st.none(), CONTEXTS),
            "resources": st.sampled_from([None, {}, {"limits": {"cpu": 1, "memory": "1Gi"}}, {"requests": None}]),
        },
    ),
    max_size=3,
)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {"containers": CONTAINERS}, optional={"initContainers": CONTAINERS, "securityContext": CONTEXTS}
    ),
    st.sampled_from([None, True, False]),
    st.sampled_from([2, 4, 6]),
)  # fmt: skip
def test_any_style_of_writing_is_mended_or_left_with_a_reason(
    spec: dict[str, Any], flow: bool | None, indent: int
) -> None:
    """Shared values become anchors and aliases when they are dumped, so these are met too."""
    pod = {"spec": spec, "kind": "Pod", "apiVersion": "v1"}
    text = yaml.dump(pod, default_flow_style=flow, indent=indent, sort_keys=False)
    fixed = fix(text)
    held = any(left.needs == ELSEWHERE for left in fixed.left)
    assert held or to_mend(fixed.text) == {left.check for left in fixed.left if MAPPING in left.needs}
    assert not held or fixed.text == text
    assert {left.check for left in fixed.left} == failed(fixed.text)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_no_text_makes_it_raise(text: str) -> None:
    fix(text)
    fix(BARE + text)
    fix(text + BARE)
