from __future__ import annotations

import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sluicegate import commands, study
from sluicegate.cli import parser
from sluicegate.errors import UserError
from sluicegate.judge.ledger import Caps, Ledger
from sluicegate.stages import spending

NO_CAP = Caps()


def spend(ledger: Ledger, account: str, *charged: int) -> None:
    for amount in charged:
        ledger.settle(ledger.reserve(account, "r", amount, NO_CAP), amount, "paid")


def abandon(ledger: Ledger, account: str, worst: int) -> None:
    call = ledger.reserve(account, "r", worst, NO_CAP)
    with closing(sqlite3.connect(ledger.path)) as base, base:
        base.execute("UPDATE calls SET at = '2020-01-01T00:00:00+00:00' WHERE id = ?", (call,))


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A study with two stages, one of them twice; its machines cost 2 dollars an hour."""
    place = tmp_path / "runs" / "demo"
    text = study.dump(study.load("demo")).replace(
        "machines: {}", "machines: {tower: {does: [train], dollars_per_hour: 2.0}}"
    )
    assert "dollars_per_hour" in text
    for name in ("stage2-20300101T000000Z", "stage3-20300102T000000Z", "stage3-20300103T000000Z"):
        (place / name).mkdir(parents=True)
        (place / name / "study.yaml").write_text(text)
        stamp = {"inputs_sha256": "", "seconds": 1800.0, "outputs": []}
        (place / name / "steps.json").write_text(json.dumps({"train control-s0": stamp, "compare": stamp}))
    ledger = Ledger(place / "judge.sqlite")
    spend(ledger, "stage2-20300101T000000Z", 250_000_000)
    spend(ledger, "stage3-20300102T000000Z", 1_000_000_000, 500_000_000)
    spend(ledger, "stage3-20300103T000000Z", 10_000_000)
    abandon(ledger, "stage3-20300103T000000Z", 40_000_000)
    return tmp_path / "runs"


def rows(text: str) -> dict[str, list[str]]:
    """First word or two of a line → its figures."""
    lines = [line for line in text.splitlines() if "  " in line]
    return {line.split("  ")[0]: line.split("  ", 1)[1].split() for line in lines}


def test_each_stage_has_what_its_attempts_spent(runs: Path) -> None:
    found = rows(spending.command(str(runs), runs))
    assert found["stage"] == ["judging", "machines", "reserved", "forecast", "budget"]
    assert found["2 small"][:3] == ["$0.25", "$1", "$0"]
    assert found["3 scenario"][:3] == ["$1.51", "$2", "$0.04"]
    assert found["4 production"][:3] == ["$0", "$0", "$0"]
    assert found["in all"] == ["$1.76", "$3", "$0.04"]
    assert found["3 scenario"][-1] == "$12"
    assert all(len(row) >= 5 for name, row in found.items() if name[0].isdigit())


def test_a_study_by_name_by_its_folder_and_by_its_runs_is_the_same(runs: Path) -> None:
    by_folder = spending.command(str(runs / "demo"), Path("elsewhere"))
    assert rows(by_folder)["in all"] == rows(spending.command("demo", runs))["in all"]
    assert rows(by_folder)["in all"] == rows(spending.command(str(runs), runs))["in all"]


def test_a_study_that_has_not_run_has_a_forecast(tmp_path: Path) -> None:
    found = rows(spending.command("demo", tmp_path / "runs"))
    assert found["3 scenario"][:3] == ["$0", "$0", "$0"]
    assert found["3 scenario"][3].startswith("$")
    assert found["in all"] == ["$0", "$0", "$0"]


def test_a_ledger_by_itself(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "results" / "judge.sqlite")
    spend(ledger, "", 5_000_000)
    spend(ledger, "stage3-x", 7_000_000)
    for where in (ledger.path, ledger.path.parent, tmp_path):
        found = rows(spending.command(str(where), tmp_path))
        assert found["by hand"][0] == "$0.005"
        assert found["3"][0] == "$0.007"
        assert found["in all"][0] == "$0.012"


def test_a_ledger_that_lies_in_a_run_folder_is_of_its_stage(runs: Path) -> None:
    spend(Ledger(runs / "demo" / "stage2-20300101T000000Z" / "scores" / "judge.sqlite"), "", 1_000_000_000)
    assert rows(spending.command(str(runs), runs))["2 small"][0] == "$1.25"


def test_doubtful_calls_are_told(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "judge.sqlite")
    ledger.settle(ledger.reserve("", "r", 5_000_000, NO_CAP), 5_000_000, "lost")
    ledger.settle(ledger.reserve("", "r", 6_000_000, NO_CAP), 6_000_000, "worst")
    ledger.settle(ledger.reserve("", "r", 7_000_000, NO_CAP), 0, "free")
    text = spending.command(str(tmp_path), tmp_path)
    assert "calls: 3" in text
    assert "without a usable reply: 1, counted at their worst case, $0.005" in text
    assert "a usage that is missing or cannot be true: 1" in text
    assert "reserved by" not in text


def test_what_killed_processes_reserved_is_told_and_released_on_the_users_word(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = parser().parse_args(["cost", "--runs", str(runs)])
    assert commands.cost(asked) == 0
    assert "reserved by processes that are gone: $0.04, counts as spent" in capsys.readouterr().out
    assert commands.cost(parser().parse_args(["cost", str(runs), "--release"])) == 0
    assert "released: $0.04" in capsys.readouterr().out
    assert commands.cost(asked) == 0
    text = capsys.readouterr().out
    assert "reserved by" not in text
    assert rows(text)["in all"] == ["$1.76", "$3", "$0"]


def test_looking_changes_nothing(runs: Path) -> None:
    before = {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()}
    spending.command(str(runs), runs)
    assert {path: path.read_bytes() for path in runs.rglob("*") if path.is_file()} == before


def test_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing was spent here") as caught:
        spending.command(str(tmp_path / "runs"), tmp_path / "runs")
    assert "no such file" in caught.value.seen
    with pytest.raises(UserError, match="nothing was spent here"):
        spending.command(str(tmp_path), tmp_path)
    with pytest.raises(UserError, match="'nonesuch': not found"):
        spending.command("nonesuch", tmp_path)
    (tmp_path / "judge.sqlite").write_text("a letter to somebody, not a database at all")
    with pytest.raises(UserError, match="not a judge's ledger"):
        spending.command(str(tmp_path), tmp_path)


def test_a_damaged_run_folder_is_left_out_of_the_machines(runs: Path) -> None:
    (runs / "demo" / "stage2-20300101T000000Z" / "steps.json").write_text("[]")
    (runs / "demo" / "stage3-20300103T000000Z" / "study.yaml").write_text("name: [")
    shutil.rmtree(runs / "demo" / "stage3-20300102T000000Z")
    found = rows(spending.command(str(runs), runs))
    assert found["in all"][:2] == ["$1.76", "$0"]


def test_a_folder_that_goes_away_while_it_is_looked_at_has_nothing(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = spending.command(str(runs), runs)
    gone, look = runs / "demo" / "gone", os.scandir
    gone.mkdir()

    def scandir(path: str | Path) -> Any:
        if Path(path) == gone:
            raise FileNotFoundError(2, "No such file or directory", str(path))
        return look(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert spending.command(str(runs), runs) == before
