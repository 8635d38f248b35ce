"""How much there is to do at a stage: samples, steps, tokens, answers. Pure but for reading the source's samples.

The numbers are those of `data.recipe`. Where the source cannot be read they are assumed, and that is said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError

from sluicegate.data import sources
from sluicegate.data.changes import change_of
from sluicegate.data.enrich import render
from sluicegate.data.recipe import MICRO, SMALL, patterns, with_patterns
from sluicegate.data.splits import FRACTIONS, Splits, shares
from sluicegate.errors import UserError
from sluicegate.records import Sample
from sluicegate.report.clean import one_line
from sluicegate.settings import WHOLE_KINDS, TrainSettings, faults_of
from sluicegate.stages.forecast.span import NOTHING, Span, exactly
from sluicegate.stages.plan import Plan
from sluicegate.stages.steps import environment, source_files
from sluicegate.study import Study
from sluicegate.train.batches import supervised_samples

ASSUMED_SAMPLES = 100
"""Of a scenario whose samples are not there: what the shipped data sets are to have (datasets/README.md)."""
ASSUMED_PROMPT, ASSUMED_ANSWER = Span(60, 140, 500), Span(90, 280, 700)
"""Tokens of samples that are not there; 422 together is the mean of the samples that training speed was measured on."""
CHARACTERS_A_TOKEN = Span(2.6, 3.5, 4.5)
"""Measured on the demo: 3.48 and 3.55 for prompt and completion together, 2.6 for the completion alone."""
HARDENED = 0.53
"""Share of the grammar's samples that have a variant which asks for security: 166 of 315."""
LENGTHS_OF = 300
"""Samples whose lengths are looked at."""
ENDLESS = frozenset({"demo", sources.KUBERNETES})
"""Sources that make as many samples as are asked for."""
READ_LIMIT = 16 * 2**20
"""Bytes of sample files that are read whole; of larger ones lines are counted, and lengths follow from bytes."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """Tokens of one sample."""

    prompt: Span
    answer: Span

    @property
    def both(self) -> Span:
        """Prompt and answer."""
        return self.prompt + self.answer


@dataclass(frozen=True, slots=True)
class Texts:
    """What is known of a source's samples: how many in each scenario, and characters of a prompt and of an answer.

    Args:
        plain, enriched, answer: mean characters, the second input among the first two; None where they cannot be read.
        endless: whether it makes as many samples as are asked for.
    """

    counts: Mapping[str, int]
    plain: float | None
    enriched: float | None
    answer: float | None
    endless: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage does.

    Args:
        train, val, test: samples of each arm, variants apart.
        asked: samples that each model answers.
        trained, questions: arm → tokens of a sample that it is trained on, and of one that it is asked.
        variants: arm → variants that it is trained on as well.
        known: whether the samples were read.
        spare: samples of the source that the stage leaves out; None for no end of them.
    """

    train: int
    val: int
    test: int
    asked: int
    trained: Mapping[str, Tokens]
    questions: Mapping[str, Tokens]
    known: bool
    spare: int | None
    note: str = ""
    variants: Mapping[str, int] = field(default_factory=dict)

    def of(self, arm: str) -> int:
        """Training samples of an arm."""
        return self.train + self.variants.get(arm, 0)


def texts(study: Study, plan: Plan) -> Texts:
    """The samples of a stage's source, as far as they can be read."""
    files = source_files(study, plan)
    names = [path.parent.name for path in files] or list(study.scenarios)
    try:
        if sum(path.stat().st_size for path in files) > READ_LIMIT:
            return _counted(files)
        made, longest = study.data.synthesize, study.data.longest
        samples = sources.load(study.data.source, scenarios=names, seed=study.data.seed, made=made, longest=longest)
        return _measured(samples, endless=study.data.source in ENDLESS and made is None)
    except (UserError, OSError) as fault:
        seen = fault.what if isinstance(fault, UserError) else f"{study.data.source}: {fault.strerror or fault}"
        note = f"{one_line(seen, 200)}: {ASSUMED_SAMPLES} samples a scenario are assumed"
        return Texts(dict.fromkeys(names, ASSUMED_SAMPLES), None, None, None, note=note)


