"""What `sluicegate data` writes: the same items for every arm, the same bytes every time, nothing overwritten."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluicegate import study as studies
from sluicegate.data import manifest as manifests
from sluicegate.data.build import build, build_plain, command
from sluicegate.data.content import answer, question
from sluicegate.data.manifest import Manifest
from sluicegate.data.reader import read_samples
from sluicegate.data.recipe import Size
from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.study import Study

DEMO = studies.load("demo")
SCENARIOS = ("react", "express", "python", "bugfix", "sql")


def plain_study(source: Path | str, **changes: Any) -> Study:
    """The demo's arms over five scenarios of a folder, asked plainly."""
    told = DEMO.model_dump(mode="json") | {
        "name": "five",
        "scenarios": list(SCENARIOS),
        "data": {"source": str(source), "seed": 3},
        "test_prompts": "plain",
    }
    return Study.model_validate(told | changes)


def write_source(folder: Path, count: int = 100, **meta: str) -> Path:
    for name in SCENARIOS:
        path = folder / name / "samples.jsonl"
        path.parent.mkdir(parents=True)
        rows = [
            {"prompt": f"{name} asks {n}", "completion": f"{name} does {n}", "meta": {"intent": f"{name} {n}"} | meta}
            for n in range(count)
        ]
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def of(folder: Path, name: str) -> list[Sample]:
    return read_samples(folder / f"{name}.jsonl")


def complaint(*arguments: Any, **named: Any) -> str:
    with pytest.raises(UserError) as caught:
        command(*arguments, **named)
    return str(caught.value)


def test_the_micro_set_is_written_and_says_what_its_validation_is(tmp_path: Path) -> None:
    told = command("micro", out=tmp_path / "micro")
    assert sorted(content(tmp_path / "micro")) == ["manifest.json", "train.jsonl", "val.jsonl"]
    assert of(tmp_path / "micro", "train") == of(tmp_path / "micro", "val")
    assert {sample.scenario for sample in of(tmp_path / "micro", "train")} == set(SCENARIOS)
    assert "validation: training samples" in told
    manifest = manifests.read(tmp_path / "micro")
    assert (manifest.validation, manifest.leaks, manifest.evaluation_prompts_sha256) == ("training samples", None, {})


def test_without_a_folder_files_go_under_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command("micro")
    command("scenario", study="demo")
    command("small", source="demo")
    assert sorted(path.name for path in (tmp_path / "datasets").iterdir()) == ["micro", "scenario-python", "small"]


def test_without_a_source_the_shipped_folder_is_used_or_its_lack_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = complaint("all")
    assert "datasets/<scenario>/samples.jsonl" in told
    assert "--source demo" in told
    write_source(tmp_path / "datasets")
    told = command("all")
    assert [len(of(tmp_path / "datasets" / "all", name)) for name in ("train", "val", "test")] == [350, 75, 75]
    assert "leaks: 0" in told


@pytest.mark.parametrize(
    ("size", "sizes"), [("small", (20, 5, 20)), ("scenario", (70, 15, 15)), ("all", (350, 75, 75))]
)
def test_sizes_of_each_stage(tmp_path: Path, size: Size, sizes: tuple[int, int, int]) -> None:
    study = plain_study(write_source(tmp_path / "source"))
    manifest = build(study, size, tmp_path / "out")
    for arm in ("control", "experiment"):
        assert (len(of(tmp_path / "out", f"{arm}-train")), len(of(tmp_path / "out", f"{arm}-val"))) == sizes[:2]
    assert len(of(tmp_path / "out", "test")) == sizes[2]
    assert manifest.validation == "held-out"
    assert list(manifest.counts) == (["react"] if size == "scenario" else list(SCENARIOS))


def test_arms_have_the_same_items_in_the_same_order_and_other_prompts(tmp_path: Path) -> None:
    build(DEMO, "scenario", tmp_path)
    for name in ("train", "val", "test"):
        control, experiment = of(tmp_path, f"control-{name}"), of(tmp_path, f"experiment-{name}")
        for one, other in zip(control, experiment, strict=True):
            assert (one.id, one.completion, one.tests) == (other.id, other.completion, other.tests)
            assert other.prompt.startswith(one.prompt + "\n\nMetadata:\n- intent: ")
    assert of(tmp_path, "test") == of(tmp_path, "control-test")


