import errno
import json
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from sluicegate import jsonl
from sluicegate.errors import Interrupted, UserError, UserErrors
from sluicegate.models import causal
from sluicegate.records import Run, Sample, from_json
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.tracking.spool import Spool, curves, read
from sluicegate.train import checkpoint, finish, loop, result, step
from sluicegate.train.loop import train

pytestmark = pytest.mark.torch
Make = Callable[..., TrainSettings]
ADAPTER = "adapter_model.safetensors"


class Seen(Null):
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.curves: dict[str, list[float]] = {}
        self.ended: list[str] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.curves.setdefault(name, []).append(value)

    def end(self, status: str) -> None:
        self.ended.append(status)


def _weights(settings: TrainSettings) -> bytes:
    return (settings.model_dir / ADAPTER).read_bytes()


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _before(monkeypatch: pytest.MonkeyPatch, number: int, do: Callable[[], None]) -> None:
    """Do something in the middle of optimizer step `number`, once."""
    real = step.take
    done: list[int] = []

    def take(training: Any, count: int, *rest: Any, **options: Any) -> Any:
        if count == number and not done:
            done.append(count)
            do()
        return real(training, count, *rest, **options)

    monkeypatch.setattr(loop, "take", take)


def _die() -> NoReturn:
    raise RuntimeError("killed here")


def test_a_training_leaves_a_standard_folder_and_its_figures(make_settings: Make) -> None:
    settings = make_settings(max_steps=30, hf_token="hf_never_written")
    with Spool(settings.model_dir) as spool:
        found = train(settings, spool, arm="control", stage=2, experiment="study")
    assert found == result.read(settings.model_dir)
    assert (found.steps, found.samples, found.dropped, found.epochs) == (30, 20, 0, 6.0)
    assert found.last_loss < 0.8 * found.first_loss
    assert found.sha256 == jsonl.sha256(settings.model_dir / ADAPTER)
    assert not found.loaded_in_4bit and found.peak_vram_gib is None and found.tokens > 0 and found.seconds > 0
    run = from_json(Run, (settings.model_dir / "run.json").read_text())
    assert (run.arm, run.stage, run.name, run.base_model) == ("control", 2, "model", settings.base_model)
    suffixes = {path.suffix for path in settings.model_dir.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".jsonl", ".safetensors"}
    assert all(b"hf_never_written" not in content for content in _files(settings.output_dir).values())


def test_the_spool_tells_the_whole_story(make_settings: Make) -> None:
    settings = make_settings()
    with Spool(settings.model_dir) as spool:
        train(settings, spool)
    events = [event for _, event in read(settings.model_dir / "events.jsonl") if event]
    kinds = [event["kind"] for event in events]
    assert kinds[:4] == ["run", "params", "dataset", "dataset"]
    assert kinds[-1] == "end" and events[-1]["status"] == "FINISHED"
    assert {event["path"] for event in events if event["kind"] == "artifact"} >= {ADAPTER, "result.json", "run.json"}
    found = curves(settings.model_dir / "events.jsonl")
    assert [at for at, _ in found["train/loss"]] == [1, 2, 3, 4, 5, 6]
    assert [at for at, _ in found["val/loss"]] == [3, 6]
    assert set(found) == {f"train/{name}" for name in ("loss", "learning_rate", "grad_norm", "tokens_per_s")} | {
        "val/loss"
    }


