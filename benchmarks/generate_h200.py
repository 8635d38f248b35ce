"""Answers of a Llama-3-8B shape in 4-bit with an adapter: ours beside `generate`, in batches and prompt by prompt.

    python benchmarks/generate_h200.py [--shape 8b|tiny] [--limits 0,11] [--out FILE]

Weights are random and made on the spot: NF4 with double quantisation, LoRA r 16 on every linear layer. Prompts have 32
to `--length` tokens; `--draws` answers to each are drawn at temperature 1 with stops that end about one token in 150,
`--new` tokens at most. `generate` is asked prompt by prompt (`--few` of them, its draws in one call) and in one batch
of all answers to `--batch` prompts, padded on the left. Ours answers all prompts, in as many slots as fit below each of
`--limits` (GiB; 0: what is free), with weights unpacked where memory allows and once with packed ones. A rate is that
of a second pass; the first, in which graphs are captured, and loading are the warm-up. Greedy texts are compared with
those of `generate` prompt by prompt: in float32 on a few layers of the same widths, and in the form above, where
roundings decide among the near ties of random weights, as they do between `generate` and `generate` in a batch, which
is told beside. Goals on an H200: 5 times the tokens a second of `generate` prompt by prompt, twice those of one batch.
Without a GPU the tiny shape runs, so that the script is tested; its figures mean nothing there.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, LlamaConfig

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.side import (
    DEVICE,
    GPU,
    SHAPES,
    Row,
    apart,
    attempted,
    cap,
    keep,
    peak_gib,
    quantise,
    synchronise,
    words_of,
)

from sluicegate.models.causal_decoding import Decoder
from sluicegate.models.choosing import Sampling

PRECISION = torch.bfloat16 if GPU else torch.float32
ONE_IN = 150
END = frozenset({1})


def model_of(shape: str, *, layers: int | None = None, in_4bit: bool = True) -> Any:
    """A random model with an adapter that does something."""
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(0)
    changed = {"num_hidden_layers": layers} if layers else {}
    config = LlamaConfig(**SHAPES[shape] | changed, rope_theta=500000.0, bos_token_id=0, eos_token_id=1, pad_token_id=2)
    with torch.device(DEVICE):
        model = AutoModelForCausalLM.from_config(config, dtype=PRECISION if in_4bit else torch.float32)
    model.requires_grad_(False)
    if in_4bit:
        quantise(model, PRECISION)
    adapted = get_peft_model(model, LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM"))
    for name, part in adapted.named_parameters():
        if "lora_B" in name:
            part.data.normal_(0, 0.02)
    return adapted.eval()


def prompts_of(told: argparse.Namespace) -> list[list[int]]:
    draw = random.Random(0)
    lengths = [min(told.length, max(32, int(draw.lognormvariate(5.2, 0.5)))) for _ in range(told.prompts)]
    vocabulary = SHAPES[told.shape]["vocab_size"]
    return [[draw.randrange(3, vocabulary) for _ in range(length)] for length in lengths]


def stops_of(told: argparse.Namespace) -> frozenset[int]:
    return frozenset(range(3, 3 + max(1, SHAPES[told.shape]["vocab_size"] // ONE_IN)))


def answered(model: Any, prompts: Sequence[list[int]], new: int, stops: frozenset[int], **how: Any) -> list[list[int]]:
    """What `generate` answers to a batch of prompts, each up to its stop."""
    width = max(map(len, prompts))
    ids = torch.tensor([[2] * (width - len(prompt)) + prompt for prompt in prompts], device=DEVICE)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=DEVICE)
    found = model.generate(input_ids=ids, attention_mask=mask, max_new_tokens=new, pad_token_id=2,
                           eos_token_id=sorted(stops), **how)  # fmt: skip
    rows: list[list[int]] = found[:, width:].tolist()
    return [row[: next((place + 1 for place, token in enumerate(row) if token in stops), new)] for row in rows]


def drawn(decoder: Decoder, prompts: Sequence[list[int]], told: argparse.Namespace) -> list[list[int]]:
    """What ours answers."""
    rows = [prompt for prompt in range(len(prompts)) for _ in range(told.draws)]
    numbers = np.random.default_rng(0).random((len(rows), told.new))
    sampling = Sampling(1.0, 1.0, told.new, stops_of(told))
    done = (answer for some in decoder.draw(prompts, rows, numbers.__getitem__, sampling) for answer in some)
    return [answer.tokens for answer in sorted(done, key=lambda answer: answer.row)]


def greedy(decoder: Decoder, prompts: Sequence[list[int]], new: int) -> list[list[int]]:
    sampling = Sampling(0.0, 1.0, new, END)
    done = decoder.draw(prompts, range(len(prompts)), lambda _: np.zeros(new), sampling)
    return [answer.tokens for answer in sorted((one for some in done for one in some), key=lambda answer: answer.row)]


def timed(work: Callable[[], list[list[int]]], began: float) -> dict[str, Any]:
    synchronise()
    ready = time.perf_counter()
    answers = work()
    synchronise()
    seconds = time.perf_counter() - ready
    tokens = sum(map(len, answers))
    return {
        "tokens_per_s": round(tokens / seconds, 1), "answers": len(answers), "seconds": round(seconds, 1),
        "mean_tokens": round(tokens / len(answers), 1), "warm_up_s": round(ready - began, 1),
        "peak_gib": peak_gib(),
    }  # fmt: skip


def theirs(told: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """`generate`, warm from a few tokens; its first call also initialises the libraries."""
    began, model, prompts = time.perf_counter(), model_of(told.shape), prompts_of(told)
    how = {"do_sample": True, "top_k": 0, "num_return_sequences": told.draws}
    stops, few = stops_of(told), prompts[: told.few]
    answered(model, prompts[:1], 4, stops, **how)
    loop = lambda: [one for prompt in few for one in answered(model, [prompt], told.new, stops, **how)]  # noqa: E731
    yield from attempted("decoder", "generate, prompt by prompt", lambda: timed(loop, began))
    if GPU:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    batch = prompts[: told.batch]
    yield from attempted(
        "decoder", "generate, one batch", lambda: timed(lambda: answered(model, batch, told.new, stops, **how), began)
    )


def ours(told: argparse.Namespace) -> Iterator[dict[str, Any]]:
    limit, began = float(told.limits), time.perf_counter()
    model, prompts = model_of(told.shape), prompts_of(told)
    if GPU:
        torch.cuda.empty_cache()
        cap(limit)  # only now: weights are made whole before they are quantised
        torch.cuda.reset_peak_memory_stats()

    def rate(name: str, *, packed: bool) -> Iterator[dict[str, Any]]:
        decoder = Decoder(model, max(prompts, key=len))
        if packed:
            decoder._packed = 0  # nothing is left to unpack, as far as it knows
        yield from attempted("decoder", name, lambda: passes(decoder) | {"limit_gib": limit})
        decoder.restore()

    def passes(decoder: Decoder) -> dict[str, Any]:
        drawn(decoder, prompts, told)
        found = timed(lambda: drawn(decoder, prompts, told), began)
        slots = decoder._slots.rows if decoder._slots else 0
        return found | {"slots": slots, "graphs": len(decoder._graphs), "captured": decoder._captures}

    yield from rate("ours", packed=False)
    if not limit:
        began = time.perf_counter()
        yield from rate("ours, weights packed", packed=True)


def same(told: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Shares of greedy texts that are equal to those of `generate` prompt by prompt, and of their first tokens."""
    few = [prompt[:128] for prompt in prompts_of(told)[: told.equal]]
    for name, how in (("float32", {"layers": 2, "in_4bit": False}), ("4-bit", {})):
        model = model_of(told.shape, **how)  # type: ignore[arg-type]
        alone = [answered(model, [prompt], told.greedy, END, do_sample=False)[0] for prompt in few]
        batch = answered(model, few, told.greedy, END, do_sample=False)
        mine = greedy(Decoder(model, max(few, key=len)), few, told.greedy)
        for who, found in (("ours", mine), ("generate, one batch", batch)):
            yield {"greedy": name, "decoder": who, "of": len(few), **likeness(found, alone)}


