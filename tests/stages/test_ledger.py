"""The ledger: a chain that shows every change, and the rule that a stage needs the former one's GO."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.records import Outcome, Verdict, to_json
from sluicegate.stages import ledger

STUDY = "s" * 64


def add(folder: Path, stage: int, outcome: Outcome, study: str = STUDY) -> ledger.Entry:
    count = len(list(folder.glob("stage*")))
    path = folder / f"stage{stage}-{count}" / "verdict.json"
    verdict = Verdict(stage, outcome, (), 0.0, 0.1, "e" * 64, "demo")
    jsonl.write_text(path, to_json(verdict))
    return ledger.append(folder / "ledger.jsonl", verdict, path, study_sha256=study, commit="c")


def test_entries_are_chained(tmp_path: Path) -> None:
    rows = [add(tmp_path, 0, Outcome.GO), add(tmp_path, 1, Outcome.RETRY), add(tmp_path, 1, Outcome.GO)]
    assert ledger.read_entries(tmp_path / "ledger.jsonl") == rows
    assert [row.previous for row in rows] == [ledger.FIRST, rows[0].sha256, rows[1].sha256]


@pytest.mark.parametrize("damage", ["change", "remove", "swap"])
def test_tampering_is_found(tmp_path: Path, damage: str) -> None:
    for outcome in (Outcome.GO, Outcome.STOP, Outcome.GO, Outcome.GO):
        add(tmp_path, 0, outcome)
    path = tmp_path / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    if damage == "change":
        lines[1] = lines[1].replace("STOP", "GO")
    elif damage == "remove":
        del lines[1]
    else:
        lines[1], lines[2] = lines[2], lines[1]
    path.write_text("".join(lines))
    with pytest.raises(UserError, match="tampered"):
        ledger.read_entries(path)


def test_the_same_verdict_is_added_once(tmp_path: Path) -> None:
    entry = add(tmp_path, 0, Outcome.GO)
    path = tmp_path / entry.attempt / "verdict.json"
    again = ledger.append(
        tmp_path / "ledger.jsonl",
        Verdict(0, Outcome.GO, (), 0.0, 0.1, "e" * 64, "demo"),
        path,
        study_sha256=STUDY,
        commit="c",
    )
    assert again == entry
    assert len(ledger.read_entries(tmp_path / "ledger.jsonl")) == 1


@pytest.mark.parametrize(
    ("history", "seen"),
    [
        ([], "not run yet"),
        ([(1, Outcome.RETRY, STUDY)], "RETRY"),
        ([(1, Outcome.GO, STUDY), (1, Outcome.STOP, STUDY)], "STOP"),
        ([(1, Outcome.GO, "other")], "another version"),
        ([(0, Outcome.GO, STUDY)], "not run yet"),
    ],
)
def test_without_the_former_go_a_stage_may_not_start(
    tmp_path: Path, history: list[tuple[int, Outcome, str]], seen: str
) -> None:
    for stage, outcome, study in history:
        add(tmp_path, stage, outcome, study)
    entries = ledger.read_entries(tmp_path / "ledger.jsonl")
    with pytest.raises(UserError) as caught:
        ledger.require_go(entries, 2, STUDY, "demo")
    assert seen in caught.value.seen
    assert "--override" in caught.value.mend


def test_with_it_a_stage_may_start_and_stage_zero_always_may(tmp_path: Path) -> None:
    add(tmp_path, 1, Outcome.STOP)
    add(tmp_path, 1, Outcome.GO)
    entries = ledger.read_entries(tmp_path / "ledger.jsonl")
    ledger.require_go(entries, 2, STUDY, "demo")
    ledger.require_go([], 0, STUDY, "demo")


def test_a_line_torn_by_a_kill_is_no_tampering(tmp_path: Path) -> None:
    add(tmp_path, 0, Outcome.GO)
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(ledger.read_entries(path)) == 1
    path.write_bytes(whole + whole[:40])
    add(tmp_path, 1, Outcome.GO)
    assert len(ledger.read_entries(path)) == 2


def test_a_folder_in_the_place_of_a_ledger_or_a_verdict_is_told_of(tmp_path: Path) -> None:
    entry = add(tmp_path, 0, Outcome.GO)
    with pytest.raises(UserError, match="cannot be read"):
        ledger.read_verdict(entry, tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(UserError, match=r"ledger\.jsonl"):
        ledger.read_entries(tmp_path / "ledger.jsonl")
