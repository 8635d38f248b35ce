"""A tokenizer made of the texts at hand: byte-level BPE in which a line break and the indent behind it are one token.

Every text comes back exactly as it was, whatever it holds; a text that spells out a special token is taken as text.
There are two special tokens: padding, with which the decoder starts as well, and the end of sequence.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PAD, END = "<|pad|>", "<|end|>"
WORDS = r"\n *| ?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|[^\S\n]+"
"""No token crosses these bounds: a line break with its indent, a word, up to three digits, signs, other white space."""
SMALLEST = 320
"""Tokens that a vocabulary must have room for."""
DEEPEST = 32
"""Spaces of an indent up to which each even number is learnt as a token, in the texts or not, where there is room."""


def tokenizer(texts: Sequence[str], *, size: int) -> Any:
    """A tokenizer of at most `size` tokens; of fewer where the texts repeat no more.

    Args:
        texts: what it is learnt from: the training split's, and nothing else.
        size: at least `SMALLEST`: all bytes, the special tokens and some indents.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator([*texts, *_indents(texts)], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        pad_token=PAD,
        eos_token=END,
        clean_up_tokenization_spaces=False,
        split_special_tokens=True,
    )


def _indents(texts: Sequence[str]) -> list[str]:
    """Lines of spaces alone, often enough to be learnt first."""
    often = 2 + sum(map(len, texts)) // 1000
    return [("\n" + " " * depth) * often for depth in range(2, DEEPEST + 1, 2)]
