"""docs/performance.md: what the benchmarks of a GPU measured, and what the shipped studies would take on other cards.

    python benchmarks/performance.py [--collect --qlora FILE... --generate FILE...]

The page is made of docs/performance.json and docs/seq2seq-speed.json alone. `--collect` puts the files that
`qlora_h200.py --out` and `generate_h200.py --out` wrote into the former, with the tokens that the studies train on and
write, as `sluicegate plan` has them. Hours on other cards are computed, and marked so: a card takes as many times as
long as its published rate is lower, with as many layers kept and as many windows at once as its memory holds.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sluicegate import study
from sluicegate.jsonl import write_text
from sluicegate.models.memory import (
    FIXED_TOKENS,
    GIB,
    HOSTED,
    PASSES,
    Size,
    at_once,
    filled_gib,
    filling,
    need_of,
)
from sluicegate.models.pair_memory import PairSize
from sluicegate.stages.forecast.cost import quantities
from sluicegate.stages.forecast.layout import Stage, lay_out
from sluicegate.stages.forecast.machines import GPUS, of
from sluicegate.stages.forecast.shapes import LLAMA_3_8B, measure
from sluicegate.stages.forecast.work import texts, work
from sluicegate.stages.plan import resolve

DOCS = Path(__file__).parents[1] / "docs"
STUDIES = ("metadata-llama3", "k8s-dual-encoder")
CARDS = {"RTX 4070 Ti": 12.0, "RTX 4080": 16.0, "RTX 4090": 24.0, "H100": 80.0}
"""Card → GiB; their rates are those of the forecasts (`GPUS`)."""
OF = "h200"
"""The card that was measured."""
CONTEXT_GIB = 0.6
"""Of a card's memory that no training gets: CUDA's own, and what a desktop shows."""
HEAD = "<!-- made by benchmarks/performance.py of docs/performance.json -->\n\n"
ON_TRAINING = """\
Random weights in NF4 with double quantisation, LoRA r 16 on every linear layer, samples of 60 to 2,048 tokens in
packs; a step is the same eight packs of 2,048 for all. Tokens leave padding out. Within a limit the process was
refused more memory. The loss is that of the last step; the warm-up ends with the first."""
ON_GENERATION = """\
Prompts of 32 to 512 tokens, 8 answers each at temperature 1 with stops that end one token in 150, 384 at most; a
second pass is timed, the first is the warm-up."""
ON_HOURS = """\
Not measured: training and generation of stages 1 to 4 together. A card takes as many times as long as the H200
above, and for the encoder-decoders [as the one there](dual-encoder.md), as its published rate is lower (16-bit
TFLOP/s in training, GB/s in drawing answers), with the windows and kept layers that its memory holds. What a slow
processor, a disk, smaller batches of encoder-decoders and judging add is left out."""
Told = Mapping[str, Any]


def collect(qlora: Sequence[Path], generate: Sequence[Path]) -> dict[str, Any]:
    """What the page is made of: the files' rows, and the work of the studies."""

    def merged(files: Sequence[Path]) -> list[Any]:
        return [json.loads(path.read_text("utf-8")) for path in files]

    return {"qlora": merged(qlora), "generate": merged(generate), "studies": {name: tokens(name) for name in STUDIES}}


def tokens(name: str) -> dict[str, Any]:
    """Of a study's stages 1 to 4 together: tokens that are trained on, drawn to learn from, and written."""
    one = study.load(name)
    trained = written = drawn = 0.0
    for number in range(1, 5):
        plan = resolve(one, number)
        stage = lay_out(one, plan, work(one, plan, texts(one, plan)), of(one))
        rows = {row.name: row.expected or 0.0 for row in quantities(stage)}
        trained, written = trained + rows["tokens trained"], written + rows["tokens generated"]
        drawn += sum(_drawn(stage, model.arm) for model in plan.models)
    arm = next(iter(stage.arms.values()))
    sizes = [found.shape.size for found in stage.arms.values() if found.shape]
    settings = arm.settings
    return {
        "trained": trained, "written": written, "drawn": drawn, "in_4bit": arm.in_4bit,
        "sample": next(iter(stage.work.trained.values())).both.expected,
        "window": settings.max_seq_length, "batch_size": settings.batch_size, "lora_r": settings.lora_r,
        "accumulation": settings.gradient_accumulation_steps, "dropout": settings.lora_dropout,
        "parameters": max(size.parameters for size in sizes), "pairs": isinstance(sizes[0], PairSize),
    }  # fmt: skip


