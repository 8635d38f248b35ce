"""Decoding with causal models: many answers to many prompts, the place of a row that ended taken at once by the next.

A prompt is read once, and the answers drawn from it fork what was kept of it. Rows stand in slots of static buffers,
each at a place of its own; the model runs as transformers and peft have it, with an attention of ours in which a row
sees its own slot. On a GPU each shape of a step is captured as a CUDA graph and checked once against the step as it is,
and the host looks every few steps which rows have ended. How many slots there are, and whether 4-bit weights are
unpacked, follows from the memory at hand. The same random numbers give the same text whatever else is asked, exactly so
in float32 on a CPU; in bfloat16 another number of rows can round a logit the other way, and a text goes on differently
from there. Greedy text is that of `generate`.

Notation: B rows, V vocabulary.
"""

from __future__ import annotations

import inspect
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn.attention import sdpa_kernel

from sluicegate.console import say
from sluicegate.errors import first_line
from sluicegate.models import lean
from sluicegate.models.choosing import ATTENTION, Sampling, damaged
from sluicegate.models.decoding import checked
from sluicegate.models.loading import free_gib, size_of
from sluicegate.models.memory import GIB, SLACK
from sluicegate.models.slots import NAME, Reading, Slots, UnfitError, bytes_of

BLOCK = 128
"""Tokens by which what is looked at of the slots grows."""
EVERY = 4
"""Steps on a GPU between two looks at which rows have ended."""
READ = 2048
"""Prompt tokens that are read at once."""
MOST = {"cuda": 256, "cpu": 64}
"""Rows beyond which a step takes longer in proportion."""
AGREE = {torch.float32: 1e-3, torch.bfloat16: 0.1, torch.float16: 0.1}
"""Relative difference of logits that a step may show beside the model's own forward."""
LOGIT_BYTES = {False: 24, True: 96}
"""Of a logit while a token is chosen: of all tokens, or of a nucleus, which are sorted in float64."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer.

    Args:
        row: which of those asked for.
        tokens: ids, the stop token included.
        seconds: its share of the time that passed while it was drawn.
    """

    row: int
    tokens: list[int]
    seconds: float


