"""The docker runner and a real engine: a stage that is killed and gone on with, refusals, what a container may."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from docker_engine import run
from sluicegate.errors import Interrupted, UserError
from sluicegate.runners import Files, Job, Place, container, docker
from sluicegate.study import Machine

STUDY = """\
name: runner-e2e
question: Does a stage run over containers?
scenarios: [python]
data: {{source: demo}}
arms:
  control: {{prompts: plain}}
  experiment: {{prompts: enriched}}
metrics: [exact_match]
primary: exact_match
train: {{base_model: tiny, max_seq_length: 256, batch_size: 4, save_every: 5}}
generate: {{max_new_tokens: 8}}
stages: {{1: {{train: {{max_steps: 30}}}}}}
machines:
  tower: {{does: [train, generate], runner: docker, image: {image}, env: {{OMP_NUM_THREADS: "1"}}}}
"""
HEAD = """\
import json, os, sys, time, signal
from pathlib import Path
model = Path(os.environ["OUT"]) / "arms" / "model"
model.mkdir(parents=True, exist_ok=True)
"""
Make = Callable[..., Job]


@pytest.fixture
def make_job(training: str, tmp_path: Path) -> Iterator[Make]:
    """A job that runs code in a container, with the run folder as OUT; its volume goes afterwards."""
    folder = tmp_path / "runs" / "e2e" / "stage1-x"
    (folder / "data").mkdir(parents=True)
    (folder / "data" / "in.txt").write_text("given\n")
    model = folder / "arms" / "model"
    files = Files(folder, (folder / "data" / "in.txt",), (model,), (model / "result.json",), "digest")

    def made(code: str, **machine: object) -> Job:
        told = Machine.model_validate({"runner": "docker", "image": training, **machine})
        argv = (sys.executable, "-c", f"{HEAD}{code}")
        return Job("train model", argv, folder / "logs" / "x.log", {"OUT": str(folder)}, files, Place("here", told))

    yield made
    assert left("e2e") == ""
    run("volume", "rm", "--force", container.volume_of(files), check=False)


def left(study: str) -> str:
    """Containers of a study that are still there."""
    return run("ps", "--all", "--quiet", "--filter", f"label=sluicegate.study={study}").strip()


def killed_at(process: subprocess.Popen[str], log: Path, word: str) -> None:
    """Kill a process once its log holds a word."""
    until = time.monotonic() + 900
    while not (log.exists() and word in log.read_text()):
        assert process.poll() is None and time.monotonic() < until, process.communicate()[0]
        time.sleep(0.1)
    process.kill()
    process.wait()


def test_a_stage_that_is_killed_goes_on_in_the_same_container(training: str, tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.format(image=training))
    command = [sys.executable, "-m", "sluicegate", "run", "--through", "1", "--study", "study.yaml"]
    command_env = {**os.environ, "SLUICEGATE_PROGRESS_S": "0.5"}

    def started() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=tmp_path, env=command_env, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    try:
        first = started()
        while not (found := list(tmp_path.glob("runs/runner-e2e/stage1-*"))):
            assert first.poll() is None, first.communicate()[0]
            time.sleep(0.1)
        log = found[0] / "logs" / "train-control-s0.log"
        killed_at(first, log, "train control-s0 ")
        running = run("ps", "--format", "{{.Names}}", "--filter", "label=sluicegate.study=runner-e2e").split()
        assert len(running) == 1 and "train-control-s0" in running[0]
        second = started()
        said, _ = second.communicate()
        assert second.returncode == 0, said
        assert "train control-s0: runs on tower since" in said or "train control-s0: ended on tower" in said
        assert log.read_text().count("container ") == 1
        lines = log.read_text().splitlines()[1:]
        assert len(lines) == len(set(lines))
        for arm in ("control-s0", "experiment-s0"):
            home = found[0] / "arms" / arm
            result, events = home / "result.json", (home / "events.jsonl").read_text().splitlines()
            assert json.loads(result.read_text())["steps"] == 30
            assert json.loads(events[-1])["status"] == "FINISHED"
            artifacts = [json.loads(line)["path"] for line in events if '"artifact"' in line]
            assert artifacts and all((home / path).exists() for path in artifacts)
        assert left("runner-e2e") == ""
    finally:
        for number in left("runner-e2e").split():
            run("rm", "--force", number)
        for name in run("volume", "ls", "--quiet", "--filter", "label=sluicegate.study=runner-e2e").split():
            run("volume", "rm", name, check=False)


def test_what_a_container_may(make_job: Make) -> None:
    code = """
