import ast
import inspect
import random
import re
import textwrap
from types import ModuleType

import pytest

from answers import judged
from programs import answers, programs
from sluicegate.errors import UserError
from sluicegate.evaluators.codebleu import LANGUAGES, Parts, parts, profile
from sluicegate.evaluators.syntax import trees

NAME = "codebleu"
OTHERS = [name for name in LANGUAGES if name != "python"]


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


@pytest.mark.parametrize("language", OTHERS)
def test_other_languages_are_valued_as_by_the_package(language: str, package: ModuleType) -> None:
    rng = random.Random(0)  # noqa: S311
    sources = programs(language)
    made = [(source, answer) for _ in range(4) for source in sources for answer in answers(source, sources, rng)]
    asked = [pair for pair in made if parses(language, pair[1])]
    assert len(asked) > 40
    assert [found for pair in asked if (found := differences(package, language, *pair))] == []


@pytest.mark.parametrize(
    ("language", "source"),
    [
        ("php", "<?php\n$sum = 0;\nforeach (all() as $one) { $sum = $sum + $one; }\n"),
        ("php", "<?php\n$sum = 0;\nforeach ($all as $name => $one) { $sum = $sum + $one; }\n"),
        ("ruby", "def f(x)\n  y = x\n  @self.name = 'a'\n  y\nend\n"),
    ],
)
def test_the_package_loses_the_data_flow_of_these(language: str, source: str, package: ModuleType) -> None:
    assert package.calc_codebleu([source], [source], language)["dataflow_match_score"] == 0
    assert parts(profile(language, source), profile(language, source)).dataflow == 1.0


def test_php_needs_no_opening_tag_and_another_program_is_not_the_same_page(package: ModuleType) -> None:
    wanted, seen = "function f($a) { $b = $a; return $b; }", "echo 'x';"
    assert package.calc_codebleu([wanted], [seen], "php")["syntax_match_score"] == 1.0
    assert parts(profile("php", seen), profile("php", wanted)).syntax == 0.0
    assert parts(profile("php", f"<?php\n{wanted}"), profile("php", wanted)).dataflow == 1.0
    assert judged(NAME, "php", "no program at all", wanted).value == 0.0


def test_comments_that_begin_with_a_hash_are_no_syntax(package: ModuleType) -> None:
    wanted, seen = "def f(a)\n  # twice\n  a * 2\nend\n", "def f(a)\n  a * 2\nend\n"
    assert package.calc_codebleu([wanted], [seen], "ruby")["syntax_match_score"] < 1.0
    assert parts(profile("ruby", seen), profile("ruby", wanted)).syntax == 1.0


def test_the_end_of_a_line_is_no_variable_of_go(package: ModuleType) -> None:
    wanted = "package m\nfunc f() {\n\tx = func() {\n\t\ty()\n\t}\n}\n"
    seen = wanted.replace("{\n\t\ty()\n\t}", "{ y() }")
    assert package.calc_codebleu([wanted], [seen], "go")["dataflow_match_score"] < 1.0
    assert parts(profile("go", seen), profile("go", wanted)).dataflow == 1.0


def test_of_a_rust_function_the_flow_sees_its_parameters_alone_as_in_the_package(package: ModuleType) -> None:
    wanted, seen = "fn f(a: i32) { let b; b = a; }", "fn f(a: i32) { panic!() }"
    assert parts(profile("rust", seen), profile("rust", wanted)).dataflow == 1.0
    assert profile("rust", f"pub {wanted}").links.total() == 0
    assert differences(package, "rust", wanted, seen) == differences(package, "rust", f"pub {wanted}", seen) == []


def test_a_language_without_its_grammar_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    trees._grammar.cache_clear()
    monkeypatch.setitem(sys.modules, "tree_sitter_java", None)
    with pytest.raises(UserError) as refused:
        judged(NAME, "java", "int x;", "int y; // unheard of")
    assert "tree-sitter-java" in refused.value.wanted
    assert refused.value.mend == "pip install 'sluicegate[eval,codebleu]'"


