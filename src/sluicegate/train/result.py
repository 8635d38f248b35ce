"""What a finished training leaves behind in words and figures: `result.json`, written last.

Its presence means that the training ended well and that the folder's weights are whole.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError
from sluicegate.jsonl import read_text, write_text

RESULT = "result.json"


@dataclass(frozen=True, slots=True)
class Result:
    """Figures of a finished training.

    Args:
        first_loss, last_loss: mean training loss per target token over the first and last tenth of the steps.
        best_val_loss, best_step: of the checkpoint that was kept; no validation file: None and the last step.
        tokens: training tokens, padding left out.
        seconds: of all attempts together, loading left out.
        dropped: training samples left out for their length.
        forecast_vram_gib, peak_vram_gib: expected and seen memory of the GPU in GiB; the peak is None without one.
        sha256: of the weights' file.
        method, select_by: METHOD, and what the kept checkpoint was chosen by.
        best_metric: its value for the kept checkpoint; None where that is the loss.
        collapses: how often reinforcement learning collapsed and went back to its best checkpoint.
        collapsed, why_stopped: whether it ended early for that, and what was seen.

    Of reinforcement learning, `first_loss` and `last_loss` are means of 1 - reward.
    """

    steps: int
    epochs: float
    first_loss: float
    last_loss: float
    best_val_loss: float | None
    best_step: int
    tokens: int
    seconds: float
    samples: int
    dropped: int
    loaded_in_4bit: bool
    why_4bit: str
    forecast_vram_gib: float
    peak_vram_gib: float | None
    trainable_parameters: int
    total_parameters: int
    sha256: str
    method: str = "supervised"
    select_by: str = "loss"
    best_metric: float | None = None
    collapses: int = 0
    collapsed: bool = False
    why_stopped: str = ""


def write(folder: Path, result: Result) -> None:
    """Write `result.json`, atomically."""
    write_text(folder / RESULT, json.dumps(asdict(result), indent=1) + "\n")


def read(folder: Path) -> Result | None:
    """The result in a model folder, or None where its training has not ended.

    Raises:
        UserError: `result.json` is not what this program writes.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    try:
        found: dict[str, Any] = json.loads(read_text(path))
        return Result(**found)
    except (ValueError, TypeError) as fault:
        raise UserError(
            f"{path}: unreadable",
            wanted="the result of a training",
            seen=str(fault),
            mend=f"remove {path} to have it written again from the last checkpoint",
        ) from None