def test_splits_are_held_out_by_content(tmp_path: Path) -> None:
    build(DEMO, "scenario", tmp_path, train_samples=300, val_samples=50, test_samples=75)
    parts = [of(tmp_path, f"control-{name}") for name in ("train", "val", "test")]
    assert [len(part) for part in parts] == [300, 50, 75]
    for key in (question, answer):
        assert len({key(sample) for part in parts for sample in part}) == 425


def test_evaluation_prompts_are_equal_for_plain_and_differ_as_trained(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    plain = build(plain_study(source), "all", tmp_path / "plain").evaluation_prompts_sha256
    trained = build(
        plain_study(source, test_prompts="as_trained"), "all", tmp_path / "trained"
    ).evaluation_prompts_sha256
    assert plain["control"] == plain["experiment"] == trained["control"] != trained["experiment"]
    assert not (tmp_path / "plain" / "control-test.jsonl").exists()


def test_the_same_inputs_give_the_same_bytes_and_leave_them_alone(tmp_path: Path) -> None:
    first = build(DEMO, "small", tmp_path / "a")
    before = content(tmp_path / "a")
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}
    assert build(DEMO, "small", tmp_path / "a") == first == build(DEMO, "small", tmp_path / "b")
    assert content(tmp_path / "a") == before == content(tmp_path / "b")
    assert stamps == {path: path.stat().st_mtime_ns for path in (tmp_path / "a").iterdir()}


def test_missing_files_are_put_back(tmp_path: Path) -> None:
    build(DEMO, "small", tmp_path)
    before = content(tmp_path)
    (tmp_path / "test.jsonl").unlink()
    (tmp_path / "manifest.json").unlink()
    build(DEMO, "small", tmp_path)
    assert content(tmp_path) == before


def test_other_data_is_not_overwritten_unless_forced(tmp_path: Path) -> None:
    build(DEMO, "small", tmp_path)
    before = content(tmp_path)
    told = complaint("scenario", study="demo", out=tmp_path)
    assert "nothing was written" in told
    assert "control-train.jsonl" in told
    assert content(tmp_path) == before
    build(DEMO, "scenario", tmp_path, force=True)
    assert len(of(tmp_path, "control-train")) == 70


