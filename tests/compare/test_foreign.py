"""Score files of ours and of other tools: what is accepted, what is refused and where."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.compare import compare, load_scores
from sluicegate.compare.foreign import read_scores
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


def test_a_log_of_inspect_ai(tmp_path: Path) -> None:
    """As version 0.3 writes it: totals first, a number of seconds in every sample, letters or numbers as values."""

    def sample(name: str, epoch: int, **scores: object) -> dict[str, object]:
        told = {scorer: {"value": value, "answer": "x", "history": []} for scorer, value in scores.items()}
        return {"id": name, "epoch": epoch, "total_time": 0.5, "turn_count": 1, "scores": told, "uuid": "u"}

    samples = [
        sample("a", 1, match="C", f1=0.5, model="no"), sample("a", 2, match="I", f1={"p": 0.25, "r": 1}, model="Yes"),
        sample("b", 1), sample("c", 1, match=math.nan),
    ]  # fmt: skip
    totals = {"total_samples": 3, "scores": [{"name": "match", "metrics": {"stderr": {"value": math.nan}}}]}
    log = {"version": 2, "status": "success", "eval": {"task": "t"}, "results": totals, "samples": samples}
    found = load_scores(written(tmp_path, "log.json", json.dumps(log)))
    there = {(score.draw, score.metric, score.value) for score in found if score.value is not None}
    metrics = {"match", "f1", "f1/p", "f1/r", "scorer model"}
    assert there == {
        (0, "match", 1.0), (0, "f1", 0.5), (0, "scorer model", 0.0),
        (1, "match", 0.0), (1, "f1/p", 0.25), (1, "f1/r", 1.0), (1, "scorer model", 1.0),
    }  # fmt: skip
    assert {score.metric for score in found if score.sample_id == "b"} == metrics


def test_what_looks_like_a_log_is_a_table_with_its_unit(tmp_path: Path) -> None:
    text = json.dumps({"version": 1, "eval": "mmlu", "unit": "percent", "samples": [{"id": "a", "scores": {"em": 87}}]})
    assert values(load_scores(written(tmp_path, "t.json", text))) == [("a", "em", 0.87)]


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
        ("t.csv", "id,em\na,1\nb,1e999\n", "t.csv:3, em"),
        ("t.csv", "id,em\na,1\nb,-Infinity\n", "t.csv:3, em"),
        ("t.csv", "id,em\na,1\nb,inf%\n", "t.csv:3, em"),
        ("t.json", '[{"id": "b", "em": 1' + "0" * 400 + "}]", "t.json: row 1, em"),
        ("t.jsonl", '{"sample_id": "a", "em": 1}\n{"sample_id": "b", "em": Infinity}\n', "t.jsonl:2"),
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
        ("t.csv", "id,em,em\na,0.5,7\n", "t.csv:1: columns given twice"),
        ("t.csv", "id,em, em\na,0.5,7\n", "t.csv:1: columns given twice"),
        ("t.csv", "id,em,em%\na,0.5,50\n", "em, em% are the same metric"),
        ("t.csv", "id,em,,bleu\na,0.5,7,1\n", "t.csv:1: a column without a name"),
        ("t.csv", "id,em\na,101%\n", "wanted: a percentage in [0, 100]"),
        ("t.csv", "id,em\na,87.5\n", "name the column `em%`"),
        ("t.csv", "id;em\na;0,5\nb;0.5\n", "t.csv:2, em: not a number"),
        ("t.csv", 'id,em\n"a,0.5\n', "t.csv:2: not CSV"),
        ("t.csv", "id,em\n" + "x" * 200_000 + ",1\n", "t.csv:2: not CSV"),
        ("t.csv", "id,em\n" + "x" * 2000 + ",1\n", "t.csv:2: no id to go by"),
        ("t.csv", "id,draw,em\na,99999999999999999999,0.5\n", "t.csv:2, draw"),
        ("t.csv", "\ufeff", "empty"),
        ("t.csv", " \n\n", "empty"),
        ("t.csv", "\x00\x01\x02,\x03\n\x04,1\n", "no id column"),
        ("t.json", "\x00\x01\x02", "t.json:1: not JSON"),
        ("t.json", '[{"id": "a", "em": 1, "em": 0}]', "em twice in one object"),
        ("t.jsonl", '{"id": "a", "em": 1}\n{"id": "b", "em": 1, "em": 0}\n', "t.jsonl:2: em twice in one object"),
        ("t.json", '[{"id": "a", "em": 1, "metrics": {"em": 0}}]', "row 1: columns given twice"),
        ("t.json", "[" * 100_000, "t.json: cannot be read as JSON"),
        ("t.json", '[{"id": "a", "em": 1' + "0" * 5000 + "}]", "t.json: cannot be read as JSON"),
        ("t.json", '[{"id": "\\ud800", "em": 1}]', "row 1: no id to go by"),
        ("t.json", '[{"id": {"a": 1}, "em": 1}]', "row 1: no id"),
        ("t.json", '{"id": ["a", "b"], "em": [1]}', "columns of different lengths"),
        ("t.json", '{"results": {"arc": {"acc": 0.5}}}', "orient='records'"),
        ("t.json", '[{"id": "a", "metric": "em", "value": 7}]', "row 1, value: out of range"),
        ("t.json", '[{"id": "a", "metric": null, "value": 1}]', "row 1: no metric"),
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


def test_many_faults_of_one_column_are_told_once(tmp_path: Path) -> None:
    path = written(tmp_path, "t.csv", "id,em,ok\n" + "".join(f"i{n},{n},{n % 2}\n" for n in range(100)) + "z,1,x\n")
    with pytest.raises(UserError) as fault:
        load_scores(path)
    text = str(fault.value)
    assert "99 faults; nothing was read" in text
    assert "t.csv:4, em: out of range, and 97 more like it" in text
    assert "t.csv:102, ok: not a number" in text
    assert len(text) < 700


def test_a_line_of_fifty_megabytes_is_refused_in_a_few_words(tmp_path: Path) -> None:
    for name, text in (
        ("t.csv", "x" * 50_000_000),
        ("t.jsonl", '{"id": "' + "x" * 50_000_000),
        ("t.json", '[{"id": "' + "x" * 50_000_000 + '", "em": 1}]'),
    ):
        with pytest.raises(UserError) as fault:
            load_scores(written(tmp_path, name, text))
        assert len(str(fault.value)) < 500


def test_folders_and_other_encodings_are_refused(tmp_path: Path) -> None:
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(UserError, match="cannot be read"):
        load_scores(tmp_path / "folder.json")
    (tmp_path / "t.csv").write_bytes("id,em\na,1\n".encode("utf-16"))
    with pytest.raises(UserError, match=r"t\.csv:1: not UTF-8"):
        load_scores(tmp_path / "t.csv")
    (tmp_path / "t.json").write_bytes(bytes(range(256)) * 100)
    with pytest.raises(UserError, match="not UTF-8"):
        load_scores(tmp_path / "t.json")


def test_what_other_tools_write(tmp_path: Path) -> None:
    pandas = written(tmp_path, "p.CSV", ",id,em\n0,a,1\n1,b,0\n")
    assert values(load_scores(pandas)) == [("a", "em", 1.0), ("b", "em", 0.0)]
    tabs = written(tmp_path, "t.csv", "id\tem\na\t1\n\nb\t0\n")
    assert values(load_scores(tabs)) == [("a", "em", 1.0), ("b", "em", 0.0)]
    nested = written(tmp_path, "n.json", '{"data": {"unit": "%", "rows": [{"id": 7, "metrics": {"em": 50}}]}}')
    assert values(load_scores(nested)) == [("7", "em", 0.5)]
    lines = written(tmp_path, "l.json", '{"doc_id": 1, "em": 1}\n{"doc_id": 2, "em": 0}\n')
    assert values(load_scores(lines)) == [("1", "em", 1.0), ("2", "em", 0.0)]
    columns = written(tmp_path, "c.json", '{"id": ["a", "b"], "em": [1, null], "model": "x"}')
    assert values(load_scores(columns)) == [("a", "em", 1.0), ("b", "em", None)]
    ours = [Score("a", "control-s0", 0, "em", 1.0), Score("b", "control-s0", 0, "em", None, "no judge")]
    jsonl.write(tmp_path / "ours.json", ours)
    assert load_scores(tmp_path / "ours.json") == ours


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


def test_ours_come_one_by_one_and_a_line_that_cannot_be_read_is_told_as_ever(tmp_path: Path) -> None:
    good = '{"sample_id": "a", "model": "m", "draw": 0, "metric": "em", "value": 1.0}'
    path = written(tmp_path, "s.jsonl", f"\ufeff{good}\r\n{good}\n\n")
    assert [score.value for score in read_scores(path)] == [1.0, 1.0]
    path = written(tmp_path, "s.jsonl", f"{good}\n{good.replace('1.0', '7.0')}\n\n{good}\n")
    rows = read_scores(path)
    assert next(rows).value == 1.0
    with pytest.raises(UserError) as refused:
        next(rows)
    with pytest.raises(UserError) as wanted:
        jsonl.read(Score, path)
    assert str(refused.value) == str(wanted.value)
    assert "s.jsonl:3: " in str(refused.value)
    with pytest.raises(UserError, match="1 unreadable lines"):
        load_scores(written(tmp_path, "s.jsonl", f"{good}\n\n{good}\n"))


def test_rows_that_a_database_numbered_are_paired_by_task(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text("id,task_id,passed\n1,reverse,1\n2,merge,0\n")
    assert [(row.sample_id, row.metric, row.value) for row in load_scores(path)] == [
        ("reverse", "passed", 1.0),
        ("merge", "passed", 0.0),
    ]
