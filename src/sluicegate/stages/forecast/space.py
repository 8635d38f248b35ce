"""Memory of the GPU and bytes on disk that a stage takes."""

from __future__ import annotations

from sluicegate.models import memory, pair_memory
from sluicegate.models.pair_memory import PairSize, forecast_of
from sluicegate.stages.forecast import filling, priors
from sluicegate.stages.forecast.counts import tokens_generated
from sluicegate.stages.forecast.layout import Figure, Stage, Trained, made, of_all, summed, weights
from sluicegate.stages.forecast.priors import DISK_RATIO, MEMORY_RATIO
from sluicegate.stages.forecast.records import Quantity
from sluicegate.stages.forecast.shapes import Shape
from sluicegate.stages.forecast.span import NOTHING, Span, around, exactly

HALVED = ("batch_size", "rl_batch", "rl_prompts")
"""What the training of an encoder-decoder takes less of at once where memory runs out; it fills nothing."""


def vram(stage: Stage) -> Figure:
    """Peak of GPU memory over the trainings; they run one after another."""
    machine, figures = stage.machines["train"], []
    if not machine.gpu and not stage.study.needs_gpu:
        return Figure(NOTHING, "no GPU")
    for arm in dict.fromkeys(model.arm for model in stage.plan.models):
        trained = stage.arms[arm]
        if trained.shape is None:
            return Figure(None, "unknown")
        needed, filled = (_training_gib(stage, arm, trained.shape, free) for free in (0.0, machine.free_gib or 0.0))
        ratio = stage.measured.memory_ratio(arm)
        seen = around(ratio.value, MEMORY_RATIO) if ratio else priors.VRAM
        span = (seen * needed).at_least(around(filled, priors.FILLED_RATIO)) if filled > needed else seen * needed
        figures.append(
            Figure(
                span, ratio.basis if ratio else forecast_of(trained.shape.size).__module__.removeprefix("sluicegate.")
            )
        )
    return max(figures, key=lambda figure: figure.span.expected if figure.span else 0.0)


def _training_gib(stage: Stage, arm: str, shape: Shape, free: float) -> float:
    """Peak of a training on a GPU with so many GiB free, which it fills; 0: of one that takes what it must."""
    if not isinstance(shape.size, PairSize):
        return filling.of(stage, arm, shape, free).gib
    trained = stage.arms[arm]
    settings, window = trained.settings, min(trained.settings.max_seq_length, shape.positions)
    filled = memory.filled_gib(settings, free)
    while True:
        need = pair_memory.forecast_gib(shape.size, settings, in_4bit=trained.in_4bit, window=window, gpu=True)
        if max(getattr(settings, name) for name in HALVED) == 1 or need <= filled:
            return need
        settings = settings.model_copy(update={name: -(-getattr(settings, name) // 2) for name in HALVED})


def fits(stage: Stage, peak: Quantity) -> str:
    """What there is to say of the GPU's memory."""
    machine = stage.machines["train"]
    if machine.gib is None or not machine.gpu or peak.expected is None or peak.high is None or peak.high <= machine.gib:
        return ""
    verb = "does NOT FIT" if peak.expected > machine.gib else "may not fit"
    return f"training {verb} in the {machine.gib:g} GiB of {machine.name}: about {peak.expected:.1f} GiB expected"


def disk(stage: Stage) -> Figure:
    """Bytes that stay in the run folder."""
    study, work = stage.study, stage.work
    answers = stage.answers * len(stage.plan.models)
    tokens = of_all(stage, tokens_generated).span or NOTHING
    judged = priors.SCORE_BYTES * (answers * len(study.metrics))
    texts = max((found.both for found in work.trained.values()), key=lambda span: span.expected, default=NOTHING)
    data = texts * (4.0 * 3 * len(study.arms) * (work.train + work.val + work.test))
    rest = tokens.times(priors.ANSWER_BYTES) + judged + data + priors.REPORT_BYTES
    kept, basis = [], "prior"
    for model in stage.plan.models:
        known = stage.measured.model_bytes(stage.plan, model.arm)
        if known is not None:
            kept.append(Figure(around(known.value, DISK_RATIO), ""))
            basis = known.basis
            continue
        kept.append(Figure(_model_bytes(stage.arms[model.arm]), ""))
    total = summed([*kept, Figure(rest + _base_bytes(stage), "")])
    return Figure(total.span, basis if total.span else "unknown")


def _model_bytes(trained: Trained) -> Span | None:
    """Bytes of one model's folder: the weights in fp32, checkpoints, the tokenizer, events."""
    if trained.shape is None:
        return None
    small = priors.TINY_TOKENIZER_BYTES if trained.shape.made else priors.TOKENIZER_BYTES
    checkpoints = priors.CHECKPOINTS * (priors.CHECKPOINT_BYTES * weights(trained))
    return checkpoints + exactly(4.0 * weights(trained)) + small + priors.EVENT_BYTES * trained.passes.steps


def _base_bytes(stage: Stage) -> Span:
    return priors.MADE_BYTES * sum(shape.size.parameters for shape in made(stage))
