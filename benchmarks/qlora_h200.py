"""QLoRA training of a Llama-3-8B shape: tokens a second and memory, ours under several limits, beside its peers.

    python benchmarks/qlora_h200.py [--shape 8b|tiny] [--only ours,trl,unsloth,long,parity,…] [--out FILE]

Weights are random and in NF4 (double quantisation), made once in `--work`; samples are 60 to 2,048 tokens of words as
frequent as words are, a quarter of each the prompt, and fill eight packs of 2,048 tokens: they are a step, for
everyone. LoRA has rank 16 on every linear layer and no dropout; TRL and Unsloth pack (best fit decreasing), TRL with
Liger. Ours and its peers are processes of their own with a time limit; with `--out` rows are kept as they come, and
what is there is not measured again. A limit holds: beyond it the process is refused memory. Tokens leave padding out;
the rate is the median over the steps behind the second, the warm-up is all that comes before the first step has ended:
of ours loading included. The loss is that of the last of `--steps` steps.

`long` tells rates at 8,192 tokens and looks for the longest sample that can be trained on within 11 GiB. `parity`
trains a small model from scratch on this Python's own library, for 300 steps and several seeds, ours and transformers'
Trainer from the same weights in the same order: the curves must differ by less than seeds do. `adapters` trains LoRA on
such a model (on a GPU in NF4), its weights in fp32 and in bf16. `two` and `four` are ours on so many GPUs beside one,
with the same batch; `sharded` trains every weight of a smaller model on one and, sharded, on two; `profile` tells
where a step's time goes. Goals on an H200: 10,000 tokens/s within 7 GiB, 12,500 within 11, 3 times the fastest peer at
its own memory. Without a GPU the tiny shape is trained on the CPU, so that the script is tested; its figures mean
nothing there.
"""

from __future__ import annotations

import argparse
import ast
import importlib
import itertools
import json
import math
import os
import random
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.side import DEVICE, GPU, SHAPES, Row

from benchmarks import side
from sluicegate import jsonl
from sluicegate.models.loading import moved
from sluicegate.models.packing import packed
from sluicegate.models.tokens import Tokens
from sluicegate.records import Sample
from sluicegate.settings import TrainSettings
from sluicegate.tracking import Null

WARM = 2
POSITIONS = 131_072
SMOOTHED, A_CURVES_STEP = 25, 32 if GPU else 8
GOALS = {"ours within 7 GiB": 10_000, "ours within 11 GiB": 12_500}
OVER_PEER = 3.0
LIMITS = (7.0, 11.0, 16.0, 24.0, 0.0)
"""GiB; 16 is what the fastest peer takes, TRL with four windows at once."""
SMALL = {
    "hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 4, "max_position_embeddings": 1024,
}  # fmt: skip
"""The model that is trained from scratch, on a GPU; on a CPU the tiny shape is."""
WHOLE = {
    "vocab_size": 8192, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
    "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 2048,
} if GPU else SHAPES["tiny"]  # fmt: skip
"""A billion weights, all trained, whole and sharded."""


def main() -> None:
    told = _asked()
    if told.one:
        for row in WAYS[told.one](told):
            print(json.dumps(row), flush=True)
        return
    rows = [row for row in side.read(told.out) if "failed" not in row]
    made = False
    for name, way, options, seconds in cases(told):
        if any(row["case"] == name for row in rows):
            continue
        if not made:
            base(told.work, told.shape)
            made = True
        same = {"shape": told.shape, "work": told.work, "steps": told.steps, "length": told.length} | options
        command = [sys.executable, __file__, "--one", way, *side.words_of(same)]
        began = time.monotonic()
        for row in side.apart(command, seconds=seconds if GPU else 3600):
            rows.append({"case": name, "row": name, **row, "process_s": round(time.monotonic() - began, 1)})
            print(json.dumps(rows[-1]), flush=True)
            side.keep(told.out, rows, figures(rows))
    print(json.dumps(figures(rows)), flush=True)


