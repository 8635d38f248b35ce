"""Whole scenarios as each arm sees them, under the names that they are called by."""

import json
from pathlib import Path

import pytest

from sluicegate import cli
from sluicegate.data.arms import command
from sluicegate.data.reader import read_samples
from sluicegate.errors import UserError


def source(folder: Path) -> Path:
    for name in ("react", "own", "kubernetes"):
        path = folder / name / "samples.jsonl"
        path.parent.mkdir(parents=True)
        path.write_text(
            "".join(
                json.dumps(
                    {"id": f"{name}{n}", "prompt": f"{name} {n}", "completion": "x", "meta": {"intent": f"i{n}"}}
                )
                + "\n"
                for n in range(3)
            )
        )
    return folder


def test_each_arm_has_every_scenario_with_its_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source(tmp_path / "datasets")
    monkeypatch.chdir(tmp_path)
    assert cli.run(["data", "arms"]) == 0
    assert "datasets/control/react-components/samples.jsonl  3 samples\n" in capsys.readouterr().out
    written = sorted(str(path.relative_to("datasets")) for path in Path("datasets").glob("*/*/samples.jsonl"))
    assert written == [
        f"{arm}/{name}/samples.jsonl" for arm in ("control", "experiment") for name in ("own", "react-components")
    ]
    plain = read_samples(Path("datasets/control/react-components/samples.jsonl"))
    enriched = read_samples(Path("datasets/experiment/react-components/samples.jsonl"))
    assert [(one.id, one.prompt, one.scenario) for one in plain] == [
        (f"react{n}", f"react {n}", "react") for n in range(3)
    ]
    assert enriched[1].prompt == "react 1\n\nMetadata:\n- intent: i1"
    assert [one.completion for one in plain] == [one.completion for one in enriched]


def test_a_named_source_gives_all_it_has_and_a_study_its_own_arms(tmp_path: Path) -> None:
    told = command(source=str(source(tmp_path / "in")), out=tmp_path / "out")
    assert f"{tmp_path}/out/control/kubernetes/samples.jsonl  3 samples" in told
    told = command(study="demo", out=tmp_path / "demo")
    assert told == "\n".join(
        f"{tmp_path}/demo/{arm}/python-functions/samples.jsonl  100 samples" for arm in ("control", "experiment")
    )


def test_it_is_the_same_again_and_overwrites_nothing(tmp_path: Path) -> None:
    asked = {"source": str(source(tmp_path / "in")), "out": tmp_path / "out"}
    first = command(**asked)  # type: ignore[arg-type]
    assert command(**asked) == first  # type: ignore[arg-type]
    changed = tmp_path / "out" / "control" / "own" / "samples.jsonl"
    changed.write_text("mine")
    with pytest.raises(UserError, match=r"own/samples\.jsonl: there already; nothing was written"):
        command(**asked)  # type: ignore[arg-type]
    assert changed.read_text() == "mine"
    command(**asked, force=True)  # type: ignore[arg-type]
    assert len(read_samples(changed)) == 3


def test_metadata_that_gives_an_answer_away_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    path = source(tmp_path / "in") / "own" / "samples.jsonl"
    path.write_text(json.dumps({"prompt": "p", "completion": "a = b", "meta": {"intent": "so a = b then"}}) + "\n")
    with pytest.raises(UserError, match="gives the answer away"):
        command(source=str(tmp_path / "in"), out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
