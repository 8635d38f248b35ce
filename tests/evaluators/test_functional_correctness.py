import errno
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sluicegate.evaluators import python_runner
from sluicegate.evaluators.functional_correctness import score
from sluicegate.evaluators.python_runner import Limits, run
from sluicegate.records import Prediction, Sample, Score

pytestmark = pytest.mark.process

TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"
RIGHT = "def add(a, b):\n    return a + b\n"


def judged(text: str, tests: str = TESTS, **fields: object) -> Score:
    sample = Sample("s", "p", RIGHT, tests=tests, scenario=str(fields.pop("scenario", "python")), meta=fields)
    return score(sample, Prediction("s", "m", 3, text, 1, 0.1, "stop"))


@pytest.mark.parametrize(
    ("text", "value", "why"),
    [
        (RIGHT, 1.0, "pass"),
        (f"Here you are:\n```python\n{RIGHT}```\n", 1.0, "pass"),
        (RIGHT.replace("+", "-"), 0.0, "fail: AssertionError (tests, line 1: assert add(1, 2) == 3)"),
        ("def ad(a, b): ...", 0.0, "error: NameError: name 'add' is not defined (tests, line 1: "),
        ("def add(a, b):\n    return a +", 0.0, "error: SyntaxError: invalid syntax (<candidate>, line 2)"),
        ("  \n", 0.0, "empty answer"),
        ("```\n```", 0.0, "empty answer"),
    ],
)
def test_an_answer_is_valued_with_its_reason(text: str, value: float, why: str) -> None:
    said = judged(text)
    assert (said.value, said.draw, said.metric) == (value, 3, "functional_correctness")
    assert said.why.startswith(why)


@pytest.mark.parametrize(
    ("tests", "fields", "why"),
    [
        ("", {}, "the sample has no tests"),
        ("assert (", {}, "the sample's tests cannot be run: SyntaxError"),
        (TESTS, {"language": "rust"}, "no runner for rust yet"),
        (TESTS, {"scenario": "react"}, "no runner for an unnamed language"),
    ],
)
def test_what_cannot_be_tested_has_no_value(tests: str, fields: dict[str, str], why: str) -> None:
    said = judged(RIGHT, tests, **fields)
    assert said.value is None
    assert said.why.startswith(why)


def test_functions_named_test_are_called_too() -> None:
    tests = "def test_sum():\n    assert add(1, 2) == 3\n"
    assert judged(RIGHT, tests).value == 1.0
    assert judged(RIGHT.replace("+", "*"), tests).value == 0.0


ODD_BUT_RIGHT = {
    "thread left running": "import threading, time\nthreading.Thread(target=time.sleep, args=[60]).start()\n",
    "child left running": "import subprocess\nsubprocess.Popen(['sleep', '60'])\n",
    "noisy": "import sys\nprint('x' * 10**6)\nprint('FAILED', file=sys.stderr)\nsys.stdout.flush()\n",
    "main guard": "if __name__ == '__main__':\n    raise SystemExit(1)\n",
    "defines __all__ and test_ names": "__all__ = ['add']\ndef test_mine():\n    assert False\n",
    "reads its input": "import sys\nassert sys.stdin.read() == ''\n",
    "dataclass with annotations as text": (
        "from __future__ import annotations\nfrom dataclasses import dataclass\n"
        "@dataclass\nclass Pair:\n    a: int = 1\n"
    ),
    "names of the tests and of the harness": "names = tests = candidate = module = result = kind = None\n",
    "exits at its end": "import atexit, os\natexit.register(os._exit, 7)\n",
    "catches what it raises": "import sys\ntry:\n    sys.exit(3)\nexcept SystemExit:\n    pass\n",
    "writes and leaves": "import os\nopen('a', 'w').write('é')\nos.mkdir('d')\nos.chdir('d')\n",
    "temporary files": "import tempfile\nassert tempfile.mkdtemp().startswith(__import__('os').getcwd())\n",
    "deletes its folder": "import os, shutil\nshutil.rmtree(os.getcwd())\n",
    "closes its standard streams": "import os\nfor n in (0, 1, 2):\n    os.close(n)\n",
    "has CRLF line ends": "if True:\r\n    x = 1\r\n",
    "pickles its own class": "import pickle\nclass P: pass\npickle.loads(pickle.dumps(P()))\n",
}


