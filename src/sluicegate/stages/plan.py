"""The five stages as data, and what a study makes of one.

A stage validates one thing at the least cost. Everything that differs between stages stands in `STAGES`; a study file
may change sizes, draws, seeds, budgets and training settings, never the criteria.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from sluicegate.data.changes import change_of
from sluicegate.study import Scalar, Study

SHARED = ("within_budget", "steps_ended", "arms_trained", "tracking_complete", "stable", "sandboxed")
BEGUN = ("registered", "former_go")
BUILT = ("prompt_parity", "no_leak", "distinct_items", "fresh_items")
"""Criteria of the data alone: looked at once these are built, so that nothing is trained on invalid ones."""
FUTILITY_ALPHA = 0.05
"""Of a stage that decides nothing: its interval is the 90% one, whatever the study's alpha."""
DECIDING = (
    "prompt_parity", "no_leak", "distinct_items", "coverage", "judge_fit",
    "gain_not_too_small", "gain_is_real", "recipe", "across_scenarios", "must_not_worsen", "older_gate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of the plan.

    Args:
        size: of its data: `micro`, `small`, `scenario`, `all`, or empty where there is none.
        hours, dollars: the budget.
        entry: names in `criteria.CRITERIA` of what must hold before any step is done.
        criteria: those of what must hold at the end; all are shown in this order.
        compares: whether the arms are compared; a stage that validates on training rows never compares.
        decides: whether its GO rests on the test of the primary metric, which spends alpha.
        fresh: whether its test items must be others than the former stage's, its code and samples the same.
        looks: whether the machine is looked at first.
    """

    number: int
    name: str
    goal: str
    passes_when: str
    size: str
    hours: float
    dollars: float
    entry: tuple[str, ...]
    criteria: tuple[str, ...]
    train_samples: int | None = None
    test_samples: int | None = None
    draws: int | None = None
    seeds: int = 1
    compares: bool = True
    decides: bool = False
    fresh: bool = False
    looks: bool = False
    train: Mapping[str, Scalar] = field(default_factory=lambda: MappingProxyType({}))


STAGES = (
    Stage(
        0, "environment", "hardware and environment of this machine", "every required check passes",
        "", 5 / 60, 0.0, ("registered", "environment"), (), compares=False, looks=True,
    ),
    Stage(
        1, "micro", "the training code works", "10 steps done, loss falls, model saved, reloaded and asked",
        "micro", 0.5, 0.0, BEGUN, (*SHARED, "four_bit", "memory_forecast", "steps_done", "loss_falls", "answers"),
        train_samples=5, draws=1, compares=False,
        train=MappingProxyType({"max_steps": 10, "epochs": 1000.0, "warmup_steps": 0, "save_every": 10}),
    ),
    Stage(
        2, "small", "nothing breaks, and no sign of harm", "no crash, evaluation complete, gain not surely below 0",
        "small", 2.0, 3.0, BEGUN,
        (*SHARED, "prompt_parity", "no_leak", "distinct_items", "coverage", "judge_fit", "not_futile", "signal"),
        train_samples=20, test_samples=20, train=MappingProxyType({"epochs": 3.0}),
    ),
    Stage(
        3, "scenario", "one scenario, the whole pipeline", "the primary test holds at its alpha, the gain can matter",
        "scenario", 5.0, 12.0, (*BEGUN, "declared"), (*SHARED, *DECIDING), decides=True,
    ),
    Stage(
        4, "production", "all scenarios", "as stage 3, over all scenarios",
        "all", 42.0, 242.0, (*BEGUN, "declared", "same_code", "same_data", "environment"),
        (*SHARED, "fresh_items", *DECIDING),
        decides=True, fresh=True, looks=True,
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Model:
    """One model to train: an arm with one seed; `name` is its folder.

    Args:
        start: name of the trained model that it starts from; empty where that is the base.
    """

    arm: str
    seed: int
    start: str = ""

    @property
    def name(self) -> str:
        """`<arm>-s<seed>`."""
        return f"{self.arm}-s{self.seed}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A stage as one study runs it: every number settled."""

    stage: Stage
    train_samples: int | None
    val_samples: int | None
    test_samples: int | None
    draws: int
    hours: float
    dollars: float
    models: tuple[Model, ...]
    train: Mapping[str, Mapping[str, Scalar]]
    """Arm → training settings, lower-case names."""
    attempts: int
    """Declared decisions of this stage, over which the study's alpha is split."""
    alpha: float
    """One-sided, of one decision; of each bound of the interval where nothing is decided."""

    @property
    def seeds(self) -> int:
        """Training runs an arm."""
        return sum(model.arm == self.models[0].arm for model in self.models) if self.models else 0

    def of(self, arm: str) -> tuple[Model, ...]:
        """The models of an arm."""
        return tuple(model for model in self.models if model.arm == arm)


def resolve(study: Study, number: int) -> Plan:
    """What the study makes of a stage: the recipe's values, the study's, the plan's, its changes for it, the arm's.

    >>> from sluicegate import study
    >>> [model.name for model in resolve(study.load("demo"), 1).models]
    ['control-s0', 'experiment-s0']
    """
    stage = STAGES[number]
    change = study.stages.get(number)
    seeds = change.seeds if change and change.seeds else stage.seeds
    changed = change.train if change else {}
    attempts = ((change.attempts if change else None) or study.attempts) if stage.decides else 1
    draws = (change.draws if change else None) or stage.draws or study.generate.draws
    return Plan(
        stage=stage,
        train_samples=(change.train_samples if change else None) or stage.train_samples,
        val_samples=change.val_samples if change else None,
        test_samples=(change.test_samples if change else None) or stage.test_samples,
        draws=draws,
        hours=change.hours if change and change.hours is not None else stage.hours,
        dollars=change.dollars if change and change.dollars is not None else stage.dollars,
        models=models(study, seeds),
        attempts=attempts,
        alpha=round(study.alpha / attempts, 12) if stage.decides else FUTILITY_ALPHA,
        train={arm: _training(study, arm, {**study.train, **stage.train, **changed}) for arm in study.lineup},
    )


def models(study: Study, seeds: int) -> tuple[Model, ...]:
    """The models of a stage with so many runs an arm, each behind the one that it starts from.

    >>> from sluicegate import study
    >>> [model.name for model in models(study.load("demo"), 2)]
    ['control-s0', 'experiment-s0', 'control-s1', 'experiment-s1']
    """
    return tuple(_model(study, arm, run) for run in range(seeds) for arm in study.lineup)


def _model(study: Study, arm: str, run: int) -> Model:
    """The run-th model of an arm; it starts from the run-th one of the arm that it comes after."""
    after = study.arms[arm].after
    return Model(arm, study.arms[arm].seed + run, _model(study, after, run).name if after else "")


def _training(study: Study, arm: str, common: Mapping[str, Scalar]) -> Mapping[str, Scalar]:
    """The training settings of an arm; data that lie in an order are taken in it."""
    kept: dict[str, Scalar] = {} if change_of(study, arm).order == "shuffled" else {"shuffle": False}
    return {**study.recipe_of(arm).train, **kept, **common, **study.arms[arm].train}