told = dict(line.split(':\\t') for line in Path('/proc/self/status').read_text().splitlines() if ':\\t' in line)
found = {name: told[name] for name in ('CapEff', 'CapBnd', 'NoNewPrivs')}
found |= {'user': os.getuid(), 'sock': os.path.exists('/var/run/docker.sock'), 'secret': os.environ.get('HF_TOKEN')}
for place in ('/', '/opt/venv', '/tmp', '/cache', os.environ['OUT']):
    try:
        (Path(place) / 'x').write_text('x')
        found[place] = 'writable'
    except OSError as fault:
        found[place] = 'not'
(model / 'result.json').write_text(json.dumps(found))
"""
    job = make_job(code)
    result = docker.run(job, print)
    assert result.code == 0, result.tail
    assert job.files is not None
    found = json.loads((job.files.folder / "arms" / "model" / "result.json").read_text())
    assert int(found["CapEff"], 16) == int(found["CapBnd"], 16) == 0 and found["NoNewPrivs"] == "1"
    assert found["user"] == 10001 and found["sock"] is False and found["secret"] is None
    assert [found[place] for place in ("/", "/opt/venv", "/tmp", "/cache")] == ["not", "not", "writable", "writable"]
    assert found[str(job.files.folder)] == "writable"


def test_too_much_memory_is_told_apart(make_job: Make) -> None:
    result = docker.run(make_job("print('on', flush=True)\nhold = bytearray(2**30)", memory_gib=0.25), print)
    assert result.code == 137
    assert "used more memory than 0.25 GiB (OOMKilled)" in result.tail


def test_a_signal_stops_it_and_the_checkpoint_comes_back(make_job: Make) -> None:
    code = """
def save(*_):
    (model / 'checkpoints').mkdir()
    (model / 'checkpoints' / 'state').write_text('saved')
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
print('ready', flush=True)
time.sleep(300)
"""
    ready = threading.Event()

    def interrupt() -> None:
        if ready.wait(120):
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    job = make_job(code)
    with pytest.raises(Interrupted):
        docker.run(job, lambda line: ready.set() if line == "ready" else None)
    assert job.files is not None
    assert (job.files.folder / "arms" / "model" / "checkpoints" / "state").read_text() == "saved"


@pytest.mark.parametrize("command", ["kill", "stop"])
def test_one_that_somebody_else_ends_there_is_told_of(make_job: Make, command: str) -> None:
    job = make_job("print('ready', flush=True)\ntime.sleep(300)")
    assert job.files is not None
    name = container.name_of(job.files, job.name)
    threads = []

    def show(line: str) -> None:
        if line == "ready":
            threads.append(threading.Thread(target=run, args=(command, name)))
            threads[0].start()

    result = docker.run(job, show)
    threads[0].join()
    expected = {"kill": (137, "not by us and not for memory"), "stop": (143, "ended by a signal (SIGTERM)")}[command]
    assert result.code == expected[0] and expected[1] in result.tail


def test_what_cannot_be_started_says_why_and_leaves_nothing(make_job: Make) -> None:
    with pytest.raises(UserError, match="no image none-such"):
        docker.run(make_job("", image="none-such"), print)
    with pytest.raises(UserError, match="a mount of the study file"):
        docker.run(make_job("", mounts=[{"source": "/none/such", "target": "/data"}]), print)
    if "nvidia" not in run("info", "--format", "{{json .Runtimes}}"):
        with pytest.raises(UserError, match="containers get no GPU there; nothing was left behind"):
            docker.run(make_job("", gpu="RTX 4070 Ti"), print)


def test_a_folder_of_the_machine_is_seen_where_the_study_says(make_job: Make, tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "file").write_text("seen")
    code = (
        "print(Path('/data/file').read_text())\ntry: Path('/data/file').write_text('')\nexcept OSError: print('kept')"
    )
    bound = {"source": str(tmp_path / "shared"), "target": "/data"}
    assert docker.run(make_job(code, mounts=[bound]), print).tail == "seen\nkept"
