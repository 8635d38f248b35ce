"""What a QLoRA training is loaded as: which precision each weight has, and where it lies."""

import platform
import re
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

import sluicegate
from sluicegate.models import loading
from sluicegate.models.base import find
from sluicegate.models.loading import weights, with_adapters
from sluicegate.settings import TrainSettings

pytestmark = pytest.mark.torch


def test_nothing_of_a_4_bit_base_is_made_float32_and_its_adapters_are(base: Path) -> None:
    source = find(str(base))
    loaded = weights(AutoModelForCausalLM, source, torch.bfloat16, in_4bit=True, device=torch.device("cpu"))
    asked = TrainSettings.model_construct(lora_r=4, lora_alpha=8, lora_dropout=0.0)
    model = with_adapters(loaded, asked, name=source.name)
    frozen = {name: part.dtype for name, part in model.named_parameters() if not part.requires_grad}
    trained = {name: part.dtype for name, part in model.named_parameters() if part.requires_grad}
    assert set(frozen.values()) == {torch.bfloat16, torch.uint8}
    assert model.get_input_embeddings().weight.dtype == model.get_output_embeddings().weight.dtype == torch.bfloat16
    assert all("lora_" in name for name in trained) and set(trained.values()) == {torch.float32}


def test_no_memory_of_the_host_is_pinned() -> None:
    # WSL2 has little of it, and torch tells of its end as CUDA's out of memory.
    source = Path(sluicegate.__file__).parent
    found = {path.name for path in source.rglob("*.py") if re.search(r"pin_memory|cudaHostAlloc", path.read_text())}
    assert found == set()


@pytest.mark.parametrize(
    ("env", "kernel", "grows", "asked"),
    [
        ({}, "6.8.0-generic", True, ["expandable_segments:True"]),
        ({}, "6.6.87.2-microsoft-standard-WSL2", False, []),
        ({"PYTORCH_ALLOC_CONF": "expandable_segments:False"}, "6.8.0-generic", False, []),
        ({"PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True"}, "5.15-microsoft-standard-WSL2", True, []),
        (
            {"PYTORCH_ALLOC_CONF": "max_split_size_mb:64"},
            "6.8.0-generic",
            True,
            ["max_split_size_mb:64,expandable_segments:True"],
        ),
    ],
)
def test_memory_is_taken_in_growing_segments_but_not_under_wsl_nor_against_the_environment(
    monkeypatch: pytest.MonkeyPatch, env: dict[str, str], kernel: str, grows: bool, asked: list[str]
) -> None:
    said: list[str] = []
    for name in ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF"):
        monkeypatch.delenv(name, raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(platform, "release", lambda: kernel)
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", said.append)
    monkeypatch.setattr(torch, "empty", lambda *_, **__: None)
    assert loading.growing() is grows
    assert said == asked


def test_a_torch_or_a_driver_that_knows_no_such_segments_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("Unrecognized CachingAllocator option")

    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "release", lambda: "6.8.0-generic")
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", refuse)
    assert not loading.growing()
    monkeypatch.setattr(torch._C, "_accelerator_setAllocatorSettings", said.append)
    monkeypatch.setattr(torch, "empty", refuse)
    assert not loading.growing()
    assert said == ["expandable_segments:True", "expandable_segments:False"]
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert not loading.growing()
