"""Answers drawn from the model in training, and how likely a model finds given answers.

Notation: P prompts, R rows (answers), T tokens of the longest row.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch

from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.models import Seq2SeqExample, Seq2SeqLearner
from sluicegate.models.choosing import Sampling
from sluicegate.models.decoding import Decoder
from sluicegate.models.loading import moved
from sluicegate.train.reward import Answer
from sluicegate.train.step import Training, ran_out_of_memory


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
    """The model as it draws answers; made once, told of every update of the weights.

    Where the answers to all prompts at once do not fit into memory they are drawn in parts, halved until they do.
    """

    def __init__(self, training: Training) -> None:
        self._training, self._learner = training, cast(Seq2SeqLearner, training.learner)
        self._decoder: Decoder | None = None
        self._at_once: int | None = None
        """Prompts; None: all."""

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
        end, pad = self._learner.tokenizer.eos_token_id, self._learner.tokenizer.pad_token_id
        sampling = Sampling(temperature, 1.0, uniforms.shape[1], frozenset({end}), pad)
        if self._decoder is not None:
            self._decoder.refresh()
        rows: list[Drawn] = []
        while len(rows) < len(examples) * copies:
            first, size = len(rows) // copies, min(self._at_once or len(examples), len(examples))
            some, numbers = examples[first : first + size], uniforms[len(rows) : len(rows) + size * copies]
            found = self._decoded(some, numbers, sampling, copies)
            if found is None:
                self._smaller(size)
            else:
                rows += [self._read(tokens, end) for tokens in found]
        return [rows[start : start + copies] for start in range(0, len(rows), copies)]

    def _decoded(
        self, examples: Sequence[Seq2SeqExample], uniforms: Any, sampling: Sampling, copies: int
    ) -> list[list[int]] | None:
        """Tokens of each answer; None where memory ran out."""
        try:
            if self._decoder is None:
                self._decoder = Decoder(self._learner.model)
            return self._decoder.decode(self._learner.inputs(examples), uniforms, sampling, copies=copies)
        except RuntimeError as fault:
            if ran_out_of_memory(fault):
                return None
            raise

    def _smaller(self, size: int) -> None:
        """Draw for half the prompts at once from here on, with all buffers given back."""
        settings = self._training.settings
        if size == 1:
            raise UserError(
                "out of memory while the answers to one prompt were drawn",
                wanted="memory for the model, its optimizer and the keys and values of the answers",
                seen=f"RL_SAMPLES={settings.rl_samples}, RL_MAX_NEW_TOKENS={settings.rl_max_new_tokens}",
                mend="lower RL_MAX_NEW_TOKENS, RL_SAMPLES or RL_BATCH, under another MODEL_NAME",
            )
        self._decoder, self._at_once = None, size // 2
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        say(f"out of memory with the answers to {size} prompts at once: drawing for {size // 2} from here on")

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
        entropy: [R, T] of the model's distribution in nats, without a gradient; 0 behind a row's end.
        mask: [R, T], 1 where a row has a token.
    """

    tokens: torch.Tensor
    entropy: torch.Tensor
    mask: torch.Tensor


def likely(
    training: Training, learner: Seq2SeqLearner, examples: Sequence[Seq2SeqExample], rows: Sequence[tuple[int, ...]]
) -> Likely:
    """How likely the model finds answers, in the precision of training.

    Args:
        examples: P prompts, each read once.
        rows: R answers as tokens, as many to each prompt, those to one side by side.
    """
    device = training.accelerator.device
    width = max(map(len, rows))
    mask = torch.zeros(len(rows), width)
    before = torch.full((len(rows), width), learner.tokenizer.pad_token_id)
    start = learner.model.config.decoder_start_token_id
    for number, row in enumerate(rows):
        mask[number, : len(row)] = 1.0
        before[number, : len(row)] = torch.tensor((start, *row[:-1]))
    mask, there = mask.to(device), mask.flatten().nonzero().flatten().to(device)
    given = moved(learner.inputs(examples), device)
    with training.accelerator.autocast():
        found, entropy = learner.scored.scores(
            **given,
            decoder_input_ids=before.to(device),
            rows=there,
            targets=torch.tensor([token for row in rows for token in row], device=device),
        )
    empty = torch.zeros_like(mask).flatten()
    tokens, spread = (empty.index_put((there,), part).view_as(mask) for part in (found, entropy))
    return Likely(tokens, spread, mask)


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
