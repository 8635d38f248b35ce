"""MLflow over HTTP: servers that are away, hang, lie or refuse; and a real one, frozen and thawed mid-run."""

from __future__ import annotations

import functools
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

import pytest

from sluicegate.errors import UserError
from sluicegate.tracking import sender
from sluicegate.tracking.probe import check
from sluicegate.tracking.sender import Sent, follow, unsent
from sluicegate.tracking.spool import Spool

HOST_REFUSED = b"Invalid Host header - possible DNS rebinding attack detected"
ANSWERS: dict[str, tuple[int, str, bytes, str]] = {
    "broken": (500, "text/html", b"<h1>Internal Server Error</h1>", "500: an HTML page"),
    "away": (503, "text/plain", b"no healthy upstream", "503: no healthy upstream"),
    "html": (200, "text/html", b"<!doctype html><title>Sign in</title>", "200: an HTML page"),
    "login": (401, "text/plain", b"You are not authenticated", "401: You are not authenticated"),
    "rights": (403, "application/json", b'{"error_code": "PERMISSION_DENIED"}', "403: "),
    "host": (403, "text/plain", HOST_REFUSED, "403: the server refuses this Host header"),
    "other": (200, "application/json", b'{"hello": 1}', '200: {"hello": 1}'),
    "missing": (404, "text/plain", b"", "404: an empty answer"),
}


class Hostile(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        mode = self.server.mode  # type: ignore[attr-defined]
        if mode == "hang":
            time.sleep(3)
            return
        half = mode == "half" and "experiments/search" in self.path
        status, kind, body = (200, "application/json", b"{}") if half else ANSWERS.get(mode, ANSWERS["broken"])[:3]
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def hostile() -> Iterator[Callable[[str], str]]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hostile)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def serve(mode: str) -> str:
        server.mode = mode  # type: ignore[attr-defined]
        return f"http://me:hunter2@127.0.0.1:{server.server_port}"

    yield serve
    server.shutdown()
    server.server_close()


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return int(held.getsockname()[1])


@pytest.mark.parametrize("mode", ANSWERS)
def test_check_names_what_a_server_answers(mode: str, hostile: Callable[[str], str]) -> None:
    with pytest.raises(UserError) as told:
        check(hostile(mode))
    assert told.value.seen.startswith(ANSWERS[mode][3])
    assert told.value.mend
    assert "hunter2" not in str(told.value)
    assert ("--allowed-hosts" in str(told.value)) == (mode == "host")


def test_check_gives_up_on_a_server_that_hangs(hostile: Callable[[str], str]) -> None:
    with pytest.raises(UserError, match=r"no answer|cannot be reached") as told:
        check(hostile("hang"), limit_s=0.3)
    assert "hangs" in told.value.seen


@pytest.mark.parametrize(
    ("uri", "seen"),
    [
        pytest.param(f"http://me:hunter2@127.0.0.1:{free_port()}", "refused", id="refused"),
        ("http://no.such.host.invalid:5000", ""),
        ("http://127.0.0.1:99999", ""),
        ("http://", ""),
        ("file:///tmp/mlruns", "file:///tmp/mlruns"),
        ("./mlruns", "./mlruns"),
        ("postgresql://me:hunter2@db/mlflow", "postgresql://db/mlflow"),
        ("sqlite://", "sqlite://"),
        ("", "an empty value"),
    ],
)
def test_check_refuses_what_cannot_be_used(uri: str, seen: str) -> None:
    with pytest.raises(UserError) as told:
        check(uri)
    assert seen in told.value.seen
    assert told.value.mend
    assert "hunter2" not in str(told.value)


def test_check_refuses_sqlite_paths_that_cannot_work(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x" * 5000)
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "notes.txt" / "mlflow.db"):
        with pytest.raises(UserError, match="cannot be used"):
            check(f"sqlite:///{path}")
    check(f"sqlite:///{tmp_path}/deep/down/mlflow.db")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("mode", ["dead", "hang", "half", "broken", "html", "login", "host"])
