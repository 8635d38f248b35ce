"""The command line: help that is instant and golden, faults that are one message, codes that mean something."""

from __future__ import annotations

import argparse
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import golden_files
from sluicegate import cli, commands
from sluicegate.__main__ import guard
from sluicegate.errors import Interrupted, UserError

HEAVY = ("torch", "transformers", "mlflow", "numpy", "scipy", "pydantic", "matplotlib", "yaml", "rich")


def sluicegate(*argv: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sluicegate", *argv],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **env},
    )


def subparsers() -> dict[str, argparse.ArgumentParser]:
    parts = next(row for row in cli.parser()._actions if isinstance(row, argparse._SubParsersAction))
    return dict(parts.choices)


@pytest.mark.golden
def test_help_is_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    pages = [cli.parser().format_help(), *(part.format_help() for part in subparsers().values())]
    golden_files.check("help.txt", ("\n" + "-" * 100 + "\n\n").join(pages))


def test_every_sub_command_has_its_function() -> None:
    assert {
        "data",
        "train",
        "generate",
        "evaluate",
        "compare",
        "stage",
        "run",
        "report",
        "plan",
        "check",
    } <= set(subparsers())
    for name in subparsers():
        assert callable(getattr(commands, name))


@pytest.mark.process
def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys\nfrom sluicegate import cli\n"
        "try:\n    cli.run(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"
    assert "stage" in done.stdout


@pytest.mark.process
@pytest.mark.parametrize(
    ("argv", "told"),
    [
        ((), "COMMAND"),
        (("stge", "1"), "invalid choice"),
        (("stage", "9"), "invalid choice"),
        (("plan", "nonesuch"), "wanted: one of demo"),
        (("stage", "1", "--study", "no/such.yaml"), "not found"),
        (("report", "no/such/folder"), "no run folder"),
        (("report", "."), "no run folder; nothing was written"),
        (("sync", "no/such/folder"), "nothing to send"),
        (("train",), "DATASET_PATH"),
        (
            ("evaluate", "--data", "none.jsonl", "--predictions", "none.jsonl", "--out", "o.jsonl"),
            "not found",
        ),
        (("compare", "--control-results", "a", "--experiment-results", "b", "--primary", "x"), "not found"),
        (("generate", "--model", "nowhere", "--data", "none.jsonl", "--out", "o.jsonl"), "not found"),
    ],
)
def test_the_users_faults_are_one_message_and_exit_2(argv: tuple[str, ...], told: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sluicegate", *argv], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 2, done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.process
def test_a_reader_that_leaves_is_no_fault() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "sluicegate", "plan"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as told:
        assert told.stdout is not None
        assert told.stderr is not None
        told.stdout.close()
        assert told.stderr.read() == ""
    assert told.returncode == 0


def _raise(fault: BaseException) -> int:
    raise fault


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (
            UserError("no data", wanted="some", seen="none", mend="make some"),
            2,
            "no data\n  wanted: some\n  seen:   none\n  mend:   make some",
        ),
        (KeyboardInterrupt(), 130, "run the same command to go on"),
        (Interrupted("interrupted in step 7"), 130, "interrupted in step 7; run"),
        (ZeroDivisionError("x"), 1, "bug of ours"),
        (PermissionError(errno.EACCES, "Permission denied", "/root/runs"), 2, "/root/runs: cannot be used"),
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000), 2, "File name too long"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x"), 1, "bug of ours"),
    ],
)
def test_what_escapes_becomes_an_exit_code(
    fault: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert guard(lambda: _raise(fault)) == code
    shown = capsys.readouterr().err
    assert told in shown
    assert ("Traceback" in shown) == (code == 1)


def test_an_exit_code_passes_through() -> None:
    assert guard(lambda: 15) == 15
