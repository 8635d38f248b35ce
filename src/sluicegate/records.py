"""The records that flow through the pipeline, each a frozen dataclass, to and from one line of JSON.

`Sample → Run → Prediction → Score → Comparison → Check → Verdict`. A record holds data and its own invariants,
nothing else: no I/O, no arithmetic. Unknown fields, wrong types, NaN and infinities are refused when read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
Record = TypeVar("Record")
Finish = Literal["stop", "length", "error"]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Sample:
    """One task: what is asked, the answer to learn from, and the tests that judge any answer.

    Args:
        id: unique in its data set.
        scenario: the group it belongs to (`python`, `react`, …).
        prompt: the plain request.
        completion: the reference answer.
        context: a second input (the Kubernetes pattern); empty elsewhere.
        tests: source text of the hidden tests, in the language of the scenario; empty where there are none.
        meta: anything else known of the sample; metadata for enriched prompts, licence, language.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    id: str
    prompt: str
    completion: str
    scenario: str = ""
    context: str = ""
    tests: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Run:
    """One training run: what went in and with what it was made.

    Args:
        name: the model's name, the folder it lies in.
        arm: the arm of the study, or empty for a run by hand.
        stage: 0-4, or None for a run by hand.
        base_model: hub name or folder of the base.
        seed: of initialisation, data order and dropout.
        data_sha256: digest of the training file.
        git_commit: of the code, or empty where unknown.
        settings: every setting in force, secrets left out.
        versions: package name → version.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    base_model: str
    seed: int
    data_sha256: str
    arm: str = ""
    stage: int | None = None
    git_commit: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One answer of one model to one sample.

    Args:
        draw: 0…k-1.
        tokens: generated tokens, the end-of-sequence token included.
        seconds: wall time of the batch divided by its size.
        finish: `stop` at end of sequence, `length` at the token limit, `error` when generation itself failed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    sample_id: str
    model: str
    draw: Count
    text: str
    tokens: Count
    seconds: Amount
    finish: Finish


@dataclass(frozen=True, slots=True)
class Score:
    """What one evaluator says of one prediction.

    Args:
        value: in [0, 1], higher is better; None where it cannot be judged.
        why: the reason, required where value is None.
        dollars: what judging it cost.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    sample_id: str
    model: str
    draw: Count
    metric: str
    value: float | None
    why: str = ""
    dollars: Amount = 0.0

    def __post_init__(self) -> None:
        """Refuse a value outside [0, 1] (NaN fails both comparisons) and an unexplained None."""
        if self.value is None:
            if not self.why:
                raise ValueError(f"score {self.metric} of {self.sample_id}: value None needs a reason in why")
        elif not 0.0 <= self.value <= 1.0:
            raise ValueError(f"score {self.metric} of {self.sample_id}: wanted [0, 1], seen {self.value}")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two arms on one metric, paired by sample.

    Args:
        n: paired items that both arms have a value for.
        control, experiment: means over the paired items, on [0, 1].
        gain: experiment - control, in points on [0, 1].
        low, high: the two-sided interval of the gain at `level`; None where it cannot be computed.
        p: one-sided p of "gain ≤ 0"; None where it cannot be computed.
        p_adjusted: Holm over the secondaries; equals p for the primary metric.
        control_interval, experiment_interval: of the arm's mean alone at `level`, on [0, 1].
        effects: named effect sizes (`d_z`, `hedges_g_av`, `cliffs_delta`).
        method: the test and the interval, in words.
        seed: of the resampling.
        coverage: paired items over all items, in [0, 1].
        note: what the reader must know (too few items, constant differences).
        variance: components of an item's difference: `items` (between items), `draws` (of one draw in each arm),
            `seeds` (of one run's mean, both arms together; with several runs), `interaction` (of a run on single items;
            a part of `items`, which holds it divided by the runs), `scenarios` (of a scenario's gain).
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    metric: str
    n: int
    control: float | None
    experiment: float | None
    gain: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    level: float
    method: str
    seed: int
    coverage: float
    control_interval: tuple[float, float] | None = None
    experiment_interval: tuple[float, float] | None = None
    effects: Mapping[str, float | None] = field(default_factory=dict)
    note: str = ""
    variance: Mapping[str, float] = field(default_factory=dict)


class Outcome(StrEnum):
    """What a gate says."""

    GO = "GO"
    STOP = "STOP"
    INCONCLUSIVE = "INCONCLUSIVE"
    RETRY = "RETRY"


@dataclass(frozen=True, slots=True)
class Check:
    """One condition of a gate: what was wanted, what was seen, how to mend it.

    Args:
        passed: None where it is shown but decides nothing.
        blames: the outcome when it fails.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    name: str
    passed: bool | None
    wanted: str
    seen: str
    remedy: str = ""
    blames: Outcome = Outcome.RETRY


@dataclass(frozen=True, slots=True)
class Need:
    """What would settle an inconclusive stage: this many of one thing, the rest as it is.

    Args:
        vary: `items`, `draws` or `seeds`.
        have: what the stage had.
        wanted: in all; None where no number of them is enough.
        low, high: the range that the uncertainty of the measured variance leaves; high None for no end.
        hours, dollars: what the additional ones cost, forecast from what the stage's own cost.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    vary: Literal["items", "draws", "seeds"]
    have: int
    wanted: int | None
    low: int | None = None
    high: int | None = None
    hours: float | None = None
    dollars: float | None = None


Claim = Literal["", "checkpoint", "recipe"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision of a stage, recomputable from its evidence.

    Args:
        evidence_sha256: digest over the evidence files in the order of their names.
        primary: the comparison that decided, where the stage compares.
        next_steps: what to do now, specific to the failed checks.
        claim: what a GO says is better: these trained `checkpoint`s, or the `recipe` they were trained by.
        attempt, attempts: which decision of this stage it is, and how many were declared; 0 where none is spent.
        alpha: what it spends of the study's alpha.
        open: whether the stage goes on in the same run folder when it is run again.
        needs: what would settle an INCONCLUSIVE.
        version: of the program that decided.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    stage: int
    outcome: Outcome
    checks: tuple[Check, ...]
    dollars: float
    hours: float
    evidence_sha256: str
    study: str = ""
    primary: Comparison | None = None
    next_steps: tuple[str, ...] = ()
    claim: Claim = ""
    attempt: int = 0
    attempts: int = 0
    alpha: float = 0.0
    open: bool = False
    needs: tuple[Need, ...] = ()
    version: str = ""


_ADAPTERS: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: Any) -> TypeAdapter[Any]:
    if kind not in _ADAPTERS:  # building one costs a thousand readings
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


def from_json(kind: type[Record], text: str | bytes) -> Record:
    """Read one record.

    Raises:
        pydantic.ValidationError: malformed JSON, a missing or unknown field, a wrong type or a broken invariant.

    >>> from_json(Check, '{"name": "a", "passed": true, "wanted": "x", "seen": "x"}').blames
    <Outcome.RETRY: 'RETRY'>
    """
    return _adapter(kind).validate_json(text, strict=True)  # type: ignore[no-any-return]


def to_json(record: Any, *, indent: int | None = None) -> str:
    """Write one record, fields in the order of their definition.

    >>> to_json(Prediction("a", "m", 0, "x", 1, 0.5, "stop"))
    '{"sample_id":"a","model":"m","draw":0,"text":"x","tokens":1,"seconds":0.5,"finish":"stop"}'
    """
    return _adapter(type(record)).dump_json(record, indent=indent).decode()


def to_dict(record: Any) -> dict[str, Any]:
    """The record as plain JSON types."""
    return _adapter(type(record)).dump_python(record, mode="json")  # type: ignore[no-any-return]


def canonical(value: Any) -> bytes:
    """The one spelling of a JSON value that is hashed: sorted keys, no spaces, UTF-8, NaN refused.

    >>> canonical({"b": 1, "a": "ä"})
    b'{"a":"\\xc3\\xa4","b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: Any) -> str:
    """SHA-256 of a JSON value's canonical spelling, in hex.

    >>> digest({"a": 1}) == digest({"a": 1}), digest({"a": 1}) == digest({"a": 2})
    (True, False)
    """
    return hashlib.sha256(canonical(value)).hexdigest()
