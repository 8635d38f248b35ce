"""Reinforcement learning: answers a second and where the time goes, ours beside a plain loop over `generate`.

    python benchmarks/rl_speed.py [--kind dual] [--shape base|small|tiny] [--data FOLDER] [--steps 8] [--supervised 150]

A model is made from scratch and trained on synthesised manifests (or on `train.jsonl` and `val.jsonl` of `--data`, as
`sluicegate data k8s` writes them), then learns by reward for a few updates, three times: as `sluicegate train` does it,
and with answers drawn by transformers' `generate`, all prompts in one batch or prompt by prompt, and scored in the same
process before the update. The update itself is the same. Rates are medians over the steps behind the first two, or
behind the first of `generate`, which takes fewer. Goal on an H200 at the base shape: 5 times the answers a second of
the loop prompt by prompt. Without a GPU the tiny shape runs, so that the script is tested; its figures mean nothing
there.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from sluicegate import jsonl
from sluicegate.models import scratch
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.train import answering, scoring
from sluicegate.train.loop import train
from sluicegate.train.rollout import Drawing, Drawn

GPU = torch.cuda.is_available()


class Curves(Null):
    """A tracker that keeps what it is told."""

    def __init__(self) -> None:
        self.of: dict[str, list[float]] = {}

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self.of.setdefault(name, []).append(value)


class PromptByPrompt(Drawing):
    """Answers as `generate` draws them, one prompt after the other."""

    together = 1

    def _drawn(self, examples: Any, copies: int, uniforms: Any, *, temperature: float) -> list[list[Drawn]]:
        end, pad = self._learner.tokenizer.eos_token_id, self._learner.tokenizer.pad_token_id
        torch.manual_seed(len(examples))
        rows: list[Drawn] = []
        for start in range(0, len(examples), self.together):
            given = self._learner.inputs(examples[start : start + self.together])
            with torch.inference_mode(), self._training.accelerator.autocast():
                found = self._learner.model.generate(
                    **{name: tensor.to(self._learner.model.device) for name, tensor in given.items()},
                    do_sample=temperature > 0, top_k=0, num_return_sequences=copies,
                    max_new_tokens=uniforms.shape[1], eos_token_id=end, pad_token_id=pad,
                )  # fmt: skip
            rows += [self._read(_cut(row[1:], end), end) for row in found.tolist()]
        return [rows[start : start + copies] for start in range(0, len(rows), copies)]


class OneBatch(PromptByPrompt):
    """Answers as `generate` draws them, to all prompts at once."""

    together = 10_000


def _cut(tokens: list[int], end: int) -> list[int]:
    return tokens[: tokens.index(end) + 1] if end in tokens else tokens


class Inline(scoring.Scorers):
    """Scores before it returns, in this process."""

    def submit(self, jobs: Sequence[scoring.Job]) -> scoring.Pending:
        pending = scoring.Pending(jobs)
        for job in jobs:
            done: Future[scoring.Scored] = Future()
            done.set_result(scoring._work(job))
            pending.futures.append(done)
        return pending


@contextlib.contextmanager
def inline(workers: int | None) -> Iterator[scoring.Scorers]:
    yield Inline(1)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("seq2seq", "dual"), default="dual" if GPU else "seq2seq")
    parser.add_argument("--shape", choices=tuple(scratch.SHAPES), default="base" if GPU else "tiny")
    parser.add_argument("--data", type=Path, help="folder with train.jsonl and val.jsonl; default: 400 are synthesised")
    parser.add_argument("--work", type=Path, help="folder to keep; default: a new one")
    parser.add_argument("--supervised", type=int, default=150 if GPU else 2, help="steps before")
    parser.add_argument("--steps", type=int, default=8 if GPU else 3)
    parser.add_argument("--plain-steps", type=int, default=2, help="of each way with `generate`; the first is left out")
    parser.add_argument("--prompts", type=int, default=8 if GPU else 2)
    parser.add_argument("--samples", type=int, default=8 if GPU else 2)
    parser.add_argument("--tokens", type=int, default=128 if GPU else 24, help="most tokens of an answer")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    work = asked.work or Path(tempfile.mkdtemp())
    data = asked.data or _synthesised(work)
    base = scratch.build(
        work / "base", scratch.texts_of(jsonl.read(Sample, data / "train.jsonl")), kind=asked.kind,
        shape=scratch.SHAPES[asked.shape], size=scratch.VOCABULARIES[asked.shape],
    )  # fmt: skip
    common: dict[str, Any] = {
        "dataset_path": data / "train.jsonl", "val_dataset_path": data / "val.jsonl", "model_kind": asked.kind,
        "base_model": str(base), "output_dir": work / "models", "lora_r": 0, "load_in_4bit": "false",
        "max_seq_length": 1024, "over_long": "drop", "batch_size": 16 if GPU else 2, "epochs": 10_000.0,
        "save_every": 100_000,
        "warmup_steps": 20, "learning_rate": 3e-4, "select_by": "loss", "compile": "false",
        "rl_prompts": asked.prompts, "rl_samples": asked.samples, "rl_max_new_tokens": asked.tokens,
        "rl_batch": asked.batch,
    }  # fmt: skip
    start = TrainSettings.model_validate({**common, "max_steps": asked.supervised, "model_name": "start"})
    before = train(start, Null())
    learning = {**common, "init_from": start.model_dir, "method": "rloo"}
    rows = {"ours": _run({**learning, "rl_steps": asked.steps}, "ours", warm_up=2)}
    for name, drawing in (("prompt_by_prompt", PromptByPrompt), ("one_batch", OneBatch)):
        with mock.patch.multiple(answering, Drawing=drawing, scorers=inline):
            rows[name] = _run({**learning, "rl_steps": asked.plain_steps}, name, warm_up=1)
    told = {
        "device": torch.cuda.get_device_name() if GPU else "cpu", "kind": asked.kind, "shape": asked.shape,
        "parameters": before.total_parameters, "supervised_loss": before.last_loss, "prompts": asked.prompts,
        "samples": asked.samples, "tokens": asked.tokens, **rows,
        **{f"over_{name}": rows["ours"]["answers_per_s"] / row["answers_per_s"]
           for name, row in rows.items() if name != "ours"},
    }  # fmt: skip
    print(json.dumps(told))
    if asked.out:
        jsonl.write_text(asked.out, json.dumps(told, indent=1) + "\n")


def _synthesised(work: Path) -> Path:
    from sluicegate.data.k8s.build import Order, build

    if not (work / "data").exists():
        build(Order(synthesize=400 if GPU else 24), work / "data")
    return work / "data" / "kubernetes"


def _run(settings: Mapping[str, Any], name: str, *, warm_up: int) -> dict[str, float]:
    """The median figures of a run's steps behind the first ones."""
    if GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    seen, started = Curves(), time.monotonic()
    train(TrainSettings.model_validate({**settings, "model_name": name}), seen)
    names = ("answers_per_s", "drawing_tokens_per_s", "update_tokens_per_s", "scoring_waited", "scoring_work", "length",
             "reward", "valid", "kl", "entropy")  # fmt: skip
    rows = {each: statistics.median(seen.of[f"rl/{each}"][warm_up:]) for each in names}
    peak = torch.cuda.max_memory_reserved() / 2**30 if GPU else 0.0
    row = {**rows, "peak_gib": peak, "seconds": time.monotonic() - started}
    print(json.dumps({name: row}), flush=True)
    return row


if __name__ == "__main__":
    main()
