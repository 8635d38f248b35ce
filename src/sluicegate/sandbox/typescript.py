"""Runs TypeScript answers: translated by esbuild, then as JavaScript. Types are removed, not checked.

esbuild reads the answer outside the sandbox, in a process of its own with a deadline; it parses, and runs nothing.
"""

from __future__ import annotations

import functools
import subprocess

from sluicegate.sandbox import javascript
from sluicegate.sandbox.limits import Limits, Outcome
from sluicegate.sandbox.packages import MissingError, esbuild
from sluicegate.sandbox.referee import printable

LIMITS = Limits()
PROGRAM = ("--loader=ts", "--format=cjs")
TESTED = ("--loader=ts",)
"""As they stand."""
TRANSLATE_S = 30.0
SOURCE_LIMIT = 2**20
"""Characters of one program."""


class TranslationError(Exception):
    """The program is not TypeScript."""


def run(candidate: str, tests: str, *, reference: str = "", limits: Limits = LIMITS, backend: str = "") -> Outcome:
    """Run a program and its tests; threads may share it, and no program makes it raise.

    Args:
        candidate, tests: source text.
        reference: a program known to be right, or empty: what its objects do, others' objects may do.
        backend: empty for the best that works here.
    """
    made = all_translated(candidate, tests, reference, PROGRAM, TESTED)
    if isinstance(made, Outcome):
        return made
    program, translated_tests, known = made
    return javascript.run(program, translated_tests, reference=known, limits=limits, backend=backend)


def all_translated(
    candidate: str, tests: str, reference: str, program: tuple[str, ...], tested: tuple[str, ...]
) -> tuple[str, str, str] | Outcome:
    """JavaScript of all three; or the outcome, where one is none.

    Args:
        program, tested: options of esbuild for programs and for tests.
    """
    try:
        known = _kept(tests, tested), _kept(reference, program)
    except (MissingError, OSError, subprocess.TimeoutExpired) as fault:
        return Outcome("infra", printable(str(fault)))
    except TranslationError as fault:
        return Outcome("tests", printable(str(fault)))
    try:
        return _translated(candidate, program), *known
    except (MissingError, OSError) as fault:
        return Outcome("infra", printable(str(fault)))
    except (TranslationError, subprocess.TimeoutExpired) as fault:
        return Outcome("error", printable(f"SyntaxError: {fault}"))


@functools.lru_cache(maxsize=512)
def _kept(source: str, options: tuple[str, ...]) -> str:
    """The same for what is run again and again: tests and references."""
    return _translated(source, options)


def _translated(source: str, options: tuple[str, ...]) -> str:
    """JavaScript of a program or of tests.

    Args:
        options: of esbuild.

    Raises:
        TranslationError: it does not parse.
        MissingError, OSError, subprocess.TimeoutExpired: esbuild did not run.
    """
    if len(source) > SOURCE_LIMIT:
        raise TranslationError(f"more than {SOURCE_LIMIT} characters")
    argv = [esbuild(), "--target=node20", "--log-limit=1", *options]
    data = source.encode("utf-8", "replace")
    done = subprocess.run(argv, input=data, capture_output=True, timeout=TRANSLATE_S, check=False, env={})
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise TranslationError(said[0].partition("ERROR] ")[2] or said[0])
    return done.stdout.decode()
