"""The local runner: output as it comes, exit codes told apart, signals passed on, nothing left behind."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from sluicegate import runners
from sluicegate.errors import Interrupted, UserError
from sluicegate.runners import Job, local

pytestmark = pytest.mark.process


def job(tmp_path: Path, code: str, **env: str) -> Job:
    return Job("test", (sys.executable, "-c", code), tmp_path / "logs" / "test.log", env)


def test_output_is_shown_logged_and_kept(tmp_path: Path) -> None:
    shown: list[str] = []
    code = "import sys, os\nprint('out', os.environ['WORD'], flush=True)\nprint('err', file=sys.stderr)\nsys.exit(3)"
    result = local.run(job(tmp_path, code, WORD="hello"), shown.append)
    assert result.code == 3
    assert shown == ["out hello", "err"]
    assert result.tail == "out hello\nerr"
    assert (tmp_path / "logs" / "test.log").read_text() == "out hello\nerr\n"


def test_a_second_run_appends_to_the_log(tmp_path: Path) -> None:
    for _ in range(2):
        local.run(job(tmp_path, "print('x')"), lambda _: None)
    assert (tmp_path / "logs" / "test.log").read_text() == "x\nx\n"


def test_bytes_that_are_no_text_do_no_harm(tmp_path: Path) -> None:
    shown: list[str] = []
    code = "import sys\nsys.stdout.buffer.write(b'\\xff\\x00ok\\n')"
    assert local.run(job(tmp_path, code), shown.append).code == 0
    assert shown[0].endswith("ok")


def test_a_killed_child_is_told_by_its_signal(tmp_path: Path) -> None:
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)"
    assert local.run(job(tmp_path, code), lambda _: None).code == -signal.SIGKILL


def test_standard_input_is_closed(tmp_path: Path) -> None:
    assert local.run(job(tmp_path, "import sys\nsys.exit(len(sys.stdin.read()))"), lambda _: None).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_asks_the_child_first_and_then_interrupts(tmp_path: Path, number: signal.Signals) -> None:
    saved = tmp_path / "saved"
    code = (
        "import signal, sys, time\nfrom pathlib import Path\n"
        f"def save(*_):\n    Path({str(saved)!r}).write_text('saved')\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\ntime.sleep(60)"
    )
    ready = threading.Event()

    def send() -> None:
        ready.wait(30)
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=send)
    thread.start()
    before = signal.getsignal(number)
    with pytest.raises(Interrupted):
        local.run(job(tmp_path, code), lambda _: ready.set())
    thread.join()
    assert saved.read_text() == "saved"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("signals", [1, 2])
def test_a_child_that_ignores_the_request_is_killed(
    tmp_path: Path, signals: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "GRACE_S", 0.5 if signals == 1 else 600.0)
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('x', flush=True)\ntime.sleep(600)"
    ready = threading.Event()

    def send() -> None:
        ready.wait(30)
        for _ in range(signals):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.5)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(Interrupted):
        local.run(job(tmp_path, code), lambda _: ready.set())
    thread.join()


def test_a_fault_while_showing_ends_the_child(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    code = (
        f"import os, time\nopen({str(pid_file)!r}, 'w').write(str(os.getpid()))\nprint('x', flush=True)\ntime.sleep(60)"
    )

    def broken(_: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        local.run(job(tmp_path, code), broken)
    time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_the_registry_names_modules_that_run() -> None:
    for name in runners.RUNNERS:
        assert callable(runners.load(name).run)


@pytest.mark.parametrize("name", ["/dev/full", "file/log"])
def test_a_log_that_cannot_be_written_is_told_of(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    told = Job("x", (sys.executable, "-c", "print(1, flush=True)"), tmp_path / name)
    with pytest.raises(UserError, match="cannot be written"):
        local.run(told, print)
