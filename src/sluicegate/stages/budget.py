"""The budget of a stage, in hours and dollars, enforced while a step runs and kept over kills.

Hours are the wall seconds of the steps, those of failed and interrupted ones included. Dollars are what judging cost,
read from the score files as they grow, and the machines' price an hour.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict

from sluicegate import folder, judge
from sluicegate.jsonl import write_text
from sluicegate.records import to_json
from sluicegate.stages.plan import Plan
from sluicegate.study import Study

FILE = "budget.json"
SAVED_EVERY_S = 10.0
"""A kill loses at most so much of the count."""


@dataclass(frozen=True, slots=True)
class Overrun:
    """A budget that ran out before the stage was complete.

    Args:
        what: `hours` or `dollars`.
        step: the one that was running, or about to.
        left: steps that were not done, that one included.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", allow_inf_nan=False)
    what: str
    budget: float
    spent: float
    step: str
    left: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What a stage has used."""

    hours: float
    dollars: float


def machine_dollars(study: Study, seconds: Mapping[str, float]) -> float:
    """What the machines cost for so many seconds of each step, by the prices of the study.

    >>> from sluicegate import study
    >>> machine_dollars(study.load("demo"), {"train control-s0": 3600.0})
    0.0
    """
    return sum(spent / 3600 * price(study, step) for step, spent in seconds.items())


def price(study: Study, step: str) -> float:
    """Dollars an hour of the machine that does a step; 0 where no machine of the study does it."""
    verb = step.split(" ", 1)[0]
    return next((row.dollars_per_hour for row in study.machines.values() if verb in row.does), 0.0)


@dataclass
class Meter:
    """Counts what a stage uses while its steps run.

    Args:
        stamps: of the steps, where seconds are kept.
        clock: monotonic seconds.
    """

    study: Study
    plan: Plan
    attempt: Path
    stamps: folder.Steps
    clock: Callable[[], float] = time.monotonic
    _step: str = ""
    _saved: float = 0.0
    _judged: dict[Path, _Read] = field(default_factory=dict)

    def start(self, step: str) -> None:
        """A step begins; it counts as not done from here on."""
        self._step, self._saved = step, self.clock()
        self.stamps.spend(step, 0.0)

    def stop(self) -> None:
        """The step ended, however it did."""
        self._save()
        self._step = ""

    def _save(self) -> None:
        now = self.clock()
        self.stamps.spend(self._step, now - self._saved)
        self._saved = now

    def spent(self) -> Spent:
        """Hours and dollars up to now."""
        seconds = dict(self.stamps.seconds())
        if self._step:
            seconds[self._step] = seconds.get(self._step, 0.0) + self.clock() - self._saved
        return Spent(sum(seconds.values()) / 3600, self._judging() + machine_dollars(self.study, seconds))

    def over(self) -> bool:
        """Whether the budget is used up; to be asked again and again while a step runs."""
        if self._step and self.clock() - self._saved > SAVED_EVERY_S:
            self._save()
        return self._exceeded(self.spent()) is not None

    def _exceeded(self, spent: Spent) -> str | None:
        if spent.hours > self.plan.hours:
            return "hours"
        return "dollars" if spent.dollars > self.plan.dollars else None

    def overrun(self, step: str, left: int) -> Overrun | None:
        """What ran out, if anything did."""
        spent = self.spent()
        what = self._exceeded(spent)
        if what is None:
            return None
        return Overrun(what, getattr(self.plan, what), round(getattr(spent, what), 6), step, left)

    def exhausted(self, step: str, left: int) -> Overrun:
        """That a judge's cap left answers unjudged: it is reserved for the worst case, so it is never passed."""
        return Overrun("dollars", self.plan.dollars, round(self.spent().dollars, 6), step, left)

    def _judging(self) -> float:
        """Dollars of the judge: in the score files, each line read once, and in the notes of who judged."""
        noted = 0.0
        for model in self.plan.models:
            path = self.attempt / folder.SCORES / f"{model.name}.jsonl"
            if path.exists():
                self._judged[path] = _read_on(path, self._judged.get(path, _Read()))
            if note := judge.read_note(path):
                noted = max(noted, note.spent)
        return noted or sum(found.dollars for found in self._judged.values())


@dataclass(frozen=True, slots=True)
class _Read:
    """How far a score file was read: which file it was, up to which byte, the dollars up to there."""

    file: int = 0
    end: int = 0
    dollars: float = 0.0


def _read_on(path: Path, before: _Read) -> _Read:
    """The lines that were added; a file that took the other's place is read anew."""
    there = path.stat()
    if there.st_ino != before.file or there.st_size < before.end:
        before = _Read(there.st_ino)
    return before if there.st_size == before.end else _added(path, before)


def _added(path: Path, before: _Read) -> _Read:
    """With every whole line after the ones that were read."""
    with path.open("rb") as stream:
        stream.seek(before.end)
        whole = stream.read()
    dollars = before.dollars
    whole = whole[: whole.rfind(b"\n") + 1]
    for line in whole.splitlines():
        try:
            dollars += float(json.loads(line).get("dollars", 0.0))
        except (ValueError, AttributeError, TypeError):  # the evidence names unreadable lines; here they cost nothing
            continue
    return _Read(before.file, before.end + len(whole), dollars)


def write(attempt: Path, found: Overrun | None) -> None:
    """Note that the budget ran out; or that it did not, after all."""
    if found is None:
        (attempt / FILE).unlink(missing_ok=True)
    else:
        write_text(attempt / FILE, to_json(found, indent=1) + "\n")
