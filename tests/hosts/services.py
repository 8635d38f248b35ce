"""What runs on the hosts: an MLflow server, the tunnel to it, and a Docker engine."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from docker_engine import ROOT
from hosts.network import SEARCHED, Hosts, end, namespace, until

URI = "http://localhost:5000"
SEARCH = f"{URI}/api/2.0/mlflow/experiments/search"
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


class Mlflow:
    """`mlflow server` on the server's loopback, over SQLite, artifacts proxied into a folder."""

    def __init__(self, hosts: Hosts, folder: Path) -> None:
        self._hosts, self.folder = hosts, folder
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir()

    def start(self, before: tuple[str, ...] = ()) -> float:
        """Start it, behind the words of `before`; the seconds until its API answers."""
        store = ("--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db")
        argv = (*before, sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", "5000")
        argv += ("--workers", "1", *store, "--artifacts-destination", str(self.folder / "artifacts"))
        argv += ("--allowed-hosts", "localhost:*,127.0.0.1:*,mlflow:*")  # as docker-compose.yml has it
        log = self.folder / "server.log"
        self._process = self._hosts.start("server", *argv, log=log, env=QUIET, cwd=self.folder)
        return until("MLflow on server", lambda: answers(self._hosts, "server"), 180)

    def kill(self) -> None:
        """Kill it and its workers, if it runs."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._process = None

    def ensure(self) -> None:
        """Start it where it does not run."""
        if self._process is None:
            self.start()

    def client(self) -> Any:
        """A client of its store that needs no server."""
        from mlflow import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder}/mlflow.db")


def answers(hosts: Hosts, host: str) -> bool:
    """Whether MLflow's API answers at localhost:5000 of a host."""
    asked = ("-H", "Content-Type: application/json", "-d", '{"max_results": 1}', SEARCH)
    return hosts.run(host, "curl", "-s", "-f", "-m", "5", "-o", "/dev/null", *asked).returncode == 0


class Tunnel:
    """`scripts/tunnel.sh` on the laptop."""

    def __init__(self, hosts: Hosts) -> None:
        self._hosts, self.log = hosts, hosts.folder / "tunnel.log"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; the seconds until the API answers at the laptop's localhost:5000."""
        script = str(ROOT / "scripts" / "tunnel.sh")
        self.process = self._hosts.start("laptop", "sh", script, "root@server", log=self.log)
        return until("MLflow through the tunnel", lambda: answers(self._hosts, "laptop"))

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """While inside there is none, and the port is free."""
        self.end()
        try:
            yield
        finally:
            self.start()

    def back(self) -> float:
        """Wait until it leads there again; the seconds that it took."""
        return until("MLflow through the tunnel", lambda: answers(self._hosts, "laptop"), 120)

    def end(self) -> int:
        """End it, with whatever it started; its exit code."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGTERM)
        return end(self.process)


class Engine:
    """A Docker engine of the tower's own: its images, volumes and networks are in its namespace and its folder.

    Args:
        folder: of its data.
        volumes_mib: size of the file system that its volumes lie on.
    """

    def __init__(self, folder: Path, volumes_mib: int) -> None:
        self._folder, self._volumes_mib = folder, volumes_mib
        self.socket = f"unix://{folder}/engine.sock"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start dockerd, its volumes on a small file system of their own."""
        volumes = self._folder / "data" / "volumes"
        volumes.mkdir(parents=True, exist_ok=True)
        # not `ip netns exec`, which mounts a fresh /sys and so hides the cgroups
        inside = ("nsenter", f"--net=/run/netns/{namespace('tower')}", "unshare", "--mount", "sh", "-c")
        # dockerd mounts its folder over itself, unless it is a mount already: over what is mounted below it
        own_mount = 'data=${0%/volumes} && mount --bind "$data" "$data"'
        small = f'mount -t tmpfs -o size={self._volumes_mib}m tmpfs "$0"'
        script = f'{own_mount} && {small} && echo 1 > /proc/sys/net/ipv4/ip_forward && exec "$@"'
        engine = ("dockerd", "--data-root", str(self._folder / "data"), "--exec-root", str(self._folder / "run"))
        own = ("--pidfile", str(self._folder / "engine.pid"), "--host", self.socket)
        with (self._folder / "engine.log").open("ab") as log:
            self._process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "TERM", *inside, script, str(volumes), *engine, *own],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, "PATH": SEARCHED},
            )  # fmt: skip
        until("the engine on tower", lambda: self.docker("version", check=False).returncode == 0)
        assert shutil.disk_usage(self.volumes).total == self._volumes_mib * 2**20, "volumes lie on the machine's disk"

    def stop(self) -> None:
        """Remove its containers, and end it."""
        if there := self.docker("ps", "--all", "--quiet").stdout.split():
            self.docker("rm", "--force", *there)
        if self._process is not None:
            end(self._process)
        shutil.rmtree(self._folder / "data", ignore_errors=True)

    def docker(
        self, *argv: str, check: bool = True, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Ask it; what it prints."""
        told = {**os.environ, "DOCKER_HOST": self.socket, **(env or {})}
        done = subprocess.run(["docker", *argv], capture_output=True, text=True, check=False, env=told)
        assert not check or done.returncode == 0, f"docker {' '.join(argv)}: {done.stdout}{done.stderr}"
        return done

    def receive(self, image: str) -> None:
        """Take over an image of this machine's engine."""
        given = subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE)
        taken = {**os.environ, "DOCKER_HOST": self.socket}
        done = subprocess.run(
            ["docker", "load", "--quiet"], stdin=given.stdout, env=taken, capture_output=True, text=True
        )
        assert given.wait() == 0 and done.returncode == 0, done.stderr

    def containers(self, *filters: str) -> list[dict[str, Any]]:
        """Its containers, running or not, as `docker ps` tells of them."""
        asked = [word for one in filters for word in ("--filter", one)]
        printed = self.docker("ps", "--all", "--no-trunc", "--format", "{{json .}}", *asked).stdout
        return [json.loads(line) for line in printed.splitlines()]

    @property
    def volumes(self) -> Path:
        """Where its volumes lie, as this process can reach them."""
        pid = (self._folder / "engine.pid").read_text()
        return Path(f"/proc/{pid}/root{self._folder}/data/volumes")


def missing() -> str:
    """What this machine lacks for an engine of the tower's own; empty where it lacks nothing."""
    lacking = [name for name in ("docker", "dockerd") if shutil.which(name, path=SEARCHED) is None]
    return f"needs {' and '.join(lacking)} on PATH" if lacking else ""
