"""Study files: every fault at once, with its place; the digest is of the meaning."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sluicegate import study
from sluicegate.errors import UserError, UserErrors
from sluicegate.settings import TrainSettings
from sluicegate.stages.plan import resolve

GOOD = """
name: mine
question: does it help?
scenarios: [python]
arms: {control: {}, experiment: {prompts: enriched, train: {epochs: 2}}}
metrics: [exact_match, functional_correctness]
primary: exact_match
"""


def test_every_shipped_study_is_read_and_written_back() -> None:
    assert "demo" in study.shipped()
    for name in study.shipped():
        found = study.load(name)
        assert found.name == name
        assert study.parse(study.dump(found), "dumped") == found


def test_spelling_and_comments_do_not_change_the_digest_but_meaning_does() -> None:
    plain = study.parse(GOOD, "a")
    spelt = study.parse(
        "# a comment\nseed_irrelevant: 1\n".replace("seed_irrelevant: 1\n", "") + GOOD + "alpha: 0.05\n", "b"
    )
    other = study.parse(GOOD + "alpha: 0.01\n", "c")
    assert plain.sha256 == spelt.sha256 != other.sha256


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("primary: speed", "primary: 'speed' is not one of the metrics"),
        ("control: nobody", "control: 'nobody' is not one of the arms"),
        ("experiment: control", "the same arm"),
        ("alpha: 0.7", "alpha"),
        ("minimum_gain: .nan", "minimum_gain"),
        ("train: {lerning_rate: 1}", "did you mean learning_rate"),
        ("train: {seed: 1}", "the stage sets it itself"),
        ("stages: {9: {}}", "stages.9"),
        ("stages: {2: {train: {hf_token: x}}}", "the stage sets it itself"),
        ("stages: {2: {hours: -1}}", "hours"),
        ("generate: {draws: 4}", "temperature: 0 makes all 4 draws the same"),
        ("stages: {3: {draws: 2}}", "temperature: 0 makes all 2 draws the same"),
        ("colour: red", "colour"),
        ("name: ../../etc", "name"),
        ("arms: {}", "arms"),
        ("metrics: []", "metrics"),
        ("metrics: [exact_match]\nmetrics: [exact_match, f1]", "'metrics' is given twice"),
        ("train: {epochs: many}", "wanted a number > 0, seen 'many'"),
        ("stages: {2: {train: {load_in_4bit: perhaps}}}", "wanted auto, true or false"),
        ("minimum_gain: 0.2", "design_gain 0.1 is below minimum_gain 0.2"),
        ("design_gain: 0.01", "design_gain 0.01 is below minimum_gain 0.05"),
        ("must_not_worsen: {exact_match: 0.05}", "'exact_match' is the primary metric"),
        ("must_not_worsen: {safety: 0.05}", "'safety' is not one of the metrics"),
        ("must_not_worsen: {functional_correctness: 0}", "must_not_worsen"),
        ("stages: {3: {seeds: 2}}", "2 runs an arm carry no claim"),
        ("attempts: 0", "attempts"),
        ("arms: {control: {}, experiment: {}}", "the same in everything"),
        ("expected: {base: 1}", "expected.base"),
        ("machines: {tower: {does: [fly]}}", "machines.tower.does"),
        ("stages: {2: {train_samples: yes}}", "stages.2.train_samples"),
        ("attempts: true", "no field of true or false"),
        ("stages: {3: {attempts: 2}, '3': {attempts: 3}}", "'3' is given twice"),
        ("stages: {2: {test_samples: 1" + "0" * 400 + "}}", "stages.2.test_samples"),
        ("generate: {max_new_tokens: 0x" + "f" * 5000 + "}", "a number of too many digits"),
        ("alpha: 1e-300", "alpha"),
        ("minimal_gain: 0.1", "did you mean minimum_gain?"),
        ('question: "a\\0b"', "a NUL, or half a surrogate pair"),
        ('data: {source: "\\ud800"}', "a NUL, or half a surrogate pair"),
        ("arms: {control: &c {}, experiment: {<<: *c, seed: 1}}", "keys are not merged (<<): write them out"),
        ("scenarios: !!set {python}", "!!set is not read: write text, or a list"),
        ("name: !!binary aGVsbG8=", "!!binary is not read"),
        ('name: "\\e[31mred"', r"'\x1b[31mred'"),
    ],
)
def test_a_fault_is_named(change: str, told: str) -> None:
    key = change.split(":", 1)[0]
    lines = [line for line in GOOD.strip().splitlines() if not line.startswith(key + ":")]
    with pytest.raises(UserError) as caught:
        study.parse("\n".join([*lines, change]), "mine.yaml")
    assert told in str(caught.value)
    assert "mine.yaml" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ("stages: {3: {hours: 9}}", True),
        ("stages: {3: {draws: 1, dollars: 9}}", False),
        ("machines: {tower: {does: [train], dollars_per_hour: 2}}", True),
        ("expected: {base: 0.2}", True),
        ("attempts: 2", False),
        ("design_gain: 0.2", False),
    ],
)
def test_budgets_machines_and_expectations_are_not_what_a_study_means(change: str, same: bool) -> None:
    plain = study.parse(GOOD + ("stages: {3: {}}\n" if "stages" in change else ""), "a")
    assert (study.parse(GOOD + change, "b").sha256 == plain.sha256) is same


def test_what_a_later_stage_changes_is_not_what_a_study_means_before_it() -> None:
    plain, later = study.parse(GOOD, "a"), study.parse(GOOD + "stages: {3: {test_samples: 9}}", "b")
    assert plain.sha256_to(2) == later.sha256_to(2)
    assert plain.sha256_to(3) != later.sha256_to(3)


def test_an_a_a_experiment_has_arms_that_differ_in_their_seeds_alone() -> None:
    told = study.parse(GOOD, "a").model_dump() | {"arms": {"control": {}, "experiment": {"seed": 1000}}}
    names = [model.name for model in resolve(study.Study.model_validate(told), 3).models]
    assert names == ["control-s0", "experiment-s1000"]


def test_several_faults_come_together() -> None:
    with pytest.raises(UserErrors) as caught:
        study.parse(GOOD + "colour: red\nalpha: 2\n", "mine.yaml")
    assert {fault.what for fault in caught.value.faults} == {"colour", "alpha"}


@pytest.mark.parametrize(
    "text",
    ["", "- a\n- b", "just words", "a: [", "a: !!python/object:os.system x", "a: 2026-13-45", "a: !!timestamp 9-9",
     "a: " + "1" * 5000, "[" * 20_000],
)  # fmt: skip
def test_what_is_no_study_is_refused(text: str) -> None:
    with pytest.raises(UserError):
        study.parse(text, "mine.yaml")


def test_a_value_that_refers_to_itself_many_times_over_is_told_of_briefly() -> None:
    doubled = "\n".join(f"b{level}: &b{level} [*b{level - 1}, *b{level - 1}]" for level in range(1, 30))
    with pytest.raises(UserErrors) as caught:
        study.parse(f"b0: &b0 [x, x]\n{doubled}\n{GOOD}", "mine.yaml")
    assert max(len(fault.seen) for fault in caught.value.faults) <= 80


def test_what_is_missing_shows_nothing_of_the_rest() -> None:
    with pytest.raises(UserErrors) as caught:
        study.parse("name: mine", "mine.yaml")
    assert {fault.seen for fault in caught.value.faults} == {"nothing"}


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="demo"):
        study.load("dmeo")
    with pytest.raises(UserError, match="not found"):
        study.load(tmp_path / "none.yaml")


def test_settings_that_a_stage_manages_are_settings() -> None:
    assert set(TrainSettings.model_fields) >= study.MANAGED


@pytest.mark.parametrize("value", [".nan", ".inf"])
def test_a_setting_that_is_no_number_is_refused(value: str) -> None:
    raw = yaml.safe_load(GOOD)
    raw["train"] = {"learning_rate": float(value.removeprefix("."))}
    with pytest.raises(UserErrors, match=r"learning_rate"):
        study.parse(yaml.safe_dump(raw), "mine.yaml")
