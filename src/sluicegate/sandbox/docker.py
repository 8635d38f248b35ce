"""The backend for machines without bubblewrap: a container of a local Docker engine for each program.

The next container is started while a program runs, so that a program seldom waits for one. It has no network, no
capability, no mount of the host, a read-only root and the user nobody; `boxed` is its first process. Programs come and
go over the container's standard input and output, and it ends when they do: also when this process is killed. The
engine is asked by its API; its socket is never given to a container.

Run as a process of its own (`main`), this module takes the place of `zygote` for the worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import struct
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NoReturn

from sluicegate.sandbox.frames import Carrier
from sluicegate.sandbox.launch import MODULES, Launch, rlimits_of
from sluicegate.sandbox.limits import Limits
from sluicegate.sandbox.zygote import exactly

NAME, SAFE = "docker", True
IMAGE, VARIABLE = "sluicegate-eval", "SANDBOX_IMAGE"
SOCKET = "unix:///var/run/docker.sock"
LABEL = "sluicegate.sandbox"
"""Of each container: the machine, process and its start that it belongs to."""
INSIDE = (*MODULES, "seccomp", "frames", "boxed")
"""What runs inside, in the order of its imports."""
FOLDER = "/tmp/work"  # noqa: S108 - in a container's own
NOBODY = "65534:65534"
INODES = 16_384
OWN_BYTES, OWN_PROCESSES = 64 * 2**20, 6
"""Of the first process and the keeper, which are in the same group."""
STREAM = 3
PATIENCE_S, START_S, LAST_S = 10.0, 60.0, 1.0
BOOT = """\
import json, os, sys, types
def take(size):
    data = b""
    while len(data) < size:
        part = os.read(0, size - len(data))
        if not part:
            os._exit(71)
        data += part
    return data
parts = json.loads(take(int.from_bytes(take(4), "big")))
for name in ("sluicegate", "sluicegate.sandbox"):
    sys.modules[name] = types.ModuleType(name)
for name, source in parts:
    module = sys.modules["sluicegate.sandbox." + name] = types.ModuleType("sluicegate.sandbox." + name)
    setattr(sys.modules["sluicegate.sandbox"], name, module)
    exec(compile(source, "<" + name + ">", "exec", dont_inherit=True), module.__dict__)
module.main()
"""
COMMAND = ("python3", "-s", "-S", "-P", "-B", "-X", "utf8", "-c", BOOT)
RELAY = """\
import sys, types
for name, path in (("sluicegate", sys.argv[1]), ("sluicegate.sandbox", sys.argv[1] + "/sandbox")):
    package = sys.modules[name] = types.ModuleType(name)
    package.__path__ = [path]
from sluicegate.sandbox.docker import main
main()
"""


@dataclass(frozen=True, slots=True)
class Engine:
    """Where containers are made.

    Args:
        url: of the engine, `unix://…`.
        image: its number; what a name stands for may change while programs run.
    """

    url: str
    image: str


class EngineError(Exception):
    """The engine cannot be used, or a container does not start; the message is for people."""


def probe() -> tuple[Engine | None, str]:
    """The engine whose containers run programs, found by running one; or None and why not."""
    try:
        engine = _found(os.environ.get(VARIABLE) or IMAGE)
        Box(engine, source(os.path.dirname(os.path.abspath(__file__))), Limits()).remove()  # noqa: PTH100, PTH120
    except EngineError as fault:
        return None, str(fault)
    return engine, ""


def _found(image: str) -> Engine:
    try:
        import docker
        import docker.errors
        import requests
    except ImportError:
        raise EngineError("the docker SDK is not installed (pip install 'sluicegate[docker]')") from None
    given = os.environ.get("DOCKER_HOST") or SOCKET
    if not given.startswith("unix://"):
        raise EngineError(f"a Docker engine of this machine is wanted, not {given}")
    if is_mounted(given.removeprefix("unix://")):  # whoever has the engine's socket is root on its machine
        raise EngineError(f"the engine's socket {given} is mounted into this container: it is not used")
    try:
        api = docker.from_env(timeout=PATIENCE_S).api
        path = api.get_adapter(api.base_url).socket_path
        return Engine(f"unix://{path}", str(api.inspect_image(image)["Id"]))
    except docker.errors.ImageNotFound:
        mend = f"docker build -f Dockerfile.eval -t {IMAGE} ., or set {VARIABLE}"
        raise EngineError(f"the engine has no image {image} ({mend})") from None
    except (docker.errors.DockerException, requests.RequestException, OSError) as fault:
        raise EngineError(f"no Docker engine: {str(fault)[:200]}") from None


def is_mounted(path: str) -> bool:
    """Whether a file is a mount of its own, as a socket that was handed into a container is.

    >>> is_mounted("/proc"), is_mounted("/none/such")
    (True, False)
    """
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:  # noqa: PTH123
            points = {line.split()[4] for line in mounts}
    except OSError:
        return False
    return os.path.realpath(path) in points


def launch(engine: Engine, root: str) -> Launch:
    """How the process is started that makes the containers."""
    argv = [sys.executable, "-P", "-B", "-X", "utf8", "-c", RELAY, root, json.dumps(asdict(engine))]
    return Launch(argv=argv, request={"namespaces": False, "uid": None, "folder": FOLDER})


def limited(limits: Limits, modules: str) -> dict[str, Any]:
    """What the limits ask of a candidate and its container; and the packages, by their place in the image."""
    inner = modules.rpartition("/sluicegate/")[2]
    packages = re.sub(r"^react-.*", "react-*", inner)  # named by the node that bundled them
    return {"rlimits": rlimits_of(limits), "limits": asdict(limits), "packages": packages}


def source(folder: str) -> bytes:
    """The modules of `INSIDE` from the package's folder, as the first lines inside read them."""
    parts = []
    for name in INSIDE:
        with open(f"{folder}/{name}.py", encoding="utf-8") as stream:  # noqa: PTH123
            parts.append((name, stream.read()))
    data = json.dumps(parts).encode()
    return struct.pack(">I", len(data)) + data


