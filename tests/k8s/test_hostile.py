"""Hostile texts through everything that reads one: no exception, and nothing that takes for ever.

All of them, and the limits of a second and 200 MB, are the business of benchmarks/k8s_fuzz.py; this is what a test
suite has the time for, and a busy machine can only tell a second from many.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hostile_manifests
from sluicegate.k8s.codebleu import codebleu
from sluicegate.k8s.fidelity import fidelity
from sluicegate.k8s.fix import fix
from sluicegate.k8s.lint import Source, lint
from sluicegate.k8s.output import FORMATS
from sluicegate.k8s.parse import parse
from sluicegate.k8s.score import score
from sluicegate.k8s.validity import validity

PATIENCE = 8.0
"""Processor seconds; what is to take one."""
REFERENCE = hostile_manifests.PASSING
PARTS: dict[str, Callable[[str], Any]] = {
    "score": lambda text: score(text, REFERENCE),
    "fix": fix,
    "codebleu": lambda text: codebleu(text, REFERENCE),
    "fidelity": lambda text: fidelity(text, REFERENCE),
    "fidelity to it": lambda text: fidelity(REFERENCE, text),
}
WORST = (
    "alias bomb of texts", "merges of merges", "5,000 deep mappings", "many pods that share a context",
    "containers with roots", "surrogates",
)  # fmt: skip
QUICK = sorted({*list(hostile_manifests.CASES)[::6], *WORST})


def as_bytes(data: str | bytes) -> bytes:
    return data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data


def as_text(data: str | bytes) -> str:
    return data if isinstance(data, str) else data.decode("utf-8", "surrogateescape")


@pytest.mark.parametrize("name", QUICK)
def test_the_linter_takes_what_it_gets(name: str) -> None:
    data = as_bytes(hostile_manifests.CASES[name]())
    assert 0 < len(data) <= hostile_manifests.MOST
    started = time.process_time()
    linted = lint(Source("-", data), "")
    assert time.process_time() - started < PATIENCE
    assert linted.faults or linted.problems or linted.judged or linted.objects


@pytest.mark.parametrize("name", WORST)
@pytest.mark.parametrize("part", PARTS)
def test_so_do_the_others(part: str, name: str) -> None:
    text = as_text(hostile_manifests.CASES[name]())
    started = time.process_time()
    PARTS[part](text)
    assert time.process_time() - started < PATIENCE


@pytest.mark.parametrize("name", FORMATS)
def test_and_every_format(name: str) -> None:
    names = ("5,000 deep mappings", "containers with roots", "a name of dashes", "turned lines", "a long secret")
    report = [lint(Source(case, as_bytes(hostile_manifests.CASES[case]())), "") for case in names]
    told = FORMATS[name](report)
    assert not {sign for sign in told if not sign.isprintable() and sign != "\n"}


def test_bytes_changed_at_random() -> None:
    readable = 0
    for data in hostile_manifests.at_random(seed=1, count=200):
        linted = lint(Source("-", data), "")
        readable += not any(fault.fatal for fault in linted.faults)
        text = as_text(data)
        for part in PARTS.values():
            part(text)
    assert 10 < readable < 190  # both sides of the parser are met


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.integers(0, 1500), st.integers(0, 40))
def test_anything_put_into_a_manifest(text: str, start: int, length: int) -> None:
    whole = REFERENCE[:start] + text + REFERENCE[start + length :]
    lint(Source("-", whole.encode("utf-8", "surrogatepass")), "")
    assert validity(whole).parses == parse(whole).ok
    for part in PARTS.values():
        part(whole)
