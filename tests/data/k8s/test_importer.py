"""Other people's pairs: every fault with its file and line, oddities counted, nothing dropped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate.data.k8s.importer import load
from sluicegate.errors import UserError

POD = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: {}\nspec:\n  containers:\n  - name: a\n    image: b:1\n"


def item(name: str, intent: str = "") -> dict[str, object]:
    return {"intent": intent or f"a pod called {name}", "yaml": POD.format(name)}


def write(path: Path, rows: list[dict[str, object]], *, lines: bool = False) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)) if lines else json.dumps(rows, indent=1))
    return path


@pytest.mark.parametrize("lines", [False, True])
def test_a_list_and_json_lines_are_read(tmp_path: Path, lines: bool) -> None:
    path = write(tmp_path / "train_data.json", [item("a"), item("b")], lines=lines)
    found = load([path])
    assert [sample.prompt for sample in found.train] == ["a pod called a", "a pod called b"]
    assert [sample.scenario for sample in found.train] == ["kubernetes"] * 2
    assert found.train[1].meta["source"] == {"file": "train_data.json", "line": 2 if lines else 6}
    assert found.train[0].meta["kinds"] == ["Pod"]
    assert found.test == () and found.noted == {}


def test_equal_items_of_the_two_files_get_ids_of_their_own(tmp_path: Path) -> None:
    train = write(tmp_path / "train.json", [item("a"), item("b")])
    found = load([train, write(tmp_path / "test.json", [item("a"), item("c")])])
    ids = [sample.id for sample in (*found.train, *found.test)]
    assert len(set(ids)) == 4 and found.test[0].id == f"test-{found.train[0].id}"


def test_every_fault_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        item("a"),
        {"intent": "broken", "yaml": "a: ["},
        {"intent": "words", "yaml": "just words"},
    ]
    train = write(tmp_path / "train.json", rows, lines=True)
    test = write(tmp_path / "test.json", [{**item("z"), "scenario": "python"}], lines=True)
    with pytest.raises(UserError) as caught:
        load([train, test])
    told = str(caught.value)
    assert "3 bad items; nothing was read" in told
    assert "train.json:2: the yaml cannot be parsed" in told
    assert "train.json:3: the yaml holds no Kubernetes object" in told
    assert "test.json:1: scenario 'python'" in told


def test_many_faults_are_counted_and_ten_shown(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", [{"intent": f"{n}", "yaml": "a: ["} for n in range(30)], lines=True)
    with pytest.raises(UserError, match=r"30 bad items \(first 10 shown\)"):
        load([path])


def test_what_parses_but_is_not_valid_is_kept_and_counted(tmp_path: Path) -> None:
    odd = {
        "unknown": "apiVersion: e.com/v1\nkind: Widget\nmetadata: {name: a}\n",
        "schema": "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {container: []}\n",
        "semantic": "apiVersion: v1\nkind: Service\nmetadata: {name: a}\nspec: {ports: [{port: 99999}]}\n",
    }
    rows: list[dict[str, object]] = [{"intent": name, "yaml": text} for name, text in odd.items()]
    found = load([write(tmp_path / "t.json", [item("a"), *rows])])
    assert len(found.train) == 4
    assert found.noted == {"a kind without a schema": 1, "against a semantic rule": 1, "against its schema": 1}


@pytest.mark.parametrize("count", [0, 3])
def test_one_or_two_files(tmp_path: Path, count: int) -> None:
    path = write(tmp_path / "t.json", [item("a")])
    with pytest.raises(UserError, match="which files"):
        load([path] * count)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"intent": "a"}', '[{"intent": "a", "yaml": 3}]', "\0"])
def test_hostile_files_are_one_message(tmp_path: Path, content: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"t\.json"):
        load([path])
    with pytest.raises(UserError, match="not found"):
        load([tmp_path / "none.json"])