class Decoder:
    """A model made ready for decoding; it keeps its buffers and graphs from one call to the next.

    Until `restore` the model's attention is that of slots and its linear layers compute as `lean` has them; no weight
    is changed.

    Args:
        model: a causal language model of transformers in evaluation mode, on its device, with or without adapters.
        prompt: the longest that will be asked; one step is held against the model's own forward on it.
        most: rows that there may be; None for as many as memory and device are good for.

    Raises:
        UnfitError: the model's forward is of another kind, or a step gives other logits.
        torch.OutOfMemoryError: the prompt cannot be read.
    """

    def __init__(self, model: Any, prompt: Sequence[int], *, most: int | None = None) -> None:
        self.device = model.device
        self.most = most or MOST.get(self.device.type, MOST["cpu"])
        self._model = model
        self._inner = model.get_base_model() if hasattr(model, "get_base_model") else model
        self._own_attention = self._inner.config._attn_implementation
        self._asked = (0, 0)
        self._captures = self.device.type == "cuda"
        self.every = EVERY if self._captures else 1
        accepted = inspect.signature(self._inner.forward).parameters
        self._more: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in accepted else {}
        self._packed = lean.unpacked_bytes(model)
        self.forget()
        with torch.inference_mode(), sdpa_kernel(ATTENTION):
            self._try(list(prompt) if len(prompt) > 1 else [*prompt, *prompt])

    def draw(
        self,
        prompts: Sequence[Sequence[int]],
        rows: Sequence[int],
        numbers: Callable[[int], Any],
        sampling: Sampling,
    ) -> Iterator[list[Answer]]:
        """Answers as they end, in no order.

        Args:
            prompts: token lists, none empty.
            rows: for each answer the index of its prompt.
            numbers: an answer's place in `rows` → its random numbers, [max_new_tokens] in [0, 1).
            sampling: how tokens are chosen and when a row ends.

        Raises:
            UserError: logits that are not finite.
            torch.OutOfMemoryError: not even one row fits.
        """
        drawing = _Drawing(self, prompts, rows, numbers, sampling)
        while drawing.goes_on:
            try:
                done = drawing.round()
            except torch.OutOfMemoryError:
                if drawing.slots == 1:
                    raise
                done = None
            # Outside the handler, whose traceback keeps alive what is to be freed.
            if done is None:
                drawing.halve()
            elif done:
                yield done

    def restore(self) -> None:
        """Let the model compute as it did before, and free the buffers."""
        self._inner.set_attn_implementation(self._own_attention)
        lean.restore(self._model)
        self._packed = lean.unpacked_bytes(self._model)
        self.forget()

    def forget(self) -> None:
        """Begin without buffers and graphs. All graphs share the memory of what lies between their kernels."""
        self._slots: Slots | None = None
        self._graphs: dict[tuple[Any, ...], Callable[[], None]] = {}
        self._pool = torch.cuda.graph_pool_handle() if self._captures else None

    def run(self, ids: Any, positions: Any, slots: Reading | Slots) -> Any:
        """The logits of each row's last token, float32 [B, V]."""
        out = self._model(input_ids=ids, position_ids=positions, use_cache=False, slots=slots, **self._more)
        return out.logits[:, -1].float()

    def _try(self, prompt: list[int]) -> None:
        """One step in slots beside the model's own forward; what is learnt of its shape stays."""
        ids = torch.tensor([prompt], device=self.device)
        wanted = self._model(input_ids=ids, use_cache=False, **self._more).logits[0, -1].float()
        try:
            self._inner.set_attn_implementation(NAME)
            lean.shorten(self._model)
            reading = Reading(self.run, [prompt], self.device)
            if not reading.kept:
                raise UnfitError("its layers do not ask for attention through transformers' interface")
            slots = Slots(reading.kept, slots=1, length=len(prompt), most=1, vocabulary=len(wanted))
            slots.begin(reading, [0], [0], [prompt], np.zeros((1, 1)))
            seen = slots.advance(self.run, 1, len(prompt), Sampling(0.0, 1.0, 1, frozenset()))[0]
            apart = float((seen - wanted).norm() / wanted.norm())
            # NaN is told of by the first round, in words of its own.
            if apart > AGREE.get(self._inner.dtype, max(AGREE.values())):
                raise UnfitError(f"a step gives other logits than the whole prompt, relative difference {apart:.2g}")
        except torch.OutOfMemoryError:
            raise
        except (UnfitError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as fault:
            self.restore()
            raise UnfitError(first_line(fault)) from None
        self._shape = {
            layer: (keys[:1, :, :1].clone(), values[:1, :, :1].clone())
            for layer, (keys, values) in reading.kept.items()
        }
        self._vocabulary, self._widest = len(wanted), size_of(self._inner).widest

    def room(self, rows: int, length: int, sampling: Sampling) -> Slots:
        """Buffers for so many rows, or as many of them as memory holds; those of the last call where they do."""
        had, most = self._slots, sampling.max_new_tokens
        if had is not None and self._asked == (rows, most) and had.length >= length:
            return had
        del had
        self.forget()
        self._asked = rows, most
        each = bytes_of(self._shape) * length + self._vocabulary * LOGIT_BYTES[sampling.top_p < 1]
        reading = READ * (2 * bytes_of(self._shape) + 8 * self._widest * self._inner.dtype.itemsize)
        free = self._free()
        count, unpacks = planned(free, each=each, reserve=reading, wanted=rows, packed=self._packed)
        told = f"decoding {count} answers at once ({each / 2**20:.1f} MiB each, {free / GIB:.1f} GiB free)"
        if self._packed:
            form = f"unpacked once ({self._packed / GIB:.1f} GiB)" if unpacks else "unpacked in every step"
            told += f", 4-bit weights {form}"
        say(told)
        if unpacks:
            lean.unpack(self._model)
            self._packed = 0
        self._slots = Slots(self._shape, slots=count, length=length, most=most, vocabulary=self._vocabulary)
        return self._slots

    def _free(self) -> float:
        """Free memory of the device, within what this process may have."""
        if self.device.type != "cuda":
            return free_gib(self.device) * GIB
        torch.cuda.empty_cache()
        free, whole = torch.cuda.mem_get_info(self.device)
        mine = torch.cuda.get_per_process_memory_fraction(self.device) * whole
        return float(min(free, mine - torch.cuda.memory_reserved(self.device)))

    def height(self, rows: int, slots: int) -> int:
        """Rows of a step that so many are at work in: on a GPU few sizes, so that few graphs are captured."""
        if not self._captures:
            return rows
        while slots // 2 >= rows:
            slots //= 2
        return slots

    def step(self, slots: Slots, rows: int, seen: int, sampling: Sampling) -> None:
        """One step, by its graph where there is one; the first of a shape runs as it is and is captured after."""
        key = (rows, seen, sampling.temperature, sampling.top_p)
        if key in self._graphs:
            self._graphs[key]()
            return

        def work() -> Any:
            return slots.advance(self.run, rows, seen, sampling)

        work()
        if self._captures:
            try:
                self._graphs[key] = checked(work, slots.state, self._pool)
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as fault:
                self._captures = False
                say(f"decoding without CUDA graphs: {first_line(fault)}")


class _Drawing:
    """One call's answers while they are being drawn: which are waiting, and which slot draws which.

    Attributes:
        slots: how many there are.
    """

    def __init__(
        self,
        decoder: Decoder,
        prompts: Sequence[Sequence[int]],
        rows: Sequence[int],
        numbers: Callable[[int], Any],
        sampling: Sampling,
    ) -> None:
        self._decoder, self._prompts, self._rows = decoder, prompts, rows
        self._numbers, self._sampling = numbers, sampling
        self._groups = together([len(prompt) for prompt in prompts], READ)
        spot = {prompt: place for place, prompt in enumerate(prompt for group in self._groups for prompt in group)}
        self._group_of = {prompt: number for number, group in enumerate(self._groups) for prompt in group}
        order = sorted(range(len(rows)), key=lambda answer: spot[rows[answer]])
        self._turn = {answer: turn for turn, answer in enumerate(order)}
        self._waiting = deque(order)
        longest = max((len(prompts[prompt]) for prompt in set(rows)), default=1)
        self._length = _rounded(longest + sampling.max_new_tokens)
        self._held: dict[int, int] = {}
        self._begin(min(decoder.most, len(rows)))
        self._shared, self._looked = 0.0, time.monotonic()

    def _begin(self, slots: int) -> None:
        self.slots = slots
        self._buffers: Slots | None = None
        self._reading: tuple[int, Reading] | None = None
        self._place = [0] * slots
        self._since = [0.0] * slots

    @property
    def goes_on(self) -> bool:
        """Whether an answer is missing."""
        return bool(self._waiting or self._held)

    def halve(self) -> None:
        """Begin again what was being drawn, in half as many slots."""
        say(f"out of GPU memory with {self.slots} answers at once; going on with {self.slots // 2}")
        self._waiting = deque(sorted([*self._held.values(), *self._waiting], key=self._turn.__getitem__))
        self._held = {}
        self._begin(self.slots // 2)
        self._decoder.forget()
        torch.cuda.empty_cache()

    def round(self) -> list[Answer]:
        """Fill free slots, take some steps, and look which rows have ended."""
        with torch.inference_mode(), sdpa_kernel(ATTENTION):
            if self._buffers is None:
                self._buffers = self._decoder.room(self.slots, self._length, self._sampling)
                self._buffers.reset(self._sampling.stops)
                self.slots = self._buffers.rows
            self._fill(self._buffers)
            rows = self._rows_at_work(self._buffers)
            steps = self._decoder.every
            furthest = max(self._place[slot] for slot in self._held) + steps
            seen = self._buffers.reach or min(_rounded(furthest), self._buffers.length)
            for _ in range(steps):
                self._decoder.step(self._buffers, rows, seen, self._sampling)
            for slot in self._held:
                self._place[slot] += steps
            return self._ended(self._buffers, rows)

    def _fill(self, buffers: Slots) -> None:
        free = deque(slot for slot in range(self.slots) if slot not in self._held)
        while self._waiting and free:
            group = self._group_of[self._rows[self._waiting[0]]]
            begun: list[int] = []
            while self._waiting and free and self._group_of[self._rows[self._waiting[0]]] == group:
                slot = free.popleft()
                self._held[slot] = self._waiting.popleft()
                begun.append(slot)
            self._start(buffers, self._read(group), group, begun)
        if not self._waiting:
            self._reading = None

    def _read(self, group: int) -> Reading:
        if self._reading is None or self._reading[0] != group:
            self._reading = None
            prompts = [self._prompts[prompt] for prompt in self._groups[group]]
            self._reading = group, Reading(self._decoder.run, prompts, self._decoder.device)
        return self._reading[1]

    def _start(self, buffers: Slots, reading: Reading, group: int, slots: Sequence[int]) -> None:
        asked = [self._rows[self._held[slot]] for slot in slots]
        prompts = [self._prompts[prompt] for prompt in asked]
        numbers = np.stack([self._numbers(self._held[slot]) for slot in slots])
        buffers.begin(reading, [self._groups[group].index(prompt) for prompt in asked], slots, prompts, numbers)
        for slot, prompt in zip(slots, prompts, strict=True):
            self._place[slot], self._since[slot] = len(prompt) - 1, self._shared

    def _rows_at_work(self, buffers: Slots) -> int:
        """How many rows a step has; once nothing waits, those that go on are moved to the front."""
        rows = self._decoder.height(len(self._held), self.slots)
        behind = [slot for slot in self._held if slot >= rows]
        free = [slot for slot in range(rows) if slot not in self._held][: len(behind)]
        if behind:
            buffers.move(behind, free, min(max(self._place[slot] for slot in behind) + 1, buffers.length))
            for source, target in zip(behind, free, strict=True):
                self._held[target] = self._held.pop(source)
                self._place[target], self._since[target] = self._place[source], self._since[source]
        return rows

    def _ended(self, buffers: Slots, rows: int) -> list[Answer]:
        broken, *ended = torch.cat([buffers.damaged, buffers.ended[:rows]]).tolist()
        if broken:
            raise damaged()
        now = time.monotonic()
        self._shared += (now - self._looked) / len(self._held)
        self._looked = now
        over = [slot for slot in self._held if ended[slot]]
        if not over:
            return []
        index = torch.tensor(over, device=self._decoder.device)
        counts, drawn = buffers.count[index].tolist(), buffers.drawn[index].tolist()
        return [
            Answer(self._held.pop(slot), tokens[:count], self._shared - self._since[slot])
            for slot, count, tokens in zip(over, counts, drawn, strict=True)
        ]


def planned(free: float, *, each: int, reserve: int, wanted: int, packed: int) -> tuple[int, bool]:
    """How many rows fit, at least one, and whether 4-bit weights can be unpacked beside them. Rows come first.

    Args:
        free: bytes.
        each: bytes of a row.
        reserve: bytes for reading prompts.
        wanted: rows that would be of use.
        packed: bytes of all 4-bit weights when unpacked; 0 where there are none.

    >>> planned(1000, each=10, reserve=100, wanted=50, packed=300)
    (50, True)
    >>> planned(1000, each=10, reserve=100, wanted=64, packed=300)
    (64, False)
    >>> planned(100, each=10, reserve=100, wanted=64, packed=0)
    (1, False)
    """
    room = free * SLACK - reserve
    rows = max(1, min(wanted, int(room // each)))
    return rows, 0 < packed <= room - rows * each


def together(lengths: Sequence[int], most: int) -> list[list[int]]:
    """Prompts that are read together, the longest first: as many as are `most` tokens when padded, at least one.

    >>> together([3, 10, 4, 4], 8)
    [[1], [2, 3], [0]]
    """
    groups: list[list[int]] = []
    for prompt in sorted(range(len(lengths)), key=lambda prompt: -lengths[prompt]):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= most:
            groups[-1].append(prompt)
        else:
            groups.append([prompt])
    return groups


def _rounded(tokens: int) -> int:
    return -(-tokens // BLOCK) * BLOCK
