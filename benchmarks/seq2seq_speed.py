"""Training and decoding of an encoder-decoder of CodeT5's shape: ours beside transformers' Seq2SeqTrainer and generate.

    python benchmarks/seq2seq_speed.py [--shape base|small|tiny] [--batch 64] [--micro 32,64] [--out FILE]

Weights and tokens are random, sources are 32 to 512 tokens and targets 64 to 512. A step is `--batch` samples for
everyone, out of the same ones, with AdamW and clipping; the Trainer groups by length, ours sorts a step by length into
micro-batches. Rates leave out padding, and the first steps, whose time is the warm-up. The share of the device's rate
is the model's arithmetic, without padding, over that of a large product of matrices in the same precision. Answers are
drawn with stops that end about one token in 200; `generate` is asked in one batch and prompt by prompt. Training runs
are processes of their own; what fails is said and left out. Goals on an H200 at the base shape: 3 times the Trainer's
tokens a second, 40% of the device's rate, 5 times the sequences of a `generate` loop. Without a GPU the tiny shape
runs, so that the script is tested; its figures mean nothing there.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration

from sluicegate.models.decoding import Decoder, Sampling
from sluicegate.models.t5_fast import Seq2SeqLoss

SHAPES = {
    "base": {"vocab_size": 32100, "d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
    "small": {"vocab_size": 32100, "d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "tiny": {"vocab_size": 400, "d_model": 64, "d_kv": 16, "d_ff": 128, "num_layers": 2, "num_heads": 4},
}
WARM_UP = 4
GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
Sample = tuple[list[int], list[int]]


def model_of(shape: str) -> Any:
    torch.manual_seed(0)
    with torch.device(DEVICE):
        return T5ForConditionalGeneration(T5Config(**SHAPES[shape], decoder_start_token_id=0, dropout_rate=0.1))


def samples(count: int, shape: str, longest: int) -> list[Sample]:
    draw = random.Random(0)

    def tokens(middle: float, least: int) -> list[int]:
        length = min(longest, max(least, int(draw.lognormvariate(middle, 0.5))))
        return [draw.randrange(3, SHAPES[shape]["vocab_size"]) for _ in range(length)]

    return [(tokens(5.2, min(32, longest)), tokens(5.5, min(64, longest))) for _ in range(count)]


def padded(rows: Sequence[Sequence[int]], fill: int, step: int = 64) -> torch.Tensor:
    width = -(-max(map(len, rows)) // step) * step
    made = torch.full((len(rows), width), fill)
    for number, row in enumerate(rows):
        made[number, : len(row)] = torch.tensor(row)
    return made


def batch_of(rows: Sequence[Sample]) -> dict[str, torch.Tensor]:
    """What `Seq2SeqLoss` takes."""
    ids, said = padded([source for source, _ in rows], 0), padded([target for _, target in rows], 0)
    mask = torch.arange(ids.shape[1]) < torch.tensor([len(source) for source, _ in rows])[:, None]
    places = [torch.arange(number * said.shape[1], number * said.shape[1] + len(target))
              for number, (_, target) in enumerate(rows)]  # fmt: skip
    targets = torch.tensor([token for _, target in rows for token in target])
    before = torch.nn.functional.pad(said[:, :-1], (1, 0))
    made = {"input_ids": ids, "attention_mask": mask.long(), "decoder_input_ids": before, "rows": torch.cat(places)}
    return {name: tensor.to(DEVICE) for name, tensor in (made | {"targets": targets}).items()}


def flops(rows: Sequence[Sample], shape: str) -> float:
    """Arithmetic of one forward and backward of the model, padding left out; causal attention counts half."""
    size = SHAPES[shape]
    inner, layers, wide = size["num_heads"] * size["d_kv"], size["num_layers"], size["d_model"]
    dense = 2 * wide * size["d_ff"]
    total = 0.0
    for source, target in rows:
        read, said = len(source), len(target)
        total += layers * read * (4 * wide * inner + dense + 2 * wide * inner)  # the last: cross keys and values
        total += layers * said * (6 * wide * inner + dense) + said * wide * size["vocab_size"]
        total += layers * 2 * inner * (read * read + said * said / 2 + read * said)
    return 3 * 2 * total


def synchronise() -> None:
    if GPU:
        torch.cuda.synchronize()


def rate_of(steps: Sequence[tuple[float, Sequence[Sample]]], shape: str) -> dict[str, float]:
    """Tokens and arithmetic a second over the steps behind the warm-up; a step is its seconds and its samples."""
    seconds = sum(taken for taken, _ in steps[WARM_UP:])
    seen = [row for _, rows in steps[WARM_UP:] for row in rows]
    return {
        "tokens_per_s": round(sum(len(source) + len(target) for source, target in seen) / seconds),
        "tflops": round(flops(seen, shape) / seconds / 1e12, 4),
        "warm_up_s": round(sum(taken for taken, _ in steps[:WARM_UP]), 1),
        "peak_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2) if GPU else 0.0,
    }


def train_ours(told: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One visible loop: sort, accumulate the sums of losses over the step's tokens, clip, step.

    The next step's tensors are made while the device is still at this one.
    """
    scored = Seq2SeqLoss(model_of(told.shape)).train()
    optimizer = torch.optim.AdamW(scored.parameters(), lr=1e-4, fused=True)
    rows = samples(told.batch * told.steps, told.shape, told.length)
    steps, said, losses = [], "not compiled (not asked)", []

    def made(start: int) -> tuple[list[Sample], list[dict[str, torch.Tensor]]]:
        some = sorted(rows[start : start + told.batch], key=lambda row: -len(row[1]) - len(row[0]))
        return some, [batch_of(some[first : first + told.micro]) for first in range(0, len(some), told.micro)]

    def taken(batches: Sequence[dict[str, torch.Tensor]], total: int) -> torch.Tensor:
        seen = torch.zeros((), device=DEVICE)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=GPU):
            for batch in batches:
                loss = scored(**batch) / total
                loss.backward()
                seen += loss.detach()
        torch.nn.utils.clip_grad_norm_(scored.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return seen

    ready = made(0)
    for start in range(0, len(rows), told.batch):
        began = time.perf_counter()
        ordered, batches = ready
        if start == 0 and told.compile:
            with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=GPU):
                said = scored.compile(batches[0])
        seen = taken(batches, sum(len(target) for _, target in ordered))
        ready = made(start + told.batch)
        losses.append(float(seen))
        synchronise()
        steps.append((time.perf_counter() - began, ordered))
    yield {"how": said, **rate_of(steps, told.shape), "loss": round(losses[-1], 4), "matmul_tflops": matmul_rate()}
    if told.profile:
        ordered, batches = made(0)
        print(profile_of(lambda: taken(batches, sum(len(target) for _, target in ordered))), file=sys.stderr)


