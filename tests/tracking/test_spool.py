"""The spool: what reaches the disk, and what never does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sluicegate.errors import UserError
from sluicegate.tracking import Null, Tracker
from sluicegate.tracking.spool import Spool, curves, read, spool_name


def events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def begun(folder: Path) -> Spool:
    spool = Spool(folder)
    spool.run("control-s0", "demo", tags={"arm": "control"})
    return spool


def test_every_kind_is_one_line_with_its_fields(tmp_path: Path) -> None:
    spool = begun(tmp_path / "arm")
    spool.params({"epochs": 3.0, "base_model": "tiny", "max_steps": None})
    spool.dataset("train", Path("train.jsonl"), "ab", 70)
    spool.metrics({"train/loss": 1.5}, 10)
    spool.artifact(tmp_path / "arm" / "report.html", "report")
    spool.end("FINISHED")
    run, params, dataset, metrics, artifact, end = events(tmp_path / "arm")
    assert (run["kind"], run["name"], run["experiment"], run["parent"]) == ("run", "control-s0", "demo", "")
    assert params["values"] == {"epochs": "3.0", "base_model": "tiny", "max_steps": "null"}
    assert (dataset["sha256"], dataset["samples"]) == ("ab", 70)
    assert (metrics["step"], metrics["values"]) == (10, {"train/loss": 1.5})
    assert metrics["time_ms"] > 1_600_000_000_000
    assert (artifact["path"], artifact["under"]) == ("report.html", "report")
    assert end["status"] == "FINISHED"


def test_the_parent_is_stored_relative_so_that_a_run_folder_can_move(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "stage" / "arms" / "a")
    spool.run("a", "demo", tmp_path / "stage")
    assert events(spool.folder)[0]["parent"] == "../.."


def test_secrets_reach_no_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.run("a", "demo", tags={"api_key": "hunter2", "uri": "http://me:hunter2@host/x"})
    spool.params({"hf_token": "hunter2", "MLFLOW_TRACKING_PASSWORD": "hunter2", "max_new_tokens": 64})
    spool.params({"mlflow_tracking_uri": "https://me:hunter2@host:5000"})
    assert "hunter2" not in spool.path.read_text()
    run, params, uri = events(tmp_path)
    assert run["refused"] == ["api_key"]
    assert run["tags"] == {"uri": "http://host/x"}
    assert params["refused"] == ["MLFLOW_TRACKING_PASSWORD", "hf_token"]
    assert params["values"] == {"max_new_tokens": "64"}
    assert uri["values"] == {"mlflow_tracking_uri": "https://host:5000"}


def test_what_is_not_finite_is_left_out_counted_and_named(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    spool.metrics({"train/loss": float("nan"), "train/grad_norm": float("inf"), "train/lr": 0.1}, 1)
    assert spool.dropped == 2
    assert events(tmp_path)[-1]["values"] == {"train/lr": 0.1}
    assert events(tmp_path)[-1]["dropped"] == {"train/loss": "nan", "train/grad_norm": "inf"}


def test_a_resumed_spool_goes_on_behind_a_torn_line_under_the_same_name(tmp_path: Path) -> None:
    first = begun(tmp_path)
    first.metrics({"train/loss": 2.0}, 1)
    first.metrics({"train/loss": 1.0}, 2)
    first.close()
    with first.path.open("ab") as stream:
        stream.write(b'{"kind":"metrics","st')
    second = begun(tmp_path)
    second.metrics({"train/loss": 0.9}, 2)
    again = events(tmp_path)
    assert [event["kind"] for event in again] == ["run", "metrics", "metrics", "run", "metrics"]
    assert again[0]["spool"] == again[3]["spool"] == spool_name(first.path)
    assert (again[0]["resumed"], again[3]["resumed"]) == (False, True)
    assert curves(first.path) == {"train/loss": [(1, 2.0), (2, 0.9)]}


def test_an_end_may_be_added_for_a_run_that_was_killed(tmp_path: Path) -> None:
    begun(tmp_path).close()
    with Spool(tmp_path) as spool:
        spool.end("KILLED")
    assert events(tmp_path)[-1]["status"] == "KILLED"


def test_an_event_before_the_run_is_a_bug(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="before run"):
        Spool(tmp_path).params({"a": 1})


def test_an_unreadable_line_is_none_and_a_half_line_waits(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    with spool.path.open("ab") as stream:
        stream.write(b'not json\n{"kind":"metrics"}\n[1]\n{"kind":"end","status":"FINISHED"}\n{"kind":"e')
    kinds = [event and event["kind"] for _, event in read(spool.path)]
    assert kinds == ["run", None, None, None, "end"]


def test_any_text_is_kept(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    spool.params({"prompt": "a\nb\u2028c\0d\ud800 ä"})
    assert events(tmp_path)[-1]["values"]["prompt"] == "a\nb\u2028c\0d\ud800 ä"


def test_a_folder_that_cannot_be_made_is_the_users_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        Spool(tmp_path / "file" / "arm")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_the_users_to_mend_and_leaves_whole_lines(tmp_path: Path) -> None:
    spool = begun(tmp_path)
    spool._stream.close()
    spool._stream = os.fdopen(os.open("/dev/full", os.O_WRONLY), "wb", buffering=0)
    with pytest.raises(UserError, match="cannot be written"):
        spool.metrics({"train/loss": 1.0}, 1)
    assert [event["kind"] for event in events(tmp_path)] == ["run"]


def test_the_spool_and_the_contract_never_import_mlflow() -> None:
    code = "import sys, sluicegate.tracking.spool, sluicegate.tracking.probe; print('mlflow' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"


def test_both_trackers_keep_the_contract(tmp_path: Path) -> None:
    for tracker in (Null(), Spool(tmp_path)):
        contract: Tracker = tracker
        contract.run("a", "demo")
        contract.params({})
        contract.dataset("train", Path("x"), "ab", 1)
        contract.metrics({}, 0)
        contract.artifact(tmp_path)
        contract.end("FAILED")
    assert len(events(tmp_path)) == 6
