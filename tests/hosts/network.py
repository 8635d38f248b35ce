"""Tower, server and laptop on one machine: three network namespaces, a switch, SSH, and cables that can be pulled.

Addresses exist inside the namespaces alone, and nothing of the machine's own network changes. `tower` and `server` run
sshd with keys made for the occasion; every host sees them in its own `~/.ssh` and `/etc/hosts`, mounted for its
processes only, so that commands are the ones a user types. Whatever is started ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

ADDRESS = {"tower": "10.78.0.1", "server": "10.78.0.2", "laptop": "10.78.0.3"}
LISTENING = ("tower", "server")
PREFIX = "sluicegate"
PROGRAMS = ("ip", "tc", "nsenter", "unshare", "setpriv", "mount", "ssh", "ssh-keygen", "sshd", "curl")
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
SSHD = """
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
ListenAddress {address}:22
SetEnv {environment}
"""
CLIENT = """
Host tower server
  User root
  IdentityFile ~/.ssh/id_ed25519
  IdentitiesOnly yes
"""
AT_HOME = 'mkdir -p "$1" && mount --bind "$0/ssh" "$1" && mount --bind "$0/hosts" /etc/hosts && shift && exec "$@"'
"""$0: the state folder, $1: the user's ~/.ssh, then the command; mounts are seen by that command alone."""


def missing() -> str:
    """What this machine lacks to be three; empty where it lacks nothing."""
    if os.name != "posix" or os.geteuid() != 0:
        return "needs root"
    lacking = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    return f"needs {', '.join(lacking)}" if lacking else ""


