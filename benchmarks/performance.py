"""docs/performance.md: what the benchmarks of a GPU measured, and what the shipped studies would take on other cards.

    python benchmarks/performance.py [--collect [--qlora FILE...] [--generate FILE...]]

The page is made of docs/performance.json alone. `--collect` puts the files that `qlora_h200.py --out` and
`generate_h200.py --out` wrote into it, in place of those of their kind, and the hours that `sluicegate plan` has for
the studies on some cards. The constants that the plan takes those from (`stages/forecast/priors.py`) are held against
the measured rows by tests; `share` is what the rows say.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sluicegate import study
from sluicegate.jsonl import write_text
from sluicegate.settings import TrainSettings
from sluicegate.stages.forecast.cost import quantities
from sluicegate.stages.forecast.filling import filled
from sluicegate.stages.forecast.layout import lay_out
from sluicegate.stages.forecast.machines import GPUS, REACHED, of
from sluicegate.stages.forecast.shapes import LLAMA_3_8B, measure
from sluicegate.stages.forecast.work import texts, work
from sluicegate.stages.plan import resolve
from sluicegate.study import Machine

DOCS = Path(__file__).parents[1] / "docs"
STUDIES = ("metadata-llama3", "k8s-dual-encoder")
CARDS = {"RTX 4070 Ti": 12.0, "RTX 4080": 16.0, "RTX 4090": 24.0, "H100": 80.0}
"""Card → GiB; their rates are those of the forecasts (`GPUS`)."""
OF, OF_GIB = "h200", 139.0
"""The card that was measured, and its free GiB."""
HEAD = "<!-- made by benchmarks/performance.py of docs/performance.json -->\n\n"
ON_TRAINING = """\
Random weights in NF4 with double quantisation, LoRA r 16 on every linear layer, samples of 60 to 2,048 tokens in
packs; a step is the same eight packs of 2,048 for all but Unsloth. TRL packs (best-fit decreasing) with Liger, bf16 and
its paged 8-bit AdamW; ours has AdamW in fp32. Tokens leave padding out. Within a limit the process was refused more
memory. The loss is that of the last step; the warm-up ends with the first, and of ours loading is part of it."""
ON_GENERATION = """\
Prompts of 32 to 512 tokens, 8 answers each at temperature 1 with stops that end one token in 150, 384 at most; a
second pass is timed, the first is the warm-up."""
ON_HOURS = """\
Not measured: training and generation of stages 1 to 4 together, as `sluicegate plan` has them for a machine with that
card. It takes the share of the H200's speed that was measured above, and [there](dual-encoder.md) for the
encoder-decoders, of each card's published rates (16-bit TFLOP/s in training, GB/s in drawing answers as well), with the
windows and kept layers that its memory holds. Starting and compiling are in it, scoring is not. The plan's ranges reach
from about 0.4 to 2.5 times these, for slow processors and disks, and for what is assumed: what small micro-batches of
encoder-decoders take (2 ms a layer), and that other cards reach the same shares of their rates as the H200 did."""
Told = Mapping[str, Any]


def collect(had: Told, qlora: Sequence[Path], generate: Sequence[Path]) -> dict[str, Any]:
    """What the page is made of: the files' rows, or those there were where none are given, and hours of the studies."""

    def merged(name: str, files: Sequence[Path]) -> Any:
        return [json.loads(path.read_text("utf-8")) for path in files] or had[name]

    hours = {name: {card: computed(name, card, gib) for card, gib in CARDS.items()} for name in STUDIES}
    return {"qlora": merged("qlora", qlora), "generate": merged("generate", generate), "hours": hours}


def computed(name: str, card: str, gib: float) -> float | None:
    """Hours of training and generation that the plan of a study expects on a card; None where it does not fit."""
    machine = Machine(does=("train", "generate"), gpu=card, vram_gib=gib)
    one = study.load(name).model_copy(update={"machines": {"tower": machine}})
    hours = 0.0
    for number in range(1, 5):
        plan = resolve(one, number)
        stage = lay_out(one, plan, work(one, plan, texts(one, plan)), of(one))
        rows = {row.name: row.expected for row in quantities(stage)}
        train, generate, vram = (rows[verb] for verb in ("train", "generate", "vram"))
        if train is None or generate is None or vram is None or vram > gib:
            return None
        hours += train + generate
    return round(hours, 3)


def page(told: Told) -> str:
    """The page of what `collect` found."""
    return HEAD + "\n".join([*_training(told["qlora"]), *_generation(told["generate"]), *_hours(told["hours"])]) + "\n"


def _about(parts: Sequence[Told]) -> Iterator[str]:
    """A line of each device, date and versions with all commands that were run there."""
    commands: dict[str, list[str]] = {}
    for made in (part["made"] for part in parts):
        versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
        where = f"{made['device']}, {made['date']}, Python {made['python']}, {versions}"
        commands.setdefault(where, []).append(f"`{made['command']}`")
    yield from (f"- {where}: {', '.join(found)}." for where, found in commands.items())


