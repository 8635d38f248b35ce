"""What an answer is worth to reinforcement learning: evaluators' scores, weighted and gated, in [0, 1].

The evaluators are those that judge a finished model; there is no second way to score. Gated, an answer that is not
YAML, is empty or was cut off is worth 0, and best practice and security count in proportion to intent fidelity: a
hardened template that ignores what was asked is worth little. Plain, they are only weighted, as earlier work did.

A term counts for a sample where the sample's own reference can be judged by it; elsewhere the other terms carry its
weight. So whether an answer can be judged is never the answer's choice: where only the answer cannot, it has a 0.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sluicegate.errors import UserError
from sluicegate.evaluators import EVALUATORS, INFRA, load, paid
from sluicegate.records import Prediction, Sample, Score
from sluicegate.settings import TrainSettings, weights

PARSES: Final = "k8s_parses"
FIDELITY: Final = "intent_fidelity"
WITH_FIDELITY: Final = frozenset({"k8s_bp", "k8s_security"})
"""Terms that do not ask what was wanted; gated, they are multiplied by intent fidelity."""


@dataclass(frozen=True, slots=True)
class Reward:
    """Which scores make the reward, and how.

    Args:
        weights: evaluator → weight, positive, summing to 1.
        gated: see the module's head.
    """

    weights: Mapping[str, float]
    gated: bool

    @property
    def gates(self) -> tuple[str, ...]:
        """Evaluators that are asked besides the terms."""
        return (PARSES, FIDELITY) if self.gated else ()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to be scored: its text, and whether it ended by itself."""

    text: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Worth:
    """What an answer is worth.

    Args:
        total: in [0, 1]; None where no term counts for the sample.
        terms: evaluator → its value in the total, None where it does not count.
        valid: whether the answer ended, is not blank and, where it should be YAML, is.
    """

    total: float | None
    terms: Mapping[str, float | None]
    valid: bool


def of_settings(settings: TrainSettings) -> Reward:
    """The reward that the settings ask for.

    Raises:
        UserError: an unknown evaluator, or one that costs money.
    """
    return named("REWARD", weights(settings.reward), gated=settings.reward_gate == "gated")


def named(what: str, found: Mapping[str, float], *, gated: bool) -> Reward:
    """A reward over these evaluators; `what` names the setting in messages.

    Raises:
        UserError: an unknown evaluator, or one that costs money.
    """
    free = [name for name in EVALUATORS if name not in paid(EVALUATORS)]
    for name in found:
        if name not in free:
            near = difflib.get_close_matches(name, free, n=1)
            seen = "it asks a judge, which costs money" if name in EVALUATORS else "no such evaluator"
            raise UserError(
                f"{what}: {name!r} cannot be used",
                wanted=f"some of {', '.join(free)}",
                seen=seen + (f"; did you mean {near[0]}?" if near else ""),
            )
    return Reward({name: weight for name, weight in found.items() if weight > 0}, gated)


def worths(reward: Reward, sample: Sample, answers: Sequence[Answer]) -> list[Worth]:
    """What each answer to a sample is worth."""
    wanted = _scores((*reward.weights, *reward.gates), sample, sample.completion)
    counting = [name for name in reward.weights if _counts(reward, name, wanted)]
    manifest = reward.gated and wanted[PARSES].value is not None
    return [_worth(reward, sample, answer, counting, manifest=manifest) for answer in answers]


def _counts(reward: Reward, name: str, wanted: Mapping[str, Score]) -> bool:
    return all(wanted[each].value is not None for each in _needed(reward, name))


def _needed(reward: Reward, name: str) -> tuple[str, ...]:
    """Evaluators that a term's value is made of."""
    return (name, FIDELITY) if reward.gated and name in WITH_FIDELITY else (name,)


def _worth(reward: Reward, sample: Sample, answer: Answer, counting: Sequence[str], *, manifest: bool) -> Worth:
    valid = answer.ended and bool(answer.text.strip())
    parsed = _scores((PARSES,), sample, answer.text)[PARSES].value if valid else 0.0
    valid = valid and (parsed is None or parsed > 0)
    left_out = dict.fromkeys(reward.weights)
    if not counting:
        return Worth(None, left_out, valid)
    if reward.gated and not valid:
        return Worth(0.0, {**left_out, **dict.fromkeys(counting, 0.0)}, valid)
    found = _scores((*counting, *((FIDELITY,) if manifest else ())), sample, answer.text)
    # A fault of ours is no fault of the answer's: the other terms carry the weight.
    judged = [name for name in counting if not found[name].why.startswith(INFRA)]
    share = (found[FIDELITY].value or 0.0) if manifest else 1.0
    terms = {name: (found[name].value or 0.0) * (share if name in WITH_FIDELITY else 1.0) for name in judged}
    return Worth(combined(reward.weights, terms), {**left_out, **terms}, valid)


def combined(wanted: Mapping[str, float], terms: Mapping[str, float]) -> float | None:
    """The weighted mean of the terms that there are.

    >>> combined({"a": 0.25, "b": 0.25, "c": 0.5}, {"a": 1.0, "b": 0.0})
    0.5
    """
    total = sum(wanted[name] for name in terms)
    return min(1.0, sum(wanted[name] * value for name, value in terms.items()) / total) if total else None


def _scores(names: Iterable[str], sample: Sample, text: str) -> dict[str, Score]:
    given = Prediction(sample.id, "policy", 0, text, 0, 0.0, "stop")
    return {judge.NAME: judge.score(sample, given) for judge in load(dict.fromkeys(names))}


def refuse_null(what: str, reward: Reward, samples: Sequence[Sample], *, source: object) -> None:
    """Refuse a term that no sample can be judged by: its weight would silently go to the others.

    Args:
        what: the setting, for the message.
        samples: whose references are judged, until each term has judged one.

    Raises:
        UserError: the term, and why it has no value.
    """
    reasons = dict.fromkeys(reward.weights, "")
    for sample in samples:
        for name in [*reasons]:
            found = _scores(_needed(reward, name), sample, sample.completion).values()
            missing = [each.why for each in found if each.value is None]
            if missing:
                reasons[name] = missing[0]
            else:
                del reasons[name]
        if not reasons:
            return
    name = next(iter(reasons))
    raise UserError(
        f"{what}: {name} has no value for any of {len(samples)} references in {source}",
        wanted="evaluators that can judge these samples",
        seen=reasons[name],
        mend=f"leave {name} out" if len(reward.weights) > 1 else "choose another evaluator",
    )
