"""The environment contract: all faults at once, nothing secret shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluicegate.errors import UserErrors
from sluicegate.settings import TrainSettings, load_train_settings


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment with nothing of ours but a data set."""
    for name in TrainSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    data = tmp_path / "train.jsonl"
    data.write_text('{"prompt": "p", "completion": "c"}\n')
    monkeypatch.setenv("DATASET_PATH", str(data))
    return data


def test_what_users_type_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = {"EPOCHS": "3", "MAX_STEPS": "10", "BATCH_SIZE": "1", "MODEL_NAME": "test-micro", "LOAD_IN_4BIT": "True",
             "MLFLOW_TRACKING_URI": "http://server:5000", "LEARNING_RATE": "2e-4"}  # fmt: skip
    for name, value in typed.items():
        monkeypatch.setenv(name, value)
    settings = load_train_settings()
    assert (settings.epochs, settings.max_steps, settings.batch_size) == (3.0, 10, 1)
    assert settings.model_dir == Path("models/test-micro")
    assert settings.load_in_4bit == "true"


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EPOCHS", "")
    monkeypatch.setenv("VAL_DATASET_PATH", "")
    settings = load_train_settings()
    assert settings.epochs == TrainSettings.model_fields["epochs"].default
    assert settings.val_dataset_path is None


WRONG = {
    "DATASET_PATH": "/no/such/file.jsonl",
    "EPOCHS": "-1",
    "MAX_STEPS": "0",
    "BATCH_SIZE": "many",
    "MODEL_NAME": "../escape",
    "LEARNING_RATE": "nan",
    "LOAD_IN_4BIT": "maybe",
    "LORA_DROPOUT": "1.0",
    "MODEL_KIND": "diffusion",
    "SEED": "-3",
    "MAX_SEQ_LENGTH": "2",
}


def test_all_faults_come_in_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in WRONG.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserErrors) as caught:
        load_train_settings()
    assert {fault.what for fault in caught.value.faults} == set(WRONG)
    for fault in caught.value.faults:
        assert fault.wanted
        assert WRONG[fault.what] in fault.seen


@pytest.mark.parametrize(("name", "value"), WRONG.items())
def test_each_fault_alone_is_one_fault(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserErrors) as caught:
        load_train_settings()
    assert [fault.what for fault in caught.value.faults] == [name]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "9" * 400) for name in ("MAX_STEPS", "WARMUP_STEPS", "MAX_SEQ_LENGTH", "LORA_ALPHA", "SAVE_EVERY",
                                         "RL_STEPS", "RL_MAX_NEW_TOKENS", "SELECT_SAMPLES")),
        *(("MODEL_NAME", name) for name in ("\n", " ", "a\nb", "\udcff", "x ")),
    ],
)  # fmt: skip
def test_what_no_training_could_use_is_a_fault(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(UserErrors) as caught:
        load_train_settings()
    assert [fault.what for fault in caught.value.faults] == [name]


def test_a_slip_in_a_required_name_is_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATASET_PATH")
    monkeypatch.setenv("DATASET_PAHT", "x")
    with pytest.raises(UserErrors, match="DATASET_PAHT is set"):
        load_train_settings()


def test_the_token_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_topsecret")
    monkeypatch.setenv("EPOCHS", "-1")
    with pytest.raises(UserErrors) as caught:
        load_train_settings()
    assert "topsecret" not in str(caught.value)
    monkeypatch.delenv("EPOCHS")
    settings = load_train_settings()
    assert "topsecret" not in f"{settings!r} {settings} {settings.public()} {settings.model_dump_json()}"
    assert settings.hf_token is not None
    assert settings.hf_token.get_secret_value() == "hf_topsecret"


def test_every_setting_says_what_it_is_and_what_is_wanted() -> None:
    for name, field in TrainSettings.model_fields.items():
        assert field.description, name
        assert isinstance(field.json_schema_extra, dict), name
        assert field.json_schema_extra["wanted"], name
