"""Where the answers fall short: by what was asked for, and by the reasons that the evaluators give.

Of each answer the first metric with the score 0 says why it failed; the names of failed checks, which an evaluator
lists, count one by one. Counts are of all draws of all models of an arm. Nothing here decides.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sluicegate import folder as layout
from sluicegate.jsonl import read
from sluicegate.records import Sample, Score
from sluicegate.report.clean import NONE, one_line
from sluicegate.report.reader import Reader

TITLE: Final = "Where answers fall short"
NOTE: Final = (
    "Shares of an arm's answers. A failure is an answer that a metric gives 0, told by its first such metric; a check "
    "is one that an evaluator names as failed. Names of kinds are those of the reference."
)
MOST: Final = 12
"""Rows of each table, the most frequent ones."""
NAMES = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+(?:, [a-z][a-z0-9]*(?:_[a-z0-9]+)+)*")
"""Names of checks, as evaluators list them."""
FIGURES = re.compile(r"\d\.\d")
"""In a reason that only says how much."""


@dataclass(frozen=True, slots=True)
class Part:
    """One table: a name, and a cell for each arm, a row."""

    title: str
    arms: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class _Answer:
    """What is known of one answer: the primary score, why it failed, and the checks that it failed."""

    sample: str
    value: float | None
    why: str
    checks: frozenset[str]


def find(reader: Reader, models: Sequence[str], primary: str, manifest: Mapping[str, object]) -> tuple[Part, ...]:
    """The tables of a run folder; those without a row are left out.

    Args:
        models: names, in the order that arms are shown.
        primary: the metric whose mean is told by kind.
    """
    if not manifest:
        return ()
    arms: dict[str, list[_Answer]] = defaultdict(list)
    for name in models:
        path = f"{layout.SCORES}/{name}.jsonl"
        arms[name.rpartition("-s")[0] or name] += reader.read(path, lambda file: _answers(file, primary), [])
    arms = {arm: rows for arm, rows in arms.items() if rows}
    if not arms:
        return ()
    kinds = _kinds(reader)
    by_kind = _means(arms, kinds)
    failed = _shares({arm: [[row.why] if row.why else [] for row in rows] for arm, rows in arms.items()})
    checks = _shares({arm: [sorted(row.checks) for row in rows] for arm, rows in arms.items()})
    parts = (
        Part(f"{one_line(primary, 40)}, mean by kind", tuple(arms), by_kind),
        Part("failed", tuple(arms), failed),
        Part("failed check", tuple(arms), checks),
    )
    return tuple(part for part in parts if part.rows)


def _answers(path: Path, primary: str) -> list[_Answer]:
    found: dict[tuple[str, str, int], list[Score]] = defaultdict(list)
    for row in read(Score, path):
        found[row.model, row.sample_id, row.draw].append(row)
    return [_answer(rows, primary) for rows in found.values()]


def _answer(rows: Sequence[Score], primary: str) -> _Answer:
    told = [row for row in rows if row.value is not None and row.value < 1.0]
    lists = [row.why for row in told if NAMES.fullmatch(row.why)]
    why = next((reason(row.why) for row in told if row.value == 0.0 and row.why not in lists and reason(row.why)), "")
    value = next((row.value for row in rows if row.metric == primary), None)
    return _Answer(rows[0].sample_id, value, why, frozenset(name for text in lists for name in text.split(", ")))


def reason(why: str) -> str:
    """A reason without what differs from answer to answer; empty where it only says how much.

    >>> reason("line 3: spec.ports[0].prt: wanted one of port, seen an unknown field")
    'spec.ports.prt: wanted one of port'
    >>> reason("line 2: syntax: while parsing a flow sequence"), reason("quality 0.00 × intent fidelity 0.00")
    ('syntax: while parsing a flow sequence', '')
    >>> reason("2 of 18 facts, 1 object too many")
    '# of # facts, # object too many'
    """
    if FIGURES.search(why):
        return ""
    text = re.sub(r"^line \d+: |\[\d+\]", "", why).split(", seen ")[0]
    return one_line(re.sub(r"\b\d+\b", "#", text), 90)


def _kinds(reader: Reader) -> dict[str, str]:
    """Sample → the first kind of its reference; nothing for samples that tell of none."""
    name, samples = f"{layout.DATA}/test.jsonl", list[Sample]()
    if (reader.root / name).exists():
        samples = reader.read(name, lambda path: list(read(Sample, path)), samples)
    return {row.id: str(kinds[0]) for row in samples if isinstance(kinds := row.meta.get("kinds"), list) and kinds}


def _means(arms: Mapping[str, Sequence[_Answer]], kinds: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """The mean of the primary metric for each kind, the most frequent ones first."""
    counts = Counter(kinds.values())
    return tuple(
        (f"{one_line(kind, 40)} ({count:,})", *(_mean(rows, kind, kinds) for rows in arms.values()))
        for kind, count in sorted(counts.items(), key=lambda row: (-row[1], row[0]))[:MOST]
    )


def _mean(rows: Iterable[_Answer], kind: str, kinds: Mapping[str, str]) -> str:
    values = [row.value for row in rows if row.value is not None and kinds.get(row.sample) == kind]
    return f"{sum(values) / len(values):.1%}" if values else NONE


def _shares(arms: Mapping[str, Sequence[Sequence[str]]]) -> tuple[tuple[str, ...], ...]:
    """Name → the share of each arm's answers that it is said of, the most frequent ones first."""
    counted = {arm: Counter(name for names in rows for name in names) for arm, rows in arms.items()}
    every = sum(counted.values(), Counter[str]())
    return tuple(
        (name, *(f"{counted[arm][name] / len(rows):.1%}" for arm, rows in arms.items()))
        for name, _ in sorted(every.items(), key=lambda row: (-row[1], row[0]))[:MOST]
    )
