"""A study file: the question, the arms, the data, the primary metric, the thresholds and the budgets, in YAML.

Every fault of a file is reported at once, each with its place in the file. A study is a value: what it means for a
stage is worked out by `stages.plan`, and nothing here reads data or runs anything.
"""

from __future__ import annotations

import difflib
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
    field_validator,
    model_validator,
)

from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import read_text
from sluicegate.records import digest
from sluicegate.settings import TrainSettings

Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_+.-]*$", max_length=64)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Prompts = Literal["plain", "enriched"]
Scalar = str | int | Annotated[float, Field(allow_inf_nan=False)] | bool | None

MANAGED = frozenset(
    {
        "dataset_path",
        "val_dataset_path",
        "output_dir",
        "model_name",
        "seed",
        "hf_token",
        "mlflow_tracking_uri",
    }
)
"""Train settings that a stage sets itself, so a study file may not."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


TrainOverrides = Annotated[dict[str, Scalar], Field(default_factory=dict)]


class Arm(_Part):
    """One arm: which prompts it is trained on and what it changes of the training settings."""

    prompts: Prompts = "plain"
    train: TrainOverrides


class Source(_Part):
    """Where samples come from: `demo`, `micro`, or a folder with `<scenario>/samples.jsonl`."""

    source: str = "demo"
    seed: int = Field(0, ge=0)


class Generation(_Part):
    """How answers are drawn."""

    draws: int = Field(1, ge=1, le=1000)
    temperature: float = Field(0.0, ge=0, le=5)
    max_new_tokens: int = Field(512, ge=1)
    batch_size: int = Field(16, ge=1)


class StageChange(_Part):
    """What a study changes of a stage's plan; None leaves the plan's own value."""

    train_samples: int | None = Field(None, ge=1)
    val_samples: int | None = Field(None, ge=1)
    test_samples: int | None = Field(None, ge=1)
    draws: int | None = Field(None, ge=1, le=1000)
    seeds: int | None = Field(None, ge=1, le=100)
    hours: Amount | None = None
    dollars: Amount | None = None
    train: TrainOverrides


class Study(_Part):
    """A study file, read and checked.

    `control` and `experiment` name the pair of arms that gates decide on. `minimum_gain` is the smallest gain, in
    points on [0, 1], that would be worth its cost. `test_prompts: plain` gives both arms the same evaluation prompts;
    `as_trained` declares that each arm is asked the way it was trained, so prompt parity is not required.
    """

    name: Name
    question: str = Field(min_length=1)
    scenarios: Annotated[tuple[Name, ...], Field(min_length=1)]
    data: Source = Source()
    arms: dict[Name, Arm]
    control: Name = "control"
    experiment: Name = "experiment"
    test_prompts: Literal["plain", "as_trained"] = "plain"
    train: TrainOverrides
    generate: Generation = Generation()
    metrics: Annotated[tuple[Name, ...], Field(min_length=1)]
    primary: Name
    minimum_gain: Share = 0.05
    alpha: Annotated[float, Field(gt=0, lt=0.5)] = 0.05
    needs_gpu: bool = False
    stages: Annotated[dict[Annotated[int, Field(ge=0, le=4)], StageChange], Field(default_factory=dict)]

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
        draws = max([self.generate.draws, *(change.draws or 1 for change in self.stages.values())])
        if draws > 1 and self.generate.temperature == 0:
            faults.append(f"generate.temperature: 0 makes all {draws} draws the same text; give 0.7, or 1 draw")
        for train in [part.train for part in self.arms.values()] + [part.train for part in self.stages.values()]:
            _known_settings(train)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def sha256(self) -> str:
        """Digest of the study's meaning: spelling, comments and key order do not count."""
        return digest(self.model_dump(mode="json"))


def _known_settings(train: dict[str, Scalar]) -> dict[str, Scalar]:
    known = set(TrainSettings.model_fields) - MANAGED
    for key in train:
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
    return train


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
        raw: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, AttributeError, RecursionError) as fault:  # `2026-13-45` is a ValueError
        raise UserError(f"{where}: not YAML", wanted="a study file", seen=" ".join(str(fault).split())) from None
    if not isinstance(raw, dict):
        raise UserError(
            f"{where}: not a study", wanted="a mapping with name, question, arms, …", seen=type(raw).__name__
        )
    try:
        return Study.model_validate(raw)
    except ValidationError as fault:
        faults = [
            UserError(
                ".".join(str(part) for part in row["loc"]) or "study",
                seen=f"{row['input']!s:.80}",
                wanted=row["msg"],
            )
            for row in fault.errors(include_url=False)
        ]
        raise UserErrors(f"{where}: {len(faults)} fault(s); nothing was run", faults) from None


def dump(study: Study) -> str:
    """The study as YAML with every default written out; `parse` gives the same study back."""
    return yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
