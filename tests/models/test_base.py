import time
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sluicegate.errors import UserError
from sluicegate.models.base import find, readable

pytestmark = pytest.mark.torch
TOKEN = "hf_this_must_never_be_shown"


def _unreachable(*_: Any, **__: Any) -> NoReturn:
    raise ConnectionError("no route to host")


def test_a_folder_is_found_where_it_lies(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(base.parent)
    source = find(base.name, token=TOKEN)
    assert source.name == str(base)
    assert TOKEN not in str(source)


@pytest.mark.parametrize("name", ["/no/such/folder", "no/such/folder", "../nowhere"])
def test_a_missing_folder_is_said_to_be_missing(name: str) -> None:
    with pytest.raises(UserError) as fault:
        find(name)
    assert fault.value.seen == "no such folder"


def test_a_folder_without_a_model_is_said_to_be_one(tmp_path: Path) -> None:
    with pytest.raises(UserError) as fault:
        find(str(tmp_path))
    assert fault.value.seen == "a folder without config.json"


def test_a_hub_that_cannot_be_reached_is_named_at_once_without_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", _unreachable)
    started = time.monotonic()
    with pytest.raises(UserError) as fault:
        find("somebody/some-model", token=TOKEN)
    assert "no hub is reached" in fault.value.seen or "cannot be reached" in fault.value.seen
    assert TOKEN not in str(fault.value)
    assert time.monotonic() - started < 10


def test_the_hub_is_asked_with_a_time_limit_and_the_token(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}
    monkeypatch.setattr(
        "huggingface_hub.HfApi.model_info", lambda _self, name, **options: asked.update(options, name=name)
    )
    source = find("somebody/some-model", token=TOKEN)
    assert asked == {"name": "somebody/some-model", "timeout": 5.0, "token": TOKEN}
    assert source.options["token"] == TOKEN
    assert source.options["trust_remote_code"] is False


def test_what_the_cache_holds_is_used_without_asking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held = {"config.json", "model.safetensors"}
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda _name, file: str(tmp_path / file) if file in held else None
    )
    monkeypatch.setattr("huggingface_hub.HfApi.model_info", _unreachable)
    assert find("somebody/some-model").options["local_files_only"] is True


def test_loading_faults_are_told_and_bugs_are_not_hidden() -> None:
    with pytest.raises(UserError, match="cannot be loaded"), readable("x"):
        raise OSError("x does not appear to have a file named pytorch_model.bin")
    with pytest.raises(AttributeError), readable("x"):
        raise AttributeError("ours")
