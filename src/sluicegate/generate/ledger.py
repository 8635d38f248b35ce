"""The file of predictions: who holds it, how it was begun, which answers it has, in what order it ends.

What was answered is never asked again and never dropped: a file that does not belong to the request is
refused as it lies. Nothing here knows how answers are made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sluicegate import folder, jsonl
from sluicegate.errors import UserError, UserErrors
from sluicegate.generate.request import Key
from sluicegate.records import Prediction

ANOTHER_FILE = "give another out file, or move this one away"


def check_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a file that was begun with other settings, or that we did not begin.

    Raises:
        UserError: with the settings that differ.
    """
    if not _has_rows(out):
        return
    sidecar = _sidecar(out)
    if not sidecar.exists():
        raise UserError(
            f"{out}: holds something, and {sidecar.name} is not beside it",
            wanted="a file that generate began, with its settings beside it, or no file",
            seen=f"{out.stat().st_size} bytes of unknown origin",
            mend=ANOTHER_FILE,
        )
    begun = _read_settings(sidecar)
    other = [name for name in {**settings, **begun} if begun.get(name) != settings.get(name)]
    if other:
        raise UserError(
            f"{out}: was begun with other settings: {', '.join(other)}",
            wanted="; ".join(f"{name}={begun.get(name)}" for name in other),
            seen="; ".join(f"{name}={settings.get(name)}" for name in other),
            mend=f"go on with the settings it was begun with, or {ANOTHER_FILE}",
        )


def _read_settings(sidecar: Path) -> dict[str, Any]:
    try:
        found = json.loads(jsonl.read_text(sidecar))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise UserError(
            f"{sidecar}: damaged",
            wanted="a JSON object of settings",
            seen="something else",
            mend=ANOTHER_FILE,
        )
    return found


def write_settings(out: Path, settings: Mapping[str, Any]) -> None:
    """Record the settings, before the first answer."""
    jsonl.write_text(_sidecar(out), json.dumps(settings, indent=1, ensure_ascii=False) + "\n")


def rows(out: Path, name: str, keys: Sequence[Key]) -> dict[Key, Prediction]:
    """The predictions that the file has. A line torn by a kill is cut off.

    Args:
        out: the file.
        name: the model they must carry.
        keys: what may have been asked.

    Raises:
        UserErrors: rows of another model, of samples or draws that are not asked for, doubled or unreadable
            rows; the file stays as it is.
    """
    if not _has_rows(out):
        return {}
    try:
        jsonl.cut_torn_line(out)
    except OSError as fault:
        raise jsonl.unwritable(out, fault) from None
    found = jsonl.read(Prediction, out)
    faults = list(_strangers(out, found, name, frozenset(keys)))
    if faults:
        more = f" (first {jsonl.FAULTS_SHOWN} shown)" if len(faults) > jsonl.FAULTS_SHOWN else ""
        what = f"{out}: {len(faults)} row(s) do not belong to this request{more}; nothing was changed"
        raise UserErrors(f"{what}\n  mend:   {ANOTHER_FILE}", faults[: jsonl.FAULTS_SHOWN])
    return {(row.sample_id, row.draw): row for row in found}


def _strangers(out: Path, found: Sequence[Prediction], name: str, keys: frozenset[Key]) -> Iterator[UserError]:
    seen: Counter[Key] = Counter()
    samples = {sample for sample, _ in keys}
    for line, row in enumerate(found, start=1):
        key = row.sample_id, row.draw
        seen[key] += 1
        where = f"{out}:{line}: {row.sample_id}, draw {row.draw}"
        if row.model != name:
            yield UserError(f"{where}: of another model", wanted=name, seen=row.model)
        elif row.sample_id not in samples:
            yield UserError(f"{where}: sample is not among those asked for")
        elif key not in keys:
            yield UserError(f"{where}: more draws than asked for")
        elif seen[key] == 2:
            yield UserError(f"{where}: is there twice")


def settle(out: Path, found: Mapping[Key, Prediction], keys: Sequence[Key]) -> None:
    """Put the file into the order of `keys`, so that it does not tell how often the work was interrupted."""
    if list(found) != list(keys):
        jsonl.write(out, (found[key] for key in keys))


def _has_rows(out: Path) -> bool:
    return out.exists() and out.stat().st_size > 0


def _sidecar(out: Path) -> Path:
    return _beside(out, folder.ASKED_WITH)


def _beside(out: Path, ending: str) -> Path:
    return out.with_name(out.name + ending)
