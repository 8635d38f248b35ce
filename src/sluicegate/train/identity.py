"""What a model folder was begun with, so that a training is only ever gone on with by the same settings and data.

`run.json` is written when the training begins. Where data lie and where results are shown does not count; what
the data say does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sluicegate.errors import UserError, UserErrors
from sluicegate.folder import git_commit, versions
from sluicegate.jsonl import read_text, sha256, write_text
from sluicegate.records import Run, digest, from_json, to_json
from sluicegate.settings import TrainSettings
from sluicegate.tracking.redact import without_credentials
from sluicegate.train import checkpoint
from sluicegate.train.result import RESULT

RUN = "run.json"
LARGE = 256 * 2**20
"""Bytes; hashing the weights of an 8B model at every start would take longer than loading them."""
PLACES = frozenset(
    {
        "dataset_path",
        "val_dataset_path",
        "output_dir",
        "model_name",
        "mlflow_tracking_uri",
        "base_model",
        "init_from",
        "rl_workers",
        "tensorboard",
    }
)
"""Settings that say where or by whom, not what: their content is compared instead, or does not matter."""
OURS = (RUN, RESULT, "adapter_config.json", "config.json", checkpoint.FOLDER)
"""What a training writes: a folder that holds one of these without run.json is somebody else's."""


def run_record(
    settings: TrainSettings, *, base: str, base_sha256: str, arm: str, stage: int | None, processes: int
) -> Run:
    """The record of a training that begins now."""
    val = settings.val_dataset_path
    store = settings.mlflow_tracking_uri
    shown = {"mlflow_tracking_uri": without_credentials(store) if store else store}
    more = {"val_sha256": sha256(val) if val else None, "base_sha256": base_sha256, "processes": processes}
    return Run(
        name=settings.model_name,
        base_model=base,
        seed=settings.seed,
        data_sha256=sha256(settings.dataset_path),
        arm=arm,
        stage=stage,
        git_commit=git_commit(),
        settings=settings.public() | shown | more,
        versions=versions(),
    )


def base_digest(base: str) -> str:
    """Digest of a base in a folder; empty for a hub name. Of files above `LARGE` only name and size count."""
    folder = Path(base)
    if not folder.is_dir():
        return ""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".safetensors", ".bin", ".json"})
    sizes = [path.stat().st_size for path in files]
    return digest(
        [[path.name, size, sha256(path) if size <= LARGE else ""] for path, size in zip(files, sizes, strict=True)]
    )


def goes_on(model_dir: Path, run: Run) -> bool:
    """Whether the folder holds the beginning (or the end) of this very training; False for a fresh folder.

    Raises:
        UserError: the folder is of another training, or of none of ours; nothing is touched.
    """
    path = model_dir / RUN
    if not path.exists():
        _refuse_foreign(model_dir)
        return False
    faults = differences(_read(path), run)
    if faults:
        done = "a finished" if (model_dir / RESULT).exists() else "an unfinished"
        raise UserErrors(
            f"{model_dir}: holds {done} training with other settings; nothing was touched "
            "(choose another MODEL_NAME, or give it the same settings)",
            faults,
        )
    return True


def begin(model_dir: Path, run: Run) -> None:
    """Write `run.json`."""
    write_text(model_dir / RUN, to_json(run, indent=1) + "\n")


def _refuse_foreign(model_dir: Path) -> None:
    found = [name for name in OURS if (model_dir / name).exists()]
    if found:
        raise UserError(
            f"{model_dir}: holds files that no training of ours began",
            wanted=f"a new folder, or one with {RUN}",
            seen=", ".join(found),
            mend="choose another MODEL_NAME or OUTPUT_DIR",
        )


def _read(path: Path) -> Run:
    try:
        return from_json(Run, read_text(path))
    except ValidationError:
        raise UserError(
            f"{path}: unreadable",
            wanted="the record of a training",
            seen="something else",
            mend="choose another MODEL_NAME",
        ) from None


def differences(before: Run, now: Run) -> list[UserError]:
    """Every setting, data file or base that differs, one error each."""
    pairs: list[tuple[str, Any, Any]] = [("content of DATASET_PATH", before.data_sha256, now.data_sha256)]
    for key, value in now.settings.items():
        if key in PLACES:
            continue
        label = {"val_sha256": "content of VAL_DATASET_PATH", "base_sha256": "content of BASE_MODEL or INIT_FROM"}.get(
            key, key.upper()
        )
        pairs.append((label, before.settings.get(key), value))
    if not now.settings["base_sha256"]:
        pairs.append(("BASE_MODEL", before.base_model, now.base_model))
    return [
        UserError(label, wanted=f"{old!s:.20} (as begun)", seen=f"{new!s:.20}")
        for label, old, new in pairs
        if old != new
    ]
