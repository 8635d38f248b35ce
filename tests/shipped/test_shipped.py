"""The shipped scenarios are whole, graded, apart from each other, and judged by tests that work.

All of it, every mutant included, is what `sluicegate data audit` looks at; here every sample is read, and every fifth
one is tried.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from sluicegate import study as studies
from sluicegate.audit import fields, near, reading
from sluicegate.audit.reading import Row
from sluicegate.audit.trials import trial
from sluicegate.data.build import build
from sluicegate.data.enrich import FIELDS
from sluicegate.data.sources import FILE

ROOT = Path(__file__).parents[2] / "datasets"
SCENARIOS = ("bugfix", "express", "python", "react", "sql")
EVERY, MUTANTS, KILLED = 5, 2, 0.85


@cache
def rows(scenario: str) -> list[Row]:
    """The samples of a scenario, all of which can be read."""
    found, faults = reading.read(ROOT / scenario / FILE)
    assert faults == []
    return found


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_scenario_has_a_hundred_graded_samples_that_say_what_they_must(scenario: str) -> None:
    assert reading.difficulties(rows(scenario)) == {"easy": 30, "medium": 50, "hard": 20}
    assert {row.sample.id for row in rows(scenario)} == {f"{scenario}-{number:03d}" for number in range(1, 101)}
    for row in rows(scenario):
        assert list(fields.faults(row)) == []
        assert row.sample.scenario == scenario
        assert row.sample.meta["licence"] == "Apache-2.0"
        assert all(name in row.sample.meta for name in FIELDS)


def test_no_two_samples_are_near_each_other() -> None:
    assert near.pairs([row for scenario in SCENARIOS for row in rows(scenario)]) == []


@pytest.mark.process
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_fifth_sample_is_judged_by_tests_that_work(scenario: str) -> None:
    tried = {row.sample.id: trial(row.sample, MUTANTS) for row in rows(scenario)[::EVERY]}
    assert {name: (one.faults, one.unjudged) for name, one in tried.items() if one.faults or one.unjudged} == {}
    made, alive = sum(one.mutants for one in tried.values()), sum(len(one.alive) for one in tried.values())
    assert made - alive >= KILLED * made, {name: one.alive for name, one in tried.items() if one.alive}


def test_the_study_that_they_are_for_builds_of_them_without_a_leak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT.parent)
    study = studies.load("metadata-llama3")
    manifest = build(study, "all", tmp_path)
    assert (manifest.leaks, manifest.duplicates) == ((), ())
    assert Counter({name: file.samples for name, file in manifest.files.items()}) == {
        "control-train.jsonl": 350, "control-val.jsonl": 75, "experiment-train.jsonl": 350,
        "experiment-val.jsonl": 75, "test.jsonl": 75,
    }  # fmt: skip
    assert all(part == {"train": 70, "val": 15, "test": 15} for part in manifest.counts.values())
