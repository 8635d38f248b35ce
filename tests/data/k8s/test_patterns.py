"""A pattern comes from the request's words and somebody else's manifest, never from the sample's own reference."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from sluicegate.data.k8s import SCENARIO
from sluicegate.data.k8s.grammar import make
from sluicegate.data.k8s.pairs import Draft, samples
from sluicegate.data.k8s.patterns import Entry, Library, filled, recognised, template
from sluicegate.data.k8s.render import to_yaml
from sluicegate.data.k8s.split import grouped, sets
from sluicegate.errors import UserError
from sluicegate.records import Sample

PLACEHOLDER = re.compile(r"\$[A-Z][A-Z_]*")
OTHER = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: quite-another\ntype: Opaque\nstringData:\n  k: v\n"


def made(count: int, seed: int = 3) -> list[Sample]:
    drafts = []
    for place in range(count):
        bodies = tuple(make(seed, place).bodies)
        drafts.append(Draft(f"d{place}", bodies, to_yaml(bodies)))
    every = [sample for draft in drafts for sample in samples(draft, 0)]
    return grouped(every, sets(every))


@pytest.fixture(scope="module")
def training() -> list[Sample]:
    return made(90)


@pytest.fixture(scope="module")
def library(training: list[Sample]) -> Library:
    return Library.of(training)


def test_another_reference_leaves_the_pattern_of_a_training_sample(training: list[Sample], library: Library) -> None:
    before = {sample.id: sample.context for sample in filled(library, training)}
    for place in range(0, len(training), 30):
        changed = [replace(one, completion=OTHER) if one is training[place] else one for one in training]
        after = filled(Library.of(changed), changed)
        assert after[place].context == before[training[place].id], training[place].id
        assert "$" in after[place].context


def test_another_reference_leaves_the_pattern_of_a_held_out_sample(library: Library) -> None:
    held_out = made(20, seed=4)
    changed = [replace(sample, completion=OTHER) for sample in held_out]
    assert [one.context for one in filled(library, held_out)] == [one.context for one in filled(library, changed)]


def test_a_training_sample_never_sees_a_manifest_of_its_own_group() -> None:
    """Two samples with a shape that nobody else has: alone in a group they see others, in two groups each other."""
    bodies = [{"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"n{n}"}, "spec": {"ports": [{"port": n}]}}
              for n in range(6)]  # fmt: skip
    odd = [{**body, "spec": {"externalName": "x", "publishNotReadyAddresses": True}} for body in bodies[:2]]
    shapes = [*odd, *bodies[2:]]
    every = [
        Sample(
            f"{n}", f"a Service {'odd' if n < 2 else 'plain'} {n}", to_yaml([body]), SCENARIO, meta={"group": f"{n}"}
        )
        for n, body in enumerate(shapes)
    ]
    apart = filled(Library.of(every), every)
    assert "publishNotReadyAddresses" in apart[0].context
    together = [replace(one, meta={"group": "odd"}) if n < 2 else one for n, one in enumerate(every)]
    found = filled(Library.of(together), together)
    assert all("publishNotReadyAddresses" not in one.context for one in found)


def test_a_later_request_finds_what_an_earlier_one_found(tmp_path: Path, library: Library) -> None:
    path = tmp_path / "patterns.jsonl"
    path.write_text(library.text)
    again = Library.load(path)
    assert again.entries == library.entries
    held_out = made(10, seed=5)
    assert [again.pattern(one.prompt) for one in held_out] == [one.context for one in filled(library, held_out)]


def test_patterns_are_yaml_with_placeholders_and_no_names(training: list[Sample], library: Library) -> None:
    for entry, sample in zip(library.entries, training, strict=True):
        documents = list(yaml.safe_load_all(entry.pattern))
        assert [document["kind"] for document in documents] == sample.meta["kinds"]
        assert PLACEHOLDER.search(entry.pattern)
        assert "extra_id" not in entry.pattern
        for document in yaml.safe_load_all(sample.completion):
            assert document["metadata"]["name"] not in entry.pattern.split()


def test_a_template_is_of_its_own_template() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"x": "1", "y": "2"}}
    once = template([body])
    assert once == "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: $NAME\ndata:\n  $KEY: $VALUE\n"
    assert template(yaml.safe_load_all(once)) == once


def test_the_pattern_mostly_has_the_kind_that_was_asked_for(library: Library) -> None:
    held_out = made(60, seed=6)
    known = {entry.kind for entry in library.entries}
    right = [
        one.context.split("kind: ")[1].split("\n")[0] == one.meta["kinds"][0]
        for one in filled(library, held_out)
        if one.meta["kinds"][0] in known
    ]
    assert sum(right) / len(right) > 0.95


@pytest.mark.parametrize(
    ("request_", "kinds"),
    [
        ("Write a CronJob named x", ("CronJob",)),
        ("a stateful set and its headless service", ("StatefulSet", "Service")),
        ("HPA for the Deployment web", ("HorizontalPodAutoscaler", "Deployment")),
        ("grant a cluster role with a cluster role binding", ("ClusterRole", "ClusterRoleBinding")),
        ("two PVCs, please", ("PersistentVolumeClaim",)),
        ("Deploy redis with two replicas", ("Deployment",)),
        ("Deploy a stateful set", ("StatefulSet",)),
        ("a service; deploy to the namespace x", ("Service", "Namespace")),
        ("just a namespace", ("Namespace",)),
        ("a scheduled task", ("CronJob",)),
        ("schedule the pods on other nodes", ("Pod",)),
        ("run job-service.example.com on pod-1", ()),
        ("", ()),
    ],
)
def test_kinds_are_recognised_in_words(request_: str, kinds: tuple[str, ...]) -> None:
    assert recognised(request_) == kinds


def test_a_context_that_is_there_is_kept(training: list[Sample], library: Library) -> None:
    own = replace(training[0], context="mine")
    assert filled(library, [own])[0].context == "mine"


def test_a_library_with_nothing_to_lend_gives_nothing() -> None:
    assert Library(()).pattern("a Deployment") == ""
    alone = Library((Entry("1", "g", "a Deployment", "Deployment", "kind: Deployment\n"),))
    assert alone.pattern("a Deployment", group="g") == ""
    assert alone.pattern("something else altogether") == "kind: Deployment\n"


@pytest.mark.parametrize(
    "text", ["", "{}\n", "not json\n", '{"id": "1", "group": "", "request": "a", "kind": "Pod", "pattern": 3}\n']
)
def test_what_is_no_library_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "patterns.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=r"patterns\.jsonl"):
        Library.load(path)


def test_a_missing_library_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not found"):
        Library.load(tmp_path / "none.jsonl")
