"""The training image: trains from a mounted folder, tells compose's MLflow over the network, stops when told to."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from docker_engine import BUILD, ROOT, ended, run, torch_for_cpu
from hosts.experiment import longest_block, losses
from server_stack import Stack

PLAIN = (
    "run",
    "--rm",
    "--init",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--env",
    "OMP_NUM_THREADS=1",
)
LOADED = (
    "from transformers import AutoModelForCausalLM, AutoTokenizer\n"
    "model, words = (kind.from_pretrained('/models/test-micro') for kind in (AutoModelForCausalLM, AutoTokenizer))\n"
    "print(model.generate(**words('say 1', return_tensors='pt'), max_new_tokens=2).shape[0])"
)
KEYS = {
    b"PRIVATE KEY-----": rb"-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\s+[A-Za-z0-9+/]{40}",
    b"hf_": rb"\bhf_[A-Za-z0-9]{34}\b",
    b"sk-": rb"\bsk-[A-Za-z0-9]{40,}\b",
    b"ghp_": rb"\bghp_[A-Za-z0-9]{36}\b",
    b"AKIA": rb"\bAKIA[A-Z0-9]{16}\b",
}
"""What a key holds, and what it looks like: an image is gigabytes, and the first is found six times as fast."""
SECRETIVE = re.compile(r"(^|/)(\.env|\.netrc|\.pypirc|\.git-credentials|id_(rsa|ed25519|ecdsa)|postgres_password)$")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with training data, readable by everybody."""
    folder = tmp_path_factory.mktemp("data")
    rows = [{"prompt": f"say {number}", "completion": f"it is {number}"} for number in range(8)]
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for path in (folder, folder / "train.jsonl"):
        path.chmod(0o755)
    return folder


def told(data: Path, **variables: str) -> tuple[str, ...]:
    """Options of `docker run` for a training of the tiny model."""
    given = {"DATASET_PATH": "/data/train.jsonl", "BASE_MODEL": "tiny", "MODEL_NAME": "test-micro", "BATCH_SIZE": "2"}
    pairs = [f"{name}={value}" for name, value in (given | variables).items()]
    return ("--volume", f"{data}:/data:ro", *(word for pair in pairs for word in ("--env", pair)))


def test_the_image_says_what_it_is_and_runs_as_nobody_in_particular(training: str, commit: str) -> None:
    about = json.loads(run("image", "inspect", training))[0]["Config"]
    assert (about["User"], about["StopSignal"], about["Cmd"]) == ("10001:10001", "SIGTERM", ["sluicegate", "train"])
    assert about["Labels"]["org.opencontainers.image.revision"] == commit
    assert f"GIT_COMMIT={commit}" in about["Env"]
    assert not about.get("Entrypoint") and "Healthcheck" not in about  # nothing listens


def test_the_image_has_a_c_compiler_for_compiled_layers_and_no_nvcc(training: str) -> None:
    program = (
        "import pathlib, shutil, subprocess, sysconfig\n"
        "pathlib.Path('/tmp/x.c').write_text('#include <Python.h>\\nint x;')\n"
        "headers = '-I' + sysconfig.get_path('include')\n"
        "subprocess.run(['gcc', '-shared', '-fPIC', headers, '/tmp/x.c', '-o', '/tmp/x.so'], check=True)\n"
        "print(shutil.which('nvcc'))"
    )
    assert run(*PLAIN, training, "python", "-c", program) == "None\n"


def test_wrong_settings_end_with_2_and_one_message(training: str, data: Path) -> None:
    done = ended(*PLAIN, *told(data, DATASET_PATH="/data/none.jsonl", EPOCHS="many"), training)
    assert done.returncode == 2
    assert "2 setting(s) are wrong; nothing was written" in done.stderr
    assert "DATASET_PATH" in done.stderr and "EPOCHS" in done.stderr and "Traceback" not in done.stderr


