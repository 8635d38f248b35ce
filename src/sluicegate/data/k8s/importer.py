"""Data sets that others made: `train_data.json` and `test_data.json`, lists of {"intent", "yaml"}, as samples.

Every bad item is reported with `file:line`, a manifest that cannot be parsed among them, and then nothing is read. A
manifest that parses but is not valid is kept and counted: it is what the data set holds, and a study should know. What
the training file gives away of the test file is reported and not mended, since the split is the owner's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sluicegate.data.k8s import SCENARIO
from sluicegate.data.k8s.pairs import LANGUAGE
from sluicegate.data.reader import read_lines
from sluicegate.errors import UserError, UserErrors
from sluicegate.jsonl import FAULTS_SHOWN
from sluicegate.k8s.objects import objects
from sluicegate.k8s.parse import Parsed, parse
from sluicegate.k8s.validity import validity
from sluicegate.records import Sample


@dataclass(frozen=True, slots=True)
class Imported:
    """The samples of one or two files, ids unique over both.

    Args:
        test: empty where there was one file.
        noted: what is wrong with some references → how many; they are kept.
    """

    train: tuple[Sample, ...]
    test: tuple[Sample, ...]
    noted: Mapping[str, int]


def load(paths: Sequence[Path]) -> Imported:
    """Read a training file, and a test file where there are two.

    Raises:
        UserError: not one or two files, a bad item (all of them in one go, with file and line), or an item of a
            scenario other than Kubernetes.
    """
    if not 1 <= len(paths) <= 2:
        seen = f"{len(paths)} files"
        raise UserError("--import: which files?", wanted="TRAIN, or TRAIN and TEST", seen=seen)
    parts: list[tuple[Sample, ...]] = []
    faults: list[UserError] = []
    for path, prefix in zip(paths, ("", "test-"), strict=False):
        rows = read_lines(path)
        faults += _faults(path, rows)
        parts.append(tuple(_ours(sample, path, line) for line, sample in rows))
        if prefix:
            parts[-1] = _apart(parts[-1], parts[0], prefix)
    if faults:
        more = f" (first {FAULTS_SHOWN} shown)" if len(faults) > FAULTS_SHOWN else ""
        raise UserErrors(f"--import: {len(faults)} bad items{more}; nothing was read", faults[:FAULTS_SHOWN])
    train, test = parts[0], parts[1] if len(parts) > 1 else ()
    noted = Counter(why for sample in (*train, *test) if (why := _wrong(sample)))
    return Imported(train, test, dict(sorted(noted.items())))


def _faults(path: Path, rows: Sequence[tuple[int, Sample]]) -> list[UserError]:
    found = []
    for line, sample in rows:
        parsed = parse(sample.completion)
        if not parsed.ok:
            fault = parsed.faults[-1]
            where = f" (line {fault.line} of the manifest)" if fault.line else ""
            found.append(UserError(f"{path}:{line}: the yaml cannot be parsed{where}: {fault.what}"))
        elif not _any_object(parsed):
            found.append(UserError(f"{path}:{line}: the yaml holds no Kubernetes object"))
        elif sample.scenario not in ("", SCENARIO):
            found.append(UserError(f"{path}:{line}: scenario {sample.scenario!r}, wanted {SCENARIO} or none"))
    return found


def _any_object(parsed: Parsed) -> bool:
    return bool(objects(parsed))


def _ours(sample: Sample, path: Path, line: int) -> Sample:
    kinds = [each.kind for each in objects(parse(sample.completion))]
    meta = {"language": LANGUAGE, "kinds": kinds, "source": {"file": path.name, "line": line}, **sample.meta}
    return replace(sample, scenario=SCENARIO, meta=meta)


def _apart(samples: Sequence[Sample], others: Sequence[Sample], prefix: str) -> tuple[Sample, ...]:
    """Samples whose ids the others do not use."""
    taken = {sample.id for sample in others}
    return tuple(replace(one, id=f"{prefix}{one.id}") if one.id in taken else one for one in samples)


def _wrong(sample: Sample) -> str:
    """What keeps a reference from being valid, in a word; empty where it is."""
    told = validity(sample.completion)
    if told.unknown:
        return "a kind without a schema"
    if not told.strict:
        return "against its schema"
    return "" if told.clean else "against a semantic rule"
