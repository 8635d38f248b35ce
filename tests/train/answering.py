"""A small encoder-decoder that has learnt to answer each prompt in two ways, and data that wants one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sluicegate import jsonl
from sluicegate.models import scratch
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.train.loop import train

NAMES = ("web", "api", "db", "cache", "queue", "auth", "mail", "cron")
SHAPE = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 1, "num_heads": 4}
ENDS = ("up", "down")


def sample(number: int, end: str) -> Sample:
    name = NAMES[number % len(NAMES)]
    return Sample(f"s{number}-{end}", f"start {name}\n", f"{name} is {end}", context=f"kind: {name}\n")


def files(folder: Path) -> Path:
    """`both.jsonl` has both answers to each prompt, `up.jsonl` one."""
    numbers = range(len(NAMES))
    jsonl.write(folder / "both.jsonl", [sample(number, end) for number in numbers for end in ENDS])
    jsonl.write(folder / "up.jsonl", [sample(number, "up") for number in numbers])
    return folder


def settings(folder: Path, kind: str, **changes: Any) -> TrainSettings:
    known: dict[str, Any] = {
        "dataset_path": folder / "up.jsonl",
        "val_dataset_path": folder / "up.jsonl",
        "model_kind": kind,
        "base_model": str(folder / kind),
        "batch_size": 16,
        "lora_r": 0,
        "load_in_4bit": "false",
        "max_seq_length": 64,
        "warmup_steps": 2,
        "rl_prompts": 4,
        "rl_samples": 4,
        "rl_batch": 16,
        "rl_max_new_tokens": 12,
        "rl_steps": 6,
        "rl_learning_rate": 1e-4,
        "rl_workers": 1,
        "reward": "exact_match=0.5,token_f1=0.5",
        "save_every": 2,
    }
    return TrainSettings.model_validate(known | changes)


def started(folder: Path, kind: str) -> Path:
    """A finished training on both answers."""
    files(folder)
    texts = scratch.texts_of(jsonl.read(Sample, folder / "both.jsonl"))
    scratch.build(folder / kind, texts, kind=kind, shape=SHAPE, size=320)
    both = folder / "both.jsonl"
    asked = settings(
        folder, kind, dataset_path=both, val_dataset_path=None, output_dir=folder, model_name=f"{kind}-start",
        epochs=1000.0, max_steps=150, learning_rate=5e-3, save_every=150,
    )  # fmt: skip
    train(asked, Null())
    return asked.model_dir
