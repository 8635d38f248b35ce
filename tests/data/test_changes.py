"""What an arm changes of the samples that all share: variants, order, second input; and the source that is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate import jsonl, study
from sluicegate.data import build, sources
from sluicegate.data.changes import Change, change_of, patterned, training
from sluicegate.data.k8s.curriculum import complexity
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.records import Sample

TEXT = """
name: arms
question: does it help?
scenarios: [kubernetes]
data: {source: kubernetes, seed: 3}
control: plain
experiment: more
arms:
  plain: {train: {epochs: 1}}
  more: {augment: 0.5, order: curriculum}
  mixed: {against: more, pattern: shuffled}
  bare: {against: more, pattern: none}
metrics: [quality_gated]
primary: quality_gated
"""


def build_small(out: Path) -> None:
    build.build(study.parse(TEXT, "arms.yaml"), "small", out, train_samples=30, val_samples=5, test_samples=10)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("data") / "built"
    build_small(out)
    return out


def rows(built: Path, name: str) -> dict[str, Sample]:
    return {row.id: row for row in read_samples(built / name)}


def test_an_arm_without_a_word_has_the_items_of_the_split(built: Path) -> None:
    plain, more = rows(built, "plain-train.jsonl"), rows(built, "more-train.jsonl")
    assert len(plain) == 30
    assert set(plain) < set(more)
    assert all(more[name] == plain[name] for name in plain)
    assert rows(built, "plain-val.jsonl") == rows(built, "more-val.jsonl")


def test_variants_are_told_and_see_nobody_of_their_originals_group(built: Path) -> None:
    more = rows(built, "more-train.jsonl")
    variants = [row for row in more.values() if "hardened_from" in row.meta]
    told = json.loads((built / "manifest.json").read_text())["noted"]
    assert told == {"more: training samples that ask for security": len(variants)}
    assert variants
    library = {row["id"]: row for row in map(json.loads, (built / "patterns.jsonl").read_text().splitlines())}
    for row in variants:
        assert row.context
        assert row.context != library[str(row.meta["hardened_from"])]["pattern"]


def test_a_curriculum_goes_from_simple_to_complex(built: Path) -> None:
    found = [complexity(row.completion) for row in read_samples(built / "more-train.jsonl")]
    third = len(found) // 3
    assert max(found[:third]) <= min(found[-third:])
    assert found != sorted(found)


def test_patterns_are_shuffled_or_left_out_in_every_split_and_in_the_test(built: Path) -> None:
    for part in ("train", "val", "test"):
        own = rows(built, "test.jsonl" if part == "test" else f"plain-{part}.jsonl")
        mixed, bare = rows(built, f"mixed-{part}.jsonl"), rows(built, f"bare-{part}.jsonl")
        assert set(own) == set(mixed) == set(bare)
        assert sorted(row.context for row in mixed.values()) == sorted(row.context for row in own.values())
        assert sum(mixed[name].context != own[name].context for name in own) > len(own) / 2
        assert {row.context for row in bare.values()} == {""}
        assert all(bare[name].prompt == own[name].prompt for name in own)
    assert not (built / "more-test.jsonl").exists()


def test_arms_that_decide_are_asked_the_same_and_the_others_tell_that_they_are_not(built: Path) -> None:
    asked = json.loads((built / "manifest.json").read_text())["evaluation_prompts_sha256"]
    assert asked["plain"] == asked["more"]
    assert len({asked["more"], asked["mixed"], asked["bare"]}) == 3
    assert json.loads((built / "manifest.json").read_text())["leaks"] == []


def test_the_same_study_gives_the_same_bytes(built: Path, tmp_path: Path) -> None:
    build_small(tmp_path / "again")
    for path in built.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes(), path.name


def test_a_leak_through_a_variant_is_told(tmp_path: Path) -> None:
    """A test item whose answer is that of a variant in training; the first seed that splits them so is looked at."""
    found = study.parse(TEXT.replace("augment: 0.5", "augment: 1"), "arms.yaml")
    made = sources.load("kubernetes", scenarios=["kubernetes"], seed=0, size=20)
    for seed in range(60):
        variants = training(made, Change(augment=1.0), None, seed)
        variant = next(row for row in variants if "hardened_from" in row.meta)
        copied = Sample("copy", "something else", variant.completion, "kubernetes", meta={"group": "copy"})
        jsonl.write(tmp_path / f"source{seed}" / "kubernetes" / "samples.jsonl", [*made, copied])
        data = study.Source(source=str(tmp_path / f"source{seed}"), seed=seed)
        out, changed = tmp_path / f"out{seed}", found.model_copy(update={"data": data})
        manifest = build.build(changed, "small", out, train_samples=12, val_samples=2, test_samples=6)
        if "copy" in rows(out, "test.jsonl") and variant.meta["hardened_from"] in rows(out, "plain-train.jsonl"):
            assert manifest.leaks
            return
    raise AssertionError("no split had the copy in the test and the original in training")


def test_the_grammar_makes_what_a_stage_asks_for_and_more_begins_with_less() -> None:
    few = sources.load("kubernetes", scenarios=["kubernetes"], seed=1, size=20)
    many = sources.load("kubernetes", scenarios=["kubernetes"], seed=1, size=60)
    assert len(few) == 21
    assert [row.completion for row in many[:21]] == [row.completion for row in few]
    assert all(row.meta["group"] for row in few)
    pool = sources.load("kubernetes", scenarios=["kubernetes"], seed=1, size=20, made=25)
    assert len(pool) == 25
    with pytest.raises(UserError, match="too few samples"):
        sources.load("kubernetes", scenarios=["kubernetes"], seed=1, size=26, made=25)
    short = sources.load("kubernetes", scenarios=["kubernetes"], seed=1, size=10, longest=500)
    assert len(short) == 11
    assert max(len(row.completion) for row in short) <= 500
    with pytest.raises(UserError, match="no scenario sql"):
        sources.load("kubernetes", scenarios=["sql"], seed=1)


def test_what_an_arm_says_wins_over_its_recipe_and_nothing_said_is_nothing_changed() -> None:
    found = study.parse(TEXT + "recipe: v4\n", "arms.yaml")
    assert change_of(found, "plain") == Change(augment=0.3, order="curriculum")
    assert change_of(found, "more") == Change(augment=0.5, order="curriculum")
    none = found.model_copy(
        update={"arms": {**found.arms, "plain": study.Arm(augment=0.0, order="shuffled", train={})}}
    )
    assert change_of(none, "plain") == Change()


def test_one_sample_alone_keeps_its_own_pattern_in_a_shuffle() -> None:
    one = [Sample("a", "p", "c", context="x")]
    assert patterned(one, "shuffled", 0) == one
    assert patterned([], "shuffled", 0) == []
