"""The audit finds each fault that it is made for, tells all of them, and goes on."""

import json
import re
from collections.abc import Callable
from concurrent.futures import as_completed
from pathlib import Path
from typing import Any

import pytest

from sluicegate import cli
from sluicegate.audit import command as module
from sluicegate.audit import trials
from sluicegate.audit.command import command
from sluicegate.errors import UserError
from sluicegate.sandbox import Limits, Outcome, python

from .conftest import SOUND

pytestmark = pytest.mark.process
Write = Callable[..., Path]
WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "sigma"]


def found(folder: Path, **asked: Any) -> dict[str, Any]:
    text, code = command(folder, as_json=True, **asked)
    told: dict[str, Any] = json.loads(text)
    assert code == (10 if told["faults"] else 0)
    return told


def faults(folder: Path, **asked: Any) -> list[tuple[str, str]]:
    """Id and words of each fault."""
    return [(one["id"], one["why"]) for one in found(folder, **asked)["faults"]]


def other(name: str, **changes: Any) -> dict[str, Any]:
    return {**SOUND, "id": name, **changes}


def function(number: int) -> dict[str, Any]:
    """A sound sample that is like no other."""
    word = WORDS[number]
    return other(
        word,
        prompt=f"{word} " * 3 + f"please write {word}_{number}, which adds {number}",
        completion=f"def {word}_{number}({word}):\n    return {word} + {number}\n",
        tests=f"assert {word}_{number}(0) == {number}\nassert {word}_{number}(1) == {number + 1}\n",
    )


def test_a_sound_set_passes_and_says_what_was_killed(written: Write) -> None:
    told = found(written([SOUND]))
    [one] = told["samples"]
    assert told["faults"] == []
    assert told["mutants"] == told["killed"] == one["mutants"] == 8
    text, code = command(written([SOUND]))
    assert code == 0
    assert "sound: 8 of 8 mutants killed" in text
    assert "python: 1 samples; 1 easy\n  1 with sound tests; 8 of 8 mutants killed, 100.0%" in text
    assert text.endswith("faults: 0")


def test_the_command_line_prints_it_and_ends_with_the_code(written: Write, capsys: pytest.CaptureFixture[str]) -> None:
    folder = written([SOUND, other("bad", tests="assert False")])
    argv = ["data", "audit", str(folder), "--scenario", "python", "--workers", "1", "--mutants", "2"]
    assert cli.run(argv) == 10
    told = capsys.readouterr().out
    assert "sound: 2 of 2 mutants killed" in told
    assert f"  {folder}/python/samples.jsonl:2: bad: tests: the reference does not pass: fail" in told


def test_surviving_mutants_are_listed_and_counted_over_the_set(written: Write) -> None:
    weak = function(1) | {"tests": "assert beta_1(0) >= 1\n"}
    told = found(written([weak]), mutants=3)
    assert told["samples"][0]["alive"] == ["line 2, constant: `1` → `2`"]
    [fault] = told["faults"]
    assert fault["why"] == "the tests kill 2 of 3 mutants, 66.7%; wanted 85% or more"
    strong = [function(number) for number in range(2, 6)]
    assert faults(written([weak, *strong]), mutants=3) == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"completion": "def gross(prices, rate):\n    return 0\n"}, "the reference does not pass: fail "),
        ({"completion": "def gross(prices, rate:\n"}, "the reference does not pass: error "),
        ({"tests": "assert gross([], 0) in (0, None)\n"}, "a stub passes: the same names with nothing in them"),
        ({"tests": "x = 1\n"}, "a stub passes: the same names with nothing in them"),
        ({"tests": " \n"}, "the sample has no tests"),
        ({"tests": "assert gross([], 0) == ("}, "the reference does not pass: "),
        ({"meta": {**SOUND["meta"], "licence": ""}}, "meta.licence is missing"),
        ({"meta": {**SOUND["meta"], "language": None}}, "meta.language is missing"),
        ({"meta": {**SOUND["meta"], "difficulty": "harder"}}, "meta.difficulty 'harder': wanted easy, medium, hard"),
        ({"meta": {**SOUND["meta"], "language": "cobol"}}, "there are tests, and nothing that runs cobol"),
        (
            {"meta": {**SOUND["meta"], "constraints": ["return sum(prices) * (1 + rate)"]}},
            "the metadata holds a part of the completion: return sum(prices) * (1 + rate)",
        ),
        ({"tests": "import urllib.request\n" + SOUND["tests"]}, "the tests reach for the network (urllib)"),
        ({"meta": {**SOUND["meta"], "broken": "x = 1"}}, "meta.broken is not in the prompt"),
        ({"scenario": "sql"}, "scenario sql, in the folder of python"),
    ],
)
def test_each_fault_of_a_sample_is_told_and_the_rest_goes_on(written: Write, changes: dict[str, Any], why: str) -> None:
    told = found(written([function(1), other("bad", **changes), function(2)]), mutants=2)
    assert [(one["id"], one["why"][: len(why)]) for one in told["faults"] if one["check"] != "mutants"] == [
        ("bad", why)
    ]
    assert [one["mutants"] for one in told["samples"] if one["id"] != "bad"] == [2, 2]