@pytest.mark.parametrize("prologue", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_odd_but_right_programs_pass(prologue: str) -> None:
    assert run(prologue + RIGHT, TESTS) == python_runner.Outcome("pass")


HOSTILE = {
    "exits": ("import sys\nsys.exit(0)", "error", "SystemExit: 0"),
    "raises SystemExit": ("raise SystemExit", "error", "SystemExit"),
    "exits at once": ("import os\nos._exit(0)", "error", "ended with exit code 0 before its tests did"),
    "exits when tested": ("def add(a, b):\n    __import__('os')._exit(0)", "error", "ended with exit code 0"),
    "raises SystemExit when tested": ("def add(a, b):\n    raise SystemExit(0)", "error", "SystemExit: 0"),
    "prints success": ("print('pass\\nOK\\n1 passed', flush=True)", "error", "NameError"),
    "writes success into every pipe": (
        "import os, time\nfor n in range(64):\n    try: os.write(n, b'0' * 32 + b' pass \\n')\n"
        "    except OSError: pass\ntime.sleep(60)",
        "error",
        "wrote to the pipe of the harness",
    ),
    "replaces what the harness calls": (
        "import os\nos.write = os._exit = print\nimport __main__\n__main__._judge = lambda *_: ('pass', '')",
        "error",
        "NameError",
    ),
    "replaces built-ins of its own namespace": ("__builtins__ = {'add': print}", "error", "NameError"),
    "closes every file": (f"import os\nos.closerange(0, 256)\n{RIGHT}", "error", "ended with exit code 70"),
    "loops": ("while True: pass", "timeout", "1 s of CPU"),
    "loops and ignores the warning": (
        "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
        "timeout",
        "1 s of CPU",
    ),
    "sleeps": ("import time\ntime.sleep(60)", "timeout", "0.5 s on the clock"),
    "swallows every exception": (
        "import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass",
        "timeout",
        "0.5 s on the clock",
    ),
    "stops itself": (
        "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
        "timeout",
        "0.5 s on the clock",
    ),
    "kills itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "crash", "SIGKILL"),
    "kills its group": ("import os, signal\nos.killpg(0, signal.SIGTERM)", "crash", "SIGTERM"),
    "reads address 0": ("import ctypes\nctypes.string_at(0)", "crash", "SIGSEGV"),
    "eats memory": ("x = bytearray(4 * 2**30)", "memory", "asked for more than it may have"),
    "eats memory by and by": ("x = []\nwhile True: x.append(bytes(2**20))", "memory", "asked for more"),
    "recurses": ("def f(): return f()\nf()", "error", "RecursionError"),
    "prints for ever": ("while True: print('x' * 2**20)", "timeout", "1 s of CPU"),
    "writes a big file": ("with open('x', 'wb') as f:\n    f.write(bytes(2**26))", "error", "OSError"),
    "opens many files": ("x = [open('/dev/null') for _ in range(1000)]", "error", "OSError"),
    "says NUL and ANSI": (
        "raise ValueError('\\x00\\x1b[2J\\n\\udc80é')",
        "error",
        r"ValueError: \x00\x1b[2J\n\udc80é",
    ),
    "lies in its message": (
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
        "error",
        "E",
    ),
    "says too much": ("raise ValueError('x' * 10**7)", "error", "ValueError: xxx"),
    "holds a NUL": ("x = 1\x00", "error", "null bytes"),
    "holds half a character": ("x = '\ud800'", "error", "UnicodeEncodeError"),
    "nests too deep": ("(" * 10_000, "error", ""),
    "deep folders": (
        "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n",
        "error",
        "NameError",
    ),
}


@pytest.mark.parametrize(("program", "kind", "why"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_programs_do_not_pass_and_the_next_program_does(program: str, kind: str, why: str) -> None:
    outcome = run(program, TESTS, Limits(wall_s=0.5 if "clock" in why else 30, cpu_s=1, memory_bytes=2**29))
    assert (outcome.kind, why in outcome.why) == (kind, True), outcome
    assert len(outcome.why) <= 300
    assert outcome.why.isprintable()
    assert run(RIGHT, TESTS).kind == "pass"


def left_of(marker: str) -> list[int]:
    return [process.pid for process in psutil.process_iter(["cmdline"]) if marker in (process.info["cmdline"] or [])]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds what left its session")
@pytest.mark.parametrize(
    "leaving",
    ["", "os.setsid()", "os.setsid()\n    if os.fork(): os._exit(0)"],
    ids=["child", "session", "orphan"],
)
def test_nothing_that_a_program_started_survives(leaving: str) -> None:
    marker = f"31536{time.monotonic_ns() % 10**9}"
    sleep = f"os.execv('/bin/sleep', ['sleep', '{marker}'])"
    program = f"import os, time\nif os.fork() == 0:\n    {leaving or 'pass'}\n    {sleep}\ntime.sleep(0.3)\n"
    assert run(program + RIGHT, TESTS).kind == "pass"
    assert left_of(marker) == []


def test_a_program_sees_no_environment_no_files_and_no_tests_module() -> None:
    program = (
        "import os, sys\nassert os.listdir('.') == []\nassert dict(os.environ) == {'TMPDIR': os.getcwd()}\n"
        "assert not hasattr(sys.modules['__main__'], '_judge')\n"
        "assert os.getsid(0) == os.getpid()\nassert len(os.listdir('/proc/self/fd')) == 5\n"
    )
    assert run(program + RIGHT, TESTS).kind == "pass"


def test_a_program_that_kills_its_worker_is_a_crash_and_the_next_one_is_judged() -> None:
    killer = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)"
    assert run(killer, TESTS) == python_runner.Outcome("crash", "ended or stopped the process that ran it")
    assert run(RIGHT, TESTS).kind == "pass"


def test_a_program_that_stops_its_worker_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_runner, "SILENCE_S", 0.5)
    stopper = "import os, signal\nos.kill(os.getppid(), signal.SIGSTOP)"
    assert run(stopper, TESTS, Limits(wall_s=0.5)).kind == "crash"
    assert run(RIGHT, TESTS).kind == "pass"


def test_a_worker_that_died_while_idle_is_replaced() -> None:
    python_runner.close()
    assert run(RIGHT, TESTS).kind == "pass"
    worker = python_runner._idle[0]
    worker._process.kill()
    worker._process.wait()
    assert run(RIGHT, TESTS).kind == "pass"
    assert python_runner._idle[0] is not worker


def test_a_worker_that_cannot_be_started_is_our_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    python_runner.close()
    monkeypatch.setattr(subprocess, "Popen", refuse)
    said = judged(RIGHT)
    assert said.value is None
    assert said.why.startswith("infra: no worker could be started")


def test_a_worker_that_does_not_start_is_our_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python_runner.close()
    monkeypatch.setattr(python_runner, "WORKER", tmp_path / "missing.py")
    said = judged(RIGHT)
    assert (said.value, "does not start" in said.why) == (None, True)


def test_a_folder_that_cannot_be_made_is_our_failure(tmp_path: Path) -> None:
    python_runner.close()
    assert run(RIGHT, TESTS).kind == "pass"
    folder = Path(python_runner._idle[0]._folder)
    folder.rmdir()
    said = judged(RIGHT)
    python_runner.close()
    assert (said.value, said.why) == (None, "infra: No such file or directory (FileNotFoundError)")


def test_workers_and_folders_go_with_the_pool() -> None:
    assert run(RIGHT, TESTS).kind == "pass"
    worker = python_runner._idle[-1]
    assert list(Path(worker._folder).iterdir()) == []
    python_runner.close()
    assert not Path(worker._folder).exists()
    assert worker._process.returncode is not None
    assert python_runner._idle == []


def test_a_worker_ends_when_its_owner_is_killed() -> None:
    code = (
        "from sluicegate.evaluators import python_runner as r\nimport os, signal\n"
        "assert r.run('x = 1', 'assert x').kind == 'pass'\nworker = r._idle[0]\n"
        "print(worker._process.pid, worker._folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    pid, folder = done.stdout.split()
    assert Path(folder).name.startswith("sluicegate-")
    until = time.monotonic() + 30
    while Path(folder).exists() and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(folder).exists()
    psutil.wait_procs([psutil.Process(int(pid))] if psutil.pid_exists(int(pid)) else [], timeout=30)
    assert not psutil.pid_exists(int(pid))
