"""Runs programs that nobody has read, and says how they did at their tests.

**The expected values never enter the sandbox.** A referee outside holds the tests and runs them with
proxies in the place of the candidate's names; the candidate lives inside, is asked over a socket, and
answers in a typed format of plain data (`codec`). Forging an answer is answering: exit codes, printed words,
patched assertions and objects that equal everything have no say in a verdict.

What it protects against, with the backends `bwrap` and `docker`: reading the tests, the user's files, environment or
network; writing anywhere but to memory that is given back; outliving the run (processes, threads, files,
groups); starving the machine (time, CPU, memory, processes, files, output); signalling or tracing anything
outside; touching the next program, which has a sandbox of its own; system calls that it has no use for.

What it does **not** protect against: faults of the kernel itself, and side channels (time, caches, load).
What the tests hand to a program is used outside, by their own functions: one that opens files or runs commands does
so for the program. Objects of the library that could do it by themselves are not served (`serving`).
Where no control group can be made, memory is bounded for each process and not for all of them together, and
inodes of /tmp by time only. With the backend `rlimits`, marked UNSAFE in every outcome, nothing above holds
but the limits on time, CPU, memory and files of each process: the last resort, for programs that are trusted.

What a proxy cannot do as the object itself would is listed in docs/sandbox.md.
"""

from __future__ import annotations

from sluicegate.sandbox.limits import Limits, Outcome

LANGUAGES = {
    "python": "sluicegate.sandbox.python",
    "javascript": "sluicegate.sandbox.javascript",
    "typescript": "sluicegate.sandbox.typescript",
    "tsx": "sluicegate.sandbox.react",
    "sql": "sluicegate.sandbox.sql",
}
"""Language → the module that runs it: `run(candidate, tests, reference) -> Outcome`."""
UNSAFE = "UNSAFE"

__all__ = ["LANGUAGES", "UNSAFE", "Limits", "Outcome", "is_unsafe"]


def is_unsafe(why: str) -> bool:
    """Whether a score's reason says that its program ran without a sandbox.

    >>> is_unsafe("pass [rlimits, UNSAFE]"), is_unsafe("pass [bwrap]"), is_unsafe("error: [rlimits, UNSAFE] [bwrap]")
    (True, False, False)
    """
    return why.endswith(f", {UNSAFE}]")