def options(limits: Limits) -> dict[str, Any]:
    """What the engine is told of a container's confinement, as arguments of `create_host_config`.

    >>> kept = options(Limits())
    >>> kept["network_mode"], kept["cap_drop"], kept["read_only"], kept["pids_limit"]
    ('none', ['ALL'], True, 70)
    """
    memory = limits.memory_bytes + OWN_BYTES
    return {
        "network_mode": "none",
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": limits.processes + OWN_PROCESSES,
        "mem_limit": memory,
        "memswap_limit": memory,
        "nano_cpus": 10**9,
        "ipc_mode": "private",
        "tmpfs": {folder: f"rw,nosuid,nodev,{_sizes(limits)}" for folder in ("/tmp", "/dev/shm")},  # noqa: S108
        "oom_score_adj": 1000,
        "auto_remove": True,
        "log_config": {"Type": "none"},
    }


def _sizes(limits: Limits) -> str:
    return f"size={limits.disk_bytes},nr_inodes={INODES},mode=1777"


class Box:
    """One container that waits for its program.

    Raises:
        EngineError: it does not start; nothing of it is left.
    """

    def __init__(self, engine: Engine, code: bytes, limits: Limits) -> None:
        import docker
        import docker.errors
        import requests

        self._api = docker.APIClient(base_url=engine.url, timeout=START_S)
        self.limits = limits
        self._said, self._raw = b"", b""
        try:
            self.number = self._made(engine, limits)
        except (docker.errors.DockerException, requests.RequestException, OSError) as fault:
            raise EngineError(f"no container is made: {str(fault)[:200]}") from None
        try:
            self._attached = self._api.attach_socket(self.number, {"stdin": 1, "stdout": 1, "stderr": 1, "stream": 1})
            wire: socket.socket = self._attached._sock
            self._api.start(self.number)
            wire.settimeout(START_S)
            wire.sendall(code)
            self.carrier = Carrier(wire.fileno(), wire.fileno(), {}, self._frames)
            self._wait_ready()
        except (docker.errors.DockerException, requests.RequestException, OSError) as fault:
            self.remove()
            raise EngineError(f"a container does not start: {str(fault)[:200]}") from None
        except EngineError:
            self.remove()
            raise

    def _made(self, engine: Engine, limits: Limits) -> str:
        made = self._api.create_container(
            engine.image,
            list(COMMAND),
            entrypoint=[],
            user=NOBODY,
            stdin_open=True,
            network_disabled=True,
            working_dir="/",
            environment={"PYTHONHASHSEED": "0"},
            labels={LABEL: owner()},
            healthcheck={"test": ["NONE"]},
            host_config=self._api.create_host_config(**options(limits)),
        )
        return str(made["Id"])

    def _wait_ready(self) -> None:
        until = time.monotonic() + START_S
        while not self.carrier.told and not self.carrier.is_over and time.monotonic() < until:
            self.carrier.step(1)
        if not self.carrier.told:
            said = self._said.decode(errors="replace").strip().rpartition("\n")[2]
            raise EngineError(f"a container does not start: {said[:200] or 'it ended without a word'}")
        self.carrier.told.clear()

    def _frames(self, data: bytes) -> bytes:
        """Standard output, of what the engine sends: both streams in parts with a head of eight bytes."""
        self._raw += data
        taken = b""
        while len(self._raw) >= 8:
            size = int.from_bytes(self._raw[4:8], "big")
            if len(self._raw) < 8 + size:
                break
            part = self._raw[8 : 8 + size]
            if self._raw[0] == 1:
                taken += part
            else:
                self._said = (self._said + part)[-4096:]
            self._raw = self._raw[8 + size :]
        return taken

    def remove(self) -> None:
        """Kill and remove it, with all that is in it."""
        import docker.errors
        import requests

        with contextlib.suppress(OSError, AttributeError):
            self._attached._sock.shutdown(socket.SHUT_RDWR)  # the engine waits for who does not read what it said
            self._attached.close()
        with contextlib.suppress(docker.errors.DockerException, requests.RequestException):  # it removes itself as well
            self._api.remove_container(self.number, v=True, force=True)
        self._api.close()


