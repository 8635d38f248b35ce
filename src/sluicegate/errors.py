"""Errors that a user can mend, apart from bugs of ours.

A `UserError` is printed without a traceback and ends the process with exit code 2. Anything else that escapes is a
bug of ours and ends with exit code 1. This module knows nothing of where the message is printed.
"""

from __future__ import annotations

from collections.abc import Sequence

GO, BUG, USER, RETRY, INCONCLUSIVE, STOP, INTERRUPTED = 0, 1, 2, 10, 15, 20, 130
"""Exit codes: done or GO, our bug, the user must do something, the three other outcomes, interrupted."""


def first_line(fault: BaseException) -> str:
    """Of a fault's message, at most 120 characters; where there is none, what kind of fault it is."""
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0][:120]


class UserError(Exception):
    """Something the user can mend.

    Args:
        what: the fault in one sentence, with its place (`file:line`, variable name).
        wanted: what would have been accepted.
        seen: what was found instead.
        mend: the command or edit that mends it.
    """

    def __init__(self, what: str, *, wanted: str = "", seen: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what, self.wanted, self.seen, self.mend = what, wanted, seen, mend

    def __str__(self) -> str:
        """The message as printed: at most four lines.

        >>> print(UserError("train.jsonl: empty", wanted="at least one sample", seen="0 lines"))
        train.jsonl: empty
          wanted: at least one sample
          seen:   0 lines
        """
        rows = [("wanted", self.wanted), ("seen", self.seen), ("mend", self.mend)]
        return "\n".join([self.what, *(f"  {name + ':':<7} {text}" for name, text in rows if text)])


class Interrupted(Exception):
    """A signal asked to stop; what was done so far is saved. The process ends with exit code 130."""


class UserErrors(UserError):
    """Several faults found in one go, printed together so that they are mended together."""

    def __init__(self, what: str, faults: Sequence[UserError]) -> None:
        super().__init__(what)
        self.faults = tuple(faults)

    def __str__(self) -> str:
        """The heading, then each fault, indented."""
        shown = "\n".join(str(fault) for fault in self.faults)
        return f"{self.what}\n" + "\n".join(f"  {line}" for line in shown.splitlines())
