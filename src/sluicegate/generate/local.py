"""Answers of a model in a folder: prompts encoded as in training, batched by length, decoded.

Batches are laid over all that is asked for and then thinned out by what is already answered, so an interrupted
run meets the same batches again. That matters on a GPU: in bf16 the same answer in a batch of another size can
differ by a rounding, and from there on. Out of memory halves a batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sluicegate import jsonl, models
from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.generate.decode import Sampling, decode
from sluicegate.generate.request import Ask, Batches, Key, Request, seed_of
from sluicegate.models.decoding import Decoder
from sluicegate.models.seq2seq import tensors
from sluicegate.records import Finish, Prediction

Prompts = Mapping[str, tuple[list[int], ...]]
"""Sample id → what the model is given: tokens for each part of it that reads."""
Draw = Callable[[Sequence[tuple[list[int], ...]], Sequence[int], Any], list[list[int]]]
"""Distinct prompts, the index of each answer's, and its random numbers → the answers' tokens."""


def answers(request: Request, folder: Path, asks: Sequence[Ask], done: Set[Key]) -> Batches:
    """The missing predictions. The model is loaded and the prompts are measured in this call.

    Raises:
        UserError: the model cannot be loaded, or a prompt leaves no room for an answer.
    """
    kind = models.kind(_kind_name(folder))
    model, tokenizer = kind.load_trained(
        folder, load_in_4bit=request.load_in_4bit, trust_remote_code=request.trust_remote_code
    )
    prompts = {ask.sample.id: kind.given_ids(tokenizer, ask.sample) for ask in asks if ask.draw == 0}
    _check_room({name: given[0] for name, given in prompts.items()}, window(model), request.max_new_tokens)
    sampling = Sampling(request.temperature, request.top_p, request.max_new_tokens, stops(model, tokenizer))
    missing = ([ask for ask in batch if ask.key not in done] for batch in batches(asks, prompts, request.batch_size))
    reader = _Reader(request, _drawing(model, tokenizer, sampling), tokenizer, prompts, sampling)
    return _decoded(reader, (batch for batch in missing if batch))


def _drawing(model: Any, tokenizer: Any, sampling: Sampling) -> Draw:
    """How answers are drawn from the model: by the loop for causal models, or by that for encoder-decoders."""
    if not model.config.is_encoder_decoder:
        return lambda prompts, rows, uniforms: decode(model, [given[0] for given in prompts], rows, uniforms, sampling)
    decoder = Decoder(model)

    def drawn(prompts: Sequence[tuple[list[int], ...]], rows: Sequence[int], uniforms: Any) -> list[list[int]]:
        inputs = tensors(prompts, tokenizer.pad_token_id)
        return decoder.decode(inputs, uniforms, sampling, rows=rows).tokens

    return drawn


def _kind_name(folder: Path) -> str:
    """The model kind that the folder's run.json tells of; of a folder from elsewhere, that which its shape says."""
    path = folder / "run.json"
    if not path.exists():
        return models.kind_of_type(str(_read(folder / "config.json").get("model_type", "")))
    try:
        name = _read(path)["settings"].get("model_kind", "causal")
    except (KeyError, TypeError, AttributeError):
        name = None
    if not isinstance(name, str) or name not in models.KINDS:
        raise UserError(
            f"{path}: no known model kind",
            wanted=f"settings.model_kind one of {', '.join(models.KINDS)}",
            seen=repr(name) if name else "a damaged record",
        )
    return name


def _read(path: Path) -> dict[str, Any]:
    """A JSON file's object; empty where there is none, or it is something else."""
    try:
        found = json.loads(jsonl.read_text(path)) if path.exists() else {}
    except ValueError:
        found = {}
    return found if isinstance(found, dict) else {}


def window(model: Any) -> int | None:
    """Tokens that the model can see, prompt and answer together; None where nothing says so."""
    found = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return found if isinstance(found, int) and found > 0 else None


