"""The steps of a stage: which command reads which files and writes which, as data.

Every step is a sub-command of this program with arguments and environment variables, because machines can share
commands, variables and files but no objects. Nothing here runs one.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sluicegate import folder
from sluicegate.compare import CONTRASTS
from sluicegate.data import sources
from sluicegate.data.changes import change_of
from sluicegate.evaluators import paid
from sluicegate.jsonl import sha256
from sluicegate.judge.settings import FILE as LEDGER
from sluicegate.models.choices import CHOICES
from sluicegate.records import digest
from sluicegate.runners import Files
from sluicegate.settings import TrainSettings
from sluicegate.stages.plan import Model, Plan
from sluicegate.study import Scalar, Study

FORMER_TEST = "former-test.jsonl"
"""In the run folder: the test items of the stage before, which those of this one must not be among."""
DATA = "data"
"""The step that builds the data, which is the first."""
TINY = "tiny"
"""The base model that is made on the spot, once for all arms of a stage."""
SCRATCH = "scratch-"
"""What a base of an encoder-decoder that is made on the spot begins with, its shape behind it; one for each kind."""
BASE = "base"
"""In the run folder: the bases that are made on the spot."""
STACK = ("sluicegate.train.loop", "sluicegate.generate.local")
"""Modules that take long to load, and that all steps load which make, train or ask a model."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a stage.

    Args:
        argv: after `python -m`.
        inputs: files it reads; a change of one of them means doing it again.
        outputs: what it leaves behind; it is done when they are there and the inputs are unchanged.
        uses: folders that it reads besides, whose content follows from the inputs.
        leaves: files and folders that it writes and goes on with, the outputs among them.
        verb: what a machine must do for it to run there; empty: it runs where the stage is started.
        scores: a score file among the outputs; with rows that failed by a fault of ours the step is not done.
        loads: modules that take long to load, and that other steps load as well.
    """

    name: str
    argv: tuple[str, ...]
    inputs: tuple[Path, ...]
    outputs: tuple[Path, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    scores: Path | None = None
    uses: tuple[Path, ...] = ()
    leaves: tuple[Path, ...] = ()
    verb: str = ""
    loads: tuple[str, ...] = ()

    def command(self) -> tuple[str, ...]:
        """The argv to run, with this process's interpreter."""
        return (sys.executable, "-m", *self.argv)

    def files(self, attempt: Path) -> Files:
        """What a runner elsewhere takes along and brings back."""
        return Files(attempt, (*self.inputs, *self.uses), self.leaves, self.outputs, self.inputs_sha256(attempt))

    def inputs_sha256(self, attempt: Path) -> str:
        """Digest of the command and of the bytes it reads; where the run folder lies does not count."""
        here = str(attempt)
        files = {str(path).replace(here, "."): sha256(path) if path.is_file() else None for path in self.inputs}
        said = [word.replace(here, ".") for word in self.argv]
        env = {key: value.replace(here, ".") for key, value in self.env.items()}
        return digest({"argv": said, "env": env, "files": files})


def steps(study: Study, plan: Plan, attempt: Path) -> Iterator[Step]:
    """All steps of a stage, in order: data, (bases), train, generate, evaluate, compare."""
    if not plan.stage.size:
        return
    yield _data(study, plan, attempt)
    bases = {made.folder: made for arm in plan.train if (made := _made(plan.train[arm], attempt))}
    for made in bases.values():
        yield _base(study, made, attempt)
    for model in plan.models:
        yield _train(study, plan, model, attempt)
    for model in plan.models:
        yield _generate(study, plan, model, attempt)
    for model in plan.models:
        yield _evaluate(study, plan, model, attempt)
    if plan.stage.compares:
        yield _compare("compare", comparison(study, plan, attempt))
        for arm, asked in contrasts(study, plan, attempt).items():
            yield _compare(f"compare {arm}", asked)


def source_files(study: Study, plan: Plan) -> tuple[Path, ...]:
    """The files with samples that a stage is built from; none where the source is part of the program.

    >>> from sluicegate import study
    >>> from sluicegate.stages.plan import resolve
    >>> [str(path) for path in source_files(study.load("metadata-llama3"), resolve(study.load("metadata-llama3"), 3))]
    ['datasets/python/samples.jsonl']
    """
    if not plan.stage.size or study.data.source in sources.BUILT_IN:
        return ()
    scenarios = study.scenarios[:1] if plan.stage.size == "scenario" else study.scenarios
    return tuple(Path(study.data.source) / name / sources.FILE for name in scenarios)


