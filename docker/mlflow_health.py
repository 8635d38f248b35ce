"""Is the MLflow server fit for use? Writes and reads its database and its artifacts through the API; 0, or 1 and why.

`/health` says OK also where every call is refused. What is written is one tag of the experiment `health-check` and one
artifact, over and over.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

SERVER = "http://127.0.0.1:5000/api/2.0"
EXPERIMENT, TAG = "health-check", "written"
ARTIFACT = "/mlflow-artifacts/artifacts/health-check/written"
PASSWORD = Path("/run/secrets/mlflow_admin_password")


def ask(verb: str, path: str, body: bytes | None = None) -> bytes:
    """One request of the server; with basic authentication as its administrator."""
    headers = {"Content-Type": "application/json"}
    if os.environ.get("MLFLOW_BASIC_AUTH") == "true":
        pair = f"admin:{PASSWORD.read_text().strip()}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    request = Request(SERVER + path, body, headers, method=verb)  # noqa: S310 (http only)
    with urlopen(request, timeout=10) as answer:  # noqa: S310
        found: bytes = answer.read()
        return found


def call(verb: str, path: str, **fields: str) -> dict[str, object]:
    """One call of MLflow's API."""
    if verb == "GET":
        told = json.loads(ask(verb, f"/mlflow/experiments/{path}?{urlencode(fields)}"))
    else:
        told = json.loads(ask(verb, f"/mlflow/experiments/{path}", json.dumps(fields).encode()))
    return dict(told)


def experiment() -> str:
    """The experiment's number; it is made, or fetched back, where it is not there."""
    try:
        found = dict(call("GET", "get-by-name", experiment_name=EXPERIMENT)["experiment"])  # type: ignore[call-overload]
    except HTTPError as fault:
        if fault.code != 404:
            raise
        return str(call("POST", "create", name=EXPERIMENT)["experiment_id"])
    if found["lifecycle_stage"] == "deleted":
        call("POST", "restore", experiment_id=found["experiment_id"])
    return str(found["experiment_id"])


def main() -> None:
    """Write, read, compare.

    Raises:
        OSError: the server is away or refuses (HTTPError).
        ValueError: something else comes back than what was written.
    """
    number, now = experiment(), str(time.time_ns())
    call("POST", "set-experiment-tag", experiment_id=number, key=TAG, value=now)
    found = call("GET", "get", experiment_id=number)
    if {"key": TAG, "value": now} not in found["experiment"]["tags"]:  # type: ignore[index]
        raise ValueError("the database does not hold the tag that was written")
    ask("PUT", ARTIFACT, now.encode())
    if ask("GET", ARTIFACT) != now.encode():
        raise ValueError("the artifact is not what was written")


if __name__ == "__main__":
    try:
        main()
    except HTTPError as fault:
        sys.exit(f"{fault.url}: HTTP {fault.code} {fault.read(300).decode(errors='replace')}")
    except (OSError, ValueError, KeyError) as fault:
        sys.exit(f"{type(fault).__name__}: {fault}")
