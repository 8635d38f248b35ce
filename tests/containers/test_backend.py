"""The backend `docker` on a real engine: the same ends as in bubblewrap, and nothing left, whoever is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from docker_engine import run
from sluicegate.sandbox import Limits, Outcome, docker, javascript, python, react, sql
from sluicegate.sandbox.backends import BACKENDS, choose

TESTS = "assert add(1, 2) == 3\n"
RIGHT = "def add(a, b):\n    return a + b\n"
LIMITS = Limits(wall_s=20, cpu_s=5)
NETWORK = """
import socket
try:
    socket.create_connection(("1.1.1.1", 80), 2)
except OSError:
    pass
else:
    raise SystemExit(1)
"""
FILES = """
import os
for path in ("/x", "/usr/x", "/etc/x", "/proc/sys/kernel/x"):
    try:
        open(path, "w")
    except OSError:
        continue
    raise SystemExit(path)
first, *_ = open("/proc/self/mounts").read().splitlines()
assert first.startswith("overlay / ") and " ro," in first
assert not os.path.exists("/var/run/docker.sock")
"""
FIRST_PROCESS = """
import os
for number in (9, 15, 19):
    os.kill(1, number)
for deed in (lambda: open("/proc/1/mem", "r+b"), lambda: os.listdir("/proc/1/fd"), lambda: open("/proc/1/environ")):
    try:
        deed()
    except OSError:
        continue
    raise SystemExit("opened")
"""
PRIVILEGES = """
import os
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
assert os.getuid() == 65534
assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
"""
NEXT = """
import os
assert os.listdir("/tmp") == ["work"] and os.listdir("/dev/shm") == []
for path in ("/tmp/left", "/dev/shm/left"):
    open(path, "w").close()
"""
CONFINED = {
    "network": NETWORK,
    "files": FILES,
    "environment": "import os\nassert 'sesame' not in str(dict(os.environ)), os.environ",
    "its first process": FIRST_PROCESS,
    "privileges": PRIVILEGES,
    "the next program": NEXT,
}
MANY = """
import os, time
for _ in range(8):
    if os.fork() == 0:
        kept = b"x" * (400 << 20)
        time.sleep(60)
time.sleep(60)
"""
ENDS = {
    "memory": ("kept = []\nwhile True:\n    kept.append(bytearray(10 ** 7))", "memory"),
    "memory of many": (MANY, "memory"),
    "fork bomb": ("import os\nwhile True:\n    os.fork()", "limit"),
    "output": ("while True:\n    print('x' * 10 ** 6)", "limit"),
    "disk": ("for n in range(9):\n    with open(f'/tmp/{n}', 'wb') as kept: kept.write(bytes(15 << 20))", "limit"),
    "clock": ("import time\ntime.sleep(600)", "timeout"),
    "cpu": ("while True: pass", "timeout"),
    "signal": ("import os\nos.kill(os.getpid(), 11)", "crash"),
    "exit": ("import os\nos._exit(0)", "error"),
    "wrong": ("def add(a, b):\n    return a - b", "fail"),
}
PARENT = (
    "import sys, time\nfrom sluicegate.sandbox import python\n"
    "assert python.run(sys.argv[1], sys.argv[2], backend='docker').kind == 'pass'\nprint('ran', flush=True)\n"
    "python.run('import time; time.sleep(600)', sys.argv[2], backend='docker')\n"
)


@pytest.fixture(scope="module", autouse=True)
def backend(image: str) -> Iterator[None]:
    choice = choose("docker")
    assert choice.name, choice.why
    yield
    python.close()
    assert containers() == []


def containers() -> list[str]:
    return run("ps", "--all", "--quiet", "--filter", f"label={docker.LABEL}").split()


def outcome_of(program: str, limits: Limits = LIMITS) -> Outcome:
    return python.run(program, TESTS, limits=limits, backend="docker")


@pytest.mark.parametrize("name", CONFINED)
def test_a_program_is_confined(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "open sesame")
    for _ in range(2):
        assert outcome_of(f"{CONFINED[name]}\n{RIGHT}") == Outcome("pass", "", "docker")


@pytest.mark.parametrize("name", ENDS)
def test_an_end_has_its_name(name: str) -> None:
    program, kind = ENDS[name]
    limits = Limits(wall_s=3) if name == "clock" else LIMITS
    found = outcome_of(program, limits)
    assert (found.kind, found.backend) == (kind, "docker"), found
    assert outcome_of(RIGHT) == Outcome("pass", "", "docker")


def test_other_languages_run_with_the_packages_of_the_image() -> None:
    app = "const app = require('express')();\napp.get('/', (q, s) => s.json({ sum: 3 }));\nmodule.exports = { app };\n"
    asked = 'await request(app).get("/").expect(200, { sum: 3 });'
    assert javascript.run(app, asked, reference=app, backend="docker") == Outcome("pass", "", "docker")
    shown = "export default function App() { return <b>hello</b>; }\n"
    seen = 'test("shows", () => { render(<App />); assert.ok(screen.getByText("hello")); });'
    assert react.run(shown, seen, reference=shown, backend="docker") == Outcome("pass", "", "docker")
    rows = "-- schema\nCREATE TABLE t (name TEXT);\n-- database one\nINSERT INTO t VALUES ('a');\n-- rows\n[\"a\"]\n"
    assert sql.run("SELECT name FROM t", rows, backend="docker") == Outcome("pass", "", "docker")


def test_containers_go_when_who_asked_is_killed() -> None:
    python.close()
    parent = subprocess.Popen([sys.executable, "-c", PARENT, RIGHT, TESTS], stdout=subprocess.PIPE)
    assert parent.stdout is not None and parent.stdout.readline() == b"ran\n"
    assert containers() != []
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 60
    while containers() and time.monotonic() < until:
        time.sleep(0.5)
    assert outcome_of(RIGHT).kind == "pass"  # its worker sweeps what was made and never started
    python.close()
    assert containers() == []


def test_an_image_that_is_not_there_is_named(image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(docker.VARIABLE, "localhost/none:such")
    found, why = docker.probe()
    assert found is None and why.startswith("the engine has no image localhost/none:such (docker build ")


def test_how_long_a_program_takes() -> None:
    """Printed, not judged: a loaded machine is slow."""
    found = {}
    for backend in BACKENDS:
        if not choose(backend).name:
            continue
        times = []
        for _ in range(21):
            begun = time.perf_counter()
            assert python.run(RIGHT, TESTS, backend=backend).kind == "pass"
            times.append((time.perf_counter() - begun) * 1e3)
        found[backend] = f"{sorted(times)[10]:.0f} ms"
    print(f"\na program (median of 21): {json.dumps(found)}, load {os.getloadavg()[0]:.1f}")
    assert "docker" in found