def test_a_users_own_file_of_that_name_is_kept(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text("mine")
    assert "different train.jsonl" in complaint("micro", out=tmp_path)
    assert content(tmp_path) == {"train.jsonl": b"mine"}


def test_force_removes_what_only_the_old_manifest_names(tmp_path: Path) -> None:
    build(DEMO, "small", tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    build(DEMO, "micro", tmp_path, force=True)
    assert sorted(content(tmp_path)) == [
        "control-train.jsonl",
        "control-val.jsonl",
        "experiment-train.jsonl",
        "experiment-val.jsonl",
        "manifest.json",
        "notes.txt",
    ]


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    assert "cannot be written" in complaint("micro", out=tmp_path / "out")


def test_the_manifest_tells_the_files(tmp_path: Path) -> None:
    manifest = build(DEMO, "small", tmp_path)
    for name, file in manifest.files.items():
        assert file.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
        assert file.samples == len(read_samples(tmp_path / name))
    assert set(manifest.files) | {"manifest.json"} == set(content(tmp_path))
    assert manifests.read(tmp_path) == manifest
    assert manifest.counts == {"python": {"train": 20, "val": 5, "test": 20}}


def test_a_changed_file_is_noticed_when_the_manifest_is_read(tmp_path: Path) -> None:
    build(DEMO, "small", tmp_path)
    (tmp_path / "test.jsonl").write_text("changed")
    with pytest.raises(UserError, match="not the file that the manifest describes"):
        manifests.read(tmp_path)
    (tmp_path / "manifest.json").write_text('{"study": 1}')
    with pytest.raises(UserError, match="not a manifest"):
        manifests.read(tmp_path)


def test_overlap_counts_as_a_leak_except_in_the_demo_corpus(tmp_path: Path) -> None:
    filler = " ".join(f"word{n}" for n in range(60))
    source = tmp_path / "source" / "python"
    source.mkdir(parents=True)
    rows = [{"prompt": f"{filler} {n}", "completion": f"answer {n}"} for n in range(20)]
    (source / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = build_plain("all", tmp_path / "out", source=str(tmp_path / "source"))
    assert manifest.overlap is not None
    assert manifest.leaks is not None
    assert len(manifest.leaks) == len(manifest.overlap.dirty) == 3
    assert "of its 13-grams" in manifest.leaks[0]

    demo = build_plain("all", tmp_path / "demo", source="demo", train_samples=500, test_samples=94, val_samples=1)
    assert demo.overlap is not None
    assert demo.overlap.dirty
    assert (demo.leaks, demo.overlap.counted) == ((), False)


def test_repeated_samples_are_told_and_stay_on_one_side(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", count=20)
    with (source / "sql" / "samples.jsonl").open("a") as stream:
        stream.writelines('{"prompt": "SQL asks again", "completion": "x"}\n' for _ in range(3))
    told = command("all", source=str(source), out=tmp_path / "out")
    [group] = manifests.read(tmp_path / "out").duplicates
    assert len(group) == 3
    assert "repeated training samples: 2" in told


def test_metadata_that_answers_is_refused_and_nothing_written(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", patterns="react does 5")
    with pytest.raises(UserError, match="gives the answer away"):
        build(plain_study(source), "all", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_study_can_be_built_from_another_source(tmp_path: Path) -> None:
    source = write_source(tmp_path / "source")
    command("scenario", study="demo", source=str(source), out=tmp_path / "out")
    assert of(tmp_path / "out", "test")[0].prompt.startswith("python asks")
    assert manifests.read(tmp_path / "out").source == str(source)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"size": "huge"}, "micro, small, scenario, all"),
        ({"size": "scenario", "study": "demo", "scenario": "sql"}, "one of python"),
        ({"size": "small", "study": "demo", "scenario": "python"}, "size scenario"),
        ({"size": "small", "study": "demo", "seed": 4}, "data.seed"),
        ({"size": "small", "study": "nope"}, "not found"),
        ({"size": "small", "source": "micro"}, "too few samples"),
        ({"size": "small", "source": "/nowhere"}, "no such folder"),
        ({"size": "micro", "study": "demo", "test_samples": 3}, "size micro takes no number"),
        ({"size": "micro", "study": "demo", "train_samples": 0}, "1 or more"),
        ({"size": "small", "study": "demo", "val_samples": -1}, "1 or more"),
        ({"size": "all", "study": "demo", "train_samples": 9999}, "at most"),
    ],
)
def test_requests_that_make_no_sense(tmp_path: Path, arguments: dict[str, Any], words: str) -> None:
    assert words in complaint(**arguments, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_seed_of_plain_files_decides_their_split(tmp_path: Path) -> None:
    for seed in (0, 1):
        command("small", source="demo", seed=seed, out=tmp_path / str(seed))
    assert of(tmp_path / "0", "test") != of(tmp_path / "1", "test")


def test_a_manifest_of_another_version_does_not_break_a_forced_build(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    assert isinstance(build(DEMO, "micro", tmp_path, force=True), Manifest)


@pytest.mark.process
def test_the_data_floor_imports_nothing_heavy() -> None:
    code = (
        "import sys, sluicegate.data.build; "
        "print([name for name in ('torch', 'transformers', 'mlflow', 'scipy', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_test_items_may_be_asked_with_the_metadata(tmp_path: Path) -> None:
    study = plain_study(write_source(tmp_path / "source"))
    plain = build(study, "all", tmp_path / "plain")
    enriched = build(study, "all", tmp_path / "enriched", test_prompts="enriched")
    assert of(tmp_path / "plain", "control-train") == of(tmp_path / "enriched", "control-train")
    one, other = of(tmp_path / "plain", "test")[0], of(tmp_path / "enriched", "test")[0]
    assert other.prompt == f"{one.prompt}\n\nMetadata:\n- intent: {one.meta['intent']}"
    told = enriched.evaluation_prompts_sha256
    assert told["control"] == told["experiment"] != plain.evaluation_prompts_sha256["control"]
    trained = build(DEMO, "scenario", tmp_path / "demo", test_prompts="plain")
    assert sorted(trained.files) == [
        "control-train.jsonl", "control-val.jsonl", "experiment-train.jsonl", "experiment-val.jsonl", "test.jsonl",
    ]  # fmt: skip
    assert "micro has none" in complaint("micro", out=tmp_path / "micro", test_prompts="enriched")


def test_without_a_source_manifests_are_taken_by_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_source(tmp_path / "datasets")
    (tmp_path / "datasets" / "kubernetes").mkdir()
    rows = (tmp_path / "datasets" / "sql" / "samples.jsonl").read_text()
    (tmp_path / "datasets" / "kubernetes" / "samples.jsonl").write_text(rows.replace("sql", "pod"))
    monkeypatch.chdir(tmp_path)
    assert "bugfix, express, python, react, sql from datasets" in command("all")
    assert "kubernetes from datasets" in command("scenario", scenario="kubernetes")
    assert "kubernetes" in command("all", source="datasets", out=tmp_path / "every")
