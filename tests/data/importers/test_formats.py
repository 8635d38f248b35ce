"""Each format's rows become our samples, tests included, and those that cannot be read are told one by one."""

import csv
import gzip
import json
import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from sluicegate import cli
from sluicegate.data import importers
from sluicegate.data.importers import Asked
from sluicegate.data.importers.command import Order, command
from sluicegate.data.reader import read_samples
from sluicegate.errors import RETRY, UserError
from sluicegate.evaluators import functional_correctness
from sluicegate.records import Prediction, Sample

ADD = 'from typing import List\n\n\ndef add(xs: List[int]) -> int:\n    """Add.\n    >>> add([1])\n    1\n    """\n'
HUMANEVAL = {
    "task_id": "HumanEval/0",
    "prompt": ADD,
    "entry_point": "add",
    "canonical_solution": "    return sum(xs)\n",
    "test": "\n\nMETADATA = {\n    'author': 'x'\n}\n\n\ndef check(candidate):\n    assert candidate([1, 2]) == 3\n",
}
MBPP = {
    "task_id": 11,
    "text": "Write a python function to add two points.",
    "code": "class P(object):\r\n    def __init__(self, x):\r\n        self.x = x\r\n"
    "def add(a, b):\r\n    return a.x + b.x",
    "test_list": ["assert add(P(1), P(2)) == 3"],
    "test_setup_code": "",
    "challenge_test_list": ["assert add(P(-1), P(1)) == 0"],
}


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return path


def taken(form: str, path: Path, out: Path, *, asked: Asked | None = None, code: int = 0) -> list[Sample]:
    order = Order(form, asked or Asked(), licence="MIT")
    told, seen = command(order, [path], out)
    assert seen == code, told
    return read_samples(next(out.glob("*/samples.jsonl")))


def faults(out: Path) -> list[tuple[str, str]]:
    report = json.loads((out / "import.json").read_text())
    return [(fault["place"].rsplit("/", 1)[-1], fault["why"]) for fault in report["faults"]]


def noted(out: Path) -> Mapping[str, int]:
    return json.loads((out / "import.json").read_text())["noted"]  # type: ignore[no-any-return]


def judged(sample: Sample, text: str) -> float | None:
    return functional_correctness.score(sample, Prediction(sample.id, "m", 0, text, 1, 0.0, "stop")).value


def test_the_command_line_knows_each_format() -> None:
    assert tuple(importers.FORMATS) == cli.IMPORTED


@pytest.mark.process
def test_humaneval_is_a_whole_program_and_its_check_judges(tmp_path: Path) -> None:
    path = tmp_path / "HumanEval.jsonl.gz"
    path.write_bytes(gzip.compress(f"{json.dumps(HUMANEVAL)}\n".encode()))
    (sample,) = taken("humaneval", path, tmp_path / "out")
    assert (sample.id, sample.scenario, sample.meta["language"]) == ("HumanEval/0", "python", "python")
    assert sample.prompt.startswith("Complete the function `add`.")
    assert sample.completion == f"{ADD}    return sum(xs)\n"
    assert judged(sample, sample.completion) == 1
    assert judged(sample, "def add(xs):\n    return 0\n") == 0


def test_humaneval_rows_that_could_not_judge_are_faults(tmp_path: Path) -> None:
    rows = [
        HUMANEVAL,
        {**HUMANEVAL, "task_id": "a", "entry_point": "sub"},
        {**HUMANEVAL, "task_id": "b", "test": "assert add([]) == 0"},
        {**HUMANEVAL, "task_id": "c", "canonical_solution": "    return ("},
        {name: value for name, value in HUMANEVAL.items() if name != "test"},
        {**HUMANEVAL, "prompt": 3},
    ]
    assert len(taken("humaneval", lines(tmp_path / "h.jsonl", *rows), tmp_path / "out", code=RETRY)) == 1
    assert [(place, why.split(":")[0]) for place, why in faults(tmp_path / "out")] == [
        ("h.jsonl:2", "entry_point"),
        ("h.jsonl:3", "test"),
        ("h.jsonl:4", "prompt and canonical_solution"),
        ("h.jsonl:5", "test"),
        ("h.jsonl:6", "prompt"),
    ]


