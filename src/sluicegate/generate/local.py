"""Answers of a model in a folder: prompts encoded as in training, decoded.

Causal models answer in slots, each taken by the next answer as soon as it is free (`models.causal_decoding`). Others,
and causal models of a shape that has no slots, answer in batches of like length. Prompts that are read together, and
batches, are laid over all that is asked for and then thinned out by what is already answered, so an interrupted run
meets the same ones again. That matters on a GPU: in bf16 the same answer among another number of rows can differ by a
rounding, and from there on. Out of memory halves the rows.
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
from sluicegate.models import causal_decoding, decoding
from sluicegate.models.seq2seq import tensors
from sluicegate.models.slots import UnfitError
from sluicegate.records import Finish, Prediction

Prompts = Mapping[str, tuple[list[int], ...]]
"""Sample id → what the model is given: tokens for each part of it that reads."""
Draw = Callable[[Sequence[tuple[list[int], ...]], Sequence[int], Any], list[list[int]]]
"""Distinct prompts, the index of each answer's, and its random numbers → the answers' tokens."""
BATCH = 64
"""Answers of a batch where as many as memory holds are asked for, of models that have no slots."""


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
    reader = _Reader(request, tokenizer, prompts, sampling)
    slotted = None if model.config.is_encoder_decoder else _slotted(model, reader)
    if slotted is not None:
        return _streamed(reader, slotted, [ask for ask in asks if ask.key not in done])
    size = request.batch_size or BATCH
    missing = ([ask for ask in batch if ask.key not in done] for batch in batches(asks, prompts, size))
    return _decoded(reader, _drawing(model, tokenizer, sampling), (batch for batch in missing if batch))


def _slotted(model: Any, reader: _Reader) -> causal_decoding.Decoder | None:
    """The decoder in slots, where it gives what the model gives."""
    longest = max((given[0] for given in reader.prompts.values()), key=len)
    try:
        return causal_decoding.Decoder(model, longest, most=reader.request.batch_size or None)
    except UnfitError as why:
        say(f"decoding in batches, without slots: {why}")
        return None
    except torch.OutOfMemoryError:
        raise _no_room(reader, f"a prompt of {len(longest)} tokens") from None


def _drawing(model: Any, tokenizer: Any, sampling: Sampling) -> Draw:
    """How batches are drawn from the model: by the plain loop for causal models, or by that for encoder-decoders."""
    if not model.config.is_encoder_decoder:
        return lambda prompts, rows, uniforms: decode(model, [given[0] for given in prompts], rows, uniforms, sampling)
    decoder = decoding.Decoder(model)

    def drawn(prompts: Sequence[tuple[list[int], ...]], rows: Sequence[int], uniforms: Any) -> list[list[int]]:
        inputs = tensors(prompts, tokenizer.pad_token_id)
        return decoder.decode(inputs, uniforms, sampling, rows=rows)

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
    """What is asked of a loaded model, and its answers as predictions."""

    def __init__(self, request: Request, tokenizer: Any, prompts: Prompts, sampling: Sampling) -> None:
        self.request, self.prompts, self.sampling = request, prompts, sampling
        self._tokenizer = tokenizer

    def numbers(self, ask: Ask) -> Any:
        """The answer's random numbers, [max_new_tokens], the same whatever else is asked."""
        return np.random.default_rng(seed_of(self.request.seed, ask.key)).random(self.sampling.max_new_tokens)

    def prediction(self, ask: Ask, tokens: list[int], seconds: float) -> Prediction:
        """One answer as text, its stop token left out.

        Answers are decoded apart from their prompts, as training encodes them apart.
        """
        stopped = tokens[-1] in self.sampling.stops
        kept = tokens[:-1] if stopped else tokens
        text = self._tokenizer.decode(kept, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        finish: Finish = "stop" if stopped else "length"
        return Prediction(ask.sample.id, self.request.name, ask.draw, text, len(tokens), round(seconds, 6), finish)


def _streamed(reader: _Reader, decoder: causal_decoding.Decoder, missing: Sequence[Ask]) -> Batches:
    """Answers in slots, each as it ends."""
    spots = {name: spot for spot, name in enumerate(reader.prompts)}
    prompts = [given[0] for given in reader.prompts.values()]
    rows = [spots[ask.sample.id] for ask in missing]
    try:
        for done in decoder.draw(prompts, rows, lambda row: reader.numbers(missing[row]), reader.sampling):
            yield [reader.prediction(missing[answer.row], answer.tokens, answer.seconds) for answer in done]
    except torch.OutOfMemoryError:
        raise _no_room(reader, "one answer at a time") from None


def _decoded(reader: _Reader, draw: Draw, missing: Iterator[list[Ask]]) -> Batches:
    """Answers in batches."""
    for batch in missing:
        started = time.monotonic()
        found = _in_memory(reader, draw, batch)
        seconds = (time.monotonic() - started) / len(batch)
        yield [reader.prediction(ask, tokens, seconds) for ask, tokens in zip(batch, found, strict=True)]


def _in_memory(reader: _Reader, draw: Draw, batch: Sequence[Ask]) -> list[list[int]]:
    """Decode a batch, in halves where it does not fit the GPU; each distinct prompt of it is read once."""
    names = list(dict.fromkeys(ask.sample.id for ask in batch))
    rows = [names.index(ask.sample.id) for ask in batch]
    try:
        return draw([reader.prompts[name] for name in names], rows, np.stack([reader.numbers(ask) for ask in batch]))
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise _no_room(reader, f"a batch of one, sample {batch[0].sample.id}") from None
    half = len(batch) // 2
    say(f"out of GPU memory with {len(batch)} answers at once; going on with {len(batch) - half}")
    torch.cuda.empty_cache()
    return _in_memory(reader, draw, batch[:half]) + _in_memory(reader, draw, batch[half:])


def _no_room(reader: _Reader, asked: str) -> UserError:
    return UserError(
        f"out of GPU memory with {asked}",
        wanted="a model and an answer that fit",
        seen=f"max_new_tokens {reader.request.max_new_tokens}",
        mend="set load_in_4bit to true, or max_new_tokens lower",
    )
