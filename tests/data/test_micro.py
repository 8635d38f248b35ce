"""The micro set is five good samples, and those with tests pass them."""

import ast
import sqlite3
import subprocess
import sys

import pytest

from sluicegate.data import micro
from sluicegate.data.enrich import leaks_answer, render
from sluicegate.records import Sample

TESTED = [sample for sample in micro.SAMPLES if sample.tests]


def passes(program: str, tests: str) -> bool:
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"{program}\n{tests}"], capture_output=True, timeout=20, check=False
    )
    return done.returncode == 0


def broken(sample: Sample) -> str:
    """The program that the bugfix sample asks to mend."""
    return sample.prompt[sample.prompt.index("def ") :]


def test_one_sample_a_scenario() -> None:
    assert micro.SCENARIOS == ("react", "express", "python", "bugfix", "sql")
    assert len({sample.id for sample in micro.SAMPLES}) == 5


@pytest.mark.parametrize("sample", micro.SAMPLES, ids=lambda sample: sample.id)
def test_every_sample_is_complete(sample: Sample) -> None:
    assert min(len(sample.prompt), len(sample.completion)) > 80
    assert sample.completion.endswith("\n")
    assert sample.meta["licence"] == "Apache-2.0"
    assert {"intent", "inputs", "outputs", "constraints", "edge_cases"} <= set(sample.meta)
    assert leaks_answer(sample) == ""
    assert render(sample, "enriched") != sample.prompt


def test_the_python_scenarios_have_tests() -> None:
    assert [sample.scenario for sample in TESTED] == ["python", "bugfix"]


@pytest.mark.process
@pytest.mark.parametrize("sample", TESTED, ids=lambda sample: sample.id)
def test_completions_pass_their_tests_and_nothing_and_stubs_fail(sample: Sample) -> None:
    assert passes(sample.completion, sample.tests)
    [function] = [node for node in ast.parse(sample.completion).body if isinstance(node, ast.FunctionDef)]
    for stub in ("", f"def {function.name}(*args):\n    pass", f"def {function.name}(*args):\n    return []"):
        assert not passes(stub, sample.tests)


@pytest.mark.process
def test_no_completion_calls_itself_for_ever_and_each_mutant_fails() -> None:
    mutants = [
        (micro.PYTHON, "start <= merged", "start < merged"),
        (micro.PYTHON, "max(merged[-1][1], end)", "end"),
        (micro.PYTHON, "sorted(intervals)", "intervals"),
        (micro.PYTHON, "start > end", "start >= end"),
        (micro.BUGFIX, "len(items) - 1", "len(items) - 2"),
        (micro.BUGFIX, "low <= high", "low < high"),
        (micro.BUGFIX, "return -1", "return None"),
    ]
    for sample, part, other in mutants:
        assert part in sample.completion
        assert not passes(sample.completion.replace(part, other, 1), sample.tests), other


@pytest.mark.process
def test_the_broken_program_of_the_bugfix_fails() -> None:
    ends = broken(micro.BUGFIX).replace("low = middle\n", "return -1\n")  # it would run for ever
    assert not passes(ends, micro.BUGFIX.tests)


def test_the_query_counts_customers_without_orders_and_only_2024() -> None:
    database = sqlite3.connect(":memory:")
    database.executescript("""
        CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE orders(id INTEGER PRIMARY KEY, customer_id INTEGER, placed_on TEXT, cents INTEGER);
        INSERT INTO customers VALUES (1, 'Cy'), (2, 'Al'), (3, 'Bo'), (4, 'Bo');
        INSERT INTO orders VALUES (1, 1, '2024-01-01', 5), (2, 1, '2024-12-31', 7), (3, 3, '2025-01-01', 99),
          (4, 2, '2023-12-31', 99), (5, 4, '2024-06-01', 12);
    """)
    rows = database.execute(micro.SQL.completion).fetchall()
    database.close()
    assert rows == [("Bo", 1, 12), ("Cy", 2, 12), ("Al", 0, 0), ("Bo", 0, 0)]
