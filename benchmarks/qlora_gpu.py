"""QLoRA training of a Llama-3-8B shape: tokens a second and peak memory, ours under several limits, beside TRL.

    python benchmarks/qlora_gpu.py [--shape 8b|tiny] [--limits 7,11,24,0] [--windows 1,4] [--peer] [--steps 12]

Weights are random, samples are 60 to 2,048 tokens of random words, a quarter of each the prompt. Each row is a process
of its own. Tokens leave padding out; the rate is the median over the later steps, the warm-up is all that comes before
the first step has ended. `--peer` adds TRL's SFTTrainer with packing and Liger, where they are installed. Without a GPU
the tiny shape is trained on the CPU, so that the script is tested; its figures mean nothing there.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from sluicegate.tracking import Null

SHAPES = {
    "8b": {
        "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192,
    },
    "tiny": {
        "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
    },
}  # fmt: skip
SAMPLES = 192


def base(folder: Path, shape: str) -> None:
    """A model folder with random weights and a tokenizer of whole words."""
    if (folder / "model.safetensors").exists():
        return
    import torch
    from safetensors.torch import save_file
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    config = LlamaConfig(
        **SHAPES[shape], rope_theta=500000.0, bos_token_id=0, eos_token_id=1, pad_token_id=2,
        architectures=["LlamaForCausalLM"], dtype="bfloat16",
    )  # fmt: skip
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.device("meta"):
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    state = {}
    for name, part in model.state_dict().items():
        made = torch.empty(part.shape, dtype=torch.bfloat16, device=device)
        state[name] = (made.fill_(1) if part.ndim == 1 else made.normal_(0, 0.02)).cpu()
    folder.mkdir(parents=True, exist_ok=True)
    config.save_pretrained(folder)
    names = ["<s>", "</s>", "<pad>", "<unk>", *(f"t{number}" for number in range(4, config.vocab_size))]
    words = Tokenizer(models.WordLevel({name: number for number, name in enumerate(names)}, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(
        tokenizer_object=words, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
    ).save_pretrained(folder)
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def samples(path: Path, vocabulary: int, longest: int) -> None:
    draw = random.Random(0)
    rows = []
    for number in range(SAMPLES):
        length = min(longest - 1, max(60, int(draw.lognormvariate(5.85, 0.6))))
        words = [f"t{draw.randrange(4, vocabulary)}" for _ in range(length)]
        cut = length // 4
        rows.append({"id": str(number), "prompt": " ".join(words[:cut]), "completion": " ".join(words[cut:])})
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


class Clock(Null):
    """Notes each step's time, rate and loss."""

    def __init__(self) -> None:
        self.rows: list[tuple[float, float, float]] = []

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        if "train/loss" in values:
            self.rows.append((time.monotonic(), values["train/tokens_per_s"], values["train/loss"]))


