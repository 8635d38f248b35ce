"""The sender against a real SQLite store: what MLflow holds after kills, replays and resumed runs."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.tracking.carrier import carry as drain
from sluicegate.tracking.carrier import follow
from sluicegate.tracking.link import Link
from sluicegate.tracking.outbox import files_of, order
from sluicegate.tracking.spool import Spool
from sluicegate.tracking.state import unsent

Stage = Callable[[str], tuple[Path, Path]]


def runs(client: Any, experiment: str) -> dict[str, Any]:
    found = client.get_experiment_by_name(experiment)
    listed = client.search_runs([found.experiment_id]) if found else []
    assert len({run.info.run_name for run in listed}) == len(listed), "a run shows twice"
    return {run.info.run_name: run for run in listed}


def history(client: Any, run: Any, key: str) -> list[tuple[int, float]]:
    return [(row.step, row.value) for row in client.get_metric_history(run.info.run_id, key)]


def test_everything_of_a_spool_arrives(store_uri: str, client: Any, stage: Stage) -> None:
    root, arm = stage("arrives")
    sent = drain([arm, root], store_uri)
    assert (sent.waiting, sent.faults) == (0, ())
    assert unsent(root) == {}
    found = runs(client, "arrives")
    run = found["control-s0"]
    assert sent.runs[arm.resolve()] == run.info.run_id
    assert run.info.status == "FINISHED"
    assert run.data.params == {"epochs": "3.0", "base_model": "tiny"}
    assert history(client, run, "train/loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert run.data.tags["mlflow.parentRunId"] == found["stage1"].info.run_id
    assert run.data.tags["mlflow.source.git.commit"] == "a" * 40
    assert run.data.tags["arm"] == "control"
    (put,) = run.inputs.dataset_inputs
    assert (put.dataset.name, put.dataset.digest) == ("train", "ab" * 18)
    assert {tag.key: tag.value for tag in put.tags} == {
        "mlflow.data.context": "training",
        "sha256": "ab" * 32,
    }
    assert [file.path for file in client.list_artifacts(run.info.run_id, "adapter")] == ["adapter/config.json"]
    assert "/mlartifacts/arrives/" in run.info.artifact_uri


def test_sending_a_child_sends_its_parent_first(store_uri: str, client: Any, stage: Stage) -> None:
    _, arm = stage("parent-first")
    assert drain([arm], store_uri).waiting == 0
    assert set(runs(client, "parent-first")) == {"stage1", "control-s0"}


@pytest.mark.parametrize("lost", ["whole state", "offset", "run id"])
def test_replay_from_an_older_state_adds_nothing(lost: str, store_uri: str, client: Any, stage: Stage) -> None:
    name = f"replay-{lost}"
    root, arm = stage(name)
    drain([root, arm], store_uri)
    state = arm / "events.sent.json"
    old = json.loads(state.read_text())
    if lost == "whole state":
        state.unlink()
    elif lost == "offset":
        state.write_text(json.dumps({**old, "offset": 0, "files": {}}))
    else:
        state.write_text(json.dumps({**old, "offset": 0, "run_id": ""}))
    before = runs(client, name)["control-s0"]
    sent = drain([root, arm], store_uri)
    after = runs(client, name)["control-s0"]
    assert (sent.waiting, sent.faults) == (0, ())
    assert after.info.run_id == before.info.run_id
    assert history(client, after, "train/loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert after.data.to_dictionary() == before.data.to_dictionary()
    assert len(after.inputs.dataset_inputs) == 1
    assert after.info.status == "FINISHED"


@pytest.mark.parametrize("call", ["run", "params", "dataset", "metrics", "file", "end"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_kill_at_any_call_loses_and_doubles_nothing(
    call: str, when: str, store: tuple[str, Any], stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, (store_uri, client) = f"kill-{when}-{call}", store
    _, arm = stage(name)
    real = getattr(Link, call)

    def killed(self: Link, *args: Any) -> Any:
        if when == "after":
            real(self, *args)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Link, call, killed)
        with pytest.raises(KeyboardInterrupt):
            drain([arm], store_uri)
    assert drain([arm], store_uri).waiting == 0
    run = runs(client, name)["control-s0"]
    assert history(client, run, "train/loss") == [(1, 3.0), (2, 2.0), (3, 1.0)]
    assert run.info.status == "FINISHED"
    assert [file.path for file in client.list_artifacts(run.info.run_id, "adapter")] == ["adapter/config.json"]


def test_a_resumed_run_is_one_run_with_its_last_values(store_uri: str, client: Any, tmp_path: Path) -> None:
    first = Spool(tmp_path)
    first.run("a", "resumed", tags={"git_commit": "old"})
    first.params({"epochs": 3})
    first.metrics({"train/loss": 2.0}, 1)
    first.metrics({"train/loss": 1.0}, 2)
    first.end("KILLED")
    drain([tmp_path], store_uri)
    assert runs(client, "resumed")["a"].info.status == "KILLED"
    second = Spool(tmp_path)
    second.run("a", "resumed", tags={"git_commit": "new"})
    second.params({"epochs": 5})
    second.metrics({"train/loss": 1.0}, 2)
    second.metrics({"train/loss": 0.5}, 3)
    drain([tmp_path], store_uri)
    run = runs(client, "resumed")["a"]
    assert run.info.status == "RUNNING"
    assert history(client, run, "train/loss") == [(1, 2.0), (2, 1.0), (3, 0.5)]
    assert run.data.params == {"epochs": "3"}
    assert (run.data.tags["changed.epochs"], run.data.tags["git_commit"]) == ("5", "new")
    second.end("FINISHED")
    (tmp_path / "events.sent.json").unlink()
    drain([tmp_path], store_uri)
    run = runs(client, "resumed")["a"]
    assert run.info.status == "FINISHED"
    assert history(client, run, "train/loss") == [(1, 2.0), (2, 1.0), (3, 0.5)]


def test_a_changed_value_of_a_step_becomes_the_latest(store_uri: str, client: Any, tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.run("a", "changed-step")
    spool.metrics({"val/loss": 2.0}, 1)
    drain([tmp_path], store_uri)
    lines = spool.path.read_text().splitlines()
    later = {**json.loads(lines[-1]), "values": {"val/loss": 3.0}}
    later["time_ms"] += 5
    spool.path.write_text("\n".join([*lines, json.dumps(later), ""]))
    drain([tmp_path], store_uri)
    assert runs(client, "changed-step")["a"].data.metrics == {"val/loss": 3.0}


def test_what_cannot_be_sent_is_named_and_the_rest_goes(store_uri: str, client: Any, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "s")
    spool.run("a", "named")
    with spool.path.open("ab") as stream:
        stream.write(b"garbage\n")
    spool.artifact(tmp_path / "s" / "gone.html")
    spool.params({"prompt@x": "y" * 9000 + "\0", "..": "z"})
    spool.end("FAILED")
    sent = drain([tmp_path / "s", tmp_path / "nothing"], store_uri)
    assert sent.waiting == 0
    bad = spool.path.read_bytes().index(b"garbage") + len(b"garbage\n")
    assert [fault.rpartition(": ")[2] for fault in sent.faults] == [
        "no events.jsonl there",
        f"the line before byte {bad} is unreadable and was left out",
        "artifact gone.html is missing and was left out",
    ]
    run = runs(client, "named")["a"]
    assert run.info.status == "FAILED"
    assert set(run.data.params) == {"prompt_x", "_"}


def test_a_run_deleted_by_hand_is_refused_and_stops_no_other(
    store_uri: str, client: Any, stage: Stage, tmp_path: Path
) -> None:
    root, arm = stage("deleted")
    with Spool(tmp_path / "z") as spool:
        spool.run("z", "deleted")
    drain([root, arm], store_uri)
    client.delete_run(runs(client, "deleted")["control-s0"].info.run_id)
    with Spool(arm) as spool:
        spool.metrics({"train/loss": 0.5}, 4)
    sent = drain([root, arm, tmp_path / "z"], store_uri)
    assert sent.waiting == 1
    assert "MLflow refuses it" in sent.faults[0]
    assert "z" in runs(client, "deleted")


def test_a_line_that_mlflow_refuses_is_left_out_and_named(
    store_uri: str, client: Any, stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE

    def refused(*_: object) -> None:
        raise MlflowException("no such data set", error_code=INVALID_PARAMETER_VALUE)

    monkeypatch.setattr(Link, "dataset", refused)
    _, arm = stage("refused-line")
    sent = drain([arm], store_uri)
    assert sent.waiting == 0
    assert [fault.partition(": ")[2].partition(" ends")[0] for fault in sent.faults] == ["MLflow refuses what"]
    assert "no such data set" in sent.faults[0]
    run = runs(client, "refused-line")["control-s0"]
    assert (run.info.status, len(history(client, run, "train/loss"))) == ("FINISHED", 3)


def test_a_state_of_another_store_counts_for_nothing(store_uri: str, client: Any, stage: Stage) -> None:
    root, arm = stage("another-store")
    drain([root, arm], store_uri)
    for folder in (root, arm):
        state = json.loads((folder / "events.sent.json").read_text())
        (folder / "events.sent.json").write_text(json.dumps({**state, "run_id": "0" * 32}))
    with Spool(arm) as spool:
        spool.metrics({"train/loss": 0.5}, 4)
    sent = drain([root, arm], store_uri)
    assert (sent.waiting, sent.faults) == (0, ())
    assert history(client, runs(client, "another-store")["control-s0"], "train/loss")[-1] == (4, 0.5)


def test_follow_sends_what_grows_and_the_rest_when_stopped(store_uri: str, client: Any, tmp_path: Path) -> None:
    root, stop, told = tmp_path / "stage", threading.Event(), list[str]()
    thread = threading.Thread(
        target=follow, args=(root, store_uri, stop), kwargs={"every_s": 0.05, "tell": told.append}
    )
    thread.start()
    parent = Spool(root)
    parent.run("stage1", "followed")
    child = Spool(root / "arms" / "a")
    child.run("a", "followed", root)
    child.metrics({"train/loss": 2.0}, 1)
    for _ in range(400):
        if not unsent(root):
            break
        stop.wait(0.05)
    assert unsent(root) == {}
    assert set(runs(client, "followed")) == {"stage1", "a"}
    child.metrics({"train/loss": 1.0}, 2)
    child.end("FINISHED")
    stop.set()
    thread.join(30)
    assert history(client, runs(client, "followed")["a"], "train/loss") == [(1, 2.0), (2, 1.0)]
    assert told == []


def test_artifact_folders_leave_out_what_is_hidden(tmp_path: Path) -> None:
    for name in ("a/b.txt", ".lock", "a/.hidden/c", "events.sent.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert files_of(tmp_path, "run") == [(tmp_path / "a" / "b.txt", "run/a")]
    assert files_of(tmp_path / "gone", "run") == []


def test_order_puts_parents_first_and_survives_a_loop(tmp_path: Path) -> None:
    for name, parent in (("a", "b"), ("b", "a"), ("c", "a")):
        Spool(tmp_path / name).run(name, "demo", tmp_path / parent)
    assert [path.name for path in order([tmp_path / "c"])] == ["b", "a", "c"]
