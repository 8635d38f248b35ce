"""The process that sends, against a real server and hostile ones: no write is held up, and nothing is lost."""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from sluicegate import cli
from sluicegate.generate.registry import bring
from sluicegate.jsonl import sha256
from sluicegate.stages.promote import promote
from sluicegate.tracking import sender
from sluicegate.tracking.carrier import carry
from sluicegate.tracking.ends import WHY, end_gone
from sluicegate.tracking.sender import drain, sending
from sluicegate.tracking.spool import Spool, read
from sluicegate.tracking.state import unsent
from tracking.attempt import decided
from tracking.servers import Door, Gate, Hostile, Mlflow, basic, serving, until

pytestmark = [pytest.mark.process, pytest.mark.timeout(900)]  # starting a server is seconds of work
STEPS = 150
numbers = itertools.count()


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mlflow]:
    server = Mlflow(tmp_path_factory.mktemp("mlflow") / "server")
    server.start()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody")


def begin(root: Path, experiment: str) -> tuple[Spool, Spool]:
    """A stage and a training below it."""
    above, spool = Spool(root), Spool(root / "arms" / "a")
    above.run("stage", experiment, tags={"stage": "1"})
    spool.run("a", experiment, root, {"arm": "control"})
    spool.params({"epochs": 3})
    spool.dataset("train", Path("train.jsonl"), "ab" * 32, 70)
    spool.dataset("val", Path("val.jsonl"), "cd" * 32, 7)
    return above, spool


def step(spool: Spool, number: int) -> None:
    spool.metrics({"train/loss": 1 / number, "train/grad_norm": float(number % 7)}, number)


def finish(above: Spool, spool: Spool) -> None:
    (spool.folder / "model.safetensors").write_text("weights")
    spool.artifact(spool.folder / "model.safetensors", "model")
    spool.model("a", [spool.folder / "model.safetensors"], {"weights_sha256": "ef" * 32})
    spool.end("FINISHED")
    (above.folder / "report.html").write_text("<p>")
    above.artifact(above.folder / "report.html")
    above.end("FINISHED")


def trained(root: Path, experiment: str, during: Callable[[int], object] = lambda number: None) -> None:
    """A training of `STEPS` steps, `during` called after each; how long a write takes, benchmarks/ measures."""
    above, spool = begin(root, experiment)
    for number in range(1, STEPS + 1):
        step(spool, number)
        during(number)
        time.sleep(0.005)
    finish(above, spool)


