import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sluicegate.errors import UserError, UserErrors
from sluicegate.records import Run
from sluicegate.settings import TrainSettings
from sluicegate.train import identity

pytestmark = pytest.mark.torch


def _run(settings: TrainSettings, *, processes: int = 1) -> Run:
    base = settings.base_model
    return identity.run_record(
        settings, base=base, base_sha256=identity.base_digest(base), arm="", stage=None, processes=processes
    )


def _begun(settings: TrainSettings) -> Path:
    settings.model_dir.mkdir(parents=True)
    identity.begin(settings.model_dir, _run(settings))
    return settings.model_dir


def test_a_fresh_folder_holds_no_beginning(make_settings: Callable[..., TrainSettings], tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text("")
    assert identity.goes_on(tmp_path, _run(make_settings())) is False


def test_the_same_settings_go_on(make_settings: Callable[..., TrainSettings]) -> None:
    settings = make_settings()
    assert identity.goes_on(_begun(settings), _run(settings)) is True


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"learning_rate": 1e-3}, "LEARNING_RATE"),
        ({"seed": 1}, "SEED"),
        ({"max_steps": None}, "MAX_STEPS"),
        ({"val_dataset_path": None}, "content of VAL_DATASET_PATH"),
    ],
)
def test_every_setting_that_differs_is_named(
    make_settings: Callable[..., TrainSettings], changes: dict[str, Any], named: str
) -> None:
    folder = _begun(make_settings())
    before = (folder / identity.RUN).read_bytes()
    with pytest.raises(UserErrors, match="an unfinished training with other settings; nothing was touched") as fault:
        identity.goes_on(folder, _run(make_settings(**changes, lora_r=8)))
    assert {row.what for row in fault.value.faults} == {named, "LORA_R"}
    assert (folder / identity.RUN).read_bytes() == before


def test_data_may_move_but_not_change(make_settings: Callable[..., TrainSettings], data: Path, tmp_path: Path) -> None:
    folder = _begun(make_settings())
    moved = Path(shutil.copy(data / "train.jsonl", tmp_path / "moved.jsonl"))
    assert identity.goes_on(folder, _run(make_settings(dataset_path=moved)))
    moved.write_text(moved.read_text() + moved.read_text().splitlines()[0].replace('"s0"', '"s99"') + "\n")
    with pytest.raises(UserErrors) as fault:
        identity.goes_on(folder, _run(make_settings(dataset_path=moved)))
    assert [row.what for row in fault.value.faults] == ["content of DATASET_PATH"]


def test_the_base_may_move_but_not_change(
    make_settings: Callable[..., TrainSettings], base: Path, tmp_path: Path
) -> None:
    folder = _begun(make_settings())
    moved = Path(shutil.copytree(base, tmp_path / "moved"))
    assert identity.goes_on(folder, _run(make_settings(base_model=str(moved))))
    (moved / "config.json").write_text("{}")
    with pytest.raises(UserErrors, match="content of BASE_MODEL"):
        identity.goes_on(folder, _run(make_settings(base_model=str(moved))))


def test_a_base_at_the_hub_is_told_by_its_name(make_settings: Callable[..., TrainSettings]) -> None:
    folder = _begun(make_settings(base_model="a/b"))
    assert identity.goes_on(folder, _run(make_settings(base_model="a/b")))
    with pytest.raises(UserErrors, match="BASE_MODEL"):
        identity.goes_on(folder, _run(make_settings(base_model="a/c")))


def test_another_number_of_processes_is_another_training(make_settings: Callable[..., TrainSettings]) -> None:
    folder = _begun(make_settings())
    with pytest.raises(UserErrors, match="PROCESSES"):
        identity.goes_on(folder, _run(make_settings(), processes=2))


@pytest.mark.parametrize("name", ["adapter_config.json", "config.json", "checkpoints"])
def test_somebody_elses_folder_is_left_alone(
    make_settings: Callable[..., TrainSettings], tmp_path: Path, name: str
) -> None:
    (tmp_path / name).write_text("theirs")
    with pytest.raises(UserError, match="no training of ours began"):
        identity.goes_on(tmp_path, _run(make_settings()))


def test_an_unreadable_record_is_named(make_settings: Callable[..., TrainSettings], tmp_path: Path) -> None:
    (tmp_path / identity.RUN).write_text("{}")
    with pytest.raises(UserError, match=r"run\.json: unreadable"):
        identity.goes_on(tmp_path, _run(make_settings()))


def test_the_record_holds_every_setting_but_the_token(make_settings: Callable[..., TrainSettings]) -> None:
    from sluicegate.records import to_json

    settings = make_settings(hf_token="hf_never", mlflow_tracking_uri="https://me:topsecret@host:5000")
    run = _run(settings)
    assert set(settings.public()) <= set(run.settings)
    assert "hf_never" not in to_json(run) and "topsecret" not in to_json(run)
    assert run.settings["mlflow_tracking_uri"] == "https://host:5000"
    assert run.versions["torch"]
