"""`sluicegate data audit`: reads a folder, tries every sample on all cores, and says what is wrong."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sluicegate.audit import fields, lengths, near, reading
from sluicegate.audit.lengths import Lengths
from sluicegate.audit.near import Pair
from sluicegate.audit.reading import Fault, Row
from sluicegate.audit.trials import Trial, trial
from sluicegate.console import Progress
from sluicegate.data.k8s.near import NEAR
from sluicegate.errors import RETRY, UserError
from sluicegate.evaluators.answer import in_a_line

SHIPPED: Final = Path("datasets")
SHARES: Final = {"easy": 0.3, "medium": 0.5, "hard": 0.2}
"""Of each scenario of the shipped folder; elsewhere the counts are told and no more."""
UNGRADED: Final = frozenset({"kubernetes"})
"""Scenarios of the shipped folder whose samples come from a grammar and have no difficulty."""
KILLED: Final = 0.85
"""The least share of mutants that the tests of a data set must kill."""
MUTANTS: Final = 8


@dataclass(frozen=True, slots=True)
class Audit:
    """All that was found out.

    Args:
        trials: of the rows, in their order.
        faults: what is not as it must be; an audit without any has passed.
        pairs: near-duplicates, those too that are kept apart by group.
        lengths: scenario → lengths by each tokenizer.
    """

    folder: Path
    rows: Sequence[Row]
    trials: Sequence[Trial]
    faults: Sequence[Fault]
    pairs: Sequence[Pair]
    lengths: Mapping[str, Sequence[Lengths]]


def command(
    folder: Path | None,
    *,
    scenario: str | None = None,
    workers: int | None = None,
    mutants: int = MUTANTS,
    tokenizers: Sequence[Path] = (),
    as_json: bool = False,
) -> tuple[str, int]:
    """What is to be printed, and the exit code: 0, or 10 where there is something to mend.

    Args:
        folder: None for `datasets`.
        scenario: only this one.
        workers: samples tried at once; None for one a core.
        mutants: changed references a sample, at most.
        tokenizers: folders of tokenizers to measure lengths with, in the place of the estimates.

    Raises:
        UserError: nothing to audit, a number that makes no sense, or no such tokenizer.
    """
    for name, number in (("workers", workers), ("mutants", mutants)):
        if number is not None and number < 1:
            raise UserError(f"--{name}: too small", wanted="a whole number ≥ 1", seen=str(number))
    found = audit(folder or SHIPPED, scenario, workers, mutants, lengths.counters(tokenizers))
    text = json.dumps(_as_json(found), ensure_ascii=False, indent=1) if as_json else _as_text(found)
    return text, RETRY if found.faults else 0


def audit(
    folder: Path, scenario: str | None, workers: int | None, mutants: int, counters: Mapping[str, lengths.Count]
) -> Audit:
    """Audit a folder.

    Raises:
        UserError: nothing to audit.
    """
    rows, faults = reading.read(folder, scenario)
    for row in rows:
        faults += fields.faults(row)
    pairs = near.pairs(rows)
    faults += [_of_pair(pair) for pair in pairs if not pair.apart]
    trials = _tried(rows, workers or _cores(), mutants)
    for row, found in zip(rows, trials, strict=True):
        told = [*found.faults, *([f"not judged: {found.unjudged}"] if found.unjudged and row.sample.tests else [])]
        faults += [Fault("tests", row.place, row.sample.id, why) for why in told]
    faults += _of_set(folder, rows, trials)
    measured = {
        name: [one for by, count in counters.items() if (one := lengths.measured(part, by, count))]
        for name, part in _by_scenario(rows).items()
    }
    return Audit(folder, rows, trials, faults, pairs, measured)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _tried(rows: Sequence[Row], workers: int, mutants: int) -> list[Trial]:
    found: dict[int, Trial] = {}
    pool, stop = ThreadPoolExecutor(workers), threading.Event()
    try:
        work = {pool.submit(trial, row.sample, mutants, stop): place for place, row in enumerate(rows)}
        with Progress("audit", len(rows)) as progress:
            for done, future in enumerate(as_completed(work), start=1):
                found[work[future]] = future.result()
                progress.update(done)
    finally:
        stop.set()
        pool.shutdown(wait=True, cancel_futures=True)
    return [found[place] for place in range(len(rows))]


def _by_scenario(rows: Iterable[Row]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.sample.scenario, []).append(row)
    return found


def _of_pair(pair: Pair) -> Fault:
    where = f"both in {pair.splits}" if pair.splits and "-" not in pair.splits else pair.splits
    other = f"{pair.one.sample.id} ({pair.one.place})"
    why = f"the {pair.what} is {pair.similarity:.0%} that of {other}{f', {where}' if where else ''}"
    return Fault("near", pair.two.place, pair.two.sample.id, why)


def _of_set(folder: Path, rows: Sequence[Row], trials: Sequence[Trial]) -> list[Fault]:
    """Faults of the data set as a whole."""
    made, killed = _mutants(trials)
    faults = []
    if made and killed < KILLED * made:
        why = f"the tests kill {killed} of {made} mutants, {killed / made:.1%}; wanted {KILLED:.0%} or more"
        faults.append(Fault("mutants", str(folder), "", why))
    for name, part in _by_scenario(rows).items() if folder.resolve() == SHIPPED.resolve() else ():
        seen = reading.difficulties(part)
        if name not in UNGRADED and any(seen[one] != round(share * len(part)) for one, share in SHARES.items()):
            wanted = ", ".join(f"{round(share * len(part))} {one}" for one, share in SHARES.items())
            faults.append(Fault("fields", f"{folder}/{name}", "", f"{_counted(seen)}; wanted {wanted}"))
    return faults


def _mutants(trials: Iterable[Trial]) -> tuple[int, int]:
    """How many were tried, and killed."""
    trials = list(trials)
    made = sum(one.mutants for one in trials)
    return made, made - sum(len(one.alive) for one in trials)


def _counted(seen: Counter[str]) -> str:
    return ", ".join(f"{seen[name]} {name}" for name in (*fields.DIFFICULTIES, "not told") if seen[name]) or "none"


def _as_text(found: Audit) -> str:
    """A line a sample, what survived beneath it, the figures of each scenario, and at last the faults."""
    lines = []
    for row, one in zip(found.rows, found.trials, strict=True):
        if one.mutants:
            lines.append(f"{row.sample.id}: {one.mutants - len(one.alive)} of {one.mutants} mutants killed")
            lines += [f"  alive: {told}" for told in one.alive]
    tried = {id(row): one for row, one in zip(found.rows, found.trials, strict=True)}
    for name, part in _by_scenario(found.rows).items():
        lines += ["", f"{name or '(no scenario)'}: {len(part)} samples; {_counted(reading.difficulties(part))}"]
        lines.append(f"  {_killed([tried[id(row)] for row in part])}")
        lines += [
            f"  tokens, {one.by}: prompt {_range(one.prompt)}, completion {_range(one.completion)}; "
            f"longest together {one.most:,} ({one.longest})"
            for one in found.lengths[name]
        ]
    unjudged = Counter(one.unjudged for one in found.trials if one.unjudged)
    lines += ["", *(f"not tried: {count} samples: {why}" for why, count in unjudged.items())]
    apart = sum(pair.apart for pair in found.pairs)
    lines.append(f"near-duplicates from {NEAR:.0%}: {len(found.pairs) - apart}, and {apart} kept apart by group")
    lines.append(f"all: {len(found.rows)} samples; {_killed(found.trials)}")
    lines.append(f"faults: {len(found.faults)}")
    lines += [f"  {in_a_line(fault.told)}" for fault in found.faults]
    return "\n".join(lines)


def _killed(trials: Sequence[Trial]) -> str:
    made, killed = _mutants(trials)
    tested = sum(1 for one in trials if not one.faults and not one.unjudged)
    return f"{tested} with sound tests" + (f"; {killed} of {made} mutants killed, {killed / made:.1%}" if made else "")


def _range(spread: tuple[int, int, int]) -> str:
    return f"{spread[0]:,}-{spread[2]:,}, median {spread[1]:,}"


def _as_json(found: Audit) -> dict[str, Any]:
    made, killed = _mutants(found.trials)
    tried = zip(found.rows, found.trials, strict=True)
    return {
        "folder": str(found.folder),
        "mutants": made,
        "killed": killed,
        "faults": [{**asdict(one), "why": in_a_line(one.why)} for one in found.faults],
        "scenarios": {
            name: {
                "samples": len(part),
                "difficulty": dict(reading.difficulties(part)),
                "tokens": [asdict(one) for one in found.lengths[name]],
            }
            for name, part in _by_scenario(found.rows).items()
        },
        "near": [
            {
                "what": pair.what, "one": pair.one.sample.id, "two": pair.two.sample.id, "splits": pair.splits,
                "similarity": pair.similarity, "apart": pair.apart,
            }
            for pair in found.pairs
        ],
        "samples": [
            {
                "id": row.sample.id, "place": row.place, "scenario": row.sample.scenario, "split": row.split,
                **asdict(one),
            }
            for row, one in tried
        ],
    }  # fmt: skip
