from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from sluicegate.errors import UserError
from sluicegate.train import checkpoint
from sluicegate.train.checkpoint import MOMENTS, STATE, WEIGHTS, State

pytestmark = pytest.mark.torch


def _tensors(value: float) -> dict[str, torch.Tensor]:
    return {"a": torch.full((3, 2), value), "b": torch.tensor([value, -0.0, 1e-45])}


def _save(folder: Path, step: int, **figures: Any) -> State:
    state = State(step, 4, **figures)
    checkpoint.save(folder, state, _tensors(step), _tensors(-step))
    return state


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / checkpoint.FOLDER).iterdir())


def test_what_is_saved_is_read_again_to_the_bit(tmp_path: Path) -> None:
    state = _save(tmp_path, 7, tokens=123, seconds=0.1 + 0.2, best_val_loss=1 / 3, best_step=7)
    path = checkpoint.newest(tmp_path)
    assert path is not None
    found = checkpoint.read(path)
    assert found.state == state
    assert all(torch.equal(found.weights[name], part) for name, part in _tensors(7).items())
    assert all(torch.equal(found.moments[name], part) for name, part in _tensors(-7).items())


def test_only_safetensors_and_json_are_written(tmp_path: Path) -> None:
    _save(tmp_path, 7)
    assert {path.suffix for path in tmp_path.rglob("*") if path.is_file()} == {".safetensors", ".json"}


def test_the_last_and_the_best_are_kept(tmp_path: Path) -> None:
    for step, best in ((3, 3), (6, 6), (9, 6), (12, 6)):
        state = _save(tmp_path, step, best_step=best)
    assert _names(tmp_path) == ["step-00000006", "step-00000012"]
    newest, best_path = checkpoint.newest(tmp_path), checkpoint.best(tmp_path, state)
    assert newest is not None and newest.name == "step-00000012"
    assert best_path is not None and best_path.name == "step-00000006"


def test_a_validated_checkpoint_is_newer_than_the_same_step_without(tmp_path: Path) -> None:
    state = _save(tmp_path, 3, validated=False)
    assert _names(tmp_path) == ["step-00000003-unvalidated"]
    assert checkpoint.best(tmp_path, state) is None
    checkpoint.save(tmp_path, replace(state, validated=True, best_step=3), _tensors(3), _tensors(-3))
    assert _names(tmp_path) == ["step-00000003"]


def test_remains_of_a_killed_save_do_not_count_and_go(tmp_path: Path) -> None:
    _save(tmp_path, 3)
    (tmp_path / checkpoint.FOLDER / ".step-00000006.tmp").mkdir()
    newest = checkpoint.newest(tmp_path)
    assert newest is not None and newest.name == "step-00000003"
    _save(tmp_path, 6)
    assert _names(tmp_path) == ["step-00000006"]


def test_a_folder_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert checkpoint.newest(tmp_path) is None


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


@pytest.mark.parametrize("harm", [_flip, _cut, Path.unlink])
@pytest.mark.parametrize("name", [WEIGHTS, MOMENTS, STATE])
def test_a_damaged_file_is_named_and_left_as_it_is(tmp_path: Path, harm: Callable[[Path], None], name: str) -> None:
    _save(tmp_path, 3)
    path = checkpoint.newest(tmp_path)
    assert path is not None
    harm(path / name)
    before = {file: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(UserError) as fault:
        checkpoint.read(path)
    assert f"{path / name}: corrupt checkpoint" in fault.value.what
    assert f"rm -r {path}" in fault.value.mend
    assert {file: file.read_bytes() for file in path.iterdir()} == before


def test_a_full_disk_leaves_the_checkpoint_of_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from safetensors import SafetensorError

    def full(*_: Any, **__: Any) -> NoReturn:
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")

    _save(tmp_path, 3)
    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(UserError, match="cannot be written") as fault:
        _save(tmp_path, 6)
    assert "No space left" in fault.value.seen
    assert _names(tmp_path) == ["step-00000003"]
