"""A base model of a few million parameters, made on the spot: a random Llama and a BPE of the texts at hand.

It is saved as an ordinary Hugging Face folder, so that the demo and the tests go through the same code as an
8B model, 4-bit included, without a network. It knows nothing: what it answers, it learnt in training.

`python -m sluicegate.models.tiny OUT FILE...` makes one base of several sample files, so that arms share it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sluicegate.data.reader import read_samples
from sluicegate.errors import GO, USER, UserError
from sluicegate.jsonl import read_text, unwritable
from sluicegate.models.base import quiet
from sluicegate.records import Sample, digest

PAD, BOS, EOS = "<pad>", "<s>", "</s>"
VOCABULARY = 1024
SAYS = "Make a tiny base model out of sample files."
RECIPE = 2
"""Part of the key: raised whenever the same texts would give another model."""
SHAPE = {
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
}
"""Every size is a multiple of 64, the block of NF4. About 2.5 M parameters with the vocabulary."""


def key(texts: Sequence[str], *, seed: int, shape: Mapping[str, int] = SHAPE) -> str:
    """What the folder's content depends on, as a digest."""
    recipe = {"recipe": RECIPE, "shape": dict(shape), "vocabulary": VOCABULARY}
    return digest({**recipe, "seed": seed, "texts": list(texts)})


def build(folder: Path, texts: Sequence[str], *, seed: int = 0, shape: Mapping[str, int] = SHAPE) -> Path:
    """Make the base model in `folder`, unless it is there already.

    Args:
        folder: a folder that does not exist, or holds the model of the same texts and seed.
        texts: what the vocabulary is learnt from; the prompts and completions of every arm.
        seed: of the random weights.
        shape: sizes of the Llama; tests use smaller ones.

    Returns:
        The absolute folder.

    Raises:
        UserError: the folder holds something else, or cannot be written to.
    """
    wanted = key(texts, seed=seed, shape=shape)
    return made(folder, wanted, lambda beside: _save(beside, texts, seed=seed, shape=shape, name=wanted))


def made(folder: Path, wanted: str, save: Callable[[Path], None]) -> Path:
    """Make a base model in `folder`, whole or not at all, unless it is there already.

    Args:
        folder: a folder that does not exist, or holds the same model.
        wanted: digest of what the model is made of, which its config.json tells.
        save: writes the model into a folder.

    Returns:
        The absolute folder.

    Raises:
        UserError: the folder holds something else, or cannot be written to.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        return _same(folder, wanted)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as fault:
        raise unwritable(folder, fault) from None
    try:
        save(beside)
        beside.chmod(0o755)
        beside.rename(folder)
    except OSError as fault:
        # Somebody else may have finished first: the content is the same.
        if folder.exists():
            return _same(folder, wanted)
        raise unwritable(folder, fault) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder.resolve()


def cached(parent: Path, texts: Sequence[str], *, seed: int = 0) -> Path:
    """The base model of these texts in `parent/tiny-<key>`, made if it is not there."""
    return build(parent / f"tiny-{key(texts, seed=seed)[:12]}", texts, seed=seed)


def texts_of(samples: Iterable[Sample]) -> list[str]:
    """Prompts and completions, without repeats, in a fixed order."""
    return sorted({text for sample in samples for text in (sample.prompt, sample.completion)})


def _same(folder: Path, wanted: str) -> Path:
    config = folder / "config.json"
    if not config.is_file() or wanted not in read_text(config):
        raise UserError(
            f"{folder}: holds something else",
            wanted="a folder that does not exist, or the base of the same texts and shape",
            seen="another base model" if config.is_file() else "no config.json",
            mend="choose another folder, or remove this one",
        )
    return folder.resolve()


def _save(folder: Path, texts: Sequence[str], *, seed: int, shape: Mapping[str, int], name: str) -> None:
    tokenizer = _tokenizer(texts)
    with quiet():
        _model(tokenizer, seed=seed, shape=shape, name=name).save_pretrained(folder)
        tokenizer.save_pretrained(folder)


def _tokenizer(texts: Sequence[str]) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=2,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bpe.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, bos_token=BOS, eos_token=EOS, clean_up_tokenization_spaces=False
    )


def _model(tokenizer: Any, *, seed: int, shape: Mapping[str, int], name: str) -> Any:
    """A Llama whose frozen random weights a LoRA can work with."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        **shape,
        vocab_size=-(-len(tokenizer) // 64) * 64,
        initializer_range=shape["hidden_size"] ** -0.5,
        tie_word_embeddings=False,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        sluicegate_tiny=name,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
    with torch.no_grad():
        _scale(model)
    return model


def _scale(model: Any) -> None:
    """Scale the random weights so that a LoRA can learn on top of them.

    The head stays frozen, and the last RMSNorm hands it vectors of length √hidden: a logit is at most
    √hidden · |row|. With the usual standard deviation of 0.02 that is 5, and no token could become likely; with
    2/√hidden it is 2·√hidden = 32. The embedding is larger and the blocks' outputs are smaller than what keeps
    the variance, so that the token itself is not drowned by what random layers make of it.
    """
    model.lm_head.weight.mul_(2.0)
    model.model.embed_tokens.weight.mul_(4.0)
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.mul_(0.5**0.5)
        layer.mlp.down_proj.weight.mul_(0.5**0.5 * (model.config.hidden_size / model.config.intermediate_size) ** 0.5)


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m sluicegate.models.tiny", description=SAYS)
    parser.add_argument("out", type=Path, help="folder to make")
    parser.add_argument("files", type=Path, nargs="+", metavar="file", help="samples to learn tokens from")
    parser.add_argument("--seed", type=int, default=0, help="of the random weights")
    asked = parser.parse_args(argv)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        texts = texts_of(sample for file in asked.files for sample in read_samples(file))
        print(build(asked.out, texts, seed=asked.seed))
    except UserError as fault:
        print(fault, file=sys.stderr)
        return USER
    return GO


if __name__ == "__main__":
    sys.exit(main())