@pytest.fixture(scope="module")
def undisturbed(mlflow: Mlflow, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the server holds of a training that nothing happened to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOGNAME", "somebody")
        root, told = tmp_path_factory.mktemp("quiet") / "run", list[str]()
        with sending(root, mlflow.uri, tell=told.append):
            trained(root, "undisturbed")
        assert (told, unsent(root)) == ([], {})
        content = mlflow.content("undisturbed")
    run = content["a"]
    assert [value for _, value in run["metrics"]["train/loss"]] == [1 / number for number in range(1, STEPS + 1)]
    assert {name: tags["mlflow.data.context"] for name, tags in run["inputs"].items()} == {
        "train": "training", "val": "validation",
    }  # fmt: skip
    assert (list(run["artifacts"]), run["models"][0][:2]) == (["model/model.safetensors"], ("a", "READY"))
    assert list(run["models"][0][2]) == ["artifacts/model.safetensors"]
    assert (run["tags"]["mlflow.user"], run["tags"]["mlflow.parentRunId"]) == ("somebody", "stage")
    return content


def cut(mlflow: Mlflow, gate: Gate) -> Iterator[None]:
    gate.cut()
    yield
    gate.mend()


def killed(mlflow: Mlflow, gate: Gate) -> Iterator[None]:
    mlflow.kill()
    yield
    mlflow.start()


def frozen(mlflow: Mlflow, gate: Gate) -> Iterator[None]:
    mlflow.signal(signal.SIGSTOP)
    yield
    mlflow.signal(signal.SIGCONT)


def replaced(mlflow: Mlflow, gate: Gate) -> Iterator[None]:
    """Another database from here on."""
    mlflow.kill()
    mlflow.start("other.db")
    yield


def locked(mlflow: Mlflow, gate: Gate) -> Iterator[None]:
    """Somebody writes into the database and does not end."""
    with closing(sqlite3.connect(mlflow.folder / mlflow.store, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield
        holder.execute("ROLLBACK")


def twice(mlflow: Mlflow, gate: Gate) -> Iterator[None]:
    """A call that was given up and sent again is done after all, and late."""
    client = mlflow.client
    (experiment,) = client.search_experiments(order_by=["creation_time DESC"], max_results=1)
    for run in client.search_runs([experiment.experiment_id]):
        client.create_run(experiment.experiment_id, tags=run.data.tags, run_name=run.info.run_name)
    yield


FAULTS: dict[str, tuple[Callable[[Mlflow, Gate], Iterator[None]], int]] = {
    "cut at the start": (cut, 1),
    "cut at the end": (cut, STEPS),
    "killed in the middle": (killed, STEPS // 2),
    "frozen": (frozen, STEPS // 2),
    "locked": (locked, STEPS // 3),
    "another database": (replaced, STEPS // 2),
    "a run made twice": (twice, STEPS // 2),
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_happens_to_the_server_the_run_goes_on_and_nothing_is_lost(
    name: str, mlflow: Mlflow, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    fault, when = FAULTS[name]
    gate = Gate(mlflow.port)
    root, told, trouble = tmp_path / "run", list[str](), fault(mlflow, gate)

    def during(number: int) -> None:
        if number == when:
            if when > 1:
                until((root / "events.sent.json").exists, 200)
            next(trouble)

    experiment = f"fault-{next(numbers)}"
    with sending(root, gate.uri, grace_s=2, tell=told.append):
        trained(root, experiment, during)
    next(trouble, None)
    assert not unsent(root) or any(f"sluicegate sync {root}" in line for line in told)
    sent = drain([root, root / "arms" / "a"], gate.uri)
    gate.cut()
    assert (sent.waiting, sent.faults) == (0, ())
    assert mlflow.content(experiment) == undisturbed


KILLER = """
import os, random, signal, sys, time
from pathlib import Path
import mlflow.entities, mlflow.tracking
from sluicegate.tracking.carrier import carry
from sluicegate.tracking.state import unsent
uri, kills = sys.argv[1], []
for place, name in enumerate(sys.argv[2:]):
    root, chance, killed = Path(name), random.Random(place), 0
    while unsent(root) and killed < 50:
        child = os.fork()
        if not child:
            carry([root, root / "arms" / "a"], uri)
            os._exit(0)
        time.sleep(chance.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
        killed += os.WIFSIGNALED(os.waitpid(child, 0)[1])
    kills.append(killed)
print(kills)
"""
"""Kills a process that sends, at random moments, until all is sent; forked, as each would import mlflow for seconds."""


def test_a_sender_killed_again_and_again_sends_what_an_undisturbed_one_does(
    mlflow: Mlflow, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    roots = {f"killed-{next(numbers)}": tmp_path / str(place) for place in range(3)}
    for experiment, root in roots.items():
        trained(root, experiment)
    done = subprocess.run(
        [sys.executable, "-c", KILLER, mlflow.uri, *map(str, roots.values())], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)) > 3
    for experiment, root in roots.items():
        assert carry([root, root / "arms" / "a"], mlflow.uri).faults == ()
        assert mlflow.content(experiment) == undisturbed


def test_a_sender_that_dies_while_it_follows_is_started_again(
    mlflow: Mlflow, undisturbed: dict[str, Any], tmp_path: Path
) -> None:
    root, told, experiment = tmp_path / "run", list[str](), f"restarted-{next(numbers)}"
    with sender._courier(mlflow.uri, told.append) as courier:
        courier.follow(root)

        def during(number: int) -> None:
            if number == STEPS // 2:
                first = courier.process.pid
                os.kill(first, signal.SIGKILL)
                until(lambda: courier.process.pid != first)

        trained(root, experiment, during)
        assert not isinstance(courier.rest(20), str)
    assert [line.partition(";")[0] for line in told] == ["the process that sends to MLflow ended with -9"]
    assert mlflow.content(experiment) == undisturbed


def test_bytes_that_drip_are_cut_off_and_the_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "1")
    root, told = tmp_path / "run", list[str]()
    with serving(Hostile) as server:
        server.mode = "drip"  # type: ignore[attr-defined]
        with sending(root, f"http://127.0.0.1:{server.server_port}", grace_s=14, tell=told.append):
            trained(root, "drip")
    assert any("was not answered to its end in 12 s" in line for line in told)
    assert f"sluicegate sync {root}" in told[-1]
    assert sum(unsent(root).values()) > STEPS


def test_a_machine_that_starts_no_process_costs_the_run_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, told = tmp_path / "run", list[str]()

    def full(*_: object, **__: object) -> None:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "Popen", full)
    with sending(root, "http://127.0.0.1:9", tell=told.append):
        above, spool = begin(root, "full")
        finish(above, spool)
    assert told[0] == "tracking: no process can be started to send: Resource temporarily unavailable"
    assert f"sluicegate sync {root}" in told[1]
    assert drain([root], "http://127.0.0.1:9", tell=told.append).waiting > 0


TRAINING = """
import sys, time
from pathlib import Path
from sluicegate import folder
from sluicegate.tracking.sender import sending
from sluicegate.tracking.spool import Spool
root, uri = Path(sys.argv[1]), sys.argv[2]
with folder.holding(root), Spool(root) as spool, sending(root, uri):
    spool.run("a", sys.argv[3])
    for step in range(1, 10000):
        spool.metrics({"train/loss": 1.0 / step}, step)
        print(step, flush=True)
        time.sleep(0.05)
"""


def test_of_a_training_that_is_killed_the_sender_tells_that_it_is_gone(
    mlflow: Mlflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, experiment = tmp_path / "run", f"gone-{next(numbers)}"
    process = subprocess.Popen(
        [sys.executable, "-c", TRAINING, str(root), mlflow.uri, experiment], stdout=subprocess.PIPE, text=True
    )
    until((root / "events.sent.json").exists)
    assert drain([root], mlflow.uri).ended == ()
    process.kill()
    process.wait()
    assert process.stdout
    steps = len(process.stdout.read().split())
    process.stdout.close()
    until(lambda: mlflow.content(experiment)["a"]["status"] == "KILLED")
    run = mlflow.content(experiment)["a"]
    assert run["tags"]["sluicegate.end"] == WHY
    assert len(run["metrics"]["train/loss"]) in {steps, steps + 1}
    last = [event for _, event in read(root / "events.jsonl") if event][-2:]
    assert last[0]["time_ms"] == last[1]["time_ms"]
    with Spool(root) as spool:  # the same training goes on later, and its container is gone before anything is sent
        spool.run("a", experiment)
    capsys.readouterr()
    assert cli.run(["sync", str(root), "--uri", mlflow.uri, "--again"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        f"{root}: no end was written and no process holds it: KILLED",
        "1 runs, 0 lines left unsent",
    ]


def test_only_runs_that_are_gone_are_ended(tmp_path: Path) -> None:
    def begun(name: str) -> Path:
        with Spool(tmp_path / name) as spool:
            spool.run(name, "x")
        return tmp_path / name

    elsewhere, held, ended, gone = map(begun, ("elsewhere", "held", "ended", "gone"))
    for path in (held, ended, gone):
        (path / ".lock").touch()
    with Spool(ended) as spool:
        spool.end("FAILED")
    holder = subprocess.Popen(
        [sys.executable, "-c", "import sys; from pathlib import Path; from sluicegate.folder import holding\n"
         "with holding(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()", str(held)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert holder.stdout and holder.stdout.readline() == "held\n"
    assert end_gone([elsewhere, held, ended, gone]) == [gone]
    holder.communicate("")
    assert end_gone([elsewhere, held, ended, gone]) == [held]


@pytest.mark.parametrize("kind", ["basic", "uri", "token"])
def test_passwords_and_tokens_open_a_door(
    kind: str, mlflow: Mlflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = f"door-{next(numbers)}"
    with Spool(tmp_path / "a") as spool:
        spool.run("a", experiment)
        (spool.folder / "x.txt").write_text("x")
        spool.artifact(spool.folder / "x.txt")
        spool.end("FINISHED")
    with serving(Door) as door:
        door.port, door.keys = mlflow.port, {basic("me", "hunter 2:@"), "Bearer hunter-two"}  # type: ignore[attr-defined]
        bare = f"http://127.0.0.1:{door.server_port}"
        uri = bare.replace("//", "//me:hunter%202%3A%40@") if kind == "uri" else bare
        right = {"basic": {"USERNAME": "me", "PASSWORD": "hunter 2:@"}, "token": {"TOKEN": "hunter-two"}}.get(kind, {})
        for name in ("USERNAME", "PASSWORD", "TOKEN"):
            monkeypatch.delenv(f"MLFLOW_TRACKING_{name}", raising=False)
        refused = f"MLflow {bare}: refused or not MLflow: 401: You are not authenticated"
        assert carry([tmp_path / "a"], bare).faults == (refused,)
        for name, value in right.items():
            monkeypatch.setenv(f"MLFLOW_TRACKING_{name}", value)
        sent = carry([tmp_path / "a"], uri)
        assert (sent.waiting, sent.faults) == (0, ())
    kept = [path.read_text() for path in (tmp_path / "a").rglob("*.json*")]
    assert "hunter" not in "".join([*kept, str(mlflow.content(experiment))])
    assert mlflow.content(experiment)["a"]["artifacts"].keys() == {"x.txt"}


def test_a_second_order_goes_to_the_process_that_is_there(mlflow: Mlflow, tmp_path: Path) -> None:
    for name in ("a", "b"):
        with Spool(tmp_path / name) as spool:
            spool.run(name, f"idle-{next(numbers)}")
    with sender._courier(mlflow.uri, print) as one:
        one.carry([tmp_path / "a"])
    with sender._courier(mlflow.uri, print) as other:
        assert other is one
        assert not isinstance(other.carry([tmp_path / "b"]), str)
    assert threading.active_count() < 50


def test_the_champion_is_made_at_a_server_as_in_a_file(mlflow: Mlflow, tmp_path: Path) -> None:
    attempt = decided(tmp_path / "runs")
    assert "champion: moved from version none" in promote(attempt, mlflow.uri, name="served")
    assert "champion: was it before" in promote(attempt, mlflow.uri, name="served")
    found = mlflow.client.get_model_version_by_alias("served", "champion")
    assert found.tags["verdict_sha256"] == sha256(attempt / "verdict.json")
    brought = bring(f"models:/served/{found.version}", mlflow.uri, tmp_path / "brought")
    assert {path.name for path in brought.rglob("*.*")} == {"model.safetensors", "result.json"}