def _data(study: Study, plan: Plan, attempt: Path) -> Step:
    out = attempt / folder.DATA
    counts = {"train": plan.train_samples, "val": plan.val_samples, "test": plan.test_samples}
    asked = [word for part, count in counts.items() if count for word in (f"--{part}-samples", str(count))]
    argv = (
        "sluicegate",
        "data",
        plan.stage.size,
        "--study",
        str(attempt / folder.STUDY),
        "--out",
        str(out),
        *asked,
    )
    former = attempt / FORMER_TEST
    kept = plan.stage.fresh and former.exists()
    if kept:
        argv = (*argv, "--fresh-from", str(former))
    files = tuple(out / f"{arm}-{part}.jsonl" for arm in study.arms for part in ("train", "val"))
    asked_of = {_questions(study, plan, arm, attempt) for arm in study.lineup}
    tests = {*asked_of, out / "test.jsonl"} if plan.stage.compares else asked_of
    outputs = tuple(sorted({out / "manifest.json", *files, *tests}))
    inputs = (attempt / folder.STUDY, *source_files(study, plan), *((former,) if kept else ()))
    return Step(DATA, argv, inputs, outputs)


@dataclass(frozen=True, slots=True)
class _Made:
    """A base that is made on the spot: where, and by which command before the training files."""

    name: str
    folder: Path
    argv: tuple[str, ...]


def _made(settings: Mapping[str, Scalar], attempt: Path) -> _Made | None:
    """The base of an arm, where it is made on the spot; arms of one kind, shape and choices share it."""
    base, kind = str(settings.get("base_model", "")), str(settings.get("model_kind", "causal"))
    if base == TINY and kind == "causal":
        where = attempt / BASE
        return _Made("base", where, ("sluicegate.models.tiny", str(where)))
    if base != TINY and not base.startswith(SCRATCH):
        return None
    shape = base.removeprefix(SCRATCH)
    chosen = {name: str(said) for name in CHOICES if (said := settings.get(f"dual_{name}")) is not None}
    where = attempt / BASE / "-".join((kind, shape, *chosen.values()))
    options = [word for name, said in chosen.items() for word in (f"--{name}", said)]
    argv = ("sluicegate.models.scratch", "--kind", kind, "--shape", shape, *options, str(where))
    return _Made(f"base {where.name}", where, argv)


def _base(study: Study, made: _Made, attempt: Path) -> Step:
    """The texts of the arms that decide are what it learns its vocabulary from, so kinds share one."""
    data = attempt / folder.DATA
    files = tuple(data / f"{arm}-train.jsonl" for arm in sorted(study.roles))
    done = (made.folder / "config.json",)
    argv = (*made.argv, *map(str, files))
    return Step(made.name, argv, files, done, leaves=(made.folder,), verb="train", loads=STACK)


def _train(study: Study, plan: Plan, model: Model, attempt: Path) -> Step:
    data = attempt / folder.DATA
    settings, made = dict(plan.train[model.arm]), _made(plan.train[model.arm], attempt)
    if made:
        settings["base_model"] = str(made.folder)
    managed = {
        "DATASET_PATH": str(data / f"{model.arm}-train.jsonl"),
        "VAL_DATASET_PATH": str(data / f"{model.arm}-val.jsonl"),
        "OUTPUT_DIR": str(attempt / folder.ARMS),
        "MODEL_NAME": model.name,
        "SEED": str(model.seed),
    }
    if model.start:
        managed["INIT_FROM"] = str(attempt / folder.ARMS / model.start)
    argv = ("sluicegate", "train", "--no-send", "--arm", model.arm, "--stage", str(plan.stage.number),
            "--experiment", study.name, "--parent", str(attempt))  # fmt: skip
    inputs = (
        data / f"{model.arm}-train.jsonl",
        data / f"{model.arm}-val.jsonl",
        (made.folder if made else attempt / BASE) / "model.safetensors",
        *((attempt / folder.ARMS / model.start / "result.json",) if model.start else ()),
    )
    used = (attempt / BASE, *((attempt / folder.ARMS / model.start,) if model.start else ()))
    return Step(
        f"train {model.name}", argv, inputs, (_result(attempt, model),), environment(settings) | managed,
        uses=used, leaves=(attempt / folder.ARMS / model.name,), verb="train", loads=STACK,
    )  # fmt: skip


def environment(settings: Mapping[str, Scalar]) -> dict[str, str]:
    """Training settings as variables; the others are emptied, so that none leaks in from outside.

    >>> environment({"load_in_4bit": True, "epochs": 3})["LOAD_IN_4BIT"]
    'true'
    """
    told = {
        key.upper(): str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
        for key, value in settings.items()
    }
    kept = {"HF_TOKEN", "MLFLOW_TRACKING_URI"}
    return {name.upper(): "" for name in TrainSettings.model_fields if name.upper() not in kept} | told


def _questions(study: Study, plan: Plan, arm: str, attempt: Path) -> Path:
    """What an arm is asked: in stage 1 its own validation file, later the held-out items."""
    data = attempt / folder.DATA
    if plan.stage.size == "micro":
        return data / f"{arm}-val.jsonl"
    apart = study.test_prompts == "as_trained" or change_of(study, arm).asks_apart
    return data / (f"{arm}-test.jsonl" if apart else "test.jsonl")


