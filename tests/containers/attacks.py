"""Runs in the evaluation image: programs that attack the sandbox, and right ones; prints how each ended, as JSON."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import time

from sluicegate.sandbox import Limits, Outcome, javascript, python, react, sql, typescript
from sluicegate.sandbox.backends import choose

TESTS = "assert add(1, 2) == 3\n"
RIGHT = "def add(a, b):\n    return a + b\n"
TRIED = """\
import os, socket
found = []
def tried(name, deed, *args):
    try:
        deed(*args)
    except Exception:
        return
    found.append(name)
"""
NETWORK = """
tried("web", socket.create_connection, ("1.1.1.1", 80), 2)
tried("name server", socket.create_connection, ("8.8.8.8", 53), 2)
tried("hypervisor", socket.socket, 40, 1)
assert not found, found
"""
FILES = """
for path in ("/app/evaluate.py", "/app/results", "/data", "/opt/venv", "/opt/cache", "/opt/linters", "/etc/passwd"):
    tried(path, os.stat, path)
for path in ("/x", "/usr/bin/x", "/dev/x", "/opt/x"):
    tried(path, open, path, "w")
assert not found, found
"""
ENVIRONMENT = """
import glob, os
assert "open sesame" not in str(dict(os.environ))
for path in glob.glob("/proc/*/environ"):
    assert b"open sesame" not in open(path, "rb").read()
"""
PROCESSES = """
for number in range(1, 400):
    if number != os.getpid():
        tried(number, os.kill, number, 9)
assert set(found) <= {1}, found  # the keeper, which as the first process of its own numbers does not hear it
"""
PRIVILEGES = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
assert os.getuid() == 65534
assert libc.unshare(0x10000000) == libc.unshare(0x20000) == -1
assert libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == libc.umount2(b"/tmp", 2) == -1
assert libc.clone(None, None, 0x10000000, None) == libc.ptrace(0, 0, 0, 0) == -1
tried("setuid", os.setuid, 0)
tried("chroot", os.chroot, "/tmp")
assert not found, found
"""
MANY = """
import os, time
for _ in range(16):
    if os.fork() == 0:
        kept = b"x" * (400 << 20)
        time.sleep(600)
time.sleep(600)
"""
ORPHAN = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(60)
    os._exit(0)
"""
THREADS = "import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,)).start()\n"
ATTACKS = {
    "right": RIGHT,
    "network": TRIED + NETWORK + RIGHT,
    "files": TRIED + FILES + RIGHT,
    "environment": ENVIRONMENT + RIGHT,
    "processes": TRIED + PROCESSES + RIGHT,
    "privileges": TRIED + PRIVILEGES + RIGHT,
    "fork bomb": "import os\nwhile True:\n    os.fork()\n",
    "threads": THREADS,
    "memory": "kept = []\nwhile True:\n    kept.append(bytearray(10 ** 7))\n",
    "memory of many": MANY,
    "disk": "with open('/tmp/x', 'wb') as kept:\n    while True:\n        kept.write(bytes(10 ** 6))\n",
    "output": "while True:\n    print('x' * 10 ** 6)\n",
    "sleep": "import time\ntime.sleep(60)\n",
    "orphan": ORPHAN + RIGHT,
    "crash": "import os\nos.kill(os.getpid(), 11)\n",
    "right again": RIGHT,
}
LIMITS = {name: Limits(wall_s=60 if name.startswith("memory") else 5, memory_bytes=2**29) for name in ATTACKS}
SUM = "assert.strictEqual(add(1, 2), 3);"
APP = """\
const app = require("express")();
app.get("/sum", (request, response) => response.json({ sum: 3 }));
module.exports = { app };
"""
ASKED = 'await request(app).get("/sum").expect(200, { sum: 3 });'
REACT = "export default function App() { return <b>hello</b>; }\n"
SEEN = 'test("shows", () => { render(<App />); assert.ok(screen.getByText("hello")); });'
ROWS = "-- schema\nCREATE TABLE t (name TEXT);\n-- database one\nINSERT INTO t VALUES ('a');\n-- rows\n[\"a\"]\n"


def others() -> dict[str, Outcome]:
    """Programs of the other languages."""
    return {
        "javascript": javascript.run("exports.add = (a, b) => a + b;", SUM),
        "node attack": javascript.run("require('fs').readFileSync('/app/evaluate.py'); exports.add = () => 3;", SUM),
        "express": javascript.run(APP, ASKED, reference=APP),
        "typescript": typescript.run("export const add = (a: number, b: number) => a + b;", SUM),
        "react": react.run(REACT, SEEN, reference=REACT),
        "sql": sql.run("SELECT name FROM t", ROWS),
    }


def left() -> list[str]:
    """Commands of all processes but this one and the container's first."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        if int(path.parent.name) not in (1, os.getpid()):
            with contextlib.suppress(OSError):
                found.append(path.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
    return found


def oom_kills() -> int:
    """Processes that the kernel killed for the container's memory."""
    for path in ("memory.events", "memory/memory.oom_control"):
        with contextlib.suppress(OSError):
            for line in (pathlib.Path("/sys/fs/cgroup") / path).read_text().splitlines():
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return 0


def milliseconds() -> float:
    """A program's median of 21."""
    times = []
    for _ in range(21):
        begun = time.perf_counter()
        python.run(RIGHT, TESTS)
        times.append((time.perf_counter() - begun) * 1e3)
    return sorted(times)[10]


def main() -> None:
    """Attack where there is a sandbox; else run what is right."""
    chosen = choose()
    names = ATTACKS if chosen.is_safe else ["right"]
    ends = {name: python.run(ATTACKS[name], TESTS, limits=LIMITS[name]) for name in names}
    ends |= others() if chosen.is_safe else {}
    told = {
        "label": chosen.label,
        "why": chosen.why,
        "user": os.getuid(),
        "ends": {name: [end.kind, end.why, end.backend] for name, end in ends.items()},
        "oom_kills": oom_kills(),
        "ms": milliseconds(),
    }
    python.close()
    print(json.dumps({**told, "left": left()}))


if __name__ == "__main__":
    main()
