"""What was registered before the stage ran, as registration.json tells it.

The stage writes that file; a report stands below the stages and reads it for itself. A field that it does not know is
let be, one that is missing or of the wrong type makes the file unreadable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

FILE = "registration.json"
MOST = 1 << 20
"""Bytes of the largest file that is read."""
SHAPE = ConfigDict(extra="ignore", allow_inf_nan=False)
Amount = Annotated[float, Field(ge=0, le=1e15)]
Count = Annotated[int, Field(ge=0, le=10**15)]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, slots=True)
class Line:
    """The ledger's line of the attempt: what it is judged by; `stages.ledger.Registered` says what each field means."""

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    time: str
    study: str
    study_sha256: str
    stage: Count
    attempt: str
    number: Count
    attempts: Count
    alpha: Share
    spent: Amount
    allowed: Share
    primary: str
    minimum_gain: Share
    must_not_worsen: Mapping[str, Share]
    code_sha256: str
    git_commit: str
    override: str


@dataclass(frozen=True, slots=True)
class Override:
    """A stage that was started without the former one's GO, and the reason given."""

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    stage: Count
    time: str
    reason: str


@dataclass(frozen=True, slots=True)
class Former:
    """The former stage's GO."""

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    attempt: str
    time: str


@dataclass(frozen=True, slots=True)
class Registration:
    """registration.json.

    Args:
        sha256: digest of the ledger's line.
        overrides: all of the study so far.
        former: the former stage's GO, None where there was none.
        sources: file with samples → digest.
        version: of the program that registered.
    """

    __pydantic_config__: ClassVar[ConfigDict] = SHAPE
    line: Line
    sha256: str
    overrides: tuple[Override, ...]
    former: Former | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