class Hosts:
    """The three hosts.

    Args:
        folder: of their keys and logs.
        environment: host → variables of what SSH starts there.
    """

    def __init__(self, folder: Path, environment: Mapping[str, Mapping[str, str]]) -> None:
        self.folder, self._environment = folder, environment
        self._started: list[subprocess.Popen[bytes]] = []
        self._home = Path("~/.ssh").expanduser()
        self._made_home = not self._home.exists()

    @property
    def known(self) -> Path:
        """The keys that the hosts know each other by."""
        return self.folder / "ssh" / "known_hosts"

    @property
    def authorized(self) -> Path:
        """The keys that they let in."""
        return self.folder / "authorized_keys"

    def up(self) -> None:
        """Make namespaces, cables and keys, and start sshd."""
        sweep()
        self._keys()
        self._ip("netns", "add", namespace("switch"))
        self._ip("-n", namespace("switch"), "link", "add", "br0", "type", "bridge")
        self._ip("-n", namespace("switch"), "link", "set", "br0", "up")
        for host, address in ADDRESS.items():
            name = namespace(host)
            self._ip("netns", "add", name)
            cable = ("link", "add", f"to-{host}", "netns", namespace("switch"), "type", "veth")
            self._ip(*cable, "peer", "name", "eth0", "netns", name)
            self._ip("-n", namespace("switch"), "link", "set", f"to-{host}", "master", "br0", "up")
            self._ip("-n", name, "link", "set", "lo", "up")
            self._ip("-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
            self._ip("-n", name, "link", "set", "eth0", "up")
        for host in LISTENING:
            self._sshd(host)

    def down(self) -> None:
        """End what was started here, and take the namespaces away."""
        for process in reversed(self._started):
            end(process)
        sweep(os.getpid())
        if self._made_home:
            with contextlib.suppress(OSError):
                self._home.rmdir()

    def cut(self, host: str) -> None:
        """Unplug its cable: both directions are dead, and connections hang."""
        self._ip("-n", namespace("switch"), "link", "set", f"to-{host}", "down")

    def mend(self, host: str) -> None:
        """Plug it in again."""
        self._ip("-n", namespace("switch"), "link", "set", f"to-{host}", "up")

    @contextlib.contextmanager
    def slow(self, host: str, rate: str) -> Iterator[None]:
        """While inside, what its cable brings is no faster than `rate`, both ways."""
        shape = ("root", "tbf", "rate", rate, "burst", "16kb", "latency", "400ms")
        ends = ((namespace("switch"), f"to-{host}"), (namespace(host), "eth0"))
        for name, cable in ends:
            self._run("tc", "-n", name, "qdisc", "add", "dev", cable, *shape)
        try:
            yield
        finally:
            for name, cable in ends:
                self._run("tc", "-n", name, "qdisc", "del", "dev", cable, "root")

    def on(self, host: str, *argv: str) -> list[str]:
        """The argv that runs a command on that host."""
        ended_with_us = ("setpriv", "--pdeathsig", "TERM")
        at_home = ("unshare", "--mount", "sh", "-c", AT_HOME, str(self.folder), str(self._home))
        return [*ended_with_us, "nsenter", f"--net=/run/netns/{namespace(host)}", *at_home, *argv]

    def start(
        self, host: str, *argv: str, log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a command there, its output appended to `log`; it ends with `down`."""
        with log.open("ab") as stream:
            process = subprocess.Popen(
                self.on(host, *argv), stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": SEARCHED, **(env or {})}, cwd=cwd or self.folder, start_new_session=True,
            )  # fmt: skip
        self._started.append(process)
        return process

    def run(
        self, host: str, *argv: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, limit_s: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end."""
        return subprocess.run(
            self.on(host, *argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=limit_s,
            env={**os.environ, "PATH": SEARCHED, **(env or {})}, cwd=cwd or self.folder, check=False,
        )  # fmt: skip

    def _keys(self) -> None:
        (self.folder / "ssh").mkdir(parents=True, mode=0o700)
        for path in (self.folder / "ssh" / "id_ed25519", self.folder / "host_key"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
        shutil.copy(self.folder / "ssh" / "id_ed25519.pub", self.authorized)
        key = " ".join((self.folder / "host_key.pub").read_text().split()[:2])
        known = "".join(f"{host},{ADDRESS[host]} {key}\n" for host in LISTENING)
        self.known.write_text(known)
        (self.folder / "ssh" / "config").write_text(CLIENT)
        names = "".join(f"{address} {host}\n" for host, address in ADDRESS.items())
        (self.folder / "hosts").write_text(f"127.0.0.1 localhost\n{names}")

    def _sshd(self, host: str) -> None:
        Path("/run/sshd").mkdir(exist_ok=True)
        told = {"PATH": SEARCHED, **self._environment.get(host, {})}
        environment = " ".join(shlex.quote(f"{name}={value}") for name, value in told.items())
        config = self.folder / f"sshd-{host}"
        config.write_text(SSHD.format(folder=self.folder, address=ADDRESS[host], environment=environment))
        program = str(shutil.which("sshd", path=SEARCHED))
        self.start(host, program, "-D", "-e", "-f", str(config), log=self.folder / f"sshd-{host}.log")
        until(f"sshd on {host}", lambda: self.run("laptop", "ssh", "-o", "BatchMode=yes", host, "true").returncode == 0)

    def _ip(self, *words: str) -> None:
        self._run("ip", *words)

    def _run(self, *argv: str) -> None:
        subprocess.run(argv, check=True, env={**os.environ, "PATH": SEARCHED})


def namespace(host: str, pid: int | None = None) -> str:
    """Its name holds the process that made it, so that what a killed one left is known as that."""
    return f"{PREFIX}-{pid or os.getpid()}-{host}"


def sweep(own: int = 0) -> None:
    """Take away the namespaces of process `own` and those whose maker is gone, with all that still runs in them."""
    for path in Path("/run/netns").glob(f"{PREFIX}-*-*"):
        maker = path.name.split("-")[1]
        if maker != str(own) and Path(f"/proc/{maker}").exists():
            continue
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in _inside(path.name):
                _kill(pid, number)
            wait_s = time.monotonic() + 5
            while _inside(path.name) and time.monotonic() < wait_s:
                time.sleep(0.1)
        subprocess.run(["ip", "netns", "del", path.name], check=False, env={**os.environ, "PATH": SEARCHED})


def _inside(name: str) -> list[int]:
    done = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    return [int(word) for word in done.stdout.split()]


def _kill(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def end(process: subprocess.Popen[bytes], number: signal.Signals = signal.SIGTERM, limit_s: float = 30) -> int:
    """Ask a process to end, then make it; its exit code."""
    _kill(process.pid, number)
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def until(what: str, met: Callable[[], bool], limit_s: float = 180) -> float:
    """Wait until it holds; the seconds that it took.

    Raises:
        AssertionError: it did not within `limit_s`.
    """
    begun = time.monotonic()
    while not met():
        assert time.monotonic() - begun < limit_s, f"{what}: waited {limit_s:g} s"
        time.sleep(0.1)
    return time.monotonic() - begun
