"""A draft becomes as many samples as are asked for, each of another level of detail."""

from __future__ import annotations

from sluicegate.data.k8s.grammar import make
from sluicegate.data.k8s.intents import DETAILS
from sluicegate.data.k8s.pairs import Draft, bodies, samples, with_group
from sluicegate.data.k8s.render import to_yaml
from sluicegate.records import Sample, from_json, to_json

MADE = tuple(make(2, 4).bodies)
DRAFT = Draft("d", MADE, to_yaml(MADE), "owner/name", "the shop", {"source": {"path": "a.yaml"}})


def test_a_sample_says_where_it_came_from_and_survives_its_file() -> None:
    (sample,) = samples(DRAFT, 0)
    assert sample.id == "d" and sample.scenario == "kubernetes" and sample.context == ""
    assert sample.completion == DRAFT.text and bodies(sample.completion) == list(MADE)
    assert sample.meta["repository"] == "owner/name" and sample.meta["source"] == {"path": "a.yaml"}
    assert sample.meta["kinds"] == [body["kind"] for body in MADE]
    assert from_json(Sample, to_json(sample)) == sample
    assert "licence" not in sample.meta
    assert "repository" not in samples(Draft("d", MADE, DRAFT.text), 0)[0].meta


def test_several_requests_have_ids_and_levels_of_their_own() -> None:
    every = samples(DRAFT, 0, intents=5)
    assert [sample.id for sample in every] == ["d", "d-2", "d-3", "d-4", "d-5"]
    assert {sample.meta["detail"] for sample in every} == set(DETAILS)
    assert len({sample.prompt for sample in every}) == 5 and len({sample.completion for sample in every}) == 1
    assert every == samples(DRAFT, 0, intents=5) != samples(DRAFT, 1, intents=5)


def test_a_group_is_added_and_the_rest_kept() -> None:
    (sample,) = samples(DRAFT, 0)
    assert with_group(sample, "g").meta == {**sample.meta, "group": "g"}
    assert bodies("a: [") == []
