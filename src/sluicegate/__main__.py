"""The process's edge: how a run of the command ends, whatever happened inside."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable

from sluicegate.errors import BUG, INTERRUPTED, USER, Interrupted, UserError

MACHINE = frozenset(
    getattr(errno, name) for name in ("EACCES", "EPERM", "ENAMETOOLONG", "ELOOP", "ENOSPC", "EROFS", "EIO", "EMFILE")
)
"""What a machine says of a file that its user can mend and no program: rights, names, space, disks."""
SHOWN = 200
"""Characters of a file's name."""


def guard(run: Callable[[], int]) -> int:
    """Run, and turn what escapes into an exit code: 2 with one message for the user's faults, 130, or 1 for ours."""
    try:
        code = run()
        sys.stdout.flush()
    except UserError as fault:
        print(f"sluicegate: {fault}", file=sys.stderr)
        return USER
    except (KeyboardInterrupt, Interrupted) as fault:
        print(
            f"sluicegate: {str(fault) or 'interrupted'}; run the same command to go on",
            file=sys.stderr,
        )
        return INTERRUPTED
    except BrokenPipeError:  # `sluicegate … | head`: the reader left, which is its right
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as fault:
        if isinstance(fault, OSError) and fault.errno in MACHINE:
            print(f"sluicegate: {_refused(fault)}", file=sys.stderr)
            return USER
        traceback.print_exc()
        print("sluicegate: this is a bug of ours; the traceback above is what a report needs", file=sys.stderr)
        return BUG
    return code


def _refused(fault: OSError) -> UserError:
    """The message for what the machine refused, where nobody had better words for it."""
    name = str(fault.filename or "a file")
    shown = name if len(name) <= SHOWN else f"{name[:SHOWN]}…"
    return UserError(
        f"{shown}: cannot be used",
        wanted="a name, rights and space that this machine grants",
        seen=fault.strerror or str(fault),
        mend="see `ls -ld` of it and of the folders above it, and `df -h`",
    )


def main() -> None:
    """The console command."""
    from sluicegate import cli

    sys.exit(guard(lambda: cli.run(sys.argv[1:])))


if __name__ == "__main__":
    main()
