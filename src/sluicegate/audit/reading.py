"""The samples of a folder as they lie there: what can be read of each file, and a fault for each line that cannot.

Where `reader` refuses a file for one bad line, an audit goes on: the rest is looked at as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sluicegate.data import manifest
from sluicegate.data.reader import examined
from sluicegate.data.sources import FILE, available
from sluicegate.data.splits import split
from sluicegate.errors import UserError
from sluicegate.records import Sample

BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    """One sample and where it lies.

    Args:
        place: `file:line`.
        split: `train`, `val` or `test`: the file's own, or that of the 70/15/15 split with seed 0; empty where neither.
    """

    place: str
    sample: Sample
    split: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is not as it must be.

    Args:
        check: what was looked at: `file`, `id`, `fields`, `leak`, `tests`, `mutants` or `near`.
        place: `file:line`, or the folder.
        id: of the sample, where it has one.
        why: in words, on one line.
    """

    check: str
    place: str
    id: str
    why: str

    @property
    def told(self) -> str:
        """On one line."""
        return f"{self.place}: {f'{self.id}: ' if self.id else ''}{self.check}: {self.why}"


def read(folder: Path, scenario: str | None = None) -> tuple[list[Row], list[Fault]]:
    """All readable samples of a folder or file, and a fault for all that is not as it must be read.

    Args:
        folder: with `<scenario>/samples.jsonl`, or one that `sluicegate data` wrote, or a file.
        scenario: only this one; all where None.

    Raises:
        UserError: no such folder, no samples file in it, or no such scenario.
    """
    rows: list[Row] = []
    faults: list[Fault] = []
    for path, name, part in _files(folder, scenario):
        faults += _spelling(path)
        samples, bad = examined(path)
        faults += [Fault("file", str(path) if line is None else f"{path}:{line}", "", why) for line, why in bad]
        faults += [
            Fault("fields", f"{path}:{line}", sample.id, f"scenario {sample.scenario}, in the folder of {name}")
            for line, sample in samples
            if name and sample.scenario not in ("", name)
        ]
        rows += [Row(f"{path}:{line}", replace(one, scenario=one.scenario or name), part) for line, one in samples]
    if scenario is not None:
        rows = [row for row in rows if row.sample.scenario == scenario]
    return _with_splits(rows), [*faults, *_shared_ids(rows)]


def _files(folder: Path, scenario: str | None) -> list[tuple[Path, str, str]]:
    """Path, scenario and split of each file."""
    if folder.is_file():
        return [(folder, "", "")]
    names = available(folder)
    if scenario is not None and names and scenario not in names:
        raise UserError(f"{folder}: no scenario {scenario}", wanted=", ".join(names), seen=scenario)
    if names:
        return [(folder / name / FILE, name, "") for name in names if scenario in (None, name)]
    if found := list(_built(folder)):
        return found
    raise UserError(
        f"{folder}: no samples",
        wanted=f"{folder}/<scenario>/{FILE}, a folder that `sluicegate data` wrote, or a file",
        seen="no such folder" if not folder.exists() else "no such file in it",
    )


def _built(folder: Path) -> Iterator[tuple[Path, str, str]]:
    """The files of one arm, since the others have the same items."""
    if not (folder / manifest.NAME).is_file():
        return
    for part in ("train", "val", "test"):
        found = sorted(folder.glob(f"*-{part}.jsonl")) if part != "test" else []
        path = found[0] if found else folder / f"{part}.jsonl"
        if path.is_file():
            yield path, "", part


def _spelling(path: Path) -> Iterator[Fault]:
    """A byte-order mark and CRLF: readable, and still not what the files are written in."""
    try:
        raw = path.read_bytes()
    except OSError:
        return
    if raw.startswith(BOM):
        yield Fault("file", f"{path}:1", "", "begins with a byte-order mark; wanted UTF-8 without one")
    lines = [number for number, line in enumerate(raw.split(b"\n"), start=1) if line.endswith(b"\r")]
    if lines:
        more = f" and {len(lines) - 1} more" if len(lines) > 1 else ""
        yield Fault("file", f"{path}:{lines[0]}", "", f"the line{more} ends in CRLF; wanted LF alone")


def _with_splits(rows: Sequence[Row]) -> list[Row]:
    """The rows with the split that `sluicegate data all` puts each of them in, where the files do not say."""
    if any(row.split for row in rows):
        return list(rows)
    places: Mapping[int, str] = {}
    try:
        dealt = split([row.sample for row in rows], seed=0)
    except UserError:  # too few for three splits
        return list(rows)
    places = {
        id(one): name
        for name, part in (("train", dealt.train), ("val", dealt.val), ("test", dealt.test))
        for one in part
    }
    return [replace(row, split=places.get(id(row.sample), "")) for row in rows]


def _shared_ids(rows: Sequence[Row]) -> Iterator[Fault]:
    """An id that another file of the folder uses; within a file the reader has told."""
    first: dict[str, str] = {}
    for row in rows:
        before = first.get(row.sample.id)
        if before is not None and before.rpartition(":")[0] != row.place.rpartition(":")[0]:
            yield Fault("id", row.place, row.sample.id, f"the id is used before, at {before}")
        first.setdefault(row.sample.id, row.place)


def difficulties(rows: Sequence[Row]) -> Counter[str]:
    """How many samples of each difficulty."""
    return Counter(str(row.sample.meta.get("difficulty") or "not told") for row in rows)
