"""Where a training starts: its base, or the weights of a finished training that it goes on from (INIT_FROM).

The optimizer is new either way. A finished training that was made through adapters is gone on with through adapters of
the same shape, on the same base.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import read_text
from sluicegate.models import kind
from sluicegate.records import Run, Sample, digest, from_json
from sluicegate.settings import TrainSettings
from sluicegate.train import identity, result
from sluicegate.train.selection import LOSS, selected_by

ADAPTER = "adapter_model.safetensors"
ENCODER_DECODERS = ("seq2seq", "dual")
"""Kinds whose answers can be drawn and scored while they are trained."""


def refuse_unfit(settings: TrainSettings, processes: int, *, sharded: bool = False) -> None:
    """Refuse settings that do not go together, all faults at once.

    Args:
        settings: of the training.
        processes: that train together.
        sharded: whether each of them is to hold a part of the model only.

    Raises:
        UserErrors: each with what would go.
    """
    learns, select = settings.method != "supervised", selected_by(settings)
    answers = learns or select != LOSS
    rows = [
        (learns and settings.init_from is None, "INIT_FROM", "the folder of a finished training", "unset"),
        (learns and settings.steps_like_rl, "STEPS_LIKE_RL", "METHOD=supervised", f"METHOD={settings.method}"),
        (learns and processes > 1, "METHOD", "one process", f"{settings.method} on {processes}"),
        (answers and settings.val_dataset_path is None, "VAL_DATASET_PATH",
         "a file to choose the best checkpoint by", "unset"),
        (answers and settings.model_kind not in ENCODER_DECODERS, "MODEL_KIND",
         f"{' or '.join(ENCODER_DECODERS)}, for METHOD={settings.method} and SELECT_BY={select}",
         settings.model_kind),
        (sharded and settings.load_in_4bit == "true", "LOAD_IN_4BIT",
         "auto or false: 4-bit weights cannot be cut into parts (accelerate launch --multi_gpu trains on them whole)",
         "true with --use_fsdp"),
        (sharded and select != LOSS, "SELECT_BY", "loss: no process can draw answers alone",
         f"{select} with --use_fsdp"),
        (sharded and settings.compile == "true", "COMPILE", "auto or false", "true with --use_fsdp"),
        (sharded and settings.vram_limit_gb is not None, "VRAM_LIMIT_GB", "unset: no limit is kept",
         f"{settings.vram_limit_gb} with --use_fsdp"),
    ]  # fmt: skip
    faults = [UserError(name, wanted=wanted, seen=seen) for wrong, name, wanted, seen in rows if wrong]
    if faults:
        raise UserErrors(f"{len(faults)} setting(s) do not go together; nothing was written", faults)


def base_of(settings: TrainSettings, samples: Sequence[Sample]) -> str:
    """The base's absolute folder or hub name; `tiny` is made of `samples`, beside the models.

    Raises:
        UserError: INIT_FROM is not the folder of a finished training of MODEL_KIND.
    """
    if settings.init_from is not None:
        before = _before(settings.init_from.resolve(), settings)
        return before.base_model if _adapted(settings) else str(settings.init_from.resolve())
    if settings.base_model == "tiny":
        return str(kind(settings.model_kind).tiny_base(settings.output_dir / ".bases", samples))
    folder = Path(settings.base_model).expanduser()
    return str(folder.resolve()) if folder.is_dir() else settings.base_model


def digest_of(settings: TrainSettings, base: str) -> str:
    """Digest of all that the weights are made of at the start; empty for a hub name."""
    own = identity.base_digest(base)
    return digest([own, identity.base_digest(str(settings.init_from))]) if _adapted(settings) else own


def _adapted(settings: TrainSettings) -> bool:
    """Whether what is gone on from is an adapter, which needs its base besides."""
    return settings.init_from is not None and (settings.init_from / ADAPTER).exists()


def _before(folder: Path, settings: TrainSettings) -> Run:
    """The record of the training that is gone on from."""
    if result.read(folder) is None or not (folder / identity.RUN).exists():
        raise UserError(
            f"INIT_FROM {folder}: no finished training",
            wanted=f"a model folder with {identity.RUN} and {result.RESULT}",
            seen="neither" if not (folder / identity.RUN).exists() else "a training that has not ended",
            mend="end that training first",
        )
    try:
        before = from_json(Run, read_text(folder / identity.RUN))
    except ValidationError:
        raise UserError(f"{folder / identity.RUN}: unreadable", wanted="the record of a training") from None
    known = before.settings
    pairs: list[tuple[str, Any, Any]] = [
        ("MODEL_KIND", known.get("model_kind"), settings.model_kind),
        ("LORA_R", known.get("lora_r"), settings.lora_r),
    ]
    faults = [UserError(name, wanted=f"{old} (of INIT_FROM)", seen=str(new)) for name, old, new in pairs if old != new]
    if faults:
        raise UserErrors(f"INIT_FROM {folder}: is of another kind; nothing was written", faults)
    return before


def put_adapter(settings: TrainSettings, model: Any) -> None:
    """Put the adapter's weights into a model that was made of its base; nothing where INIT_FROM is a whole model."""
    if not _adapted(settings) or settings.init_from is None:
        return
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    set_peft_model_state_dict(model, load_file(settings.init_from / ADAPTER))
