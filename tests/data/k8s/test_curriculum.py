"""Complexity grows with what must be written, and the orders are what they are called."""

from __future__ import annotations

import pytest

from sluicegate.data.k8s.curriculum import LEVELS, ORDERS, complexity, levels, ordered
from sluicegate.data.k8s.grammar import make
from sluicegate.data.k8s.render import to_yaml
from sluicegate.errors import UserError
from sluicegate.records import Sample

EVERY = [Sample(f"{place}", f"request {place}", to_yaml(make(9, place).bodies)) for place in range(60)]


def test_complexity_is_a_share_that_grows_with_objects_and_leaves() -> None:
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n"
    more = one + "data: {a: b, c: d}\n"
    assert 0.0 < complexity(one) < complexity(more) < complexity(f"{more}---\n{more}") < 1.0
    assert complexity("") == complexity("no manifest") == complexity("a: [") == 0.0
    assert all(0.0 < complexity(sample.completion) < 1.0 for sample in EVERY)


def test_the_levels_are_thirds_that_do_not_overlap() -> None:
    simple, medium, hard = levels(EVERY)
    assert [len(simple), len(medium), len(hard)] == [20, 20, 20] and len(LEVELS) == 3
    scores = [[complexity(sample.completion) for sample in level] for level in (simple, medium, hard)]
    assert max(scores[0]) <= min(scores[1]) and max(scores[1]) <= min(scores[2])
    assert [len(level) for level in levels(EVERY[:4])] == [1, 2, 1]
    assert levels([]) == [[], [], []]


def test_the_curriculum_goes_up_and_reversed_goes_down() -> None:
    places = {sample.id: number for number, level in enumerate(levels(EVERY)) for sample in level}
    up = [places[sample.id] for sample in ordered(EVERY, "curriculum", 0)]
    assert up == sorted(up)
    assert ordered(EVERY, "reversed", 0) == ordered(EVERY, "curriculum", 0)[::-1]
    shuffled = [places[sample.id] for sample in ordered(EVERY, "shuffled", 0)]
    assert shuffled not in (up, up[::-1])


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_keeps_all_samples_and_follows_the_seed_alone(order: str) -> None:
    found = ordered(EVERY, order, 0)
    assert sorted(sample.id for sample in found) == sorted(sample.id for sample in EVERY)
    assert ordered(EVERY[::-1], order, 0) == found != ordered(EVERY, order, 1)


def test_another_order_is_refused() -> None:
    with pytest.raises(UserError, match="unknown"):
        ordered(EVERY, "by size", 0)
