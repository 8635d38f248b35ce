from __future__ import annotations

import dataclasses
import os
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = [pytest.mark.torch, pytest.mark.process]
mlflow = pytest.importorskip("mlflow")

from sluicegate.errors import UserError  # noqa: E402
from sluicegate.generate import Request, generate, registry  # noqa: E402


@dataclass(frozen=True)
class Store:
    uri: str
    run: str
    client: Any


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A SQLite store: a run with the model at arms/little and notes beside it; `demo` with versions 1 and 2."""
    where = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{where / 'mlflow.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)
    experiment = client.create_experiment("e", artifact_location=(where / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    client.log_artifacts(run, str(folder), "arms/little")
    client.log_text(run, "nothing to load", "notes/readme.txt")
    client.create_registered_model("demo")
    for _ in range(2):
        client.create_model_version("demo", source=f"runs:/{run}/arms/little", run_id=run)
    client.set_registered_model_alias("demo", "best", "1")
    return Store(uri, run, client)


@pytest.fixture
def request_(store: Store, data: Path, tmp_path: Path) -> Request:
    return Request(
        model=f"runs:/{store.run}/arms/little", name="little", data=data, out=tmp_path / "out.jsonl", limit=2,
        max_new_tokens=5, tracking_uri=store.uri, load_in_4bit="false",
    )  # fmt: skip


def test_a_logged_folder_answers_as_the_folder_does(request_: Request, folder: Path) -> None:
    assert generate(request_) == 2
    plain = dataclasses.replace(request_, model=str(folder), out=request_.out.with_name("plain.jsonl"))
    generate(plain)
    texts = [[line.split('"seconds"')[0] for line in r.out.read_text().splitlines()] for r in (request_, plain)]
    assert texts[0] == texts[1]


def test_what_was_brought_is_not_brought_again(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    generate(dataclasses.replace(request_, limit=1))

    def refuse(*_: Any) -> None:
        raise AssertionError("downloaded again")

    monkeypatch.setattr(registry, "_download", refuse)
    assert generate(request_) == 2


@pytest.mark.parametrize("asked", ["models:/demo/1", "models:/demo@best", "models:/demo/latest"])
def test_registered_models(request_: Request, asked: str) -> None:
    assert generate(dataclasses.replace(request_, model=asked)) == 2
    sidecar = Path(f"{request_.out}.request.json").read_text()
    assert f'"models:/demo/{2 if "latest" in asked else 1}"' in sidecar


def test_an_alias_that_moved_is_another_model(request_: Request, store: Store) -> None:
    store.client.set_registered_model_alias("demo", "moving", "1")
    moving = dataclasses.replace(request_, model="models:/demo@moving")
    generate(dataclasses.replace(moving, limit=1))
    store.client.set_registered_model_alias("demo", "moving", "2")
    with pytest.raises(UserError, match="other settings: model"):
        generate(moving)


@pytest.mark.parametrize(
    "asked",
    ["runs:/0123456789abcdef0123456789abcdef/arms", "models:/demo/99", "models:/nobody/1", "models:/demo@worst",
     "models:/nobody/latest", "models:/demo", "models:/demo/Production", "runs:", "models:/no'body/latest"],
)  # fmt: skip
def test_what_mlflow_does_not_have(request_: Request, asked: str) -> None:
    with pytest.raises(UserError, match="model "):
        generate(dataclasses.replace(request_, model=asked))
    assert not request_.out.exists()


def test_a_path_without_a_model_and_a_run_with_one_inside(request_: Request, store: Store) -> None:
    with pytest.raises(UserError, match="holds no model"):
        generate(dataclasses.replace(request_, model=f"runs:/{store.run}/notes"))
    with pytest.raises(UserError):
        generate(dataclasses.replace(request_, model=f"runs:/{store.run}/nowhere"))
    assert generate(dataclasses.replace(request_, model=f"runs:/{store.run}/")) == 2


def test_several_models_under_one_path(request_: Request, store: Store, folder: Path) -> None:
    run = store.client.create_run(store.client.get_run(store.run).info.experiment_id).info.run_id
    for name in ("a", "b"):
        store.client.log_artifact(run, str(folder / "config.json"), f"both/{name}")
    with pytest.raises(UserError, match="which model") as caught:
        generate(dataclasses.replace(request_, model=f"runs:/{run}/both"))
    assert caught.value.seen == "both/a, both/b"


def test_a_dead_server_is_told_of_and_the_environment_is_left_alone(request_: Request) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    before = dict(os.environ)
    for model in ("runs:/abc/x", "models:/demo@best"):
        with pytest.raises(UserError, match="cannot be reached"):
            generate(dataclasses.replace(request_, model=model, tracking_uri=f"http://127.0.0.1:{port}"))
    assert dict(os.environ) == before


def test_a_missing_store_is_not_made(request_: Request, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="not found"):
        generate(dataclasses.replace(request_, tracking_uri=None))
    assert not (tmp_path / "runs").exists()


def test_half_a_download_is_not_taken_for_a_model(request_: Request, monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry._download

    def cut(uri: str, tracking_uri: str | None, into: Path) -> None:
        real(uri, tracking_uri, into)
        for path in into.rglob("model.safetensors"):
            path.unlink()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(registry, "_download", cut)
    with pytest.raises(UserError, match="cannot be written"):
        generate(request_)
    monkeypatch.undo()
    assert generate(request_) == 2
    shutil.rmtree(request_.out.parent / ".models")
