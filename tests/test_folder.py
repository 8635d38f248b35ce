"""Run folders: one holder, stamps that tell done from changed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sluicegate import folder
from sluicegate.errors import UserError

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_attempts_have_their_own_folders_in_order(tmp_path: Path) -> None:
    first = folder.new_attempt(tmp_path, "demo", 2, now=NOW)
    first.mkdir(parents=True)
    second = folder.new_attempt(tmp_path, "demo", 2, now=NOW)
    second.mkdir()
    assert first.name == "stage2-20300102T030405Z"
    assert second != first
    assert folder.attempts(tmp_path, "demo", 2) == [first, second]
    assert folder.attempts(tmp_path, "demo", 3) == []


def test_a_held_folder_names_its_holder(tmp_path: Path) -> None:
    with folder.holding(tmp_path), pytest.raises(UserError) as caught, folder.holding(tmp_path):
        pass
    assert str(os.getpid()) in caught.value.seen
    with folder.holding(tmp_path):
        assert (tmp_path / ".holder").exists()


@pytest.mark.process
def test_a_killed_holder_lets_go(tmp_path: Path) -> None:
    code = "import sys, time\nfrom pathlib import Path\nfrom sluicegate import folder\n" \
           "with folder.holding(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)"  # fmt: skip
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(UserError, match=str(holder.pid)), folder.holding(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with folder.holding(tmp_path):
        assert str(os.getpid()) in (tmp_path / ".holder").read_text()


def test_a_step_is_done_only_with_the_same_inputs_and_its_outputs(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("x")
    begun = folder.Steps(tmp_path / "steps.json")
    begun.spend("train", 1.0)
    assert not begun.done("train", "aaa")
    begun.spend("train", 0.5)
    begun.stamp("train", "aaa", outputs=[out])
    steps = folder.Steps(tmp_path / "steps.json")
    assert steps.done("train", "aaa")
    assert not steps.done("train", "bbb")
    assert not steps.done("generate", "aaa")
    assert steps.seconds() == {"train": 1.5}
    out.unlink()
    assert not steps.done("train", "aaa")


def test_stamps_move_with_the_run_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "out").write_text("x")
    folder.Steps(old / "steps.json").stamp("a", "1", outputs=[old / "out"])
    old.rename(new)
    assert folder.Steps(new / "steps.json").done("a", "1")


def test_versions_and_commit_are_found_without_importing_torch() -> None:
    code = "import sys\nfrom sluicegate.folder import *\nversions(); git_commit()\nprint('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    assert folder.versions()["numpy"]


def test_the_image_tells_the_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMIT", "abc123")
    folder.git_commit.cache_clear()
    try:
        assert folder.git_commit() == "abc123"
    finally:
        folder.git_commit.cache_clear()


STAMP = '{"a": {"inputs_sha256": "x", "outputs": [], "seconds": %s}}'


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1]", "3", "[" * 100_000, '{"a": 1}', '{"a": {"inputs_sha256": "x"}}',
     *(STAMP % seconds for seconds in ("NaN", "-1", "1e400", "1" + "0" * 400))],
)  # fmt: skip
def test_damaged_stamps_are_told_of_with_the_way_out(tmp_path: Path, text: str) -> None:
    path = tmp_path / "steps.json"
    path.write_text(text)
    with pytest.raises(UserError, match=r"steps\.json: damaged") as caught:
        folder.Steps(path)
    assert caught.value.mend.startswith(f"rm {path}")
    assert path.read_text() == text
