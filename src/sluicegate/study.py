"""A study file: the question, the arms, the data, the primary metric, the thresholds and the budgets, in YAML.

Every fault of a file is reported at once, each with its place in the file. A study is a value: what it means for a
stage is worked out by `stages.plan`, and nothing here reads data or runs anything.
"""

from __future__ import annotations

import difflib
import re
import reprlib
from collections.abc import Hashable, Iterator
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from sluicegate import lineup, recipes
from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import read_text
from sluicegate.recipes import Order
from sluicegate.records import digest
from sluicegate.settings import TrainSettings, fault_in

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_+.-]*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Prompts = Literal["plain", "enriched"]
Pattern = Literal["kept", "shuffled", "none"]
RecipeName = Literal["v1", "v4"]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Scalar = str | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None

MOST_SAMPLES = 10_000_000
"""Of one part of a stage; as many items as a design may have."""
MOST_TOKENS = 1_000_000
"""Of one answer."""
MANIFESTS = "kubernetes"
"""The scenario, and the source, whose samples have variants and an order."""
LAST_STAGE = 4
DECIDING_STAGES = (3, 4)
"""Stages whose GO rests on the test of the primary metric."""
UNFIT = re.compile("[\0\ud800-\udfff]")
"""What no file holds in UTF-8, or no name of one."""
CONTAINED = ("host", "image", "env", "secrets", "mounts", "user", "memory_gib", "shm_gib")
"""What a machine says of its containers."""
MANAGED = frozenset(
    {
        "dataset_path",
        "val_dataset_path",
        "output_dir",
        "model_name",
        "seed",
        "init_from",
        "hf_token",
        "mlflow_tracking_uri",
    }
)
"""Train settings that a stage sets itself, so a study file may not."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        """What YAML calls true, `yes` and `on` among it, is not the number 1."""
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation is not bool:
            raise ValueError("no field of true or false")
        return value


def _field(default: Any, text: str, **bounds: Any) -> Any:
    return Field(default, description=text, **bounds)


TrainOverrides = Annotated[dict[str, Scalar], Field(default_factory=dict, description="Training settings it changes.")]
Points = Annotated[float, Field(gt=0, lt=1)]


class Arm(_Part):
    """One arm: what it is trained on, what it starts from, and what it changes of the training settings."""

    prompts: Prompts = _field("plain", "What it is trained on: the plain request, or that with metadata.")
    seed: int = _field(0, "Of its first run; the next ones count up. An A/A experiment differs in it.", ge=0, le=2**31)
    after: Name | None = _field(None, "An arm whose trained model, of the same run, it starts from; not from the base.")
    against: Name | None = _field(
        None, "An arm that it is compared with, beside the question: shown with interval and p, deciding nothing."
    )
    recipe: RecipeName | None = _field(None, "A preset instead of the study's; what is said elsewhere wins over it.")
    augment: Share | None = _field(
        None,
        "Share of its Kubernetes training samples that get a variant which asks for security; unset: the recipe's.",
    )
    order: Order | None = _field(
        None, "Of its training samples; `curriculum`: from simple to complex in each epoch. Unset: the recipe's."
    )
    pattern: Pattern = _field(
        "kept", "Its second input, in training and in use: each sample's own, another sample's, or none."
    )
    train: TrainOverrides


class Source(_Part):
    """Where samples come from."""

    source: str = _field(
        "demo", "`demo`, `micro`, `kubernetes` (from a grammar), or a folder with `<scenario>/samples.jsonl`."
    )
    seed: int = _field(0, "Of the split, and of what is made.", ge=0)
    synthesize: int | None = _field(
        None, "Samples that `kubernetes` makes; unset: as many as a stage asks for.", ge=3, le=1_000_000
    )
    longest: int | None = _field(
        None, "Characters that a manifest of `kubernetes` may have; unset: any number.", ge=300
    )


class Generation(_Part):
    """How answers are drawn."""

    draws: int = _field(1, "Answers a prompt (K).", ge=1, le=1000)
    temperature: float = _field(0.0, "0 is greedy, and wants one draw.", ge=0, le=5)
    max_new_tokens: int = _field(512, "Of one answer.", ge=1, le=MOST_TOKENS)
    batch_size: int = _field(16, "Answers made side by side; 0: as many as memory holds.", ge=0)


class Bound(_Part):
    """A folder of a machine, or a volume of its engine, that containers there see."""

    source: str = _field(..., "A folder there (`/srv/data`, `H:/AI-Training-Data`), or a volume's name.", min_length=1)
    target: Annotated[str, StringConstraints(pattern=r"^/.+")] = _field(..., "Where containers see it, from / on.")
    read_only: bool = _field(True, "Whether they may only read it.")

    @property
    def is_volume(self) -> bool:
        """Whether the source is the name of a volume.

        >>> [Bound(source=name, target="/data").is_volume for name in ("cache", "/srv/data", "H:/data", "H:\\\\data")]
        [True, False, False, False]
        """
        return not any(sign in self.source for sign in "/\\")


class Machine(_Part):
    """One machine: for forecasts and prices, and, with the runner `docker`, where steps run in containers."""

    does: tuple[Literal["train", "generate", "evaluate"], ...] = _field((), "The steps that run there.")
    gpu: str = _field("", "Its name, for people; with the runner `docker` containers get the GPUs where it has one.")
    vram_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = _field(None, "Memory of its GPU.")
    tflops: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = _field(
        None, "What its GPU reaches on large 16-bit matrix products."
    )
    dollars_per_hour: Amount = _field(0.0, "Its price, counted against the stage's dollars.")
    runner: Literal["local", "docker"] = _field("local", "`local`: its steps run where the stage is started.")
    host: Annotated[str, StringConstraints(pattern=r"^(|(ssh|tcp|unix|npipe)://.+)$")] = _field(
        "", "Its engine, such as `ssh://user@tower`; empty: the one that the docker command finds."
    )
    image: str = _field("llama3-training", "What its containers are made of.", min_length=1)
    env: dict[Variable, str] = Field(default_factory=dict, description="Variables of its containers.")
    secrets: tuple[Variable, ...] = _field((), "Names of variables that are taken from your own environment.")
    mounts: tuple[Bound, ...] = _field((), "Folders and volumes that its containers see.")
    user: Annotated[str, StringConstraints(pattern=r"^(|\d+:\d+)$")] = _field(
        "", "`uid:gid` that containers run as; empty: the image's."
    )
    memory_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = _field(None, "What a container may use.")
    shm_gib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = _field(None, "Shared memory of a container.")

    @model_validator(mode="after")
    def _fits_its_runner(self) -> Machine:
        if self.runner == "docker":
            if "evaluate" in self.does:
                raise ValueError("does: evaluate runs where the stage is started; with runner docker: train, generate")
            return self
        fields = type(self).model_fields
        usual = {name: fields[name].get_default(call_default_factory=True) for name in CONTAINED}
        if told := [name for name in CONTAINED if getattr(self, name) != usual[name]]:
            raise ValueError(f"{', '.join(told)}: wants runner: docker")
        return self


class Expected(_Part):
    """What is assumed of the scores until a stage has measured it; see `stats.Design`."""

    base: Points = _field(0.5, "The control's pass rate.")
    heterogeneity: Annotated[float, Field(ge=0, le=0.95)] = _field(
        0.5, "0: all items equally hard; towards 1: each is always or never passed."
    )
    agreement: Share = _field(0.9, "Share of the items that are as hard for both arms.")
    seed_sd: Share = _field(0.02, "Spread of a run's pass rate over training seeds.")
    scenario_sd: Share = _field(0.0, "Spread of the gain over scenarios.")


class StageChange(_Part):
    """What a study changes of a stage's plan; what it leaves out stays as planned."""

    train_samples: int | None = _field(None, "Training samples an arm.", ge=1, le=MOST_SAMPLES)
    val_samples: int | None = _field(None, "Validation samples.", ge=1, le=MOST_SAMPLES)
    test_samples: int | None = _field(None, "Test items.", ge=1, le=MOST_SAMPLES)
    draws: int | None = _field(None, "Answers a prompt.", ge=1, le=1000)
    seeds: int | None = _field(None, "Training runs an arm: 1, or 3 and more for a claim on the recipe.", ge=1, le=100)
    attempts: int | None = _field(None, "Declared decisions of this stage.", ge=1, le=20)
    hours: Amount | None = _field(None, "Budget.")
    dollars: Amount | None = _field(None, "Budget.")
    train: TrainOverrides


