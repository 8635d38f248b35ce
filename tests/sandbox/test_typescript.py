"""TypeScript answers: translated, then judged as JavaScript."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sluicegate.sandbox import Limits, Outcome, packages, typescript

pytestmark = pytest.mark.process
GENEROUS = Limits(wall_s=60, cpu_s=30)
RIGHT = """\
export type Shape = { kind: "square"; side: number } | { kind: "circle"; radius: number };
export enum Unit { Metre = 1, Foot }
export class Box<T> { constructor(private readonly value: T) {} get(): T { return this.value; } }
export function area(shape: Shape): number {
  return shape.kind === "square" ? shape.side ** 2 : Math.PI * shape.radius ** 2;
}
"""
TESTS = """\
const square = { kind: "square", side: 3 } as const;
assert.strictEqual(area(square), 9);
assert.strictEqual(new Box<number>(4).get(), 4);
assert.strictEqual(Unit.Foot, 2);
assert.strictEqual(await Promise.resolve(1 as number), 1);
"""


@pytest.fixture(autouse=True)
def esbuild() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    try:
        packages.installed()
    except packages.MissingError as fault:
        pytest.skip(f"the locked node packages cannot be had: {fault}")


@pytest.mark.parametrize(
    ("program", "kind", "why"),
    [
        (RIGHT, "pass", ""),
        (RIGHT.replace("side ** 2", "side * 2"), "fail", "AssertionError"),
        (RIGHT.replace("number {", "number {{"), "error", "SyntaxError: "),
        ("export const area: number = 'not checked' as any;", "error", "TypeError"),
        ("process.exit(0)", "error", "ended with exit code 0"),
        ("\x00\ud800", "error", "SyntaxError: "),
    ],
)
def test_answers_are_judged_as_javascript(bwrap: str, program: str, kind: str, why: str) -> None:
    outcome = typescript.run(program, TESTS, reference=RIGHT, limits=GENEROUS, backend=bwrap)
    assert (outcome.kind, outcome.why.startswith(why)) == (kind, True), outcome
    assert outcome.why.isprintable()


def test_tests_that_do_not_parse_are_told_apart() -> None:
    assert typescript.run(RIGHT, "assert(", reference=RIGHT).kind == "tests"
    assert typescript.run(RIGHT, TESTS, reference="class {").kind == "tests"


def test_packages_that_cannot_be_fetched_are_our_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "npm error network\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    typescript._kept.cache_clear()
    assert typescript.run(RIGHT, TESTS) == Outcome("infra", "npm ci failed: npm error network")
    assert list((tmp_path / "sluicegate").iterdir()) == []
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert typescript.run(RIGHT, TESTS).why.startswith("npm is not installed")
