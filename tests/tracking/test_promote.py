"""`promote`: the champion is the winner of a GO that comes out of its evidence, or the registry stays as it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate import cli, folder, jsonl
from sluicegate.errors import UserError
from sluicegate.records import Outcome
from sluicegate.stages.plan import resolve
from sluicegate.stages.promote import promote, winner
from sluicegate.stages.recompute import LEDGER
from sluicegate.tracking import carrier, registry, sender
from sluicegate.tracking.carrier import Sent
from sluicegate.tracking.spool import Spool
from tracking.attempt import DEMO, TWICE, decided, digest


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The carrier in this process: what it does as one of its own is tested elsewhere."""
    monkeypatch.setattr(sender, "drain", lambda folders, uri, tell: carrier.carry(folders, uri))


def version(client: Any, name: str) -> Any:
    return client.get_model_version_by_alias(name, "champion")


def test_the_winner_of_a_go_becomes_the_champion_once(
    here: None, store: tuple[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uri, client = store
    attempt = decided(tmp_path / "runs")
    assert cli.run(["promote", str(attempt), "--uri", uri, "--name", "first"]) == 0
    told = capsys.readouterr().out
    found = version(client, "first")
    model = winner(attempt, DEMO, resolve(DEMO, 3))
    assert model.name in told
    assert "models:/first@champion" in told
    assert "registered; champion: moved from version none" in told
    verdict = (attempt / folder.VERDICT).read_bytes()
    wanted = {
        "verdict_sha256": hashlib.sha256(verdict).hexdigest(), "study_sha256": DEMO.sha256, "stage": "3",
        "data_sha256": "e" * 64, "git_commit": "a" * 40, "arm": "experiment", "outcome": "GO",
        "weights_sha256": digest(f"weights of {model.name}"), "attempt": attempt.name,
    }  # fmt: skip
    assert {key: found.tags[key] for key in wanted} == wanted
    files = Path(client.get_model_version_download_uri("first", found.version).removeprefix("file://"))
    assert (files / "model.safetensors").read_text() == f"weights of {model.name}"
    logged = client.get_logged_model(found.tags["model_id"])
    assert (str(logged.status), logged.source_run_id) == ("READY", found.run_id)
    again = promote(attempt / folder.VERDICT, uri, name="first")
    assert "registered before; champion: was it before" in again
    assert len(client.search_model_versions("name = 'first'")) == 1


def test_the_seed_is_chosen_by_its_own_validation(tmp_path: Path) -> None:
    three = DEMO.model_copy(update={"stages": {**DEMO.stages, 3: DEMO.stages[3].model_copy(update={"seeds": 3})}})
    plan = resolve(three, 3)
    names = [model.name for model in plan.of("experiment")]
    assert len(names) == 3
    for name, loss, metric in zip(names, (1.0, 0.9, 0.9), (None, None, None), strict=True):
        told = {"best_val_loss": loss, "best_metric": metric}
        jsonl.write_text(tmp_path / folder.ARMS / name / "result.json", json.dumps(told))
    assert winner(tmp_path, three, plan).name == names[1]
    for name, metric in zip(names, (0.5, 0.4, 0.4), strict=True):
        told = {"best_val_loss": 1.0, "best_metric": metric}
        jsonl.write_text(tmp_path / folder.ARMS / name / "result.json", json.dumps(told))
    assert winner(tmp_path, three, plan).name == names[0]
    jsonl.write_text(tmp_path / folder.ARMS / names[2] / "result.json", "{}")
    with pytest.raises(UserError, match="no validation"):
        winner(tmp_path, three, plan)


def edited(name: str, old: str, new: str) -> Callable[[Path], object]:
    def edit(attempt: Path) -> None:
        for path in attempt.glob(name):
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))

    return edit


def unfinished(attempt: Path) -> None:
    (attempt.parent / LEDGER).unlink()


def later(attempt: Path) -> None:
    """A further attempt under the same study, which was lost."""
    decided(attempt.parent.parent, TWICE, name="stage3-20260202T000000Z", right=1)


REFUSALS: dict[str, tuple[Callable[[Path], object], str]] = {
    "verdict by hand": (edited("verdict.json", '"GO"', '"STOP"'), "another verdict comes out"),
    "evidence": (
        edited("arms/experiment-*/result.json", '"best_val_loss": 1', '"best_val_loss": 0'),
        "another verdict",
    ),
    "weights": (edited("arms/experiment-*/model.safetensors", "weights", "others"), "weights are not those"),
    "data": (edited("arms/experiment-*/run.json", "e" * 64, "f" * 64), "trained on the data of the stage"),
    "arm": (edited("arms/experiment-*/run.json", '"experiment"', '"control"'), "a model of experiment"),
    "no ledger": (unfinished, "no ledger"),
    "a later verdict": (later, "the ledger's newest verdict"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_the_evidence_promotes_nothing(
    name: str, here: None, store: tuple[str, Any], tmp_path: Path
) -> None:
    uri, client = store
    change, told = REFUSALS[name]
    attempt = decided(tmp_path / "runs", TWICE)
    change(attempt)
    with pytest.raises(UserError) as fault:
        promote(attempt, uri, name="refused")
    assert told in str(fault.value)
    assert client.search_registered_models("name = 'refused'") == []


def test_a_verdict_that_is_no_go_promotes_nothing(here: None, store: tuple[str, Any], tmp_path: Path) -> None:
    uri, client = store
    attempt = decided(tmp_path / "runs", right=1)
    with pytest.raises(UserError, match="not promoted") as fault:
        promote(attempt, uri, name="no-go")
    assert fault.value.seen.startswith(Outcome.STOP.value)
    assert client.search_registered_models("name = 'no-go'") == []


def test_what_mlflow_does_not_have_is_not_promoted(
    store: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, client = store
    attempt = decided(tmp_path / "runs")
    monkeypatch.setattr(sender, "drain", lambda folders, uri, tell: Sent(3, ("the server sleeps",), {}))
    with pytest.raises(UserError, match="does not have all of it") as fault:
        promote(attempt, uri, name="unsent")
    assert fault.value.seen == "the server sleeps"
    assert client.search_registered_models("name = 'unsent'") == []


def test_a_newer_go_moves_the_alias_and_a_kill_before_it_is_made_good(
    here: None, store: tuple[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, client = store
    first = decided(tmp_path / "one")
    promote(first, uri, name="moving")
    second = decided(tmp_path / "two", name="stage3-20260303T000000Z")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mlflow.tracking.MlflowClient.set_registered_model_alias", killed)
        with pytest.raises(KeyboardInterrupt):
            promote(second, uri, name="moving")
    assert version(client, "moving").tags["attempt"] == first.name
    assert "moved from version 1" in promote(second, uri, name="moving")
    assert version(client, "moving").tags["attempt"] == second.name
    assert len(client.search_model_versions("name = 'moving'")) == 2


def test_a_run_without_a_whole_model_has_no_version(store_uri: str, tmp_path: Path) -> None:
    with Spool(tmp_path / "a") as spool:
        spool.run("a", "modelless")
    (run_id,) = carrier.carry([tmp_path / "a"], store_uri).runs.values()
    with pytest.raises(UserError, match="no whole model"):
        registry.promote(store_uri, "modelless", run_id, {})
