import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from answers import judged
from sluicegate.evaluators import linters
from sluicegate.evaluators.linters import eslint, ruff, sqlfluff

pytestmark = pytest.mark.process
NAME = "style"
NODE = Path(os.environ.get(eslint.VARIABLE) or eslint.HERE)
needs_eslint = pytest.mark.skipif(
    shutil.which("node") is None or not (NODE / "node_modules" / "eslint").is_dir(),
    reason=f"needs Node and ESLint: npm ci in evaluators/linters, or {eslint.VARIABLE}=FOLDER",
)


@pytest.mark.parametrize(
    ("language", "text", "value", "why"),
    [
        ("python", "def add(a, b):\n    return a + b\n", 1.0, "0 findings on 2 lines"),
        ("python", "def add(a, b):\n    if a == None:\n        return b\n    return a+b", 0.75, "E711 × 1"),
        ("python", "def add(a, b):\n    if a == None:  # noqa\n        return b\n    return a + b\n", 0.75, "E711 × 1"),
        ("python", "x = 1;y = 2\n" + "\n# more\n" * 50, 0.0, "1 findings on 1 lines: E702 × 1"),
        ("sql", "SELECT name FROM orders\n", 1.0, "0 findings on 1 lines"),
        ("sql", "SELECT\n    name,total\nFROM orders -- noqa\n", 2 / 3, "LT01 × 1"),
    ],
)
def test_findings_on_lines_of_code(language: str, text: str, value: float, why: str) -> None:
    said = judged(NAME, language, text)
    assert said.value == pytest.approx(value), said.why
    assert why in said.why


@needs_eslint
@pytest.mark.parametrize(
    ("language", "text", "value", "why"),
    [
        ("javascript", "function add(a, b) {\n  return a + b;\n}\n", 1.0, "0 findings on 3 lines"),
        ("javascript", "const a = <p className='x'>{b}</p>;\nvar c = 1;\n", 0.5, "no-var × 1"),
        (
            "javascript",
            "/* eslint-disable */\nlet x = 1;\nf(x == y); // eslint-disable-line\n",
            1 / 3,
            "prefer-const × 1",
        ),
        ("typescript", "let a: number = 1 as number;\nf(a);\n", 0.5, "prefer-const × 1"),
        ("tsx", "const A = ({ a }: { a: string }) => <p>{a}</p>;\n", 1.0, "0 findings on 1 lines"),
    ],
)
def test_findings_of_eslint(language: str, text: str, value: float, why: str) -> None:
    said = judged(NAME, language, text)
    assert said.value == pytest.approx(value), said.why
    assert why in said.why


@pytest.mark.parametrize("language", ["python", "javascript", "tsx", "sql"])
def test_empty_and_unparsable_are_0(language: str) -> None:
    assert judged(NAME, language, "").value == 0.0
    assert judged(NAME, language, "{ [ : (").value == 0.0


def test_only_comments_are_0_and_other_languages_are_not_judged() -> None:
    assert judged(NAME, "python", "# x").why == "nothing but comments"
    assert judged(NAME, "yaml", "a: 1").value is None


def test_sql_that_would_take_the_linter_minutes_is_refused() -> None:
    said = judged(NAME, "sql", f"SELECT a{', a' * sqlfluff.LIMIT}")
    assert (said.value, said.why) == (0.0, "longer than 3,000 characters of SQL")


def test_a_linter_that_is_missing_or_breaks_is_our_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    eslint._end()
    monkeypatch.setenv(eslint.VARIABLE, str(tmp_path))
    said = judged(NAME, "javascript", "f();")
    assert said.value is None
    assert said.why.startswith("infra: eslint: no packages: npm ci")
    broken = tmp_path / "ruff"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(ruff, "_program", lambda: str(broken))
    said = judged(NAME, "python", "x = 1\n")
    assert said.value is None
    assert said.why.startswith("infra: ruff: ")

    def fails(dialect: str) -> None:
        raise RuntimeError("a rule of theirs")

    monkeypatch.setattr(sqlfluff, "_linter", fails)
    assert judged(NAME, "sql", "SELECT 1").why == "infra: sqlfluff: RuntimeError"


@needs_eslint
def test_eslint_that_dies_is_started_again_and_threads_share_it() -> None:
    assert judged(NAME, "javascript", "f();\n").value == 1.0
    eslint._running[0].kill()
    eslint._running[0].wait()
    with ThreadPoolExecutor(4) as pool:
        said = pool.map(lambda text: judged(NAME, "javascript", text).value, ["f();\n", "var a = 1;\n"] * 6)
        assert list(said) == [1.0, 0.0] * 6


@needs_eslint
def test_eslint_that_is_silent_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judged(NAME, "javascript", "f();\n").value == 1.0
    process = eslint._running[0]
    monkeypatch.setattr(eslint, "PATIENCE_S", 0.2)
    process.send_signal(19)
    with pytest.raises(linters.LinterError, match=r"no answer in 0\.2 s"):
        eslint.findings("javascript", "g();\n")
    assert process.poll() is not None
    assert eslint._running == []
