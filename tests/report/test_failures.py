"""Where answers fall short: by kind, by the first reason, by the checks that evaluators name."""

from __future__ import annotations

from pathlib import Path

from sluicegate import jsonl
from sluicegate.records import Sample, Score
from sluicegate.report.failures import MOST, Part, find
from sluicegate.report.reader import Reader


def score(sample: str, metric: str, value: float | None, why: str = "", model: str = "a-s0") -> Score:
    return Score(sample, model, 0, metric, value, why)


def found(root: Path, rows: dict[str, list[Score]], kinds: dict[str, str] | None = None) -> dict[str, Part]:
    for model, scores in rows.items():
        jsonl.write(root / "scores" / f"{model}.jsonl", scores)
    if kinds:
        samples = [Sample(name, "p", "c", "kubernetes", meta={"kinds": [kind]}) for name, kind in kinds.items()]
        jsonl.write(root / "data" / "test.jsonl", samples)
    return {part.title: part for part in find(Reader(root), list(rows), "quality", {"files": {}})}


def test_an_answer_counts_once_by_its_first_reason_and_by_each_failed_check(tmp_path: Path) -> None:
    broken = [
        score("1", "parses", 0.0, "line 2: syntax: wrong"), score("1", "valid", 0.0, "line 9: another"),
        score("2", "bp", 0.5, "image_pinned, liveness_probe"), score("2", "security", 0.0, "image_pinned"),
        score("3", "parses", 1.0), score("3", "fidelity", 0.0, "0 of 7 facts"),
        score("3", "quality", 0.0, "quality 0.00"), score("4", "bp", None, "no workload"),
    ]  # fmt: skip
    parts = found(tmp_path, {"a-s0": broken})
    assert parts["failed"].rows == (("# of # facts", "25.0%"), ("syntax: wrong", "25.0%"))
    assert parts["failed check"].rows == (("image_pinned", "25.0%"), ("liveness_probe", "25.0%"))


def test_arms_stand_side_by_side_and_their_runs_count_together(tmp_path: Path) -> None:
    rows = {
        "a-s0": [score("1", "quality", 0.2)], "a-s1": [score("1", "quality", 0.4, model="a-s1")],
        "b-s0": [score("1", "quality", 1.0, model="b-s0"), score("2", "quality", 0.0, "line 1: x", model="b-s0")],
    }  # fmt: skip
    parts = found(tmp_path, rows, {"1": "Pod", "2": "Job"})
    assert parts["quality, mean by kind"].arms == ("a", "b")
    assert parts["quality, mean by kind"].rows == (("Job (1)", "–", "0.0%"), ("Pod (1)", "30.0%", "100.0%"))
    assert parts["failed"].rows == (("x", "0.0%", "50.0%"),)


def test_the_most_frequent_come_first_and_not_all(tmp_path: Path) -> None:
    rows = [score(str(item), "valid", 0.0, f"fault {'abcdefghijklmnopqrst'[item % 20]}") for item in range(50)]
    parts = found(tmp_path, {"a-s0": rows})
    assert len(parts["failed"].rows) == MOST
    assert parts["failed"].rows[0] == ("fault a", "6.0%")


def test_nothing_that_fails_and_nothing_there_is_no_table(tmp_path: Path) -> None:
    assert found(tmp_path, {"a-s0": [score("1", "quality", 1.0)]}) == {}
    assert find(Reader(tmp_path), ["nobody"], "quality", {"files": {}}) == ()
    reader = Reader(tmp_path)
    (tmp_path / "scores" / "a-s0.jsonl").write_text("{")
    assert find(reader, ["a-s0"], "quality", {"files": {}}) == ()
    assert len(reader.faults) == 1
