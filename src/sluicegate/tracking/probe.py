"""Is there an MLflow that answers? One API read with a time limit, and a name for each way it goes wrong.

`/health` says OK while the API refuses every request, so it is not asked. Nothing here imports mlflow: a dead
server is known of in milliseconds, and nothing is written to find it out.
"""

from __future__ import annotations

import base64
import configparser
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
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from sluicegate.errors import UserError
from sluicegate.tracking.redact import without_credentials, without_secrets
from sluicegate.tracking.store import address, is_server, sqlite_path

LIMIT_S = 3.0
MOST = 65536
"""Bytes of an answer that are looked at."""
READ = "/api/2.0/mlflow/experiments/search?max_results=1"
WANTED = "an MLflow server that answers its API"
START = "start one: mlflow server --host 127.0.0.1 --port 5000 --backend-store-uri sqlite:///mlflow.db"


class AwayError(UserError):
    """A store that cannot be used now, and may be later: what is unsent until then can be sent."""


def check(uri: str, *, limit_s: float | None = None) -> None:
    """Refuse a tracking URI that cannot be used.

    Args:
        limit_s: seconds, about, that it may take (default: 3, or MLFLOW_HTTP_REQUEST_TIMEOUT where that is more).

    Raises:
        AwayError: no such server, not MLflow, refused (401, 403, Host header), broken (5xx), silent, a locked file.
        UserError: a SQLite file that cannot be written, or a kind of store that MLflow 3 no longer has.
    """
    if is_server(uri):
        _check_server(address(uri), _patience() if limit_s is None else limit_s)
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


def _patience() -> float:
    """Of a slow server its user says so to mlflow."""
    with contextlib.suppress(ValueError):
        return max(LIMIT_S, float(os.environ.get("MLFLOW_HTTP_REQUEST_TIMEOUT", LIMIT_S)))
    return LIMIT_S


def _check_server(uri: str, limit_s: float) -> None:
    shown = without_credentials(uri)
    try:
        status, kind, body, where = _within(limit_s, lambda: _get(uri + READ, limit_s))
    except TimeoutError:
        raise AwayError(
            f"MLflow {shown}: no answer",
            wanted=f"an answer of its API within {limit_s:g} s",
            seen="the connection hangs",
            mend="check the tunnel (scripts/tunnel.sh), the firewall and the server's load",
        ) from None
    except (OSError, http.client.HTTPException, ValueError) as fault:
        raise _unreachable(shown, fault) from None
    seen = _seen(status, kind, body, where)
    if seen:
        raise AwayError(f"MLflow {shown}: refused or not MLflow", wanted=WANTED, seen=seen[0], mend=seen[1])


Answer = tuple[int, str, bytes, str]
"""Status, kind of content, the body's beginning, and where it redirects to."""


