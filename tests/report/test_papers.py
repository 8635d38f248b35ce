"""What the report tells of registration.json, forecast.json and budget.json: whole, missing, wrong and hostile."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.records import to_dict, to_json
from sluicegate.report.content import STAGES, as_json, read
from sluicegate.report.registration import MOST
from sluicegate.report.tables import WIDTH
from sluicegate.report.text import text
from sluicegate.stages import budget, forecast, register
from sluicegate.stages.budget import Overrun
from sluicegate.stages.ledger import Registered
from sluicegate.stages.register import Override, Registration
from sluicegate.study import dump, load

Told = Callable[[Path], dict[str, str]]
Make = Callable[..., dict[str, Any]]
PAPERS = ("registration.json", "forecast.json", "budget.json")
EVIL = '"><script>alert(1)</script>\x1b[2J\u202e\x00{{ 7*7 }}'


def test_what_was_registered_is_told(run_folder: Path, told: Told) -> None:
    for kind in ("txt", "html"):
        seen = told(run_folder)[kind]
        for said in (
            "2026-11-22T10:15:00+00:00", "exact_match: lower bound above −2.0 points", "bbbbbbbbbbbb…", "cccccccccccc…",
            "0.025 one-sided; 0 of 0.05 spent by decisions before", "GO of stage2-20261122T101000Z",
        ):  # fmt: skip
            assert said in seen


def test_every_override_is_in_every_report(run_folder: Path, make_registration: Make, told: Told) -> None:
    rows = [{"stage": i % 5, "time": f"2026-11-{i + 1:02}", "reason": f"reason {i}."} for i in range(28)]
    (run_folder / "registration.json").write_text(json.dumps(make_registration(overrides=rows)))
    seen = told(run_folder)
    for row in rows:
        for kind in ("txt", "html"):
            assert f"stage {row['stage']}, {row['time']}: {row['reason']}" in seen[kind]
        assert json.dumps(row) in seen["json"]


def test_a_hostile_reason_is_only_text(run_folder: Path, make_registration: Make, told: Told) -> None:
    rows = [{"stage": 3, "time": EVIL, "reason": EVIL + "x" * 5000}]
    (run_folder / "registration.json").write_text(json.dumps(make_registration(overrides=rows)))
    seen = told(run_folder)
    source = (run_folder / "report.html").read_text() + (run_folder / "report.txt").read_text()
    assert "<script" not in (run_folder / "report.html").read_text()
    assert not [sign for sign in source if (ord(sign) < 32 and sign != "\n") or sign == "\u202e"]
    shown = "<script>alert(1)</script>⟨U+001B⟩[2J⟨U+202E⟩⟨U+0000⟩{{ 7*7 }}xxx"
    assert all(shown in seen[kind] for kind in ("txt", "html"))
    assert json.loads((run_folder / "report.json").read_text())["overrides"] == rows
    assert max(map(len, (run_folder / "report.txt").read_text().splitlines())) <= WIDTH


def test_the_forecast_stands_beside_what_it_came_to(run_folder: Path, told: Told) -> None:
    seen = told(run_folder)
    assert "train, tower 28.8 s 39.6 s 1 min 12 s 45.7 s inside" in seen["txt"]
    assert "generate, tower 3.6 s 7.2 s 14.4 s 18.4 s above" in seen["txt"]
    assert "evaluate, server 1.8 s 3.6 s 7.2 s 1.1 s below" in seen["txt"]
    assert "vram, tower 2.1 GiB 2.4 GiB 3 GiB – " in seen["txt"]
    for sign in ("✓ inside", "↑ above", "↓ below"):
        assert sign in seen["html"]
    for kind in ("txt", "html"):
        for said in (
            "said before the stage ran", "chance of a false GO", "chance of a false STOP", "+21.0 points (MDE)",
            "NOT TESTABLE as planned; power 31% at", "96 items, the rest as planned; no number of draws or seeds alone",
            "31.0% at the design gain of +10.0 points", "8.3% for a recipe without gain",
            "1 min 17 s of 5 h 00 min", "$0.00 of $12.00", "100 samples a scenario are assumed",
        ):  # fmt: skip
            assert said in seen[kind]


def test_a_forecast_without_a_decision_has_no_chances(run_folder: Path, make_forecast: Make, told: Told) -> None:
    (run_folder / "forecast.json").write_text(json.dumps(make_forecast(chances=None, testable=None)))
    seen = told(run_folder)
    for kind in ("txt", "html"):
        assert "said before the stage ran" not in seen[kind]
        assert "TESTABLE" not in seen[kind]


def test_a_budget_that_ran_out_is_told(run_folder: Path, told: Told) -> None:
    (run_folder / "budget.json").write_text(to_json(Overrun("dollars", 12.0, 12.5, "evaluate control-s0", 3)))
    seen = told(run_folder)
    for kind in ("txt", "html"):
        assert (
            "The dollars ran out: $12.50 used of $12.00, stopped at step evaluate control-s0, 3 not done." in seen[kind]
        )
    assert '"budget": {"what": "dollars"' in seen["json"]


def test_what_the_stages_write_can_be_read(run_folder: Path) -> None:
    line = Registered(
        study="demo", study_sha256="d", stage=3, attempt="a", number=1, attempts=1, alpha=0.05, spent=0.0, allowed=0.05,
        primary="m", minimum_gain=0.05, code_sha256="c", git_commit="",
    )  # fmt: skip
    found = Registration(line, "b" * 64, (Override(1, "2026", "why"),))
    (run_folder / register.FILE).write_text(to_json(found))
    (run_folder / budget.FILE).write_text(to_json(Overrun("hours", 5.0, 5.1, "data", 9)))
    for stage in STAGES:
        foreseen = forecast.of(load("demo"), stage)
        (run_folder / forecast.FILE).write_text(to_json(foreseen))
        assert json.loads(json.dumps(as_json(read(run_folder))["forecast"])) == to_dict(foreseen)
    content = read(run_folder)
    assert content.faults == ()
    assert content.overrides[0].reason == "why"
    assert content.overrun is not None


def test_what_is_missing_is_said(run_folder: Path, told: Told) -> None:
    for name in PAPERS:
        (run_folder / name).unlink(missing_ok=True)
    seen = told(run_folder)
    for kind in ("txt", "html"):
        assert "registration.json is not there: what was registered is not known" in seen[kind]
        assert "forecast.json is not there" in seen[kind]
        assert "verridden" not in seen[kind].lower()
    parsed = json.loads((run_folder / "report.json").read_text())
    assert [parsed[key] for key in ("registration", "forecast", "budget", "overrides")] == [None] * 4


def _rows(count: int, **changes: Any) -> str:
    row = {"name": "train", "unit": "h", "low": 0.1, "expected": 0.2, "high": 0.3, "machine": "tower", "basis": "prior"}
    return json.dumps({"stage": 3, "basis": "prior", "quantities": [{**row, **changes}] * count})


WRONG: dict[str, str | bytes] = {
    "empty": "",
    "list": "[1, 2]",
    "text": '"x"',
    "null": "null",
    "NaN": "NaN",
    "deep": "[" * 100_000,
    "deep object": '{"line":' * 20_000,
    "not UTF-8": b'{"stage": "\xff"}',
    "NUL": "\x00",
    "huge": '{"stage": 3, "why": "' + "x" * MOST + '"}',
    "surrogate": '{"stage": "\\ud800"}',
    "nested": '{"line": {"a": []}, "quantities": {"b": null}, "what": []}',
}


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("damage", WRONG)
def test_a_damaged_paper_is_named_and_fails_nothing(paper: str, damage: str, run_folder: Path) -> None:
    wrong = WRONG[damage]
    (run_folder / paper).write_bytes(wrong if isinstance(wrong, bytes) else wrong.encode())
    content = read(run_folder)
    assert [fault.partition(":")[0] for fault in content.faults] == [paper]
    assert str(run_folder) not in content.faults[0]
    assert max(map(len, text(content).splitlines())) <= WIDTH


@pytest.mark.parametrize(
    "wrong",
    [
        _rows(1, low="0.1"),
        _rows(1, low=float("nan")),
        _rows(1, high=float("inf")),
        _rows(1, expected=-1.0),
        _rows(1, actual=1e300),
        _rows(1, name=["train"]),
        _rows(1, expected=10**400),
        _rows(10_000),
        json.dumps({"stage": 3, "basis": "prior", "quantities": {"train": 1}}),
        json.dumps({"stage": 3, "basis": "prior", "quantities": [], "chances": {"test": "t", "power": 2.0}}),
        json.dumps({"stage": 3, "basis": "prior", "quantities": [], "chances": [1]}),
        json.dumps({"stage": 3, "basis": "prior", "quantities": [], "testable": "yes"}),
    ],
)
def test_a_forecast_of_the_wrong_shape_is_said(wrong: str, run_folder: Path) -> None:
    (run_folder / "forecast.json").write_text(wrong)
    content = read(run_folder)
    assert [fault.partition(":")[0] for fault in content.faults] == ["forecast.json"]
    assert "forecast.json could not be read" in text(content)


def test_overrides_that_cannot_be_read_are_not_passed_over(
    run_folder: Path, make_registration: Make, told: Told
) -> None:
    (run_folder / "registration.json").write_text(json.dumps(make_registration(overrides="none")))
    seen = told(run_folder)
    for kind in ("txt", "html"):
        assert "overrides of this study, if there were any, are not known" in seen[kind]
    assert json.loads((run_folder / "report.json").read_text())["overrides"] is None


def test_a_folder_in_the_place_of_a_paper_is_said(run_folder: Path) -> None:
    (run_folder / "forecast.json").unlink()
    (run_folder / "forecast.json").mkdir()
    assert [fault.partition(":")[0] for fault in read(run_folder).faults] == ["forecast.json"]


def test_fields_of_a_later_version_are_let_be(run_folder: Path, make_forecast: Make, make_registration: Make) -> None:
    (run_folder / "forecast.json").write_text(json.dumps(make_forecast(new={"a": [1]})))
    (run_folder / "registration.json").write_text(json.dumps(make_registration(new=1)))
    assert read(run_folder).faults == ()


def test_long_names_and_large_figures_stay_in_a_hundred_columns(
    run_folder: Path, make_forecast: Make, make_registration: Make
) -> None:
    large = dict.fromkeys(("low", "expected", "high", "actual"), 1e15)
    rows = [{"name": "n" * 90, "unit": unit, "machine": "m" * 90, **large} for unit in ("h", "$", "", "GiB", "u" * 50)]
    (run_folder / "forecast.json").write_text(json.dumps(make_forecast(quantities=rows, why="w" * 300, cheapest=EVIL)))
    found = make_registration()
    found["line"] |= {"primary": "p" * 300, "must_not_worsen": {"m" * 300: 0.1}, "time": EVIL}
    (run_folder / "registration.json").write_text(json.dumps(found))
    content = read(run_folder)
    assert content.faults == ()
    assert max(map(len, text(content).splitlines())) <= WIDTH


def test_a_budget_that_the_study_raised_is_the_studys(run_folder: Path) -> None:
    study = load("demo")
    raised = study.model_copy(update={"stages": {**study.stages, 3: study.stages[3].model_copy(update={"hours": 9.0})}})
    (run_folder / "study.yaml").write_text(dump(raised))
    assert "used 1 min 17 s of 9 h 00 min and $0.00 of $12.00" in text(read(run_folder))


def test_times_that_are_no_numbers_are_said(run_folder: Path) -> None:
    (run_folder / "steps.json").write_text('{"data": {"seconds": "nan"}}')
    assert [fault.partition(":")[0] for fault in read(run_folder).faults] == ["steps.json"]
