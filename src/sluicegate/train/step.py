"""One optimizer step and one validation, on one process or several, with as much memory as there is.

The loss of a step is the sum of its target tokens' losses over their number, whatever the micro-batches and
processes they are spread over. Which step is taken when, and what is kept of it, is the loop's business.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch

from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.models import Example, Learner
from sluicegate.models.loading import room_gib
from sluicegate.models.room import what_fits
from sluicegate.settings import TrainSettings
from sluicegate.train.batches import Schedule, learning_rate, share
from sluicegate.train.feeding import fed
from sluicegate.train.processes import added
from sluicegate.train.replay import Replay
from sluicegate.train.sharding import is_sharded, whole

Value = TypeVar("Value")


@dataclass(frozen=True)
class Training:
    """All that a step needs.

    Args:
        accelerator: accelerate's, for device, precision and processes.
        model: `learner.scored` as accelerate wrapped it, or cut over the processes; see `sharding`. Its backward
            averages gradients over the processes, unless there is a `replay`.
        names: name → tensor of everything that is trained, or what this process holds of it.
        train, val: examples; `val` is empty without a validation file.
        replay: what runs micro-batches as CUDA graphs, where they may be; gradients are not exchanged in them.
    """

    settings: TrainSettings
    accelerator: Any
    learner: Learner
    model: Any
    optimizer: Any
    names: dict[str, Any]
    schedule: Schedule
    train: Sequence[Example]
    val: Sequence[Example]
    replay: Replay | None = None

    @property
    def sharded(self) -> bool:
        """Whether each process holds a part of the model only."""
        return is_sharded(self.model)


@dataclass(frozen=True, slots=True)
class Taken:
    """Figures of one optimizer step.

    Args:
        loss: mean per target token; of reinforcement learning 1 - the mean reward.
        grad_norm: of all gradients together, before clipping.
        tokens: training tokens, over all processes, padding left out.
        micro_batch: samples, or windows of packed ones, at once that fitted into memory.
        stop: whether any process was asked to stop.
        figures: what else is told of the step.
    """

    loss: float
    grad_norm: float
    tokens: int
    learning_rate: float
    micro_batch: int
    stop: bool
    figures: Mapping[str, float] = field(default_factory=dict)


def take(training: Training, step: int, micro_batch: int, *, stop: Callable[[], bool]) -> Taken:
    """Take optimizer step `step` (from 1).

    Args:
        training: what to train, on what.
        step: which one; it decides the samples, the rate and the random state.
        micro_batch: samples, or windows of packed ones, at once to begin with.
        stop: asked, once gradients are there, whether this process was told to stop; the step is taken all the same.

    Raises:
        UserError: loss or gradients are not finite (the weights are those of before the step), or too little memory.
    """
    settings, accelerator, schedule = training.settings, training.accelerator, training.schedule
    examples = [training.train[index] for index in schedule.indices(step)]
    loss, micro_batch = with_memory(training, micro_batch, lambda size: gradients(training, examples, step, size))
    told = torch.stack([loss, loss.new_tensor(float(stop()))])
    seen, stops = accelerator.reduce(told, "sum").tolist()
    refuse_not_finite("loss", seen, step)
    rate = learning_rate(step, steps=schedule.steps, peak=settings.learning_rate, warmup=settings.warmup_steps)
    norm = optimized(training, micro_batch, rate)
    refuse_not_finite("gradient norm", norm, step)
    return Taken(seen, norm, sum(example.tokens for example in examples), rate, micro_batch, stops > 0)


def optimized(training: Training, micro_batch: int, rate: float) -> float:
    """Change the weights by their gradients, clipped; returns the norm of these before.

    Where that is not finite, nothing is changed.

    Raises:
        UserError: too little memory for the optimizer.
    """
    clipped = training.accelerator.clip_grad_norm_(training.names.values(), training.settings.max_grad_norm)
    norm = float(whole(clipped))
    if not math.isfinite(norm):
        return norm
    for group in training.optimizer.param_groups:
        group["lr"] = rate * group.get("share", 1.0)
    if _attempt(lambda _: training.optimizer.step(), micro_batch) is None:
        # It may have changed some weights already, so it cannot be done again.
        raise _out_of_memory(training, micro_batch, "for the optimizer")
    return norm


def gradients(
    training: Training, examples: Sequence[Example], step: int, micro_batch: int, *, scale: float = 1.0
) -> torch.Tensor:
    """Add up the gradients of this process's part of a step, times `scale`; returns its part of the step's loss."""
    accelerator = training.accelerator
    recorded = training.replay is not None
    averaged = 1 if recorded else accelerator.num_processes  # a sum is wanted
    targets = sum(example.targets for example in examples)
    batches = _micro_batches(training, examples, micro_batch)
    replay = training.replay if scale == 1.0 else None
    training.optimizer.zero_grad(set_to_none=not recorded)
    seeded(training.settings.seed, step, accelerator.process_index)

    def work(batch: dict[str, Any], share: Any) -> torch.Tensor:
        part = training.model(**batch) * share
        accelerator.backward(part * (averaged * scale))
        return part.detach()  # without what its graph still holds

    loss = torch.zeros((), device=accelerator.device)
    for number, (counts, batch) in enumerate(_fed(training, batches, micro_batch), start=1):
        # Where the model is cut, so are gradients that wait for the last micro-batch.
        waits = number < len(batches) and not training.sharded
        with accelerator.no_sync(training.model) if waits else contextlib.nullcontext():
            loss += work(batch, counts / targets) if replay is None else replay.run(work, batch, counts / targets)
    if recorded:
        added(accelerator, training.names.values())
    return loss


def _micro_batches(
    training: Training, examples: Sequence[Example], micro_batch: int
) -> list[tuple[list[Example], float]]:
    """This process's micro-batches, each with 1, or with 0 where it does not count.

    A process without a sample still has to meet the others when gradients are exchanged. Where the model is cut, all
    meet in every micro-batch, and so have equally many.
    """
    processes = training.accelerator.num_processes

    def of(process: int) -> list[list[Example]]:
        return training.learner.batches(share(examples, process, processes), micro_batch)

    mine = of(training.accelerator.process_index)
    most = max(len(of(process)) for process in range(processes)) if training.sharded else 1
    least = min(examples, key=lambda example: example.tokens)
    return [*((batch, 1.0) for batch in mine), *[([least], 0.0)] * (most - len(mine))]


def validation_loss(training: Training, micro_batch: int, stop: Callable[[], bool]) -> float | None:
    """Mean loss per target token over the validation examples; None where a signal asked to stop meanwhile."""
    accelerator, scored = training.accelerator, training.learner.scored
    if training.replay is not None:
        training.replay.drop()  # their memory is needed
    total = torch.zeros(2, device=accelerator.device, dtype=torch.float64)
    training_mode = scored.training
    scored.eval()
    with torch.no_grad():
        for counts, batch in _fed(training, _micro_batches(training, training.val, micro_batch), micro_batch):
            if _asked(training, stop):
                total[1] = 1.0
                break
            total[0] += scored(**batch).double() * counts
    if training.sharded:
        training.model.reshard()  # what it gathered for a backward that does not come
    scored.train(training_mode)
    loss, stops = accelerator.reduce(total, "sum").tolist()
    return None if stops else loss / sum(example.targets for example in training.val)


def _asked(training: Training, stop: Callable[[], bool]) -> bool:
    """Whether this process was told to stop; where the model is cut, none can go on alone: whether any was."""
    if not training.sharded:
        return stop()
    told = torch.tensor(float(stop()), device=training.accelerator.device)
    return bool(training.accelerator.reduce(told, "sum") > 0)


def seeded(seed: int, step: int, process: int) -> None:
    """Set torch's random state to what it is at the start of a step: a function of the run's seed and the step.

    So there is none to save, and a step that is taken again draws the same dropout.
    """
    name = hashlib.sha256(f"{seed} {step} {process}".encode()).digest()
    torch.manual_seed(int.from_bytes(name[:8], "big"))


def with_memory(training: Training, micro_batch: int, work: Callable[[int], Value]) -> tuple[Value, int]:
    """Do `work(micro_batch)`; out of memory, halve the micro-batch and do it again.

    Returns:
        What the work returned, and the micro-batch it did it with.

    Raises:
        UserError: a micro-batch of 1 does not fit, or it happened in one of several processes.
    """
    while True:
        done = _attempt(work, micro_batch)
        if done is not None:
            return done[0], micro_batch
        micro_batch = _smaller(training, micro_batch)


def _attempt(work: Callable[[int], Value], micro_batch: int) -> tuple[Value] | None:
    """The work's value, or None where memory ran out; the traceback, which holds tensors, dies here."""
    try:
        return (work(micro_batch),)
    except RuntimeError as fault:
        if ran_out_of_memory(fault):
            return None
        raise