def _drawn(stage: Stage, arm: str) -> float:
    """Tokens of the answers that are drawn while an arm learns by reward."""
    settings = stage.arms[arm].settings
    if settings.method == "supervised":
        return 0.0
    answers = stage.arms[arm].passes.steps * settings.rl_prompts * settings.rl_samples
    return answers * min(settings.rl_max_new_tokens, stage.work.questions[arm].answer.expected)


def page(told: Told, pairs: Told) -> str:
    """The page.

    Args:
        told: what `collect` found.
        pairs: docs/seq2seq-speed.json.
    """
    return HEAD + "\n".join([*_training(told["qlora"]), *_generation(told["generate"]), *_hours(told, pairs)]) + "\n"


def _about(made: Told) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    return f"One {made['device']}, {made['date']}, Python {made['python']}, {versions}: `{made['command']}`."


def _training(parts: Sequence[Told]) -> Iterator[str]:
    yield "# Performance, measured"
    yield ""
    yield "## QLoRA training of a Llama-3-8B shape"
    yield ""
    yield from (_about(part["made"]) for part in parts)
    yield ""
    yield ON_TRAINING
    yield ""
    yield "| trainer | tokens/s | peak GiB reserved | forecast GiB | warm-up s | loss |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    rows = [row | {"device": part["made"]["device"]} for part in parts for row in part["rows"]]
    for row in rows:
        if "tokens_per_s" in row and row["case"] != "two":
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
    if "two" in seen:
        row = seen["two"]
        rates = f"{row['tokens_per_s']:,} tokens/s, one {row['tokens_per_s_alone']:,}"
        yield f"- Two GPUs: {rates}: {row['efficiency']:.0%}; losses at most {row['apart_most']:.2%} apart."
    missing = [what for name, what in NOT_MEASURED.items() if not any(case.startswith(name) for case in seen)]
    failed = [f"{row['row']} ({row['failed']})" for row in rows if "failed" in row]
    if missing:
        yield f"- Not measured: {'; '.join(missing)}."
    if failed:
        yield f"- Failed: {'; '.join(failed)}."


NOT_MEASURED = {
    "trl": "TRL",
    "unsloth": "Unsloth",
    "ours within 7": "7 GiB",
    "ours within 24": "24 GiB",
    "ours within 11 GiB, 8192": "8,192 tokens within 11 GiB",
    "longest": "the longest sample within 11 GiB",
    "parity": "300 steps from scratch beside transformers' Trainer",
    "two": "two GPUs (two CPU processes give one's losses: the same test file); sharded (FSDP) trainings are refused",
}
"""What a row would tell, by the beginning of its name."""


def _generation(parts: Sequence[Told]) -> Iterator[str]:
    yield ""
    yield "## Generation with the same shape, its adapter not merged"
    yield ""
    yield from (_about(part["made"]) for part in parts)
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


def _hours(told: Told, pairs: Told) -> Iterator[str]:
    yield ""
    yield "## Hours of the shipped studies, computed"
    yield ""
    yield ON_HOURS
    yield ""
    yield "| study | " + " | ".join(f"{name}, {gib:g} GB" for name, gib in CARDS.items()) + " |"
    yield "| --- |" + " ---: |" * len(CARDS)
    for name, found in told["studies"].items():
        ways = _pair_hours if found["pairs"] else _causal_hours
        shown = (ways(found, told, pairs, card, gib) for card, gib in CARDS.items())
        yield f"| {name} | " + " | ".join(_told_hours(one) for one in shown) + " |"


def _told_hours(hours: float | None) -> str:
    if hours is None:
        return "does not fit"
    return f"{hours:.1f} h" if hours >= 0.95 else f"{hours * 60:.0f} min"


def seconds_a_token(rows: Sequence[Told]) -> float:
    """Of one pass through the layers on the card that was measured, what a micro-batch takes at any length left out."""
    size = measure(LLAMA_3_8B)
    assert size is not None
    found: list[float] = []
    for row in rows:
        plain = row["case"].startswith("ours") and ", r " not in row["case"] and not row.get("halved")
        if plain and "tokens_per_s" in row:
            limit = filled_gib(_settings({}), row["limit_gib"] or MEASURED_GIB)
            found.append(1 / row["tokens_per_s"] / _passes(size, {}, limit)[0])
    return statistics.mean(found)


