"""The command: files in place, same arguments same bytes, and a source that `sluicegate data` builds stages from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluicegate.data import manifest as manifests
from sluicegate.data.build import command as data_command
from sluicegate.data.content import kin
from sluicegate.data.k8s import command
from sluicegate.data.k8s.patterns import Library
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.validity import validity

FILES = ("manifest.json", "patterns.jsonl", "samples.jsonl", "test.jsonl", "train.jsonl", "val.jsonl")
COUNT = 60


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("k8s")
    command(synthesize=COUNT, out=out, seed=3, augment=0.5)
    return out


def held(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_files_are_there_and_whole(built: Path) -> None:
    folder = built / "kubernetes"
    assert tuple(held(folder)) == FILES
    told = manifests.read(folder)
    assert told.files["samples.jsonl"].samples == COUNT
    sizes = [told.counts["kubernetes"][name] for name in ("train", "val", "test")]
    train = read_samples(folder / "train.jsonl")
    variants = [sample for sample in train if "hardened_from" in sample.meta]
    assert sizes == [42 + len(variants), 9, 9] and len(variants) > 5
    assert told.leaks == () and {each.near for each in told.near} == {0} and len(told.near) == 4


def test_samples_are_valid_and_say_what_their_requests_say(built: Path) -> None:
    for name in ("samples.jsonl", "train.jsonl", "val.jsonl", "test.jsonl"):
        for sample in read_samples(built / "kubernetes" / name):
            assert validity(sample.completion).valid
            assert fidelity(sample.completion, sample.completion, sample.meta["facts"]).value == 1.0
            assert bool(sample.context) == (name != "samples.jsonl")
            assert kin(sample)


def test_patterns_come_from_the_training_split(built: Path) -> None:
    folder = built / "kubernetes"
    library = Library.load(folder / "patterns.jsonl")
    train = {sample.id for sample in read_samples(folder / "train.jsonl")}
    assert {entry.id for entry in library.entries} == train
    for sample in read_samples(folder / "test.jsonl"):
        assert sample.context == library.pattern(sample.prompt)
    groups = {kin(sample) for sample in read_samples(folder / "train.jsonl")}
    assert not any(kin(sample) in groups for sample in read_samples(folder / "test.jsonl"))


def test_the_same_arguments_give_the_same_bytes(built: Path, tmp_path: Path) -> None:
    command(synthesize=COUNT, out=tmp_path, seed=3, augment=0.5)
    assert held(tmp_path / "kubernetes") == held(built / "kubernetes")
    again = command(synthesize=COUNT, out=tmp_path, seed=3, augment=0.5)
    assert f"samples.jsonl   {COUNT} samples" in again


def test_other_data_is_not_overwritten(built: Path, tmp_path: Path) -> None:
    command(synthesize=20, out=tmp_path, seed=1)
    before = held(tmp_path / "kubernetes")
    with pytest.raises(UserError, match="holds other data; nothing was written"):
        command(synthesize=20, out=tmp_path, seed=2)
    assert held(tmp_path / "kubernetes") == before
    command(synthesize=20, out=tmp_path, seed=2, force=True)
    assert held(tmp_path / "kubernetes") != before


def test_stages_are_built_from_it(built: Path, tmp_path: Path) -> None:
    told = data_command("small", source=str(built), out=tmp_path / "small")
    assert "20 samples" in told and "patterns.jsonl" in told
    train, test = (read_samples(tmp_path / "small" / name) for name in ("train.jsonl", "test.jsonl"))
    assert len(train) == len(test) == 20
    library = Library.load(tmp_path / "small" / "patterns.jsonl")
    assert {entry.id for entry in library.entries} == {sample.id for sample in train}
    assert all(sample.context == library.pattern(sample.prompt) for sample in test)
    assert not {kin(sample) for sample in train} & {kin(sample) for sample in test}
    manifest = manifests.read(tmp_path / "small")
    assert manifest.leaks == () and manifest.overlap is not None and not manifest.overlap.counted


@pytest.mark.parametrize("size", ["micro", "scenario", "all"])
def test_every_size_is_built_from_it(built: Path, tmp_path: Path, size: str) -> None:
    data_command(size, source=str(built), out=tmp_path / size)
    train = read_samples(tmp_path / size / "train.jsonl")
    assert all(sample.context for sample in train) or size == "micro"


def folder_of(tmp_path: Path) -> Path:
    for repository in range(8):
        for number in range(4):
            name = f"r{repository}n{number}"
            data = "".join(f"  {name}k{key}: v{key}\n" for key in range(12))
            path = tmp_path / f"r{repository}" / f"{number}.yaml"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n{data}")
    (tmp_path / "r0" / "odd.yaml").write_text("a: [")
    return tmp_path


def test_real_manifests_are_split_by_repository(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in")
    told = command(folder=folder, out=tmp_path / "out", intents=2)
    assert "left out, not parsed: 1" in told
    assert manifests.read(tmp_path / "out" / "kubernetes").noted == {"left out, not parsed": 1}
    homes = []
    for name in ("train", "val", "test"):
        rows = read_samples(tmp_path / "out" / "kubernetes" / f"{name}.jsonl")
        homes.append({sample.meta["repository"] for sample in rows})
        assert all(sample.meta["source"]["path"].startswith(sample.meta["repository"]) for sample in rows)
    assert sum(map(len, homes)) == 8 == len(set.union(*homes))
    assert manifests.read(tmp_path / "out" / "kubernetes").files["samples.jsonl"].samples == 64


def test_one_repository_cannot_be_split_and_says_so(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "in")
    for repository in range(1, 8):
        (folder / f"r{repository}").rename(folder / "r0" / f"x{repository}")
    with pytest.raises(UserError, match="too few samples") as caught:
        command(folder=folder, out=tmp_path / "out")
    assert "1 of them distinct" in str(caught.value) and "--depth 0" in str(caught.value)
    assert not (tmp_path / "out").exists()
    command(folder=folder, out=tmp_path / "out", depth=2)


def pairs(path: Path, names: range, prefix: str = "n") -> Path:
    rows: list[dict[str, Any]] = []
    for number in names:
        data = "".join(f"  {prefix}{number}k{key}: v{key}\n" for key in range(12))
        text = f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {prefix}{number}\ndata:\n{data}"
        rows.append({"intent": f"{prefix} {number} " + " ".join(f"w{number}x{n}" for n in range(20)), "yaml": text})
    path.write_text(json.dumps(rows))
    return path


def test_imported_pairs_keep_their_test_file(tmp_path: Path) -> None:
    train, test = pairs(tmp_path / "train_data.json", range(40)), pairs(tmp_path / "test_data.json", range(38, 50))
    told = command(imported=[train, test], out=tmp_path / "out")
    assert "leaks: 2" in told
    rows = read_samples(tmp_path / "out" / "kubernetes" / "test.jsonl")
    assert [sample.meta["source"]["file"] for sample in rows] == ["test_data.json"] * 12
    manifest = manifests.read(tmp_path / "out" / "kubernetes")
    assert manifest.counts["kubernetes"] == {"train": 34, "val": 6, "test": 12}
    assert {each.near for each in manifest.near if each.held_out == "val"} == {0}
    assert {each.near for each in manifest.near if each.held_out == "test"} == {2}


def test_the_reference_of_a_test_item_decides_nothing_but_itself(tmp_path: Path) -> None:
    train, test = pairs(tmp_path / "train.json", range(40)), pairs(tmp_path / "test.json", range(50, 60), "t")
    command(imported=[train, test], out=tmp_path / "one")
    rows = json.loads(test.read_text())
    rows[0]["yaml"] = json.loads(train.read_text())[0]["yaml"] + "---\n" + json.loads(train.read_text())[1]["yaml"]
    test.write_text(json.dumps(rows))
    command(imported=[train, test], out=tmp_path / "two")
    one, two = (tmp_path / name / "kubernetes" for name in ("one", "two"))
    for name in ("train.jsonl", "val.jsonl", "patterns.jsonl"):
        assert (one / name).read_bytes() == (two / name).read_bytes()
    contexts = [[sample.context for sample in read_samples(folder / "test.jsonl")] for folder in (one, two)]
    assert contexts[0] == contexts[1] and all(contexts[0])


def test_references_that_are_not_valid_are_kept_and_told_of(tmp_path: Path) -> None:
    path = pairs(tmp_path / "t.json", range(40))
    rows = json.loads(path.read_text())
    rows[0]["yaml"] = rows[0]["yaml"].replace("kind: ConfigMap", "kind: Widget")
    path.write_text(json.dumps(rows))
    assert "kept, a kind without a schema: 1" in command(imported=[path], out=tmp_path / "out")
    assert len(read_samples(tmp_path / "out" / "kubernetes" / "samples.jsonl")) == 40


def test_one_imported_file_is_split(tmp_path: Path) -> None:
    command(imported=[pairs(tmp_path / "t.json", range(40))], out=tmp_path / "out", order="curriculum")
    assert manifests.read(tmp_path / "out" / "kubernetes").counts["kubernetes"] == {"train": 28, "val": 6, "test": 6}


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, "where do the manifests come from"),
        ({"synthesize": 9, "imported": [Path("a.json")]}, "where do the manifests come from"),
        ({"synthesize": 0}, "too few"),
        ({"synthesize": 10**400}, "too many"),
        ({"synthesize": 9, "intents": 0}, "--intents 0"),
        ({"synthesize": 9, "intents": 6}, "--intents 6"),
        ({"synthesize": 9, "depth": -1}, "--depth -1"),
        ({"synthesize": 9, "augment": 1.5}, "--augment 1.5"),
        ({"synthesize": 9, "augment": float("nan")}, "--augment nan"),
        ({"synthesize": 9, "order": "up"}, "--order up"),
        ({"folder": Path("/does/not/exist")}, "not a folder"),
        ({"imported": [Path("none.json")]}, "not found"),
    ],
)
def test_what_makes_no_sense_is_one_message_and_writes_nothing(
    tmp_path: Path, asked: dict[str, Any], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        command(**asked, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_without_a_good_manifest_says_why(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.yaml").write_text("a: [")
    with pytest.raises(UserError, match="no manifest was kept") as caught:
        command(folder=tmp_path / "in", out=tmp_path / "out")
    assert "1 not parsed" in str(caught.value)
