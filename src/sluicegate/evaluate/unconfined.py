"""Scores of programs that ran without a sandbox: what marks them, and when they are made again.

Such a score is shown like any other, and no gate opens on it, unless the user had set ALLOW_UNSAFE_EXEC=1 when
it was made. That leave stands in the score's reason, so that a verdict can be decided again without asking an
environment that is long gone.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from sluicegate.records import Score
from sluicegate.sandbox import UNSAFE, is_unsafe

VARIABLE: Final = "ALLOW_UNSAFE_EXEC"
_MARK: Final = f", {UNSAFE}, allowed]"


def marked(score: Score) -> Score:
    """The score, with the user's leave in its reason where it needs one and has it."""
    if is_unsafe(score.why) and _is_allowed():
        return replace(score, why=score.why.removesuffix(f", {UNSAFE}]") + _MARK)
    return score


def has_leave(why: str) -> bool:
    """Whether a score's reason says that its program ran without a sandbox, as the user allowed.

    >>> has_leave("pass [rlimits, UNSAFE, allowed]"), has_leave("pass [rlimits, UNSAFE]"), has_leave("pass [bwrap]")
    (True, False, False)
    """
    return why.endswith(_MARK)


def stands(score: Score) -> bool:
    """Whether there is nothing better to be had: it was confined or allowed, or it would be neither if made again."""
    return not is_unsafe(score.why) or not (_is_allowed() or _is_confined())


def _is_allowed() -> bool:
    return os.environ.get(VARIABLE) == "1"


def _is_confined() -> bool:
    from sluicegate.sandbox.backends import choose

    return choose().is_safe
