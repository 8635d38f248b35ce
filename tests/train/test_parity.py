"""The same model, data, order and rates give the losses of transformers' Trainer and of TRL's SFTTrainer.

The references get the data in the order of our schedule and take it as it comes. Dropout is off: which numbers
it draws is nobody's promise.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import AcceleratorState
from transformers import Trainer, TrainerCallback, TrainingArguments

from sluicegate.data.reader import read_samples
from sluicegate.models import causal
from sluicegate.models.tokens import Tokens, encode
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.train.batches import schedule
from sluicegate.train.loop import train

pytestmark = pytest.mark.torch
STEPS = 20
Make = Callable[..., TrainSettings]


class Losses(Null):
    """A tracker that keeps losses and gradient norms."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        if "train/loss" in values:
            self.losses.append(values["train/loss"])
            self.norms.append(values["train/grad_norm"])


class Kept(TrainerCallback):  # type: ignore[misc]
    """A callback that keeps what the reference logs."""

    def __init__(self) -> None:
        self.logs: list[dict[str, float]] = []

    def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
        if "loss" in logs:
            self.logs.append(logs)


@pytest.fixture(autouse=True)
def own_accelerator() -> Iterator[None]:
    """Accelerate keeps one state a process, and the references set it as they like."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def _settings(make: Make, accumulation: int, folder: Path) -> TrainSettings:
    """Settings for 16 samples: they fill steps of 2 as of 8, so that a pass of the references ends where ours do."""
    data = folder / "train.jsonl"
    lines = make().dataset_path.read_text().splitlines()[:16]
    data.write_text("\n".join(lines) + "\n")
    return make(
        dataset_path=data,
        max_steps=STEPS,
        batch_size=2,
        gradient_accumulation_steps=accumulation,
        lora_dropout=0.0,
        weight_decay=0.1,
        warmup_steps=4,
        save_every=STEPS,
        val_dataset_path=None,
    )


def _in_order(settings: TrainSettings, items: list[Any]) -> list[Any]:
    """Samples as our steps take them."""
    per_step = settings.batch_size * settings.gradient_accumulation_steps
    plan = schedule(len(items), per_step=per_step, epochs=100, max_steps=STEPS, seed=settings.seed)
    return [items[index] for step in range(1, STEPS + 1) for index in plan.indices(step)]


def _arguments(settings: TrainSettings, out: Path) -> dict[str, Any]:
    return {
        "output_dir": str(out),
        "max_steps": STEPS,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "learning_rate": settings.learning_rate,
        "warmup_steps": settings.warmup_steps,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "lr_scheduler_type": "linear",
        "train_sampling_strategy": "sequential",
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
        "seed": settings.seed,
    }


def _ours(settings: TrainSettings) -> Losses:
    told = Losses()
    train(settings, told)
    return told


def _same(told: Losses, kept: Kept) -> None:
    assert len(told.losses) == len(kept.logs) == STEPS
    assert told.losses == pytest.approx([row["loss"] for row in kept.logs], rel=0, abs=1e-4)
    assert told.norms == pytest.approx([row["grad_norm"] for row in kept.logs], rel=1e-3)
    assert told.losses[-1] < 0.9 * told.losses[0]


def _padded(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A reference batch: padded on the right, masked, -100 where no loss is wanted."""
    found = [row["item"] for row in rows]
    width = max(item.tokens for item in found)
    ids = torch.zeros(len(found), width, dtype=torch.long)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for number, item in enumerate(found):
        ids[number, : item.tokens] = torch.tensor(item.ids)
        labels[number, item.prompt : item.tokens] = torch.tensor(item.ids[item.prompt :])
        mask[number, : item.tokens] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


@pytest.mark.parametrize("accumulation", [1, 4])
def test_the_losses_are_those_of_transformers_trainer(make_settings: Make, tmp_path: Path, accumulation: int) -> None:
    settings = _settings(make_settings, accumulation, tmp_path)
    learner = causal.load(settings, settings.base_model, torch.device("cpu"))
    items: list[Tokens] = [encode(learner.tokenizer, sample) for sample in read_samples(settings.dataset_path)]
    kept = Kept()
    trainer = Trainer(
        model=learner.model,
        args=TrainingArguments(**_arguments(settings, tmp_path / "theirs"), remove_unused_columns=False),
        train_dataset=[{"item": item} for item in _in_order(settings, items)],
        data_collator=_padded,
        callbacks=[kept],
    )
    trainer.train()
    _same(_ours(settings), kept)


@pytest.mark.parametrize("accumulation", [1, 4])
def test_the_losses_are_those_of_trl(make_settings: Make, tmp_path: Path, accumulation: int) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    settings = _settings(make_settings, accumulation, tmp_path)
    learner = causal.load(settings, settings.base_model, torch.device("cpu"))
    samples = _in_order(settings, read_samples(settings.dataset_path))
    kept = Kept()
    trainer = SFTTrainer(
        model=learner.model,
        args=SFTConfig(**_arguments(settings, tmp_path / "theirs"), max_length=None, completion_only_loss=True),
        train_dataset=Dataset.from_list([{"prompt": item.prompt, "completion": item.completion} for item in samples]),
        processing_class=learner.tokenizer,
        callbacks=[kept],
    )
    trainer.train()
    _same(_ours(settings), kept)
