"""Where a tracking URI leads: the file behind `sqlite:///`, one spelling of a store, where artifacts lie.

Pure text: nothing is opened here.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from sluicegate.tracking import ARTIFACTS

SQLITE = "sqlite:///"


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite store; None for any other store.

    >>> sqlite_path("sqlite:////srv/mlflow.db"), sqlite_path("http://localhost:5000")
    (PosixPath('/srv/mlflow.db'), None)
    """
    return Path(uri.removeprefix(SQLITE).partition("?")[0]) if uri.startswith(SQLITE) else None


def address(uri: str) -> str:
    """One spelling for a store, credentials kept: an absolute path, no slash behind a server.

    >>> address("http://host:5000/")
    'http://host:5000'
    """
    path = sqlite_path(uri)
    return f"{SQLITE}{path.absolute().as_posix()}" if path else uri.rstrip("/")


def artifact_location(uri: str, experiment: str) -> str | None:
    """Where an experiment's artifacts go: beside the SQLite file; None leaves it to the server.

    Without it MLflow makes `./mlruns` in whatever folder the process happens to stand.
    """
    path = sqlite_path(uri)
    safe = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in experiment).lstrip(".") or "_"
    return (path.absolute().parent / ARTIFACTS / safe).as_uri() if path else None


def is_server(uri: str) -> bool:
    """Whether the store is reached over HTTP.

    >>> is_server("https://host:5000"), is_server("http://"), is_server("http://host:99999"), is_server("sqlite:///a.db")
    (True, False, False, False)
    """
    try:
        parts = urlsplit(uri)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
