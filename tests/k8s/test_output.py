"""The four formats: what they say, what they hold, and that nothing of a manifest breaks out of them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sluicegate.errors import UserError
from sluicegate.k8s.checks import CHECKS
from sluicegate.k8s.checks.page import explain, page
from sluicegate.k8s.lint import Source, lint
from sluicegate.k8s.output import FORMATS, Linted, Problem
from sluicegate.k8s.output.text import text
from sluicegate.k8s.rules import RULES

FIXTURES = Path(__file__).parent / "fixtures"
ALL = sorted(FIXTURES.glob("*.yaml"))
EVIL = r"""
apiVersion: v1
kind: Pod
metadata: {name: "a\e[31m\0\u202E<b>&\"']]>", namespace: "\x07"}
spec:
  hostNetwork: "\e]0;title\a"
  containers:
  - {name: "\x1b[2J", image: "x\u2028y\nz"}
"""


def found(data: str, name: str = "shop.yaml") -> Linted:
    return lint(Source(name, data.encode("utf-8", "surrogatepass")))


def fixture(name: str) -> Linted:
    return lint(Source(name, (FIXTURES / name).read_bytes()))


def test_the_text_of_one_flaw() -> None:
    assert (
        text([fixture("run_as_non_root.fail.container-user-0.yaml")])
        == """\
run_as_non_root.fail.container-user-0.yaml
  ReplicaSet/shop, line 2: BP 90.9% (10 of 11), security 83.3% (5 of 6)
    FAIL run_as_non_root
      line 42: spec.template.spec.containers[web].securityContext.runAsUser: runAsUser is 0
        put under spec.template.spec.containers[web]:
          securityContext:  # needed: a user ID that the image can run as
            runAsUser: 10001
            runAsNonRoot: true
      rules: Checkov CKV_K8S_23; kube-linter run-as-non-root; Polaris runAsRootAllowed; kube-score
             container-security-context-user-group-id; Pod Security Standards restricted:
             runAsNonRoot, restricted: runAsUser; NSA/CISA "Non-root" containers, Table I:
             runAsUser; CIS 1.12 5.2.7

