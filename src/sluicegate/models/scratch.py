"""Encoder-decoders that know nothing, made on the spot: a shape, random weights, and a vocabulary of the texts at hand.

A base is an ordinary Hugging Face folder, so that what is trained from scratch goes through the same code as a
checkpoint. All arms of a study should share one base of their kind, made of the training split and nothing else:

    python -m sluicegate.models.scratch OUT --kind dual --shape base train.jsonl

With `--warm FOLDER` the base is a dual encoder around a single T5's weights instead, with its tokenizer; no file of
samples is asked for then.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sluicegate.data.reader import read_samples
from sluicegate.errors import GO, USER, UserError
from sluicegate.models import vocabulary
from sluicegate.models.base import find, quiet
from sluicegate.models.choices import CHOICES, fields
from sluicegate.models.tiny import made
from sluicegate.records import Sample, digest

SAYS = "Make a base model of random weights out of sample files."
KINDS = ("seq2seq", "dual")
SHAPES: dict[str, dict[str, int | float]] = {
    "tiny": {
        "d_model": 192,
        "d_kv": 32,
        "d_ff": 512,
        "num_layers": 2,
        "num_heads": 6,
        "dropout_rate": 0.0,
        "mimetic": True,
    },
    "mini": {"d_model": 384, "d_kv": 64, "d_ff": 1024, "num_layers": 4, "num_heads": 6},
    "small": {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "base": {"d_model": 768, "d_kv": 64, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
"""`small` and `base` are CodeT5's; `tiny` has about 2 million parameters, and a dual encoder 3 million. It learns for a
minute or two, where dropout takes a quarter of the time and gives nothing, and begins with weights that can copy: see
`mimetic`."""
VOCABULARIES = {"tiny": 2048, "mini": 4096, "small": 8192, "base": 8192}
"""Tokens that are learnt unless told otherwise; CodeT5 has 32,100."""
TABLE_STD = 0.05
"""Standard deviation of the table of tokens. T5's is 1, for an optimizer that moves a weight by a share of its size."""
RECIPE = 2
"""Part of the key: raised whenever the same texts would give another model."""


def texts_of(samples: Iterable[Sample]) -> list[str]:
    """Prompts, contexts and completions, without repeats, in a fixed order."""
    found = {text for sample in samples for text in (sample.prompt, sample.context, sample.completion)}
    return sorted(found - {""})


def build(
    folder: Path,
    texts: Sequence[str],
    *,
    kind: str,
    shape: Mapping[str, Any],
    size: int,
    seed: int = 0,
    choices: Mapping[str, str | None] | None = None,
) -> Path:
    """Make the base model in `folder`, unless it is there already.

    Args:
        folder: a folder that does not exist, or holds the model of the same texts and choices.
        texts: what the vocabulary is learnt from.
        kind: `seq2seq` or `dual`.
        shape: fields of a `T5Config`.
        size: most tokens of the vocabulary.
        seed: of the random weights.
        choices: of a dual encoder, see `choices`.

    Returns:
        The absolute folder.

    Raises:
        UserError: the folder holds something else, or cannot be written to.
    """
    own = _own(shape, choices or {}) if kind == "dual" else {}

    def save(beside: Path) -> None:
        tokenizer = vocabulary.tokenizer(texts, size=size)
        with quiet():
            _model(tokenizer, kind=kind, shape={**shape, **own}, seed=seed, name=wanted).save_pretrained(beside)
            tokenizer.save_pretrained(beside)

    wanted = key(texts, kind=kind, shape={**shape, **own}, size=size, seed=seed)
    return made(folder, wanted, save)


def key(texts: Sequence[str], *, kind: str, shape: Mapping[str, Any], size: int, seed: int) -> str:
    """What the folder's content depends on, as a digest."""
    recipe = {"recipe": RECIPE, "kind": kind, "shape": dict(shape), "vocabulary": size, "seed": seed}
    return digest({**recipe, "texts": list(texts)})


def cached(parent: Path, samples: Iterable[Sample], *, kind: str) -> Path:
    """The tiny base of these samples in a folder of its own within `parent`, made if it is not there."""
    texts, shape, size = texts_of(samples), SHAPES["tiny"], VOCABULARIES["tiny"]
    name = key(texts, kind=kind, shape=shape, size=size, seed=0)
    return build(parent / f"tiny-{kind}-{name[:12]}", texts, kind=kind, shape=shape, size=size)


def _own(shape: Mapping[str, Any], choices: Mapping[str, str | None]) -> dict[str, Any]:
    """What only a dual encoder has: its fusions drop as much as its layers where the shape says how much."""
    rate = {"fusion_dropout": shape["dropout_rate"]} if "dropout_rate" in shape else {}
    return {**rate, **fields(choices)}