def ours(told: argparse.Namespace) -> dict[str, Any]:
    from sluicegate.settings import TrainSettings
    from sluicegate.train.loop import train

    limit, windows = float(told.limits), int(told.windows)
    settings = TrainSettings.model_validate(
        {
            "dataset_path": told.work / "train.jsonl", "base_model": str(told.work / told.shape),
            "output_dir": told.work / "models", "model_name": f"{told.shape}-{limit:g}-{windows}-{time.time_ns()}",
            "load_in_4bit": "true", "batch_size": windows, "gradient_accumulation_steps": 32 // windows,
            "max_steps": told.steps, "epochs": 1000, "max_seq_length": told.length, "lora_r": told.rank,
            "lora_dropout": told.dropout, "compile": told.compile, "packing": "true", "save_every": 10_000,
            "vram_limit_gb": limit or None,
        }
    )  # fmt: skip
    clock, started = Clock(), time.monotonic()
    done = train(settings, clock)
    return {
        "tokens_per_s": round(statistics.median(rate for _, rate, _ in clock.rows[told.steps // 3 :])),
        "peak_gib": done.peak_vram_gib, "forecast_gib": done.forecast_vram_gib,
        "warm_up_s": round(clock.rows[0][0] - started, 1), "loss": round(clock.rows[-1][2], 4),
    }  # fmt: skip


def trl(told: argparse.Namespace) -> dict[str, Any]:
    import torch
    from datasets import Dataset
    from peft import LoraConfig, prepare_model_for_kbit_training
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    folder, windows = told.work / told.shape, int(told.windows)
    quantised = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        folder, quantization_config=quantised, dtype=torch.bfloat16, device_map={"": 0}, attn_implementation="sdpa"
    )
    model = prepare_model_for_kbit_training(model, gradient_checkpointing_kwargs={"use_reentrant": False})
    rows = [json.loads(line) for line in (told.work / "train.jsonl").read_text("utf-8").splitlines()]
    arguments = SFTConfig(
        output_dir=str(told.work / "trl"), max_steps=told.steps, learning_rate=2e-4, bf16=True, logging_steps=1,
        save_strategy="no", report_to=[], optim="paged_adamw_8bit", max_length=told.length, packing=True,
        use_liger_kernel=True, per_device_train_batch_size=windows, gradient_accumulation_steps=8 // windows,
        gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False}, disable_tqdm=True,
    )  # fmt: skip
    config = LoraConfig(
        r=told.rank, lora_alpha=32, lora_dropout=told.dropout, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(rows), peft_config=config,
        processing_class=AutoTokenizer.from_pretrained(folder),
    )  # fmt: skip
    torch.cuda.reset_peak_memory_stats()
    started = time.monotonic()
    trainer.train()
    torch.cuda.synchronize()
    seconds = time.monotonic() - started
    seen = [row["num_tokens"] for row in trainer.state.log_history if "num_tokens" in row]
    return {
        "tokens_per_s": round(seen[-1] / seconds), "peak_gib": round(torch.cuda.max_memory_reserved() / 2**30, 4),
        "loss": trainer.state.log_history[-2].get("loss"),
    }  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--shape", choices=SHAPES, default="tiny")
    asked.add_argument("--limits", default="0", help="GiB, comma-separated; 0: what is free")
    asked.add_argument("--windows", default="1", help="of MAX_SEQ_LENGTH at once, comma-separated")
    asked.add_argument("--length", type=int, default=2048)
    asked.add_argument("--rank", type=int, default=16)
    asked.add_argument("--dropout", type=float, default=0.0)
    asked.add_argument("--compile", default="true")
    asked.add_argument("--steps", type=int, default=12)
    asked.add_argument("--peer", action="store_true")
    asked.add_argument("--work", type=Path, default=Path(gettempdir()) / "sluicegate-qlora")
    asked.add_argument("--one", choices=("ours", "trl"))
    told = asked.parse_args()
    if told.one:
        print(json.dumps({"ours": ours, "trl": trl}[told.one](told)))
        return
    base(told.work / told.shape, told.shape)
    samples(told.work / "train.jsonl", SHAPES[told.shape]["vocab_size"], told.length)
    cases = [("ours", limit, windows) for windows in told.windows.split(",") for limit in told.limits.split(",")]
    if told.peer:
        cases += [("trl", "0", windows) for windows in told.windows.split(",")]
    same = ["--shape", told.shape, "--length", str(told.length), "--rank", str(told.rank), "--steps", str(told.steps)]
    same += ["--dropout", str(told.dropout), "--compile", told.compile, "--work", str(told.work)]
    best: dict[str, float] = {}
    for name, limit, windows in cases:
        command = [sys.executable, __file__, "--one", name, "--limits", limit, "--windows", windows, *same]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        row = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else {"failed": done.returncode}
        best[name] = max(best.get(name, 0.0), row.get("tokens_per_s", 0.0))
        print(json.dumps({"trainer": name, "limit_gib": float(limit), "windows": int(windows), **row}), flush=True)
    if best.get("trl"):
        print(f"ours is {best['ours'] / best['trl']:.2f} x TRL with packing and Liger, each at its best")


if __name__ == "__main__":
    main()