class Study(_Part):
    """A study file, read and checked."""

    name: Name = Field(description="Of the study, its run folders and its ledger.")
    question: str = Field(min_length=1, description="What it asks, in a sentence.")
    scenarios: Annotated[tuple[Name, ...], Field(min_length=1, description="Stage 3 takes the first, stage 4 all.")]
    data: Source = _field(Source(), "Where samples come from.")
    arms: dict[Name, Arm] = Field(description="Name → arm.")
    control: Name = _field("control", "The arm that gates compare with …")
    experiment: Name = _field("experiment", "… and the arm that must be better.")
    test_prompts: Literal["plain", "as_trained"] = _field(
        "plain", "`plain`: both arms are asked the same; `as_trained`: each the way it was trained, as declared here."
    )
    recipe: RecipeName | None = _field(None, "A preset of all arms; what is said elsewhere wins over it.")
    train: TrainOverrides
    generate: Generation = _field(Generation(), "How answers are drawn.")
    metrics: Annotated[tuple[Name, ...], Field(min_length=1, description="What answers are judged by.")]
    primary: Name = Field(description="The one metric that may open a gate; registered before a stage runs.")
    minimum_gain: Share = _field(0.05, "The smallest gain worth its cost, on [0, 1]; surely below it is STOP.")
    design_gain: Points = _field(0.1, "The gain that the stages are sized to find, on [0, 1].")
    must_not_worsen: Annotated[
        dict[Name, Points],
        Field(default_factory=dict, description="Metric → margin that it may not fall by, on [0, 1]."),
    ]
    alpha: Annotated[float, Field(ge=1e-6, lt=0.5)] = _field(0.05, "One-sided chance of a false GO, of all attempts.")
    attempts: int = _field(1, "Declared decisions of a deciding stage; alpha is split over them.", ge=1, le=20)
    needs_gpu: bool = _field(False, "Whether stage 0 wants a GPU.")
    machines: Annotated[dict[Name, Machine], Field(default_factory=dict, description="Name → machine.")]
    expected: Expected = _field(Expected(), "What forecasts assume until a stage has measured it.")
    stages: Annotated[
        dict[Annotated[int, Field(ge=0, le=LAST_STAGE)], StageChange],
        Field(default_factory=dict, description="Stage number → what the study changes of its plan."),
    ]

    @field_validator("train", mode="after")
    @classmethod
    def _known(cls, train: dict[str, Scalar]) -> dict[str, Scalar]:
        return _known_settings(train)

    @model_validator(mode="after")
    def _consistent(self) -> Study:
        """Names that must exist elsewhere in the file."""
        faults = [
            f"{role}: {arm!r} is not one of the arms {sorted(self.arms)}"
            for role, arm in (("control", self.control), ("experiment", self.experiment))
            if arm not in self.arms
        ]
        if self.control == self.experiment:
            faults.append(f"control and experiment are the same arm {self.control!r}")
        if self.primary not in self.metrics:
            faults.append(f"primary: {self.primary!r} is not one of the metrics {list(self.metrics)}")
        faults += [*self._contradictions(), *self._ties(), *self._same_arms()]
        draws = max([self.generate.draws, *(change.draws or 1 for change in self.stages.values())])
        if draws > 1 and self.generate.temperature == 0:
            faults.append(f"generate.temperature: 0 makes all {draws} draws the same text; give 0.7, or 1 draw")
        for train in [part.train for part in self.arms.values()] + [part.train for part in self.stages.values()]:
            _known_settings(train)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def _contradictions(self) -> Iterator[str]:
        """Thresholds that no result could satisfy together."""
        if self.design_gain < self.minimum_gain:
            yield (
                f"design_gain {self.design_gain:g} is below minimum_gain {self.minimum_gain:g}: "
                "the stages would be sized to find a gain that is not worth its cost"
            )
        for metric in self.must_not_worsen:
            if metric == self.primary:
                yield f"must_not_worsen: {metric!r} is the primary metric, which must gain"
            elif metric not in self.metrics:
                yield f"must_not_worsen: {metric!r} is not one of the metrics {list(self.metrics)}"
        for number in DECIDING_STAGES:
            if (change := self.stages.get(number)) and change.seeds == 2:
                yield (
                    f"stages.{number}.seeds: 2 runs an arm carry no claim: 1 speaks of these checkpoints, "
                    "3 or more of the recipe"
                )

    def _ties(self) -> Iterator[str]:
        """Arms that name each other wrongly, and a second source of samples where there is none."""
        if self.control in self.arms and self.experiment in self.arms and self.control != self.experiment:
            yield from lineup.faults(tuple(self.arms), self.roles, self._named("after"), self.against)
        for field in ("synthesize", "longest"):
            if getattr(self.data, field) is not None and self.data.source != MANIFESTS:
                yield f"data.{field}: wants source {MANIFESTS}, seen {self.data.source!r}"
        if MANIFESTS not in self.scenarios:
            for name in self.arms:
                recipe, arm = self.recipe_of(name), self.arms[name]
                if arm.augment or recipe.augment or (arm.order or recipe.order) != "shuffled":
                    yield f"arms.{name}: augment and order (v4 has both): wants samples of the scenario {MANIFESTS}"

    def _named(self, field: Literal["after", "against"]) -> dict[str, str]:
        return {name: other for name, arm in self.arms.items() if (other := getattr(arm, field)) is not None}

    def _same_arms(self) -> Iterator[str]:
        """Two arms of the same data, settings and seeds are the same models: their gain is 0 by construction."""
        for one, other in ((self.control, self.experiment), *((other, arm) for arm, other in self.against.items())):
            pair = [self.arms.get(name) for name in (one, other)]
            if one == other or None in pair:
                continue
            if len({str(arm.model_copy(update={"against": None})) for arm in pair if arm is not None}) == 1:
                yield (
                    f"arms {one!r} and {other!r} are the same in everything; "
                    "for an A/A experiment give one of them another seed"
                )

    @property
    def roles(self) -> tuple[str, str]:
        """Control and experiment: the arms that decide."""
        return self.control, self.experiment

    @property
    def against(self) -> dict[str, str]:
        """Arm that decides nothing → the arm that it is compared with, in the order of the file."""
        return self._named("against")

    @property
    def lineup(self) -> tuple[str, ...]:
        """The arms that take part, each behind the one that it starts from."""
        return lineup.lineup(self.roles, self._named("after"), self.against)

    def recipe_of(self, arm: str) -> recipes.Recipe:
        """The preset of an arm: its own, else the study's, else one that says nothing."""
        return recipes.named(self.arms[arm].recipe or self.recipe)

    def machine_of(self, verb: str) -> tuple[str, Machine] | None:
        """The first machine that does such steps, with its name; None where the file names none."""
        return next(((name, row) for name, row in self.machines.items() if verb in row.does), None)

    @property
    def sha256(self) -> str:
        """Digest of the study's meaning: spelling, comments and key order do not count."""
        return self.sha256_to(LAST_STAGE)

    def sha256_to(self, stage: int) -> str:
        """Digest of the study's meaning as far as a stage goes: what it changes of later stages does not count.

        Neither do budgets, machines and expectations: they say what may be spent and what is forecast, not what the
        evidence means, so a stage that ran out of its budget goes on under a larger one.
        """
        meaning = self.model_dump(mode="json", exclude={"machines", "expected", "stages"})
        changes = {
            str(number): change.model_dump(mode="json", exclude={"hours", "dollars"})
            for number, change in sorted(self.stages.items())
            if number <= stage
        }
        return digest(meaning | {"stages": changes})


