"""Checkpoints: safetensors and JSON, whole or not there, checked when read.

`checkpoints/step-<N>/` holds `weights.safetensors` (what is trained), `optimizer.safetensors` (its moments)
and `state.json` (the figures so far, and a digest of everything). A folder is filled beside its place and
renamed into it, and only then older ones go: a kill at any moment leaves the checkpoint of before or the new
one. The newest is the last; its state names the best. There is no random state to keep: see `step.seeded`.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError
from sluicegate.jsonl import read_text, sha256, unwritable, write_text
from sluicegate.records import digest

FOLDER = "checkpoints"
WEIGHTS, MOMENTS, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"
_NAME = re.compile(r"step-(\d{8,})(-unvalidated)?")
Tensors = dict[str, Any]


@dataclass(frozen=True, slots=True)
class State:
    """Figures of a training after `step` optimizer steps.

    Args:
        micro_batch: samples a device takes at once; below BATCH_SIZE after it ran out of memory.
        first_loss, last_loss: sums of the losses that count for `Result.first_loss` and `last_loss`.
        best_step: the step of the best checkpoint; None where there is none yet.
        best_val_loss, best_metric: of that checkpoint; the metric where SELECT_BY is one.
        validated: whether the validation that belongs to this step, if any, is done.
        health: of reinforcement learning's first step, then of its last ones; see `guard.Health`.
        kl_weight: of its next step; None: RL_KL.
        rate_share: what is left of its learning rate after a collapse.
        collapses, stopped: how often it collapsed, and the reason why it ended early.
    """

    step: int
    micro_batch: int
    tokens: int = 0
    seconds: float = 0.0
    first_loss: float = 0.0
    last_loss: float = 0.0
    best_val_loss: float | None = None
    best_step: int | None = None
    peak_bytes: int = 0
    validated: bool = True
    best_metric: float | None = None
    health: tuple[tuple[float, ...], ...] = ()
    kl_weight: float | None = None
    rate_share: float = 1.0
    collapses: int = 0
    stopped: str = ""

    @property
    def name(self) -> str:
        """The checkpoint's folder."""
        return f"step-{self.step:08d}" + ("" if self.validated else "-unvalidated")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint as read: figures, what is trained, and the optimizer's moments of it."""

    state: State
    weights: Tensors
    moments: Tensors


def save(model_dir: Path, state: State, weights: Tensors, moments: Tensors) -> None:
    """Write a checkpoint, then remove all but it and the best.

    Raises:
        UserError: the disk is full or cannot be written to; the checkpoints of before stay as they were.
    """
    root = model_dir / FOLDER
    beside, place = root / f".{state.name}.tmp", root / state.name
    try:
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        digests = {name: _write(beside / name, part) for name, part in ((WEIGHTS, weights), (MOMENTS, moments))}
        content = {"state": asdict(state), "sha256": digests}
        write_text(beside / STATE, json.dumps(content | {"digest": digest(content)}, indent=1) + "\n")
        if place.exists():
            shutil.rmtree(place)
        beside.rename(place)
        _sync(root)
    except OSError as fault:
        raise unwritable(root, fault) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    _remove_all_but(root, {state.name, _best_name(state)})


def _write(path: Path, tensors: Tensors) -> str:
    """Write tensors through to the disk; returns the file's digest."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    try:
        save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, path)
    except SafetensorError as fault:
        raise OSError(str(fault)) from None
    _sync(path)
    return sha256(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove_all_but(root: Path, kept: set[str]) -> None:
    for path in (*root.glob("step-*"), *root.glob(".step-*.tmp")):
        if path.name not in kept:
            shutil.rmtree(path, ignore_errors=True)


def newest(model_dir: Path) -> Path | None:
    """The folder of the last checkpoint, or None where there is none."""
    found = [(match, path) for path in (model_dir / FOLDER).glob("step-*") if (match := _NAME.fullmatch(path.name))]
    return max(found, key=lambda pair: (int(pair[0][1]), not pair[0][2]))[1] if found else None


def best(model_dir: Path, state: State) -> Path | None:
    """The folder of the best checkpoint, or None where there is none."""
    path = model_dir / FOLDER / _best_name(state)
    return path if state.best_step is not None and path.is_dir() else None


def _best_name(state: State) -> str:
    return State(-1 if state.best_step is None else state.best_step, 0).name


def read(path: Path) -> Checkpoint:
    """Read a checkpoint's folder and check every byte of it.

    Raises:
        UserError: a file is missing, cut off or changed; nothing is repaired or overwritten.
    """
    from safetensors.torch import load_file

    content = _checked_state(path)
    for name, wanted in content["sha256"].items():
        _check(path / name, wanted)
    figures = content["state"] | {"health": tuple(map(tuple, content["state"].get("health", ())))}
    return Checkpoint(State(**figures), load_file(path / WEIGHTS), load_file(path / MOMENTS))


def _checked_state(path: Path) -> Mapping[str, Any]:
    file = path / STATE
    try:
        content: dict[str, Any] = json.loads(read_text(file))
        wanted = content.pop("digest")
        if digest(content) != wanted:
            raise _corrupt(file, "its content does not fit its digest")
    except UserError as fault:
        raise _corrupt(file, fault.seen or fault.what) from None
    except (ValueError, KeyError, AttributeError) as fault:
        raise _corrupt(file, f"not the JSON that was written ({fault})") from None
    return content


def _check(file: Path, wanted: str) -> None:
    if not file.is_file():
        raise _corrupt(file, "no such file")
    seen = sha256(file)
    if seen != wanted:
        raise _corrupt(file, f"SHA-256 {seen[:12]}…, {file.stat().st_size:,} bytes")


def _corrupt(file: Path, seen: str) -> UserError:
    return UserError(
        f"{file}: corrupt checkpoint; nothing was changed",
        wanted="the file as it was written",
        seen=seen,
        mend=f"rm -r {file.parent}  (then the training goes on from the checkpoint before it, if any, or starts again)",
    )
