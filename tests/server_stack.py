"""The server's half of docker-compose.yml under a name of its own, and its MLflow's API."""

from __future__ import annotations

import base64
import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest

from docker_engine import ROOT, ended

PASSWORD = "of-nobody-but-this-test"
OVERRIDE = "services: {train: {gpus: !reset []}}\n"
"""For an engine without GPUs."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@dataclass
class Stack:
    """One project of the compose file.

    Args:
        postgres: the image of the database.
        folder: takes the secrets.
        port: MLflow's, on loopback.
        user: whom MLflow's API is asked as; empty: nobody in particular.
    """

    name: str
    postgres: str
    folder: Path
    port: int
    user: str = ""
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        files = {}
        for variable, secret in {
            "POSTGRES_PASSWORD_FILE": "canary-of-the-database",
            "MLFLOW_ADMIN_PASSWORD_FILE": PASSWORD,
            "MLFLOW_SECRET_KEY_FILE": "canary-of-the-sessions",
        }.items():
            path = self.folder / variable.lower()
            path.write_text(f"{secret}\n")
            path.chmod(0o644)
            files[variable] = str(path)
        (self.folder / "cpu.yml").write_text(OVERRIDE)
        self.env = {
            **files,
            "POSTGRES_IMAGE": self.postgres,
            "MLFLOW_PORT": str(self.port),
            "COMPOSE_PROJECT_NAME": self.name,
            "COMPOSE_FILE": f"{ROOT / 'docker-compose.yml'}{os.pathsep}{self.folder / 'cpu.yml'}",
        }

    def compose(self, *argv: str, check: bool = True, env: Mapping[str, str] | None = None) -> str:
        """What `docker compose` prints; where it fails, the test fails with what it said."""
        profiles = [word for name in ("server", "auth", "tower") for word in ("--profile", name)]
        done = ended("compose", *profiles, *argv, env={**self.env, **(env or {})})
        if check and done.returncode:
            pytest.fail(f"compose {argv}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        return done.stdout

    def up(self, profile: str) -> None:
        """Start it, and wait until its health checks pass."""
        done = ended("compose", "--profile", profile, "up", "--detach", "--wait", env=self.env)
        if done.returncode:
            pytest.fail(f"{done.stderr[-2000:]}{self.compose('logs', '--tail', '40', check=False)}")

    def down(self) -> None:
        """Remove it with its volumes."""
        self.compose("down", "--volumes", "--timeout", "10", check=False)

    def script(self, name: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """One of scripts/, run for this project."""
        env = {**os.environ, **self.env, "PORT": str(self.port)}
        command = ["sh", str(ROOT / "scripts" / name), *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=env)

    def container(self, service: str) -> str:
        """The name of a service's container."""
        return f"{self.name}-{service}-1"

    def ask(self, verb: str, path: str, body: bytes | None = None, host: str = "") -> tuple[int, bytes]:
        """HTTP status and body of one request."""
        headers = {"Content-Type": "application/json", **({"Host": host} if host else {})}
        if self.user:
            headers["Authorization"] = f"Basic {base64.b64encode(self.user.encode()).decode()}"
        request = Request(f"http://127.0.0.1:{self.port}/api/2.0{path}", body, headers, method=verb)
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310
                return answer.status, answer.read()
        except HTTPError as fault:
            return fault.code, fault.read()
        except OSError as fault:  # nobody listens, or the answer was cut
            return 0, str(fault).encode()

    def post(self, path: str, **fields: Any) -> dict[str, Any]:
        """The answer of a call that must go well."""
        return _told(self.ask("POST", f"/mlflow/{path}", json.dumps(fields).encode()), path)

    def get(self, path: str, **fields: str) -> dict[str, Any]:
        """The answer of a look-up that must go well."""
        return _told(self.ask("GET", f"/mlflow/{path}?{urlencode(fields)}"), path)

    def searched(self, host: str = "") -> int:
        """HTTP status of a search, asked under a name of the server."""
        return self.ask("GET", "/mlflow/experiments/search?max_results=1", host=host)[0]

    def answers(self, within_s: float = 300) -> None:
        """Wait until a search goes well."""
        until = time.monotonic() + within_s
        while self.searched() != 200:
            if time.monotonic() > until:
                pytest.fail(f"MLflow does not answer: {self.compose('logs', '--tail', '40', check=False)}")
            time.sleep(0.5)


def _told(answer: tuple[int, bytes], path: str) -> dict[str, Any]:
    status, body = answer
    assert status == 200, f"{path}: HTTP {status} {body[:500]!r}"
    told: dict[str, Any] = json.loads(body)
    return told