@pytest.mark.process
def test_mbpp_asks_for_the_names_that_its_tests_call_and_shows_no_test(tmp_path: Path) -> None:
    (sample,) = taken("mbpp", lines(tmp_path / "mbpp.jsonl", MBPP), tmp_path / "out")
    assert sample.id == "mbpp-11"
    assert sample.prompt.endswith("Write it in Python, as:\n\nclass P(object)\ndef add(a, b)")
    assert "assert" not in sample.prompt
    assert "\r" not in sample.completion
    assert judged(sample, sample.completion) == 1
    wrong = sample.completion.replace("a.x + b.x", "3")
    assert judged(sample, wrong) == 0, "the challenge tests count, too"


def test_mbpp_sanitized_is_a_list_with_other_names(tmp_path: Path) -> None:
    row = {
        "source_file": "x", "task_id": 2, "prompt": "Find the root.", "code": "def root(x):\n    return x ** 0.5",
        "test_imports": ["import math"], "test_list": ["assert math.isclose(root(4), 2)"],
    }  # fmt: skip
    path = tmp_path / "sanitized-mbpp.json"
    path.write_text(json.dumps([row, {**row, "task_id": 3, "test_list": ["assert cube(1)"]}], indent=1))
    (sample,) = taken("mbpp", path, tmp_path / "out", code=RETRY)
    assert sample.tests == "import math\nassert math.isclose(root(4), 2)\n"
    assert faults(tmp_path / "out") == [("sanitized-mbpp.json:14", "test_list: calls nothing that code defines (root)")]
    assert noted(tmp_path / "out")["field not used: source_file"] == 1


def quixbugs(folder: Path) -> Path:
    for part, sign in (("python_programs", "-"), ("correct_python_programs", "+")):
        (folder / part).mkdir(parents=True)
        words = '\n\n"""\nTotal\nInput: numbers\nOutput: pairs of each and the sum so far\n"""\n' if sign == "-" else ""
        code = (
            f"def total(xs):\n    told = 0\n    for x in xs:\n        told = told {sign} x\n        yield (x, told)\n"
        )
        (folder / part / "total.py").write_text(code + words)
        (folder / part / "walk.py").write_text("def walk(node):\n    return node\n")
        (folder / part / "node.py").write_text("class Node: pass\n")
        (folder / part / "sqrt.py").write_text(f"def sqrt(x, within):\n    return {'2' if sign == '+' else 'x'}\n")
        (folder / part / "bad.py").write_text("def bad(x):\n    return x\n")
    (folder / "python_programs" / "walk_test.py").write_text("from walk import walk\n")
    (folder / "json_testcases").mkdir()
    (folder / "json_testcases" / "total.json").write_text("[[[1, 2.5]], [[1, 1], [2.5, 3.5]]]\n\n[[[]], []]\n")
    (folder / "json_testcases" / "sqrt.json").write_text("[[4.1, 0.1], 2.02]\n[[4, 0.1], 2.0001]\n")
    (folder / "json_testcases" / "bad.json").write_text("[1, 1]\n[1]\n")
    (folder / "LICENSE").write_text("Permission is hereby granted, free of charge, to any person")
    return folder


@pytest.mark.process
def test_quixbugs_has_the_broken_program_and_cases_that_tell_it_from_the_right_one(tmp_path: Path) -> None:
    folder = quixbugs(tmp_path / "QuixBugs")
    told, code = command(Order("quixbugs"), [folder], tmp_path / "out")
    assert code == RETRY
    root, total, walk = read_samples(tmp_path / "out" / "bugfix" / "samples.jsonl")
    assert (total.id, walk.id, walk.tests) == ("quixbugs-total", "quixbugs-walk", "")
    assert total.prompt.startswith("Total\nInput: numbers")
    assert "told - x" in total.prompt
    assert '"""' not in total.prompt
    assert total.meta["licence"] == "MIT-0"
    assert judged(total, total.completion) == 1
    assert judged(total, total.meta["broken"]) == 0
    assert judged(root, root.completion) == 1
    assert judged(root, "def sqrt(x, within):\n    return 2.2\n") == 0
    assert "noted: no cases in JSON: imported without tests: 1" in told
    assert "bad.json:2: wanted [arguments, value], seen '[1]'" in told