def _measured(samples: Sequence[Sample], *, endless: bool) -> Texts:
    some = samples[:: max(1, len(samples) // LENGTHS_OF)]
    some = with_patterns(Splits(tuple(some), (), ()), patterns(Splits(tuple(some), (), ()))).train

    def enriched(sample: Sample) -> str:
        try:
            return render(sample, "enriched")
        except UserError:  # it gives the answer away, which the data step refuses
            return sample.prompt

    return Texts(
        counts={name: sum(row.scenario == name for row in samples) for name in {row.scenario: 0 for row in samples}},
        plain=_mean([len(row.prompt) + len(row.context) for row in some]),
        enriched=_mean([len(enriched(row)) + len(row.context) for row in some]),
        answer=_mean([len(row.completion) for row in some]),
        endless=endless,
    )


def _mean(values: Sequence[int]) -> float:
    return sum(values) / len(values)


def _counted(files: Sequence[Path]) -> Texts:
    """Of files too large to be read in a moment: their lines; lengths stay assumed."""
    counts = {}
    for path in files:
        with path.open("rb") as stream:
            counts[path.parent.name] = sum(chunk.count(b"\n") for chunk in iter(lambda: stream.read(2**20), b""))
    return Texts(counts, None, None, None, note="large sample files: lines are counted, lengths are assumed")


def work(study: Study, plan: Plan, found: Texts) -> Work:
    """What a stage does with these samples."""
    train, val, test = sizes(plan, found)
    arms = study.lineup
    trained = {arm: _tokens(found, enriched=study.arms[arm].prompts == "enriched") for arm in arms}
    plain = _tokens(found, enriched=False)
    own = study.test_prompts == "as_trained" or plan.stage.size == "micro"
    total = sum(found.counts.values())
    return Work(
        train=train,
        val=val,
        test=test,
        asked=val if plan.stage.size == "micro" else test,
        trained=trained,
        questions=trained if own else dict.fromkeys(arms, plain),
        variants={arm: round(HARDENED * change_of(study, arm).augment * train) for arm in arms},
        known=found.plain is not None,
        spare=None if found.endless else max(0, total - train - test - (0 if plan.stage.size == "micro" else val)),
        note=_short(study, total, train + val + test, found) if plan.stage.size != "micro" else found.note,
    )


def _short(study: Study, have: int, wanted: int, found: Texts) -> str:
    if found.endless or wanted <= have or found.note:
        return found.note
    return f"{study.data.source} has {have} samples, {wanted} are wanted: the data step will refuse"


def sizes(plan: Plan, found: Texts) -> tuple[int, int, int]:
    """Training, validation and test samples of each arm, as `data.recipe` deals them."""
    asked = (plan.train_samples, plan.val_samples, plan.test_samples)
    if not plan.stage.size:
        return 0, 0, 0
    if plan.stage.size == "micro":
        count = plan.train_samples or MICRO
        return count, count, 0
    if plan.stage.size == "small":
        own: Sequence[int] = SMALL
    elif asked == (None, None, None):
        each = [shares(count, FRACTIONS) for count in found.counts.values()]
        own = [sum(part) for part in zip(*each, strict=True)]
    else:
        own = shares(sum(found.counts.values()), FRACTIONS)
    train, val, test = (mine if told is None else told for mine, told in zip(own, asked, strict=True))
    return train, val, test


def _tokens(found: Texts, *, enriched: bool) -> Tokens:
    shown = found.enriched if enriched else found.plain
    if shown is None or found.answer is None:
        return Tokens(ASSUMED_PROMPT, ASSUMED_ANSWER)
    rate = CHARACTERS_A_TOKEN.inverse()
    # What a completion has more of the short tokens, a prompt has of the long ones.
    return Tokens(rate * shown, rate * found.answer)


def settings_of(plan: Plan, arm: str) -> TrainSettings:
    """The training settings of an arm, as its training will read them; this process's environment does not count.

    Raises:
        UserErrors: values that training would refuse.
    """
    own = {name: field.default for name, field in TrainSettings.model_fields.items() if not field.is_required()}
    told = {name.lower(): text for name, text in environment(plan.train[arm]).items() if text}
    if told.get("model_kind") in WHOLE_KINDS:
        del own["lora_r"]
    try:
        return TrainSettings(**{**own, **told}, dataset_path=Path(__file__))
    except ValidationError as fault:
        raise faults_of(TrainSettings, fault, {}) from None


@dataclass(frozen=True, slots=True)
class Passes:
    """One training: optimizer steps, passes over the data, micro-batches, validations."""

    steps: int
    epochs: float
    micro_batches: int
    validations: int


def passes(settings: TrainSettings, train: int) -> Passes:
    """How long one training is, as `train.batches.schedule` lays it out.

    >>> plan = TrainSettings.model_construct(batch_size=1, gradient_accumulation_steps=8, epochs=3.0, max_steps=None,
    ...                                      save_every=100, method="supervised", steps_like_rl=False)
    >>> passes(plan, 70)
    Passes(steps=27, epochs=3.0, micro_batches=210, validations=1)
    """
    if settings.method != "supervised":
        return _updates(settings, train)
    per_step = settings.batch_size * settings.gradient_accumulation_steps
    an_epoch = -(-train // per_step)
    wanted = max(1, math.ceil(settings.epochs * an_epoch))
    if settings.steps_like_rl:
        wanted = -(-_like_learning(settings) // per_step)
    steps = min(wanted, settings.max_steps or wanted)
    epochs = steps / an_epoch
    return Passes(steps, epochs, math.ceil(epochs * -(-train // settings.batch_size)), -(-steps // settings.save_every))


def _like_learning(settings: TrainSettings) -> int:
    """Samples of the control of reinforcement learning."""
    return supervised_samples(
        settings.rl_steps, settings.rl_prompts, settings.rl_samples, anchor=settings.rl_anchor > 0
    )


def _updates(settings: TrainSettings, train: int) -> Passes:
    """Reinforcement learning: a pass asks every prompt once, and several answers to each are trained on."""
    steps = min(settings.rl_steps, settings.max_steps or settings.rl_steps)
    asked = steps * settings.rl_prompts
    batches = -(-asked * settings.rl_samples // settings.rl_batch)
    return Passes(steps, asked / train, batches, -(-steps // settings.save_every))


def trained_tokens(found: Work, arm: str, settings: TrainSettings) -> Span:
    """Training tokens of one model, padding left out."""
    window = settings.max_seq_length
    train, copies = found.of(arm), 1 if settings.method == "supervised" else settings.rl_samples
    return found.trained[arm].both.at_most(window) * (copies * train * passes(settings, max(1, train)).epochs)


def answer_tokens(found: Work, arm: str, most: int) -> Span:
    """Tokens of one answer: about as long as the reference and its end; a model that never ends goes to the limit."""
    one = found.questions[arm].answer + exactly(1)
    return Span(0.6 * one.low, one.expected, max(one.high, 0.8 * most)).at_most(most) if found.asked else NOTHING
