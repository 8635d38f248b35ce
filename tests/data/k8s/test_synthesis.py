"""The grammar's manifests as drafts: as many as asked for, all valid, none nearly equal to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from sluicegate.data.k8s.near import Index, of_manifest
from sluicegate.data.k8s.synthesis import TRIES, synthesise
from sluicegate.errors import UserError
from sluicegate.k8s.validity import validity


@dataclass(frozen=True)
class Fake:
    bodies: tuple[dict[str, Any], ...]
    purpose: str = "the shop"


def config(name: str, *keys: str, kind: str = "ConfigMap") -> Fake:
    data = {key: f"v{key}" for key in keys}
    return Fake(({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data},))


def test_drafts_are_valid_and_differ() -> None:
    found = synthesise(60, 5)
    index = Index()
    for draft in found.drafts:
        assert validity(draft.text).valid
        features = of_manifest(draft.bodies)
        assert index.near(features) == []
        index.add(features)
    assert len({draft.id for draft in found.drafts}) == 60
    assert found.drafts[:10] == synthesise(10, 5).drafts
    assert found.drafts[0] != synthesise(1, 6).drafts[0]


def test_near_duplicates_and_invalid_ones_are_replaced_and_counted() -> None:
    def make(seed: int, place: int) -> Fake:
        if place % 3 == 1:
            return config("again", *(f"k{number}" for number in range(20)))
        if place % 3 == 2:
            return config("bad", f"p{place}", kind="Widget")
        return config(f"n{place}", *(f"k{place}x{number}" for number in range(20)))

    found = synthesise(5, 0, make)
    assert [draft.meta["source"]["grammar"] for draft in found.drafts] == ["0/0", "0/1", "0/3", "0/6", "0/9"]
    assert found.left_out == {"invalid": 3, "near-duplicate of another": 2}
    assert found.drafts[0].purpose == "the shop" and found.drafts[0].meta["licence"] == "Apache-2.0"


def test_a_grammar_that_repeats_itself_is_told_of() -> None:
    with pytest.raises(UserError, match="no more to offer") as caught:
        synthesise(3, 0, lambda seed, place: config("a", "b"))
    assert f"1 in {3 * TRIES} tries" in str(caught.value)


@pytest.mark.parametrize("count", [0, -1])
def test_none_is_refused(count: int) -> None:
    with pytest.raises(UserError, match="too few"):
        synthesise(count, 0)
