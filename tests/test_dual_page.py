"""The figures of docs/dual-encoder.md: parameters are those of the code, speeds those of the file beside the page."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parent.parent / "docs"
PAGE = (DOCS / "dual-encoder.md").read_text("utf-8")
SHAPE = {"vocab_size": 32100, "d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12}


def row(name: str) -> list[str]:
    """Cells of the page's table row of that name, the empty ones left out."""
    (line,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", PAGE, re.MULTILINE)
    return [cell.strip() for cell in line.split("|") if cell.strip()]


@pytest.mark.torch
def test_the_parts_are_those_of_the_code_and_add_up() -> None:
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from sluicegate.models.dual_config import DualEncoderConfig
    from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration

    def count(model: Any) -> int:
        return sum(part.numel() for part in model.parameters())

    with torch.device("meta"):
        single = T5ForConditionalGeneration(T5Config(**SHAPE))
        dual, two = (
            DualEncoderForConditionalGeneration(DualEncoderConfig(**SHAPE, shared_embeddings=shared))
            for shared in (True, False)
        )
    table, read = count(dual.shared), dual.encoder
    parts = {
        "table of tokens, and the head": table,
        "intent encoder": count(read.intent) - table,
        "decoder": count(dual.decoder) - table,
        "pattern encoder": count(read.pattern) - table,
        "two fusions": count(read.to_pattern) + count(read.to_intent),
        "the pattern's table": count(two) - count(dual),
    }
    for name, found in parts.items():
        sum_of, *cells = row(name)
        assert set(cells) == {f"{found:,}"}, name
        factors = re.sub(r"(?<=\d),(?=\d{3})", "", sum_of).translate(str.maketrans("×·", "**")).replace("²", "**2")
        assert sum_of.startswith("as ") or eval(factors) == found, name  # noqa: S307 (the page's own sums)
    wholes = [count(model) for model in (single, dual, two)]
    assert row("in all") == [f"{whole:,}" for whole in wholes]
    assert wholes == [sum(list(parts.values())[:some]) for some in (3, 5, 6)]


def test_speeds_are_those_of_the_file() -> None:
    told = json.loads((DOCS / "seq2seq-speed.json").read_text("utf-8"))
    training = [found for found in told["rows"] if "trainer" in found]
    for name, found in zip(["ours, 64", "Seq2SeqTrainer, 64"], training, strict=True):
        assert row(name) == [f"{found['tokens_per_s']:,}", f"{found['tflops']:.1f}", f"{found['peak_gib']:.2f}"]
    drawn = {found["decoder"]: found for found in told["rows"] if "sequences_per_s" in found}
    ways = ["ours, 64 prompts", "`generate`, the same in one batch", "`generate`, prompt by prompt (one was timed)"]
    for name, found in zip(ways, drawn.values(), strict=True):
        assert row(name) == [f"{found['sequences_per_s']:.3f}", f"{found['tokens_per_s']:,}"]
    ratios = {name: value for name, value in told["found"].items() if isinstance(value, float)}
    assert len(ratios) == 4
    said = [
        f"{100 * value:.1f}%" if name == "share_of_matmul_rate" else f"{value:g} times"
        for name, value in ratios.items()
    ]
    assert [text for text in said if text not in PAGE] == []


def test_updates_are_those_of_the_file() -> None:
    told = json.loads((DOCS / "rl-speed.json").read_text("utf-8"))
    names = {
        "ours": "ours, whole updates",
        "one_batch": "with `generate`, all in one batch",
        "prompt_by_prompt": "with `generate`, prompt by prompt",
    }
    for way, name in names.items():
        assert row(name) == [f"{told[way]['answers_per_s']:.1f}", f"{told[way]['drawing_tokens_per_s']:,.0f}"]
    assert f"**met** prompt by prompt, {told['over_prompt_by_prompt']:.1f} times" in PAGE
    assert f"in one batch {told['over_one_batch']:.1f} times" in PAGE
    assert f"{told['parameters']:,} parameters" in PAGE


def test_results_are_those_of_the_file() -> None:
    told = json.loads((DOCS / "results-k8s.json").read_text("utf-8"))
    shown = ("quality_gated", "k8s_valid", "k8s_bp", "intent_fidelity")
    for arm in ("baseline", "dual", "dual_ce", "dual_rl", "dual_reinforce"):
        runs = told["arms"][arm]["runs"].values()
        means = {
            name: sum(values) / len(runs) for name, values in zip(told["metrics"], zip(*runs, strict=True), strict=True)
        }
        assert row(f"`{arm}`") == [f"{100 * means[name]:.1f}" for name in shown]
    gains = {(name, found["metric"]): found["gain"] for name, rows in told["contrasts"].items() for found in rows}
    said = [
        ("dual", "quality_gated"), ("dual_rl", "k8s_valid"), ("dual_rl", "k8s_bp"), ("dual_rl", "intent_fidelity"),
        ("dual_rl", "quality_gated"), ("curriculum", "quality_gated"), ("no_augmentation", "quality_gated"),
        ("half_the_epochs", "quality_gated"),
    ]  # fmt: skip
    section = PAGE.partition("## Results, measured")[2]
    assert [pair for pair in said if f"{100 * gains[pair]:+.1f}" not in section] == []
