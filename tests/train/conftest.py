"""A base small enough to train in a moment, data for it, and settings that use both."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sluicegate import jsonl
from sluicegate.models import tiny
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
}
NAMES = ("add", "double", "first", "is_even", "last", "negate", "square", "total")


def samples(count: int, *, start: int = 0) -> list[Sample]:
    return [
        Sample(
            f"s{number}",
            f"Write {NAMES[number % 8]}_{number}" + " of several numbers" * (number % 3) + ".\n",
            f"def {NAMES[number % 8]}_{number}(x):\n    return x + {number}\n" + "    # done\n" * (number % 4),
        )
        for number in range(start, start + count)
    ]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    texts = tiny.texts_of(samples(40))
    return tiny.build(tmp_path_factory.mktemp("base") / "small", texts, shape=SMALL)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    jsonl.write(folder / "train.jsonl", samples(20))
    jsonl.write(folder / "val.jsonl", samples(5, start=20))
    return folder


@pytest.fixture
def make_settings(base: Path, data: Path, tmp_path: Path) -> Callable[..., TrainSettings]:
    def make(**changes: object) -> TrainSettings:
        known = {
            "dataset_path": data / "train.jsonl",
            "val_dataset_path": data / "val.jsonl",
            "base_model": str(base),
            "output_dir": tmp_path / "models",
            "batch_size": 4,
            "epochs": 100.0,
            "max_steps": 6,
            "learning_rate": 5e-3,
            "warmup_steps": 2,
            "max_seq_length": 128,
            "load_in_4bit": "false",
            "lora_r": 4,
            "save_every": 3,
        }
        return TrainSettings.model_validate(known | changes)

    return make