class _Stays(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: the credentials would go along, to whatever host it names."""

    def redirect_request(self, *_: object) -> None:
        """None."""


def _within(limit_s: float, ask: Callable[[], Answer]) -> Answer:
    """Ask in a thread that may be left behind: name look-ups and dripping answers have no time limit."""
    answer: list[Answer] = []
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


def _get(url: str, limit_s: float) -> Answer:
    parts = urlsplit(url)
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    request = urllib.request.Request(bare, headers={"Accept": "application/json"})  # noqa: S310 (http and https only)
    if told := _authorization(url):
        request.add_header("Authorization", told)
    secure = [urllib.request.HTTPSHandler(context=_context())] if parts.scheme == "https" else []
    opener = urllib.request.build_opener(_Stays, *secure)
    try:
        with opener.open(request, timeout=limit_s) as answer:
            return answer.status, answer.headers.get_content_type(), _body(answer), ""
    except urllib.error.HTTPError as answer:
        with answer:
            where = str(answer.headers.get("Location", ""))
            return answer.code, answer.headers.get_content_type(), _body(answer), where


def _body(answer: Any) -> bytes:
    """The beginning of a body; one that is shorter than it was said to be has broken off."""
    body: bytes = answer.read(MOST)
    said = answer.headers.get("Content-Length", "")
    if said.isdigit() and len(body) < min(int(said), MOST):
        raise http.client.IncompleteRead(body, int(said) - len(body))
    return body


def _context() -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=os.environ.get("MLFLOW_TRACKING_SERVER_CERT_PATH"))
    if os.environ.get("MLFLOW_TRACKING_INSECURE_TLS", "").lower() in {"true", "1"}:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _authorization(url: str) -> str:
    """The header that mlflow would send: of the URI, of the variables, or of ~/.mlflow/credentials."""
    parts = urlsplit(url)
    if parts.username:
        return _basic(unquote(parts.username), unquote(parts.password or ""))
    filed = _filed()
    name, secret, token = (
        os.environ.get(f"MLFLOW_TRACKING_{word}") or filed.get(f"mlflow_tracking_{word.lower()}", "")
        for word in ("USERNAME", "PASSWORD", "TOKEN")
    )
    return _basic(name, secret) if name and secret else f"Bearer {token}" if token else ""


def _basic(name: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()


def _filed() -> dict[str, str]:
    read = configparser.ConfigParser(interpolation=None)
    with contextlib.suppress(OSError, configparser.Error, UnicodeDecodeError):
        read.read(Path.home() / ".mlflow" / "credentials")
    return dict(read["mlflow"]) if read.has_section("mlflow") else {}


def _unreachable(shown: str, fault: Exception) -> AwayError:
    reason = getattr(fault, "reason", fault)
    told = without_credentials(str(getattr(reason, "strerror", None) or reason))[:200]
    mend = f"open the tunnel (scripts/tunnel.sh) or {START}"
    if isinstance(reason, TimeoutError | socket.timeout):
        told = "the connection hangs"
    elif isinstance(reason, ssl.SSLError):
        mend = "check the certificate (MLFLOW_TRACKING_SERVER_CERT_PATH), or use http:// on a private network"
    elif isinstance(reason, socket.gaierror):
        mend = "check the host's name in MLFLOW_TRACKING_URI"
    elif isinstance(reason, http.client.IncompleteRead):
        told, mend = "an answer that broke off half-way", "look at the server's log, and at what stands before it"
    return AwayError(f"MLflow {shown}: cannot be reached", wanted=WANTED, seen=told or type(reason).__name__, mend=mend)


def _seen(status: int, kind: str, body: bytes, where: str) -> tuple[str, str] | None:
    """What was seen and how to mend it; None where it is MLflow's own answer."""
    text = without_secrets(" ".join(body.decode("utf-8", "replace").split())[:120])
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
            "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, or the right ones",
        )
    if where:
        told = without_secrets(where)[:200]
        return f"{status}: a redirection to {told}", f"set MLFLOW_TRACKING_URI to where MLflow is, if that is {told}"
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
        raise _unusable(path, fault) from None


def _unusable(path: Path, fault: Exception) -> UserError:
    seen = getattr(fault, "strerror", None) or str(fault)
    if "locked" in seen:
        return AwayError(
            f"MLflow sqlite:///{path}: cannot be used now",
            wanted=f"a SQLite file that can be written to within {LIMIT_S:g} s",
            seen=seen,
            mend=f"see who holds it: fuser -v {path}",
        )
    return UserError(
        f"MLflow sqlite:///{path}: cannot be used",
        wanted="a SQLite file that can be written, or a folder where it can be made",
        seen=seen,
        mend="set MLFLOW_TRACKING_URI=sqlite:////another/folder/mlflow.db, or mend the folder's rights; in a "
        "container: --user $(id -u)",
    )


def _try_lock(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise PermissionError(13, "Permission denied")
    with contextlib.closing(sqlite3.connect(path, timeout=LIMIT_S, isolation_level=None)) as store:
        store.execute("PRAGMA schema_version").fetchone()
        store.execute("BEGIN IMMEDIATE")
        store.execute("ROLLBACK")
