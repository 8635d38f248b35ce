"""A security-emphasised variant asks for security, and its manifest has it."""

from __future__ import annotations

import re
from random import Random

import pytest

from sluicegate.data.k8s.augment import SUFFIX, augmented, hardened, variant
from sluicegate.data.k8s.grammar import make
from sluicegate.data.k8s.pairs import Draft, bodies, samples
from sluicegate.data.k8s.render import to_yaml
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.score import score
from sluicegate.k8s.validity import validity
from sluicegate.records import Sample


def made(count: int) -> list[Sample]:
    every = [(place, tuple(make(21, place).bodies)) for place in range(count)]
    drafts = [Draft(f"d{place}", found, to_yaml(found)) for place, found in every]
    return [sample for draft in drafts for sample in samples(draft, 0)]


EVERY = made(70)
VARIANTS = [(sample, found) for sample in EVERY if (found := variant(sample, 0)) is not None]
ASKED = re.compile("root|capabilit|privilege|seccomp|restricted|user ID|UID|as user", re.IGNORECASE)


def test_variants_are_valid_better_and_ask_for_it() -> None:
    assert len(VARIANTS) > 20
    for sample, found in VARIANTS:
        before, after = score(sample.completion), score(found.completion)
        assert validity(found.completion).valid
        assert before.bp is not None and after.bp is not None and after.bp > before.bp
        assert after.security == 1.0
        assert ASKED.search(found.prompt), found.prompt
        assert fidelity(found.completion, found.completion, found.meta["facts"]).value == 1.0
        told = fidelity(sample.completion, found.completion, found.meta["facts"])
        assert told.value is not None and told.value < 1.0
        assert found.id == sample.id + SUFFIX and found.meta["hardened_from"] == sample.id


def test_each_workload_runs_as_another_user_than_root() -> None:
    for _, found in VARIANTS:
        for judged in score(found.completion).judged:
            state = {finding.check: finding.state.value for finding in judged.findings}
            assert state["run_as_non_root"] == "pass"


def test_what_asks_for_nothing_new_has_no_variant() -> None:
    service = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 80}]}\n"
    assert variant(Sample("1", "a service", service), 0) is None
    assert variant(Sample("2", "broken", "a: ["), 0) is None
    tied = (
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {hostNetwork: true, containers: [{name: a, image: b}]}}"
    )
    assert variant(Sample("4", "tied to its host", tied), 0) is None
    assert variant(Sample("4", "not tied", tied.replace("hostNetwork: true, ", "")), 0) is not None
    bad = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: b, resources: x}]}}"
    assert variant(Sample("3", "against its schema", bad), 0) is None
    best = VARIANTS[0][1]
    twice = variant(best, 0)
    assert twice is None or score(twice.completion).bp != score(best.completion).bp


def test_hardening_leaves_the_original_alone_and_its_ties_to_the_host() -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: a}
spec:
  hostNetwork: true
  volumes: [{name: tmp, hostPath: {path: /x}}]
  containers:
  - {name: a, image: "b:1", ports: [{containerPort: 53, protocol: UDP}],
     securityContext: {runAsUser: 0, privileged: true, capabilities: {add: [NET_ADMIN]}},
     resources: {limits: {cpu: "1"}}, volumeMounts: [{name: tmp, mountPath: /x}]}
"""
    objects = bodies(text)
    (pod,) = hardened(objects, Random(0))  # noqa: S311
    assert objects == bodies(text)
    container = pod["spec"]["containers"][0]
    assert pod["spec"]["hostNetwork"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert "privileged" not in container["securityContext"]
    assert container["securityContext"]["runAsUser"] > 0 and pod["spec"]["securityContext"]["runAsUser"] > 0
    assert container["resources"]["limits"] == {"cpu": "1"}
    assert "livenessProbe" not in container
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["tmp", "scratch"]
    assert container["volumeMounts"][1] == {"name": "scratch", "mountPath": "/tmp"}


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_a_share_of_the_training_samples_gets_a_variant(share: float) -> None:
    found = augmented(EVERY, share, 0)
    assert found == augmented(EVERY, share, 0)
    assert abs(len(found) - share * len(VARIANTS)) <= 0.5 * len(VARIANTS) * min(share, 1 - share)
    order = [sample.id for sample in augmented(EVERY[::-1], share, 0)]
    assert sorted(order) == sorted(sample.id for sample in found)