def _generate(study: Study, plan: Plan, model: Model, attempt: Path) -> Step:
    asked, out = _questions(study, plan, model.arm, attempt), _predictions(attempt, model)
    drawn = study.generate
    argv = (
        "sluicegate", "generate", "--model", str(attempt / folder.ARMS / model.name), "--name", model.name,
        "--data", str(asked), "--out", str(out), "--draws", str(plan.draws),
        "--temperature", str(0.0 if plan.draws == 1 else drawn.temperature), "--seed", str(model.seed),
        "--max-new-tokens", str(drawn.max_new_tokens), "--batch-size", str(drawn.batch_size),
    )  # fmt: skip
    return Step(
        f"generate {model.name}", argv, (asked, _result(attempt, model)), (out,),
        uses=(attempt / BASE, attempt / folder.ARMS / model.name),
        leaves=(out, out.with_name(f"{out.name}{folder.ASKED_WITH}")), verb="generate", loads=STACK,
    )  # fmt: skip


def _evaluate(study: Study, plan: Plan, model: Model, attempt: Path) -> Step:
    data = _questions(study, plan, model.arm, attempt)
    predictions, out = _predictions(attempt, model), _scores(attempt, model)
    metrics = scored(study, plan)
    argv = ("sluicegate", "evaluate", "--data", str(data), "--predictions", str(predictions), "--out", str(out),
            "--metrics", ",".join(metrics))  # fmt: skip
    env = _judge(plan, attempt) if paid(metrics) else {}
    return Step(f"evaluate {model.name}", argv, (data, predictions), (out,), env, scores=out)


def scored(study: Study, plan: Plan) -> tuple[str, ...]:
    """The metrics of a stage: one that compares nothing asks no judge, which would be paid for nothing."""
    free = tuple(name for name in study.metrics if name not in paid(study.metrics))
    return study.metrics if plan.stage.compares else free or ("exact_match",)


def _judge(plan: Plan, attempt: Path) -> dict[str, str]:
    """What a judge may cost: the stage's dollars, from the study's one ledger, which all attempts share."""
    return {
        "JUDGE_LEDGER": str(attempt / ".." / LEDGER),
        "JUDGE_ACCOUNT": attempt.name,
        "JUDGE_STAGE_DOLLARS": f"{plan.dollars:.9f}",
    }


@dataclass(frozen=True, slots=True)
class Asked:
    """What two arms are compared by.

    Args:
        names: of the arms, the one that is compared with first.
        out: the file of the comparisons.
    """

    names: tuple[str, str]
    control: tuple[Path, ...]
    experiment: tuple[Path, ...]
    data: Path
    primary: str
    metrics: tuple[str, ...]
    level: float
    minimum: float
    out: Path


def comparison(study: Study, plan: Plan, attempt: Path) -> Asked:
    """The comparison of a stage: the interval is two-sided at 1 - 2·alpha, so that each bound errs with alpha."""
    return _asked(study, plan, attempt, study.roles, attempt / folder.COMPARISONS)


def contrasts(study: Study, plan: Plan, attempt: Path) -> dict[str, Asked]:
    """Arm that decides nothing → its comparison with the arm that it is held against; with none there is none."""
    if not plan.stage.compares:
        return {}
    where = attempt / CONTRASTS
    return {
        arm: _asked(study, plan, attempt, (other, arm), where / f"{arm}.json") for arm, other in study.against.items()
    }


def _asked(study: Study, plan: Plan, attempt: Path, names: tuple[str, str], out: Path) -> Asked:
    control, experiment = (tuple(_scores(attempt, model) for model in plan.of(arm)) for arm in names)
    return Asked(
        names, control, experiment, attempt / folder.DATA / "test.jsonl", study.primary,
        study.metrics, round(1 - 2 * plan.alpha, 9), study.minimum_gain, out,
    )  # fmt: skip


def _compare(name: str, asked: Asked) -> Step:
    argv = (
        "sluicegate", "compare", "--control-results", *map(str, asked.control),
        "--experiment-results", *map(str, asked.experiment), "--names", *asked.names,
        "--primary", asked.primary, "--metrics", ",".join(asked.metrics), "--level", str(asked.level),
        "--minimum", str(asked.minimum), "--data", str(asked.data), "--out", str(asked.out),
    )  # fmt: skip
    return Step(name, argv, (asked.data, *asked.control, *asked.experiment), (asked.out,))


def _result(attempt: Path, model: Model) -> Path:
    return attempt / folder.ARMS / model.name / "result.json"


def _predictions(attempt: Path, model: Model) -> Path:
    return attempt / folder.PREDICTIONS / f"{model.name}.jsonl"


def _scores(attempt: Path, model: Model) -> Path:
    return attempt / folder.SCORES / f"{model.name}.jsonl"
