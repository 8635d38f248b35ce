"""The process's edge: how a run of the command ends, whatever happened inside."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from sluicegate.errors import BUG, INTERRUPTED, USER, Interrupted, UserError


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
    except Exception:
        traceback.print_exc()
        print("sluicegate: this is a bug of ours; the traceback above is what a report needs", file=sys.stderr)
        return BUG
    return code


def main() -> None:
    """The console command."""
    from sluicegate import cli

    sys.exit(guard(lambda: cli.run(sys.argv[1:])))


if __name__ == "__main__":
    main()