def _training(parts: Sequence[Told]) -> Iterator[str]:
    yield "# Performance, measured"
    yield ""
    yield "## QLoRA training of a Llama-3-8B shape"
    yield ""
    yield from _about(parts)
    yield ""
    yield ON_TRAINING
    yield ""
    yield "| trainer | tokens/s | peak GiB reserved | forecast GiB | warm-up s | loss |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    rows = [row | {"device": part["made"]["device"]} for part in parts for row in part["rows"]]
    for row in rows:
        if "tokens_per_s" in row and "efficiency" not in row:
            figures = [_figure(row.get(name)) for name in ("peak_gib", "forecast_gib", "warm_up_s", "loss")]
            yield f"| {row['row']} | {row['tokens_per_s']:,} | {' | '.join(figures)} |"
    yield ""
    yield from _goals([part["found"] for part in parts])
    yield from (f"- {note}" for part in parts for note in part.get("notes", ()))
    yield from _others(rows)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _goals(found: Sequence[Told]) -> Iterator[str]:
    for name, goal in (pair for one in found for pair in one.items()):
        met = "met" if goal["met"] else "**missed**"
        if "times" not in goal:
            yield f"- Goal {goal['goal']:,} tokens/s, {name}: {met}, {goal['tokens_per_s']:,}."
            continue
        ours = f"{goal['ours']} is {goal['times']} times as fast" if goal["ours"] else "no row of ours takes as little"
        peer = f"{goal['peer']}: {goal['tokens_per_s']:,} tokens/s at {goal['peak_gib']:.2f} GiB"
        yield f"- Goal {goal['goal']:g} times the fastest peer at its own memory: {met}; {ours} ({peer})."


def _others(rows: Sequence[Told]) -> Iterator[str]:
    """The longest sample, the curve, two GPUs; and what was not measured."""
    seen = {row["case"]: row for row in rows if "failed" not in row}
    for name, row in seen.items():
        if name.startswith("longest"):
            tried = ", ".join(f"{length:,} {'fits' if fits else 'does not'}" for length, fits in row["tried"])
            yield f"- Longest sample {name.removeprefix('longest ')}: {row['longest']:,} tokens ({tried})."
    if "parity" in seen:
        row = seen["parity"]
        verdict = "within" if row["within_seed_noise"] else "**not within**"
        apart = f"ours is {row['apart_mean']:.4f} from transformers' Trainer on average"
        noise = f"seeds are {row['between_seeds']:.4f} apart"
        where = f"{row['seeds']} seeds, {row['device']}"
        yield f"- {row['steps']} steps from scratch, {where}: {apart}, {noise}: {verdict} seed noise."
    if "adapters" in seen:
        row = seen["adapters"]
        ends = " and ".join(f"{statistics.mean(found):.4f} in {name}" for name, found in row["last_losses"].items())
        apart = f"curves {row['apart_mean']:.4f} apart on average, seeds {row['between_seeds']:.4f}"
        where = f"{row['seeds']} seeds, {row['device']}"
        yield f"- LoRA weights after {row['steps']} steps, {where}: loss {ends}; {apart}."
    for name in (one for one in SEVERAL if one in seen):
        row = seen[name]
        rates = f"{row['tokens_per_s']:,} tokens/s, one {row['tokens_per_s_alone']:,}"
        losses = f"losses at most {row['apart_most']:.2%} apart"
        peaks = " and ".join(f"{peak:.2f}" for peak in reversed(row.get("peaks_gib", [])) if peak is not None)
        held = f"; {peaks} GiB a GPU at most" if peaks else ""
        yield f"- {SEVERAL[name]}: {rates}: {row['efficiency']:.0%}; {losses}{held}."
    missing = [what for name, what in NOT_MEASURED.items() if not any(case.startswith(name) for case in seen)]
    failed = [f"{row['row']} ({row['failed']})" for row in rows if "failed" in row]
    if missing:
        yield f"- Not measured: {'; '.join(missing)}."
    if failed:
        yield f"- Failed: {'; '.join(failed)}."


SEVERAL = {
    "two": "Two GPUs",
    "four": "Four GPUs",
    "sharded over two": "A billion weights, all trained, sharded over two GPUs",
}
"""Rows of several GPUs."""
NOT_MEASURED = {
    "trl": "TRL",
    "unsloth": "Unsloth",
    "ours within 7": "7 GiB",
    "ours within 16": "16 GiB, the memory of the fastest peer",
    "ours within 24": "24 GiB",
    "ours within 11 GiB, r 64": "rank 64 within 11 GiB",
    "ours within 11 GiB, 8192": "8,192 tokens within 11 GiB",
    "longest": "the longest sample within 11 GiB",
    "parity": "300 steps from scratch beside transformers' Trainer",
    "two": "two GPUs",
    "four": "four GPUs",
    "sharded": "every weight trained, sharded over two GPUs",
}
"""What a row would tell, by the beginning of its name."""


