"""Which samples an optimizer step takes, in what order, on which process: pure functions of the seed and the step.

Because nothing here has a state, a resumed run needs no position in a data loader, and every process knows the whole
step: its target tokens are counted without asking the others.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar


class Long(Protocol):
    """What has a length."""

    @property
    def tokens(self) -> int:
        """All of them."""


Item = TypeVar("Item", bound=Long)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The order of the training.

    Args:
        samples: number of training samples.
        per_step: samples of an optimizer step, over all micro-batches and processes.
        steps: optimizer steps in all.
        seed: of the order; each epoch has its own; None: the samples' own order, in every epoch.
    """

    samples: int
    per_step: int
    steps: int
    seed: int | None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps of a pass; the last one of a pass may be smaller.

        >>> Schedule(samples=10, per_step=4, steps=9, seed=0).steps_per_epoch
        3
        """
        return -(-self.samples // self.per_step)

    def indices(self, step: int) -> list[int]:
        """Samples of optimizer step `step` (from 1).

        >>> plan = Schedule(samples=5, per_step=2, steps=6, seed=0)
        >>> sorted(plan.indices(1) + plan.indices(2) + plan.indices(3)), len(plan.indices(3))
        ([0, 1, 2, 3, 4], 1)
        >>> Schedule(samples=5, per_step=2, steps=6, seed=None).indices(5)
        [2, 3]
        """
        epoch, place = divmod(step - 1, self.steps_per_epoch)
        order = range(self.samples) if self.seed is None else _order(self.samples, f"{self.seed} {epoch}")
        return list(order[place * self.per_step : (place + 1) * self.per_step])

    def epochs(self, step: int) -> float:
        """Passes over the data after `step` steps.

        >>> Schedule(samples=5, per_step=2, steps=6, seed=0).epochs(6)
        2.0
        """
        whole, place = divmod(step, self.steps_per_epoch)
        return whole + min(1.0, place * self.per_step / self.samples)


@functools.lru_cache(maxsize=2)
def _order(samples: int, seed: str) -> tuple[int, ...]:
    order = list(range(samples))
    random.Random(seed).shuffle(order)  # noqa: S311 (an order, not a secret)
    return tuple(order)


def schedule(samples: int, *, per_step: int, epochs: float, max_steps: int | None, seed: int | None) -> Schedule:
    """The order of a training that ends after `epochs` passes or `max_steps` steps, whichever comes first.

    >>> schedule(10, per_step=4, epochs=1.5, max_steps=None, seed=0).steps
    5
    >>> schedule(10, per_step=4, epochs=1.5, max_steps=2, seed=0).steps
    2
    """
    per_epoch = -(-samples // per_step)
    wanted = max(1, math.ceil(epochs * per_epoch))
    return Schedule(samples, per_step, min(wanted, max_steps or wanted), seed)


def learning_rate(step: int, *, steps: int, peak: float, warmup: int) -> float:
    """The rate of optimizer step `step` (from 1): linear to the peak, then linear to 0 behind the last step.

    It is transformers' linear schedule: the first warm-up step has rate 0.

    >>> [learning_rate(step, steps=4, peak=1.0, warmup=2) for step in (1, 2, 3, 4)]
    [0.0, 0.5, 1.0, 0.5]
    """
    before = step - 1
    if before < warmup:
        return peak * before / max(1, warmup)
    return peak * max(0.0, (steps - before) / max(1, steps - warmup))


def supervised_samples(steps: int, prompts: int, samples: int, *, anchor: bool) -> int:
    """Samples of supervised training that cost the decoder what reinforcement learning costs it.

    To process a token costs 1, to train on it 3. An answer's token is drawn (1), looked at by the reference (1) and
    trained on (3); with the anchor the prompt's own reference is trained on too (3). A sample is taken to be as long as
    an answer. What the encoder does is left out: a supervised sample needs more of it, so the control has the better
    of it. Nothing measured goes in, so that the control needs no other run to be known.

    >>> supervised_samples(100, 16, 8, anchor=True)
    22934
    """
    return -(-steps * prompts * (5 * samples + (3 if anchor else 0)) // 3)


def ends(steps: int) -> int:
    """Steps that count as the first, and as the last, of a training: a tenth, at least one.

    >>> ends(30), ends(4)
    (3, 1)
    """
    return max(1, steps // 10)


def share(items: Sequence[Item], rank: int, processes: int) -> list[Item]:
    """What process `rank` takes of items, so that all have about as many tokens, and as many items or one more.

    The longest first, each goes to whoever has the fewest tokens so far; of 36 samples the fullest of four processes
    has 2% more than the mean then, and 15% where every fourth is taken (mean of 200 draws of lognormal lengths).
    """
    fewest, more = divmod(len(items), processes)
    held: list[list[Item]] = [[] for _ in range(processes)]
    tokens = [0] * processes
    for item in sorted(items, key=lambda item: -item.tokens):
        free = [one for one in range(processes) if len(held[one]) < fewest + (more > 0)]
        taker = min(free, key=tokens.__getitem__)
        more -= len(held[taker]) == fewest
        held[taker].append(item)
        tokens[taker] += item.tokens
    return held[rank]
