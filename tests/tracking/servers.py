"""Servers for the tests: a real MLflow that can be killed, frozen and given another database; one that lies; a door."""

from __future__ import annotations

import base64
import contextlib
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError
from sluicegate.jsonl import sha256
from sluicegate.tracking.probe import check

HOST_REFUSED = b"Invalid Host header - possible DNS rebinding attack detected"
ANSWERS: dict[str, tuple[int, str, bytes, str]] = {
    "broken": (500, "text/html", b"<h1>Internal Server Error</h1>", "500: an HTML page"),
    "away": (503, "text/plain", b"no healthy upstream", "503: no healthy upstream"),
    "html": (200, "text/html", b"<!doctype html><title>Sign in</title>", "200: an HTML page"),
    "login": (401, "text/plain", b"You are not authenticated", "401: You are not authenticated"),
    "rights": (403, "application/json", b'{"error_code": "PERMISSION_DENIED"}', "403: "),
    "host": (403, "text/plain", HOST_REFUSED, "403: the server refuses this Host header"),
    "other": (200, "application/json", b'{"hello": 1}', '200: {"hello": 1}'),
    "list": (200, "application/json", b"[1, 2", "200: [1, 2"),
    "missing": (404, "text/plain", b"", "404: an empty answer"),
    "moved": (302, "text/html", b"", "302: a redirection to http://elsewhere.invalid/"),
    "torn": (200, "application/json", b'{"experiments": [', "an answer that broke off half-way"),
}
"""Mode → status, kind, body, and what a person is told."""
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}


class Hostile(BaseHTTPRequestHandler):
    """Answers as `server.mode` says; the modes that are not in `ANSWERS` are slow, or good at first."""

    def do_GET(self) -> None:
        mode = self.server.mode  # type: ignore[attr-defined]
        if mode == "hang":
            time.sleep(3)
            return
        good = mode in {"half", "drip"} and "experiments/search" in self.path
        status, kind, body = (200, "application/json", b"{}") if good else ANSWERS.get(mode, ANSWERS["broken"])[:3]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header(
            "Content-Length", str(len(body) + 100 * (mode == "torn") + 9999 * (mode == "drip" and not good))
        )
        if mode == "moved":
            self.send_header("Location", "http://elsewhere.invalid/")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            while mode == "drip" and not good:
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.2)

    do_POST = do_PUT = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextlib.contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[ThreadingHTTPServer]:
    """A server in a thread."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


class Door(BaseHTTPRequestHandler):
    """Lets requests with one of `server.keys` through to the server at `server.port`, as proxies with passwords do."""

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Authorization") not in self.server.keys:  # type: ignore[attr-defined]
            return self._say(401, "text/plain", b"You are not authenticated")
        beyond = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)  # type: ignore[attr-defined]
        kept = {name: value for name, value in self.headers.items() if name.lower() in {"content-type", "accept"}}
        beyond.request(self.command, self.path, body, kept)
        answer = beyond.getresponse()
        return self._say(answer.status, answer.headers.get_content_type(), answer.read())

    def _say(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Gate:
    """A way to a server that can be cut, as when its process is gone: connections are refused until it is mended."""

    def __init__(self, port: int) -> None:
        self._beyond, self._port = port, 0
        self.mend()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def mend(self) -> None:
        """Open it, at the same address as before."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Door)
        self._server.daemon_threads = True
        self._server.port, self._server.keys = self._beyond, {None}  # type: ignore[attr-defined]
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def cut(self) -> None:
        """Close it."""
        self._server.shutdown()
        self._server.server_close()


def basic(name: str, secret: str) -> str:
    """A header of basic authentication."""
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


class Mlflow:
    """`mlflow server` on one port of loopback, over SQLite, artifacts proxied into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.store = folder, free_port(), "mlflow.db"
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True)

    def start(self, store: str = "") -> None:
        """Start it, with another database where one is named; returns when its API answers."""
        self.store = store or self.store
        argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        argv += ["--workers", "1", "--backend-store-uri", f"sqlite:///{self.folder}/{self.store}"]
        argv += ["--artifacts-destination", str(self.folder / f"{self.store}-artifacts")]
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                argv, stdout=log, stderr=log, start_new_session=True, env=os.environ | QUIET, cwd=self.folder
            )
        until(self.answers, 180)

    def answers(self) -> bool:
        """Whether its API does."""
        with contextlib.suppress(UserError):
            check(self.uri, limit_s=2)
            return True
        assert self._process is not None and self._process.poll() is None, (self.folder / "server.log").read_text()
        return False

    def signal(self, number: int) -> None:
        """A signal to all its processes."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """Kill it, if it runs."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    @property
    def client(self) -> Any:
        """A client of its database that needs no server."""
        from mlflow.tracking import MlflowClient

        return MlflowClient(f"sqlite:///{self.folder}/{self.store}")

    def content(self, experiment: str) -> dict[str, Any]:
        """All that it holds of an experiment, run by run, without what differs each time: names that MLflow gives."""
        client = self.client
        found = client.get_experiment_by_name(experiment)
        runs = client.search_runs([found.experiment_id]) if found else []
        names = {run.info.run_id: run.info.run_name for run in runs}
        assert len(set(names.values())) == len(names), "a run shows twice"
        return {run.info.run_name: self._run(client, run, names) for run in runs}

    def _run(self, client: Any, run: Any, names: dict[str, str]) -> dict[str, Any]:
        tags = {key: value for key, value in run.data.tags.items() if key != "sluicegate.spool"}
        if "mlflow.parentRunId" in tags:
            tags["mlflow.parentRunId"] = names[tags["mlflow.parentRunId"]]
        root = self.folder / f"{self.store}-artifacts" / run.info.experiment_id
        models = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run.info.run_id}'")
        return {
            "status": run.info.status,
            "params": run.data.params,
            "tags": tags,
            "metrics": {key: self._curve(client, run, key) for key in sorted(run.data.metrics)},
            "inputs": {row.dataset.name: {tag.key: tag.value for tag in row.tags} for row in run.inputs.dataset_inputs},
            "artifacts": files_in(root / run.info.run_id / "artifacts"),
            "models": [(one.name, str(one.status), files_in(root / "models" / one.model_id)) for one in models],
        }

    def _curve(self, client: Any, run: Any, key: str) -> list[tuple[int, float]]:
        return [(row.step, row.value) for row in client.get_metric_history(run.info.run_id, key)]


def files_in(root: Path) -> dict[str, str]:
    """File below a folder → its digest."""
    return {str(path.relative_to(root)): sha256(path) for path in sorted(root.rglob("*")) if path.is_file()}


def until(met: Callable[[], bool], limit_s: float = 60) -> None:
    """Wait for a condition that another thread or process brings about."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        if met():
            return
        time.sleep(0.1)
    raise AssertionError(f"waited {limit_s:g} s")
