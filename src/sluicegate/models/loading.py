"""What the loaders of all kinds share: tokenizer, 4-bit weights, adapters, memory at hand, a trained folder's base."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import torch

from sluicegate.errors import UserError
from sluicegate.jsonl import read_text
from sluicegate.models.base import Source, quiet, readable
from sluicegate.models.memory import GIB, Size, filled_gib
from sluicegate.settings import TrainSettings


def here() -> torch.device:
    """The GPU where there is one, else the CPU."""
    gpu = torch.cuda.is_available()
    return torch.device("cuda", torch.cuda.current_device()) if gpu else torch.device("cpu")


def growing() -> bool:
    """Take a GPU's memory from now on in segments that grow, which leaves few holes; returns whether that holds.

    Not under WSL, whose drivers refuse them (pytorch/pytorch#192330), nor where the environment says otherwise.
    """
    asked = os.environ.get("PYTORCH_ALLOC_CONF") or os.environ.get("PYTORCH_CUDA_ALLOC_CONF") or ""
    if "expandable_segments" in asked:
        return "expandable_segments:true" in asked.lower()
    if platform.system() != "Linux" or "microsoft" in platform.release().lower():
        return False
    rest = [asked] if asked else []  # what is not named is set back
    try:
        torch._C._accelerator_setAllocatorSettings(",".join([*rest, "expandable_segments:True"]))
        torch.empty(1, device="cuda")
    except (AttributeError, RuntimeError):
        with contextlib.suppress(AttributeError, RuntimeError):
            torch._C._accelerator_setAllocatorSettings(",".join([*rest, "expandable_segments:False"]))
        return False
    return True


def moved(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """What of a batch is a tensor on the device; what is not stays. It does not wait for the copies."""
    return {
        name: part.to(device, non_blocking=True) if isinstance(part, torch.Tensor) else part
        for name, part in batch.items()
    }


def size_of(model: Any) -> Size:
    """The shape of a model, counted on one that may have no weights."""
    head, text = model.get_output_embeddings(), model.config.get_text_config()
    linears = [part for part in model.modules() if isinstance(part, torch.nn.Linear) and part is not head]
    return Size(
        parameters=sum(part.numel() for part in model.parameters()),
        linear=sum(part.weight.numel() for part in linears),
        rows_and_columns=sum(part.in_features + part.out_features for part in linears),
        layers=int(getattr(text, "num_hidden_layers", 1)),
        width=int(getattr(text, "hidden_size", 1)),
        widest=max((part.out_features for part in linears), default=0),
        vocabulary=int(text.vocab_size),
    )


def base_of(folder: Path) -> str:
    """The base that an adapter's folder names; empty for anything else."""
    config = folder / "adapter_config.json"
    if not config.is_file():
        return ""
    try:
        return str(json.loads(read_text(config))["base_model_name_or_path"])
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{config}: unreadable", wanted="JSON with base_model_name_or_path") from None


def trained_in_4bit(folder: Path) -> bool | None:
    """What the training's own result says, where there is one beside the weights."""
    path = folder / "result.json"
    try:
        found = json.loads(path.read_text("utf-8"))["loaded_in_4bit"] if path.is_file() else None
    except (ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, bool) else None


def free_gib(device: torch.device) -> float:
    """Free memory of the device, in GiB."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0]) / GIB
    return float(psutil.virtual_memory().available) / GIB


def room_gib(settings: TrainSettings, device: torch.device) -> float:
    """What a training in this process may take of the device's memory, in GiB: what is free, and what it has."""
    if device.type == "cuda":
        return filled_gib(settings, free_gib(device) + torch.cuda.memory_reserved(device) / GIB)
    return free_gib(device) + psutil.Process().memory_info().rss / GIB


def tokenizer_of(source: Source) -> Any:
    """The base's tokenizer; where it has no padding token, its end-of-sequence token stands in.

    The embedding is not resized for a new token: padding is never seen and never a target, so any token does.
    """
    from transformers import AutoTokenizer

    with readable(source.name):
        tokenizer = AutoTokenizer.from_pretrained(source.name, **source.options)
    if tokenizer.eos_token_id is None:
        raise UserError(
            f"BASE_MODEL {source.name!r}: its tokenizer has no end-of-sequence token",
            wanted="a tokenizer with eos_token, which every completion must end with",
            seen=f"{type(tokenizer).__name__} without one",
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def weights(
    auto: Any,
    source: Source,
    dtype: torch.dtype,
    *,
    in_4bit: bool,
    device: torch.device,
    wanted: str = "a causal language model",
    **more: Any,
) -> Any:
    """The model with its weights, on the device.

    Args:
        auto: transformers' class whose `from_pretrained` makes such models.
        source: where it lies.
        dtype: of the weights, or of the products with 4-bit ones.
        in_4bit: NF4 with double quantisation.
        device: where it goes.
        wanted: what is looked for, for messages.
        more: for `from_pretrained`.
    """
    from transformers import BitsAndBytesConfig

    options = source.options | more
    if in_4bit:
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )
    where = {"": device} if device.type == "cuda" or in_4bit else None
    with readable(source.name, wanted=wanted):
        model = auto.from_pretrained(source.name, dtype=dtype, device_map=where, **options)
    if in_4bit and device.type == "cpu":
        _keep_weights_unpacked(model[0] if isinstance(model, tuple) else model)
    return model


def _keep_weights_unpacked(model: Any) -> None:
    """Forbid bitsandbytes to repack 4-bit weights on CPUs with AVX512-BF16.

    It does so in the first forward in evaluation mode, and gradients through repacked weights are exactly 0.
    Source: bitsandbytes 0.50.2, `Linear4bit.forward`.
    """
    from bitsandbytes.nn import Linear4bit

    for part in model.modules():
        if isinstance(part, Linear4bit):
            part.support_avx512bf16_for_cpu = False


def with_adapters(model: Any, settings: TrainSettings, *, name: str, task: str = "CAUSAL_LM") -> Any:
    """The model frozen, with LoRA on every linear layer but the head.

    `prepare_model_for_kbit_training` is not used: it makes embedding, head and norms fp32. The first two take
    Llama-3-8B from 6.3 to 8.4 GiB. A frozen norm's weight is bf16 by origin, and its product with a bf16 activation is
    rounded to bf16 before the next product either way, so fp32 norms change no bit and double the activations.
    Adapters are fp32, as peft makes them: in bf16 many updates are lost to rounding, and losses end higher by more than
    seeds lie apart (`benchmarks/qlora_h200.py --only adapters`; docs/performance.md has the figures).

    Args:
        model: with its weights.
        settings: LORA_R, LORA_ALPHA and LORA_DROPOUT are read.
        name: the base's, which the adapter's folder will tell.
        task: peft's name of what the model does.
    """
    with quiet():
        from peft import LoraConfig, get_peft_model

    for part in model.parameters():
        part.requires_grad_(False)
    model.enable_input_require_grads()
    config = LoraConfig(
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules="all-linear",
        bias="none",
        task_type=task,
    )
    with quiet():
        adapted = get_peft_model(model, config)
    adapted.peft_config["default"].base_model_name_or_path = name
    return adapted
