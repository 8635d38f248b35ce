"""What an import found: the samples of each scenario, and beside them `import.json`, which says what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluicegate.data.manifest import write_new
from sluicegate.data.sources import FILE
from sluicegate.records import Sample, to_json

NAME = "import.json"
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Fault:
    """A row that could not be read: where (`file:line`), and why."""

    place: str
    why: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """What was left out for one reason: how often, and the first places."""

    count: int
    first: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """The content of `import.json`.

    Args:
        format: of the source, or `git`.
        source: files as they were named, each with its SHA-256 (empty for a folder); or a repository and its commit.
        rows: in the source.
        samples: scenario → how many.
        licences: SPDX identifier → samples.
        faults: rows that could not be read.
        skipped: reason → what was left out on purpose.
        noted: remark → samples it holds for.
    """

    format: str
    source: Mapping[str, str]
    rows: int
    samples: Mapping[str, int]
    licences: Mapping[str, int]
    faults: tuple[Fault, ...] = ()
    skipped: Mapping[str, Skipped] = field(default_factory=dict)
    noted: Mapping[str, int] = field(default_factory=dict)


def write(out: Path, samples: Mapping[str, Sequence[Sample]], report: Report, *, force: bool) -> None:
    """Write `<scenario>/samples.jsonl`, then the report.

    Raises:
        UserError: other data is there and no `force`; nothing is written then.
    """
    texts = {out / name / FILE: "".join(f"{to_json(one)}\n" for one in part) for name, part in samples.items()}
    write_new({**texts, out / NAME: to_json(report, indent=2) + "\n"}, force=force)


def told(out: Path, report: Report) -> str:
    """The report in a few lines."""
    licences = ", ".join(f"{name} {count}" for name, count in report.licences.items())
    lines = [f"{out / name / FILE}  {count} samples" for name, count in report.samples.items()]
    lines.append(f"rows: {report.rows}, samples: {sum(report.samples.values())}; licences: {licences}")
    lines += [f"  noted: {what}: {count}" for what, count in report.noted.items()]
    lines += [f"  left out: {what}: {one.count} (first: {one.first[0]})" for what, one in report.skipped.items()]
    lines += [f"  not read: {fault.place}: {fault.why}" for fault in report.faults[:SHOWN]]
    if len(report.faults) > SHOWN:
        lines.append(f"  not read: {len(report.faults) - SHOWN} more")
    return "\n".join([*lines, f"all of it: {out / NAME}"])


def printable(text: Any) -> str:
    r"""Text that any file can hold: bytes that were no UTF-8, and other signs that do not print, are escaped.

    >>> printable("a\udcff\n")
    'a\\udcff\\n'
    """
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in str(text))
