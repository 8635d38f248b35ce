"""MLflow's registry of models: a version for a run's model, and the alias that says which one is used.

Every call may be repeated: a version is found again by its tags, and an alias that points there already stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sluicegate.errors import UserError
from sluicegate.tracking.link import TAG, cut, quiet
from sluicegate.tracking.probe import check
from sluicegate.tracking.redact import without_credentials, without_secrets
from sluicegate.tracking.store import address

CHAMPION = "champion"


@dataclass(frozen=True, slots=True)
class Champion:
    """A version and what the alias was before.

    Args:
        made: whether the version is new.
        before: the version that the alias pointed to; empty where it was nowhere.
    """

    name: str
    version: str
    made: bool
    before: str


def promote(uri: str, name: str, run_id: str, tags: Mapping[str, str]) -> Champion:
    """Make a version of a run's model, unless there is one with these tags, and move the alias to it.

    Args:
        uri: the store, credentials included.
        name: of the registered model; made where there is none.
        tags: of the version: what it rests on.

    Raises:
        UserError: the store cannot be used, the run has no model that is whole, or MLflow refuses the name.
    """
    check(uri)
    quiet()
    import mlflow
    from mlflow.tracking import MlflowClient

    store = address(uri)
    client: Any = MlflowClient(tracking_uri=store, registry_uri=store)
    try:
        model = _model(client, run_id)
        _registered(client, name)
        version = _version(client, name, run_id, tags)
        made = version is None
        if version is None:
            shown = {key: cut(value, TAG) for key, value in tags.items()} | {"model_id": model.model_id}
            found = client.create_model_version(
                name, model.artifact_location, run_id=run_id, model_id=model.model_id, tags=shown
            )
            version = str(found.version)
        before = _pointed_to(client, name)
        if before != version:
            client.set_registered_model_alias(name, CHAMPION, version)
        return Champion(name, version, made, before)
    except (mlflow.MlflowException, OSError) as fault:
        check(uri)
        raise UserError(
            f"MLflow {without_credentials(uri)}: the model could not be registered",
            wanted=f"a version of {name} for run {run_id}, and the alias {CHAMPION}",
            seen=" ".join(without_secrets(str(fault)).split())[:300],
            mend="the same command goes on where it was",
        ) from None


def _model(client: Any, run_id: str) -> Any:
    """The record of the run's model, whole."""
    run = client.get_run(run_id)
    found = client.search_logged_models([run.info.experiment_id], f"source_run_id = '{run_id}'")
    ready = [model for model in found if str(model.status) == "READY"]
    if not ready:
        raise UserError(
            f"run {run_id}: MLflow has no whole model of it",
            wanted="a model that is READY",
            seen=", ".join(str(model.status) for model in found) or "none",
            mend="sluicegate sync <run folder>; a training of an older version of sluicegate told of none",
        )
    return ready[0]


def _registered(client: Any, name: str) -> None:
    if not client.search_registered_models(f"name = '{_quoted(name)}'", max_results=1):
        client.create_registered_model(name)


def _version(client: Any, name: str, run_id: str, tags: Mapping[str, str]) -> str | None:
    """The version of this run that has these very tags."""
    for found in client.search_model_versions(f"name = '{_quoted(name)}'"):
        if found.run_id == run_id and all(found.tags.get(key) == cut(value, TAG) for key, value in tags.items()):
            return str(found.version)
    return None


def _pointed_to(client: Any, name: str) -> str:
    aliases = client.get_registered_model(name).aliases
    return str(aliases.get(CHAMPION, ""))


def _quoted(name: str) -> str:
    return name.replace("'", "''")
