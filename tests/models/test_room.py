"""What is said of a training that does not fit: settings that by the forecast do, and nothing that does not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sluicegate.models import memory, pair_memory
from sluicegate.models.memory import Size
from sluicegate.models.pair_memory import PairSize
from sluicegate.models.room import what_fits
from sluicegate.settings import TrainSettings

CODET5 = PairSize(222_882_048, 198_180_864, 1_000_000, 24, 768, 3072, 32_100, writers=12, heads=12, sources=1)
LLAMA = Size(8_030_261_248, 6_979_321_856, 2_621_440, 32, 4096, 14336, 128_256)
NAMED = re.compile(r"(?:LORA_R=(\d+) )?(LOAD_IN_4BIT=true )?MAX_SEQ_LENGTH=(\d+) \(([\d.]+) GiB\)")


@pytest.fixture
def settings(tmp_path: Path) -> Any:
    (tmp_path / "train.jsonl").touch()

    def made(**changes: object) -> TrainSettings:
        known = {"dataset_path": tmp_path / "train.jsonl", "model_kind": "seq2seq", "batch_size": 8}
        return TrainSettings.model_validate(known | changes)

    return made


@pytest.mark.parametrize(
    ("size", "room_gib"), [(CODET5, 4.5), (CODET5, 1.5), (CODET5, 0.6), (LLAMA, 20.0), (LLAMA, 9.0)]
)
def test_what_is_named_fits_by_the_forecast_and_twice_the_window_does_not(
    settings: Any, size: Size, room_gib: float
) -> None:
    asked = settings(model_kind="seq2seq" if isinstance(size, PairSize) else "causal", max_seq_length=2048, lora_r=0)
    told = what_fits(size, asked, in_4bit=False, gpu=True, room_gib=room_gib)
    found = NAMED.findall(told)
    assert f"{room_gib:.2f} GiB have room for" in told and found
    forecast: Any = pair_memory.forecast_gib if isinstance(size, PairSize) else memory.forecast_gib
    for rank, four_bit, window, said in found:
        less = asked.model_copy(update={"lora_r": int(rank or 0), "batch_size": 1})
        options = {"in_4bit": bool(four_bit), "gpu": True}
        gib = forecast(size, less, window=int(window), **options)
        assert gib <= room_gib and said == f"{gib:.2f}"
        assert int(window) * 2 > 2048 or forecast(size, less, window=2 * int(window), **options) > room_gib


def test_a_training_through_adapters_is_not_told_of_adapters(settings: Any) -> None:
    asked = settings(model_kind="causal", max_seq_length=2048, lora_r=16)
    told = what_fits(LLAMA, asked, in_4bit=False, gpu=True, room_gib=12.0)
    assert "LORA_R" not in told and "LOAD_IN_4BIT=true MAX_SEQ_LENGTH=2048" in told


def test_the_window_that_did_not_fit_is_not_named_again(settings: Any) -> None:
    told = what_fits(CODET5, settings(max_seq_length=512), in_4bit=False, gpu=True, room_gib=80.0)
    assert [row[2] for row in NAMED.findall(told)] == ["256", "512", "512"]


def test_where_nothing_fits_it_says_how_much_is_lacking(settings: Any) -> None:
    told = what_fits(LLAMA, settings(model_kind="causal", lora_r=16), in_4bit=True, gpu=True, room_gib=2.0)
    assert re.search(r"a smaller BASE_MODEL, or more memory: .* takes [5-8]\.\d\d GiB at least, of 2.00", told)
