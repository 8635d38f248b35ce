"""What the puppets have in common that play the steps of a stage: runners that write files and do nothing else."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from sluicegate import jsonl, runners
from sluicegate.runners import Runner
from sluicegate.stages import run as stages

RESULT: dict[str, object] = {
    "steps": 10, "first_loss": 5.0, "last_loss": 1.0, "loaded_in_4bit": True, "why_4bit": "asked", "epochs": 1.0,
    "peak_vram_gib": None, "forecast_vram_gib": 0.1, "best_val_loss": 1.0, "best_step": 10, "tokens": 1, "seconds": 1.0,
    "samples": 5, "dropped": 0, "trainable_parameters": 1, "total_parameters": 2, "sha256": "a",
}  # fmt: skip
"""Of a training that learnt."""


def on_stage(monkeypatch: pytest.MonkeyPatch, puppet: Runner) -> None:
    """The puppet in place of every runner, and no tracking server."""
    monkeypatch.setattr(runners, "load", lambda name: puppet)
    monkeypatch.setattr(stages, "probe", SimpleNamespace(check=lambda uri: None))
    monkeypatch.setattr(stages, "sender", SimpleNamespace(sending=_nothing, drain=lambda folders, uri: None))


@contextlib.contextmanager
def _nothing(*_: object) -> Iterator[None]:
    yield


def quiet(_: str) -> None:
    """Shows nothing."""


def write_data(
    out: Path, texts: Mapping[str, str], *, scenario: str, items: int, prompts: Mapping[str, str], fresh: bool,
    leaks: Sequence[str] = (),
) -> None:  # fmt: skip
    """The data of a stage, with the manifest that tells of them.

    Args:
        texts: file name → content.
        items: samples that are told of, in each split.
        prompts: arm → digest of what it is asked.
        fresh: whether the test is held against an earlier one.
    """
    for name, text in texts.items():
        jsonl.write_text(out / name, text)
    manifest = {
        "counts": {scenario: {"train": items, "val": items, "test": items}},
        "fresh": {"sha256": "f", "items": items, "reused": []} if fresh else None,
        "leaks": list(leaks),
        "evaluation_prompts_sha256": dict(prompts),
        "files": {
            name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "samples": items}
            for name, text in texts.items()
        },
    }
    jsonl.write_text(out / "manifest.json", json.dumps(manifest))
