"""`sluicegate data import --format …`: the samples of a foreign data set, and a list of the rows that are none."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sluicegate.data import importers
from sluicegate.data.importers import Asked, Draft, licences
from sluicegate.data.importers.report import Fault, Report, printable, told, write
from sluicegate.data.reader import LineError, checked
from sluicegate.errors import RETRY, UserError, UserErrors
from sluicegate.jsonl import FAULTS_SHOWN, sha256
from sluicegate.records import Sample, digest

SCENARIO = re.compile(r"[a-z0-9][a-z0-9_-]*")
CODE_FORMATS = ("humaneval", "mbpp")
IDLE_BUT_FOR = {("prompt", "completion", "tests"): ("csv", "hf"), ("databases", "rows"): ("spider",)}
"""Fields of `Asked` → the formats that they are for."""
WHY_LIMIT, NAME_LIMIT = 300, 60
"""Characters of a reason, which may quote the row, and of the name of a field."""
FOREIGN_TESTS = "tests are code of the source, and run outside the sandbox: read them before the first audit"


@dataclass(frozen=True, slots=True)
class Order:
    """What is imported, and as what.

    Args:
        format: a name in `FORMATS`.
        scenario, language: of all samples; empty for those of the format.
        licence: of the samples whose source does not say.
    """

    format: str
    asked: Asked = field(default_factory=Asked)
    scenario: str = ""
    language: str = ""
    licence: str = ""


@dataclass(slots=True)
class _Found:
    """What is known so far."""

    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    noted: Counter[str] = field(default_factory=Counter)
    places: dict[str, str] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    unlicensed: str = ""


def command(
    order: Order, paths: Sequence[Path], out: Path, *, strict: bool = False, force: bool = False
) -> tuple[str, int]:
    """Import files; what to print, and the exit code: 0, or 10 where rows could not be read.

    Raises:
        UserError: a file that cannot be read at all, no row that can, no licence known, any bad row with `strict`, or
            an `out` that holds something else and no `force`; nothing is written then.
    """
    source = importers.load(order.format)
    scenario = order.scenario or source.SCENARIO
    if not SCENARIO.fullmatch(scenario):
        raise UserError(f"--scenario {scenario}: no name", wanted="small letters, digits, - and _", seen=scenario)
    _refuse_idle(order)
    found = _Found()
    for path in paths:
        beside = order.licence or licences.beside(path)
        for place, row in source.rows(path, order.asked):
            found.rows += 1
            try:
                draft = source.draft(_given(row), order.asked)
                _add(found, place, draft, _common(order, scenario, source.LANGUAGE, beside))
            except LineError as fault:
                found.faults.append(Fault(printable(place), printable(fault)[:WHY_LIMIT]))
    _refuse(found, strict=strict)
    if order.format in CODE_FORMATS:
        found.noted[FOREIGN_TESTS] = sum(bool(one.tests) for one in found.samples)
    report = Report(
        order.format, {str(path): sha256(path) if path.is_file() else "" for path in paths}, found.rows,
        {scenario: len(found.samples)}, dict(sorted(Counter(one.meta["licence"] for one in found.samples).items())),
        tuple(found.faults), noted=dict(sorted(found.noted.items())),
    )  # fmt: skip
    write(out, {scenario: found.samples}, report, force=force)
    return told(out, report), RETRY if found.faults else 0


def _refuse_idle(order: Order) -> None:
    """Options that say nothing to this format."""
    asked, usual = order.asked, Asked()
    for names, formats in IDLE_BUT_FOR.items():
        given = [name for name in names if getattr(asked, name) != getattr(usual, name)]
        if given and order.format not in formats:
            raise UserError(
                f"data import: {given[0]} says nothing to --format {order.format}",
                wanted=f"--format {' or '.join(formats)}", seen=f"--format {order.format}",
            )  # fmt: skip


def _given(row: Mapping[str, Any] | LineError) -> Mapping[str, Any]:
    if isinstance(row, LineError):
        raise row
    return row


def _common(order: Order, scenario: str, language: str, licence: str) -> dict[str, str]:
    return {"scenario": scenario, "language": order.language or language, "licence": licence}


def _add(found: _Found, place: str, draft: Draft, common: Mapping[str, str]) -> None:
    """Take in a row.

    Raises:
        LineError: no sample can be made of it, or its id is used before.
    """
    language, licence = draft.language or common["language"], draft.licence or common["licence"]
    file, _, line = place.rpartition(":")
    name = Path(file if line.isdecimal() else place).name
    meta = {
        **({"language": language} if language else {}), "licence": licence,
        "source": f"{name}:{line}" if line.isdecimal() else name,
        **({"group": draft.group} if draft.group else {}), **draft.meta,
    }  # fmt: skip
    fields = {"prompt": draft.prompt, "completion": draft.completion, "tests": draft.tests, "meta": meta}
    checked(fields if not draft.id else {**fields, "id": draft.id})
    sample = Sample(
        id=draft.id or _derived(found, draft), prompt=draft.prompt, completion=draft.completion,
        scenario=common["scenario"], tests=draft.tests, meta=meta,
    )  # fmt: skip
    if sample.id in found.places:
        raise LineError(f"id {sample.id!r} is used before, at {found.places[sample.id]}")
    if not licence:
        found.unlicensed = found.unlicensed or place
    found.places[sample.id] = place
    found.samples.append(sample)
    found.noted.update(draft.noted)
    found.noted.update(f"field not used: {printable(name)[:NAME_LIMIT]}" for name in draft.unused)


def _derived(found: _Found, draft: Draft) -> str:
    """A repeatable id from the content; repeats of it get `-2`, `-3` and so on."""
    short = digest([draft.prompt, draft.completion, draft.tests])[:16]
    found.repeats[short] += 1
    if found.repeats[short] == 1:
        return short
    found.noted["the same content as a row before"] += 1
    return f"{short}-{found.repeats[short]}"


def _refuse(found: _Found, *, strict: bool) -> None:
    """Stop before anything is written, where there is a reason to."""
    faults = [UserError(f"{fault.place}: {fault.why}") for fault in found.faults[:FAULTS_SHOWN]]
    more = f" (first {FAULTS_SHOWN} shown)" if len(found.faults) > FAULTS_SHOWN else ""
    if faults and (strict or not found.samples):
        count = f"{len(found.faults)} of {found.rows} rows"
        raise UserErrors(f"data import: {count} cannot be read{more}; nothing was written", faults)
    if not found.samples:
        raise UserError("data import: no rows; nothing was written", wanted="at least one row", seen="none")
    if found.unlicensed:
        raise UserError(
            f"data import: the licence of {found.unlicensed} is not known; nothing was written",
            wanted="--licence SPDX, a field `licence`, or a licence file beside the source", seen="none of them",
            mend="find it on the source's page and say it: --licence MIT",
        )  # fmt: skip
