"""A small study whose models are trained and asked on the tower, driven from the laptop; and what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from hosts.network import Hosts, end
from hosts.services import URI, Engine

NAME, STEPS, SAVE_EVERY = "three", 400, 40
ARMS = ("control-s0", "experiment-s0")
TRAIN = f"train {ARMS[0]}"
STUDY: Mapping[str, Any] = {
    "name": NAME,
    "question": "Does a stage over three machines come to what one machine comes to?",
    "scenarios": ["python"],
    "data": {"source": "demo", "seed": 0},
    "arms": {"control": {"prompts": "plain"}, "experiment": {"prompts": "enriched"}},
    "test_prompts": "as_trained",
    "metrics": ["exact_match"],
    "primary": "exact_match",
    "train": {
        "base_model": "tiny", "max_seq_length": 128, "batch_size": 4, "learning_rate": 0.003, "lora_r": 4,
        "lora_alpha": 8, "load_in_4bit": "false",
    },
    "generate": {"max_new_tokens": 8},
    "stages": {1: {"hours": 10, "train": {"max_steps": STEPS, "save_every": SAVE_EVERY}}},
}  # fmt: skip
TOWER: Mapping[str, Any] = {
    "does": ["train", "generate"],
    "runner": "docker",
    "host": "ssh://root@tower",
    "image": "llama3-training",
    "env": {"OMP_NUM_THREADS": "1"},
}
WORDS = ("run", "--through", "1", "--study", f"{NAME}.yaml")


class Laptop:
    """A folder on the laptop that the study is run in.

    Args:
        environment: variables of its commands.
    """

    def __init__(self, hosts: Hosts, folder: Path, environment: Mapping[str, str]) -> None:
        self.hosts, self.folder = hosts, folder
        self.environment = {"OMP_NUM_THREADS": "1", "SLUICEGATE_PROGRESS_S": "0.5", **environment}
        self.printed = folder / "printed.log"
        folder.mkdir(exist_ok=True)
        self.tower()

    def tower(self, **changes: Any) -> None:
        """Write the study file, with changes of what it says of the tower."""
        text = yaml.safe_dump({**STUDY, "machines": {"tower": {**TOWER, **changes}}}, sort_keys=False)
        (self.folder / f"{NAME}.yaml").write_text(text)

    def start(self, *options: str, before: tuple[str, ...] = ()) -> subprocess.Popen[bytes]:
        """Start stages 0 and 1, or go on with them."""
        argv = (*before, sys.executable, "-m", "sluicegate", *WORDS, *options)
        return self.hosts.start("laptop", *argv, log=self.printed, env=self.environment, cwd=self.folder)

    def run(self, *options: str, code: int = 0, before: tuple[str, ...] = ()) -> float:
        """The same to the end, which must have this exit code; the seconds that it took."""
        return self.ends(self.start(*options, before=before), code)

    def ends(self, process: subprocess.Popen[bytes], code: int = 0, limit_s: float = 1200) -> float:
        """Wait for its end; the seconds that it took."""
        begun = time.monotonic()
        seen = process.wait(limit_s)
        assert seen == code, f"exit code {seen}\n{self.said()[-6000:]}"
        return time.monotonic() - begun

    def said(self) -> str:
        """What its commands printed."""
        return self.printed.read_text() if self.printed.exists() else ""

    @property
    def attempt(self) -> Path:
        """The one run folder of stage 1."""
        (path,) = (self.folder / "runs" / NAME).glob("stage1-*")
        return path

    def does(self, step: str) -> bool:
        """Whether a step has begun: where it runs elsewhere, its container has."""
        return any(self.folder.glob(f"runs/{NAME}/stage1-*/logs/{step.replace(' ', '-')}.log"))

    def steps(self) -> list[int]:
        """Steps of the control's training whose loss has arrived here, in the order of the spool."""
        return [row["step"] for row in losses(self.attempt / "arms" / ARMS[0])]

    def sync(self) -> str:
        """Send to the server what is not there yet; what that prints."""
        argv = (sys.executable, "-m", "sluicegate", "sync", f"runs/{NAME}")
        done = self.hosts.run("laptop", *argv, env=self.environment, cwd=self.folder, limit_s=180)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@dataclass(frozen=True)
class Ran:
    """An experiment that was run to its end: how long it took, the steps begun on the tower, containers left there."""

    laptop: Laptop
    seconds: float
    begun: list[str]
    left: list[dict[str, Any]]