def _model(tokenizer: Any, *, kind: str, shape: Mapping[str, Any], seed: int, name: str) -> Any:
    """Random weights that AdamW can train; T5's own are for Adafactor.

    A smaller table of tokens moves by a larger share of itself, and its products need no scaling down. T5 has the
    1/√d_kv of attention in its query weights, so the rate that fits the others moves their products √d_kv times too
    far: `query_rate` tells the optimizer.
    """
    import torch
    from transformers import T5Config, T5ForConditionalGeneration

    from sluicegate.models.dual_config import DualEncoderConfig
    from sluicegate.models.dual_encoder import DualEncoderForConditionalGeneration
    from sluicegate.models.mimetic import mimic

    config_class = DualEncoderConfig if kind == "dual" else T5Config
    config = config_class(
        **shape,
        vocab_size=-(-len(tokenizer) // 64) * 64,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        scale_decoder_outputs=False,
        query_rate=shape["d_kv"] ** -0.5,
        sluicegate_base=name,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = (DualEncoderForConditionalGeneration if kind == "dual" else T5ForConditionalGeneration)(config)
        for table in (part for part in model.modules() if isinstance(part, torch.nn.Embedding)):
            if table.num_embeddings == config.vocab_size:  # not that of relative positions
                torch.nn.init.normal_(table.weight, std=TABLE_STD)
        if shape.get("mimetic"):
            mimic(model)
    return model


def warm(folder: Path, base: str, *, choices: Mapping[str, str | None]) -> Path:
    """A dual encoder around a single T5's weights as a base of its own; see `dual.warmed`.

    Args:
        folder: a folder that does not exist, or holds the same.
        base: a T5's folder or hub name.
        choices: see `choices`; the decoder attends to the intent alone unless told otherwise.

    Raises:
        UserError: no such base or not a T5; the folder holds something else, or cannot be written to.
    """
    from sluicegate.models.dual import around, warmed
    from sluicegate.models.loading import tokenizer_of
    from sluicegate.models.seq2seq import config_of, single

    source = find(base)
    config = around(single(config_of(source), source), choices)
    wanted = digest({"recipe": RECIPE, "warm": source.name, "choices": dict(choices)})

    def save(beside: Path) -> None:
        config.sluicegate_base = wanted
        with quiet():
            model = warmed(source, config)
            model.save_pretrained(beside)
            tokenizer_of(source).save_pretrained(beside)

    return made(folder, wanted, save)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    asked = _parser().parse_intermixed_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    choices = {name: getattr(asked, name) for name in CHOICES}
    try:
        _refuse_mixed(asked, choices)
        if asked.warm:
            print(warm(asked.out, asked.warm, choices=choices))
            return GO
        texts = texts_of(sample for file in asked.files for sample in read_samples(file))
        size, shape = asked.vocabulary or VOCABULARIES[asked.shape], SHAPES[asked.shape]
        print(build(asked.out, texts, kind=asked.kind, shape=shape, size=size, seed=asked.seed, choices=choices))
    except UserError as fault:
        print(fault, file=sys.stderr)
        return USER
    return GO


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m sluicegate.models.scratch", description=SAYS)
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("files", type=Path, nargs="*", metavar="file", help="samples to learn tokens from")
    parser.add_argument("--kind", choices=KINDS, required=True, help="kind of model")
    parser.add_argument("--shape", choices=SHAPES, default="base", help="sizes of the layers")
    parser.add_argument("--vocabulary", type=int, metavar="N", help="most tokens (at least 320)")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    parser.add_argument("--warm", metavar="BASE", help="dual: a T5's folder or hub name whose weights are taken")
    for name, values in CHOICES.items():
        parser.add_argument(f"--{name}", choices=values, help=f"dual: {', '.join(values)}")
    return parser


def _refuse_mixed(asked: argparse.Namespace, choices: Mapping[str, str | None]) -> None:
    """Refuse options that say nothing together.

    Raises:
        UserError: see its text.
    """
    if asked.kind != "dual" and (asked.warm or any(choices.values())):
        raise UserError("--warm, --tables, --encoders, --fusion, --memory", wanted="--kind dual", seen=asked.kind)
    if bool(asked.warm) == bool(asked.files):
        raise UserError(
            "a base needs texts to learn tokens from, or a T5 to begin with",
            wanted="files of samples, or --warm",
            seen="both" if asked.warm else "neither",
        )
    if asked.vocabulary is not None and asked.vocabulary < vocabulary.SMALLEST:
        raise UserError(
            "--vocabulary", wanted=f"at least {vocabulary.SMALLEST}, for bytes and indents", seen=str(asked.vocabulary)
        )


if __name__ == "__main__":
    sys.exit(main())
