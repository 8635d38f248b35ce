"""Reinforcement learning of answers by their reward: RLOO, and the older REINFORCE that it is compared with.

An update, in the order of `Policy.take`:

1. Draw G answers to each of P prompts from the policy, the model as it is.
2. Score them in other processes. Meanwhile ask the reference (the model as it was at the start) how likely it finds
   them, and add up the gradient of the anchor, the cross-entropy of the prompts' own references.
3. Turn rewards into advantages, and add up the gradient of the policy's loss.
4. Step, adapt the weight of KL, and look whether the policy has collapsed. If so go back to the best checkpoint with
   half the rate; the second time, stop there.

RLOO's advantage is the reward less the mean of the other answers to the same prompt, over the standard deviation of
all, clipped. A prompt whose answers all have one reward teaches nothing and is left out. REINFORCE here is reward less
the mean of the batch, without KL and anchor. One update a batch, so answers are always the policy's own and no
importance ratio is needed; dropout is off, so that the policy is one distribution.

All terms of the loss are means per token. Notation: P prompts, G answers a prompt, T tokens.

Sources: RLOO arXiv 2402.14740; means per token instead of per answer, and groups of equal rewards left out: DAPO arXiv
2503.14476; what length and standard deviation do to the gradient: arXiv 2503.20783.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import cast

import torch

from sluicegate.console import say
from sluicegate.errors import UserError
from sluicegate.models import Seq2SeqExample, Seq2SeqLearner
from sluicegate.models.choosing import damaged
from sluicegate.models.pair_memory import prompts_at_once
from sluicegate.records import Sample
from sluicegate.train import checkpoint
from sluicegate.train.checkpoint import State
from sluicegate.train.guard import WINDOW, Health, collapsed
from sluicegate.train.reward import Reward, Worth
from sluicegate.train.rollout import Drawing, Drawn, Likely, likely, weights_of
from sluicegate.train.scoring import Job, Pending, Scored, Scorers
from sluicegate.train.step import Taken, Training, gradients, optimized, with_memory
from sluicegate.train.weights import restore

CLIP = 5.0
"""Largest advantage, in standard deviations."""
SAME = 1e-6
"""Rewards of a group that differ by less are equal."""
MOST_APART = 20.0
"""Log-ratio that is still told apart: a token may be drawn that the policy gives next to nothing."""
WARM_UP = 20
"""One in so many steps warms up."""


def leave_one_out(rewards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """RLOO's advantages [P, G] of rewards [P, G], and which prompts count [P].

    >>> advantages, counts = leave_one_out(torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.5, 0.5]]))
    >>> [round(value, 4) for value in advantages.flatten().tolist()], counts.tolist()
    ([1.4142, -0.7071, -0.7071, 0.0, 0.0, 0.0], [True, False])
    """
    others = (rewards.sum(1, keepdim=True) - rewards) / (rewards.shape[1] - 1)
    counts = rewards.amax(1) - rewards.amin(1) > SAME
    raw = (rewards - others) * counts[:, None]
    if not counts.any():
        return raw, counts
    # Their mean is 0 within each group.
    return (raw / raw[counts].square().mean().sqrt()).clamp(-CLIP, CLIP), counts


def less_mean(rewards: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """REINFORCE's advantages [P, G] of rewards [P, G], and which prompts count [P]: all.

    >>> less_mean(torch.tensor([[1.0, 0.0]]))[0].tolist()
    [[0.5, -0.5]]
    """
    return rewards - rewards.mean(), torch.ones(len(rewards), dtype=torch.bool, device=rewards.device)


def divergence(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """An estimate of KL(policy | reference) for each token, from the log-probabilities of tokens that the policy drew.

    It is never negative and its expectation is the KL. It is reported; what is minimised is `pull`.

    >>> same = torch.tensor([-1.0, -2.0])
    >>> divergence(same, same).tolist()
    [0.0, 0.0]

    Source: J. Schulman, Approximating KL Divergence, 2020 (his k3).
    """
    apart = (reference - policy).clamp(max=MOST_APART)
    return apart.exp() - apart - 1.0


def pull(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """For each token what has, in expectation, the gradient of KL(policy | reference): half the square of their ratio's
    logarithm (Schulman's k2). The gradient of `divergence` is that of the KL the other way round.
    """  # noqa: D205
    return 0.5 * (policy - reference).square()


def adapted(weight: float, kl: float, target: float, *, start: float) -> float:
    """The weight of the KL term after a step: up to a tenth more or less, as KL is above or below its target.

    It stays within a tenth and a hundred times `start`: while KL has not risen yet, it would melt away.

    >>> [round(adapted(0.1, kl, 0.01, start=0.1), 4) for kl in (0.1, 0.011, 0.01, 0.0)]
    [0.11, 0.101, 0.1, 0.09]
    >>> round(adapted(0.01, 0.0, 0.01, start=0.1), 4)
    0.01

    Source: Ziegler et al., arXiv 1909.08593, with a larger step for the few updates made here.
    """
    found = weight * (1.0 + 0.1 * max(-1.0, min(1.0, kl / target - 1.0)))
    return max(0.1 * start, min(100.0 * start, found))


@dataclass(frozen=True, slots=True)
class Batch:
    """Answers to the prompts of a step, row by row, and what they are worth."""

    examples: Sequence[Seq2SeqExample]
    drawn: list[list[Drawn]]
    pending: Pending
    owners: list[int]

    @property
    def rows(self) -> list[Drawn]:
        """All answers, those to one prompt side by side."""
        return [each for group in self.drawn for each in group]


@dataclass(frozen=True, slots=True)
class Losses:
    """Figures of an update's gradients, and how the answers were judged.

    Args:
        rewards: [P, G].
        anchor: cross-entropy per token of the prompts' own references; None without an anchor.
        policy: the surrogate that is minimised; its value means little.
        kl, entropy: nats a token.
        waited: seconds for the scores.
    """

    scored: list[Scored]
    rewards: torch.Tensor
    mean_advantage: float
    anchor: float | None
    policy: float
    kl: float
    entropy: float
    waited: float


class Policy:
    """A model in reinforcement learning.

    Args:
        training: with the examples of `samples`; its weights are still those to stay near to.
        samples: of the training file, one for each of its examples.
        scorers: processes that score.
    """

    def __init__(
        self, training: Training, samples: Sequence[Sample], reward: Reward, drawing: Drawing, scorers: Scorers
    ) -> None:
        settings = training.settings
        self._training, self._samples, self._reward, self._scorers = training, samples, reward, scorers
        self._learner = cast(Seq2SeqLearner, training.learner)
        self._reference = {name: part.detach().clone() for name, part in training.names.items()}
        self._plain = settings.method == "reinforce"
        self._drawing = drawing
        self.spent = {"drawing": 0.0, "updating": 0.0, "waiting for scores": 0.0}
        """Seconds of this attempt."""

    def take(self, state: State, *, stop: Callable[[], bool]) -> tuple[State, Taken]:
        """Take the step after `state`.

        Args:
            stop: asked whether this process was told to stop; the step is taken all the same.

        Raises:
            UserError: too little memory, or scoring that does not work.
        """
        settings, step = self._training.settings, state.step + 1
        self._learner.scored.eval()
        weight = settings.rl_kl if state.kl_weight is None else state.kl_weight
        started = time.monotonic()
        try:
            batch = self._batch(step)
        except UserError as fault:
            if fault.what != damaged().what:
                raise
            state = self._gone_back(state, step, fault.what)
            return state, Taken(1.0, 0.0, 0, 0.0, state.micro_batch, stop())
        drawn = time.monotonic()
        losses, micro_batch = with_memory(
            self._training,
            state.micro_batch,
            lambda size: self._gradients(batch, step, size, 0.0 if self._plain else weight),
        )
        rate = (
            state.rate_share
            * settings.rl_learning_rate
            * min(1.0, step / max(1, self._training.schedule.steps // WARM_UP))
        )
        norm = optimized(self._training, micro_batch, rate)
        ended = time.monotonic()
        self._count(drawn - started, ended - drawn, losses.waited)
        health = self._health(batch, losses)
        figures = self._figures(batch, losses, health, {"rl/kl_weight": weight, "rl/rate_share": state.rate_share})
        figures |= self._speeds(batch, losses, drawn - started, ended - drawn)
        if not self._plain:
            state = replace(state, kl_weight=adapted(weight, losses.kl, settings.rl_target_kl, start=settings.rl_kl))
        state = self._guarded(state, step, health, "" if math.isfinite(norm) else "gradients are not finite")
        tokens = sum(len(row.tokens) for row in batch.rows) + sum(each.tokens for each in batch.examples)
        regret = 1.0 - figures["rl/reward"]
        return state, Taken(regret, norm, tokens, rate, micro_batch, stop(), figures)

    def _batch(self, step: int) -> Batch:
        """Answers to the prompts of a step, on their way to being scored."""
        settings, chosen = self._training.settings, self._training.schedule.indices(step)
        examples = [cast(Seq2SeqExample, self._training.train[index]) for index in chosen]
        drawn = self._drawing.sampled(examples, settings.rl_samples, step)
        jobs = [
            Job(self._reward, self._samples[index], tuple(each.answer for each in group))
            for index, group in zip(chosen, drawn, strict=True)
        ]
        owners = [number for number, group in enumerate(drawn) for _ in group]
        return Batch(examples, drawn, self._scorers.submit(jobs), owners)

    def _gradients(self, batch: Batch, step: int, size: int, weight: float) -> Losses:
        """Add up the gradients of a step, `size` answers at once."""
        anchor = None
        share = 0.0 if self._plain else self._training.settings.rl_anchor
        if not share:
            self._training.optimizer.zero_grad(set_to_none=True)
        else:
            anchor = float(gradients(self._training, batch.examples, step, size, scale=share))
        chunks = _chunks(batch, size)
        with torch.no_grad(), weights_of(self._training.names, self._reference):
            references = [self._likely(batch, chunk).tokens for chunk in chunks]
        asked = time.monotonic()
        scored = self._scorers.results(batch.pending)
        waited = time.monotonic() - asked
        rewards = torch.tensor([[each.total or 0.0 for each in job.worths] for job in scored], dtype=torch.float64)
        advantages, counts = (less_mean if self._plain else leave_one_out)(rewards)
        device = self._training.accelerator.device
        flat = advantages.flatten().float().to(device)
        lengths = [len(row.tokens) for row in batch.rows]
        counted = sum(length for length, owner in zip(lengths, batch.owners, strict=True) if counts[owner])
        every, sums = sum(lengths), torch.zeros(3, device=device, dtype=torch.float64)
        for chunk, reference in zip(chunks, references, strict=True):
            now = self._likely(batch, chunk)
            gain = (flat[chunk][:, None] * now.tokens).sum() / max(1, counted)
            held = (pull(now.tokens, reference) * now.mask).sum() / every
            self._training.accelerator.backward(weight * held - gain)
            kl = (divergence(now.tokens.detach(), reference) * now.mask).sum() / every
            sums += torch.stack([(weight * held - gain).detach(), kl, now.entropy.sum() / every]).double()
        policy, kl, entropy = sums.tolist()
        return Losses(scored, rewards, float(advantages.mean()), anchor, policy, kl, entropy, waited)

    def _likely(self, batch: Batch, chunk: Sequence[int]) -> Likely:
        asked, rows = dict.fromkeys(batch.owners[row] for row in chunk), batch.rows
        examples = [batch.examples[owner] for owner in asked]
        return likely(self._training, self._learner, examples, [rows[row].tokens for row in chunk])

    def _health(self, batch: Batch, losses: Losses) -> Health:
        rows = batch.rows
        return Health(
            valid=fmean(each.valid for each in _worths(losses)),
            ended=fmean(row.answer.ended for row in rows),
            empty=fmean(not row.answer.text.strip() for row in rows),
            kl=losses.kl,
            entropy=losses.entropy,
        )

    def _guarded(self, state: State, step: int, health: Health, broken: str) -> State:
        """The state after the guard has looked at a step: the same, one that went back, or one that ends here."""
        first = state.health[0] if state.health else health
        recent = [*state.health[1:], health][-WINDOW:]
        why = broken or collapsed(Health(*first), [Health(*each) for each in recent],
                                  target_kl=self._training.settings.rl_target_kl)  # fmt: skip
        return self._gone_back(state, step, why) if why else replace(state, health=(tuple(first), *map(tuple, recent)))

    def _gone_back(self, state: State, step: int, why: str) -> State:
        """The state at the best checkpoint, with half the rate; the second time, one that ends here."""
        self._back(state)
        told = f"step {step}: collapsed: {why}"
        if state.collapses:
            say(f"{told}; for the second time, so it ends with the best checkpoint, step {state.best_step}")
            return replace(state, collapses=2, stopped=told)
        half = state.rate_share / 2
        say(f"{told}; back to the best checkpoint, step {state.best_step}, at {half:g} of the rate")
        return replace(state, collapses=1, rate_share=half, health=state.health[:1])

    def _back(self, state: State) -> None:
        """Put the best checkpoint's weights back, with its optimizer."""
        best = checkpoint.best(self._training.settings.model_dir, state)
        if best is None:
            raise UserError(
                "the policy has collapsed and the best checkpoint is gone",
                wanted=f"step {state.best_step} under {self._training.settings.model_dir / checkpoint.FOLDER}",
                seen="no such folder",
                mend="train again under another MODEL_NAME, with a lower RL_LEARNING_RATE",
            )
        self._training.optimizer.state.clear()
        restore(self._training, checkpoint.read(best))

    def _figures(self, batch: Batch, losses: Losses, health: Health, more: dict[str, float]) -> dict[str, float]:
        rewards = losses.rewards.flatten().tolist()
        told = {"rl/reward": fmean(rewards), "rl/reward_std": pstdev(rewards)}
        for name in self._reward.weights:
            seen = [value for each in _worths(losses) if (value := each.terms[name]) is not None]
            if seen:
                told |= {f"rl/reward/{name}": fmean(seen), f"rl/reward_std/{name}": pstdev(seen)}
        lengths = [len(row.tokens) for row in batch.rows]
        told |= {
            "rl/zero_std_groups": fmean((losses.rewards.amax(1) - losses.rewards.amin(1) <= SAME).tolist()),
            "rl/mean_advantage": losses.mean_advantage,
            "rl/policy_loss": losses.policy,
            "rl/kl": health.kl,
            "rl/entropy": health.entropy,
            "rl/valid": health.valid,
            "rl/empty": health.empty,
            "rl/ended": health.ended,
            "rl/length": fmean(lengths),
        }
        return told | more | ({} if losses.anchor is None else {"rl/anchor_loss": losses.anchor})

    def _speeds(self, batch: Batch, losses: Losses, drawing: float, updating: float) -> dict[str, float]:
        tokens = sum(len(row.tokens) for row in batch.rows)
        whole = max(1e-9, drawing + updating)
        return {
            "rl/drawing_tokens_per_s": tokens / max(1e-9, drawing),
            "rl/update_tokens_per_s": tokens / max(1e-9, updating - losses.waited),
            "rl/answers_per_s": len(batch.rows) / whole,
            "rl/scoring_waited": losses.waited / whole,
            "rl/scoring_work": sum(job.seconds for job in losses.scored) / self._scorers.workers / whole,
        }

    def _count(self, drawing: float, updating: float, waited: float) -> None:
        self.spent["drawing"] += drawing
        self.spent["updating"] += updating - waited
        self.spent["waiting for scores"] += waited

    def told(self) -> str:
        """Where this attempt's time went."""
        whole = sum(self.spent.values())
        return ", ".join(f"{name} {seconds / whole:.1%}" for name, seconds in self.spent.items()) if whole else ""


def _worths(losses: Losses) -> list[Worth]:
    return [each for job in losses.scored for each in job.worths]


def _chunks(batch: Batch, size: int) -> list[list[int]]:
    """Rows in chunks of at most `size`: all answers to some prompts, or some to one; long answers first."""
    longest = [max(len(each.tokens) for each in group) for group in batch.drawn]
    order = sorted(range(len(longest)), key=lambda owner: -longest[owner])
    copies = len(batch.drawn[0])
    prompts, rows = prompts_at_once(size, copies), min(size, copies)
    chunks = []
    for start in range(0, len(order), prompts):
        some = [range(owner * copies, (owner + 1) * copies) for owner in order[start : start + prompts]]
        chunks += [[row for group in some for row in group[first : first + rows]] for first in range(0, copies, rows)]
    return chunks
