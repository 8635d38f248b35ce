"""One attack a test on the sandbox of Python programs; after each, the next program is judged as ever."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sluicegate.sandbox import Limits, Outcome, cgroup, python

pytestmark = pytest.mark.process

TESTS = "assert add(1, 2) == 3\nassert add(-1, 1) == 0\n"
RIGHT = "def add(a, b):\n    return a + b\n"
GENEROUS = Limits(wall_s=60, cpu_s=30, memory_bytes=2**29)
BRIEF = Limits(wall_s=0.5, cpu_s=30, memory_bytes=2**29)
"""For what only the clock ends."""
BUSY = Limits(wall_s=60, cpu_s=1, memory_bytes=2**29)
"""For what only its use of CPU ends."""
EQUAL = "class Equal:\n    __eq__ = lambda *_: True\n    __ne__ = lambda *_: False\n    __hash__ = lambda _: 1\n"
YES = (
    "class Yes:\n"
    "    def __getattr__(self, name): return self\n"
    "    def __call__(self, *_, **__): return self\n"
    + "".join(
        f"    __{name}__ = lambda *_: True\n"
        for name in "eq lt le gt ge contains bool".split()  # noqa: SIM905
    )
    + "".join(
        f"    __{name}__ = lambda self, *_: self\n"
        for name in "add radd sub rsub mul rmul abs neg round getitem mod rmod truediv".split()  # noqa: SIM905
    )
    + "    __ne__ = lambda *_: False\n    __iter__ = lambda self: iter(())\n    __len__ = lambda self: 0\n"
    "    __float__ = lambda self: 0.0\n    __hash__ = lambda _: 1\n    __repr__ = lambda _: '3'\n"
)

FORGING = {
    "raises SystemExit": ("raise SystemExit", "error", "SystemExit"),
    "exits": ("import sys\nsys.exit(0)", "error", "SystemExit: 0"),
    "exits at once": ("import os\nos._exit(0)", "error", "ended with exit code 0 before its tests did"),
    "exits when tested": ("def add(a, b):\n    __import__('os')._exit(0)", "error", "ended with exit code 0"),
    "exits at once when tested for the second time": (
        "import os\ndef add(a, b):\n    return 3 if a == 1 else os._exit(0)",
        "error",
        "ended with exit code 0",
    ),
    "raises SystemExit when tested": ("def add(a, b):\n    raise SystemExit(0)", "error", "SystemExit: 0"),
    "raises AssertionError": ("def add(a, b):\n    raise AssertionError", "fail", "AssertionError"),
    "prints success": ("print('pass\\nOK\\n1 passed', flush=True)", "error", "NameError"),
    "writes success into every pipe": (
        "import os, time\nfor n in range(64):\n    try: os.write(n, b'0' * 32 + b' pass \\n')\n"
        "    except OSError: pass\ntime.sleep(60)",
        "error",
        "wrote to the pipe of the harness",
    ),
    "forges a frame that is too long": (
        "import os\nos.write(3, b'\\xff\\xff\\xff\\xff' + b'x' * 4096)",
        "error",
        "wrote to the pipe of the harness",
    ),
    "forges a frame with an unknown tag": (
        "import os\nos.write(3, b'\\0\\0\\0\\2r!')",
        "error",
        "wrote to the pipe of the harness",
    ),
    "forges a handle that there is not": (
        "import os\nos.write(3, b'\\0\\0\\0\\6rh\\0\\0\\1\\0')",
        "error",
        "wrote to the pipe of the harness",
    ),
    "forges a request for the tests' insides": (
        "import os\nos.write(3, b'\\0\\0\\0\\x2cqt\\0\\0\\0\\3s\\0\\0\\0\\3geti\\0\\0\\0\\1\\0t\\0\\0\\0\\1"
        "s\\0\\0\\0\\x0b__globals__d\\0\\0\\0\\0')",
        "error",
        "wrote to the pipe of the harness",
    ),
    "forges an exception that is none": (
        "import os\nos.write(3, b'\\0\\0\\0\\x0cxi\\0\\0\\0\\1\\0t\\0\\0\\0\\0')",
        "error",
        "wrote to the pipe of the harness",
    ),
    "nests a forged frame too deep": (
        "import os\nd = b'r' + b'l\\0\\0\\0\\1' * 5000\nos.write(3, len(d).to_bytes(4, 'big') + d)",
        "error",
        "nested more than 200 deep",
    ),
    "counts a billion parts in a forged frame": (
        "import os\nos.write(3, b'\\0\\0\\0\\6rl\\x3b\\x9a\\xca\\0')",
        "error",
        "ends too early",
    ),
    "returns an object that equals everything": (EQUAL + "def add(a, b): return Equal()", "fail", "AssertionError"),
    "is an object that equals everything": (EQUAL + "add = lambda a, b: Equal", "fail", "AssertionError"),
    "returns a number that equals everything": (
        "class Three(int):\n    __eq__ = lambda *_: True\ndef add(a, b): return Three(7)",
        "fail",
        "AssertionError",
    ),
    "returns an object that says yes to everything": (YES + "def add(a, b): return Yes()", "fail", "AssertionError"),
    "lies in its repr": (
        "class Liar:\n    __repr__ = __str__ = lambda _: '3'\ndef add(a, b): return Liar()",
        "fail",
        "AssertionError",
    ),
    "replaces what the harness calls": (
        "import os\nos.write = os._exit = print\nimport __main__\n__main__._judge = lambda *_: ('pass', '')",
        "error",
        "NameError",
    ),
    "replaces built-ins of its own namespace": ("__builtins__ = {'add': print}", "error", "NameError"),
    "patches built-ins for everyone": (
        "import builtins\nbuiltins.AssertionError = builtins.all = lambda *_: None\nbuiltins.add = lambda *_: 3",
        "error",
        "NameError",
    ),
    "patches unittest and pytest": (
        "import sys, types, unittest\nunittest.TestCase.assertEqual = print\n"
        "sys.modules['pytest'] = types.ModuleType('pytest')\ndef add(a, b): return None",
        "fail",
        "AssertionError",
    ),
    "defines the names of built-ins that tests use": (
        "def abs(x): return 0\ndef isinstance(*_): return True\nclass AssertionError(Exception): pass\n"
        "def add(a, b): return -1",
        "fail",
        "AssertionError",
    ),
    "walks the frames for the tests": (
        "import sys, gc\ndef add(a, b):\n    frame = sys._getframe()\n    while frame:\n"
        "        assert 'assert add' not in repr((frame.f_globals, frame.f_locals))\n        frame = frame.f_back\n"
        "    assert not any(type(o) is str and 'assert add' in o for o in gc.get_objects())\n    return 7",
        "fail",
        "(tests, line 1: assert add(1, 2) == 3)",
    ),
    "reads every file for the tests": (
        "import os\nfound = []\nfor top, _, names in os.walk('/'):\n"
        "    if top.startswith(('/proc', '/usr')): continue\n"
        "    found += [n for n in names if n in ('micro.py', 'samples.jsonl', 'test_attacks.py', 'referee.py')]\n"
        "assert not found, found\ndef add(a, b): return 7",
        "fail",
        "(tests, line 1: assert add(1, 2) == 3)",
    ),
    "reads the memory of its harness": (
        "import os\ntry: data, maps = open('/proc/self/mem', 'rb'), open('/proc/self/maps')\n"
        "except OSError: data, maps = None, []\nfor line in maps:\n    if '[heap]' in line:\n"
        "        low, high = (int(x, 16) for x in line.split()[0].split('-'))\n"
        "        data.seek(low)\n        assert b'assert add(1, ' + b'2)' not in data.read(high - low)\n"
        "def add(a, b): return 7",
        "fail",
        "(tests, line 1: assert add(1, 2) == 3)",
    ),
    "has its answer unpickled": (
        "class Bomb:\n    def __reduce__(self): return (print, ('x',))\ndef add(a, b): return Bomb()",
        "fail",
        "AssertionError",
    ),
    "lies in its message": (
        "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
        "error",
        "E",
    ),
    "says too much": ("raise ValueError('x' * 10**7)", "error", "ValueError: xxx"),
    "says NUL and ANSI": (
        "raise ValueError('\\x00\\x1b[2J\\n\\udc80é')",
        "error",
        r"ValueError: \x00\x1b[2J\n\udc80é",
    ),
    "gives its exception a hostile name": (
        "raise type('\\x1b[2J' * 999, (Exception,), {})('x')",
        "error",
        r"\x1b[2J",
    ),
    "returns a class that equals everything": (
        "class M(type):\n    __eq__ = lambda *_: True\n    __hash__ = lambda _: 1\n"
        "class C(metaclass=M): pass\ndef add(a, b): return C",
        "fail",
        "AssertionError",
    ),
}
BREAKING = {
    "closes every file": (f"import os\nos.closerange(0, 256)\n{RIGHT}", "error", "ended with exit code 70"),
    "kills itself": ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "crash", "SIGKILL"),
    "kills its group": ("import os, signal\nos.killpg(0, signal.SIGTERM)", "crash", "SIGTERM"),
    "reads address 0": ("import ctypes\nctypes.string_at(0)", "crash", "SIGSEGV"),
    "aborts": ("import os\nos.abort()", "crash", "SIGABRT"),
    "eats memory": ("x = bytearray(4 * 2**30)", "memory", "asked for more than it may have"),
    "eats memory by and by": ("x = []\nwhile True: x.append(bytes(2**20))", "memory", "asked for more"),
    "recurses": ("def f(): return f()\nf()", "error", "RecursionError"),
    "overflows the C stack": (
        "import sys\nsys.setrecursionlimit(10**9)\nclass C:\n"
        "    def __getattr__(self, n): return getattr(self, n + 'x')\n"
        "    def __repr__(self): return repr(self)\nrepr(C())",
        "crash",
        "SIGSEGV",
    ),
    "prints too much": ("while True: print('x' * 2**20)", "limit", "printed more than"),
    "writes a big file": ("with open('x', 'wb') as f:\n    f.write(bytes(2**26))", "limit", "OSError"),
    "opens many files": ("x = [open('/dev/null') for _ in range(1000)]", "limit", "OSError"),
    "holds a NUL": ("x = 1\x00", "error", "null bytes"),
    "holds half a character": ("x = '\ud800'", "error", "UnicodeEncodeError"),
    "nests too deep": ("(" * 10_000, "error", ""),
    "has deep folders": (
        "import os\nfor _ in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\n",
        "error",
        "NameError",
    ),
    "returns too much": ("def add(a, b): return 'x' * 2**25", "limit", "answer: "),
    "returns too many parts": ("def add(a, b): return [[]] * 0 + list(range(3 * 10**6))", "limit", "answer: "),
    "returns too large a number": ("def add(a, b): return 1 << 2**24", "limit", "answer: "),
    "returns too deep a list": (
        "def add(a, b):\n    x = []\n    for _ in range(10**5): x = [x]\n    return x",
        "limit",
        "answer: ",
    ),
    "returns itself in a list": ("def add(a, b):\n    x = []\n    x.append(x)\n    return x", "fail", "AssertionError"),
    "returns a list that doubles": (
        "def add(a, b):\n    x = ()\n    for _ in range(100): x = (x, x)\n    return x",
        "limit",
        "answer: ",
    ),
    "hashes for ever into a set": (
        "class H:\n    def __hash__(self): return hash(self)\ndef add(a, b): return [H() for _ in range(3)]",
        "fail",
        "AssertionError",
    ),
}
LOOPING = {
    "loops": "while True: pass",
    "loops and ignores the warning": "import signal\nsignal.signal(signal.SIGXCPU, signal.SIG_IGN)\nwhile True: pass",
    "loops when tested": "def add(a, b):\n    while True: pass",
}
WAITING = {
    "sleeps": "import time\ntime.sleep(60)",
    "swallows every exception": ("import time\nwhile True:\n    try: time.sleep(60)\n    except BaseException: pass"),
    "ignores every signal": (
        "import signal, time\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n"
        "    except OSError: pass\ntime.sleep(60)"
    ),
    "stops itself": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "stops itself when tested": "import os, signal\ndef add(a, b): os.kill(os.getpid(), signal.SIGSTOP)",
    "asks the tests for ever": "import sys\ndef add(a, b):\n    while True: sys.stdin.readline()",
    "waits for input that never comes": "import os\nr, w = os.pipe()\nos.read(r, 1)",
    "waits when its message is asked for": (
        "import time\nclass E(Exception):\n    def __str__(self): time.sleep(60)\nraise E"
    ),
}
EVERYWHERE = [*FORGING.items(), *BREAKING.items()]


def attack(program: str, limits: Limits = GENEROUS, tests: str = TESTS, backend: str = "bwrap") -> Outcome:
    """The outcome of a hostile program, after which the next one is judged right."""
    outcome = python.run(program, tests, reference=RIGHT, limits=limits, backend=backend)
    assert python.run(RIGHT, TESTS, reference=RIGHT, limits=GENEROUS, backend=backend).kind == "pass"
    assert len(outcome.why) <= 300
    assert outcome.why.isprintable()
    return outcome


@pytest.mark.parametrize(("program", "kind", "why"), [case for _, case in EVERYWHERE], ids=[n for n, _ in EVERYWHERE])
def test_hostile_programs_do_not_pass(bwrap: str, program: str, kind: str, why: str) -> None:
    outcome = attack(program, backend=bwrap)
    assert (outcome.kind, why in outcome.why) == (kind, True), outcome


@pytest.mark.parametrize("program", LOOPING.values(), ids=LOOPING)
def test_a_loop_ends_with_its_time(bwrap: str, program: str) -> None:
    assert attack(program, BUSY, backend=bwrap) == Outcome("timeout", "1 s of CPU", bwrap)


@pytest.mark.parametrize("program", WAITING.values(), ids=WAITING)
def test_waiting_ends_with_the_clock(bwrap: str, program: str) -> None:
    assert attack(program, BRIEF, backend=bwrap) == Outcome("timeout", "0.5 s on the clock", bwrap)


REFUSED = {
    "sees a file of the user": "open({home!r} + '/.bashrc')",
    "sees the password file": "open('/etc/passwd')",
    "sees the tests' folder": "os.listdir({here!r})",
    "sees this package": "import sluicegate",
    "sees the harness as a module": "import sluicegate.sandbox.referee",
    "sees installed packages": "import pytest",
    "sees another process": "os.kill({pid}, 0)",
    "sees the processes of the machine": "assert len([n for n in os.listdir('/proc') if n.isdigit()]) > 5",
    "has a variable of the user": "os.environ['SLUICEGATE_SECRET']",
    "has a variable of the first process": (
        "assert 'SLUICEGATE_SECRET' in ''.join(open(f'/proc/{{n}}/environ').read() for n in (1, 2))"
    ),
    "is root": "assert os.getuid() != 65534",
    "becomes root": "os.setuid(0)",
    "writes to /usr": "open('/usr/x', 'w')",
    "writes to /": "open('/x', 'w')",
    "writes to /dev": "open('/dev/x', 'w')",
    "writes to a disk": "open('/dev/vda', 'wb')",
    "changes a setting of the kernel": "open('/proc/sys/kernel/hostname', 'w').write('x')",
    "mounts": "assert libc.mount(b'none', b'/tmp', b'tmpfs', 0, None) == 0",
    "makes a user namespace": "assert libc.unshare(0x10000000) == 0",
    "makes a namespace by clone": "assert libc.syscall(56, 0x10000011, 0, 0, 0, 0) >= 0",
    "traces its parent": "assert libc.ptrace(16, os.getppid(), 0, 0) == 0",
    "reads its parent's memory": "open(f'/proc/{{os.getppid()}}/mem', 'rb').read(1)",
    "uses io_uring": "assert libc.syscall(425, 8, 0) >= 0",
    "adds a key": "assert libc.syscall(248, b'user', b'x', b'x', 1, -3) >= 0",
    "loads BPF": "assert libc.syscall(321, 0, 0, 0) >= 0",
    "makes the kernel wait for a page": "assert libc.syscall(323, 0) >= 0",
    "raises its own limits": ("import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))"),
    "reaches a port of this machine": "socket.create_connection(('127.0.0.1', {port}), 5)",
    "reaches the network": "socket.create_connection(('1.1.1.1', 53), 5)",
    "asks for a name": "socket.getaddrinfo('example.org', 80)",
    "talks to the hypervisor": "socket.socket(40, socket.SOCK_STREAM)",
    "talks to the kernel": "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
    "opens a raw socket": "socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)",
    "types into the terminal": "import fcntl; fcntl.ioctl(0, 0x5412, b'x')",
    "renames its host": "socket.sethostname('x')",
    "sets the clock": "import time; time.clock_settime(0, 1.0)",
    "goes above the root": "os.chroot('/tmp')",
    "makes a device": "os.mknod('null', 0o20666, os.makedev(1, 3))",
    "makes a file owned by root": "os.chown(open('x', 'w').fileno(), 0, 0)",
    "lowers its niceness": "os.nice(-5)",
}


@pytest.mark.parametrize("deed", REFUSED.values(), ids=REFUSED)
def test_what_a_program_must_not_do_fails(bwrap: str, deed: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setenv("SLUICEGATE_SECRET", "s3cret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = {
            "home": str(Path.home()),
            "here": str(Path(__file__).parent),
            "pid": os.getpid(),
            "port": server.getsockname()[1],
        }
        program = (
            "import ctypes, os, socket\nlibc = ctypes.CDLL(None, use_errno=True)\nrefused = False\n"
            f"try:\n    {deed.format(**place)}\nexcept (Exception, SystemExit):\n    refused = True\n"
        )
        outcome = attack(program + RIGHT, tests="assert refused\n" + TESTS, backend=bwrap)
    assert outcome == Outcome(
        "error", "NameError: name 'refused' is not defined (tests, line 1: assert refused)", bwrap
    ) or (outcome.kind == "pass"), outcome


FLOODS = {
    "processes": (
        "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n",
        ("limit", "timeout", "memory"),
    ),
    "processes that stay": (
        "import os, time\nfor _ in range(500):\n    if os.fork() == 0:\n        time.sleep(60)\n",
        ("limit",),
    ),
    "threads": (
        "import threading, time\nfor _ in range(500): threading.Thread(target=time.sleep, args=[60]).start()\n",
        ("limit",),
    ),
    "memory in shared memory": (
        "for n in range(100):\n    with open(f'/dev/shm/{n}', 'wb') as f: f.write(bytes(2**24 - 1))\n",
        ("limit", "memory"),
    ),
    "files": (
        "for n in range(100):\n    with open(f'/tmp/{n}', 'wb') as f: f.write(bytes(2**24 - 1))\n",
        ("limit", "memory"),
    ),
    "memory of many processes": (
        "import os, time\nfor _ in range(16):\n    if os.fork() == 0:\n"
        "        x = bytearray(os.urandom(2**20)) * 200\n        time.sleep(60)\nos.wait()\ntime.sleep(60)",
        ("memory",),
    ),
    "memory mapped and shared": (
        "import mmap, os\nx = []\nwhile True:\n    m = mmap.mmap(-1, 2**24)\n    m[:] = bytes(2**24)\n"
        "    x.append(m)\n",
        ("memory", "limit"),
    ),
    "pipes": (
        "import os\nwhile True: os.pipe()\n",
        ("limit",),
    ),
}


@pytest.mark.parametrize(("program", "kinds"), FLOODS.values(), ids=FLOODS)
def test_floods_are_dammed(bwrap: str, program: str, kinds: tuple[str, ...]) -> None:
    if cgroup.usable() is None and "many processes" in program:
        pytest.skip("no control group can be made here: memory of all processes together is not bounded")
    outcome = attack(program, Limits(wall_s=8, cpu_s=2, memory_bytes=2**28), backend=bwrap)
    assert outcome.kind in kinds, outcome


def test_many_small_files_are_dammed(bwrap: str) -> None:
    program = (
        "import os\nn = 0\nwhile True:\n    os.close(os.open(f'/tmp/{n}', os.O_CREAT | os.O_WRONLY))\n    n += 1\n"
    )
    assert attack(program, BUSY, backend=bwrap).kind in ("timeout", "memory", "limit")


def left_of(marker: str) -> list[int]:
    return [process.pid for process in psutil.process_iter(["cmdline"]) if marker in (process.info["cmdline"] or [])]


LEAVING = {
    "child": "pass",
    "session": "os.setsid()",
    "orphan": "os.setsid()\n    if os.fork(): os._exit(0)",
    "ignores signals": "import signal\n    for n in (1, 2, 13, 15): signal.signal(n, signal.SIG_IGN)",
}


@pytest.mark.parametrize("backend", ["bwrap", "rlimits"])
@pytest.mark.parametrize("leaving", LEAVING.values(), ids=LEAVING)
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux finds what left its session")
def test_nothing_that_a_program_started_survives(leaving: str, backend: str, request: pytest.FixtureRequest) -> None:
    if backend == "bwrap":
        request.getfixturevalue("bwrap")
    marker = f"31536{time.monotonic_ns() % 10**9}"
    sleep = f"os.execv('/bin/sleep', ['sleep', '{marker}'])"
    program = f"import os, time\nif os.fork() == 0:\n    {leaving}\n    {sleep}\ntime.sleep(0.3)\n"
    assert python.run(program + RIGHT, TESTS, reference=RIGHT, limits=GENEROUS, backend=backend).kind == "pass"
    assert left_of(marker) == []


def test_no_file_and_no_group_survives(bwrap: str) -> None:
    program = "open('/tmp/left', 'w').write('x')\nopen('/dev/shm/left', 'w').write('x')\n"
    assert attack(program + RIGHT, backend=bwrap).kind == "pass"
    after = "import os\nassert os.listdir('/dev/shm') == [] and os.listdir('/tmp') == ['work'], os.listdir('/tmp')\n"
    assert attack(after + RIGHT, backend=bwrap).kind == "pass"
    place = cgroup.usable()
    groups = [
        Path(folder, f"{cgroup.PREFIX}{worker.process.pid}")
        for chosen, workers in python._idle.items()
        if chosen.name == bwrap
        for worker in workers
        for folder in (place.folders.values() if place else ())
    ]
    assert all(group.exists() for group in groups)
    python.close()
    assert not any(group.exists() for group in groups)


SPOILING = {
    "its own worker": (
        "import os, signal\nfor n in range(1, 9):\n    try: os.kill(n, signal.SIGKILL)\n    except OSError: pass\n"
    ),
    "everything it may signal": "import os, signal\nos.kill(-1, signal.SIGKILL)\n",
    "its parent": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nos.kill(os.getppid(), signal.SIGSTOP)\n",
    "modules": "import sys\nfor n in list(sys.modules): sys.modules[n] = None\n",
    "the interpreter's built-ins": (
        "import builtins\nfor n in dir(builtins):\n    if n[0] != '_': delattr(builtins, n)\n"
    ),
    "shared memory": (
        "from multiprocessing import shared_memory\ns = shared_memory.SharedMemory('left', True, 4096)\n"
    ),
    "a port": "import socket\ns = socket.create_server(('127.0.0.1', 40123))\n",
    "a queue of messages": (
        "import ctypes\nlibc = ctypes.CDLL(None)\nassert libc.msgget(4711, 0o1600 | 0o666) >= 0 or True\n"
    ),
    "its hash seed and its clock": "import random, time\nrandom.seed(1)\ntime.time = lambda: 0\n",
}
FRESH = """\
import os, sys, builtins, random, socket, time, ctypes
assert 'os' in sys.modules and builtins.len and time.time() > 1e9
assert not os.path.exists('/dev/shm/left')
socket.create_server(('127.0.0.1', 40123)).close()
assert ctypes.CDLL(None).msgget(4711, 0o666) == -1
"""


@pytest.mark.parametrize("program", SPOILING.values(), ids=SPOILING)
def test_no_program_touches_the_next(bwrap: str, program: str) -> None:
    python.run(program + RIGHT, TESTS, reference=RIGHT, limits=GENEROUS, backend=bwrap)
    assert attack(FRESH + RIGHT, backend=bwrap) == Outcome("pass", "", bwrap)


OWN_TESTS = {
    "function": "def test_add():\n    {}\n",
    "class": "class TestAdd:\n    def test_it(self):\n        {}\n",
    "case": "import unittest\nclass TestAdd(unittest.TestCase):\n    def test_it(self):\n        {}\nunittest.main()\n",
    "case, by another name": (
        "from unittest import main, TestCase\nclass TestAdd(TestCase):\n    def test_it(self):\n        {}\nmain()\n"
    ),
}


@pytest.mark.parametrize("own", OWN_TESTS.values(), ids=OWN_TESTS)
def test_a_program_with_tests_of_the_same_names_is_tested(bwrap: str, own: str) -> None:
    tests = own.format("assert add(1, 2) == 3")
    right, wrong = (f"{program}{own.format('pass')}" for program in (RIGHT, RIGHT.replace("+", "-")))
    for reference in (RIGHT, right):
        assert python.run(right, tests, reference=reference, limits=GENEROUS, backend=bwrap).kind == "pass"
        assert python.run(wrong, tests, reference=reference, limits=GENEROUS, backend=bwrap).kind == "fail"


ON_OBJECTS = "class Box:\n    def __init__(self, n): self.n = n\n    def plus(self, m): return self.n + m\n"
BOX_TESTS = "assert Box(1).plus(2) == 3\nassert Box(1).n == 1\n"


def test_an_object_may_not_do_what_the_references_objects_do_not(bwrap: str) -> None:
    program = YES + "class Box:\n    def __init__(self, n): self.n = Yes()\n    def plus(self, m): return Yes()\n"
    for tests in (
        BOX_TESTS,
        "assert abs(Box(1).plus(2) - 3) < 1e-9",
        "assert str(Box(1).plus(2)).startswith('3x') is False and Box(1).plus(2) == 3",
        "assert 3 in [Box(1).plus(2)]",
        "assert Box(1).plus(2) in (3, 4)",
        "assert Box(1).plus(2) >= 3",
        "assert 3 <= Box(1).plus(2)",
        "assert Box(1).plus(2).bit_length() > 1",
        "assert {3: 1}[Box(1).plus(2)]",
    ):
        right = python.run(ON_OBJECTS, tests, reference=ON_OBJECTS, limits=GENEROUS, backend=bwrap)
        assert right.kind == "pass", tests
        assert python.run(program, tests, reference=ON_OBJECTS, limits=GENEROUS, backend=bwrap).kind != "pass", tests


STRINGS = {
    "assert greet('Bob').startswith('Hello')": "startswith",
    "assert 'Bob' in greet('Bob')": "in",
    "assert greet('Bob').count('o') == 2": "count",
    "assert greet('Bob').split()[1] == 'Bob'": "split",
    "assert len(greet('Bob')) == 9": "len",
    "assert isinstance(greet('Bob'), str)": "isinstance",
    "assert greet('Bob') != ''\nassert greet('Bob') == 'Hello Bob'": "not equal",
    "import re\nassert re.match('Hello', greet('Bob'))": "re",
    "assert sorted(greet('Bob'))[0] == ' '": "sorted",
    "assert ('%s!' % greet('Bob')) == 'Hello Bob!'": "format",
}


@pytest.mark.parametrize("tests", STRINGS, ids=STRINGS.values())
def test_an_object_that_says_yes_is_not_text(bwrap: str, tests: str) -> None:
    reference = "def greet(name): return f'Hello {name}'"
    cheat = YES + "def greet(name): return Yes()"
    assert python.run(reference, tests, reference=reference, limits=GENEROUS, backend=bwrap).kind == "pass"
    assert python.run(cheat, tests, reference=reference, limits=GENEROUS, backend=bwrap).kind != "pass"


@pytest.mark.parametrize("known", [RIGHT, ""], ids=["with a reference", "without one"])
def test_an_equal_object_does_not_pass_with_or_without_a_reference(bwrap: str, known: str) -> None:
    for program in (EQUAL + "def add(a, b): return Equal()", YES + "def add(a, b): return Yes()"):
        for tests in (TESTS, "assert abs(add(1, 2) - 3) < 1e-6", "assert add(1, 2) in (3, 4)", "assert add(1, 2) > 2"):
            outcome = python.run(program, tests, reference=known, limits=GENEROUS, backend=bwrap)
            assert outcome.kind in ("fail", "error"), (outcome, tests)


PEEKING = {
    "globals": "lambda f: f.__globals__",
    "closure": "lambda f: f.__closure__",
    "code": "lambda f: f.__code__",
    "class": "lambda f: object.__getattribute__(f, '__class__').__init__.__globals__",
    "frame of a generator": "lambda f: f.gi_frame.f_globals",
    "self of a method": "lambda f: f.__self__",
    "raw handle": "lambda f: type(f).__dict__",
}


@pytest.mark.parametrize("peek", PEEKING.values(), ids=PEEKING)
def test_what_the_tests_hand_out_shows_nothing_of_them(bwrap: str, peek: str) -> None:
    tests = (
        "expected = 'the secret'\ndef call(): return expected\ndef items(): yield expected[:0]\n"
        "class Own:\n    def method(self): return 1\n"
        "for thing in (call, items(), Own().method, Own(), Own):\n    assert 'the secret' not in look(thing)\n"
    )
    program = (
        f"peek = {peek}\ndef look(thing):\n    try: return repr(peek(thing))\n    except AttributeError: return ''\n"
    )
    outcome = python.run(program, tests, limits=GENEROUS, backend=bwrap)
    assert outcome.kind == "pass", outcome


TAMPERING = {
    "a method of the tests' object": (
        "class Spy:\n    calls = 0\n    def up(self): self.calls += 1\n    def verify(self): assert self.calls == 2\n"
        "spy = Spy()\nwork(spy)\nspy.verify()\n",
        "def work(spy):\n    try: spy.verify = lambda: None\n    except AttributeError: pass",
    ),
    "a method of the tests' class": (
        "class Spy:\n    calls = 0\n    def up(self): self.calls += 1\n    def verify(self): assert self.calls == 2\n"
        "spy = Spy()\nwork(spy)\nspy.verify()\n",
        "def work(spy):\n    try: type(spy).verify = lambda self: None\n    except AttributeError: pass",
    ),
    "a mock's assertions": (
        "from unittest.mock import Mock\nmock = Mock()\nwork(mock)\nmock.up.assert_called_with(2)\n",
        "def work(mock):\n    for deed in (lambda: mock.up.configure_mock(assert_called_with=lambda *_: None),\n"
        "        lambda: mock.up.reset_mock(), lambda: setattr(mock.up, 'assert_called_with', print)):\n"
        "        try: deed()\n        except AttributeError: pass",
    ),
}


@pytest.mark.parametrize(("tests", "program"), TAMPERING.values(), ids=TAMPERING)
def test_what_the_tests_hand_out_keeps_its_methods(bwrap: str, tests: str, program: str) -> None:
    right = (
        "def work(spy):\n"
        "    spy.up() if hasattr(spy, 'calls') and type(spy).__name__ == 'Spy' else spy.up(2)\n"
        "    spy.up(*[2][spy.__class__.__name__ == 'Spy':])"
    )
    assert python.run(right, tests, reference=right, limits=GENEROUS, backend=bwrap).kind == "pass"
    outcome = python.run(program, tests, reference=right, limits=GENEROUS, backend=bwrap)
    assert outcome.kind == "fail", outcome


REACHING = {
    "a path": (
        "import pathlib\nassert told(pathlib.Path('request')) in ('', 'request')\n",
        "def told(path): return path.name",
        "def told(path):\n    path.joinpath({mark!r}).write_text('x')\n    return ''",
        "PosixPath",
    ),
    "a database": (
        "import sqlite3\nassert told(sqlite3.connect(':memory:')) == 1\n",
        "def told(base): return base.execute('SELECT 1').fetchone()[0]",
        "def told(base):\n    base.execute('ATTACH ? AS out', [{mark!r}])\n    base.execute('CREATE TABLE out.t (x)')\n"
        "    return 1",
        "Connection",
    ),
    "the class of an open file": (
        "with open('own', 'wb', buffering=0) as own: assert told(own) == 1\n",
        "def told(file): return file.write(b'x') and type(file)('own').close() or 1",
        "def told(file):\n    type(file)({mark!r}, 'w').close()\n    return 1",
        "FileIO",
    ),
    "the loop of a future": (
        "import asyncio\nasync def main(): assert told(asyncio.get_running_loop().create_future())\n"
        "asyncio.run(main())\n",
        "def told(future): return future.get_loop().is_running()",
        "def told(future): return future.get_loop().run_in_executor(None, open, {mark!r}, 'w')",
        "EventLoop",
    ),
    "a path that a class of the tests is": (
        "import pathlib\nclass Own(type(pathlib.Path())):\n    def hi(self): return 1\nassert told(Own('x')) == 1\n",
        "def told(own): return own.hi()",
        "def told(own):\n    own.joinpath({mark!r}).touch()\n    return 1",
        "tests.Own",
    ),
}


@pytest.mark.parametrize("case", REACHING.values(), ids=REACHING)
def test_no_object_of_the_tests_is_a_way_out(bwrap: str, case: tuple[str, str, str, str], tmp_path: Path) -> None:
    tests, right, cheat, kind = case
    mark = tmp_path / "mark"
    cheat = cheat.format(mark=str(mark))
    said = python.run(right, tests, reference=right, limits=GENEROUS, backend=bwrap)
    assert said.kind == "tests"
    assert said.why.startswith("they hand out what could reach outside, and is not served: ")
    assert said.why.endswith(kind)
    for known in (right, "def told(it): return it", ""):
        assert python.run(cheat, tests, reference=known, limits=GENEROUS, backend=bwrap).kind in ("tests", "error")
        assert not mark.exists()


CALLING = (
    "from unittest.mock import Mock\nimport contextlib, operator\nsecret = 41\ndef call(f, *xs): return f(*xs)\n"
    "@contextlib.contextmanager\ndef block(): yield\n"
    "assert look(call, Mock(), block()) == secret + 1\n"
)
LOOKING = {
    "an attribute's getter": "call(call(operator.attrgetter, '__globals__'), call)['secret'] + 1",
    "a method's caller": "call(call(operator.methodcaller, '__getattribute__', '__globals__'), call)['secret'] + 1",
    "a mock of its own": (
        "type(mock)(side_effect=type(mock)(side_effect=operator.attrgetter)('__globals__'))(call)['secret'] + 1"
    ),
    "the class of a block": "type(block)(operator.attrgetter, ('__globals__',), {}).gen(call)['secret'] + 1",
    "a copy of attributes": (
        "call(functools.update_wrapper, kept, call, ('__globals__',), ()) and kept.__globals__['secret'] + 1"
    ),
    "names in a module": (
        "call(enum.global_enum, call(type, 'X', (), {'__module__': 'tests', '__members__': {'secret': 0}})) and 1"
    ),
    "a format": "call(string.Formatter).get_field('0.__globals__', (call,), {})[0]['secret'] + 1",
    "text with a format": "int(call(collections.UserString, '{0.__globals__[secret]}').format(call)) + 1",
    "annotations": "call(typing.get_type_hints, kept)",
}


@pytest.mark.parametrize("deed", LOOKING.values(), ids=LOOKING)
def test_tests_that_call_what_they_are_given_look_into_nothing_for_it(bwrap: str, deed: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    evil = f"__import__('pathlib').Path({str(mark)!r}).touch()"
    program = (
        "import collections, enum, functools, operator, string, typing\nclass Kept: pass\nkept = Kept()\n"
        f"kept.__annotations__ = {{'a': {evil!r}}}\n"
        f"def look(call, mock, block): return {deed}\n"
    )
    right = "def look(call, mock, block): return call(max, 41, 42)"
    assert python.run(right, CALLING, reference=right, limits=GENEROUS, backend=bwrap).kind == "pass"
    assert python.run(program, CALLING, reference=right, limits=GENEROUS, backend=bwrap).kind != "pass"
    assert not mark.exists()


WITHIN = {
    "a buffer": ("import io\nout = io.StringIO()\nwork(out)\nassert out.getvalue() == 'x'", "out.write('x')"),
    "a file": ("out = open('own', 'w+')\nwork(out)\nout.seek(0)\nassert out.read() == 'x'", "out.write('x')"),
    "a queue": ("import queue\nout = queue.Queue()\nwork(out)\nassert out.get() == 1", "out.put(1)"),
    "an event": ("import threading\nout = threading.Event()\nwork(out)\nassert out.is_set()", "out.set()"),
    "a pool": (
        "from concurrent.futures import ThreadPoolExecutor\nout = ThreadPoolExecutor(1)\nassert work(out) == 3",
        "out.submit(max, 1, 3).result()",
    ),
    "a logger": (
        "import logging\nclass Kept(logging.Handler):\n    said = []\n"
        "    def emit(self, record): self.said.append(record.getMessage())\n"
        "out = logging.getLogger('x')\nout.addHandler(Kept())\nwork(out)\nassert Kept.said == ['x']",
        "out.error('x')",
    ),
    "a generator of random numbers": ("import random\nassert work(random.Random(1)) < 9", "out.randrange(9)"),
    "a namespace": ("import types\nassert work(types.SimpleNamespace(a=1)) == 1", "out.a"),
    "a pattern": ("import re\nassert work(re.compile('a')) == 'a'", "out.match('ab').group()"),
    "an element of a typed class": (
        "import typing\nT = typing.TypeVar('T')\nclass Box(typing.Generic[T]):\n    n = 1\nassert work(Box()) == 1",
        "out.n",
    ),
    "a path that is only kept": ("import pathlib\nx = pathlib.Path('x')\nassert work(x) is x", "out"),
}


@pytest.mark.parametrize(("tests", "deed"), WITHIN.values(), ids=WITHIN)
def test_objects_of_the_tests_that_reach_nothing_are_served(bwrap: str, tests: str, deed: str) -> None:
    program = f"def work(out): return {deed}"
    assert python.run(program, tests, reference=program, limits=GENEROUS, backend=bwrap) == Outcome("pass", "", bwrap)


HONEST_LIMITS = {
    name: BREAKING[name]
    for name in ("closes every file", "kills itself", "eats memory", "prints too much", "writes a big file", "recurses")
}


@pytest.mark.parametrize(("program", "kind", "why"), HONEST_LIMITS.values(), ids=HONEST_LIMITS)
def test_without_a_sandbox_the_limits_hold(program: str, kind: str, why: str) -> None:
    outcome = attack(program, backend="rlimits")
    assert (outcome.kind, why in outcome.why, outcome.backend) == (kind, True, "rlimits, UNSAFE"), outcome


UNGUARDED = [name for name in FORGING if name.startswith(("exits", "returns an object", "forges", "walks", "patches"))]


@pytest.mark.parametrize(("program", "kind", "why"), [FORGING[name] for name in UNGUARDED], ids=UNGUARDED)
def test_without_a_sandbox_forging_fails_too(program: str, kind: str, why: str) -> None:
    outcome = attack(program, backend="rlimits")
    assert outcome.kind == kind, outcome


def test_a_program_that_kills_its_worker_is_a_crash_where_there_is_no_sandbox() -> None:
    killer = "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\nimport time\ntime.sleep(60)"
    outcome = attack(killer, backend="rlimits")
    assert outcome == Outcome("crash", "ended or stopped the process that ran it", "rlimits, UNSAFE")


def test_workers_end_when_their_owner_is_killed(bwrap: str) -> None:
    code = (
        "from sluicegate.sandbox import python as p\nimport os, signal\n"
        "assert p.run('x = 1', 'assert x').kind == 'pass'\n((worker,),) = p._idle.values()\n"
        "print(worker.process.pid, worker.folder, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    pid, folder = done.stdout.split()
    until = time.monotonic() + 60
    while (Path(folder).exists() or psutil.pid_exists(int(pid))) and time.monotonic() < until:
        time.sleep(0.02)
    assert not Path(folder).exists()
    assert not psutil.pid_exists(int(pid))
