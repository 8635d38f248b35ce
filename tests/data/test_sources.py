"""Sources give what they have, and say what they lack."""

import json
from pathlib import Path

import pytest

from sluicegate.data import micro
from sluicegate.data.sources import available, load
from sluicegate.errors import UserError


def folder(tmp_path: Path, **scenarios: int) -> Path:
    for name, count in scenarios.items():
        rows = [{"id": f"{name}-{n}", "prompt": f"{name} {n}", "completion": f"{n} {name}"} for n in range(count)]
        write(tmp_path, name, *rows)
    return tmp_path


def write(tmp_path: Path, name: str, *rows: dict[str, str]) -> None:
    path = tmp_path / name / "samples.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def complaint(source: object, *scenarios: str, size: int | None = None) -> str:
    with pytest.raises(UserError) as caught:
        load(str(source), scenarios=scenarios, seed=0, size=size)
    return str(caught.value)


def test_demo_makes_as_many_as_are_wanted() -> None:
    assert len(load("demo", scenarios=["python"], seed=0)) == 100
    assert len(load("demo", scenarios=["python"], seed=0, size=7)) == 7
    assert load("demo", scenarios=["python"], seed=0, size=5) != load("demo", scenarios=["python"], seed=1, size=5)


def test_micro_gives_the_scenarios_asked_for() -> None:
    assert load("micro", scenarios=["sql", "react"], seed=0) == [micro.SQL, micro.REACT]


def test_a_folder_gives_all_it_has_in_the_order_asked_and_labelled(tmp_path: Path) -> None:
    found = load(str(folder(tmp_path, sql=3, react=2)), scenarios=["sql", "react"], seed=0, size=4)
    assert [sample.scenario for sample in found] == ["sql"] * 3 + ["react"] * 2


def test_available_lists_scenarios_with_samples(tmp_path: Path) -> None:
    (folder(tmp_path, sql=1) / "micro").mkdir()
    assert available(tmp_path) == ["sql"]
    assert available(tmp_path / "none") == []


def test_an_unknown_source_says_what_there_is(tmp_path: Path) -> None:
    told = complaint(tmp_path / "none", "sql")
    assert "not found" in told
    assert "demo, micro, kubernetes, or a folder" in told
    (tmp_path / "file").write_text("")
    assert "a file" in complaint(tmp_path / "file", "sql")


def test_a_missing_scenario_says_what_there_is(tmp_path: Path) -> None:
    told = complaint(folder(tmp_path, sql=1, react=1), "sql", "python", "rust")
    assert "no scenario python, rust" in told
    assert "scenarios react, sql" in told
    assert "no scenarios" in complaint(tmp_path / "sql", "sql")
    assert "no scenario sql" in complaint("demo", "sql")
    assert "no scenario kubernetes" in complaint("micro", "python", "kubernetes")


def test_too_few_say_how_many_of_each(tmp_path: Path) -> None:
    told = complaint(folder(tmp_path, sql=3, react=2), "sql", "react", size=6)
    assert "6 in all" in told
    assert "sql 3, react 2" in told
    assert "too few" in complaint("micro", "sql", size=2)
    assert "at most" in complaint("demo", "python", size=100_000)


def test_every_bad_file_is_told_at_once(tmp_path: Path) -> None:
    write(tmp_path, "sql", {"prompt": "p"}, {"prompt": "p", "completion": ""})
    write(tmp_path, "react")
    told = complaint(tmp_path, "sql", "react")
    for words in ("samples.jsonl:1: completion is missing", "samples.jsonl:2: completion is empty", "empty"):
        assert words in told


def test_samples_of_another_scenario_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "sql", {"prompt": "p", "completion": "c", "scenario": "react"})
    told = complaint(tmp_path, "sql")
    assert "samples of another scenario" in told
    assert str(tmp_path / "react" / "samples.jsonl") in told


def test_ids_are_unique_over_scenarios(tmp_path: Path) -> None:
    write(tmp_path, "sql", {"id": "1", "prompt": "p", "completion": "c"})
    write(tmp_path, "react", {"id": "1", "prompt": "q", "completion": "d"})
    assert "id '1' is used in 2 files" in complaint(tmp_path, "sql", "react")