def likeness(found: Sequence[list[int]], wanted: Sequence[list[int]]) -> dict[str, Any]:
    both = list(zip(found, wanted, strict=True))
    alike = [
        next((place for place, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), len(other))
        for one, other in both
    ]
    return {
        "equal": sum(one == other for one, other in both),
        "tokens_alike": round(sum(alike) / sum(len(other) for _, other in both), 3),
    }


def ratios(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What is to be read off."""
    rates = {
        (row.get("decoder"), row.get("limit_gib", 0)): row["tokens_per_s"] for row in rows if "tokens_per_s" in row
    }
    return {
        f"{name}{f' within {limit:g} GiB' if limit else ''} / {peer}": round(rate / rates[peer, 0], 2)
        for (name, limit), rate in rates.items()
        for peer in ("generate, one batch", "generate, prompt by prompt")
        if str(name).startswith("ours") and (peer, 0) in rates
    }


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--shape", choices=SHAPES, default="8b" if GPU else "tiny")
    asked.add_argument("--prompts", type=int, default=64 if GPU else 6)
    asked.add_argument("--draws", type=int, default=8 if GPU else 3)
    asked.add_argument("--length", type=int, default=512 if GPU else 48, help="most tokens of a prompt")
    asked.add_argument("--new", type=int, default=384 if GPU else 24, help="most tokens of an answer")
    asked.add_argument("--few", type=int, default=1, help="prompts that generate answers one by one")
    asked.add_argument("--batch", type=int, default=16 if GPU else 6, help="prompts that generate answers at once")
    asked.add_argument("--equal", type=int, default=6 if GPU else 4, help="prompts whose greedy texts are compared")
    asked.add_argument("--greedy", type=int, default=64 if GPU else 24, help="tokens of those")
    asked.add_argument("--limits", default="0,11" if GPU else "0", help="GiB, comma-separated; 0: what is free")
    asked.add_argument("--out", type=Path, help="file for all rows, as JSON")
    asked.add_argument("--one", choices=("generate", "ours", "same"))
    told = asked.parse_args()
    if told.one:
        for row in {"generate": theirs, "ours": ours, "same": same}[told.one](told):
            print(json.dumps(row), flush=True)
        return
    rows: list[Row] = []
    cases = [("generate", told.limits), *(("ours", limit) for limit in told.limits.split(",")), ("same", told.limits)]
    for name, limits in cases:
        options = {key: value for key, value in vars(told).items() if key not in {"one", "out"}} | {"limits": limits}
        for row in apart([sys.executable, __file__, "--one", name, *words_of(options)], seconds=150):
            rows.append({"decoder": name, **row})
            print(json.dumps(rows[-1]), flush=True)
            keep(told.out, rows, ratios(rows))
    print(json.dumps(ratios(rows)), flush=True)


if __name__ == "__main__":
    main()