def profile_of(work: Callable[[], Any]) -> str:
    """Where a step's time goes, kernel by kernel, as a table."""
    kinds = [torch.profiler.ProfilerActivity.CPU, *([torch.profiler.ProfilerActivity.CUDA] if GPU else [])]
    with torch.profiler.profile(activities=kinds) as seen:
        work()
        synchronise()
    key = "self_cuda_time_total" if GPU else "self_cpu_time_total"
    return str(seen.key_averages().table(sort_by=key, row_limit=60, max_name_column_width=90))


def train_trainer(told: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The peer: bf16, fused AdamW, batches grouped by length."""
    from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments, TrainerCallback

    rows = samples(told.batch * told.steps, told.shape, told.length)
    seen: list[list[Sample]] = []
    clock: list[float] = []

    def collated(some: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
        seen.append([rows[one["number"]] for one in some])
        return {
            "input_ids": padded([one["input_ids"] for one in some], 0, 8),
            "attention_mask": padded([[1] * len(one["input_ids"]) for one in some], 0, 8),
            "labels": padded([one["labels"] for one in some], -100, 8),
        }

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            synchronise()
            clock.append(time.perf_counter())

    names = {field.name for field in dataclasses.fields(Seq2SeqTrainingArguments)}
    grouped = (
        {"group_by_length": True} if "group_by_length" in names else {"train_sampling_strategy": "group_by_length"}
    )
    again = told.batch // told.micro
    with TemporaryDirectory() as folder:
        arguments = Seq2SeqTrainingArguments(
            output_dir=folder, per_device_train_batch_size=told.micro, gradient_accumulation_steps=again, bf16=GPU,
            max_steps=told.steps, learning_rate=1e-4, lr_scheduler_type="constant", save_strategy="no", report_to=[],
            optim="adamw_torch_fused", logging_strategy="no", disable_tqdm=True, remove_unused_columns=False,
            use_cpu=not GPU, **grouped,
        )  # fmt: skip
        data = [{"number": place, "input_ids": row[0], "labels": row[1]} for place, row in enumerate(rows)]
        trainer = Seq2SeqTrainer(
            model=model_of(told.shape), args=arguments, train_dataset=data, data_collator=collated, callbacks=[Clock()]
        )
        clock.append(time.perf_counter())
        trainer.train()
    steps = [
        (clock[step + 1] - clock[step], [row for some in seen[step * again : (step + 1) * again] for row in some])
        for step in range(told.steps)
    ]
    yield rate_of(steps, told.shape)


def matmul_rate() -> float:
    """TFLOP/s of a large product in the precision of the training."""
    size, dtype = (8192, torch.bfloat16) if GPU else (512, torch.float32)
    one, other = (torch.randn(size, size, device=DEVICE, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(12):
        began = time.perf_counter()
        _ = one @ other
        synchronise()
        seconds.append(time.perf_counter() - began)
    return round(2 * size**3 / sorted(seconds)[len(seconds) // 2] / 1e12, 4)


def decoding(told: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Sequences a second of ours and of `generate`, and whether greedy texts are equal in float32."""
    model, draws, few = model_of(told.shape).eval(), 8, 1
    rows = [source for source, _ in samples(told.prompts, told.shape, told.length)]
    stops = frozenset(range(3, 3 + max(1, SHAPES[told.shape]["vocab_size"] // 200)))
    given = {"input_ids": padded(rows, 0).to(DEVICE),
             "attention_mask": padded([[1] * len(row) for row in rows], 0).to(DEVICE)}  # fmt: skip
    yield from attempted("greedy texts equal to generate", lambda: same_greedy(model, given))
    uniforms = np.random.default_rng(0).random((told.prompts * draws, told.new))
    sampling = Sampling(1.0, 1.0, told.new, stops)
    decoder = Decoder(model)

    def ours() -> int:
        return sum(map(len, decoder.decode(given, uniforms, sampling, copies=draws)))

    def generated(prompts: slice) -> int:
        part = {name: tensor[prompts] for name, tensor in given.items()}
        found = model.generate(
            **part, do_sample=True, top_k=0, num_return_sequences=draws, max_new_tokens=told.new,
            eos_token_id=sorted(stops), pad_token_id=0,
        )[:, 1:]  # fmt: skip
        return int((found != 0).sum())

    def timed(work: Callable[[], int], sequences: int, *, warm: bool) -> dict[str, Any]:
        began = time.perf_counter()
        if warm:
            work()
            synchronise()
        ready = time.perf_counter()
        tokens = work()
        synchronise()
        seconds = time.perf_counter() - ready
        return {
            "sequences_per_s": round(sequences / seconds, 3), "tokens_per_s": round(tokens / seconds),
            "mean_tokens": round(tokens / sequences, 1), "warm_up_s": round(ready - began, 1),
        }  # fmt: skip

    yield from attempted("ours", lambda: timed(ours, len(uniforms), warm=True))
    yield {"decoder": "ours", "graphs": len(decoder._graphs), "captured": decoder._captures}
    if GPU:
        model = model.to(torch.bfloat16)
    everything = slice(None)
    yield from attempted("generate, one batch", lambda: timed(lambda: generated(everything), len(uniforms), warm=False))
    one_by_one = lambda: sum(generated(slice(place, place + 1)) for place in range(few))  # noqa: E731
    yield from attempted("generate, prompt by prompt", lambda: timed(one_by_one, few * draws, warm=False))


def same_greedy(model: Any, given: dict[str, Any]) -> dict[str, Any]:
    few = {name: tensor[:8] for name, tensor in given.items()}
    theirs = model.generate(**few, do_sample=False, max_new_tokens=64)[:, 1:].tolist()
    plain = Sampling(0.0, 1.0, 64, frozenset({1}))
    mine = Decoder(model, dtype=torch.float32).decode(few, np.zeros((len(theirs), 64)), plain)
    return {"equal": sum(ours == row[: len(ours)] for ours, row in zip(mine, theirs, strict=True)), "of": len(theirs)}


def attempted(name: str, work: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The row of some work, or why there is none."""
    try:
        yield {"decoder": name, **work()}
    except (RuntimeError, ValueError, TypeError, AttributeError) as fault:
        yield {"decoder": name, "failed": f"{type(fault).__name__}: {str(fault)[:200]}"}


def one(told: argparse.Namespace) -> None:
    found = {"ours": train_ours, "trainer": train_trainer}
    rows = decoding(told) if told.one == "decoding" else ({"trainer": told.one, **row} for row in found[told.one](told))
    for row in rows:
        print(json.dumps(row), flush=True)


def asked_of(name: str, told: argparse.Namespace, *more: str) -> list[dict[str, Any]]:
    """The rows that a process of its own prints."""
    same = ["--shape", told.shape, "--batch", str(told.batch), "--steps", str(told.steps), "--length", str(told.length)]
    same += ["--prompts", str(told.prompts), "--new", str(told.new)]
    done = subprocess.run([sys.executable, __file__, "--one", name, *same, *more], capture_output=True, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["no word"]
        rows.append({"trainer": name, "failed": last[0][:300], "asked": " ".join(more)})
    for row in rows:
        print(json.dumps(row), flush=True)
    return rows


def best(rows: Sequence[dict[str, Any]], key: str, name: str, figure: str) -> dict[str, Any]:
    """The row of that name with the largest figure."""
    return max((row for row in rows if row.get(key) == name and figure in row), key=lambda row: row[figure], default={})


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is to be read off."""
    ours, peer = (best(rows, "trainer", name, "tokens_per_s") for name in ("ours", "trainer"))
    names = ("ours", "generate, one batch", "generate, prompt by prompt")
    mine, batched, loop = (best(rows, "decoder", name, "sequences_per_s") for name in names)

    def over(one: dict[str, Any], other: dict[str, Any], figure: str) -> float | None:
        return round(one[figure] / other[figure], 3) if one and other else None

    return {
        "training_over_trainer": over(ours, peer, "tokens_per_s"),
        "share_of_matmul_rate": round(ours["tflops"] / ours["matmul_tflops"], 3) if ours else None,
        "decoding_over_generate_in_one_batch": over(mine, batched, "sequences_per_s"),
        "decoding_over_generate_prompt_by_prompt": over(mine, loop, "sequences_per_s"),
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--shape", choices=SHAPES, default="base" if GPU else "tiny")
    asked.add_argument("--batch", type=int, default=64 if GPU else 8, help="samples of a step")
    asked.add_argument("--micro", default="64" if GPU else "4", help="of them at once, comma-separated")
    asked.add_argument("--steps", type=int, default=24 if GPU else 8)
    asked.add_argument("--length", type=int, default=512 if GPU else 64, help="most tokens of a source or target")
    asked.add_argument("--prompts", type=int, default=64 if GPU else 4)
    asked.add_argument("--new", type=int, default=512 if GPU else 48, help="most tokens of an answer")
    asked.add_argument("--compile", type=int, choices=(0, 1), default=1 if GPU else 0)
    asked.add_argument("--out", type=Path, help="file for all rows, as JSON")
    asked.add_argument("--one", choices=("ours", "trainer", "decoding"), help="this alone, in this process")
    asked.add_argument("--profile", action="store_true", help="with --one ours: where a step's time goes, to stderr")
    told = asked.parse_args()
    if told.one:
        told.micro = int(told.micro.split(",")[0])
        one(told)
        return
    rows = asked_of("decoding", told)
    for micro in told.micro.split(","):
        rows += asked_of("ours", told, "--micro", micro, "--compile", str(told.compile))
        rows += asked_of("trainer", told, "--micro", micro)
    name = torch.cuda.get_device_name() if GPU else "CPU"
    found = {"device": name, "torch": torch.__version__, "shape": told.shape, **ratios(rows)}
    print(json.dumps(found), flush=True)
    if told.out:
        told.out.write_text(json.dumps({"rows": rows, "found": found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