def databases(folder: Path) -> Path:
    path = folder / "database" / "zoo" / "zoo.sqlite"
    path.parent.mkdir(parents=True)
    made = sqlite3.connect(path)
    made.executescript(
        "CREATE TABLE pet (id INTEGER PRIMARY KEY, name TEXT, weight REAL, twice REAL AS (weight * 2), photo BLOB);"
        "CREATE VIEW heavy AS SELECT * FROM pet WHERE weight > 2;"
        "CREATE TRIGGER boom AFTER INSERT ON pet BEGIN DELETE FROM pet; END;"
    )
    made.executemany(
        "INSERT INTO pet (name, weight, photo) SELECT ?, ?, ?",
        [("O'Hara", 1.5, b"\0\xff"), ("a\n-- database x", 2.5, None), (None, 1e400, None), ("Zoë", 4, None)],
    )
    made.executescript("DROP TRIGGER boom")
    made.executemany(
        "INSERT INTO pet (name, weight, photo) SELECT ?, ?, ?", [("O'Hara", 1.5, b"\0\xff"), ("Zoë", 4, None)]
    )
    made.execute("INSERT INTO pet (name, weight) SELECT CAST(X'ff41' AS TEXT), 7")
    made.execute("INSERT INTO pet (name, weight) VALUES ('a' || char(10) || '-- database x', 1e400)")
    made.commit()
    made.close()
    return path


@pytest.mark.process
def test_spider_makes_two_databases_of_the_file_whatever_they_hold(tmp_path: Path) -> None:
    databases(tmp_path)
    row = {"db_id": "zoo", "question": "Which are heavy?", "query": "SELECT name FROM heavy", "query_toks": []}
    rows = [row, {**row, "db_id": "../zoo"}, {**row, "db_id": "ark"}, {**row, "query": None}]
    (sample,) = taken("spider", lines(tmp_path / "dev.json", json.dumps(rows)), tmp_path / "out", code=RETRY)
    assert sample.scenario == "sql"
    assert sample.meta["group"] == "spider/zoo"
    assert "CREATE TABLE pet" in sample.prompt
    assert "INSERT" not in sample.prompt
    assert [line for line in sample.tests.splitlines() if line.startswith("--")] == [
        "-- schema", "-- database first", "-- database half",
    ]  # fmt: skip
    assert judged(sample, "SELECT name FROM pet WHERE weight >= 4") == 1
    assert judged(sample, "SELECT name FROM pet WHERE weight = 4") == 0
    assert [why.split(":")[0].split(" /")[0] for _, why in faults(tmp_path / "out")] == [
        "db_id",
        "no database",
        "query",
    ]


def test_spider_takes_no_more_rows_than_asked_and_says_so(tmp_path: Path) -> None:
    databases(tmp_path)
    row = {"db_id": "zoo", "question": "q", "query": "SELECT 1"}
    (sample,) = taken("spider", lines(tmp_path / "dev.json", [row]), tmp_path / "out", asked=Asked(rows=1))
    assert sample.tests.count("O''Hara") == 2
    assert "Zoë" not in sample.tests
    assert any("--rows" in what for what in noted(tmp_path / "out"))
    (tmp_path / "database" / "zoo" / "zoo.sqlite").write_bytes(b"SQLite format 3\0" + b"\xff" * 2000)
    with pytest.raises(UserError, match=r"zoo\.sqlite: "):
        taken("spider", tmp_path / "dev.json", tmp_path / "other", asked=Asked(rows=2))


def test_chat_keeps_the_system_and_the_turns_and_refuses_what_is_no_text(tmp_path: Path) -> None:
    system, ask = {"role": "system", "content": "Be short."}, {"role": "user", "content": "Hi?"}
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Ho."}]}
    conversations: list[Any] = [
        [system, ask, answer],
        [ask, {"role": "assistant", "content": "No."}, {"role": "user", "content": "Why?"}, answer],
        [ask],
        [answer],
        [ask, {**answer, "weight": 0}],
        [ask, {"role": "assistant", "content": None, "tool_calls": [{}]}],
        [{"role": "user", "content": [{"type": "image_url"}]}, answer],
        [{"role": "tool", "content": "x"}, answer],
        "no list",
    ]
    rows = [{"messages": one} for one in conversations]
    one, several = taken("openai-chat", lines(tmp_path / "c.jsonl", *rows), tmp_path / "out", code=RETRY)
    assert (one.prompt, one.completion) == ("Be short.\n\nHi?", "Ho.")
    assert several.prompt == "user: Hi?\n\nassistant: No.\n\nuser: Why?"
    assert [place for place, _ in faults(tmp_path / "out")] == [f"c.jsonl:{number}" for number in range(3, 10)]
    assert sum("several turns" in what for what in noted(tmp_path / "out")) == 1


def test_alpaca_puts_the_input_below_the_instruction(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Sum.", "input": "1 2", "output": "3", "text": "x"},
        {"instruction": "Hi.", "input": "", "output": "Ho."},
        {"instruction": "Empty.", "input": "", "output": " "},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, indent=2))
    found = taken("alpaca", path, tmp_path / "out", code=RETRY)
    assert [one.prompt for one in found] == ["Sum.\n\n1 2", "Hi."]
    assert faults(tmp_path / "out") == [("a.json:13", "completion is empty")]
    assert noted(tmp_path / "out") == {"field not used: text": 1}


