"""What the benchmarks of a GPU share: the shape of the causal model, rows from processes of their own, a file of them.

A row is a dict that a process prints as a line of JSON. Rows are kept in one file, written anew with each, so that a
run that was cut off goes on behind the last. Run as a script it does nothing.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from sluicegate.jsonl import write_text

GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if GPU else "cpu")
SHAPES: dict[str, dict[str, int]] = {
    "8b": {
        "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
        "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 8192,
    },
    "tiny": {
        "vocab_size": 512, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 2048,
    },
}  # fmt: skip
"""Llama-3-8B's, and one for tests of the scripts."""
PACKAGES = ("torch", "triton", "transformers", "peft", "bitsandbytes", "accelerate", "trl", "liger-kernel", "unsloth")
Row = dict[str, Any]


def quantise(model: Any, precision: torch.dtype) -> None:
    """All linear layers but the head in NF4 with double quantisation, as transformers loads them, on `DEVICE`."""
    from bitsandbytes.nn import Linear4bit, Params4bit

    for layer in model.model.layers:
        for name, part in list(layer.named_modules()):
            if type(part) is torch.nn.Linear:
                packed = Linear4bit(part.in_features, part.out_features, bias=False, compute_dtype=precision,
                                    quant_type="nf4", device="meta")  # fmt: skip
                packed.weight = Params4bit(part.weight.data, requires_grad=False, quant_type="nf4")
                packed.support_avx512bf16_for_cpu = False
                parent, _, own = name.rpartition(".")
                setattr(layer.get_submodule(parent), own, packed.to(DEVICE))
    model.is_loaded_in_4bit = True


def synchronise() -> None:
    """Wait until the device has done what it was given."""
    if GPU:
        torch.cuda.synchronize()


def retries() -> int:
    """Times that the allocator gave back what it had cached because a request did not fit; 0 without a GPU."""
    return int(torch.cuda.memory_stats().get("num_alloc_retries", 0)) if GPU else 0


def peak_gib() -> float:
    """Most memory of the GPU that was reserved at once; 0 without one."""
    return round(torch.cuda.max_memory_reserved() / 2**30, 2) if GPU else 0.0


def cap(gib: float) -> None:
    """Let this process have no more of the GPU's memory than so many GiB; 0: all of it."""
    if GPU and gib:
        torch.cuda.set_per_process_memory_fraction(gib * 2**30 / torch.cuda.mem_get_info()[1])


def attempted(key: str, name: str, work: Callable[[], Row]) -> Iterator[Row]:
    """The row of some work, or why there is none."""
    try:
        yield {key: name, **work()}
    except (RuntimeError, ValueError, TypeError, AttributeError) as fault:
        yield {key: name, "failed": f"{type(fault).__name__}: {str(fault)[:300]}"}


def apart(command: Sequence[str], *, seconds: float) -> Iterator[Row]:
    """The rows that a process of its own prints, as they come, and a last one that says why it failed, if it did.

    Past its time the process is ended with all that it started. Its standard error is this one's.
    """
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    late = threading.Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    late.start()
    with process:
        for line in process.stdout or ():
            if line.startswith('{"'):
                yield json.loads(line)
    late.cancel()
    if process.returncode:
        killed = process.returncode == -signal.SIGKILL
        yield {"failed": f"killed, or not done in {seconds:g} s" if killed else f"exit {process.returncode}"}


def words_of(options: Mapping[str, Any]) -> list[str]:
    """Options as a command line has them."""
    return [word for name, value in options.items() for word in (f"--{name}", str(value))]


def read(out: Path | None) -> list[Row]:
    """The rows of an earlier run; none where there is no such file."""
    found: list[Row] = json.loads(out.read_text("utf-8"))["rows"] if out is not None and out.exists() else []
    return found


def keep(out: Path | None, rows: Sequence[Row], found: Row) -> None:
    """Write all rows and what is to be read off them, with where, when and by what they were made."""
    if out is not None:
        told = {"made": about(), "rows": list(rows), "found": found}
        write_text(out, json.dumps(told, indent=1) + "\n")


def _but(words: Sequence[str], *names: str) -> list[str]:
    """Words of a command without some options and their values.

    >>> _but(["--out", "x", "--only", "ours"], "--out")
    ['--only', 'ours']
    """
    return [word for before, word in zip(["", *words], words, strict=False) if not {before, word} & {*names}]


def about() -> Row:
    """Date, device, versions and command."""
    known = {item.name.replace("_", "-") for item in importlib.metadata.distributions()}
    versions = {name: importlib.metadata.version(name) for name in PACKAGES if name in known}
    words = _but(sys.argv[1:], "--out", "--work")
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "device": torch.cuda.get_device_name() if GPU else "CPU",
        "python": platform.python_version(),
        "versions": versions,
        "command": shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *words]),
    }  # fmt: skip


def collated(rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """A batch for transformers' Trainer, as its documentation has it; each row holds its tokens as `item`."""
    items = [row["item"] for row in rows]
    width = max(item.tokens for item in items)
    ids = torch.zeros(len(items), width, dtype=torch.long)
    labels, mask = torch.full_like(ids, -100), torch.zeros_like(ids)
    for number, item in enumerate(items):
        ids[number, : item.tokens] = torch.tensor(item.ids)
        labels[number, item.prompt : item.tokens] = torch.tensor(item.ids[item.prompt :])
        mask[number, : item.tokens] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}
