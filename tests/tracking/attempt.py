"""A run folder whose stage has decided, with its models, scores and ledger, as a stage leaves it behind."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from judged import judged
from sluicegate import folder, jsonl, study
from sluicegate.records import Run, Sample, Score, to_json
from sluicegate.stages import ledger, register
from sluicegate.stages.plan import resolve
from sluicegate.stages.recompute import LEDGER
from sluicegate.study import Study, dump
from sluicegate.tracking.spool import Spool

DEMO = study.load("demo")
TWICE = DEMO.model_copy(update={"stages": {**DEMO.stages, 3: DEMO.stages[3].model_copy(update={"attempts": 2})}})
ITEMS = 40
RESULT = {
    "steps": 10, "first_loss": 5.0, "last_loss": 1.0, "loaded_in_4bit": True, "why_4bit": "asked",
    "peak_vram_gib": None, "forecast_vram_gib": 0.1, "best_step": 10,
}  # fmt: skip
TRAINED = {"control-train.jsonl": "c" * 64, "experiment-train.jsonl": "e" * 64}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def trained(path: Path, arm: str, seed: int, loss: float) -> None:
    """A model folder and its spool, as a training leaves them."""
    weights = f"weights of {path.name}"
    jsonl.write_text(path / "model.safetensors", weights)
    result = {**RESULT, "best_val_loss": loss, "best_metric": None, "sha256": digest(weights)}
    jsonl.write_text(path / "result.json", json.dumps(result))
    run = Run(path.name, "tiny", seed, TRAINED[f"{arm}-train.jsonl"], arm, 3, "a" * 40)
    jsonl.write_text(path / "run.json", to_json(run))
    with Spool(path) as spool:
        spool.run(path.name, "demo")
        spool.model(path.name, [path / "model.safetensors", path / "result.json"], {"arm": arm})
        spool.end("FINISHED")


def decided(runs: Path, the_study: Study = DEMO, *, name: str = "stage3-20260101T000000Z", right: int = 7) -> Path:
    """A stage 3 with its models, scores and ledger; its run folder."""
    attempt, plan = runs / "demo" / name, resolve(the_study, 3)
    jsonl.write_text(attempt / folder.STUDY, dump(the_study))
    registered = register.register(runs / "demo" / LEDGER, attempt, the_study, plan, override="made by hand")
    samples = [Sample(f"i{number:02}", f"p{number}", "c", "python") for number in range(ITEMS)]
    jsonl.write(attempt / folder.DATA / "test.jsonl", samples)
    files = {"test.jsonl": {"sha256": jsonl.sha256(attempt / folder.DATA / "test.jsonl"), "samples": ITEMS}}
    files |= {built: {"sha256": found, "samples": 400} for built, found in TRAINED.items()}
    manifest = {"leaks": [], "counts": {"python": {"train": 400, "test": ITEMS}}, "files": files}
    jsonl.write_text(attempt / folder.DATA / "manifest.json", json.dumps(manifest))
    for place, model in enumerate(plan.models):
        trained(attempt / folder.ARMS / model.name, model.arm, model.seed, 2.0 - place / 10)
        good = 3 if model.arm == "control" else right
        rows = [
            Score(sample.id, model.name, draw, metric, float((item * 7 + draw) % 10 < good))
            for metric in the_study.metrics for item, sample in enumerate(samples) for draw in range(plan.draws)
        ]  # fmt: skip
        jsonl.write(attempt / folder.SCORES / f"{model.name}.jsonl", rows)
    verdict = judged(attempt, the_study, plan)
    ledger.append(runs / "demo" / LEDGER, register.decided(verdict, attempt, registered))
    return attempt
