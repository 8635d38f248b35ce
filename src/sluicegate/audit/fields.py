"""What a sample must say of itself, and must not: looked at without running anything."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from sluicegate.audit.reading import Fault, Row
from sluicegate.data.enrich import leaks_answer
from sluicegate.evaluators.answer import language_of
from sluicegate.records import Sample

DIFFICULTIES: Final = ("easy", "medium", "hard")
BUGFIX: Final = "bugfix"
REACHING: Final = {
    "python": re.compile(
        r"^\s*(?:import|from)\s+(socket|urllib|http|ftplib|smtplib|ssl|requests|httpx|aiohttp|websockets)\b", re.M
    ),
    "javascript": re.compile(
        r"""(?:\brequire\(\s*|\bfrom\s+|\bimport\s*\(?\s*)["'](?:node:)?"""
        r"""(https?|net|tls|dgram|dns|http2|axios|node-fetch|undici|ws)["']|(?<![\w.])(fetch)\(\s*["'`]https?:"""
    ),
}
"""Language → what a test that leaves the machine is known by: the tests run outside the sandbox, beside the network."""


def faults(row: Row) -> Iterator[Fault]:
    """What is wrong with the fields, the metadata and the text of the tests of one sample."""
    sample = row.sample
    for check, why in (*_fields(sample), *_leak(sample), *_network(sample)):
        yield Fault(check, row.place, sample.id, why)


def _fields(sample: Sample) -> Iterator[tuple[str, str]]:
    for name in ("language", "licence"):
        told = sample.meta.get(name)
        if not (isinstance(told, str) and told.strip()):
            yield "fields", f"meta.{name} is missing"
    difficulty = sample.meta.get("difficulty")
    if difficulty is not None and difficulty not in DIFFICULTIES:
        yield "fields", f"meta.difficulty {difficulty!r}: wanted {', '.join(DIFFICULTIES)}"
    broken = sample.meta.get("broken")
    if sample.scenario == BUGFIX and not (isinstance(broken, str) and broken.strip()):
        yield "fields", "meta.broken is missing: the program that is to be mended"
    elif isinstance(broken, str) and broken.strip() not in sample.prompt:
        yield "fields", "meta.broken is not in the prompt"


def _leak(sample: Sample) -> Iterator[tuple[str, str]]:
    if told := leaks_answer(sample):
        yield "leak", f"the metadata holds a part of the completion: {' '.join(told.split())[:100]}"


def _network(sample: Sample) -> Iterator[tuple[str, str]]:
    language = language_of(sample)
    pattern = REACHING.get("python" if language == "python" else "" if language == "sql" else "javascript")
    if pattern and (found := pattern.search(sample.tests)):
        yield "tests", f"the tests reach for the network ({next(filter(None, found.groups()))})"
