"""Patterns survive a byte-level tokenizer with CodeT5's special tokens; its sentinels as placeholders would not."""

from __future__ import annotations

from typing import Any

import pytest

from sluicegate.data.k8s.grammar import make
from sluicegate.data.k8s.patterns import template

pytestmark = pytest.mark.torch


def tokenizer(corpus: list[str]) -> Any:
    """As Salesforce/codet5-base: RoBERTa's byte-level BPE, and `<extra_id_*>` that eat the space before them."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=1000, initial_alphabet=alphabet, show_progress=False)
    found.train_from_iterator(corpus, trainer)
    specials = [AddedToken(name) for name in ("<pad>", "<s>", "</s>", "<unk>")]
    sentinels = [AddedToken(f"<extra_id_{n}>", lstrip=True) for n in range(100)]
    found.add_special_tokens([*specials, AddedToken("<mask>", lstrip=True), *sentinels])
    return found


def test_patterns_come_back_byte_for_byte() -> None:
    patterns = [template(make(1, place).bodies) for place in range(60)]
    found = tokenizer(patterns[:20])
    for pattern in patterns:
        assert found.decode(found.encode(pattern).ids, skip_special_tokens=False) == pattern
    sentinel = patterns[0].replace("$NAME", "<extra_id_0>")
    assert found.decode(found.encode(sentinel).ids, skip_special_tokens=False) != sentinel
