"""`sluicegate data enrich`: the samples of a file or folder again, with the metadata that their answers tell."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from sluicegate.data.enrich import FIELDS, leaks_answer
from sluicegate.data.manifest import write_new
from sluicegate.data.reader import read_lines
from sluicegate.data.sources import FILE, available
from sluicegate.errors import UserError, UserErrors
from sluicegate.evaluators.answer import language_of
from sluicegate.metadata import LANGUAGES, derived
from sluicegate.records import Sample, to_json

SHOWN = 5


def command(source: Path, out: Path, *, force: bool = False) -> str:
    """Enrich, and tell what was filled in; a folder becomes a folder, a file a file.

    Raises:
        UserError: a source that cannot be read, authored metadata that gives an answer away (all of it is told), or
            an `out` that holds something else and no `force`; nothing is written then.
    """
    read = {path: read_lines(path) for path in _files(source)}
    faults = [
        UserError(f"{path}:{line}: {sample.id}: the metadata gives the answer away", seen=leak)
        for path, rows in read.items()
        for line, sample in rows
        if (leak := leaks_answer(sample))
    ]
    if faults:
        raise UserErrors(f"{source}: {len(faults)} samples cannot be enriched; nothing was written", faults)
    filled: Counter[str] = Counter()
    unread: list[str] = []
    texts = {}
    for path, rows in read.items():
        scenario = path.parent.name if source.is_dir() else ""
        told = [_enriched(sample, scenario, filled, unread) for _, sample in rows]
        texts[out / path.relative_to(source) if source.is_dir() else out] = "".join(f"{to_json(one)}\n" for one in told)
    write_new(texts, force=force)
    return _told(out, sum(map(len, read.values())), filled, unread)


def _files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    if not (names := available(source)):
        raise UserError(f"{source}: no samples", wanted=f"{source}/<scenario>/{FILE}, or a file", seen="none in it")
    return [source / name / FILE for name in names]


def _enriched(sample: Sample, scenario: str, filled: Counter[str], unread: list[str]) -> Sample:
    """The sample with more metadata; one that cannot be parsed stays as it is and is noted."""
    try:
        found = derived(replace(sample, scenario=sample.scenario or scenario))
    except KeyError:
        known = ", ".join(LANGUAGES)
        unread.append(f"{sample.id}: language {language_of(sample) or 'not named'}, known are {known}")
        return sample
    except ValueError as fault:
        unread.append(f"{sample.id}: {fault}")
        return sample
    filled.update(found.keys())
    return replace(sample, meta={**sample.meta, **found})


def _told(out: Path, samples: int, filled: Counter[str], unread: list[str]) -> str:
    counts = ", ".join(f"{name} {filled[name]}" for name in FIELDS if filled[name])
    lines = [f"{out}: {samples} samples; filled in: {counts or 'nothing'}"]
    lines += [f"  not parsed: {one}" for one in unread[:SHOWN]]
    if len(unread) > SHOWN:
        lines.append(f"  not parsed: {len(unread) - SHOWN} more")
    return "\n".join(lines)
