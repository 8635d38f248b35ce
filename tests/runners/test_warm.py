"""Jobs that begin with modules loaded: each a process of its own, as if it had been started alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sluicegate.errors import Interrupted
from sluicegate.runners import Job, local, warm
from sluicegate.stages.steps import STACK

pytestmark = [pytest.mark.process, pytest.mark.skipif(sys.platform != "linux", reason="forking servers: Linux only")]

LOADED = "loaded_before"
SEEN = """\
import json, os, sys
json.dump({"argv": sys.argv[1:], "word": os.environ.get("WORD"), "folder": os.getcwd(), "path": sys.path[0],
           "pid": os.getpid(), "session": os.getsid(0), "server": os.getppid(), "stdin": len(sys.stdin.read()),
           "loaded": "loaded_before" in sys.modules, "name": __name__, "main": sys.modules["__main__"].__file__},
          sys.stdout)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Job]]:
    """A job that runs code as a module, with `loaded_before` loaded before; the server is closed afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / f"{LOADED}.py").write_text("number = 1\n")

    def made(code: str, *arguments: str, loads: tuple[str, ...] = (LOADED,), **env: str) -> Job:
        (tmp_path / "ran.py").write_text(code)
        argv = (sys.executable, "-m", "ran", *arguments)
        return Job("test", argv, tmp_path / "logs" / "test.log", env, loads=loads)

    yield made
    warm._close()


def seen(job: Job) -> dict[str, object]:
    result = local.run(job, lambda _: None)
    assert result.code == 0, result.tail
    told: dict[str, object] = json.loads(result.tail)
    return told


def test_a_job_has_its_own_arguments_environment_folder_and_session(
    module: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = seen(module(SEEN, "a", "b c", WORD="hello"))
    assert told["loaded"] is True and told["name"] == "__main__" and told["main"] == str(tmp_path / "ran.py")
    assert (told["argv"], told["word"], told["stdin"]) == (["a", "b c"], "hello", 0)
    assert told["folder"] == told["path"] == str(tmp_path)
    assert told["session"] == told["pid"]
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    again = seen(module(SEEN))
    assert again["server"] == told["server"] and again["pid"] != told["pid"]
    assert (again["word"], again["folder"]) == (None, str(tmp_path / "other"))


def test_what_one_job_does_to_its_modules_the_next_does_not_see(module: Callable[..., Job]) -> None:
    code = f"import {LOADED}\nprint({LOADED}.number)\n{LOADED}.number += 1\n"
    assert [local.run(module(code), lambda _: None).tail for _ in range(2)] == ["1", "1"]


def test_output_exit_codes_and_signals_are_those_of_any_job(module: Callable[..., Job]) -> None:
    shown: list[str] = []
    code = "import atexit, sys\natexit.register(print, 'last')\nprint('out')\nsys.stdout.flush()\nsys.exit(3)"
    assert local.run(module(code), shown.append).code == 3
    assert shown == ["out", "last"]
    assert local.run(module("raise ValueError('no')"), shown.append).code == 1
    assert shown[-1] == "ValueError: no"
    assert local.run(module("import os\nos.kill(os.getpid(), 9)"), shown.append).code == -signal.SIGKILL


def test_a_job_that_has_ended_before_it_is_asked_about_has_ended(
    module: Callable[..., Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = warm.Server._answer

    def late(server: warm.Server, wanted: bytes) -> int | None:
        time.sleep(0.3)  # both answers lie there by now
        return answer(server, wanted)

    monkeypatch.setattr(warm.Server, "_answer", late)
    for code in (0, 3):
        assert local.run(module(f"raise SystemExit({code})"), lambda _: None).code == code


def test_another_environment_or_other_modules_mean_another_server(
    module: Callable[..., Job], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = seen(module(SEEN))["server"]
    monkeypatch.setenv("WORD", "other")
    second = seen(module(SEEN))
    assert second["word"] == "other" and second["server"] != first
    third = seen(module(SEEN, loads=("json",)))
    assert third["loaded"] is False and third["server"] != second["server"]


@pytest.mark.parametrize(
    "code",
    ["raise ImportError", "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"],
)
def test_where_the_server_cannot_serve_the_job_starts_as_any_other(
    module: Callable[..., Job], tmp_path: Path, code: str
) -> None:
    (tmp_path / f"{LOADED}.py").write_text(code)
    for _ in range(2):
        told = seen(module(SEEN))
        assert told["server"] == os.getpid() and told["loaded"] is False


def test_a_program_that_is_no_module_starts_as_any_other(module: Callable[..., Job], tmp_path: Path) -> None:
    told = Job("test", (sys.executable, "-c", "print(1)"), tmp_path / "log", loads=(LOADED,))
    assert local.run(told, lambda _: None).tail == "1"
    assert warm._servers == []


def test_a_process_that_uses_a_gpu_is_told_by_what_it_has_open(monkeypatch: pytest.MonkeyPatch) -> None:
    assert warm._uses_gpu() is False
    with Path(os.devnull).open() as _:
        monkeypatch.setattr(warm, "DEVICES", (os.devnull,))
        assert warm._uses_gpu() is True


@pytest.mark.torch
def test_what_a_stage_has_loaded_leaves_a_process_that_can_be_forked(module: Callable[..., Job]) -> None:
    code = "import sys\nprint('torch' in sys.modules, 'transformers' in sys.modules)"
    assert local.run(module(code, loads=STACK), lambda _: None).tail == "True True"


@pytest.mark.gpu
def test_a_job_has_the_gpu_that_its_server_left_alone(module: Callable[..., Job]) -> None:
    if not pytest.importorskip("torch").cuda.is_available():
        pytest.skip("needs a CUDA GPU")
    code = (
        "import sys\nloaded = 'torch' in sys.modules\nimport torch\n"
        "print(loaded, torch.ones(2, device='cuda').sum().item())"
    )
    job = module(code, loads=STACK)
    assert [local.run(job, lambda _: None).tail for _ in range(2)] == ["True 2.0", "True 2.0"]


def test_a_request_to_stop_reaches_the_job(module: Callable[..., Job], tmp_path: Path) -> None:
    saved, ready = tmp_path / "saved", threading.Event()
    code = (
        "import signal, sys, time\nfrom pathlib import Path\n"
        f"def save(*_):\n    Path({str(saved)!r}).write_text('saved')\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\ntime.sleep(60)"
    )

    def send() -> None:
        ready.wait(30)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=send)
    thread.start()
    with pytest.raises(Interrupted):
        local.run(module(code), lambda _: ready.set())
    thread.join()
    assert saved.read_text() == "saved"


def test_a_killed_server_is_a_killed_job(module: Callable[..., Job]) -> None:
    code = "import os\nos.kill(os.getppid(), 9)\nprint('on', flush=True)"
    result = local.run(module(code), lambda _: None)
    assert (result.code, result.tail) == (-signal.SIGKILL, "on")
    assert local.run(module("print('alone')"), lambda _: None).tail == "alone"


def test_the_server_ends_with_the_one_who_started_it(module: Callable[..., Job], tmp_path: Path) -> None:
    """Killed while a job runs: that goes on to its end, and the server after it."""
    job = module("import os, time\nprint(os.getpid(), os.getppid(), flush=True)\ntime.sleep(0.5)")
    code = (
        "import os\nfrom pathlib import Path\nfrom sluicegate.runners import Job, local\n"
        f"job = Job('x', {job.argv!r}, Path('log'), loads=({LOADED!r},))\n"
        "local.run(job, lambda line: (print(line, flush=True), os.kill(os.getpid(), 9)))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    for pid in map(int, ran.stdout.split()):
        until = time.monotonic() + 30
        while _runs(pid):
            assert time.monotonic() < until, f"{pid} still runs"
            time.sleep(0.05)


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
