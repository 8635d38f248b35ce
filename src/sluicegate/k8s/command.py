"""What `sluicegate k8s` prints, writes and ends with; the writing itself is done by who calls it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from sluicegate.errors import GO, RETRY, UserError
from sluicegate.k8s.checks import CHECKS
from sluicegate.k8s.checks.page import explain, listed, skipped
from sluicegate.k8s.document import Limits
from sluicegate.k8s.issues import visible
from sluicegate.k8s.lint import Hardened, Source, chosen, exit_code, harden, lint, read
from sluicegate.k8s.output import FORMATS, changes, text
from sluicegate.k8s.output.text import last_line
from sluicegate.k8s.rules import RULES

TEXT: Final = "text"
__all__ = ["Asked", "Told", "check", "copies", "explain", "listing"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says.

    Args:
        names: files, folders, or `-`.
        format: one of FORMATS.
        out: where the report, or the copies, belong; None: the standard output.
        minimum: smallest mean BP in percent that passes.
        skip: names or numbers of checks, comma-separated.
        version: of Kubernetes; empty: the newest there are schemas of.
        validity: whether to ask what Kubernetes would refuse.
        in_place: of copies: replace the files.
    """

    names: Sequence[str] = ()
    format: str = TEXT
    out: str | None = None
    minimum: float | None = None
    skip: Sequence[str] = ()
    version: str = ""
    validity: bool = True
    in_place: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What came of it.

    Args:
        code: exit code.
        shown: for the standard output.
        beside: for the standard error.
        files: what to write: bytes, by path.
    """

    code: int
    shown: bytes = b""
    beside: str = ""
    files: Sequence[tuple[Path, bytes]] = ()


def check(asked: Asked, stdin: IO[bytes], *, colours: bool = False) -> Told:
    """The report on what is named.

    Raises:
        UserError: nothing to read, or arguments that do not fit together.
    """
    if asked.in_place:
        raise UserError("--in-place", wanted="--fix with it", seen="no --fix")
    _checked(asked.minimum)
    version, skip = chosen(asked.version, off=not asked.validity), skipped(asked.skip)
    sources = read(asked.names, stdin)
    _not_a_source(asked.out, [source.name for source in sources])
    report = [lint(source, version, skip) for source in sources]
    code = exit_code(report, asked.minimum)
    painted = colours and asked.out is None and asked.format == TEXT
    shown = text(report, colours=True) if painted else FORMATS[asked.format](report)
    if asked.out is None:
        return Told(code, shown.encode())
    return Told(code, beside=f"{last_line(report)}report: {asked.out}\n", files=[(Path(asked.out), shown.encode())])


def _checked(minimum: float | None) -> None:
    if minimum is not None and not (math.isfinite(minimum) and 0 <= minimum <= 100):
        raise UserError("--minimum", wanted="a percentage, 0 to 100", seen=f"{minimum:g}")


def _not_a_source(out: str | None, names: Sequence[str]) -> None:
    """A report does not take the place of what it reports on."""
    if out is not None and any(Path(out).resolve() == Path(name).resolve() for name in names):
        seen = "a file that is checked"
        raise UserError(f"{out}: nothing was written", wanted="another file for the report", seen=seen)


def copies(asked: Asked, stdin: IO[bytes]) -> Told:
    """Hardened copies of what is named; 10 where a flaw is left in one of them, or one is too large to be copied.

    Raises:
        UserError: as `harden`, for what only a report can have, and where everything is too large.
    """
    for name, given in (("--format", asked.format != TEXT), ("--minimum", asked.minimum is not None)):
        if given:
            raise UserError(f"{name} and --fix", wanted="one of them", seen="both")
    skip, sources = skipped(asked.skip), read(asked.names, stdin)
    if all(map(_too_large, sources)):
        wanted, seen = f"at most {Limits().bytes:,} bytes to be copied", "more of them"
        raise UserError(f"{sources[0].name}: too large; nothing was written", wanted=wanted, seen=seen)
    found = harden(sources, asked.out, in_place=asked.in_place, skip=skip)
    beside = "".join(_beside(one) for one in found if _worth_telling(one))
    left = any(one.fixed.left or one.fixed.fault for one in found)
    shown = b"".join(_content(one) for one in found if one.target is None)
    written = [one for one in found if (one.differs or not asked.in_place) and not _too_large(one.source)]
    files = [(one.target, _content(one)) for one in written if one.target is not None]
    return Told(RETRY if left else GO, shown, beside or "nothing to mend\n", files)


def _too_large(source: Source) -> bool:
    """Whether a source was read so far and no further: a copy would lose its end."""
    return len(source.data) > Limits().bytes


def _beside(one: Hardened) -> str:
    if _too_large(one.source):
        return f"{visible(one.source.name)}: too large, left as it is; at most {Limits().bytes:,} bytes are copied\n"
    return changes(one.source.name, one.fixed)


def _worth_telling(one: Hardened) -> bool:
    return bool(one.fixed.changes or one.fixed.left or one.fixed.fault)


def _content(one: Hardened) -> bytes:
    return one.fixed.text.encode() if one.differs else one.source.data


def listing(form: str) -> str:
    """The checks, and the rules of validity, as text or as JSON."""
    if form == TEXT:
        return listed()
    return json.dumps([_row(number) for number in range(len(CHECKS))], indent=2) + "\n"


def _row(place: int) -> dict[str, Any]:
    row = CHECKS[place]
    return {
        "number": row.number,
        "check": row.name,
        "group": row.group,
        "asks": row.asks,
        "why": row.why,
        "covers": list(row.covers),
        "jobs": row.jobs,
        "windows": row.windows,
        "rules": RULES[row.name],
    }