def table(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_a_table_may_have_another_separator_quoted_lines_and_a_mark(tmp_path: Path) -> None:
    text = 'question;answer;id;note\r\n"two\r\nlines; and a ""quote""";b;7;n\r\nq;ä;8;\r\n'
    path = table(tmp_path / "t.csv", text, "utf-8-sig")
    limit = csv.field_size_limit()
    first, second = taken("csv", path, tmp_path / "out", asked=Asked("question", "answer"))
    assert csv.field_size_limit() == limit
    assert (first.prompt, first.id, first.meta["source"]) == ('two\nlines; and a "quote"', "7", "t.csv:2")
    assert (second.completion, second.meta["source"]) == ("ä", "t.csv:4")


def test_each_bad_row_of_a_table_is_told_and_the_others_are_read(tmp_path: Path) -> None:
    raw = b'prompt,completion\na,b\na\nc,"d" x\n\xff,e\n\nf,g\nh,"never closed\ni,j\n'
    path = tmp_path / "t.csv"
    path.write_bytes(raw)
    found = taken("csv", path, tmp_path / "out", code=RETRY)
    assert [one.prompt for one in found] == ["a", "f"]
    told = faults(tmp_path / "out")
    assert [place for place, _ in told] == ["t.csv:3", "t.csv:4", "t.csv:5", "t.csv:6", "t.csv:8"]
    assert "not UTF-8" in told[2][1]
    assert "read up to line 9" in told[4][1]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a,b\n1,2\n", "no column completion and no column prompt"),
        ("prompt,completion,prompt\n1,2,3\n", "'prompt' is there twice"),
        ("prompt,completion\n", "no rows"),
        (" \n", "empty"),
    ],
)
def test_a_table_that_cannot_be_read_at_all_is_refused(tmp_path: Path, text: str, wanted: str) -> None:
    with pytest.raises(UserError, match=wanted):
        taken("csv", table(tmp_path / "t.csv", text), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def parquet(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet as writer

    path.parent.mkdir(parents=True, exist_ok=True)
    writer.write_table(pa.Table.from_pylist(list(rows)), path)
    return path


def test_hf_reads_what_save_to_disk_wrote_with_its_licence(tmp_path: Path) -> None:
    import pyarrow as pa

    for name, prompts in (("train", ["a", "b"]), ("test", ["c"])):
        folder = tmp_path / "saved" / name
        folder.mkdir(parents=True)
        rows = pa.Table.from_pylist([{"prompt": one, "completion": one * 2, "n": 1} for one in prompts])
        with pa.ipc.new_stream(str(folder / "data-00000-of-00001.arrow"), rows.schema) as stream:
            stream.write_table(rows)
        (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}))
        (folder / "dataset_info.json").write_text(json.dumps({"license": "cc-by-4.0", "features": {}}))
    (tmp_path / "saved" / "dataset_dict.json").write_text(json.dumps({"splits": ["train", "test"]}))
    found = taken("hf", tmp_path / "saved", tmp_path / "out")
    assert [(one.prompt, one.meta["licence"]) for one in found] == [(p, "cc-by-4.0") for p in "abc"]
    assert noted(tmp_path / "out") == {"field not used: n": 3}


def test_hf_maps_columns_of_parquet_and_lists_rows_without_text(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"q": "a", "a": "b", "license": "mit"}, {"q": None, "a": "b", "license": None}]
    parquet(tmp_path / "hub" / "data" / "train-00000.parquet", rows)
    asked = Asked("q", "a")
    (sample,) = taken("hf", tmp_path / "hub", tmp_path / "out", asked=asked, code=RETRY)
    assert (sample.prompt, sample.meta["licence"]) == ("a", "mit")
    assert faults(tmp_path / "out") == [
        ("train-00000.parquet:2", "q: wanted text, seen nothing; the row has q, a, license")
    ]
    (tmp_path / "hub" / "data" / "train-00000.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(UserError, match="cannot be read"):
        taken("hf", tmp_path / "hub", tmp_path / "other", asked=asked)


@pytest.mark.parametrize("name", ["../x.arrow", "a/b.arrow", 3])
def test_hf_never_leaves_its_folder(tmp_path: Path, name: object) -> None:
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(UserError, match=r"state\.json: cannot be read"):
        taken("hf", tmp_path, tmp_path / "out")