def test_follow_outlives_any_server(
    mode: str, hostile: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender, "check", functools.partial(check, limit_s=0.3))
    uri = f"http://me:hunter2@127.0.0.1:{free_port()}" if mode == "dead" else hostile(mode)
    spool = Spool(tmp_path / "a")
    spool.run("a", "demo")
    stop, told, came = threading.Event(), list[str](), list[Sent]()

    def tell(line: str) -> None:
        told.append(line)
        stop.set()

    def run() -> None:
        came.append(follow(tmp_path, uri, stop, every_s=0.01, grace_s=1, tell=tell))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(60)
    spool.metrics({"train/loss": 1.0}, 1)
    assert len(told) == 1
    assert f"sluicegate sync {tmp_path}" in told[0]
    assert came[0].waiting == 1
    assert sum(unsent(tmp_path).values()) == 2
    shown = told[0] + str(came[0].faults)
    wanted = {"dead": "refused", "hang": "hangs", "half": "500"}.get(mode, ANSWERS.get(mode, ("",) * 4)[3])
    assert str(wanted) in shown
    assert "hunter2" not in shown


@pytest.fixture
def mlflow_server(store_uri: str, tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A real server on loopback over the session's store, artifacts proxied; up when its API answers."""
    port = free_port()
    argv = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    argv += [
        "--workers",
        "1",
        "--backend-store-uri",
        store_uri,
        "--artifacts-destination",
        str(tmp_path / "art"),
    ]
    quiet = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    log = tmp_path / "server.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            argv, stdout=stream, stderr=stream, start_new_session=True, env=os.environ | quiet, cwd=tmp_path
        )
    uri = f"http://me:hunter2@127.0.0.1:{port}"
    try:
        for _ in range(300):
            try:
                check(uri, limit_s=1)
                break
            except UserError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.1)
        yield uri, process
    finally:
        os.killpg(process.pid, signal.SIGCONT)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.process
def test_a_real_server_frozen_in_mid_run_loses_nothing(
    mlflow_server: tuple[str, subprocess.Popen[bytes]],
    client: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uri, process = mlflow_server
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    monkeypatch.setattr(sender, "check", functools.partial(check, limit_s=0.5))
    refused = http.client.HTTPConnection("127.0.0.1", int(uri.rpartition(":")[2]), timeout=10)
    refused.request("GET", "/api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": "mlflow:5000"})
    answer = refused.getresponse()
    assert (answer.status, b"Host header" in answer.read()) == (403, True)

    spool = Spool(tmp_path / "runs" / "a")
    spool.run("a", "served")
    spool.metrics({"train/loss": 2.0}, 1)
    stop, told, came = threading.Event(), list[str](), list[Sent]()
    thread = threading.Thread(
        target=lambda: came.append(follow(tmp_path / "runs", uri, stop, every_s=0.05, grace_s=5, tell=told.append))
    )
    thread.start()
    until(lambda: not unsent(tmp_path / "runs"))
    os.killpg(process.pid, signal.SIGSTOP)
    spool.metrics({"train/loss": 1.0}, 2)
    (spool.folder / "report.html").write_text("<p>")
    spool.artifact(spool.folder / "report.html", "report")
    until(lambda: len(told) == 1)
    os.killpg(process.pid, signal.SIGCONT)
    spool.end("FINISHED")
    until(lambda: not unsent(tmp_path / "runs"))
    stop.set()
    thread.join(30)
    (run_id,) = came[0].runs.values()
    run = client.get_run(run_id)
    assert [row.value for row in client.get_metric_history(run_id, "train/loss")] == [2.0, 1.0]
    assert run.info.status == "FINISHED"
    assert len(list((tmp_path / "art").rglob("report.html"))) == 1
    assert "answers again" in told[1]
    texts = [str(told), str(run.to_dictionary()), *(path.read_text() for path in spool.folder.glob("*.js*"))]
    assert "hunter2" not in "".join(texts)


def until(met: Callable[[], bool]) -> None:
    """Wait for a condition that another thread brings about."""
    for _ in range(600):
        if met():
            return
        time.sleep(0.05)
    raise AssertionError("waited 30 s")
