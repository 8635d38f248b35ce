"""Training speed on the CPU: this loop against transformers' Trainer and TRL's SFTTrainer, side by side in one run.

    OMP_NUM_THREADS=1 python benchmarks/train_cpu.py [--steps 30] [--repeats 3] [--batch 8] [--accumulation 1]

All three train LoRA adapters on the same tiny base with the same samples in the same order. A figure is tokens a
second, padding left out, of the whole training after loading; ours includes its checkpoint and the saved adapter, the
references save nothing. Rounds are interleaved and medians are compared, so that a busy machine is unfair to nobody.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, disable_progress_bars
from transformers import Trainer, TrainerCallback, TrainingArguments
from trl import SFTConfig, SFTTrainer

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks import side
from sluicegate import jsonl
from sluicegate.data import sources
from sluicegate.models import causal, tiny
from sluicegate.models.tokens import encode
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null
from sluicegate.train.batches import schedule
from sluicegate.train.loop import train

SAMPLES = 400


class Clock(Null, TrainerCallback):  # type: ignore[misc]
    """Seconds from the moment that everything is loaded to the end, told by our tracker or by their callback."""

    def dataset(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter()

    def end(self, *_: Any) -> None:
        self.seconds = time.perf_counter() - self.started

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.started = time.perf_counter()

    def on_train_end(self, *_: Any, **__: Any) -> None:
        self.seconds = time.perf_counter() - self.started


def arguments(settings: TrainSettings, steps: int) -> dict[str, Any]:
    """What both references are told."""
    return {
        "output_dir": str(settings.output_dir / "theirs"),
        "max_steps": steps,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.gradient_accumulation_steps,
        "learning_rate": settings.learning_rate,
        "warmup_steps": settings.warmup_steps,
        "train_sampling_strategy": "sequential",
        "logging_strategy": "no",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "bf16": False,
        "disable_tqdm": True,
    }


def with_loop(settings: TrainSettings, samples: Sequence[Sample], steps: int) -> float:
    clock = Clock()
    train(settings, clock)
    return clock.seconds


def with_trainer(settings: TrainSettings, samples: Sequence[Sample], steps: int) -> float:
    learner, clock = causal.load(settings, settings.base_model, torch.device("cpu")), Clock()
    Trainer(
        model=learner.model,
        args=TrainingArguments(**arguments(settings, steps), remove_unused_columns=False),
        train_dataset=[{"item": encode(learner.tokenizer, sample)} for sample in samples],
        data_collator=side.collated,
        callbacks=[clock],
    ).train()
    return clock.seconds


def with_trl(settings: TrainSettings, samples: Sequence[Sample], steps: int) -> float:
    learner, clock = causal.load(settings, settings.base_model, torch.device("cpu")), Clock()
    SFTTrainer(
        model=learner.model,
        args=SFTConfig(**arguments(settings, steps), max_length=None, completion_only_loss=True),
        train_dataset=Dataset.from_list([{"prompt": item.prompt, "completion": item.completion} for item in samples]),
        processing_class=learner.tokenizer,
        callbacks=[clock],
    ).train()
    return clock.seconds


WAYS: dict[str, Callable[[TrainSettings, Sequence[Sample], int], float]] = {
    "sluicegate": with_loop,
    "transformers Trainer": with_trainer,
    "TRL SFTTrainer": with_trl,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Tokens a second of three training loops on this CPU.")
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--accumulation", type=int, default=1)
    parser.add_argument("--in-4bit", action="store_true")
    asked = parser.parse_args()
    disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), asked)


def measure(folder: Path, asked: argparse.Namespace) -> None:
    samples = sources.load("demo", scenarios=["python"], seed=0, size=SAMPLES)
    jsonl.write(folder / "train.jsonl", samples)
    base = tiny.build(folder / "base", tiny.texts_of(samples))
    plan = schedule(SAMPLES, per_step=asked.batch * asked.accumulation, epochs=1e4, max_steps=asked.steps, seed=0)
    ordered = [samples[index] for step in range(1, asked.steps + 1) for index in plan.indices(step)]
    tokenizer = causal.load_trained(base)[1]
    tokens = sum(encode(tokenizer, sample).tokens for sample in ordered)
    speeds: dict[str, list[float]] = {name: [] for name in WAYS}
    for turn in range(asked.repeats + 1):
        for name, way in WAYS.items():
            settings = TrainSettings(
                dataset_path=folder / "train.jsonl", base_model=str(base), output_dir=folder / f"{turn}", epochs=1e4,
                max_steps=asked.steps, batch_size=asked.batch, gradient_accumulation_steps=asked.accumulation,
                save_every=10**6, load_in_4bit="true" if asked.in_4bit else "false",
            )  # fmt: skip
            seconds = way(settings, ordered, asked.steps)
            if turn:  # the first round warms up
                speeds[name].append(tokens / seconds)
    report(asked, speeds, tokens)


def report(asked: argparse.Namespace, speeds: dict[str, list[float]], tokens: int) -> None:
    ours = statistics.median(speeds["sluicegate"])
    print(
        f"tiny base, {'NF4' if asked.in_4bit else 'fp32'}, {torch.get_num_threads()} thread(s), {asked.steps} steps of "
        f"{asked.batch} x {asked.accumulation} samples, {tokens:,} tokens, {asked.repeats} rounds"
    )
    for name, found in speeds.items():
        middle = statistics.median(found)
        spread = f"({min(found):,.0f} to {max(found):,.0f})"
        print(f"{name:<22} {middle:8,.0f} tokens/s {spread}   ours is {ours / middle:.2f} x")


if __name__ == "__main__":
    main()
