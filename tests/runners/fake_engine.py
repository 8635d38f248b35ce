"""A Docker engine for tests: its API on a socket, containers as processes, volumes as folders; faults on demand.

A container's command runs here, with the folder that the volume is mounted at replaced by the volume's own folder, so
files really travel, programs really run and really end by signals.
"""

from __future__ import annotations

import io
import json
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from sluicegate.folder import code_sha256

Fault = Callable[["Handler"], bool]
"""Does something instead of, or before, the answer; whether the answer is not to be given."""
IMAGE = "sha256:1234"
USER = "10002:10003"


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "123Z")


@dataclass
class Container:
    name: str
    config: dict[str, Any]
    number: str
    folder: Path
    state: dict[str, Any]
    process: subprocess.Popen[bytes] | None = None
    output: bytes = b""
    signals: list[int] = field(default_factory=list)

    @property
    def is_running(self) -> bool:
        return bool(self.state["Status"] == "running")

    @property
    def above(self) -> str:
        return str(self.config["HostConfig"]["Mounts"][0]["Target"])

    def mapped(self, text: str) -> str:
        return text.replace(self.above, str(self.folder))

    def start(self, image: Path) -> None:
        argv = [self.mapped(word) for word in self.config["Cmd"]]
        argv[0] = sys.executable if argv[0] == "python" else argv[0]
        env = dict(word.split("=", 1) for word in self.config.get("Env") or [])
        self.process = subprocess.Popen(
            argv,
            env={"PYTHONPATH": str(image), **{key: self.mapped(text) for key, text in env.items()}},
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.state |= {"Status": "running", "StartedAt": now()}
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        assert self.process is not None and self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
        code = self.process.wait()
        self.state["ExitCode"] = code if code >= 0 else 128 - code
        self.state |= {"FinishedAt": now(), "Status": "exited"}


@dataclass
class FakeEngine:
    """The engine. `faults`: method and last word of the path (`POST start`) → what happens to the next such ones."""

    root: Path
    faults: dict[str, list[Fault]] = field(default_factory=dict)
    containers: dict[str, Container] = field(default_factory=dict)
    volumes: dict[str, dict[str, str]] = field(default_factory=dict)
    images: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    made: list[Container] = field(default_factory=list)
    api: str = "1.45"
    away: bool = False
    connections: list[socket.socket] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.images["llama3-training"] = {"Id": IMAGE, "Config": {"User": USER, "Labels": {}}}
        self.code(code_sha256())
        self.path = self.root / "engine.sock"
        self._server = _Server(str(self.path), self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def code(self, digest: str) -> None:
        """Have the image hold a program of that digest."""
        package = self.root / "image" / "sluicegate"
        package.mkdir(parents=True, exist_ok=True)
        (package / "__init__.py").touch()
        (package / "folder.py").write_text(f"def code_sha256():\n    return {digest!r}\n")

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def steps(self) -> list[Container]:
        """Containers that were made for jobs, in order."""
        return [one for one in self.made if not one.name.endswith("-ask")]

    def cut(self) -> None:
        """Break every connection, and take no new one until `mend`."""
        self.away = True
        for wire in self.connections:
            try:
                wire.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def mend(self) -> None:
        self.away = False

    def close(self) -> None:
        for one in self.made:
            if one.process is not None and one.process.poll() is None:
                one.process.kill()
                one.process.wait()
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str, engine: FakeEngine) -> None:
        self.engine = engine
        super().__init__(path, Handler)

    def get_request(self) -> tuple[Any, Any]:
        wire, _ = super().get_request()
        self.engine.connections.append(wire)
        return wire, ("engine", 0)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return not self.engine.away

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the other side, or a fault, broke is no news."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Not told."""

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        self.words = [unquote(word) for word in parts.path.split("/") if word]
        if self.words[0].startswith("v1."):
            self.words.pop(0)
        self.query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.body = self._read()
        named = {"containers": "container", "volumes": "volume"}.get(self.words[0], "")
        last = named if len(self.words) == 2 and self.words[1] != "create" and named else self.words[-1]
        asked = f"{self.command} {last}"
        engine = self.server.engine
        engine.asked.append(asked)
        waiting = engine.faults.get(asked, [])
        if waiting and waiting.pop(0)(self):
            return
        getattr(self, f"_{self.words[0]}")()

    def _read(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def give(self, status: int, content: Any = None) -> bool:
        """Answer with JSON; True, as faults that answer say."""
        data = b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return True

    def _version(self) -> None:
        self.give(200, {"ApiVersion": self.server.engine.api})

    def _images(self) -> None:
        found = self.server.engine.images.get(self.words[1])
        self.give(200, found) if found else self.give(404, {"message": f"No such image: {self.words[1]}"})

    def _volumes(self) -> None:
        engine, name = self.server.engine, self.words[1]
        if name == "create":
            row = json.loads(self.body)
            engine.volumes[row["Name"]] = row.get("Labels") or {}
            self.give(201, row)
        else:
            self.give(200, {"Name": name}) if name in engine.volumes else self.give(404, {"message": "no such volume"})

    def _containers(self) -> None:
        if self.words[1] == "create":
            return self._create()
        found = self._known()
        if found is None:
            self.give(404, {"message": f"No such container: {self.words[1]}"})
            return None
        verb = self.words[2] if len(self.words) > 2 else "remove"
        getattr(self, f"_do_{verb}")(found)
        return None

    def _known(self) -> Container | None:
        rows = self.server.engine.containers
        return rows.get(self.words[1]) or next((row for row in rows.values() if row.number == self.words[1]), None)

    def is_helper(self, name: str) -> bool:
        """Whether a container, by name or number, is one that is asked for digests."""
        found = next((row for row in self.server.engine.made if name in {row.name, row.number}), None)
        return (found.name if found else name).endswith("-ask")

    def _create(self) -> None:
        engine, name, config = self.server.engine, self.query["name"], json.loads(self.body)
        if name in engine.containers:
            self.give(409, {"message": "the name is in use"})
            return
        volume = config["HostConfig"]["Mounts"][0]["Source"]
        folder = engine.root / "volumes" / volume
        folder.mkdir(parents=True, exist_ok=True)
        never = "0001-01-01T00:00:00Z"
        state = {"Status": "created", "ExitCode": 0, "OOMKilled": False, "Error": ""}
        state |= {"StartedAt": never, "FinishedAt": never}
        made = Container(name, config, f"{len(engine.made):012x}{0:052x}", folder, state)
        engine.containers[name] = made
        engine.made.append(made)
        self.give(201, {"Id": made.number})

    def _do_json(self, found: Container) -> None:
        self.give(
            200,
            {"Id": found.number, "Name": found.name, "Image": IMAGE, "State": found.state, "Config": {"Tty": False}},
        )

    def _do_start(self, found: Container) -> None:
        if found.state["Status"] == "created":
            found.start(self.server.engine.root / "image")
        self.give(204)

    def _do_kill(self, found: Container) -> None:
        if not found.is_running or found.process is None:
            self.give(409, {"message": "is not running"})
            return
        number = signal.Signals[self.query["signal"]]
        found.signals.append(number)
        found.process.send_signal(number)
        self.give(204)

    def _do_remove(self, found: Container) -> None:
        if found.process is not None and found.process.poll() is None:
            found.process.kill()
        self.server.engine.containers.pop(found.name, None)
        self.give(204)

    def _do_logs(self, found: Container) -> None:
        wanted = self.query.get("stdout") in {"1", "True", "true"}
        self._begin("application/vnd.docker.raw-stream")
        told = 0
        while wanted:
            over = not found.is_running
            while (end := found.output.find(b"\n", told)) >= 0 or (over and told < len(found.output)):
                line = found.output[told : end + 1 if end >= 0 else None]
                told += len(line)
                self.chunk(struct.pack(">BxxxL", 1, len(line)) + line)
            if over or self.query.get("follow") not in {"1", "True", "true"}:
                break
            time.sleep(0.02)
        self.chunk(b"")

    def _do_archive(self, found: Container) -> None:
        path = Path(found.mapped(self.query["path"]))
        if self.command == "PUT":
            with tarfile.open(fileobj=io.BytesIO(self.body)) as archive:
                archive.extractall(path, filter="data")
            self.give(200)
            return
        if not path.exists():
            self.give(404, {"message": f"no such path: {path}"})
            return
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as archive:
            archive.add(path, path.name)
        self._begin("application/x-tar", ("X-Docker-Container-Path-Stat", "e30="))
        self.chunk(data.getvalue())
        self.chunk(b"")

    def _begin(self, kind: str, *more: tuple[str, str]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Transfer-Encoding", "chunked")
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        self.wfile.flush()

    def drop(self) -> bool:
        """Break the connection without an answer."""
        self.connection.shutdown(socket.SHUT_RDWR)
        return True


def refuse(status: int, message: str) -> Fault:
    """The engine's refusal."""
    return lambda handler: handler.give(status, {"message": message})


def drop(handler: Handler) -> bool:
    """The link breaks before the answer."""
    return handler.drop()


def late_drop(handler: Handler) -> bool:
    """The link breaks when all was done, before the answer."""
    wire, handler.wfile = handler.wfile, io.BytesIO()
    try:
        getattr(handler, f"_{handler.words[0]}")()
    finally:
        handler.wfile = wire
    return handler.drop()


def silent_end(handler: Handler) -> bool:
    """A stream that ends without a word, as one over a dead link does."""
    if handler.query.get("follow") not in {"1", "True", "true"}:
        return False
    handler._begin("application/vnd.docker.raw-stream")
    handler.chunk(b"")
    return True


def damaged(handler: Handler) -> bool:
    """An archive whose bytes were changed on the way."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        head = tarfile.TarInfo(Path(handler.query["path"]).name)
        head.size = 5
        archive.addfile(head, io.BytesIO(b"wrong"))
    handler._begin("application/x-tar", ("X-Docker-Container-Path-Stat", "e30="))
    handler.chunk(data.getvalue())
    handler.chunk(b"")
    return True


def cut_off(handler: Handler) -> bool:
    """An archive that breaks off in the middle."""
    handler._begin("application/x-tar", ("X-Docker-Container-Path-Stat", "e30="))
    handler.chunk(tarfile.TarInfo("x").tobuf()[:300])
    return handler.drop()