def _asked() -> argparse.Namespace:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--shape", choices=SHAPES, default="8b" if GPU else "tiny")
    asked.add_argument("--only", default="ours,trl,unsloth,long,parity",
                       help="groups of rows; `ours:11 GiB`, `long:longest`: those with such words")  # fmt: skip
    asked.add_argument("--length", type=int, default=2048 if GPU else 128, help="most tokens of a sample")
    asked.add_argument("--rank", type=int, default=16)
    asked.add_argument("--limit", type=float, default=0.0, help="GiB; 0: what is free")
    asked.add_argument("--compile", default="true" if GPU else "false")
    asked.add_argument("--steps", type=int, default=5)
    asked.add_argument("--seed", type=int, default=0)
    asked.add_argument("--seeds", type=int, default=3, help="of parity and adapters")
    asked.add_argument("--processes", type=int, default=2, help="of several")
    asked.add_argument("--sharded", type=int, default=0, help="1: every weight is trained, by FSDP where several do")
    asked.add_argument("--base", type=Path, help="of a curve")
    asked.add_argument("--data", type=Path, help="of a curve")
    asked.add_argument("--work", type=Path, default=Path(gettempdir()) / "sluicegate-qlora")
    asked.add_argument("--out", type=Path, help="file for all rows, as JSON; what is there is gone on with")
    asked.add_argument("--one", choices=WAYS)
    return asked.parse_args()


def cases(told: argparse.Namespace) -> Iterator[tuple[str, str, Row, float]]:
    """Name of a row, how it is made, with what options, within how many seconds."""
    long = 8192 if told.shape == "8b" else told.length
    made: dict[str, list[tuple[str, str, Row, float]]] = {
        "ours": [(f"ours{_within(limit)}", "ours", {"limit": limit}, 90) for limit in (LIMITS if GPU else (0.0,))],
        "trl": [("trl", "trl", {}, 200)],
        "unsloth": [("unsloth", "unsloth", {}, 300)],
        "long": [
            ("ours within 11 GiB, r 64", "ours", {"limit": 11.0, "rank": 64}, 110),
            *((f"ours within 11 GiB, {long} tokens, r {rank}", "ours",
               {"limit": 11.0, "length": long, "rank": rank}, 200) for rank in ((16, 64) if GPU else ())),
            *((f"longest within 11 GiB, r {rank}", "longest", {"limit": 11.0, "rank": rank}, 240)
              for rank in ((16, 32) if GPU else (16,))),
        ],
        "parity": [("parity", "parity", {"steps": 300 if GPU else told.steps, "seeds": told.seeds}, 150)],
        "profile": [(f"profile{_within(limit)}", "profile", {"limit": limit}, 90) for limit in (7.0, 11.0)],
        "adapters": [("adapters", "adapters", {"steps": 300 if GPU else told.steps, "seeds": told.seeds}, 300)],
        "sharded": [("sharded over two", "several", {"processes": 2, "sharded": 1}, 200)],
        "two": [("two", "several", {"processes": 2}, 200)],
        "four": [("four", "several", {"processes": 4}, 200)],
    }  # fmt: skip
    for group in told.only.split(","):
        name, _, only = group.partition(":")
        for case in made[name]:
            if f" {only} " in f" {case[0].replace(',', ' ')} " or (only == "free" and case[0] == name) or not only:
                yield case


def _within(limit: float) -> str:
    return f" within {limit:g} GiB" if limit else ""