def stops(model: Any, tokenizer: Any) -> frozenset[int]:
    """Ids of all tokens that end an answer: the model's (there may be several) and the tokenizer's."""
    told = model.generation_config.eos_token_id
    several = told if isinstance(told, list) else [told]
    return frozenset(token for token in (*several, tokenizer.eos_token_id) if token is not None)


def _check_room(prompts: Mapping[str, list[int]], room: int | None, max_new_tokens: int) -> None:
    empty = [name for name, tokens in prompts.items() if not tokens]
    if empty:
        raise UserError(
            f"sample {empty[0]}: its prompt has no tokens",
            wanted="at least one",
            seen=f"{len(empty)} such samples",
        )
    most = (room or 2**63) - max_new_tokens
    too_long = {name: len(tokens) for name, tokens in prompts.items() if len(tokens) > most}
    if too_long:
        longest = max(too_long, key=too_long.__getitem__)
        left = most + max_new_tokens - too_long[longest]
        raise UserError(
            f"{len(too_long)} of {len(prompts)} prompts leave no room for an answer; nothing was generated",
            wanted=f"at most {most} tokens: window {room} less max_new_tokens {max_new_tokens}",
            seen=f"sample {longest} with {too_long[longest]} tokens is the longest",
            mend="shorten the prompts" + (f", or set max_new_tokens to {left}" if left > 0 else ""),
        )


def batches(asks: Sequence[Ask], prompts: Prompts, size: int) -> Iterator[Sequence[Ask]]:
    """Asks in batches of like length, longest first: little padding, and memory runs out at once or never."""
    ordered = sorted(asks, key=lambda ask: -sum(map(len, prompts[ask.sample.id])))
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


class _Reader:
    """A loaded model that answers batches."""

    def __init__(self, request: Request, draw: Draw, tokenizer: Any, prompts: Prompts, sampling: Sampling) -> None:
        self.request, self.sampling = request, sampling
        self._draw, self._tokenizer, self._prompts = draw, tokenizer, prompts

    def tokens(self, batch: Sequence[Ask]) -> list[list[int]]:
        """The answers' token ids; each distinct prompt of the batch is read once."""
        names = list(dict.fromkeys(ask.sample.id for ask in batch))
        rows = [names.index(ask.sample.id) for ask in batch]
        length = self.sampling.max_new_tokens
        uniforms = np.stack(
            [np.random.default_rng(seed_of(self.request.seed, ask.key)).random(length) for ask in batch]
        )
        return self._draw([self._prompts[name] for name in names], rows, uniforms)

    def prediction(self, ask: Ask, tokens: list[int], seconds: float) -> Prediction:
        """One answer as text, its stop token left out.

        Answers are decoded apart from their prompts, as training encodes them apart.
        """
        stopped = tokens[-1] in self.sampling.stops
        kept = tokens[:-1] if stopped else tokens
        text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        finish: Finish = "stop" if stopped else "length"
        return Prediction(ask.sample.id, self.request.name, ask.draw, text, len(tokens), seconds, finish)


def _decoded(reader: _Reader, missing: Iterator[list[Ask]]) -> Batches:
    for batch in missing:
        started = time.monotonic()
        found = _in_memory(reader, batch)
        seconds = (time.monotonic() - started) / len(batch)
        yield [reader.prediction(ask, tokens, round(seconds, 6)) for ask, tokens in zip(batch, found, strict=True)]


def _in_memory(reader: _Reader, batch: Sequence[Ask]) -> list[list[int]]:
    """Decode a batch, in halves where it does not fit the GPU."""
    try:
        return reader.tokens(batch)
    except torch.cuda.OutOfMemoryError:
        if len(batch) == 1:
            raise UserError(
                f"sample {batch[0].sample.id}: out of GPU memory with a batch of one",
                wanted="a model and an answer that fit",
                seen=f"max_new_tokens {reader.request.max_new_tokens}",
                mend="set load_in_4bit to true, or max_new_tokens lower",
            ) from None
    half = len(batch) // 2
    say(f"out of GPU memory with {len(batch)} answers at once; going on with {len(batch) - half}")
    torch.cuda.empty_cache()
    return _in_memory(reader, batch[:half]) + _in_memory(reader, batch[half:])