def owner() -> str:
    """This process, told apart from one that has its number later."""
    return f"{socket.gethostname()} {os.getpid()} {_started(os.getpid())}"


def _started(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as stream:  # noqa: PTH123
            return stream.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def is_alive(name: str) -> bool:
    """Whether a container's owner may still live; one of another machine may.

    >>> is_alive(owner()), is_alive("elsewhere 1 2"), is_alive(f"{socket.gethostname()} 4194305 7")
    (True, True, False)
    """
    host, _, rest = name.partition(" ")
    pid, _, started = rest.partition(" ")
    if host != socket.gethostname() or not pid.isdigit():
        return True
    if not started:  # no /proc here
        with contextlib.suppress(PermissionError):
            try:
                os.kill(int(pid), 0)
            except ProcessLookupError:
                return False
        return True
    return _started(int(pid)) == started


def sweep(engine: Engine) -> None:
    """Remove the containers of owners that were killed."""
    import docker
    import docker.errors

    api = docker.APIClient(base_url=engine.url, timeout=START_S)
    for found in api.containers(all=True, filters={"label": LABEL}):
        if not is_alive(found["Labels"][LABEL]):
            with contextlib.suppress(docker.errors.APIError):
                api.remove_container(found["Id"], v=True, force=True)
    api.close()


class Pool:
    """The next container, made while the last one works."""

    def __init__(self, engine: Engine, code: bytes) -> None:
        self._engine, self._code = engine, code
        self._thread: threading.Thread | None = None
        self._next: list[Box | Exception] = []

    def prepare(self, limits: Limits) -> None:
        """Start one more."""
        self._thread = threading.Thread(target=self._make, args=(limits,))
        self._thread.start()

    def _make(self, limits: Limits) -> None:
        try:
            self._next.append(Box(self._engine, self._code, limits))
        except Exception as fault:
            self._next.append(fault)

    def take(self, limits: Limits) -> Box:
        """One with these limits.

        Raises:
            EngineError: none can be started.
        """
        if self._thread is None:
            self.prepare(limits)
        assert self._thread is not None  # noqa: S101 - it was prepared
        self._thread.join()
        self._thread = None
        box = self._next.pop()
        if isinstance(box, Box) and options(box.limits) == options(limits):
            return box
        if isinstance(box, Box):
            box.remove()
            return self.take(limits)
        raise EngineError(str(box))

    def close(self) -> None:
        """Remove the one that waits."""
        if self._thread is not None:
            self._thread.join()
        for box in self._next:
            if isinstance(box, Box):
                box.remove()


def serve(pool: Pool, request: Mapping[str, Any], files: list[int]) -> None:
    """Run one program in a container of its own, which is gone when this returns."""
    stream, output, talk = files
    limits = Limits(**request["limits"])
    try:
        box = pool.take(limits)
    except EngineError as fault:
        os.write(output, f"{fault}\n".encode())
        os.write(talk, b"E\n")
        return
    pool.prepare(limits)
    try:
        box.carrier.send(b"r", json.dumps(request).encode())
        box.carrier.carry({b"s": stream, b"o": output})
        killed, refused = _carried(box.carrier, stream, talk)
    finally:
        box.remove()
    with contextlib.suppress(OSError):
        os.write(talk, b"U%d %d\nE\n" % (killed, refused))


def _carried(carrier: Carrier, stream: int, talk: int) -> tuple[int, int]:
    """Carry a program's talk to its end; processes that were killed for memory, and that were refused."""
    heard = b""
    while not carrier.is_over and b"s" not in carrier.ended:
        carrier.step()
        for letter, data in _told(carrier):
            if letter == b"s":
                with contextlib.suppress(OSError), socket.socket(fileno=os.dup(stream)) as end:
                    end.shutdown(socket.SHUT_WR)
            elif letter == b"t":
                *lines, heard = (heard + data).split(b"\n")
                for line in lines:
                    if line.startswith(b"S"):
                        os.write(talk, line + b"\n")
    carrier.send(b"q")
    until = time.monotonic() + LAST_S
    while not carrier.is_over and time.monotonic() < until:
        carrier.step(LAST_S)
        for letter, data in _told(carrier):
            if letter == b"u":
                killed, refused = data.split()
                return int(killed), int(refused)
    return 0, 0


def _told(carrier: Carrier) -> Iterator[tuple[bytes, bytes]]:
    while carrier.told:
        yield carrier.told.pop(0)


def main() -> NoReturn:
    """Serve the worker's requests until it is gone."""
    engine = Engine(**json.loads(sys.argv[2]))
    control = socket.socket(fileno=os.dup(STREAM))
    size = exactly(control, 4)
    code = size + exactly(control, int.from_bytes(size, "big"))
    sweep(engine)
    pool = Pool(engine, code)
    pool.prepare(Limits())
    control.send(b"Z")
    while True:
        head, files, _, _ = socket.recv_fds(control, 4, 3)
        if not head:
            pool.close()
            os._exit(0)
        request = json.loads(exactly(control, int.from_bytes(head, "big")))
        try:
            serve(pool, request, files)
        finally:
            for number in files:
                os.close(number)
