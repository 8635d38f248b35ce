import ast
import inspect
import random
import textwrap
from types import ModuleType

import pytest

from answers import judged
from sluicegate.evaluators.codebleu import Parts, parts, profile

NAME = "codebleu"
SCRIPTS = [
    "function total(items) {\n  let sum = 0;\n  for (const item of items) {\n"
    "    sum += item.price * item.count;\n  }\n  return sum;\n}",
    "function find(items, wanted) {\n  // first place\n  let low = 0, high = items.length - 1;\n"
    "  while (low <= high) {\n    const middle = (low + high) >> 1;\n"
    "    if (items[middle] === wanted) return middle;\n"
    "    if (items[middle] < wanted) { low = middle + 1; } else { high = middle - 1; }\n  }\n  return -1;\n}",
    "const group = (rows, key = 'id') => {\n  var out = {};\n  for (var i = 0; i < rows.length; i++) {\n"
    "    const name = rows[i][key];\n    if (!out[name]) out[name] = [];\n    out[name].push(rows[i]);\n  }\n"
    "  return out;\n};",
    "class Counter {\n  constructor(start = 0) { this.value = start; }\n"
    "  next() { this.value++; return this.value; }\n}",
    "async function load(url) {\n  try {\n    const answer = await fetch(url);\n    return await answer.json();\n"
    "  } catch (error) {\n    console.error(error);\n    throw error;\n  }\n}",
    "export function List({ items }) {\n"
    "  return <ul>{items.map((item) => <li key={item.id}>{item.label}</li>)}</ul>;\n}",
]


class _InOrder(dict[object, None]):
    """A set that keeps the order of what is put in; the package's own depends on the hash seed."""

    def __init__(self, parts: object = ()) -> None:
        super().__init__(dict.fromkeys(parts))  # type: ignore[call-overload]

    def add(self, part: object) -> None:
        self[part] = None


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The codebleu package 0.7.0, with sets that keep their order."""
    found: ModuleType = pytest.importorskip("codebleu", reason="pip install codebleu==0.7.0")
    import codebleu.dataflow_match
    import codebleu.parser.DFG

    for module in (codebleu.dataflow_match, codebleu.parser.DFG):
        monkeypatch.setattr(module, "set", _InOrder, raising=False)
    return found


def is_only_documented(node: ast.AST) -> bool:
    """Whether a body is nothing but its docstring: the package takes it out, and what is left does not parse."""
    body = getattr(node, "body", [])
    return isinstance(body, list) and len(body) == 1 and ast.get_docstring(ast.Module(body, [])) is not None


def functions() -> list[str]:
    """Functions and classes of the standard library, as they stand."""
    import calendar
    import csv
    import heapq
    import shutil
    import string

    found = []
    for module in (calendar, csv, heapq, shutil, string, textwrap):
        text = inspect.getsource(module)
        for node in ast.parse(text).body:
            source = ast.get_source_segment(text, node) or ""
            is_right = isinstance(node, ast.FunctionDef | ast.ClassDef) and 80 < len(source) < 1500
            if is_right and source.isascii() and not any(map(is_only_documented, ast.walk(node))):
                found.append(source)
    return found


def pairs(sources: list[str], seed: int) -> list[tuple[str, str]]:
    """Each source against itself, another, a copy with a line less and one with other names."""
    rng = random.Random(seed)  # noqa: S311
    found = []
    for source in rng.sample(sources, min(len(sources), 18)):
        lines = source.split("\n")
        del lines[rng.randrange(len(lines))]
        renamed = source.replace("items", "things").replace("self", "me").replace("value", "v")
        found += [(source, other) for other in (source, rng.choice(sources), "\n".join(lines), renamed)]
    return found


def differences(package: ModuleType, language: str, wanted: str, seen: str) -> list[str]:
    told = package.calc_codebleu([wanted], [seen], language)
    ours = parts(profile(language, seen), profile(language, wanted))
    named = {"ngram_match_score": ours.ngram, "weighted_ngram_match_score": ours.weighted_ngram,
             "syntax_match_score": ours.syntax, "dataflow_match_score": ours.dataflow or 0}  # fmt: skip
    if ours.dataflow:
        named["codebleu"] = ours.mean()
    return [f"{name}: {told[name]} {value}" for name, value in named.items() if abs(told[name] - value) > 1e-12]


def parses(language: str, text: str) -> bool:
    try:
        profile(language, text)
    except ValueError:
        return False
    return True


def test_python_is_valued_as_by_the_package(package: ModuleType) -> None:
    asked = [pair for pair in pairs(functions(), 0) if all(parses("python", text) for text in pair)]
    assert len(asked) > 50
    assert [found for pair in asked if (found := differences(package, "python", *pair))] == []


def test_javascript_is_valued_as_by_the_package(package: ModuleType) -> None:
    asked = [pair for pair in pairs(SCRIPTS, 0) if all(parses("javascript", text) for text in pair)]
    assert len(asked) > 15
    assert [found for pair in asked if (found := differences(package, "javascript", *pair))] == []


def test_the_package_loses_the_data_flow_of_a_program_that_sets_an_attribute_to_a_string(package: ModuleType) -> None:
    source = "def f(self, x):\n    y = x\n    self.name = 'a'\n    return y\n"
    assert package.calc_codebleu([source], [source], "python")["dataflow_match_score"] == 0
    assert parts(profile("python", source), profile("python", source)).dataflow == 1.0


def test_a_part_that_the_reference_lacks_is_left_out_and_a_flow_that_shares_nothing_is_0() -> None:
    assert Parts(0.6, 0.6, 0.3, None).mean() == pytest.approx(0.5)
    assert Parts(0.6, 0.6, 0.3, 0.0).mean() == pytest.approx(0.375)
    assert parts(profile("python", "pass"), profile("python", "pass")).dataflow is None
    assert parts(profile("python", "pass"), profile("python", "x = y")).dataflow == 0.0


@pytest.mark.parametrize("language", ["python", "javascript"])
def test_right_is_1_and_what_is_empty_or_no_program_is_0(language: str) -> None:
    reference = {"python": "def add(a, b):\n    return a + b\n", "javascript": SCRIPTS[0]}[language]
    assert judged(NAME, language, f"Here:\n```\n{reference}\n```", reference).value == pytest.approx(1.0)
    assert judged(NAME, language, "", reference).value == 0.0
    assert judged(NAME, language, reference[:-6] + "(", reference).value == 0.0


def test_comments_and_docstrings_are_no_syntax_and_no_flow() -> None:
    plain = profile("python", "def f(a):\n    b = a\n    return b\n")
    told = profile("python", 'def f(a):\n    """Doc."""\n    b = a  # note\n    return b\n')
    found = parts(told, plain)
    assert (found.syntax, found.dataflow) == (1.0, 1.0)
    assert found.ngram < 1.0


@pytest.mark.parametrize("language", ["typescript", "sql", "yaml", "rust", ""])
def test_languages_that_the_package_has_not_are_not_judged(language: str) -> None:
    assert judged(NAME, language, "x", "x").value is None


def test_python_that_only_our_grammar_cannot_read_is_not_the_model_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from sluicegate.evaluators.syntax import UnparsableError, trees

    real = trees.tree

    def too_old(language: str, text: str) -> trees.Node:
        if "match" in text:
            raise UnparsableError("not python: line 1")
        return real(language, text)

    monkeypatch.setattr(trees, "tree", too_old)
    said = judged(NAME, "python", "match x:\n    case 1: pass\n")
    assert (said.value, said.why) == (None, "the grammar has no such not python: line 1")
