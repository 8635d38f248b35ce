"""Decoding with encoder-decoders of T5 shape: many answers to many prompts at once.

A prompt is encoded once, and the answers drawn from it share what its encoder gave. Steps run over static buffers
(`t5_step`); on a GPU each shape of a step is captured as a CUDA graph, checked once against the same step as it is, and
replayed, so that the host only looks in every few steps. Rows that have ended are taken out in blocks. The same random
numbers give the same text whatever the batch, exactly so in float32 on a CPU; in bfloat16 another batch size can round
a logit the other way, and a text goes on differently from there. Greedy text is that of `generate`.

Notation: P prompts, B answers, S tokens of the source after padding.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn.attention import sdpa_kernel

from sluicegate.console import say
from sluicegate.errors import UserError, first_line
from sluicegate.models.choosing import ATTENTION, NEVER, Sampling, choose, damaged
from sluicegate.models.graphs import capture
from sluicegate.models.t5_step import Buffers, Shape, Weights, advance

__all__ = ["Decoder", "Sampling", "choose"]
BLOCK = 64
"""Tokens by which what is looked at of cache and source grows."""
EVERY = 16
"""Steps on a GPU between two looks at which rows have ended; divides BLOCK."""
SHRINK = 0.75
"""Share of its rows that a batch must fall to before it is laid out anew."""
SPARE = 1.25
"""Rows, of those that are still wanted, that a layout may have so that more of them share a source."""
GRAPHS = 64
"""Graphs that are kept; beyond them all are made anew."""
AGREE = 0.02
"""Relative difference of logits that a graph may show beside the step it was captured from."""


class Decoder:
    """A model made ready for decoding; used for one batch after the other, it keeps its buffers and graphs.

    Args:
        model: an encoder-decoder of transformers with a T5Stack as decoder, on its device, with or without adapters;
            it is not changed. Its encoder runs as it is, under autocast where `dtype` asks for it.
        dtype: precision of the products; None for bfloat16 on a GPU and the model's own elsewhere.

    Raises:
        UserError: a decoder of another shape.
    """

    def __init__(self, model: Any, *, dtype: torch.dtype | None = None) -> None:
        self._config = (model.get_base_model() if hasattr(model, "get_base_model") else model).config
        gpu = model.device.type == "cuda"
        try:
            with torch.inference_mode():
                self._weights = Weights(model, dtype or (torch.bfloat16 if gpu else model.dtype))
        except AttributeError as fault:
            raise UserError(
                f"{type(model).__name__}: cannot be decoded",
                wanted="an encoder-decoder of transformers whose decoder is a T5Stack",
                seen=str(fault),
            ) from None
        self._buffers: Buffers | None = None
        self._captures = gpu
        self._forget()
        self._every = EVERY if gpu else 1

    def refresh(self) -> None:
        """Take over the model's weights after an update; graphs stay."""
        with torch.inference_mode():
            self._weights.refresh()
            if self._buffers is not None:
                self._buffers.biases.copy_(self._weights.biases(self._buffers.length))

    def decode(
        self,
        inputs: Mapping[str, Any],
        uniforms: Any,
        sampling: Sampling,
        *,
        copies: int = 1,
        rows: Sequence[int] | None = None,
    ) -> list[list[int]]:
        """Answers to P prompts: the ids of each, its stop token included.

        Args:
            inputs: what the model's encoder takes, [P, S] each, `attention_mask` among them.
            uniforms: [B, max_new_tokens] in [0, 1): a number an answer and step, unused when greedy.
            sampling: how tokens are chosen and when a row ends.
            copies: answers drawn from each prompt; those to a prompt are neighbours.
            rows: in its place, for each of B answers the index of its prompt.

        Raises:
            UserError: logits that are not finite.
        """
        prompts = len(inputs["attention_mask"])
        asked = [prompt for prompt in range(prompts) for _ in range(copies)] if rows is None else list(rows)
        with torch.inference_mode(), sdpa_kernel(ATTENTION):
            states, mask = self._encoded(inputs)
            return _Batch(self, asked, states, mask, sampling).run(uniforms)

    def _encoded(self, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
        """What the decoder attends to, [P, S, F], and which of it counts, [P, S]."""
        encoder, weights = self._weights.encoder, self._weights
        there = {name: tensor.to(weights.device) for name, tensor in inputs.items()}
        mode, kind = encoder.training, weights.device.type
        encoder.eval()
        try:
            half = weights.dtype in {torch.bfloat16, torch.float16}
            # What is cast here must not be found again by a training forward under the same autocast.
            with torch.autocast(kind, dtype=weights.dtype, enabled=half, cache_enabled=False):
                out = encoder(**there)
        finally:
            encoder.train(mode)
        mask = getattr(out, "memory_mask", None)
        return out.last_hidden_state.to(weights.dtype), there["attention_mask"] if mask is None else mask

    def _room(self, *, rows: int, groups: int, length: int, source: int) -> Buffers:
        """Buffers of at least this size; those of the last batch where they do."""
        wanted = {"rows": rows, "groups": groups, "length": length, "source": source}
        had = self._buffers
        if had is not None and all(getattr(had, name) >= size for name, size in wanted.items()):
            return had
        if had is not None:
            wanted = {name: max(size, getattr(had, name)) for name, size in wanted.items()}
        # Freed before there are new ones, or both would have to fit.
        self._buffers = None
        self._forget()
        del had
        self._buffers = Buffers(self._weights, **wanted)
        return self._buffers

    def _forget(self) -> None:
        """Begin without graphs. All share the memory of what lies between their first and last kernel."""
        self._graphs: dict[tuple[Any, ...], Callable[[], None]] = {}
        self._pool = torch.cuda.graph_pool_handle() if self._weights.device.type == "cuda" else None

    def _step(self, buffers: Buffers, shape: Shape, sampling: Sampling) -> None:
        """One step, by its graph where there is one; the first of a shape runs as it is and is captured after."""
        key = (shape, sampling.temperature, sampling.top_p)
        if key in self._graphs:
            self._graphs[key]()
            return

        def work() -> Any:
            return advance(self._weights, buffers, shape, sampling)

        work()
        if self._captures:
            if len(self._graphs) == GRAPHS:
                self._forget()
            try:
                state = (buffers.tokens, buffers.ended, buffers.place, buffers.damaged)
                self._graphs[key] = checked(work, state, self._pool)
            except RuntimeError as fault:
                self._captures = False
                say(f"decoding without CUDA graphs: {first_line(fault)}")


def checked(work: Callable[[], Any], state: Sequence[Any], pool: Any) -> Callable[[], None]:
    """A step as a graph that gave the step's own logits; the state that it moves on is what it was before.

    Raises:
        RuntimeError: it cannot be captured, or it gives other logits.
    """
    before = [part.clone() for part in state]

    def back() -> None:
        for part, was in zip(state, before, strict=True):
            part.copy_(was)

    replay, seen = capture(work, pool)
    wanted = work().clone()
    back()
    replay()
    apart = (seen - wanted).norm() / wanted.norm()
    back()
    if not apart < AGREE:
        raise RuntimeError(f"a captured step gives other logits, relative difference {float(apart):.3g}")
    return replay


class _Batch:
    """One call's answers while they are being drawn: which row of the buffers draws which.

    Rows stand in groups of equal size, the answers to one prompt in one group or several; a row that fills a group up
    has ended from the start and writes an answer that nobody reads.
    """

    def __init__(self, decoder: Decoder, asked: list[int], states: Any, mask: Any, sampling: Sampling) -> None:
        self._decoder, self._sampling, self._asked = decoder, sampling, asked
        self._weights = decoder._weights
        self._source = _rounded(states.shape[1])
        copies, groups = laid_out(dict(enumerate(asked)), len(asked))
        self._rows = _filled(copies, groups)
        self._copies = copies
        self._buffers = decoder._room(
            rows=max(len(self._rows), len(asked)),
            groups=len(groups),
            length=_rounded(sampling.max_new_tokens),
            source=self._source,
        )
        self._place = 0
        self._load(states, mask, [asked[members[0]] for members in groups])

    def _load(self, states: Any, mask: Any, prompts: list[int]) -> None:
        held, device = self._buffers, self._weights.device
        index = torch.tensor(prompts, device=device)
        short = self._source - states.shape[1]
        states = torch.nn.functional.pad(states, (0, 0, 0, short))
        hidden = torch.nn.functional.pad(mask == 0, (0, short), value=True)
        held.cross_mask[: len(prompts), : self._source] = (hidden * NEVER)[index]
        for layer in range(self._weights.layers):
            keys, values = self._weights.crossed(layer, states)
            held.cross_keys[layer][: len(prompts), :, : self._source] = keys[index]
            held.cross_values[layer][: len(prompts), :, : self._source] = values[index]
        start = self._decoder._config.decoder_start_token_id
        held.tokens.fill_(self._decoder._config.pad_token_id if start is None else start)
        held.place.zero_()
        held.damaged.zero_()
        held.stops.zero_()
        held.stops[torch.tensor(sorted(self._sampling.stops), dtype=torch.long, device=device)] = True
        self._own()

    def _own(self) -> None:
        """Tell the buffers which answer each row draws."""
        held, nobody = self._buffers, len(self._buffers.drawn) - 1
        answers = torch.tensor([nobody if row is None else row for row in self._rows], device=self._weights.device)
        held.answer[: len(answers)] = answers
        held.ended[: len(answers)] = answers == nobody

    def run(self, uniforms: Any) -> list[list[int]]:
        """Draw until every row has ended or is as long as may be."""
        most, held = self._sampling.max_new_tokens, self._buffers
        held.uniforms[: len(self._asked), :most] = torch.as_tensor(uniforms, device=self._weights.device)
        while self._place < most:
            shape = Shape(len(self._rows) // self._copies, self._copies, _rounded(self._place + 1), self._source)
            steps = min(self._decoder._every, most - self._place)
            for _ in range(steps):
                self._decoder._step(held, shape, self._sampling)
            self._place += steps
            alive = self._alive()
            if not alive:
                break
            self._thin_out(alive)
        return self._drawn()

    def _alive(self) -> dict[int, int]:
        """Place of each row that goes on → its prompt."""
        ended = torch.cat([self._buffers.damaged, self._buffers.ended[: len(self._rows)]]).tolist()
        if ended[0]:
            raise damaged()
        return {
            place: self._asked[row] for place, row in enumerate(self._rows) if row is not None and not ended[place + 1]
        }

    def _thin_out(self, alive: Mapping[int, int]) -> None:
        """Lay the rows that go on out anew, where that spares enough."""
        copies, groups = laid_out(alive, self._buffers.groups)
        if self._decoder._captures:
            # Few sizes, so that few graphs are captured.
            groups += [[]] * (min(1 << (len(groups) - 1).bit_length(), self._buffers.groups) - len(groups))
        if copies * len(groups) > SHRINK * len(self._rows):
            return
        held, device = self._buffers, self._weights.device
        places = _filled(copies, groups)
        index = torch.tensor([place or 0 for place in places], device=device)
        sources = torch.tensor([members[0] // self._copies if members else 0 for members in groups], device=device)
        for cache in (*held.keys, *held.values):
            _kept(cache[:, :, : self._place], index)
        for cache in (*held.cross_keys, *held.cross_values):
            _kept(cache[:, :, : self._source], sources)
        _kept(held.cross_mask, sources)
        _kept(held.tokens, index)
        self._rows = [None if place is None else self._rows[place] for place in places]
        self._copies = copies
        self._own()

    def _drawn(self) -> list[list[int]]:
        most = self._sampling.max_new_tokens
        tokens = self._buffers.drawn[: len(self._asked), :most].tolist()
        return [row[: _end(row, self._sampling.stops)] for row in tokens]


def laid_out(prompts: Mapping[int, int], most: int) -> tuple[int, list[list[int]]]:
    """Rows in groups that share a prompt: as large as they can be with little left empty.

    Args:
        prompts: row → its prompt.
        most: groups that there may be; no fewer than there are prompts.

    Returns:
        Rows a group, and the rows of each group; a group may have fewer.

    >>> laid_out({0: 5, 1: 5, 2: 5, 3: 7}, 4)
    (1, [[0], [1], [2], [3]])
    >>> laid_out({0: 5, 1: 5, 2: 5, 3: 7, 4: 7, 5: 7}, 6)
    (3, [[0, 1, 2], [3, 4, 5]])
    """
    by_prompt: dict[int, list[int]] = {}
    for row, prompt in prompts.items():
        by_prompt.setdefault(prompt, []).append(row)
    size = max(map(len, by_prompt.values()))
    groups = list(by_prompt.values())
    while size > 1 and size * len(groups) > SPARE * len(prompts):
        halved = -(-size // 2)
        split = [rows[start : start + halved] for rows in by_prompt.values() for start in range(0, len(rows), halved)]
        if len(split) > most:
            break
        size, groups = halved, split
    return size, groups


def _filled(size: int, groups: list[list[int]]) -> list[int | None]:
    """The rows of all groups, one after the other, each group filled up to its size."""
    return [row for members in groups for row in [*members, *[None] * (size - len(members))]]


def _kept(part: Any, index: Any) -> None:
    """Move the rows that are kept to the front."""
    part[: len(index)] = part.index_select(0, index)


def _rounded(tokens: int) -> int:
    return -(-tokens // BLOCK) * BLOCK


def _end(tokens: list[int], stops: frozenset[int]) -> int:
    """How many tokens there are up to the first stop, it included."""
    return next((place + 1 for place, token in enumerate(tokens) if token in stops), len(tokens))
