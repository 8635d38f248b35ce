"""Samples whose answers need both inputs, and bases of encoder-decoders small enough to train in a moment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sluicegate.models import scratch
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

SMALL = {"d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4}
WORDS = ("web", "api", "db", "cache")


def samples(count: int = 32) -> list[Sample]:
    return [_sample(number) for number in range(count)]


def _sample(number: int) -> Sample:
    asked, lent = WORDS[number % 4], WORDS[number // 4 % 4]
    context = f"kind: Pod\nmetadata:\n  app: {lent}\n" if number % 5 else ""
    return Sample(
        f"s{number}", f"name it {asked}", f"kind: Pod\nmetadata:\n  name: {asked}\n  app: {lent}\n", context=context
    )


def base(folder: Path, kind: str, **choices: str) -> Path:
    texts = scratch.texts_of(samples())
    return scratch.build(folder / f"{kind}-base", texts, kind=kind, shape=SMALL, size=320, choices=choices)


def settings(folder: Path, kind: str, **changes: Any) -> TrainSettings:
    data = folder / "train.jsonl"
    data.touch()
    known = {"dataset_path": data, "model_kind": kind, "batch_size": 8, "max_seq_length": 64, "load_in_4bit": "false"}
    return TrainSettings.model_validate(known | changes)