MEASURED_GIB = 139.0
"""Of the card that was measured, free."""
STEP: dict[str, Any] = {
    "window": 2048, "batch_size": 1, "accumulation": 36, "sample": 438.0, "lora_r": 16, "dropout": 0.0, "in_4bit": True,
}  # fmt: skip
"""The step of benchmarks/qlora_h200.py."""


def _settings(asked: Told) -> Any:
    from sluicegate.settings import TrainSettings

    known = STEP | dict(asked)
    return TrainSettings.model_construct(
        batch_size=known["batch_size"], gradient_accumulation_steps=known["accumulation"], lora_r=known["lora_r"],
        lora_dropout=known["dropout"], max_seq_length=known["window"], packing="auto",
    )  # fmt: skip


def _passes(size: Size, asked: Told, limit_gib: float) -> tuple[float, bool]:
    """Passes that a token takes within a limit, fixed costs included, by the memory model; and whether it fits."""
    known, settings = STEP | dict(asked), _settings(asked)
    step = known["batch_size"] * known["accumulation"] * known["sample"]
    need = need_of(size, settings, in_4bit=known["in_4bit"], window=known["window"])
    table = 2 * size.table
    among = at_once(settings, known["window"], step)
    how = filling(need, limit_gib * GIB, tokens=known["window"], step=step, among=among, table=table)
    batches = -(-step // (how.windows * known["window"]))
    passes = (PASSES - how.keeps / size.layers) * (1 + batches * FIXED_TOKENS / step) * (HOSTED if how.hosted else 1)
    peak = replace(need, still=need.still - how.hosted * table).windows(how.windows).peak(how.keeps)
    return passes, peak <= limit_gib * GIB


def _slower(card: str, figure: int) -> float:
    return GPUS[OF][figure] / GPUS[card.lower()][figure]


def _causal_hours(found: Told, told: Told, pairs: Told, card: str, gib: float) -> float | None:
    size = measure(LLAMA_3_8B)
    assert size is not None and found["parameters"] == size.parameters
    passes, fits = _passes(size, found, filled_gib(_settings(found), gib - CONTEXT_GIB))
    if not fits:
        return None
    rows = [row for part in told["qlora"] for row in part["rows"]]
    rated = [row for part in told["generate"] for row in part["rows"] if "tokens_per_s" in row]
    training: float = found["trained"] * passes * seconds_a_token(rows) * _slower(card, 0)
    drawn = [row for row in rated if row["decoder"].startswith("ours")]
    within = [row for row in drawn if row["peak_gib"] <= gib - CONTEXT_GIB]
    rate: float = max(row["tokens_per_s"] for row in within or drawn)
    hours: float = (training + found["written"] / rate * _slower(card, 1)) / 3600
    return hours


def _pair_hours(found: Told, told: Told, pairs: Told, card: str, gib: float) -> float:
    rows = pairs["rows"]
    trained = max(row["tokens_per_s"] for row in rows if row.get("trainer") == "ours")
    written = next(row["tokens_per_s"] for row in rows if row.get("decoder") == "ours" and "tokens_per_s" in row)
    single = measure({"model_type": "t5", "d_model": 768, "d_ff": 3072, "d_kv": 64, "num_layers": 12, "num_heads": 12,
                      "vocab_size": 32100})  # fmt: skip
    assert isinstance(single, PairSize)
    larger = found["parameters"] / single.parameters
    training = found["trained"] / trained * larger * _slower(card, 0)
    hours: float = (training + (found["written"] + found["drawn"]) / written * larger * _slower(card, 1)) / 3600
    return hours


def main() -> None:
    asked = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    asked.add_argument("--collect", action="store_true", help="write docs/performance.json first")
    asked.add_argument("--qlora", type=Path, nargs="+", default=[], help="of qlora_h200.py --out")
    asked.add_argument("--generate", type=Path, nargs="+", default=[], help="of generate_h200.py --out")
    told = asked.parse_args()
    if told.collect:
        write_text(DOCS / "performance.json", json.dumps(collect(told.qlora, told.generate), indent=1) + "\n")
    files = (json.loads((DOCS / name).read_text("utf-8")) for name in ("performance.json", "seq2seq-speed.json"))
    write_text(DOCS / "performance.md", page(*files))
    print("wrote docs/performance.md", file=sys.stderr)


if __name__ == "__main__":
    main()
