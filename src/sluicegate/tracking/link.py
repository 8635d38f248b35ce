"""The calls to MLflow's tracking that the carrier makes, each safe to repeat.

Only `MlflowClient` is used, never the fluent API with its process-wide state. Time-outs are short and
mlflow's own retries are off, because the sender keeps what was not sent and comes back. Names and values are
cut to MLflow's limits.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sluicegate.tracking.spool import Event
from sluicegate.tracking.store import SQLITE, address, artifact_location, sqlite_path

SPOOL_TAG, PARENT_TAG, COMMIT_TAG = "sluicegate.spool", "mlflow.parentRunId", "mlflow.source.git.commit"
QUIET = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_ALLOW_HTTP_REDIRECTS": "false",
}
"""Set before mlflow is imported, where the user has not set them."""
METRICS, PARAMS, KEY, PARAM, TAG, DIGEST = 1000, 100, 250, 6000, 8000, 36
"""MLflow's limits: metrics and parameters a request; characters of a name, a parameter, a tag, a digest."""
CONTEXTS = {"train": "training", "val": "validation", "test": "test"}
REFUSALS = frozenset({"INVALID_PARAMETER_VALUE", "BAD_REQUEST", "INVALID_STATE", "RESOURCE_ALREADY_EXISTS"})
TIMEOUTS, BYTES_PER_S = 12, 256 * 1024
"""Of MLFLOW_HTTP_REQUEST_TIMEOUT, that a call may take: it is a limit between two bytes, and bytes may drip. And the
least speed of an upload."""
Point = tuple[str, float, int, int]
"""A metric: name, value, time in ms, step."""