def _generation(parts: Sequence[Told]) -> Iterator[str]:
    yield ""
    yield "## Generation with the same shape, its adapter not merged"
    yield ""
    yield from _about(parts)
    yield ""
    yield ON_GENERATION
    yield ""
    yield "| decoder | limit GiB | tokens/s | answers | mean tokens | peak GiB reserved | warm-up s |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    rows = [row for part in parts for row in part["rows"]]
    rated = [row for row in rows if "tokens_per_s" in row]
    for row in rated:
        limit = f"{row['limit_gib']:g}" if row.get("limit_gib") else ""
        count = f"{row.get('answers', '')} | {row.get('mean_tokens', '')} | {row['peak_gib']:.2f}"
        yield f"| {row['decoder']} | {limit} | {row['tokens_per_s']:,} | {count} | {row.get('warm_up_s', '')} |"
    yield ""
    ours = max((row["tokens_per_s"] for row in rated if row["decoder"] == "ours"), default=0.0)
    for peer, goal in (("generate, prompt by prompt", 5), ("generate, one batch", 2)):
        rate = next((row["tokens_per_s"] for row in rated if row["decoder"] == peer), None)
        if rate:
            verdict = "met" if ours >= goal * rate else "**missed**"
            yield f"- Goal {goal} times `{peer}`: {verdict}, {ours / rate:.1f} times."
    for row in rows:
        if "greedy" in row:
            equal = f"{row['equal']} of {row['of']} equal `generate` prompt by prompt"
            alike = f"{row['tokens_alike']:.0%} of tokens come before the first that differs"
            yield f"- Greedy texts in {row['greedy']}, {row['decoder']}: {equal}; {alike}."
    yield "- In 4-bit roundings decide among the near ties of random weights, in a batch of `generate` as in ours."


def _hours(told: Mapping[str, Mapping[str, float | None]]) -> Iterator[str]:
    yield ""
    yield "## Hours of the shipped studies, computed"
    yield ""
    yield ON_HOURS
    yield ""
    yield "| study | " + " | ".join(f"{name}, {gib:g} GB" for name, gib in CARDS.items()) + " |"
    yield "| --- |" + " ---: |" * len(CARDS)
    for name, found in told.items():
        yield f"| {name} | " + " | ".join(_told_hours(found[card]) for card in CARDS) + " |"


def _told_hours(hours: float | None) -> str:
    if hours is None:
        return "does not fit"
    return f"{hours:.1f} h" if hours >= 0.95 else f"{hours * 60:.0f} min"


def share(rows: Sequence[Told]) -> float:
    """Of the TFLOP/s that the measured card reaches: what its passes take, by the rows whose plan was followed."""
    size = measure(LLAMA_3_8B)
    assert size is not None
    reached = REACHED.expected * GPUS[OF][0] * 1e12
    found: list[float] = []
    for row in rows:
        plain = row["case"].startswith("ours") and ", r " not in row["case"] and not row.get("halved")
        if plain and "tokens_per_s" in row:
            asked = _step(row["limit_gib"])
            known = filled(size, asked, in_4bit=True, window=2048, sample=SAMPLE, step=SAMPLES, gib=OF_GIB)
            found.append(2 * size.parameters * known.passes * row["tokens_per_s"] / reached)
    return statistics.mean(found)


SAMPLES, SAMPLE = 36, 438.0
"""Samples of a step of benchmarks/qlora_h200.py, and their mean tokens."""


def _step(limit: float) -> TrainSettings:
    """Its settings, as far as they count here."""
    return TrainSettings.model_construct(
        batch_size=1, gradient_accumulation_steps=SAMPLES, lora_r=16, lora_dropout=0.0, max_seq_length=2048,
        packing="auto", vram_limit_gb=limit or None,
    )  # fmt: skip


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--collect", action="store_true", help="write docs/performance.json first, its hours anew")
    asked.add_argument("--qlora", type=Path, nargs="+", default=[], help="of qlora_h200.py --out")
    asked.add_argument("--generate", type=Path, nargs="+", default=[], help="of generate_h200.py --out")
    told = asked.parse_args()
    path = DOCS / "performance.json"
    known = json.loads(path.read_text("utf-8"))
    if told.collect:
        known = collect(known, told.qlora, told.generate)
        write_text(path, json.dumps(known, indent=1) + "\n")
    write_text(DOCS / "performance.md", page(known))
    print("wrote docs/performance.md", file=sys.stderr)


if __name__ == "__main__":
    main()