def _known_settings(train: dict[str, Scalar]) -> dict[str, Scalar]:
    known = set(TrainSettings.model_fields) - MANAGED
    for key, value in train.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = (
                "the stage sets it itself"
                if key in MANAGED
                else f"did you mean {near[0]}?"
                if near
                else "unknown setting"
            )
            raise ValueError(f"train.{key}: {hint}")
        if fault := fault_in(key, value):
            raise ValueError(f"train.{key}: {fault}, seen {value!r}")
    return train


class _Loader(yaml.SafeLoader):
    """YAML as `safe_load` reads it, but for what would be a choice of ours or could not be written to a file again.

    A fault with its line: a key that is given twice, merged keys (`<<`), NUL and halves of surrogate pairs, and what is
    tagged as bytes or as a set.
    """

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """A mapping, each key once; `1` and `"1"` are one.

        Raises:
            yaml.constructor.ConstructorError: a key is given twice, or merges another mapping, with its line.
        """
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                raise _fault("keys are not merged (<<): write them out", key_node)
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable):
                if key in seen or str(key) in seen:
                    raise _fault(f"key {key!r} is given twice", key_node)
                seen |= {key, str(key)}
        return super().construct_mapping(node, deep)

    def construct_scalar(self, node: yaml.ScalarNode | yaml.MappingNode) -> Any:
        """A scalar as text.

        Raises:
            yaml.constructor.ConstructorError: it has a character that no file can hold, with its line.
        """
        text = super().construct_scalar(node)
        if UNFIT.search(text):
            raise _fault("a NUL, or half a surrogate pair", node)
        return text