def test_a_broken_program_must_fail(written: Write) -> None:
    wrong = "def gross(prices, rate):\n    return sum(prices)\n"
    meta = {**SOUND["meta"], "broken": wrong}
    prompt = f"It forgets the tax:\n```python\n{wrong}```"
    assert faults(written([other("mended", prompt=prompt, meta=meta)], "bugfix")) == []
    same = {**meta, "broken": SOUND["completion"]}
    told = faults(written([other("same", prompt=SOUND["completion"], meta=same), function(1)], "bugfix"))
    assert told == [
        ("beta", "meta.broken is missing: the program that is to be mended"),
        ("same", "the broken program (meta.broken) passes"),
    ]


def test_tests_that_hang_are_cut_off(written: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = []
    real = python.run

    def run(*given: Any, **named: Any) -> Outcome:
        runs.append(named)
        return real(*given, **{"limits": Limits(wall_s=3, cpu_s=1), **named})

    monkeypatch.setattr(python, "run", run)
    told = faults(written([other("hangs", tests="while True:\n    pass\n"), function(3)]), mutants=2)
    assert len(told) == 1
    assert told[0][1].startswith("the reference does not pass: timeout")
    assert len(runs) == 5  # the one that hangs is asked once


def test_queries_are_tried_on_their_databases(written: Write) -> None:
    query = {
        "id": "query",
        "prompt": "Names of those over thirty, the last name first.",
        "completion": "SELECT name FROM c WHERE age > 30 ORDER BY name DESC",
        "tests": (
            "-- schema\nCREATE TABLE c (name TEXT, age INTEGER);\n-- database one\n"
            "INSERT INTO c VALUES ('Ann', 30), ('Bob', 31), ('Cid', 44);\n-- rows\n[\"Cid\"]\n[\"Bob\"]\n"
        ),
        "meta": {"language": "sql", "licence": "MIT"},
    }
    empty = query | {
        "id": "empty",
        "prompt": "Who is older than a hundred?",
        "completion": "SELECT who FROM c WHERE years > 100",
        "tests": "-- schema\nCREATE TABLE c (who TEXT, years INTEGER);\n-- database one\n-- rows\n",
    }
    told = found(written([query, empty], "sql"), mutants=20)
    assert told["samples"][0]["mutants"] == 5
    assert told["samples"][0]["alive"] == []
    assert ("empty", "a stub passes: the same names with nothing in them") in [
        (one["id"], one["why"]) for one in told["faults"]
    ]


def test_near_duplicates_are_told_with_their_splits(written: Write) -> None:
    rows = [function(number) for number in range(1, len(WORDS))]
    copy = rows[0] | {"id": "copy", "completion": rows[0]["completion"] + "\n\n# the end\n", "prompt": "other words"}
    place = written([]) / "python" / "samples.jsonl"
    [fault] = found(written([*rows, copy]), mutants=1)["faults"]
    assert (fault["check"], fault["id"]) == ("near", "copy")
    assert fault["why"].startswith(f"the answer is 100% that of beta ({place}:1), ")
    assert re.fullmatch("both in (train|val|test)|train-val|train-test|val-test", fault["why"].split("), ")[1])
    same = rows[0] | {"id": "copy"}  # equal answers are never split
    assert all("both in" in one["why"] for one in found(written([*rows, same]), mutants=1)["faults"])
    kin = {"meta": {**SOUND["meta"], "group": "one"}}
    told = found(written([rows[0] | kin, copy | kin]), mutants=1)
    assert told["faults"] == []
    assert [pair["apart"] for pair in told["near"]] == [True]


def test_a_second_audit_runs_nothing_and_a_changed_sample_is_run_again(
    written: Write, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = found(written([function(1), function(2)]))
    assert len(list(cache.iterdir())) == 2
    ran: list[str] = []

    def tried(sample: Any, mutants: int, _: object) -> trials.Trial:
        ran.append(sample.id)
        return trials.Trial(mutants=mutants)

    monkeypatch.setattr(trials, "_tried", tried)
    assert found(written([function(1), function(2)]))["samples"] == first["samples"]
    assert ran == []
    changed = function(2) | {"tests": function(2)["tests"] + "# more\n"}
    found(written([function(1), changed]))
    assert ran == ["gamma"]
    for path in cache.iterdir():
        path.write_text('{"mutants":')  # torn by a kill
    found(written([function(1)]))
    assert ran == ["gamma", "beta"]


def test_our_own_failure_is_told_and_not_kept(written: Write, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python, "run", lambda *_, **__: Outcome("infra", "no sandbox"))
    assert faults(written([SOUND])) == [("sound", "not judged: no sandbox")]
    monkeypatch.setattr(trials, "_tried", lambda *_: 1 / 0)
    assert faults(written([SOUND])) == [("sound", "not judged: our failure: ZeroDivisionError: division by zero")]
    assert not cache.exists()


def test_without_a_cache_folder_it_runs_all_the_same(
    written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert faults(written([SOUND]), mutants=2) == []


def test_samples_without_tests_in_a_language_that_nothing_runs_are_no_fault(written: Write) -> None:
    manifest = {
        "id": "m",
        "prompt": "a pod",
        "completion": "kind: Pod\n",
        "meta": {"language": "yaml", "licence": "MIT"},
    }
    text, code = command(written([manifest], "kubernetes"))
    assert code == 0
    assert "not tried: 1 samples: no tests" in text


@pytest.mark.parametrize("option", ["workers", "mutants"])
def test_numbers_that_make_no_sense_are_refused(written: Write, option: str) -> None:
    with pytest.raises(UserError, match=f"--{option}: too small"):
        cli.run(["data", "audit", str(written([SOUND])), f"--{option}", "0"])


def test_the_shipped_folder_must_have_its_grades(
    written: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written([function(number) for number in range(10)])
    folder.rename(tmp_path / "datasets")
    monkeypatch.chdir(tmp_path)
    text, code = command(None, mutants=1)
    assert code == 10
    assert "datasets/python: fields: 10 easy; wanted 3 easy, 5 medium, 2 hard" in text


def test_an_interrupted_audit_runs_no_more_programs_and_goes_on_later(
    written: Write, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, ran = python.run, []

    def interrupted(*given: Any, **named: Any) -> Outcome:
        ran.append(given)
        return real(*given, **named)

    class Stopping:
        """A pool's results, with Ctrl-C after the first."""

        def __init__(self, work: Any) -> None:
            self.rest = iter(as_completed(work))

        def __iter__(self) -> Any:
            yield next(self.rest)
            raise KeyboardInterrupt

    monkeypatch.setattr(python, "run", interrupted)
    monkeypatch.setattr(module, "as_completed", Stopping)
    folder = written([function(number) for number in range(1, 7)])
    with pytest.raises(KeyboardInterrupt):
        command(folder, workers=1)
    done, first = len(list(cache.iterdir())), len(ran)
    assert 1 <= done < 6
    monkeypatch.setattr(module, "as_completed", as_completed)
    assert faults(folder) == []
    assert len(list(cache.iterdir())) == 6
    assert len(ran) - first < 6 * first / done