def base(work: Path, shape: str) -> Path:
    """A model folder with random weights in NF4, and a tokenizer of whole words."""
    folder = work / shape
    if (folder / "model.safetensors").exists():
        return folder
    from safetensors.torch import save_file
    from transformers import BitsAndBytesConfig, LlamaConfig, LlamaForCausalLM

    began = time.monotonic()
    sizes = SHAPES[shape] | {"max_position_embeddings": POSITIONS}
    config = LlamaConfig(
        **sizes, rope_theta=500000.0, bos_token_id=0, eos_token_id=1, pad_token_id=2,
        architectures=["LlamaForCausalLM"], dtype="bfloat16", tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    with torch.device(DEVICE):
        model = LlamaForCausalLM._from_config(config, dtype=torch.bfloat16)
    side.quantise(model, torch.bfloat16)
    state = {name: part.detach().cpu().contiguous() for name, part in model.state_dict().items()}
    del model
    folder.mkdir(parents=True, exist_ok=True)
    config.quantization_config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    ).to_dict()  # fmt: skip
    config.save_pretrained(folder)
    _words(folder, config.vocab_size)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})
    if GPU:
        torch.cuda.empty_cache()
    print(f"made {folder} in {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    return folder


def whole(work: Path) -> Path:
    """A smaller model folder with random weights in fp32, all of which can be trained."""
    folder = work / "whole"
    if not (folder / "model.safetensors").exists():
        from transformers import LlamaConfig, LlamaForCausalLM

        torch.manual_seed(0)
        with torch.device(DEVICE):
            model = LlamaForCausalLM(LlamaConfig(**WHOLE, pad_token_id=2, bos_token_id=0, eos_token_id=1))
        _words(folder, WHOLE["vocab_size"])
        model.cpu().save_pretrained(folder)
    return folder


def _words(folder: Path, count: int) -> None:
    """A tokenizer of so many whole words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    names = ["<s>", "</s>", "<pad>", "<unk>", *(f"t{number}" for number in range(4, count))]
    words = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)


def samples(told: argparse.Namespace) -> Path:
    """Samples that fill `packs_of` packs, of words of which the n-th most frequent is about n times rarer."""
    path: Path = told.work / f"train-{told.length}.jsonl"
    if path.exists():
        return path
    draw, known = random.Random(0), min(8192, SHAPES[told.shape]["vocab_size"])
    words = [f"t{number}" for number in range(4, known)]
    shares = list(itertools.accumulate(1 / (place + 10) for place in range(len(words))))
    lengths = filled(packs_of(told.length), told.length - 8, draw)
    rows = []
    for number, length in enumerate(lengths):
        drawn = draw.choices(words, cum_weights=shares, k=length - 1)  # and the end of the sequence
        cut = length // 4
        rows.append(Sample(str(number), " ".join(drawn[:cut]), " " + " ".join(drawn[cut:])))
    jsonl.write(path, rows)
    return path


def packs_of(length: int) -> int:
    """Packs of a step."""
    return max(2, min(8, 16_384 // length))


def filled(packs: int, room: int, draw: random.Random) -> list[int]:
    """An even number of lengths, lognormal about 350 or a fifth of the room, that best-fit decreasing puts into packs.

    >>> lengths = filled(8, 2040, random.Random(0))
    >>> 0.95 < sum(lengths) / (8 * 2040) < 1, len(lengths) % 2
    (True, 0)
    """
    middle = math.log(max(min(room, 350), room / 5)) if room > 128 else math.log(room / 3)
    rooms, found = [room] * packs, []
    for _ in range(40 * packs):
        length = min(room, max(min(60, room // 4), int(draw.lognormvariate(middle, 0.6))))
        left = [place for place in range(packs) if rooms[place] >= length]
        if left:
            rooms[min(left, key=rooms.__getitem__)] -= length
            found.append(length)
    while len(found) % 2 or len(packed([Tokens((0,) * length, 1) for length in found], room)) > packs:
        found.remove(min(found))
    return found


def settings_of(told: argparse.Namespace, **changed: Any) -> TrainSettings:
    known = {
        "dataset_path": samples(told), "base_model": str(told.work / told.shape), "output_dir": told.work / "models",
        "model_name": f"{told.one}-{time.time_ns()}", "load_in_4bit": "true", "batch_size": 1,
        "gradient_accumulation_steps": _count(told), "max_steps": told.steps, "epochs": 1000,
        "max_seq_length": told.length, "lora_r": told.rank, "lora_dropout": 0.0, "compile": told.compile,
        "packing": "true", "save_every": 10_000, "vram_limit_gb": told.limit or None, "warmup_steps": 0,
        "seed": told.seed,
    }  # fmt: skip
    return TrainSettings.model_validate(known | changed)


def _count(told: argparse.Namespace) -> int:
    """Samples: all of them are a step."""
    return len(samples(told).read_text("utf-8").splitlines())


class Clock(Null):
    """Notes the end, rate and loss of each step."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float, float]] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        if "train/loss" in values:
            self.rows.append((time.monotonic(), values["train/tokens_per_s"], values["train/loss"]))

    def figures(self, began: float) -> Row:
        """Rate, warm-up and loss of a training that began then."""
        return {
            "tokens_per_s": round(statistics.median(rate for _, rate, _ in self.rows[WARM:] or self.rows)),
            "warm_up_s": round(self.rows[0][0] - began, 1),
            "loss": round(self.rows[-1][2], 4),
        }


def ours(told: argparse.Namespace) -> Iterator[Row]:
    from sluicegate.train import loop

    side.cap(told.limit)
    clock, began = Clock(), time.monotonic()
    done = loop.train(settings_of(told), clock)
    yield {
        "limit_gib": told.limit, **clock.figures(began), "peak_gib": done.peak_vram_gib,
        "forecast_gib": done.forecast_vram_gib,
    }  # fmt: skip


def trl(told: argparse.Namespace) -> Iterator[Row]:
    from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = told.work / told.shape
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, device_map={"": 0}, attn_implementation="sdpa"
    )
    model = prepare_model_for_kbit_training(model, gradient_checkpointing_kwargs={"use_reentrant": False})
    config = LoraConfig(
        r=told.rank, lora_alpha=32, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    more = {
        "use_liger_kernel": True, "gradient_checkpointing": True,
        "gradient_checkpointing_kwargs": {"use_reentrant": False},
    }  # fmt: skip
    model = get_peft_model(model, config)
    for windows in (4, 1):
        yield _peer(told, model, AutoTokenizer.from_pretrained(folder), windows, more)


def unsloth(told: argparse.Namespace) -> Iterator[Row]:
    FastLanguageModel = importlib.import_module("unsloth").FastLanguageModel  # noqa: N806

    model, tokenizer = FastLanguageModel.from_pretrained(
        str(told.work / told.shape), max_seq_length=told.length, dtype=torch.bfloat16, load_in_4bit=True,
        local_files_only=True,
    )  # fmt: skip
    model = FastLanguageModel.get_peft_model(
        model, r=told.rank, lora_alpha=32, lora_dropout=0, bias="none", random_state=0,
        use_gradient_checkpointing="unsloth",
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    )  # fmt: skip
    for windows in (4, 1):
        yield _peer(told, model, tokenizer, windows, {})


def _peer(told: argparse.Namespace, model: Any, tokenizer: Any, windows: int, more: Row) -> Row:
    """A training with fresh adapters by TRL's trainer, or by what Unsloth makes of it."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    torch.manual_seed(0)
    for name, part in model.named_parameters():
        if "lora_A" in name:
            torch.nn.init.kaiming_uniform_(part.data, a=math.sqrt(5))
        elif "lora_B" in name:
            part.data.zero_()
    ends: list[float] = []
    tokens = [0]

    class Timed(SFTTrainer):  # type: ignore[misc]
        def training_step(self, model: Any, inputs: Any, *rest: Any, **how: Any) -> Any:
            mask = inputs.get("attention_mask")
            tokens[-1] += int((inputs["input_ids"] != tokenizer.pad_token_id).sum() if mask is None else mask.sum())
            return super().training_step(model, inputs, *rest, **how)

        def log(self, *given: Any, **how: Any) -> Any:
            torch.cuda.synchronize()
            ends.append(time.monotonic())
            tokens.append(0)
            return super().log(*given, **how)

    arguments = SFTConfig(
        output_dir=str(told.work / "peer"), max_steps=told.steps, learning_rate=2e-4, bf16=True, logging_steps=1,
        save_strategy="no", report_to=[], optim="paged_adamw_8bit", max_length=told.length, packing=True,
        per_device_train_batch_size=windows, gradient_accumulation_steps=packs_of(told.length) // windows,
        warmup_steps=0, disable_tqdm=True, dataset_num_proc=1, **more,  # Unsloth's eight would pack apart
    )  # fmt: skip
    rows = [json.loads(line) for line in samples(told).read_text("utf-8").splitlines()]
    data = Dataset.from_list([{name: row[name] for name in ("prompt", "completion")} for row in rows])
    trainer = Timed(model=model, args=arguments, train_dataset=data, processing_class=tokenizer)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    began = time.monotonic()
    trainer.train()
    spans = [after - before for before, after in itertools.pairwise([began, *ends[: told.steps]])]
    rates = [count / span for count, span in zip(tokens, spans, strict=False)]
    losses = [row["loss"] for row in trainer.state.log_history if "loss" in row]
    return {
        "row": f"{told.one}, {windows} window{'s' if windows > 1 else ''} at once", "windows": windows,
        "tokens_per_s": round(statistics.median(rates[WARM:])), "warm_up_s": round(spans[0], 1),
        "loss": round(losses[-1], 4), "peak_gib": side.peak_gib(), "tokens_a_step": tokens[1],
    }  # fmt: skip


def longest(told: argparse.Namespace) -> Iterator[Row]:
    """The longest sample whose step fits: the memory model's word first, then a few tries around it."""
    from sluicegate.models import causal
    from sluicegate.models.base import find
    from sluicegate.models.memory import filled_gib, forecast_gib

    side.cap(told.limit)
    asked = settings_of(argparse.Namespace(**vars(told) | {"length": POSITIONS}), packing="true")
    size = causal._measured(find(asked.base_model))[1]

    room = filled_gib(asked, told.limit or 1.0)

    def need(length: int) -> float:
        return forecast_gib(size, asked, in_4bit=True, window=length, gpu=True, limit_gib=room)

    low, high = 256, 512 if not GPU else POSITIONS
    while high - low > 64:
        middle = (low + high) // 2
        low, high = (middle, high) if need(middle) <= room else (low, middle)
    learner = causal.load(asked, asked.base_model, DEVICE)
    optimizer = torch.optim.AdamW([part for part in learner.model.parameters() if part.requires_grad], fused=True)
    learner.model.train()
    fits, tried, step = 0, [], 1.12
    length = low
    for _ in range(4 if GPU else 2):
        length = max(64, length // 64 * 64)
        done = _one_step(learner, optimizer, Tokens((3,) * length, length // 4), length)
        tried.append([length, done])
        fits = max(fits, length if done else 0)
        step = step if len(tried) == 1 or tried[-1][1] == tried[-2][1] else 1 + (step - 1) / 2
        length = int(length * step if done else length / step)
    yield {
        "limit_gib": told.limit, "rank": told.rank, "longest": fits, "forecast": low, "tried": tried,
        "peak_gib": side.peak_gib(),
    }  # fmt: skip


def _one_step(learner: Any, optimizer: Any, sample: Any, length: int) -> bool:
    """Whether a step on one sample fits: forward, backward, the optimizer."""
    learner.window = learner.longest = length
    try:
        print(learner.settle(1, steps=1000), file=sys.stderr, flush=True)
        batch = moved(learner.batch([sample], 1), DEVICE)
        with torch.autocast(DEVICE.type, dtype=torch.bfloat16, enabled=GPU):
            (learner.scored(**batch) / sample.targets).backward()
        optimizer.step()
        side.synchronise()
    except torch.OutOfMemoryError:
        return False
    finally:
        optimizer.zero_grad(set_to_none=True)
        optimizer.state.clear()  # a training makes its moments after it has settled
        if GPU:
            torch.cuda.empty_cache()
    return True


def profile(told: argparse.Namespace) -> Iterator[Row]:
    """Where a warm step's time goes: kernels by their time, between which the GPU waits; the allocator's retries."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as profiled

    from sluicegate.train import loop
    from sluicegate.train import step as steps

    taken = steps.take
    seen: list[Any] = []

    def watched(training: Any, number: int, *given: Any, **how: Any) -> Any:
        if number != told.steps:
            return taken(training, number, *given, **how)
        with profiled(activities=[ProfilerActivity.CUDA if GPU else ProfilerActivity.CPU]) as watch:
            began = time.monotonic()
            done = taken(training, number, *given, **how)
            side.synchronise()
            seen.append((time.monotonic() - began, watch))
        return done

    vars(loop)["take"] = watched
    side.cap(told.limit)
    clock = Clock()
    loop.train(settings_of(told), clock)
    seconds, watch = seen[0]
    kind = DeviceType.CUDA if GPU else DeviceType.CPU
    spans = sorted((e.time_range.start, e.time_range.end, e.name) for e in watch.events() if e.device_type == kind)
    kernels, waits = spent(spans)
    rates = [rate for _, rate, _ in clock.rows[WARM:-1] or clock.rows]
    yield {
        "tokens_per_s": round(statistics.median(rates)), "step_s": round(seconds, 3),
        "kernels_s": round(sum(each for _, each in kernels.values()) / 1e6, 3),
        "waits_s": round(sum(each for _, each in waits.values()) / 1e6, 3), "retries": side.retries(),
        "top": _most(kernels, 45), "waits": _most(waits, 15),
    }  # fmt: skip


Spent = dict[str, tuple[int, float]]


def spent(spans: Sequence[tuple[float, float, str]]) -> tuple[Spent, Spent]:
    """How often each name occurs, and its time; likewise what lies between two that nothing fills.

    >>> spent([(0, 3, "a"), (2, 4, "b"), (9, 10, "a")])
    ({'a': (2, 4.0), 'b': (1, 2.0)}, {'b > a': (1, 5.0)})

    Args:
        spans: begin, end and name, by their begin.
    """
    kernels: Spent = {}
    waits: Spent = {}
    until, last = math.inf, ""
    for begin, end, name in spans:
        count, time_of = kernels.get(name, (0, 0.0))
        kernels[name] = count + 1, time_of + end - begin
        if begin > until:
            between = f"{last[:60]} > {name[:60]}"
            count, time_of = waits.get(between, (0, 0.0))
            waits[between] = count + 1, time_of + begin - until
        if last == "" or end > until:
            until, last = end, name
    return kernels, waits


def _most(spans: Spent, count: int) -> list[tuple[str, int, float]]:
    """Names that took longest, how often, in ms."""
    longest = sorted(spans.items(), key=lambda row: -row[1][1])[:count]
    return [(name[:130], times, round(each / 1e3, 2)) for name, (times, each) in longest]


def texts(count: int, longest: int) -> list[Sample]:
    """Functions of this Python's standard library, whole steps of them: the head asks for the body."""
    found = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        try:
            source = path.read_text("utf-8")
            tree = ast.parse(source)
        except (UnicodeDecodeError, SyntaxError):
            continue
        for part in ast.walk(tree):
            if isinstance(part, ast.FunctionDef) and part.body[0].lineno > part.lineno:
                lines = source.splitlines(keepends=True)
                cut = part.body[0].lineno - 1
                head, body = "".join(lines[part.lineno - 1 : cut]), "".join(lines[cut : part.end_lineno])
                if 200 <= len(head + body) <= longest and source.isascii():
                    found.append(Sample(f"{path.stem}-{part.lineno}", head, body))
    return found[: min(count, len(found) // A_CURVES_STEP * A_CURVES_STEP)]


def parity(told: argparse.Namespace) -> Iterator[Row]:
    """Loss curves of several seeds, each by ours and by transformers' Trainer from the same weights."""
    from sluicegate.models import tiny

    told.work.mkdir(parents=True, exist_ok=True)
    some = texts(1504 if GPU else 64, 1000 if GPU else 400)
    path = told.work / f"texts-{len(some)}.jsonl"
    jsonl.write(path, some)
    shape = SMALL if GPU else SMALL | {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    running = []
    curves: dict[tuple[str, int], list[float]] = {}
    for seed in range(told.seeds):
        folder = told.work / f"small-{shape['hidden_size']}-{len(some)}-{seed}"
        tiny.build(folder, tiny.texts_of(some), seed=seed, shape=shape)
        for who, way in (("ours", curve_ours), ("trainer", curve_trainer)):
            options = {"work": told.work, "steps": told.steps, "seed": seed, "base": folder, "data": path}
            if not GPU:
                (row,) = way(argparse.Namespace(**options))
                curves[who, seed] = row["losses"]
                continue
            # Side by side: no time is taken here.
            command = [sys.executable, __file__, "--one", f"curve-{who}", *side.words_of(options)]
            running.append(((who, seed), subprocess.Popen(command, stdout=subprocess.PIPE, text=True)))
    for key, process in running:
        curves[key] = json.loads(process.communicate()[0].splitlines()[-1])["losses"]
    yield compared(curves, told.steps) | {"samples": len(some)}


def compared(
    curves: Mapping[tuple[str, int], Sequence[float]], steps: int, *, one: str = "ours", other: str = "trainer"
) -> Row:
    """How far one way lies from another with the same seed, beside how far seeds lie apart; of smoothed curves."""
    over = min(SMOOTHED, max(1, steps // 4))
    smooth = {key: _smoothed(curve, over) for key, curve in curves.items()}
    seeds = sorted({seed for _, seed in curves})
    apart = [
        abs(mine - theirs)
        for seed in seeds
        for mine, theirs in zip(smooth[one, seed], smooth[other, seed], strict=True)
    ]
    spread = [
        statistics.stdev(smooth[other, seed][place] for seed in seeds) for place in range(len(apart) // len(seeds))
    ]
    ends = {who: [round(smooth[who, seed][-1], 4) for seed in seeds] for who in (one, other)}
    return {
        "steps": steps, "seeds": len(seeds), "first_loss": round(curves[one, 0][0], 4), "last_losses": ends,
        "apart_mean": round(statistics.mean(apart), 5), "apart_most": round(max(apart), 5),
        "between_seeds": round(statistics.mean(spread), 5),
        "within_seed_noise": statistics.mean(apart) <= statistics.mean(spread),
    }  # fmt: skip


def _smoothed(curve: Sequence[float], over: int) -> list[float]:
    return [statistics.mean(curve[place : place + over]) for place in range(len(curve) - over + 1)]


def _curve_settings(told: argparse.Namespace) -> TrainSettings:
    return TrainSettings.model_validate(
        {
            "dataset_path": told.data, "base_model": str(told.base), "output_dir": told.work / "models",
            "model_name": f"curve-{told.seed}-{time.time_ns()}", "load_in_4bit": "false", "lora_r": 0,
            "batch_size": A_CURVES_STEP // 2, "gradient_accumulation_steps": 2, "max_steps": told.steps, "epochs": 1000,
            "max_seq_length": 1024, "learning_rate": 1e-3, "warmup_steps": told.steps // 10,
            "save_every": 10_000, "compile": "false", "packing": "true" if GPU else "auto", "seed": told.seed,
        }
    )  # fmt: skip


def curve_ours(told: argparse.Namespace) -> Iterator[Row]:
    from sluicegate.train import loop

    clock = Clock()
    loop.train(_curve_settings(told), clock)
    yield {"losses": [loss for _, _, loss in clock.rows]}


def curve_trainer(told: argparse.Namespace) -> Iterator[Row]:
    """The same samples in the same steps, padded, by transformers' Trainer."""
    from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainerCallback, TrainingArguments

    from sluicegate.data.reader import read_samples
    from sluicegate.models.tokens import encode_all
    from sluicegate.train.batches import schedule

    asked = _curve_settings(told)
    items = list(
        encode_all(
            AutoTokenizer.from_pretrained(told.base), read_samples(asked.dataset_path), window=asked.max_seq_length,
            over_long="error", source=asked.dataset_path,
        )
    )  # fmt: skip
    per_step = asked.batch_size * asked.gradient_accumulation_steps
    plan = schedule(len(items), per_step=per_step, epochs=asked.epochs, max_steps=asked.max_steps, seed=asked.seed)
    order = [items[index] for step in range(1, plan.steps + 1) for index in plan.indices(step)]
    losses: list[float] = []

    class Kept(TrainerCallback):  # type: ignore[misc]
        def on_log(self, *_: Any, logs: Mapping[str, float], **__: Any) -> None:
            if "loss" in logs:
                losses.append(logs["loss"])

    arguments = TrainingArguments(
        output_dir=str(told.work / "peer"), max_steps=asked.max_steps, per_device_train_batch_size=asked.batch_size,
        gradient_accumulation_steps=asked.gradient_accumulation_steps, learning_rate=asked.learning_rate,
        warmup_steps=asked.warmup_steps, max_grad_norm=asked.max_grad_norm, lr_scheduler_type="linear", bf16=GPU,
        train_sampling_strategy="sequential", logging_steps=1, save_strategy="no", report_to="none", use_cpu=not GPU,
        disable_tqdm=True, remove_unused_columns=False, seed=asked.seed,
    )  # fmt: skip
    Trainer(
        model=AutoModelForCausalLM.from_pretrained(told.base, dtype=torch.float32), args=arguments,
        train_dataset=[{"item": item} for item in order], data_collator=side.collated, callbacks=[Kept()],
    ).train()  # fmt: skip
    yield {"losses": losses}


def adapters(told: argparse.Namespace) -> Iterator[Row]:
    """Loss curves of LoRA on a model that was trained on other texts: its weights in bf16 and in fp32."""
    from sluicegate.models import causal, loading, tiny
    from sluicegate.train import loop

    told.work.mkdir(parents=True, exist_ok=True)
    some = texts(3008 if GPU else 128, 1000 if GPU else 400)
    paths = [told.work / f"{part}-of-{len(some)}.jsonl" for part in ("first", "second")]
    for path, rows in zip(paths, (some[: len(some) // 2], some[len(some) // 2 :]), strict=True):
        jsonl.write(path, rows)
    shape = SMALL if GPU else SMALL | {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2}
    folder = told.work / f"before-adapters-{len(some)}"
    tiny.build(folder, tiny.texts_of(some), seed=0, shape=shape)
    whole = argparse.Namespace(work=told.work, steps=told.steps, seed=0, base=folder, data=paths[0])
    trained = _curve_settings(whole)
    loop.train(trained, Null())
    plain = loading.with_adapters
    curves: dict[tuple[str, int], list[float]] = {}

    def in_bf16(*given: Any, **how: Any) -> Any:
        model = plain(*given, **how)
        for part in model.parameters():
            if part.requires_grad:
                part.data = part.data.bfloat16()
        return model

    try:
        for seed, (name, way) in itertools.product(range(told.seeds), (("bf16", in_bf16), ("fp32", plain))):
            vars(causal)["with_adapters"] = way
            asked = _curve_settings(argparse.Namespace(**vars(whole) | {"seed": seed, "data": paths[1]})).model_copy(
                update={"base_model": str(trained.model_dir), "load_in_4bit": "true" if GPU else "false",
                        "lora_r": told.rank, "lora_dropout": 0.0, "learning_rate": 2e-4}
            )  # fmt: skip
            clock = Clock()
            loop.train(asked, clock)
            curves[name, seed] = [loss for _, _, loss in clock.rows]
    finally:
        vars(causal)["with_adapters"] = plain
    yield compared(curves, told.steps, one="bf16", other="fp32") | {"samples": len(some) // 2}


def several(told: argparse.Namespace) -> Iterator[Row]:
    """Ours on one GPU and on several, at the same batch: rates and losses. Without GPUs, on so many processes."""
    from sluicegate.tracking.spool import curves

    data, seen = samples(told), {}
    base_model, how = told.work / told.shape, {"LOAD_IN_4BIT": "true", "LORA_R": str(told.rank), "PACKING": "true"}
    count, batch, peaks = _count(told), 1, {}
    if told.sharded:
        base_model, how = whole(told.work), {"LOAD_IN_4BIT": "false", "LORA_R": "0", "PACKING": "false"}
        batch = next((size for size in range(9, 1, -1) if count % (size * told.processes) == 0), 1)
    for processes in (1, told.processes):
        accumulation = count // processes // batch
        env = {
            "DATASET_PATH": str(data), "BASE_MODEL": str(base_model),
            "OUTPUT_DIR": str(told.work / "models"), "MODEL_NAME": f"several-{processes}-{time.time_ns()}",
            "BATCH_SIZE": str(batch), "GRADIENT_ACCUMULATION_STEPS": str(accumulation),
            "MAX_STEPS": str(told.steps), "EPOCHS": "1000", "MAX_SEQ_LENGTH": str(told.length), "LORA_DROPOUT": "0",
            "COMPILE": "false" if told.sharded else told.compile, "SAVE_EVERY": "10000", "WARMUP_STEPS": "0",
        } | how  # fmt: skip
        over = "--use_fsdp --fsdp_version 2" if told.sharded else "--multi_gpu"
        launch = f"accelerate.commands.launch {over} --num_machines 1 --dynamo_backend no --main_process_port 0"
        launch += f" --num_processes {processes} --mixed_precision {'bf16' if GPU else 'no'}"
        words = [*(["-m", *launch.split()] if processes > 1 else []), "-m", "sluicegate", "train", "--no-send"]
        subprocess.run([sys.executable, *words], env=os.environ | env, check=True, stdout=sys.stderr)
        model = Path(env["OUTPUT_DIR"]) / env["MODEL_NAME"]
        peaks[processes] = json.loads((model / "result.json").read_text("utf-8"))["peak_vram_gib"]
        told_of = curves(model / "events.jsonl")
        rates = [rate for _, rate in told_of["train/tokens_per_s"]]
        seen[processes] = (statistics.median(rates[WARM:] or rates), [loss for _, loss in told_of["train/loss"]])
    (alone, wanted), (together, found) = seen[1], seen[told.processes]
    yield {
        "tokens_per_s": round(together), "tokens_per_s_alone": round(alone),
        "efficiency": round(together / alone / told.processes, 3), "losses_alone": [round(loss, 5) for loss in wanted],
        "losses": [round(loss, 5) for loss in found], "peaks_gib": list(peaks.values()),
        "apart_most": round(max(abs(one - other) / one for one, other in zip(wanted, found, strict=True)), 6),
    }  # fmt: skip


WAYS = {
    "ours": ours, "trl": trl, "unsloth": unsloth, "longest": longest, "profile": profile, "parity": parity,
    "curve-ours": curve_ours, "curve-trainer": curve_trainer, "adapters": adapters,
    "several": several,
}  # fmt: skip


def figures(rows: Sequence[Row]) -> Row:
    """What is to be read off: the goals, and how many times the fastest peer ours is within a peer's memory."""
    rated = {row["row"]: row for row in rows if "tokens_per_s" in row and "efficiency" not in row}
    found: Row = {}
    for name, goal in GOALS.items():
        if name in rated:
            found[name] = {"tokens_per_s": rated[name]["tokens_per_s"], "goal": goal,
                           "met": rated[name]["tokens_per_s"] >= goal}  # fmt: skip
    peers = {name: row for name, row in rated.items() if not name.startswith("ours")}
    mine = [row for name, row in rated.items() if name.startswith("ours") and ", r " not in name]
    if peers and mine:
        name, peer = max(peers.items(), key=lambda item: item[1]["tokens_per_s"])
        within = [row for row in mine if row["peak_gib"] <= peer["peak_gib"]]
        best = max(within, key=lambda row: row["tokens_per_s"], default=None)
        ratio = round(best["tokens_per_s"] / peer["tokens_per_s"], 2) if best else None
        found["over the fastest peer at its own memory"] = {
            "peer": name, "tokens_per_s": peer["tokens_per_s"], "peak_gib": peer["peak_gib"],
            "ours": best["row"] if best else None, "times": ratio, "goal": OVER_PEER,
            "met": bool(ratio and ratio >= OVER_PEER),
        }  # fmt: skip
    return found


if __name__ == "__main__":
    main()