1 file, 1 object, 1 workload, 1 flaw; BP 90.9%, security 83.3%
"""
    )


def test_a_clean_report_is_short() -> None:
    assert text([fixture("liveness_probe.pass.yaml")]).splitlines()[1:] == [
        "  Deployment/shop, line 2: BP 100.0% (11 of 11), security 100.0% (6 of 6)",
        "",
        "1 file, 1 object, 1 workload, 0 flaws; BP 100.0%, security 100.0%",
    ]
    assert text([found("kind: ConfigMap\napiVersion: v1\nmetadata: {name: a}")]) == (
        "1 file, 1 object, 0 workloads, 0 flaws; BP none, security none\n"
    )


def test_the_text_is_at_most_100_columns_and_without_colours() -> None:
    told = text([fixture(path.name) for path in ALL] + [found("a: ["), found(EVIL)])
    assert max(map(len, told.splitlines())) <= 100
    assert "\x1b" not in told


def test_colours_change_nothing_but_colours() -> None:
    report = [fixture("read_only_root_fs.fail.yaml"), found("a: [")]
    coloured = text(report, colours=True)
    for code in ("\x1b[31m", "\x1b[1m", "\x1b[0m"):
        assert code in coloured
        coloured = coloured.replace(code, "")
    assert coloured == text(report)


@pytest.mark.parametrize("name", FORMATS)
def test_no_control_character_gets_out(name: str) -> None:
    told = FORMATS[name]([found(EVIL, "a\x1b[31m.yaml"), found("a: [\x1b")])
    assert not {sign for sign in told if not sign.isprintable() and sign != "\n"}
    told.encode()


@pytest.mark.parametrize("name", FORMATS)
def test_an_empty_report_and_one_without_workloads(name: str) -> None:
    assert FORMATS[name]([])
    assert FORMATS[name]([found("")])


def test_json_has_every_check_with_its_rules() -> None:
    whole = json.loads(FORMATS["json"]([fixture("host_isolation.fail.host-process.yaml"), found("a: [")]))
    (workload,) = whole["files"][0]["workloads"]
    assert [check["check"] for check in workload["checks"]] == [check.name for check in CHECKS]
    assert [check["state"] for check in workload["checks"]] == [
        "pass", *["not applicable"] * 4, "fail", *["pass"] * 5,
    ]  # fmt: skip
    failing = workload["checks"][5]
    assert failing["rules"] == {peer: list(rules) for peer, rules in RULES["host_isolation"].items()}
    assert failing["flaws"][0]["path"] == "spec.containers[web].securityContext.windowsOptions.hostProcess"
    assert yaml.safe_load(failing["flaws"][0]["remedy"]) == {
        "securityContext": {"windowsOptions": {"hostProcess": False}}
    }
    assert whole["summary"]["bp"] == workload["bp"] == pytest.approx(6 / 7)
    assert whole["files"][1]["faults"][0]["fatal"] is True


def test_sarif_has_rules_results_places_and_steady_fingerprints() -> None:
    linted = fixture("seccomp_profile.fail.override.yaml")
    problem = Linted("b c.yaml", (), (Problem(3, "Pod/a spec.x", "unknown field"),), 1, ())
    whole = json.loads(FORMATS["sarif"]([linted, problem, found("a: [")]))
    assert whole["version"] == "2.1.0"
    (run,) = whole["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == [*(check.name for check in CHECKS), "not_parsed", "not_valid"]
    first, second, third = run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["message"]["text"]
    place = first["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "seccomp_profile.fail.override.yaml"
    assert (FIXTURES / linted.name).read_text().splitlines()[place["region"]["startLine"] - 1].strip() in {
        "seccompProfile:", "type: Unconfined",
    }  # fmt: skip
    assert second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "b%20c.yaml"
    assert [result["level"] for result in (first, second, third)] == ["warning", "error", "error"]
    again = json.loads(FORMATS["sarif"]([linted]))["runs"][0]["results"][0]
    assert again["partialFingerprints"] == first["partialFingerprints"]


def test_junit_counts_what_it_holds() -> None:
    report = [fixture("image_pinned.fail.latest.yaml"), fixture("liveness_probe.pass.yaml"), found("a: ["), found(EVIL)]
    root = ElementTree.fromstring(FORMATS["junit"](report))  # noqa: S314  our own text
    for suite in root.findall("testsuite"):
        for mark, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.attrib[mark]) == len(list(suite.iter(tag)))
    assert root.attrib["tests"] == str(11 + 11 + 1 + 11)
    assert root.attrib["skipped"] == "2"
    assert root.attrib["errors"] == "1"


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.text(max_size=20))
def test_junit_is_xml_whatever_the_names_are(name: str, image: str) -> None:
    data = json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                       "spec": {"containers": [{"name": name, "image": image}]}})  # fmt: skip
    ElementTree.fromstring(FORMATS["junit"]([found(data, name)]))  # noqa: S314  our own text
    json.loads(FORMATS["sarif"]([found(data, name)]))
    assert max(map(len, text([found(data, name)]).splitlines())) <= 100


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_a_check_is_explained_by_name_and_by_number(check: object) -> None:
    assert explain(check.name) == explain(str(check.number))  # type: ignore[attr-defined]
    assert max(map(len, explain(check.name).splitlines())) <= 100  # type: ignore[attr-defined]


def test_an_unknown_check_says_which_there_are() -> None:
    with pytest.raises(UserError, match="unknown") as caught:
        explain("run_as_nonroot")
    assert "did you mean run_as_non_root?" in str(caught.value)


def test_the_page_names_every_check_and_rule() -> None:
    told = page()
    for check in CHECKS:
        assert f"## {check.name}" in told
        assert all(f"`{rule}`" in told for rules in RULES[check.name].values() for rule in rules)