def test_a_models_folder_of_somebody_else_says_how_to_mend_it(training: str, data: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    mount = ("--volume", f"{tmp_path}:/models")
    done = ended(*PLAIN, *mount, *told(data), training)
    assert done.returncode == 2
    assert "--user" in done.stderr and "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
    owner = ("--user", f"{os.getuid()}:{os.getgid()}")
    run(*PLAIN, *mount, *owner, *told(data, MAX_STEPS="1"), training)
    assert (tmp_path / "test-micro" / "result.json").exists()


@pytest.fixture(scope="module")
def tower(stack: Stack, training: str, data: Path) -> Iterator[Stack]:
    """The compose file's service `train`, in the server's project, so on its network."""
    stack.env.update(
        DATA_DIR=str(data), BASE_MODEL="tiny", BATCH_SIZE="2", MLFLOW_TRACKING_URI="http://mlflow:5000", SEED="1"
    )
    yield stack
    for name in ("DATA_DIR", "BASE_MODEL", "BATCH_SIZE", "MLFLOW_TRACKING_URI", "SEED"):
        del stack.env[name]


def runs_of(stack: Stack, name: str) -> list[dict[str, Any]]:
    """The runs of a name, whatever their experiment."""
    numbers = [row["experiment_id"] for row in stack.post("experiments/search", max_results=100)["experiments"]]
    found = stack.post("runs/search", experiment_ids=numbers, filter=f"tags.mlflow.runName = '{name}'")
    rows: list[dict[str, Any]] = found.get("runs", [])
    return rows


def steps_of(stack: Stack, found: dict[str, Any]) -> list[int]:
    """The steps whose loss a run has, as they came."""
    history = stack.get("metrics/get-history", run_id=found["info"]["run_id"], metric_key="train/loss")
    return [point["step"] for point in sorted(history["metrics"], key=lambda point: point["timestamp"])]


def tags_of(found: dict[str, Any]) -> dict[str, str]:
    return {row["key"]: row["value"] for row in found["data"]["tags"]}


def test_it_trains_from_a_mounted_folder_and_tells_mlflow_over_the_network(tower: Stack, commit: str) -> None:
    before = time.monotonic()
    tower.compose("run", "--rm", "--no-deps", "-T", "train", env={"MAX_STEPS": "3", "MODEL_NAME": "test-micro"})
    print(f"\nthe tiny model, 3 steps, in a container: {time.monotonic() - before:.0f} s")
    (found,) = runs_of(tower, "test-micro")
    assert found["info"]["status"] == "FINISHED"
    assert tags_of(found)["mlflow.source.git.commit"] == commit
    assert steps_of(tower, found) == [1, 2, 3]
    said = tower.compose("run", "--rm", "--no-deps", "-T", "train", "python", "-c", LOADED)
    assert said.endswith("1\n")


def test_docker_stop_saves_a_checkpoint_and_ends_the_run_as_killed_and_the_same_command_goes_on(tower: Stack) -> None:
    env = {"MAX_STEPS": "100000", "EPOCHS": "10000", "MODEL_NAME": "stopped", "SAVE_EVERY": "5"}
    name = tower.container("stopped")
    running = ("run", "--detach", "--no-deps", "--name", name, "-T", "train")
    tower.compose(*running, env=env)
    until = time.monotonic() + 1200
    while not re.search(r"stopped \d+/", ended("logs", name).stderr):
        assert time.monotonic() < until and run("inspect", "--format", "{{.State.Running}}", name) == "true\n"
        time.sleep(1)
    before = time.monotonic()
    run("stop", "--time", "120", name)
    print(f"\ndocker stop: saved and ended in {time.monotonic() - before:.1f} s")
    assert run("inspect", "--format", "{{.State.ExitCode}}", name) == "130\n"
    said = ended("logs", name).stderr
    run("rm", name)
    step = int(re.findall(r"interrupted after step (\d+) of", said)[0])
    assert [row["info"]["status"] for row in runs_of(tower, "stopped")] == ["KILLED"]
    assert step >= 1 and "run the same command to go on" in said
    tower.compose(*running, env=env)
    while (steps := steps_of(tower, runs_of(tower, "stopped")[0]))[-1] <= step:
        assert time.monotonic() < until, ended("logs", name).stderr
        time.sleep(1)
    assert steps == sorted(set(steps))  # it went on from there, in the same run
    run("rm", "--force", name)


def test_the_database_restarts_during_a_training_and_mlflow_has_all_of_it_once(tower: Stack, tmp_path: Path) -> None:
    steps, name = 1200, tower.container("restarted")
    env = {"MAX_STEPS": str(steps), "EPOCHS": "10000", "MODEL_NAME": "restarted", "SAVE_EVERY": "400"}
    tower.compose("run", "--detach", "--no-deps", "--name", name, "-T", "train", env=env)
    until = time.monotonic() + 1200
    while not re.search(r"restarted [1-9]\d*/", said := ended("logs", name).stderr):
        assert time.monotonic() < until and run("inspect", "--format", "{{.State.Running}}", name) == "true\n", said
        time.sleep(0.5)
    tower.compose("stop", "postgres")
    time.sleep(10)
    tower.compose("start", "postgres")
    before = time.monotonic()
    tower.answers()
    back = time.monotonic() - before
    assert run("inspect", "--format", "{{.State.Running}}", name) == "true\n", "too short a training for this test"
    assert run("wait", name) == "0\n", ended("logs", name).stderr
    run("cp", f"{name}:/models/restarted/events.jsonl", str(tmp_path))
    block = longest_block(tmp_path)
    print(f"\nPostgreSQL stopped for 10 s: longest block {block:.1f} s, MLflow back {back:.1f} s after its start")
    run("rm", name)
    (found,) = runs_of(tower, "restarted")
    assert found["info"]["status"] == "FINISHED"
    told = [row["step"] for row in losses(tmp_path)]
    assert steps_of(tower, found) == told and told[-1] == steps


def tree(folder: Path) -> Path:
    """What the build is given, under another folder, with secrets beside it that it must not take."""
    for name in ("src", "docker", "scripts"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
    for name in (".dockerignore", "Dockerfile.training", "constraints.txt", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    for name in (".env", "secrets/postgres_password", ".git/config", "runs/a/judge.key", "datasets/x.jsonl"):
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_text("canary")
    return folder


def test_after_an_edit_of_the_source_nothing_is_installed_again(training: str, commit: str, tmp_path: Path) -> None:
    def layers(tag: str) -> list[str]:
        found: list[str] = json.loads(run("image", "inspect", "--format", "{{json .RootFS.Layers}}", tag))
        return found

    there, tag = tree(tmp_path), f"{training}:edited"
    with (there / "src" / "sluicegate" / "errors.py").open("a") as source:
        source.write(f"\n# {time.time_ns()}\n")
    before = time.monotonic()
    words = (
        *BUILD,
        *torch_for_cpu(),
        "--file",
        str(there / "Dockerfile.training"),
        "--build-arg",
        f"GIT_COMMIT={commit}",
    )
    run("build", *words, "--tag", tag, str(there))
    print(f"\nrebuilt after an edit of the source in {time.monotonic() - before:.1f} s, load {os.getloadavg()[0]:.1f}")
    old, new = layers(training), layers(tag)
    run("image", "rm", tag)
    same = [one == other for one, other in zip(old, new, strict=True)]
    assert same.count(False) <= 2 and all(same[:-3])  # the package itself, and the folder after it


def test_secrets_beside_the_source_are_not_sent_to_the_engine(engine: str, tmp_path: Path) -> None:
    there = tree(tmp_path)
    (there / "Dockerfile.all").write_text("FROM scratch\nCOPY . /\n")
    out = tmp_path / "sent.tar"
    run("build", "--file", str(there / "Dockerfile.all"), "--output", f"type=tar,dest={out}", str(there))
    with tarfile.open(out) as sent:
        names = {name.split("/")[0] for name in sent.getnames()}
        assert names == {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "src", "scripts", "docker"}


def layer_files(stream: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Every file of every layer of `docker save`, up to a megabyte: libraries are larger, keys are not."""
    with tarfile.open(fileobj=stream, mode="r|") as saved:
        for layer in saved:
            inner = saved.extractfile(layer) if layer.isfile() else None
            if inner is None or layer.name.endswith(".json") or layer.size < 1024:
                continue
            try:
                with tarfile.open(fileobj=inner, mode="r|") as files:
                    for file in files:
                        body = files.extractfile(file) if file.isfile() and file.size <= 1_000_000 else None
                        if body is not None:
                            yield file.name, body.read()
            except tarfile.ReadError:
                continue  # a manifest


def has_key(body: bytes) -> bool:
    return any(mark in body and re.search(pattern, body) for mark, pattern in KEYS.items())


def test_a_key_is_known_as_one() -> None:
    keys = ("hf_" + 34 * "a", "sk-" + 48 * "b", "ghp_" + 36 * "c", "AKIA" + 16 * "D")
    assert all(has_key(f'token = "{key}"'.encode()) for key in keys)
    assert has_key(b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + 40 * b"e")
    assert not any(has_key(text) for text in (b"hf_hub", b"sk-learn", b"-----BEGIN PRIVATE KEY-----", b""))


@pytest.mark.parametrize("which", ["training", "image"])
def test_no_layer_holds_a_secret(which: str, request: pytest.FixtureRequest) -> None:
    tag = request.getfixturevalue(which)
    told = run("history", "--no-trunc", "--format", "{{.CreatedBy}}", tag).lower()
    assert not [word for word in ("password", "token", "api_key", "secret") if word in told]
    found, count = [], 0
    with subprocess.Popen(["docker", "save", tag], stdout=subprocess.PIPE) as saving:
        assert saving.stdout is not None
        for name, body in layer_files(saving.stdout):
            count += 1
            if SECRETIVE.search(name) or has_key(body):
                found.append(name)
    assert count > 1000
    assert [name for name in found if "/site-packages/" not in name] == []
