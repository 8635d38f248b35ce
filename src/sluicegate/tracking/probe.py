"""Is there an MLflow that answers? One API read with a time limit, and a name for each way it goes wrong.

`/health` says OK while the API refuses every request, so it is not asked. Nothing here imports mlflow: a dead
server is known of in milliseconds, and nothing is written to find it out.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import socket
import sqlite3
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from sluicegate.errors import UserError
from sluicegate.tracking.redact import without_credentials
from sluicegate.tracking.store import address, is_server, sqlite_path

LIMIT_S = 3.0
READ = "/api/2.0/mlflow/experiments/search?max_results=1"
WANTED = "an MLflow server that answers its API"
START = "start one: mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///mlflow.db"


def check(uri: str, *, limit_s: float = LIMIT_S) -> None:
    """Refuse a tracking URI that cannot be used, within about `limit_s` seconds.

    Raises:
        UserError: no such server, not MLflow, refused (401, 403, Host header), broken (5xx), silent; or a
        SQLite file
            that cannot be written, or a kind of store that MLflow 3 no longer has.
    """
    if is_server(uri):
        _check_server(address(uri), limit_s)
    elif path := sqlite_path(uri):
        _check_sqlite(path)
    else:
        shown = without_credentials(uri) or "an empty value"
        raise UserError(
            f"MLFLOW_TRACKING_URI {shown}: not a store that can be used",
            wanted="http(s)://host:port, or sqlite:///file.db (MLflow 3 has no file: stores)",
            seen=shown,
            mend="unset it, or MLFLOW_TRACKING_URI=sqlite:///mlflow.db; PostgreSQL needs `mlflow server`",
        )


def _check_server(uri: str, limit_s: float) -> None:
    shown = without_credentials(uri)
    try:
        status, kind, body = _within(limit_s, lambda: _get(uri + READ, limit_s))
    except TimeoutError:
        raise UserError(
            f"MLflow {shown}: no answer",
            wanted=f"an answer of its API within {limit_s:g} s",
            seen="the connection hangs",
            mend="check the tunnel (scripts/tunnel.sh), the firewall and the server's load",
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise _unreachable(shown, fault) from None
    seen = _seen(status, kind, body)
    if seen:
        raise UserError(f"MLflow {shown}: refused or not MLflow", wanted=WANTED, seen=seen[0], mend=seen[1])


def _within(limit_s: float, ask: Callable[[], tuple[int, str, bytes]]) -> tuple[int, str, bytes]:
    """Ask in a thread that may be left behind: name look-ups and dripping answers have no time limit."""
    answer: list[tuple[int, str, bytes]] = []
    faults: list[Exception] = []

    def run() -> None:
        try:
            answer.append(ask())
        except Exception as fault:
            faults.append(fault)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(limit_s)
    if faults:
        raise faults[0]
    if not answer:
        raise TimeoutError
    return answer[0]


def _get(url: str, limit_s: float) -> tuple[int, str, bytes]:
    parts = urlsplit(url)
    name, secret = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if parts.username:
        name, secret = unquote(parts.username), unquote(parts.password or "")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(bare, headers={"Accept": "application/json"})  # noqa: S310 (http and https only)
    if name and secret is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode())
    elif bearer := os.environ.get("MLFLOW_TRACKING_TOKEN"):
        request.add_header("Authorization", f"Bearer {bearer}")
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"true", "1"}:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with urllib.request.urlopen(request, timeout=limit_s, context=context) as answer:  # noqa: S310
            return answer.status, answer.headers.get_content_type(), answer.read(65536)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.code, answer.headers.get_content_type(), answer.read(65536)


def _unreachable(shown: str, fault: Exception) -> UserError:
    reason = getattr(fault, "reason", fault)
    told = without_credentials(str(getattr(reason, "strerror", None) or reason))[:200]
    mend = f"open the tunnel (scripts/tunnel.sh) or {START}"
    if isinstance(reason, TimeoutError | socket.timeout):
        told = "the connection hangs"
    elif isinstance(reason, ssl.SSLError):
        mend = "check the certificate (MLFLOW_TRACKING_SERVER_CERT_PATH), or use http:// on a private network"
    elif isinstance(reason, socket.gaierror):
        mend = "check the host's name in MLFLOW_TRACKING_URI"
    return UserError(f"MLflow {shown}: cannot be reached", wanted=WANTED, seen=told or type(reason).__name__, mend=mend)


def _seen(status: int, kind: str, body: bytes) -> tuple[str, str] | None:
    """What was seen and how to mend it; None where it is MLflow's own answer."""
    text = " ".join(body.decode("utf-8", "replace").split())[:120]
    answer = None
    with contextlib.suppress(ValueError, RecursionError):
        answer = json.loads(body)
    if status == 200 and isinstance(answer, dict) and (not answer or "experiments" in answer):
        return None
    if status == 403 and b"Host header" in body:
        return (
            "403: the server refuses this Host header",
            "start it with --allowed-hosts 'HOST:PORT,localhost:*,127.0.0.1:*' (this replaces the default)",
        )
    if status in {401, 403}:
        return (
            f"{status}: {_plain(kind, text)}",
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the right ones",
        )
    if status >= 500:
        return f"{status}: {_plain(kind, text)}", "look at the server's log; is its database up?"
    return f"{status}: {_plain(kind, text)}", "check host, port and path of MLFLOW_TRACKING_URI"


def _plain(kind: str, text: str) -> str:
    return "an HTML page" if kind == "text/html" or text[:1] == "<" else text or "an empty answer"


def _check_sqlite(path: Path) -> None:
    """Writable, and a database or not there yet; found out without leaving anything behind."""
    try:
        if path.is_dir():
            raise IsADirectoryError(21, "is a folder")
        if path.exists():
            _try_lock(path)
        else:
            above = next(folder for folder in path.absolute().parents if folder.exists())
            with tempfile.NamedTemporaryFile(dir=above, prefix=".sluicegate-"):
                pass
    except (OSError, sqlite3.Error) as fault:
        raise UserError(
            f"MLflow sqlite:///{path}: cannot be used",
            wanted="a SQLite file that can be written, or a folder where it can be made",
            seen=getattr(fault, "strerror", None) or str(fault),
            mend="set MLFLOW_TRACKING_URI=sqlite:////another/folder/mlflow.db, or mend the folder's rights",
        ) from None


def _try_lock(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "Permission denied")
    with contextlib.closing(sqlite3.connect(path, timeout=LIMIT_S, isolation_level=None)) as store:
        store.execute("PRAGMA schema_version").fetchone()
        store.execute("BEGIN IMMEDIATE")
        store.execute("ROLLBACK")