def begun_anew(done: Laptop, folder: Path, first: str = TRAIN) -> Laptop:
    """A copy of a finished experiment that has yet to do the control's steps from `first` on.

    Its spools get names of their own, so that MLflow takes them for other runs.
    """
    shutil.copytree(done.folder, folder, symlinks=True)
    again = Laptop(done.hosts, folder, done.environment)
    again.printed.unlink()
    attempt, arm = again.attempt, ARMS[0]
    undone = {
        f"train {arm}": [attempt / "arms" / arm],
        f"generate {arm}": list((attempt / "predictions").glob(f"{arm}*")),
        f"evaluate {arm}": list((attempt / "scores").glob(f"{arm}*")),
    }
    stamps = json.loads((attempt / "steps.json").read_text())
    for step in list(undone)[list(undone).index(first) :]:
        del stamps[step]
        for path in (*undone[step], attempt / "logs" / f"{step.replace(' ', '-')}.log"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    (attempt / "steps.json").write_text(json.dumps(stamps))
    for path in (attempt / "verdict.json", *attempt.glob("report.*")):
        path.unlink()
    ledger = attempt.parent / "ledger.jsonl"
    *kept, decided = ledger.read_text().splitlines(keepends=True)
    assert json.loads(decided)["event"] == "decided"
    ledger.write_text("".join(kept))
    for path in attempt.rglob("events.jsonl"):
        path.write_text(path.read_text().replace(spool_of(path.parent), uuid.uuid4().hex))
    for path in attempt.rglob("events.sent.json"):
        path.unlink()
    return again


def results(attempt: Path) -> dict[str, str]:
    """What must not depend on faults: weights, predictions but for the seconds they took, scores."""
    found = {}
    for arm in ARMS:
        found[f"{arm} weights"] = json.loads((attempt / "arms" / arm / "result.json").read_text())["sha256"]
        rows = [json.loads(line) for line in (attempt / "predictions" / f"{arm}.jsonl").read_text().splitlines()]
        found[f"{arm} predictions"] = "\n".join(json.dumps({**row, "seconds": 0}) for row in rows)
        found[f"{arm} scores"] = (attempt / "scores" / f"{arm}.jsonl").read_text()
    return found


def verdict(attempt: Path) -> tuple[str, dict[str, bool | None]]:
    """Outcome and checks of a stage."""
    told = json.loads((attempt / "verdict.json").read_text())
    return told["outcome"], {row["name"]: row["passed"] for row in told["checks"]}


def events(folder: Path, kind: str) -> Iterator[dict[str, Any]]:
    """The events of a spool of one kind, in order."""
    path = folder / "events.jsonl"
    for line in path.read_text().splitlines() if path.exists() else ():
        if (row := json.loads(line))["kind"] == kind:
            yield row


def losses(folder: Path) -> list[dict[str, Any]]:
    """The training losses of a spool."""
    return [row for row in events(folder, "metrics") if "train/loss" in row["values"]]


def spool_of(folder: Path) -> str:
    """The name of a spool."""
    return str(next(events(folder, "run"))["spool"])


def longest_block(folder: Path) -> float:
    """The longest time between two steps of a training that nothing interrupted, in seconds."""
    begun = [row["time_ms"] for row in events(folder, "run")]
    times = [row["time_ms"] for row in losses(folder)]
    pairs = [(a, b) for a, b in pairwise(times) if not any(a < at <= b for at in begun)]
    return float(max(b - a for a, b in pairs)) / 1000


def require_tracked(client: Any, attempt: Path) -> None:
    """MLflow has the stage and each arm once, ended, with every figure of the spools once and in order."""
    for folder in (attempt, *(attempt / "arms" / arm for arm in ARMS)):
        (experiment,) = client.search_experiments(filter_string=f"name = '{NAME}'")
        asked = f"tags.`sluicegate.spool` = '{spool_of(folder)}'"
        (run,) = client.search_runs([experiment.experiment_id], asked)
        assert run.info.status == "FINISHED", folder
        if folder == attempt:
            continue
        told = {row["step"]: row["values"]["train/loss"] for row in losses(folder)}
        history = client.get_metric_history(run.info.run_id, "train/loss")
        assert [(row.step, row.value) for row in history] == sorted(told.items())


class Tower:
    """What the tower's engine did and holds, from a moment on."""

    def __init__(self, engine: Engine, told: Path) -> None:
        self.engine, self._told = engine, told
        asked = (
            "docker",
            "events",
            "--filter",
            "event=start",
            "--format",
            '{{index .Actor.Attributes "sluicegate.step"}}',
        )
        with told.open("wb") as stream:  # as they come: an engine remembers 256 events
            env = {**os.environ, "DOCKER_HOST": engine.socket}
            self._watching = subprocess.Popen(asked, stdout=stream, env=env)

    def leave(self) -> None:
        """Clear it, and watch it no longer."""
        self.clear()
        end(self._watching)

    def running(self) -> str:
        """The container that a step runs in; empty where there is none."""
        found = [row["ID"] for row in self.engine.containers("status=running") if "-ask" not in row["Names"]]
        return found[0] if found else ""

    @contextlib.contextmanager
    def slowed(self, share: float) -> Iterator[None]:
        """While inside, the container of the step that runs has so much of a processor; it must outlast that."""
        number = self.running()
        self.engine.docker("update", "--cpus", f"{share:g}", number)
        yield
        assert self.running() == number, "it ended too early"
        self.engine.docker("update", "--cpus", str(os.cpu_count()), number)

    def begun(self) -> list[str]:
        """The steps whose containers were started, in order, one for each start."""
        return [line for line in self._told.read_text().splitlines() if line not in ("", "ask")]

    def volume(self) -> Path:
        """The folder of the run's volume, as this process can reach it."""
        (name,) = self.engine.docker("volume", "ls", "--quiet", "--filter", "label=sluicegate.study").stdout.split()
        return self.engine.volumes / name / "_data"

    def steps(self) -> list[int]:
        """Steps of the control's training that have been taken there."""
        if not self.engine.docker("volume", "ls", "--quiet", "--filter", "label=sluicegate.study").stdout.split():
            return []
        found = list(self.volume().glob(f"*/arms/{ARMS[0]}"))
        return [row["step"] for row in losses(found[0])] if found else []

    def trains(self, steps: int = SAVE_EVERY + 3) -> bool:
        """Whether the control's training has gone so far there."""
        return len(self.steps()) >= steps

    def clear(self) -> None:
        """Remove containers and volumes."""
        for row in self.engine.containers():
            self.engine.docker("rm", "--force", row["ID"])
        if names := self.engine.docker("volume", "ls", "--quiet").stdout.split():
            self.engine.docker("volume", "rm", *names)


def environment(commit: str) -> dict[str, str]:
    """The laptop's variables: MLflow behind the tunnel, and the commit that the image says it is of."""
    return {"MLFLOW_TRACKING_URI": URI, "GIT_COMMIT": commit, "HOME": os.path.expanduser("~")}  # noqa: PTH111
