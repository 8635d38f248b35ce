"""Whether this machine has a sandbox, told before anything is spent."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from sluicegate.sandbox.backends import Choice
from sluicegate.stages import preflight
from sluicegate.study import Machine, load

RUNS = ("functional_correctness", "exact_match")


@pytest.mark.parametrize(
    ("found", "allowed", "passed", "seen"),
    [
        (Choice("bwrap", True), "", True, "bwrap"),
        (Choice("bwrap", True), "1", True, "bwrap"),
        (Choice("rlimits", False, why="no bubblewrap"), "", False, "rlimits, UNSAFE: no bubblewrap"),
        (Choice("rlimits", False, why="no bubblewrap"), "1", None, "rlimits, UNSAFE: no bubblewrap; allowed by"),
        (Choice("", False, why="not POSIX"), "1", False, "none: not POSIX"),
    ],
)
def test_programs_need_a_sandbox_or_the_users_leave(
    monkeypatch: pytest.MonkeyPatch, found: Choice, allowed: str, passed: bool | None, seen: str
) -> None:
    monkeypatch.setattr(preflight, "choose", lambda: found)
    monkeypatch.setenv("ALLOW_UNSAFE_EXEC", allowed)
    (check,) = preflight.sandbox(RUNS)
    assert check.passed is passed
    assert check.seen.startswith(seen)
    assert bool(check.remedy) == (passed is False)


def test_a_study_that_runs_no_program_needs_none() -> None:
    assert preflight.sandbox(("exact_match", "k8s_bp")) == ()


def told(path: Path, *rows: tuple[str, str], days: float = 0) -> None:
    """A file as scripts/stage0_check.sh writes it."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - days * 86400))
    checks = [{"state": state, "name": name, "wanted": "w", "seen": "s", "mend": "m"} for state, name in rows]
    path.write_text(json.dumps({"role": "tower", "host": "t1", "time": stamp, "passed": True, "checks": checks}))


def test_what_was_said_of_other_machines_is_taken_in(tmp_path: Path) -> None:
    told(tmp_path / "tower.json", ("ok", "disk"), ("failed", "VRAM"), ("note", "WSL2"), ("skipped", "clock"))
    found = {check.name: (check.passed, check.remedy) for check in preflight.machines(tmp_path)}
    assert found == {
        "tower": (True, ""),
        "tower: disk": (True, ""),
        "tower: VRAM": (False, "m"),
        "tower: WSL2": (None, ""),
        "tower: clock": (None, ""),
    }
    assert preflight.machines(tmp_path / "none") == ()


def test_a_machine_that_was_looked_at_long_ago_is_looked_at_again(tmp_path: Path) -> None:
    told(tmp_path / "server.json", ("ok", "disk"), days=9)
    old, disk = preflight.machines(tmp_path)
    assert (old.passed, old.seen, disk.passed) == (False, "9.0 days ago on t1", True)
    assert "stage0_check.sh --json server" in old.remedy


@pytest.mark.parametrize("text", ["", "[]", "{", '{"checks": [{"state": "odd"}]}', '{"checks": [], "time": "x"}'])
def test_what_cannot_be_read_fails_and_says_how_to_write_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "tower.json").write_text(text)
    (check,) = preflight.machines(tmp_path)
    assert check.passed is False and "stage0_check.sh --json tower" in check.remedy


def test_a_machine_that_trains_in_containers_needs_neither_torch_nor_a_gpu_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preflight, "_nvidia_smi", lambda: "")
    found = lambda name: None if name in ("torch", "peft") else name  # noqa: E731
    monkeypatch.setattr("importlib.util.find_spec", found)
    tower = Machine(does=("train", "generate"), runner="docker", gpu="NVIDIA GeForce RTX 4070 Ti")
    study = load("metadata-llama3").model_copy(update={"machines": {"tower": tower}})

    def failed(*, local: bool) -> set[str]:
        return {check.name for check in preflight.look(study, tmp_path, local=local) if check.passed is False}

    assert {"packages for training", "gpu"} <= failed(local=True)
    assert not {"packages for training", "packages for jobs on tower", "gpu"} & failed(local=False)
