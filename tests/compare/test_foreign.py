"""Score files of ours and of other tools: what is accepted, what is refused and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.compare import compare, load_scores
from sluicegate.errors import UserError
from sluicegate.records import Score


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def values(found: list[Score]) -> list[tuple[str, str, float | None]]:
    return [(score.sample_id, score.metric, score.value) for score in found]


def test_our_own_scores_are_read_as_they_are(tmp_path: Path) -> None:
    given = [Score("a", "control-s0", 0, "em", 1.0), Score("a", "control-s0", 1, "em", None, "no judge")]
    jsonl.write(tmp_path / "s.jsonl", given)
    assert load_scores(tmp_path / "s.jsonl") == given


def test_json_with_a_column_a_metric(tmp_path: Path) -> None:
    text = json.dumps([{"id": "a", "bleu": 0.5, "passed": True, "text": "x"}, {"id": 2, "bleu": None, "passed": False}])
    found = load_scores(written(tmp_path, "tool.json", text))
    assert values(found) == [("a", "bleu", 0.5), ("a", "passed", 1.0), ("2", "bleu", None), ("2", "passed", 0.0)]
    assert {score.model for score in found} == {"tool"}
    assert found[2].why == "no value in the file"


def test_json_wrapped_in_percent(tmp_path: Path) -> None:
    text = json.dumps({"unit": "percent", "results": [{"task_id": "a", "bleu": 50}]})
    assert values(load_scores(written(tmp_path, "t.json", text))) == [("a", "bleu", 0.5)]


def test_json_lines_of_another_tool(tmp_path: Path) -> None:
    path = written(tmp_path, "t.jsonl", '{"id": "a", "em": 1, "draw": 0}\n{"id": "a", "em": 0, "draw": 1}\n')
    assert [(score.draw, score.value) for score in load_scores(path)] == [(0, 1.0), (1, 0.0)]


@pytest.mark.parametrize("header", ["bleu%", "bleu (%)", "bleu_percent", "bleu_pct"])
def test_csv_percentages_where_the_column_says_so(tmp_path: Path, header: str) -> None:
    path = written(tmp_path, "t.csv", f"id,{header},em\na,87.5,1\nb,,0\n")
    assert values(load_scores(path)) == [("a", "bleu", 0.875), ("a", "em", 1.0), ("b", "bleu", None), ("b", "em", 0.0)]


def test_csv_cells_that_say_so_semicolons_and_truth_values(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "\ufeffsample_id;em;ok;note\na;87.5%;true;good\nb;NA;False;\n")
    assert values(load_scores(path)) == [("a", "em", 0.875), ("a", "ok", 1.0), ("b", "em", None), ("b", "ok", 0.0)]


def test_long_rows_with_metric_and_value(tmp_path: Path) -> None:
    path = written(tmp_path, "t.tsv", "id\tmodel\tmetric\tvalue\na\tm1\tem\t1\na\tm1\tbleu\t0.25\n")
    assert values(load_scores(path)) == [("a", "em", 1.0), ("a", "bleu", 0.25)]
    assert values(load_scores(path, metrics=["bleu"])) == [("a", "bleu", 0.25)]


def test_named_metrics_leave_other_numbers_alone(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "id,em,seconds\na,1,12.5\n")
    assert values(load_scores(path, metrics=["em"])) == [("a", "em", 1.0)]
    with pytest.raises(UserError, match=r"t\.csv:2, seconds: out of range"):
        load_scores(path)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("t.json", '[{"id": "NaN", "em": 1},\n {"id": "b", "em": NaN}]', "t.json:2"),
        ("t.json", '[{"id": "b", "em": -Infinity}]', "t.json:1"),
        ("t.json", '[{"id": "b", "em": 1e999}]', "t.json: row 1, em"),
        ("t.jsonl", '{"id": "a", "em": 1}\n{"id": "b", "em": NaN}\n', "t.jsonl:2"),
        ("t.csv", "id,em\na,1\nb,nan\n", "t.csv:3, em"),
        ("t.csv", "id,em\na,1\nb,inf\n", "t.csv:3, em"),
    ],
)
def test_numbers_that_are_none_are_refused_with_their_place(tmp_path: Path, name: str, text: str, place: str) -> None:
    with pytest.raises(UserError) as fault:
        load_scores(written(tmp_path, name, text))
    assert f"{place}: not a finite number" in str(fault.value)


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("t.csv", "", "empty"),
        ("t.csv", "name,em\na,1\n", "no id column"),
        ("t.csv", "id,em\n", "no rows"),
        ("t.csv", "id,text\na,x\n", "no metric column"),
        ("t.csv", "id,em\na,87.5\n", "t.csv:2, em: out of range"),
        ("t.csv", "id,em\na,0.5\nb,good\n", "t.csv:3, em: not a number"),
        ("t.csv", "id,em\na,0.5,7\n", "t.csv:2: cells and header differ"),
        ("t.csv", "id,em\na\n", "t.csv:2: cells and header differ"),
        ("t.csv", "id,em\n,0.5\n", "t.csv:2: no id"),
        ("t.csv", "id,draw,em\na,first,0.5\n", "t.csv:2, draw"),
        ("t.json", "{", "t.json:1: not JSON"),
        ("t.json", '{"a": 1}', "no rows"),
        ("t.json", "[1]", "row 1: not a row"),
        ("t.jsonl", '{"id": "a", "em": 1}\n{oops\n', "t.jsonl:2: not JSON"),
        ("t.xlsx", "x", "unknown kind of file"),
    ],
)
def test_files_that_cannot_be_read_say_what_and_where(tmp_path: Path, name: str, text: str, what: str) -> None:
    with pytest.raises(UserError) as fault:
        load_scores(written(tmp_path, name, text))
    assert what in str(fault.value)


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "id,em\na,2\nb,0.5\nc,-1\n")
    with pytest.raises(UserError, match="2 faults; nothing was read") as fault:
        load_scores(path)
    assert "t.csv:2" in str(fault.value) and "t.csv:4" in str(fault.value)


def test_two_foreign_files_are_compared(tmp_path: Path) -> None:
    rows = "".join(f"i{i},{i % 3 == 0:d},{i % 2:d}\n" for i in range(30))
    path = written(tmp_path, "both.csv", "id,old,new\n" + rows)
    control = [Score(s.sample_id, s.model, s.draw, "em", s.value) for s in load_scores(path, metrics=["old"])]
    experiment = [Score(s.sample_id, s.model, s.draw, "em", s.value) for s in load_scores(path, metrics=["new"])]
    assert compare(control, experiment, primary="em")[0].gain == pytest.approx(5 / 30)
