"""Sizes of base models, from their configuration alone: no weights, no torch, no network.

A base is a folder with config.json, `tiny`, `scratch-…`, or one of the named models in `NAMED`. Of any other name
nothing is known here, and nothing is guessed. A dual encoder of a T5 has a second encoder and two fusions beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluicegate.errors import UserError
from sluicegate.jsonl import read_text
from sluicegate.models.memory import Size
from sluicegate.models.pair_memory import PairSize

TINY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": 640, "max_position_embeddings": 2048,
}  # fmt: skip
"""`models.tiny.SHAPE`, which cannot be imported here: torch hangs on it. The vocabulary is as large as the texts make
it; in stages 2 and 3 of the demo it has 640 tokens."""
LLAMA_3_8B: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 8192,
}  # fmt: skip


def _t5(width: int, feed_forward: int, heads: int, layers: int) -> dict[str, Any]:
    return {
        "model_type": "t5", "d_model": width, "d_ff": feed_forward, "d_kv": 64, "num_heads": heads,
        "num_layers": layers, "num_decoder_layers": layers, "vocab_size": 32100, "feed_forward_proj": "relu",
    }  # fmt: skip


NAMED: dict[str, dict[str, Any]] = {
    "tiny": TINY,
    "scratch-tiny": _t5(192, 512, 6, 2) | {"d_kv": 32, "vocab_size": 2048},
    "scratch-small": _t5(512, 2048, 8, 6) | {"vocab_size": 8192},
    "scratch-base": _t5(768, 3072, 12, 12) | {"vocab_size": 8192},
    "meta-llama/Meta-Llama-3-8B": LLAMA_3_8B,
    "meta-llama/Meta-Llama-3-8B-Instruct": LLAMA_3_8B,
    "Salesforce/codet5-small": _t5(512, 2048, 8, 6),
    "Salesforce/codet5-base": _t5(768, 3072, 12, 12),
    "Salesforce/codet5p-220m": _t5(768, 3072, 12, 12),
    "Salesforce/codet5p-770m": _t5(1024, 4096, 16, 24),
}
"""Name at the hub → the parts of its config.json that sizes depend on."""
GATED = frozenset({"llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"})
"""Decoders with a gated feed-forward of three matrices, no matter what else differs."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A base model.

    Args:
        size: its shape.
        positions: tokens that it can see at once.
        made: whether it is made on the spot.
        kept: keys and values of a token, over all layers, that a decoder keeps; 0 of an encoder-decoder.
    """

    size: Size
    positions: int
    made: bool = False
    kept: int = 0


def find(base: str, kind: str = "causal") -> Shape | None:
    """The shape of a base model as a kind of model takes it, or None where it cannot be known here.

    >>> find("meta-llama/Meta-Llama-3-8B").size.parameters
    8030261248
    >>> find("Salesforce/codet5-base").size.parameters
    222882048
    >>> find("Salesforce/codet5-base", "dual").size.parameters
    312561024
    >>> find("somebody/some-model") is None
    True
    """
    if base == "tiny" and kind != "causal":
        base = "scratch-tiny"
    config = NAMED.get(base) or _config(Path(base).expanduser() / "config.json")
    size = measure(config, kind) if config else None
    if config is None or size is None:
        return None
    kept = 0 if "d_model" in config else 2 * size.layers * _keys(config)
    return Shape(size, int(config.get("max_position_embeddings") or 2**31), made=made(base), kept=kept)


def made(base: str) -> bool:
    """Whether a stage makes a base on the spot.

    >>> made("tiny"), made("scratch-small"), made("Salesforce/codet5-base")
    (True, True, False)
    """
    return base == "tiny" or base.startswith("scratch-")


def _config(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_text(path)) if path.is_file() else None
    except (UserError, ValueError, RecursionError, OSError):
        return None
    return found if isinstance(found, dict) else None


def measure(config: Mapping[str, Any], kind: str = "causal") -> Size | None:
    """The size that a configuration tells of; None for kinds of models that are not known here."""
    try:
        if config.get("model_type") in {"t5", "sluicegate-dual"}:
            dual = kind == "dual" or config.get("model_type") == "sluicegate-dual"
            return _encoder_decoder(config, encoders=2 if dual else 1)
        return _decoder(config) if config.get("model_type") in GATED else None
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


def _decoder(config: Mapping[str, Any]) -> Size:
    """Weights of a gated decoder: four attention matrices, three of the feed-forward, two norms a layer."""
    width, inner, layers = (int(config[key]) for key in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    heads, tokens = int(config["num_attention_heads"]), int(config["vocab_size"])
    keys, queries = _keys(config), heads * _of_head(config)
    matrices = [(width, queries), (width, keys), (width, keys), (queries, width), *[(width, inner)] * 2, (inner, width)]
    linear = layers * sum(rows * columns for rows, columns in matrices)
    tables = 1 if config.get("tie_word_embeddings") else 2
    return Size(
        parameters=linear + tables * tokens * width + (2 * layers + 1) * width,
        linear=linear,
        rows_and_columns=layers * sum(rows + columns for rows, columns in matrices),
        layers=layers,
        width=width,
        widest=max(inner, queries),
        vocabulary=tokens,
    )


def _of_head(config: Mapping[str, Any]) -> int:
    return int(config.get("head_dim") or int(config["hidden_size"]) // int(config["num_attention_heads"]))


def _keys(config: Mapping[str, Any]) -> int:
    """Values of a token's keys in one layer."""
    return int(config.get("num_key_value_heads") or config["num_attention_heads"]) * _of_head(config)


def _encoder_decoder(config: Mapping[str, Any], encoders: int = 1) -> PairSize:
    """Weights of a T5: one table of tokens, relative positions once a stack, a second attention in the decoder.

    Of a dual encoder: two stacks of encoder layers, and two fusions of four matrices with their biases.
    """
    width, inner, heads = (int(config[key]) for key in ("d_model", "d_ff", "num_heads"))
    queries, tokens = int(config["d_kv"]) * heads, int(config["vocab_size"])
    encoder = encoders * int(config["num_layers"])
    decoder = int(config.get("num_decoder_layers") or config["num_layers"])
    fused = 8 if encoders == 2 else 0
    ways = 3 if str(config.get("feed_forward_proj", "relu")).startswith("gated") else 2
    attention, forward = 4 * width * queries, ways * width * inner
    linear = encoder * (attention + forward) + decoder * (2 * attention + forward) + fused * width * width
    norms = (2 * encoder + 3 * decoder + 1 + encoders + fused) * width
    buckets = (1 + encoders) * int(config.get("relative_attention_num_buckets", 32)) * heads
    tables = 1 if config.get("tie_word_embeddings", True) else 2
    sums = (encoder + 2 * decoder) * 4 * (width + queries) + (encoder + decoder) * ways * (width + inner)
    sums += fused * 2 * width
    return PairSize(
        parameters=linear + norms + buckets + tables * tokens * width,
        linear=linear,
        rows_and_columns=sums,
        layers=encoder + decoder,
        width=width,
        widest=max(inner, queries),
        vocabulary=tokens,
        writers=decoder,
        heads=heads,
        sources=2 if config.get("memory") == "both" else 1,
    )
