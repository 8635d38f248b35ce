"""Patterns of Kubernetes samples are found once the samples are split, in the training split alone."""

from __future__ import annotations

import pytest

from sluicegate.data.recipe import patterns, with_patterns
from sluicegate.data.splits import Splits
from sluicegate.records import Sample


def sample(name: str, kind: str, context: str = "", scenario: str = "kubernetes") -> Sample:
    manifest = f"apiVersion: v1\nkind: {kind}\nmetadata:\n  name: {name}\n"
    return Sample(name, f"a {kind} named {name}", manifest, scenario, context)


TRAIN = (sample("a", "Secret"), sample("b", "Namespace"), sample("c", "Secret"), sample("d", "Namespace"))


def test_held_out_samples_get_patterns_of_training_samples_of_their_kind() -> None:
    splits = Splits(TRAIN, (sample("e", "Secret"),), (sample("f", "Namespace"),))
    found = with_patterns(splits, patterns(splits))
    assert ["kind: Secret" in one.context for one in (*found.train, *found.val)] == [True, False, True, False, True]
    assert "kind: Namespace" in found.test[0].context and "$NAME" in found.test[0].context
    assert [one.id for one in found.train] == ["a", "b", "c", "d"]


def test_a_test_reference_is_in_no_pattern() -> None:
    splits = Splits(TRAIN, (), (sample("f", "ServiceAccount"),))
    library = patterns(splits)
    assert library is not None and "ServiceAccount" not in library.text
    assert "ServiceAccount" not in with_patterns(splits, library).test[0].context


def test_samples_with_a_context_keep_it_and_other_scenarios_have_none() -> None:
    other = sample("g", "Secret", scenario="sql")
    splits = Splits((*TRAIN, other), (sample("e", "Secret", "own"),), ())
    found = with_patterns(splits, patterns(splits))
    assert found.val[0].context == "own" and found.train[-1] == other


@pytest.mark.parametrize("scenario", ["sql", "python"])
def test_without_kubernetes_there_is_no_library(scenario: str) -> None:
    splits = Splits((sample("a", "Secret", scenario=scenario),), (), ())
    assert patterns(splits) is None
    assert with_patterns(splits, None) is splits


def test_samples_that_all_have_a_context_need_no_library() -> None:
    assert patterns(Splits((sample("a", "Secret", "own"),), (), ())) is None