def test_the_package_loses_the_data_flow_of_a_program_that_sets_an_attribute_to_a_string(package: ModuleType) -> None:
    source = "def f(self, x):\n    y = x\n    self.name = 'a'\n    return y\n"
    assert package.calc_codebleu([source], [source], "python")["dataflow_match_score"] == 0
    assert parts(profile("python", source), profile("python", source)).dataflow == 1.0


def test_a_part_that_the_reference_lacks_is_left_out_and_a_flow_that_shares_nothing_is_0() -> None:
    assert Parts(0.6, 0.6, 0.3, None).mean() == pytest.approx(0.5)
    assert Parts(0.6, 0.6, 0.3, 0.0).mean() == pytest.approx(0.375)
    assert parts(profile("python", "pass"), profile("python", "pass")).dataflow is None
    assert parts(profile("python", "pass"), profile("python", "x = y")).dataflow == 0.0


@pytest.mark.parametrize("language", LANGUAGES)
def test_right_is_1_and_what_is_empty_or_no_program_is_0(language: str) -> None:
    reference = "def add(a, b):\n    return a + b\n" if language == "python" else programs(language)[0]
    assert judged(NAME, language, f"Here:\n```\n{reference}\n```", reference).value == pytest.approx(1.0)
    assert judged(NAME, language, "", reference).value == 0.0
    assert judged(NAME, language, reference[:-6] + "(", reference).value == 0.0


def test_comments_and_docstrings_are_no_syntax_and_no_flow() -> None:
    plain = profile("python", "def f(a):\n    b = a\n    return b\n")
    told = profile("python", 'def f(a):\n    """Doc."""\n    b = a  # note\n    return b\n')
    found = parts(told, plain)
    assert (found.syntax, found.dataflow) == (1.0, 1.0)
    assert found.ngram < 1.0


@pytest.mark.parametrize(
    ("language", "told"),
    [
        ("java", "x = a; // one\n/* two */ y = x;"), ("c_sharp", "x = a; // one\n/* two */ y = x;"),
        ("php", "<?php $x = $a; # one\n// one\n/* two */ $y = $x;"), ("c", "x = a; // one\n/* two */ y = x;"),
        ("cpp", "x = a; // one\n/* two */ y = x;"), ("go", "package m\nfunc f() {\n\tx = a // one\n\ty = x\n}\n"),
        ("ruby", "x = a # one\n=begin\ntwo\n=end\ny = x\n"), ("rust", "x = a; /// one\n/* two */ y = x;"),
    ],
)  # fmt: skip
def test_comments_are_no_syntax_and_no_flow_in_any_language(language: str, told: str) -> None:
    plain = re.sub(r"(?s)(#|//).*?$|/\*.*?\*/|^=begin.*^=end", "", told, flags=re.MULTILINE)
    assert plain != told
    found = parts(profile(language, told), profile(language, plain))
    assert (found.syntax, found.dataflow) == (1.0, 1.0)
    assert profile(language, told).subtrees == profile(language, plain).subtrees


@pytest.mark.parametrize("language", ["typescript", "sql", "yaml", "kotlin", ""])
def test_languages_that_the_package_has_not_are_not_judged(language: str) -> None:
    assert judged(NAME, language, "x", "x").value is None


def test_python_that_only_our_grammar_cannot_read_is_not_the_model_s_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    from sluicegate.evaluators.syntax import UnparsableError

    real = trees.tree

    def too_old(language: str, text: str) -> trees.Node:
        if "match" in text:
            raise UnparsableError("not python: line 1")
        return real(language, text)

    monkeypatch.setattr(trees, "tree", too_old)
    said = judged(NAME, "python", "match x:\n    case 1: pass\n")
    assert (said.value, said.why) == (None, "the grammar has no such not python: line 1")
