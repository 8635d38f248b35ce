"""A sample's tests on trial: they must pass the reference, and fail whatever is not the answer.

What came out is kept by the content of the sample and of the code that runs it, one small file a sample in the user's
cache folder, so that an audit that was killed goes on where it stopped, and a second one is quick. A failure of ours
is never kept.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Final, Protocol, cast

from pydantic import ConfigDict, ValidationError

from sluicegate import jsonl
from sluicegate.audit import programs
from sluicegate.errors import UserError
from sluicegate.evaluators import functional_correctness
from sluicegate.evaluators.answer import in_a_line, language_of, program
from sluicegate.records import Prediction, Sample, digest, from_json, to_json
from sluicegate.sandbox import LANGUAGES, Limits, Outcome

PATIENCE, LEAST_S = 6, 4.0
"""A program that must fail has this many times as long as the reference took, and so many seconds at least."""
INFRA: Final = "infra"
ROOT: Final = Path(__file__).resolve().parents[1]
CODE: Final = (".py", ".js", ".json")


@dataclass(frozen=True, slots=True)
class Trial:
    """What was found out about one sample's tests.

    Args:
        faults: what is not as it must be, in words.
        mutants: changed references that were tried.
        alive: those that the tests let through, in words.
        unjudged: why the tests were not run, or not all; empty where they were.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    faults: tuple[str, ...] = ()
    mutants: int = 0
    alive: tuple[str, ...] = ()
    unjudged: str = ""


class _Runner(Protocol):
    LIMITS: Limits

    def run(self, candidate: str, tests: str, *, reference: str, limits: Limits = ...) -> Outcome:
        """Run a candidate; see `sandbox`."""
        ...


def trial(sample: Sample, mutants: int, stop: threading.Event | None = None) -> Trial:
    """The trial of a sample's tests, or what an earlier one found; no sample makes it raise.

    Args:
        mutants: changed references that are tried at most.
        stop: once it is set no other program is run, and what was found is not kept.
    """
    if (why := _unjudged(sample)) is not None:
        return why
    told = [language_of(sample), sample.completion, sample.tests, sample.meta.get("broken"), mutants, _code()]
    path = _folder() / f"{digest(told)[:40]}.json"
    try:
        return from_json(Trial, path.read_bytes())
    except (OSError, ValidationError):
        pass
    try:
        found = _tried(sample, mutants, stop or threading.Event())
    except Exception as fault:  # of ours; the other samples are tried all the same, and this one is told of
        return Trial(unjudged=in_a_line(f"our failure: {type(fault).__name__}: {fault}"))
    if not found.unjudged:
        _keep(path, found)
    return found


def _unjudged(sample: Sample) -> Trial | None:
    """A trial that cannot be held."""
    language = language_of(sample)
    if not sample.tests.strip():
        return Trial(faults=("the sample has no tests",)) if language in LANGUAGES else Trial(unjudged="no tests")
    if language not in LANGUAGES:
        return Trial(faults=(f"there are tests, and nothing that runs {language or 'them: set meta.language'}",))
    return None


def _keep(path: Path, found: Trial) -> None:
    try:
        jsonl.write_text(path, to_json(found) + "\n")
    except UserError:  # without a cache the next audit takes its time
        return


def _folder() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluicegate" / "audit"


@cache
def _code() -> str:
    """Digest of the code that a trial's outcome hangs on."""
    seen = hashlib.sha256()
    folders = [ROOT / "sandbox", ROOT / "audit" / "programs"]
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in CODE)
    for path in [*files, Path(__file__), ROOT / "evaluators" / "answer.py"]:
        seen.update(path.read_bytes())
    return seen.hexdigest()


def _tried(sample: Sample, mutants: int, stop: threading.Event) -> Trial:
    language = language_of(sample)
    reference = program(sample.completion, language)
    runner = cast(_Runner, import_module(LANGUAGES[language]))
    begun = time.monotonic()
    right = runner.run(reference, sample.tests, reference=reference)
    took_s = time.monotonic() - begun
    if right.kind == INFRA:
        return Trial(unjudged=in_a_line(right.why))
    if right.kind != "pass":
        return Trial(faults=(in_a_line(f"the reference does not pass: {right.kind} {right.why}"),))
    limits = replace(runner.LIMITS, wall_s=min(runner.LIMITS.wall_s, max(LEAST_S, PATIENCE * took_s)))
    faults = []
    if functional_correctness.score(sample, Prediction(sample.id, "", 0, "", 0, 0.0, "stop")).value != 0.0:
        faults.append("an empty completion passes")

    def passes(candidate: str) -> bool:
        if stop.is_set():
            raise _OurFailureError("interrupted")
        ended = runner.run(candidate, sample.tests, reference=reference, limits=limits)
        if ended.kind == INFRA:
            raise _OurFailureError(in_a_line(ended.why))
        return ended.kind == "pass"

    try:
        if (shell := _stub(reference, language)) and passes(shell):
            faults.append("a stub passes: the same names with nothing in them")
        broken = sample.meta.get("broken")
        if isinstance(broken, str) and broken.strip() and passes(broken):
            faults.append("the broken program (meta.broken) passes")
        tried = _mutants(reference, language, mutants)
        alive = tuple(in_a_line(one.told) for one in tried if passes(one.text))
    except _OurFailureError as failure:
        return Trial(tuple(faults), unjudged=str(failure))
    return Trial(tuple(faults), len(tried), alive)


class _OurFailureError(Exception):
    """The sandbox failed, or was stopped, and not the program."""


def _stub(reference: str, language: str) -> str:
    try:
        return programs.stub(reference, language)
    except (KeyError, ValueError, RecursionError):
        return ""


def _mutants(reference: str, language: str, most: int) -> list[programs.Mutant]:
    """None of a language, or of a program, that is not understood: the share of killed ones is of those that are."""
    try:
        return programs.mutants(reference, language, most)
    except (KeyError, ValueError, RecursionError):
        return []