def ran_out_of_memory(fault: RuntimeError) -> bool:
    """Whether torch says so, of a GPU or of this machine."""
    return isinstance(fault, torch.OutOfMemoryError) or "can't allocate memory" in str(fault)


def _smaller(training: Training, micro_batch: int) -> int:
    """Half the micro-batch, with the memory of the failed attempt given back."""
    several = training.accelerator.num_processes > 1
    if micro_batch == 1 or several:
        raise _out_of_memory(training, micro_batch, "in one of several processes" if several else "")
    training.optimizer.zero_grad(set_to_none=True)
    if training.replay is not None:
        training.replay.drop()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    half = micro_batch // 2
    say(f"out of memory with a micro-batch of {micro_batch}: going on with {half} and more accumulation")
    return half


def _out_of_memory(training: Training, micro_batch: int, where: str) -> UserError:
    learner, device = training.learner, training.accelerator.device
    if training.sharded:
        fits = "more processes, a smaller BATCH_SIZE or a shorter MAX_SEQ_LENGTH"
    else:
        fits = what_fits(
            learner.size, training.settings, in_4bit=learner.facts.loaded_in_4bit, gpu=device.type == "cuda",
            room_gib=room_gib(training.settings, device),
        )  # fmt: skip
    return UserError(
        f"out of memory with a micro-batch of {micro_batch} {where}".rstrip(),
        wanted="memory for the model, its optimizer and a micro-batch",
        seen=f"forecast {learner.facts.forecast_gib:.2f} GiB, and no more was free",
        mend=f"{fits}; under another MODEL_NAME",
    )


def peak_bytes() -> int:
    """Most GPU memory this process has held at once, in bytes; 0 without a GPU."""
    return int(torch.cuda.max_memory_reserved()) if torch.cuda.is_available() else 0


def _fed(
    training: Training, batches: Sequence[tuple[list[Example], float]], micro_batch: int
) -> Iterator[tuple[float, dict[str, Any]]]:
    """Of each micro-batch whether it counts, and its tensors on the device."""
    device = training.accelerator.device
    made = fed([batch for batch, _ in batches], lambda batch: training.learner.batch(batch, micro_batch), device)
    return zip((counts for _, counts in batches), made, strict=True)


def refuse_not_finite(what: str, value: float, step: int) -> None:
    """Stop a training whose figures make no sense any more.

    Raises:
        UserError: the value is NaN or infinite.
    """
    # NaN and infinity are the only values whose difference with themselves is not 0.
    if value - value != 0.0:
        raise UserError(
            f"step {step}: the {what} is {value}; the training was stopped",
            wanted="a finite number",
            seen=str(value),
            mend="lower LEARNING_RATE or MAX_GRAD_NORM, or raise WARMUP_STEPS, under another MODEL_NAME; "
            "the last checkpoint is kept",
        )