def _refuse(loader: _Loader, node: yaml.Node) -> Any:
    raise _fault(f"!!{node.tag.rpartition(':')[2]} is not read: write text, or a list", node)


for _tag in ("binary", "set"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _refuse)


def _fault(what: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, what, node.start_mark)


def shipped() -> list[str]:
    """Names of the studies that come with the package."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in (resources.files("sluicegate") / "studies").iterdir()
        if entry.name.endswith(".yaml")
    )


def load(name_or_path: str | Path) -> Study:
    """A shipped study by name, or a study file by path.

    Raises:
        UserError: neither; UserErrors: every fault of the file, with its place.
    """
    path = Path(name_or_path)
    if str(name_or_path) in shipped():
        text, where = (
            (resources.files("sluicegate") / "studies" / f"{name_or_path}.yaml").read_text("utf-8"),
            str(name_or_path),
        )
    elif path.suffix in {".yaml", ".yml"} or path.exists():
        text, where = read_text(path), str(path)
    else:
        near = difflib.get_close_matches(str(name_or_path), shipped(), n=1)
        raise UserError(
            f"study {str(name_or_path)!r}: not found",
            wanted=f"one of {', '.join(shipped())}, or a .yaml file",
            seen=f"did you mean {near[0]}?" if near else "no such name or file",
        )
    return parse(text, where)


def parse(text: str, where: str) -> Study:
    """A study from YAML text; `where` names it in errors."""
    try:
        raw: Any = yaml.load(text, _Loader)  # noqa: S506 (a SafeLoader)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as fault:  # `2026-13-45` is a ValueError
        raise UserError(f"{where}: not YAML", wanted="a study file", seen=" ".join(str(fault).split())) from None
    if not isinstance(raw, dict):
        raise UserError(
            f"{where}: not a study", wanted="a mapping with name, question, arms, …", seen=type(raw).__name__
        )
    try:
        return Study.model_validate(raw)
    except ValidationError as fault:
        faults = [_told(row) for row in fault.errors(include_url=False)]
        raise UserErrors(f"{where}: {len(faults)} fault(s); nothing was run", faults) from None


def _told(row: ErrorDetails) -> UserError:
    """One fault of a study: its place, what was wanted and what was seen."""
    place = ".".join(str(part) for part in row["loc"]) or "study"
    if row["type"] == "missing":
        return UserError(place, wanted="this field", seen="nothing")
    if row["type"] == "extra_forbidden":
        known = {name for part in _Part.__subclasses__() for name in part.model_fields}
        near = difflib.get_close_matches(str(row["loc"][-1]), known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return UserError(place, wanted=f"a field that is known here{hint}", seen=_shown(row["input"]))
    wanted = row["msg"].removeprefix("Value error, ")
    return UserError(place, wanted=wanted, seen=_shown(row["input"]) if row["loc"] else "")


def _shown(value: Any) -> str:
    """A value as a message shows it: short and on one line, however much it holds.

    >>> _shown("x" * 100) == "x" * 80, _shown("a\\nb"), _shown([[[[1]]]]), _shown(16 ** 5000)
    (True, "'a\\\\nb'", '[[[...]]]', 'a number of too many digits')
    """
    brief = reprlib.Repr()
    brief.maxlevel, brief.maxstring, brief.maxother = 3, 80, 80
    try:
        text = (value if isinstance(value, str) else brief.repr(value))[:80]
    except ValueError:
        return "a number of too many digits"
    return text if text.isprintable() else repr(text)


def dump(study: Study) -> str:
    """The study as YAML with every default written out; `parse` gives the same study back."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