class Link:
    """A connection to one store.

    Args:
        uri: http(s) server or SQLite file, credentials included.
        expect: told before each call how many seconds it may take.

    Raises:
        ImportError: mlflow is not installed.
        Exception: any fault of MLflow's, here and in every call.
    """

    def __init__(self, uri: str, expect: Callable[[float], None] = lambda seconds: None) -> None:
        quiet()
        import mlflow.entities
        from mlflow.tracking import MlflowClient

        self.uri = address(uri)
        if path := sqlite_path(self.uri):
            make(path)
        self._kinds: Any = mlflow.entities
        self._client: Any = MlflowClient(tracking_uri=self.uri)
        self._expect, self._call_s = expect, TIMEOUTS * float(os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"])
        self._experiments: dict[str, str] = {}

    def holds(self, run_id: str) -> bool:
        """Whether the store knows the run, be it a deleted one."""
        self._expect(self._call_s)
        try:
            self._client.get_run(run_id)
        except Exception as fault:
            if is_gone(fault):
                return False
            raise
        return True

    def takes(self, run_id: str) -> bool:
        """Whether the run is not deleted, so that what MLflow refuses is the line, not the run."""
        self._expect(self._call_s)
        return bool(self._client.get_run(run_id).info.lifecycle_stage == "active")

    def run(self, event: Event, parent_run_id: str) -> str:
        """The run of a spool's first line: found by the spool's name, made where there is none."""
        self._expect(self._call_s)
        experiment = self._experiment(event["experiment"])
        found = self._client.search_runs([experiment], _of_spool(event["spool"]), max_results=1)
        if found:
            return str(found[0].info.run_id)
        tags = run_tags(event, parent_run_id)
        made = self._client.create_run(experiment, start_time=event.get("time_ms"), tags=tags, run_name=event["name"])
        self._alone(experiment, str(made.info.run_id), event["spool"])
        return str(made.info.run_id)

    def _alone(self, experiment: str, run_id: str, spool: str) -> None:
        """Delete empty runs of the same spool: what a server made late of a call that was given up and sent again."""
        for found in self._client.search_runs([experiment], _of_spool(spool)):
            if found.info.run_id != run_id and not found.data.metrics and not found.data.params:
                self._client.delete_run(found.info.run_id)

    def go_on(self, run_id: str, event: Event, parent_run_id: str) -> None:
        """A resumed run: its tags of now, RUNNING again."""
        self._expect(self._call_s)
        self._tags(run_id, run_tags(event, parent_run_id))
        self._client.update_run(run_id, status="RUNNING")

    def params(self, run_id: str, values: Mapping[str, str]) -> None:
        """Parameters; MLflow never changes one, so a changed value becomes a tag `changed.<name>`."""
        self._expect(self._call_s)
        wanted = {clean_name(key): cut(value, PARAM) for key, value in values.items()}
        known = self._client.get_run(run_id).data.params
        fresh = [self._kinds.Param(key, value) for key, value in wanted.items() if key not in known]
        for start in range(0, len(fresh), PARAMS):
            self._client.log_batch(run_id, params=fresh[start : start + PARAMS])
        changed = {f"changed.{key}": value for key, value in wanted.items() if known.get(key, value) != value}
        self._tags(run_id, changed)

    def dataset(self, run_id: str, event: Event) -> None:
        """A data file as the run's input; its whole digest is the tag `sha256`, MLflow's own is cut."""
        self._expect(self._call_s)
        made = self._kinds.Dataset(
            name=event["name"],
            digest=event["sha256"][:DIGEST],
            source_type="local",
            source=json.dumps({"uri": event["path"]}),
            profile=json.dumps({"num_rows": event["samples"]}),
        )
        tags = {"mlflow.data.context": CONTEXTS.get(event["name"], event["name"]), "sha256": event["sha256"]}
        inputs = self._kinds.DatasetInput(made, [self._kinds.InputTag(key, value) for key, value in tags.items()])
        self._client.log_inputs(run_id, datasets=[inputs])

    def metrics(self, run_id: str, points: Sequence[Point]) -> None:
        """Figures, in order; a point that MLflow has already is not added again."""
        rows = [self._kinds.Metric(clean_name(key), value, time, step) for key, value, time, step in points]
        for start in range(0, len(rows), METRICS):
            self._expect(self._call_s)
            self._client.log_batch(run_id, metrics=rows[start : start + METRICS])

    def file(self, run_id: str, path: Path, under: str) -> None:
        """A file into the artifact folder `under`; one of the same name is replaced."""
        self._expect(self._call_s + path.stat().st_size / BYTES_PER_S)
        self._client.log_artifact(run_id, str(path), under or None)

    def model(self, run_id: str, event: Event) -> str:
        """The model of a run, as MLflow keeps models apart from runs: found by its name, made where there is none."""
        self._expect(self._call_s)
        run = self._client.get_run(run_id)
        name = model_name(event["name"])
        wanted = f"source_run_id = '{run_id}' AND name = '{name}'"
        tags = {clean_name(str(key)): cut(str(value), TAG) for key, value in event["tags"].items()}
        found = self._client.search_logged_models([run.info.experiment_id], wanted)
        if found:
            self._client.set_logged_model_tags(found[0].model_id, tags)
            return str(found[0].model_id)
        made = self._client.create_logged_model(run.info.experiment_id, name=name, source_run_id=run_id, tags=tags)
        return str(made.model_id)

    def model_file(self, model_id: str, path: Path, under: str) -> None:
        """A file of a model; one of the same name is replaced."""
        self._expect(self._call_s + path.stat().st_size / BYTES_PER_S)
        self._client.log_model_artifact(model_id, str(path), under or None)

    def model_ready(self, run_id: str, model_id: str) -> None:
        """The model as what came out of the run, whole."""
        self._expect(self._call_s)
        outputs = self._client.get_run(run_id).outputs
        if model_id not in {output.model_id for output in (outputs.model_outputs if outputs else [])}:
            self._client.log_outputs(run_id, [self._kinds.LoggedModelOutput(model_id, 0)])
        self._client.finalize_logged_model(model_id, "READY")

    def end(self, run_id: str, event: Event) -> None:
        """The run's status and its end."""
        self._expect(self._call_s)
        self._tags(run_id, {"sluicegate.end": event["why"]} if event.get("why") else {})
        status = event["status"] if event["status"] in {"FINISHED", "FAILED", "KILLED"} else "FAILED"
        self._client.set_terminated(run_id, status=status, end_time=event.get("time_ms"))
        run = self._client.get_run(run_id)
        if spool := run.data.tags.get(SPOOL_TAG):
            self._alone(run.info.experiment_id, run_id, spool)

    def _tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        rows = [self._kinds.RunTag(key, cut(value, TAG)) for key, value in tags.items()]
        for start in range(0, len(rows), PARAMS):
            self._client.log_batch(run_id, tags=rows[start : start + PARAMS])

    def _experiment(self, name: str) -> str:
        if name not in self._experiments:
            self._experiments[name] = self._find_or_make(name)
        return self._experiments[name]

    def _find_or_make(self, name: str) -> str:
        if found := self._client.get_experiment_by_name(name):
            return str(found.experiment_id)
        try:
            return str(self._client.create_experiment(name, artifact_location=artifact_location(self.uri, name)))
        except Exception:
            # Another sender may have made it between the two calls.
            if found := self._client.get_experiment_by_name(name):
                return str(found.experiment_id)
            raise


def make(path: Path) -> None:
    """Make a SQLite store where there is none, whole or not at all: MLflow cannot go on from the middle of it."""
    from mlflow.tracking import MlflowClient

    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-", ignore_cleanup_errors=True) as folder:
        beside = Path(folder) / path.name
        MlflowClient(tracking_uri=address(f"{SQLITE}{beside}")).search_experiments(max_results=1)
        try:
            os.link(beside, path)
        except FileExistsError:
            return  # another process was faster
        except OSError:  # a file system without links
            beside.replace(path)


def quiet() -> None:
    """Give mlflow its settings, where the user has not; to be called before it is imported."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)


def run_tags(event: Event, parent_run_id: str) -> dict[str, str]:
    """The tags of a run: its own, the spool's name, the parent, the commit under MLflow's name for it."""
    own = {clean_name(str(key)): cut(str(value), TAG) for key, value in event.get("tags", {}).items()}
    commit = own.get("git_commit", "").rstrip("+")
    return {
        **own,
        SPOOL_TAG: event["spool"],
        "mlflow.source.name": "sluicegate",
        "mlflow.source.type": "LOCAL",
        **({"mlflow.user": str(event["user"])} if event.get("user") else {}),
        **({PARENT_TAG: parent_run_id} if parent_run_id else {}),
        **({COMMIT_TAG: commit} if commit else {}),
    }


def clean_name(name: str) -> str:
    """A name as MLflow takes it.

    >>> clean_name("loss@k=5"), clean_name("../x")
    ('loss_k_5', 'x')
    """
    safe = re.sub(r"[^\w\-. :/]", "_", name)
    return "/".join(part for part in safe.split("/") if part.strip(". "))[:KEY].rstrip("/") or "_"


def model_name(name: str) -> str:
    """A name as MLflow takes it for a model.

    >>> model_name("dual/s0: 50%")
    'dual_s0_ 50_'
    """
    return re.sub(r"""[/:.%"'`\\\0]""", "_", name)[:KEY] or "_"


def cut(text: str, limit: int) -> str:
    """The text as any database takes it: valid Unicode without NUL, its end cut off where it is too long.

    >>> cut("abc\\0def", 5)
    'abc\ufffd…'
    """
    text = text.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def is_refusal(fault: Exception) -> bool:
    """Whether MLflow refuses this one thing, so that sending it again would not help."""
    return str(getattr(fault, "error_code", "")) in REFUSALS


def is_gone(fault: Exception) -> bool:
    """Whether the run that the state file names is not in the store."""
    return str(getattr(fault, "error_code", "")) == "RESOURCE_DOES_NOT_EXIST"


def _of_spool(name: str) -> str:
    """What finds the runs of a spool."""
    return f"tags.`{SPOOL_TAG}` = '{name}'"