def test_the_kept_weights_are_the_best_on_the_validation_file(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses = iter([2.0, 1.0, 3.0])
    monkeypatch.setattr(loop, "validation_loss", lambda *_: next(losses))
    settings = make_settings(max_steps=9)
    found = train(settings, Null())
    assert (found.best_step, found.best_val_loss) == (6, 1.0)
    best = checkpoint.read(settings.model_dir / "checkpoints" / "step-00000006")
    last = checkpoint.read(settings.model_dir / "checkpoints" / "step-00000009")
    from safetensors.torch import load_file

    saved = load_file(settings.model_dir / ADAPTER)
    for name, tensor in saved.items():
        assert torch.equal(tensor, best.weights[name.replace(".weight", ".default.weight")])
    assert any(not torch.equal(part, last.weights[name]) for name, part in best.weights.items())


def test_without_a_validation_file_the_last_weights_are_kept(make_settings: Make) -> None:
    settings = make_settings(val_dataset_path=None)
    found = train(settings, Null())
    assert (found.best_step, found.best_val_loss) == (6, None)
    assert [path.name for path in (settings.model_dir / "checkpoints").iterdir()] == ["step-00000006"]


def test_every_weight_can_be_trained(make_settings: Make) -> None:
    settings = make_settings(lora_r=0)
    found = train(settings, Null())
    assert found.trainable_parameters == found.total_parameters
    assert found.sha256 == jsonl.sha256(settings.model_dir / "model.safetensors")


def test_4_bit_training_learns(make_settings: Make) -> None:
    found = train(make_settings(load_in_4bit="true", max_steps=30), Null())
    assert found.loaded_in_4bit
    assert found.last_loss < 0.8 * found.first_loss


def test_the_tiny_base_is_made_of_the_data_and_shared(make_settings: Make) -> None:
    first = make_settings(base_model="tiny", max_steps=1, model_name="a")
    train(first, Null())
    train(make_settings(base_model="tiny", max_steps=1, model_name="b"), Null())
    (base,) = (first.output_dir / ".bases").iterdir()
    for name in ("a", "b"):
        config = json.loads((first.output_dir / name / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == str(base.resolve())


@pytest.mark.parametrize("at", [2, 4, 6])
@pytest.mark.parametrize("changes", [{}, {"lora_r": 0, "lora_dropout": 0.0}])
def test_a_training_that_died_goes_on_to_the_same_weights(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, at: int, changes: dict[str, Any]
) -> None:
    whole, cut = make_settings(model_name="whole", **changes), make_settings(model_name="cut", **changes)
    wanted = train(whole, Null())
    _before(monkeypatch, at, _die)
    with pytest.raises(RuntimeError, match="killed here"), Spool(cut.model_dir) as spool:
        train(cut, spool)
    with Spool(cut.model_dir) as spool:
        found = train(cut, spool)
    assert found.sha256 == wanted.sha256
    assert (found.first_loss, found.last_loss, found.best_val_loss) == (
        wanted.first_loss, wanted.last_loss, wanted.best_val_loss,
    )  # fmt: skip
    steps = [
        event["step"]
        for _, event in read(cut.model_dir / "events.jsonl")
        if event and "train/loss" in event.get("values", {})
    ]
    assert steps == [1, 2, 3, 4, 5, 6]


def test_a_signal_saves_the_step_and_the_next_start_goes_on(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    whole, cut, seen = make_settings(model_name="whole"), make_settings(model_name="cut"), Seen()
    wanted = train(whole, Null())
    _before(monkeypatch, 2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(Interrupted, match="after step 2 of 6"):
        train(cut, seen)
    assert seen.ended == ["KILLED"]
    assert [path.name for path in (cut.model_dir / "checkpoints").iterdir()] == ["step-00000002"]
    assert train(cut, Null()).sha256 == wanted.sha256


def test_a_signal_during_validation_leaves_it_for_later(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    import os
    import signal

    real = step.validation_loss
    times: list[int] = []

    def validation_loss(*arguments: Any) -> float | None:
        times.append(1)
        if len(times) == 1:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*arguments)

    wanted = train(make_settings(model_name="whole"), Null())
    monkeypatch.setattr(loop, "validation_loss", validation_loss)
    cut = make_settings(model_name="cut")
    with pytest.raises(Interrupted):
        train(cut, Null())
    assert [path.name for path in (cut.model_dir / "checkpoints").iterdir()] == ["step-00000003-unvalidated"]
    found = train(cut, Null())
    assert (found.sha256, found.best_val_loss, found.best_step) == (
        wanted.sha256,
        wanted.best_val_loss,
        wanted.best_step,
    )


def test_a_finished_training_is_not_done_again(make_settings: Make, capsys: pytest.CaptureFixture[str]) -> None:
    settings = make_settings()
    first = train(settings, Null())
    before = _files(settings.output_dir)
    capsys.readouterr()
    seen = Seen()
    assert train(settings, seen) == first
    assert "already trained with these settings" in capsys.readouterr().err
    assert _files(settings.output_dir) == before
    assert not seen.ended


def test_a_kill_behind_the_result_still_ends_the_tracked_run(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    with monkeypatch.context() as patch, Spool(settings.model_dir) as spool, pytest.raises(RuntimeError):
        patch.setattr(Spool, "artifact", lambda *_: _die())
        train(settings, spool)
    for _ in range(2):
        with Spool(settings.model_dir) as spool:
            train(settings, spool)
    events = [event for _, event in read(spool.path) if event]
    assert [event["status"] for event in events if event["kind"] == "end"] == ["FAILED", "FINISHED"]
    assert [event["path"] for event in events if event["kind"] == "artifact"].count(ADAPTER) == 1


def test_a_best_checkpoint_that_was_removed_is_told_of(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, losses = make_settings(save_every=2), iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(loop, "validation_loss", lambda *_: next(losses))
    _before(monkeypatch, 5, _die)
    with pytest.raises(RuntimeError):
        train(settings, Null())
    shutil.rmtree(settings.model_dir / "checkpoints" / "step-00000002")
    capsys.readouterr()
    found = train(settings, Null())
    assert "the best checkpoint (step 2) is gone" in capsys.readouterr().err
    assert (found.best_step, found.best_val_loss) == (6, 3.0)


def test_a_finished_training_is_not_overwritten_by_another(make_settings: Make) -> None:
    settings = make_settings()
    train(settings, Null())
    before = _files(settings.output_dir)
    with pytest.raises(UserErrors, match="holds a finished training with other settings") as fault:
        train(make_settings(learning_rate=1e-4), Null())
    assert "LEARNING_RATE" in str(fault.value) and "MODEL_NAME" in str(fault.value)
    assert _files(settings.output_dir) == before


def test_a_loss_that_is_not_a_number_stops_and_keeps_the_last_checkpoint(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, seen, real = make_settings(), Seen(), step.gradients
    monkeypatch.setattr(
        step,
        "gradients",
        lambda training, examples, at, size: real(training, examples, at, size) * (float("nan") if at == 5 else 1.0),
    )
    with pytest.raises(UserError, match="step 5: the loss is nan"):
        train(settings, seen)
    assert seen.ended == ["FAILED"]
    assert not (settings.model_dir / "result.json").exists()
    newest = checkpoint.newest(settings.model_dir)
    assert newest is not None and checkpoint.read(newest).state.step == 3


def test_a_validation_loss_that_is_not_a_number_stops_too(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter([1.0, float("nan")])
    monkeypatch.setattr(loop, "validation_loss", lambda *_: next(losses))
    settings = make_settings()
    with pytest.raises(UserError, match="step 6: the validation loss is nan"):
        train(settings, Null())
    newest = checkpoint.newest(settings.model_dir)
    assert newest is not None and checkpoint.read(newest).state.step == 3


def test_gradients_that_are_not_finite_stop_too(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    real = step.gradients

    def broken(training: Any, *rest: Any) -> torch.Tensor:
        loss = real(training, *rest)
        next(iter(training.names.values())).grad.fill_(float("inf"))
        return loss

    monkeypatch.setattr(step, "gradients", broken)
    with pytest.raises(UserError, match="step 1: the gradient norm is"):
        train(make_settings(), Null())


def _memory_for(monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
    """Let every micro-batch of more samples run out of memory."""
    real = causal.Causal.batch

    def read(learner: Any, batch: Any, micro_batch: int) -> Any:
        if len(batch) > samples:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(learner, batch, micro_batch)

    monkeypatch.setattr(causal.Causal, "batch", read)


def test_too_little_memory_halves_the_micro_batch_and_keeps_the_losses(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, less = Seen(), Seen()
    train(make_settings(model_name="whole", lora_dropout=0.0), whole)
    _memory_for(monkeypatch, 1)
    settings = make_settings(model_name="less", lora_dropout=0.0)
    train(settings, less)
    assert less.curves["train/loss"] == pytest.approx(whole.curves["train/loss"], rel=1e-4)
    assert less.curves["val/loss"] == pytest.approx(whole.curves["val/loss"], rel=1e-4)
    said = capsys.readouterr().err
    assert said.count("out of memory with a micro-batch of 4: going on with 2") == 1
    assert said.count("out of memory with a micro-batch of 2: going on with 1") == 1
    newest = checkpoint.newest(settings.model_dir)
    assert newest is not None and checkpoint.read(newest).state.micro_batch == 1


def test_memory_for_no_sample_at_all_says_what_to_lower(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    _memory_for(monkeypatch, 0)
    with pytest.raises(UserError, match=r"out of memory with a micro-batch of 1") as fault:
        train(make_settings(), Null())
    assert re.search(r"GiB have room for MAX_SEQ_LENGTH=\d+ \(\d+\.\d\d GiB\)", fault.value.mend)


def test_other_runtime_errors_are_not_taken_for_memory(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causal.Causal, "batch", lambda *_: _die())
    with pytest.raises(RuntimeError, match="killed here"):
        train(make_settings(), Null())


def _cut_off(settings: TrainSettings, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    with monkeypatch.context() as patch:
        _before(patch, at, _die)
        with pytest.raises(RuntimeError):
            train(settings, Null())


def test_a_corrupt_checkpoint_is_named_and_nothing_is_overwritten(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings()
    _cut_off(settings, monkeypatch, 5)
    file = settings.model_dir / "checkpoints" / "step-00000003" / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-3])
    before = _files(settings.output_dir)
    with pytest.raises(UserError, match=f"{file}: corrupt checkpoint"):
        train(settings, Null())
    assert _files(settings.output_dir) == before


def test_without_its_last_checkpoint_it_goes_on_from_the_one_before(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = train(make_settings(model_name="whole", max_steps=8), Null())
    settings = make_settings(max_steps=8)
    losses = iter([1.0, 2.0])
    with monkeypatch.context() as patch:
        patch.setattr(loop, "validation_loss", lambda *_: next(losses))
        _cut_off(settings, patch, 8)
    folder = settings.model_dir / "checkpoints"
    assert sorted(path.name for path in folder.iterdir()) == ["step-00000003", "step-00000006"]
    shutil.rmtree(folder / "step-00000006")
    train(settings, Null())
    assert "going on from step 3 of 8" in capsys.readouterr().err
    last = checkpoint.read(folder / "step-00000008")
    same = checkpoint.read(settings.output_dir / "whole" / "checkpoints" / "step-00000008")
    assert all(torch.equal(last.weights[name], part) for name, part in same.weights.items())
    assert wanted.steps == 8


def test_without_any_checkpoint_it_starts_again(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = train(make_settings(model_name="whole"), Null())
    settings = make_settings()
    _cut_off(settings, monkeypatch, 5)
    shutil.rmtree(settings.model_dir / "checkpoints")
    assert train(settings, Null()).sha256 == wanted.sha256


def test_a_full_disk_at_the_end_loses_nothing(make_settings: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = make_settings()
    with monkeypatch.context() as patch:
        patch.setattr(
            finish, "sha256", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "No space left on device"))
        )
        with pytest.raises(UserError, match="cannot be written"):
            train(settings, Null())
    assert not (settings.model_dir / "result.json").exists()
    assert not (settings.model_dir / finish.SAVING).exists()
    assert train(settings, Null()).steps == 6


def test_a_folder_that_cannot_be_written_to_is_named(make_settings: Make) -> None:
    with pytest.raises(UserError, match=r"/proc/.* cannot be written"):
        train(make_settings(output_dir=Path("/proc/models")), Null())


def test_over_long_samples_are_refused_before_anything_is_written(make_settings: Make) -> None:
    settings = make_settings(max_seq_length=30)
    with pytest.raises(UserError, match="are longer than the window; nothing was trained"):
        train(settings, Null())
    assert not settings.model_dir.exists()


def test_what_a_cut_off_write_left_goes_at_the_end_but_never_what_others_are_writing(
    make_settings: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = make_settings(max_steps=2)
    ours, theirs = (settings.model_dir / name for name in (".result.json.x1.tmp", ".events.sent.json.x2.tmp"))

    def cut_off() -> None:
        ours.write_text("{")
        theirs.write_text("{")

    _before(monkeypatch, 2, cut_off)
    train(settings, Null())
    assert not ours.exists() and theirs.exists()


def test_dropped_samples_are_counted(make_settings: Make, tmp_path: Path) -> None:
    known = [Sample("a", "Write add.\n", "def add(x)"), Sample("long", "Write add. " * 40, "def add(x)")]
    jsonl.write(tmp_path / "some.jsonl", known)
    found = train(make_settings(dataset_path=tmp_path / "some.jsonl", over_long="drop", max_steps=2), Null())
    assert (found.samples, found.dropped) == (1, 1)


def test_an_unknown_base_leaves_nothing_behind(make_settings: Make) -> None:
    settings = make_settings(base_model="/no/such/base")
    with pytest.raises(UserError, match="'/no/such/base': not found"):
        train(settings, Null())
    assert not settings.output_dir.exists()


def test_a_bad_line_in_the_data_is_told_before_anything_is_written(make_settings: Make, tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text('{"prompt": "a"}\n')
    settings = make_settings(val_dataset_path=tmp_path / "bad.jsonl")
    with pytest.raises(UserErrors, match=r"bad\.jsonl"):
        train(settings, Null())
    assert not settings.output_dir.exists()
