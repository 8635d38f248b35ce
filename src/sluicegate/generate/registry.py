"""Models that lie at MLflow: `runs:/…` and `models:/…` made concrete, and their files brought here once.

An alias or `latest` is looked up before anything is recorded, since it may point elsewhere tomorrow. A
server that is away is known of in seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from sluicegate import jsonl
from sluicegate.errors import UserError
from sluicegate.tracking import default_uri
from sluicegate.tracking.probe import check
from sluicegate.tracking.redact import without_credentials
from sluicegate.tracking.store import address, sqlite_path

WANTED = "runs:/RUN_ID/PATH, models:/NAME/VERSION, models:/NAME@ALIAS or models:/NAME/latest"
RUN = re.compile(r"runs:/[^/]+(/.*)?")
VERSION = re.compile(r"models:/(?P<name>[^/@]+)/(?P<version>\d+)")
LOGGED = re.compile(r"models:/(?P<id>m-[0-9a-f]+)")
ALIAS = re.compile(r"models:/(?P<name>[^/@]+)@(?P<alias>[^/@]+)")
LATEST = re.compile(r"models:/(?P<name>[^/@]+)/latest")
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
}
"""Where the user has not set them: as shipped, a dead server blocks for minutes."""


def resolve(uri: str, tracking_uri: str | None) -> str:
    """The URI with a concrete version in place of an alias or `latest`.

    Raises:
        UserError: not a URI of these kinds, no such model, alias or version, no server.
    """
    if any(concrete.fullmatch(uri) for concrete in (RUN, VERSION, LOGGED)):
        return uri
    alias, latest = ALIAS.fullmatch(uri), LATEST.fullmatch(uri)
    if not alias and not latest:
        raise UserError(f"model {uri}: not a URI that is known here", wanted=WANTED, seen=uri)
    with _client(uri, tracking_uri) as client:
        if alias:
            version = client.get_model_version_by_alias(alias["name"], alias["alias"]).version
            return f"models:/{alias['name']}/{version}"
        assert latest  # noqa: S101 (one of the two matched)
        quoted = latest["name"].replace("'", "''")
        versions = [int(found.version) for found in client.search_model_versions(f"name = '{quoted}'")]
        if not versions:
            raise UserError(f"model {uri}: no such model", wanted="a registered model", seen="no version of that name")
        return f"models:/{latest['name']}/{max(versions)}"


def bring(uri: str, tracking_uri: str | None, cache: Path) -> Path:
    """Download the files behind a concrete URI into `cache`, unless they are there; whole or not at all.

    Raises:
        UserError: no server, no such run, version or path, no room.
    """
    try:
        cache.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{cache}.lock"):
            if not cache.exists():
                partial = cache.with_name(cache.name + ".part")
                shutil.rmtree(partial, ignore_errors=True)
                partial.mkdir()
                _download(uri, tracking_uri, partial)
                partial.rename(cache)
    except OSError as fault:
        raise jsonl.unwritable(cache, fault) from None
    return cache


def _download(uri: str, tracking_uri: str | None, into: Path) -> None:
    with _client(uri, tracking_uri) as client:
        from mlflow.artifacts import download_artifacts

        where = _location(client, uri)
        download_artifacts(artifact_uri=where, dst_path=str(into), tracking_uri=client.tracking_uri)
        if not any(path.is_file() for path in into.rglob("*")):
            raise UserError(f"model {uri}: nothing there", wanted="an artifact folder with a model", seen="no files")


def _location(client: Any, uri: str) -> str:
    """Where the artifacts of a concrete URI lie.

    Looked up here because MLflow resolves `models:/` at the process's registry, whatever registry it is given.
    Source: mlflow 3.17.2, `ModelsArtifactRepository._get_model_uri_infos`.
    """
    if found := VERSION.fullmatch(uri):
        uri = str(client.get_model_version_download_uri(found["name"], found["version"]))
    if found := LOGGED.fullmatch(uri):
        uri = str(client.get_logged_model(found["id"]).artifact_location)
    return uri


@contextlib.contextmanager
def _client(uri: str, tracking_uri: str | None) -> Iterator[Any]:
    """A client of the store, patient for seconds only; MLflow's faults become one message."""
    store = address(tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or default_uri(Path("runs")))
    _check(store)
    with _patience(), _quiet():
        import mlflow
        from mlflow.tracking import MlflowClient

        try:
            yield MlflowClient(tracking_uri=store, registry_uri=store)
        except (mlflow.MlflowException, OSError) as fault:
            raise _unavailable(uri, store, fault) from None


def _check(store: str) -> None:
    path = sqlite_path(store)
    if path is not None and not path.exists():
        raise UserError(
            f"MLflow {store}: not found",
            wanted="the store that the model was logged to",
            seen="no such file",
            mend="set MLFLOW_TRACKING_URI, for example http://localhost:5000",
        )
    check(store)


def _unavailable(uri: str, store: str, fault: Exception) -> UserError:
    return UserError(
        f"model {uri}: cannot be had from MLflow {without_credentials(store)}",
        wanted=WANTED,
        seen=" ".join(without_credentials(str(fault)).split())[:300],
        mend="look its name up in the MLflow UI; for a run give the artifact folder too: runs:/RUN_ID/PATH",
    )


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    """Environment variables for the time of a call."""
    ours = {name: value for name, value in PATIENCE.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """No news of database migrations and downloads for the time of a call."""
    loggers = [logging.getLogger(name) for name in ("mlflow", "alembic")]
    before = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        yield
    finally:
        for logger, level in zip(loggers, before, strict=True):
            logger.setLevel(level)
