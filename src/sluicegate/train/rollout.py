"""Answers drawn from the model in training, and how likely a model finds given answers.

Notation: P prompts, R rows (answers), T tokens of the longest row, V vocabulary.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from sluicegate.models import Seq2SeqExample, Seq2SeqLearner
from sluicegate.models.choosing import Sampling
from sluicegate.models.decoding import Decoder
from sluicegate.train.reward import Answer
from sluicegate.train.step import Training

ENTROPY_ROWS = 8
"""Rows whose whole distributions are looked at together; they need memory for R · T · V numbers."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An answer to one prompt.

    Args:
        tokens: ids, the end of sequence included where the answer ended.
        answer: its text.
    """

    tokens: tuple[int, ...]
    answer: Answer


class Drawing:
    """The model as it draws answers; made once, told of every update of the weights."""

    def __init__(self, training: Training) -> None:
        self._training, self._learner = training, cast(Seq2SeqLearner, training.learner)
        self._decoder: Decoder | None = None

    def sampled(self, examples: Sequence[Seq2SeqExample], copies: int, step: int) -> list[list[Drawn]]:
        """Answers to each prompt, `copies` of each; a function of weights, seed and step."""
        length = self._training.settings.rl_max_new_tokens
        numbers = np.random.default_rng([self._training.settings.seed, step])
        uniforms = numbers.random((len(examples) * copies, length))
        return self._drawn(examples, copies, uniforms, temperature=1.0)

    def greedy(self, examples: Sequence[Seq2SeqExample]) -> list[Drawn]:
        """The likeliest answer to each prompt, token by token."""
        uniforms = np.zeros((len(examples), self._training.settings.rl_max_new_tokens))
        return [each for (each,) in self._drawn(examples, 1, uniforms, temperature=0.0)]

    def _drawn(
        self, examples: Sequence[Seq2SeqExample], copies: int, uniforms: Any, *, temperature: float
    ) -> list[list[Drawn]]:
        if self._decoder is None:
            self._decoder = Decoder(self._learner.model)
        else:
            self._decoder.refresh()
        end, pad = self._learner.tokenizer.eos_token_id, self._learner.tokenizer.pad_token_id
        sampling = Sampling(temperature, 1.0, uniforms.shape[1], frozenset({end}), pad)
        found = self._decoder.decode(self._learner.inputs(examples), uniforms, sampling, copies=copies).tokens
        rows = [self._read(tokens, end) for tokens in found]
        return [rows[start : start + copies] for start in range(0, len(rows), copies)]

    def _read(self, tokens: Sequence[int], end: int) -> Drawn:
        ended = tokens[-1] == end
        kept = tokens[:-1] if ended else tokens
        text = self._learner.tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return Drawn(tuple(tokens), Answer(text, ended))


@dataclass(frozen=True, slots=True)
class Likely:
    """How likely a model finds R rows.

    Args:
        tokens: [R, T] log-probabilities, 0 behind a row's end.
        entropy: [R, T] of the model's distribution in nats, without a gradient; 0 behind a row's end, and where it was
            not wanted.
        mask: [R, T], 1 where a row has a token.
    """

    tokens: torch.Tensor
    entropy: torch.Tensor
    mask: torch.Tensor


def likely(
    training: Training, learner: Seq2SeqLearner, examples: Sequence[Seq2SeqExample], rows: Sequence[tuple[int, ...]],
    owners: Sequence[int], *, entropy: bool = True,
) -> Likely:  # fmt: skip
    """How likely the model finds answers, in the precision of training.

    Args:
        examples: P prompts, each read once.
        rows: R answers as tokens.
        owners: for each row the index of its prompt.
        entropy: whether it is wanted; it costs as much as a look at every token of the vocabulary does.
    """
    device, pad = training.accelerator.device, learner.tokenizer.pad_token_id
    width = max(map(len, rows))
    targets = torch.full((len(rows), width), pad)
    mask = torch.zeros(len(rows), width)
    for number, row in enumerate(rows):
        targets[number, : len(row)] = torch.tensor(row)
        mask[number, : len(row)] = 1.0
    targets, mask = targets.to(device), mask.to(device)
    index = torch.tensor(owners, device=device)
    given = {name: tensor.to(device) for name, tensor in learner.inputs(examples).items()}
    start = learner.model.config.decoder_start_token_id
    before = torch.cat([targets.new_full((len(rows), 1), start), targets[:, :-1]], dim=1)
    with training.accelerator.autocast():
        read = learner.model.get_encoder()(**given)
        shared = type(read)(**{name: part[index] for name, part in read.items() if torch.is_tensor(part)})
        masks = {name: part[index] for name, part in given.items() if name.endswith("attention_mask")}
        logits = learner.model(encoder_outputs=shared, decoder_input_ids=before, use_cache=False, **masks).logits
    logits = logits.float()
    chosen = logits.gather(-1, targets.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)
    spread = _entropy(logits.detach()) * mask if entropy else torch.zeros_like(mask)
    return Likely(chosen * mask, spread, mask)


def _entropy(logits: torch.Tensor) -> torch.Tensor:
    """Of the distributions [R, T, V], in nats: [R, T]."""
    parts = []
    for some in logits.split(ENTROPY_ROWS):
        logs = some.log_softmax(-1)
        parts.append(-(logs.exp() * logs).sum(-1))
    return torch.cat(parts)


@contextlib.contextmanager
def weights_of(names: Mapping[str, Any], other: Mapping[str, torch.Tensor]) -> Iterator[None]:
    """The model with other weights inside the block; nothing is copied."""
    own = {name: part.data for name, part in names.items()}
    try:
        for name, part in names.items():
            part.data = other[name]
        yield
    finally:
        for name, part in names.items():
            part.data = own[name]
