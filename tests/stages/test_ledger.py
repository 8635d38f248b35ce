"""The ledger: a chain that shows every change, and the rule that a stage needs the former one's GO."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.records import Outcome, Verdict, to_json
from sluicegate.stages import ledger

STUDY = "s" * 64
NAME = "demo"


def add(folder: Path, stage: int, outcome: Outcome, study: str = STUDY, **changes: Any) -> ledger.Decided:
    count = len(list(folder.glob("stage*")))
    path = folder / f"stage{stage}-{count}" / "verdict.json"
    is_open = outcome is Outcome.RETRY
    jsonl.write_text(path, to_json(Verdict(stage, outcome, (), 0.0, 0.1, "e" * 64, NAME, open=is_open)))
    return ledger.append(folder / "ledger.jsonl", decided(path, stage, outcome, study, **changes))


def decided(path: Path, stage: int, outcome: Outcome, study: str = STUDY, **changes: Any) -> ledger.Decided:
    told = {"alpha": 0.0, "open": outcome is Outcome.RETRY, **changes}
    return ledger.Decided(
        study=NAME, study_sha256=study, stage=stage, attempt=path.parent.name, outcome=outcome,
        verdict_sha256=jsonl.sha256(path), code_sha256="c" * 64, git_commit="c", **told,
    )  # fmt: skip


def registered(stage: int, attempt: str, **changes: Any) -> ledger.Registered:
    told: dict[str, Any] = {
        "study": NAME, "study_sha256": STUDY, "stage": stage, "attempt": attempt, "number": 1, "attempts": 1,
        "alpha": 0.05, "spent": 0.0, "allowed": 0.05, "primary": "em", "minimum_gain": 0.05,
        "code_sha256": "c" * 64, "git_commit": "c", **changes,
    }  # fmt: skip
    return ledger.Registered(**told)


def read(folder: Path) -> list[ledger.Line]:
    return ledger.read_lines(folder / "ledger.jsonl", NAME)


def test_lines_are_chained(tmp_path: Path) -> None:
    rows: list[ledger.Line] = [
        ledger.append(tmp_path / "ledger.jsonl", registered(0, "stage0-0")),
        add(tmp_path, 0, Outcome.GO), add(tmp_path, 1, Outcome.RETRY), add(tmp_path, 1, Outcome.GO),
    ]  # fmt: skip
    assert read(tmp_path) == rows
    assert [row.previous for row in rows] == [ledger.FIRST, *(ledger.line_sha256(row) for row in rows[:-1])]


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
        read(tmp_path)


def test_newest_lines_that_were_cut_off_are_missed_by_the_run_folders(tmp_path: Path) -> None:
    for number in range(2):
        line = ledger.append(tmp_path / "ledger.jsonl", registered(3, f"stage3-{number}", number=number + 1))
        jsonl.write_text(tmp_path / line.attempt / "registration.json", f'{{"sha256": "{ledger.line_sha256(line)}"}}')
    ledger.require_whole(read(tmp_path), tmp_path, "registration.json")
    path = tmp_path / "ledger.jsonl"
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    with pytest.raises(UserError, match="does not know stage3-1"):
        ledger.require_whole(read(tmp_path), tmp_path, "registration.json")
    (tmp_path / "stage3-1" / "registration.json").write_text("[")
    with pytest.raises(UserError, match="does not know stage3-1"):
        ledger.require_whole(read(tmp_path), tmp_path, "registration.json")


def test_the_same_is_said_once(tmp_path: Path) -> None:
    line = add(tmp_path, 0, Outcome.GO)
    path = tmp_path / line.attempt / "verdict.json"
    assert ledger.append(tmp_path / "ledger.jsonl", decided(path, 0, Outcome.GO)) == line
    first = ledger.append(tmp_path / "ledger.jsonl", registered(1, "stage1-0"))
    assert ledger.append(tmp_path / "ledger.jsonl", registered(1, "stage1-0")) == first
    other = ledger.append(tmp_path / "ledger.jsonl", registered(1, "stage1-0", code_sha256="d" * 64))
    assert read(tmp_path) == [line, first, other]


def test_a_ledger_of_another_study_is_refused(tmp_path: Path) -> None:
    add(tmp_path, 0, Outcome.GO)
    with pytest.raises(UserError, match="ledger of another study"):
        ledger.read_lines(tmp_path / "ledger.jsonl", "other")


def test_a_clock_that_went_backwards_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    ledger.append(path, registered(0, "a"), now=now)
    with pytest.raises(UserError, match="the clock went backwards") as caught:
        ledger.append(path, registered(0, "b"), now=now - timedelta(hours=1))
    assert "timedatectl" in caught.value.mend
    assert len(read(tmp_path)) == 1
    slightly = ledger.append(path, registered(0, "b"), now=now - timedelta(seconds=30))
    assert slightly.time == now.isoformat(timespec="seconds")


@pytest.mark.parametrize("time", ["", "yesterday", "2026-01-01T00:00:00"])
def test_a_line_without_a_time_is_tampering(tmp_path: Path, time: str) -> None:
    jsonl.write(tmp_path / "ledger.jsonl", [registered(0, "a", time=time)])
    with pytest.raises(UserError, match="tampered"):
        ledger.append(tmp_path / "ledger.jsonl", registered(0, "b"))


def test_times_that_run_backwards_in_the_file_are_tampering(tmp_path: Path) -> None:
    first = registered(0, "a", time="2026-01-02T00:00:00+00:00")
    second = registered(0, "b", time="2026-01-01T00:00:00+00:00", previous=ledger.line_sha256(first))
    jsonl.write(tmp_path / "ledger.jsonl", [first, second])
    with pytest.raises(UserError, match="tampered"):
        read(tmp_path)


def test_alpha_is_summed_over_the_decisions_of_a_stage(tmp_path: Path) -> None:
    ledger.append(tmp_path / "ledger.jsonl", registered(3, "stage3-0", allowed=0.04))
    add(tmp_path, 3, Outcome.STOP, alpha=0.02)
    add(tmp_path, 3, Outcome.RETRY)
    add(tmp_path, 3, Outcome.INCONCLUSIVE, study="another version", alpha=0.02)
    add(tmp_path, 4, Outcome.GO, alpha=0.05)
    lines = read(tmp_path)
    assert [sum(ledger.used(lines, stage).values()) for stage in (2, 3, 4)] == [0, 0.04, 0.05]
    assert (ledger.allowed(lines, 3), ledger.allowed(lines, 4)) == (0.04, None)


def test_what_was_judged_has_spent_its_alpha_once_whether_it_is_decided_or_left(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    for attempt in ("stage3-0", "left"):
        ledger.append(path, judged(attempt))
        assert ledger.append(path, judged(attempt)) == read(tmp_path)[-1]
    add(tmp_path, 3, Outcome.RETRY)
    assert ledger.left(read(tmp_path), 3) == ("stage3-0", "left")
    add(tmp_path, 3, Outcome.INCONCLUSIVE, alpha=0.02)
    (tmp_path / "stage3-1").rename(tmp_path / "stage3-9")
    lines = [*read(tmp_path), replace(judged("stage3-1"), alpha=0.02)]
    assert ledger.used(lines, 3) == {"stage3-0": 0.02, "left": 0.02, "stage3-1": 0.02}
    assert ledger.left(lines, 3) == ("stage3-0", "left")
    assert (ledger.used(lines, 4), ledger.left(lines, 4)) == ({}, ())


def judged(attempt: str) -> ledger.Judged:
    return ledger.Judged(study=NAME, study_sha256=STUDY, stage=3, attempt=attempt, alpha=0.02)


def test_a_verdict_whose_line_was_cut_off_is_missed(tmp_path: Path) -> None:
    lines = [add(tmp_path, 3, Outcome.STOP, alpha=0.05), add(tmp_path, 3, Outcome.RETRY)]
    ledger.require_entered(lines, tmp_path, "verdict.json", besides=tmp_path / "stage3-2")
    with pytest.raises(UserError, match="does not know the verdict of stage3-0"):
        ledger.require_entered(lines[1:], tmp_path, "verdict.json", besides=tmp_path / "stage3-2")
    ledger.require_entered(lines[1:], tmp_path, "verdict.json", besides=tmp_path / "stage3-0")
    with pytest.raises(UserError, match="does not know the verdict of stage3-1"):
        (tmp_path / "stage3-1" / "verdict.json").write_text("another")
        ledger.require_entered(lines, tmp_path, "verdict.json", besides=tmp_path / "stage3-2")


def test_a_copied_run_folder_is_none_that_was_registered(tmp_path: Path) -> None:
    line = ledger.append(tmp_path / "ledger.jsonl", registered(3, "stage3-0"))
    for name in ("stage3-0", "stage3-1"):
        jsonl.write_text(tmp_path / name / "registration.json", f'{{"sha256": "{ledger.line_sha256(line)}"}}')
    with pytest.raises(UserError, match="does not know stage3-1") as caught:
        ledger.require_whole(read(tmp_path), tmp_path, "registration.json")
    assert "is that of stage3-0" in caught.value.seen


@pytest.mark.parametrize(
    ("history", "seen"),
    [
        ([], "not run yet"),
        ([(1, Outcome.RETRY, STUDY)], "RETRY"),
        ([(1, Outcome.GO, STUDY), (1, Outcome.STOP, STUDY)], "STOP"),
        ([(1, Outcome.STOP, STUDY), (1, Outcome.RETRY, STUDY)], "STOP"),
        ([(1, Outcome.GO, "other")], "another version"),
        ([(0, Outcome.GO, STUDY)], "not run yet"),
    ],
)
def test_without_the_former_go_a_stage_may_not_start(
    tmp_path: Path, history: list[tuple[int, Outcome, str]], seen: str
) -> None:
    for stage, outcome, study in history:
        add(tmp_path, stage, outcome, study)
    with pytest.raises(UserError) as caught:
        ledger.require_go(read(tmp_path), 2, STUDY, "demo")
    assert seen in caught.value.seen
    assert "--override" in caught.value.mend


def test_with_it_a_stage_may_start_and_stage_zero_always_may(tmp_path: Path) -> None:
    add(tmp_path, 1, Outcome.STOP)
    add(tmp_path, 1, Outcome.GO)
    ledger.require_go(read(tmp_path), 2, STUDY, "demo")
    add(tmp_path, 1, Outcome.RETRY)  # one that broke, or was not declared, decided nothing
    ledger.require_go(read(tmp_path), 2, STUDY, "demo")
    ledger.require_go([], 0, STUDY, "demo")


def test_a_line_torn_by_a_kill_is_no_tampering(tmp_path: Path) -> None:
    add(tmp_path, 0, Outcome.GO)
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert len(read(tmp_path)) == 1
    assert path.read_bytes() == whole + whole[:40]  # who reads writes nothing
    add(tmp_path, 1, Outcome.GO)
    assert len(read(tmp_path)) == 2


def test_a_last_line_that_only_lacks_its_end_counts(tmp_path: Path) -> None:
    rows = [add(tmp_path, 0, Outcome.GO), add(tmp_path, 1, Outcome.STOP)]
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))  # as editors leave a file that they saved
    before = path.read_bytes()
    assert read(tmp_path) == rows
    assert path.read_bytes() == before
    rows.append(add(tmp_path, 1, Outcome.GO))
    assert read(tmp_path) == rows


@pytest.mark.parametrize("content", [b"\x89PNG", b"[1, 2", "ledger\n".encode("utf-16")])
def test_a_file_that_is_no_ledger_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"ledger\.jsonl"):
        read(tmp_path)
    with pytest.raises(UserError, match=r"ledger\.jsonl"):
        add(tmp_path, 0, Outcome.GO)
    assert path.read_bytes() == content


@pytest.mark.parametrize("line", ["{}", '{"event": "guessed"}', "[]", '{"event": "decided", "alpha": NaN}'])
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "ledger.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=r"ledger\.jsonl"):
        read(tmp_path)


def test_a_folder_in_the_place_of_a_ledger_or_a_verdict_is_told_of(tmp_path: Path) -> None:
    line = add(tmp_path, 0, Outcome.GO)
    with pytest.raises(UserError, match="cannot be read"):
        ledger.read_verdict(line, tmp_path)
    (tmp_path / "ledger.jsonl").unlink()
    (tmp_path / "ledger.jsonl").mkdir()
    with pytest.raises(UserError, match=r"ledger\.jsonl"):
        read(tmp_path)
