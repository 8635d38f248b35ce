"""Each check on manifests that pass it and on manifests that fail it, and on what no API server would accept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.k8s.checks import CHECKS, SECURITY, Finding, State, assess
from sluicegate.k8s.checks.image import why_loose
from sluicegate.k8s.checks.model import shown
from sluicegate.k8s.checks.snippet import block
from sluicegate.k8s.objects import Workload, objects, workloads
from sluicegate.k8s.parse import parse
from sluicegate.k8s.rules import PEERS, RULES

FIXTURES = Path(__file__).parent / "fixtures"
ALL = sorted(FIXTURES.glob("*.yaml"))
NAMES = [check.name for check in CHECKS]
COVERED = {check.name: check.covers for check in CHECKS}
NOT_FOR_JOBS = {"liveness_probe", "readiness_probe"}
NOT_FOR_WINDOWS = {"no_privilege_escalation", "drop_all_capabilities", "read_only_root_fs", "seccomp_profile"}


def only(text: str) -> Workload:
    (found,) = workloads(objects(parse(text)))
    return found


def findings(text: str) -> dict[str, Finding]:
    return {finding.check: finding for finding in assess(only(text))}


def pod(spec: dict[str, Any], kind: str = "Pod") -> str:
    paths = {"Pod": ["spec"], "CronJob": ["spec", "jobTemplate", "spec", "template", "spec"]}
    whole: dict[str, Any] = spec
    for step in reversed(paths.get(kind, ["spec", "template", "spec"])):
        whole = {step: whole}
    version = {"Pod": "v1", "ReplicationController": "v1", "Job": "batch/v1", "CronJob": "batch/v1"}
    return json.dumps({"apiVersion": version.get(kind, "apps/v1"), "kind": kind, "metadata": {"name": "a"}, **whole})


def state(name: str, spec: dict[str, Any], kind: str = "Pod") -> State:
    return findings(pod(spec, kind))[name].state


def contained(container: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"containers": [{"name": "web", **container}], **spec}


def test_the_names_and_their_order() -> None:
    assert [(check.number, check.name) for check in CHECKS] == list(
        enumerate(
            [
                "run_as_non_root", "no_privilege_escalation", "drop_all_capabilities", "read_only_root_fs",
                "seccomp_profile", "host_isolation", "resource_requests", "resource_limits", "liveness_probe",
                "readiness_probe", "image_pinned",
            ],
            start=1,
        )
    )  # fmt: skip
    assert [check.number for check in CHECKS if check.group == SECURITY] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["pass", "fail"])
def test_every_check_has_a_fixture_each_way(name: str, way: str) -> None:
    assert [path for path in ALL if path.name.startswith(f"{name}.{way}.")]


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_fixture_passes_everything_or_fails_exactly_its_check(path: Path) -> None:
    name, way, *_ = path.name.split(".")
    found = findings(path.read_text())
    failed = [each.check for each in found.values() if each.state is State.FAIL]
    assert failed == ([name] if way == "fail" else [])


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
def test_a_check_looked_at_every_container_it_covers(path: Path) -> None:
    workload = only(path.read_text())
    spec: dict[str, Any] = workload.pod
    written = {field: len(spec.get(field, [])) for field in ("containers", "initContainers", "ephemeralContainers")}
    for finding in assess(workload):
        if finding.state is not State.NOT_APPLICABLE:
            assert finding.looked == sum(written[field] for field in COVERED[finding.check]) > 0


@pytest.mark.parametrize("path", [path for path in ALL if ".fail" in path.name], ids=lambda path: path.stem)
def test_a_flaw_says_where_what_and_how_to_mend_it(path: Path) -> None:
    workload = only(path.read_text())
    for finding in assess(workload):
        for flaw in finding.flaws:
            assert flaw.path[: len(flaw.under)] == flaw.under or flaw.under == workload.pod_path
            assert flaw.seen
            assert yaml.safe_load("\n".join(block(flaw.remedy))) == flaw.remedy
            assert " " not in shown(flaw.path, workload.object.body)


def merged(old: Any, new: Any) -> Any:
    """A strategic merge as Kubernetes does it: mappings by key, named items by name, all else replaced."""
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{key: merged(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(item, dict) for item in [*old, *new]):
        by_name = {item.get("name", place): item for place, item in enumerate(new)}
        return [by_name.get(item.get("name", place), item) for place, item in enumerate(old)]
    return new


@pytest.mark.parametrize("path", [path for path in ALL if ".fail" in path.name], ids=lambda path: path.stem)
def test_the_remedy_pasted_where_it_says_mends_the_flaw(path: Path) -> None:
    name = path.name.split(".")[0]
    workload = only(path.read_text())
    body = workload.object.body
    for flaw in next(finding.flaws for finding in assess(workload) if finding.check == name):
        here: Any = body
        for step in flaw.under:
            here = here[step]
        pasted = merged(dict(here), flaw.remedy)
        for handler in ("httpGet", "tcpSocket"):  # a remedy replaces a probe; a merge would leave the second handler
            if "two-handlers" in path.name and handler == "tcpSocket":
                pasted["livenessProbe"].pop(handler)
        here.clear()
        here.update(pasted)
    assert next(each for each in assess(only(json.dumps(body))) if each.check == name).state is State.PASS


@pytest.mark.parametrize(
    "kind", ["Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Pod", "Job", "CronJob"]
)
def test_eleven_checks_apply_and_nine_to_jobs(kind: str) -> None:
    found = findings(pod(contained({}), kind))
    off = {name for name, finding in found.items() if finding.state is State.NOT_APPLICABLE}
    assert off == (NOT_FOR_JOBS if kind in {"Job", "CronJob"} else set())


def test_on_windows_pods_two_to_five_do_not_apply() -> None:
    found = findings(pod(contained({}, os={"name": "windows"})))
    assert {name for name, each in found.items() if each.state is State.NOT_APPLICABLE} == NOT_FOR_WINDOWS


def test_another_group_is_another_kind() -> None:
    spec = "metadata: {name: a}\nspec: {template: {spec: {containers: []}}}"
    knative = f"apiVersion: serving.knative.dev/v1\nkind: Service\n{spec}"
    old = f"apiVersion: extensions/v1beta1\nkind: Deployment\n{spec}"
    assert not workloads(objects(parse(knative)))
    assert not workloads(objects(parse(old)))


def test_lists_and_documents_are_expanded() -> None:
    text = (FIXTURES / "run_as_non_root.fail.unset.yaml").read_text()
    one = json.dumps(yaml.safe_load(text))
    listed = f'{{"apiVersion": "v1", "kind": "List", "items": [{one}, {one}]}}'
    assert len(workloads(objects(parse(f"{text}---\n{listed}\n---\n{text}")))) == 4


@pytest.mark.parametrize("spec", [{}, {"containers": []}, {"containers": None}, {"containers": [None, "web", 1]}])
def test_a_workload_without_a_container_passes_nothing(spec: dict[str, Any]) -> None:
    found = findings(pod(spec, "Deployment"))
    assert {each.state for each in found.values()} == {State.FAIL}
    assert all(each.flaws[-1].seen == "no container" for each in found.values())


def test_a_hundred_flaws_of_a_check_are_enough() -> None:
    found = findings(pod({"containers": [{"image": "a", "ports": [{"hostPort": 1}] * 3}] * 150}, "Deployment"))
    assert [(len(each.flaws), each.looked) for each in found.values()] == [
        (100, 34 if name == "host_isolation" else 100) for name in found
    ]


def test_a_check_that_is_skipped_is_not_asked() -> None:
    found = {each.check: each for each in assess(only(pod({}, "Job")), {"image_pinned", "liveness_probe"})}
    skipped = {name for name, each in found.items() if each.state is State.SKIPPED}
    assert skipped == {"image_pinned", "liveness_probe"}
    assert found["image_pinned"].looked == 0
    assert found["readiness_probe"].state is State.NOT_APPLICABLE
    assert found["run_as_non_root"].state is State.FAIL


def test_init_containers_alone_are_judged_and_do_not_suffice() -> None:
    found = findings(pod({"initContainers": [{"name": "a", "image": "a:1"}]}, "Deployment"))
    assert [flaw.seen for flaw in found["image_pinned"].flaws] == ["no container"]
    assert [flaw.path[-1] for flaw in found["read_only_root_fs"].flaws] == ["readOnlyRootFilesystem", "containers"]


@pytest.mark.parametrize(
    ("context", "own", "passes"),
    [
        ({}, {}, False),
        ({"runAsNonRoot": True}, {}, True),
        ({}, {"runAsNonRoot": True}, True),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, False),
        ({"runAsNonRoot": False}, {"runAsNonRoot": True}, True),
        ({"runAsNonRoot": True}, {"runAsNonRoot": None}, True),
        ({"runAsNonRoot": True}, {"runAsUser": 0}, False),
        ({"runAsNonRoot": True, "runAsUser": 0}, {}, False),
        ({"runAsUser": 0}, {"runAsUser": 1}, True),
        ({"runAsUser": 1}, {"runAsUser": 0}, False),
        ({"runAsUser": 1}, {"runAsNonRoot": False}, True),
        ({"runAsUser": 1000}, {}, True),
        ({"runAsUser": 1000.0}, {}, True),
        ({"runAsUser": "1000"}, {}, False),
        ({"runAsUser": True}, {}, False),
        ({"runAsUser": -1}, {}, False),
        ({"runAsUser": None, "runAsNonRoot": True}, {}, True),
        ({"runAsNonRoot": "true"}, {}, False),
        ({"runAsNonRoot": 1}, {}, False),
    ],
)
def test_the_effective_user(context: dict[str, Any], own: dict[str, Any], passes: bool) -> None:
    spec = contained({"securityContext": own}, securityContext=context)
    assert state("run_as_non_root", spec) is (State.PASS if passes else State.FAIL)


@pytest.mark.parametrize("privileged", [True, "true", 1])
def test_privileged_fails_two_checks(privileged: object) -> None:
    spec = contained({"securityContext": {"allowPrivilegeEscalation": False, "privileged": privileged}})
    assert state("no_privilege_escalation", spec) is State.FAIL
    assert state("host_isolation", spec) is State.FAIL


@pytest.mark.parametrize(
    ("capabilities", "drops", "isolated"),
    [
        ({"drop": ["ALL"]}, True, True),
        ({"drop": ["NET_RAW", "ALL"]}, True, True),
        ({"drop": ["ALL"], "add": []}, True, True),
        ({"drop": ["ALL"], "add": None}, True, True),
        ({"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}, True, True),
        ({"drop": ["ALL"], "add": ["CHOWN"]}, False, True),
        ({"drop": ["ALL"], "add": ["SYS_ADMIN"]}, False, False),
        ({"drop": ["ALL"], "add": ["CAP_CHOWN"]}, False, False),
        ({"drop": ["ALL"], "add": "NET_BIND_SERVICE"}, False, False),
        ({"drop": ["ALL"], "add": [None]}, False, False),
        ({"drop": ["ALL"], "add": [["NET_BIND_SERVICE"]]}, False, False),
        ({"drop": ["CAP_ALL"]}, False, True),
        ({"drop": ["All"]}, False, True),
        ({"drop": "ALL"}, False, True),
        ({"drop": {"ALL": True}}, False, True),
        (["ALL"], False, True),
    ],
)
def test_capabilities(capabilities: object, drops: bool, isolated: bool) -> None:
    spec = contained({"securityContext": {"capabilities": capabilities}})
    assert (state("drop_all_capabilities", spec) is State.PASS) is drops
    assert (state("host_isolation", spec) is State.PASS) is isolated


@pytest.mark.parametrize(
    ("profile", "own", "passes"),
    [
        ({"type": "RuntimeDefault"}, None, True),
        (None, {"type": "Localhost"}, True),
        ({"type": "RuntimeDefault"}, {"type": "Unconfined"}, False),
        ({"type": "Unconfined"}, {"type": "RuntimeDefault"}, True),
        ({"type": "RuntimeDefault"}, {}, False),
        ({"type": "runtime/default"}, None, False),
        ("RuntimeDefault", None, False),
        ({"type": ["RuntimeDefault"]}, None, False),
    ],
)
def test_the_effective_seccomp_profile(profile: object, own: object, passes: bool) -> None:
    spec = contained({"securityContext": {"seccompProfile": own}}, securityContext={"seccompProfile": profile})
    assert (state("seccomp_profile", spec) is State.PASS) is passes


@pytest.mark.parametrize(
    ("spec", "passes"),
    [
        (contained({"ports": [{"containerPort": 80, "hostPort": 0}]}), True),
        (contained({"ports": [{"containerPort": 80, "hostPort": None}]}), True),
        (contained({"ports": [{"containerPort": 80, "hostPort": 80}]}), False),
        (contained({"ports": [{"containerPort": 80, "hostPort": "80"}]}), False),
        (contained({"ports": [{"containerPort": 80, "hostPort": False}]}), False),
        (contained({"ports": "80"}), True),
        (contained({}, hostNetwork=False, hostPID=None), True),
        (contained({}, hostNetwork="true"), False),
        (contained({}, hostIPC=True), False),
        (contained({}, volumes=[{"name": "a", "hostPath": None}]), True),
        (contained({}, volumes=[{"name": "a", "hostPath": {"path": "/"}}]), False),
        (contained({}, volumes=[None, "a", {"hostPath": "/"}]), False),
        (contained({}, securityContext={"windowsOptions": {"hostProcess": True}}), False),
        (contained({"securityContext": {"windowsOptions": {"hostProcess": False}}}), True),
    ],
)
def test_host_isolation(spec: dict[str, Any], passes: bool) -> None:
    assert (state("host_isolation", spec) is State.PASS) is passes


@pytest.mark.parametrize(
    ("probe", "passes"),
    [
        ({"httpGet": {"port": 80}}, True),
        ({"exec": {"command": ["true"]}, "httpGet": None}, True),
        ({"grpc": {"port": 1}, "tcpSocket": {"port": 1}}, False),
        ({"httpGet": {}}, False),
        ({"httpGet": "http://localhost"}, False),
        ({"command": ["true"]}, False),
        ({}, False),
        ("yes", False),
        (None, False),
    ],
)
def test_a_probe_has_exactly_one_handler(probe: object, passes: bool) -> None:
    for name, field in (("liveness_probe", "livenessProbe"), ("readiness_probe", "readinessProbe")):
        assert (state(name, contained({field: probe})) is State.PASS) is passes


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("nginx", "has no tag"),
        ("nginx:1.27", ""),
        ("registry:5000/nginx", "has no tag"),
        ("registry:5000/team/nginx:1.27", ""),
        ("registry:5000/nginx:latest", "has the tag latest"),
        ("nginx:v1-latest", ""),
        ("nginx@sha256:" + 64 * "a", ""),
        ("nginx:latest@sha256:" + 64 * "a", ""),
        ("nginx@sha256:abc", "has no digest after the @"),
        ("nginx:1.27@", "has no digest after the @"),
        ("nginx:$(TAG)", "has '$(TAG)' where a tag belongs"),
        (":1.27", "is no name of an image"),
        ("registry/:1.27", "is no name of an image"),
        (" nginx:1.27", "is no name of an image"),
        ("", "is no name of an image"),
        (None, "is not set"),
        (1.27, "is 1.27"),
    ],
)
def test_images(image: Any, why: str) -> None:
    assert why_loose(image) == why


def test_a_path_names_containers_and_falls_back_on_their_place() -> None:
    found = findings(pod({"containers": [{"name": "web"}, {"image": "a"}, {"name": 7}]}, "Deployment"))
    body = only(pod({"containers": [{"name": "web"}, {"image": "a"}, {"name": 7}]}, "Deployment")).object.body
    assert [shown(flaw.path, body) for flaw in found["image_pinned"].flaws] == [
        "spec.template.spec.containers[web].image",
        "spec.template.spec.containers[1].image",
        "spec.template.spec.containers[2].image",
    ]


def test_the_rules_name_known_peers_and_every_check() -> None:
    assert set(RULES) == set(NAMES)
    assert all(set(told) <= set(PEERS) and all(told.values()) for told in RULES.values())
    assert all(len(set(rules)) == len(rules) for told in RULES.values() for rules in told.values())


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-2, 70000), st.floats(), st.text(max_size=8),
    st.sampled_from(["ALL", "RuntimeDefault", "latest", "nginx:1", "100m", "true", "0", "NET_BIND_SERVICE"]),
)  # fmt: skip
FIELDS = [
    "name", "image", "ports", "hostPort", "containerPort", "resources", "requests", "limits", "cpu", "memory",
    "livenessProbe", "readinessProbe", "httpGet", "exec", "securityContext", "runAsUser", "runAsNonRoot",
    "privileged", "allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities", "drop", "add",
    "seccompProfile", "type", "windowsOptions", "hostProcess", "hostNetwork", "volumes", "hostPath", "path",
    "os", "containers", "initContainers", "ephemeralContainers", "template", "spec", "jobTemplate", "metadata",
]  # fmt: skip
ANYTHING = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(st.sampled_from(FIELDS), below, max_size=6)),
    max_leaves=25,
)
CONTAINER = st.dictionaries(st.sampled_from(FIELDS), ANYTHING, max_size=10)
SPEC = st.fixed_dictionaries(
    {}, optional={
        "containers": st.one_of(ANYTHING, st.lists(CONTAINER, max_size=3)),
        "initContainers": st.one_of(ANYTHING, st.lists(CONTAINER, max_size=3)),
        "ephemeralContainers": st.one_of(ANYTHING, st.lists(CONTAINER, max_size=3)),
        "securityContext": ANYTHING, "volumes": ANYTHING, "hostPID": ANYTHING, "os": ANYTHING,
    },
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.one_of(ANYTHING, SPEC), st.sampled_from(["Pod", "Deployment", "CronJob", "Job", "StatefulSet"]))
def test_no_manifest_makes_a_check_raise(spec: Any, kind: str) -> None:
    for workload in workloads(objects(parse(pod(spec, kind)))):
        found = assess(workload)
        assert [finding.check for finding in found] == NAMES
        for finding in found:
            assert (finding.state is State.FAIL) == bool(finding.flaws)
            for flaw in finding.flaws:
                assert shown(flaw.path, workload.object.body)
                assert block(flaw.remedy)
