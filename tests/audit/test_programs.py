"""Changed programs: of every kind and language, all of them programs, chosen alike every time."""

import ast

import pytest

from sluicegate.audit import programs
from sluicegate.audit.programs import mutants, stub

PYTHON = '''\
"""Sums."""
import logging

LIMIT = 3
log = logging.getLogger()


@cache(maxsize=7)
def total(values: list[int], top=5) -> "int":
    """Sum of 1 or 2."""
    left = 0
    for value in values:
        if value < 0 or value > top:
            raise ValueError(f"bad {value + 1}")
        elif not value:
            continue
        left += value * 2
    while left > LIMIT:
        left -= 1
    log.info("é %s", left - 4)
    values.append(1)
    return -left if left else "é" + "a"
'''
SCRIPT = """\
import express from "express";
const app = express();
app.get("/é", (req, res) => {
  if (!req.query.a) {
    return res.status(400).json({ error: "a" });
  }
  for (let i = 0; i < 3; i++) {
    total += i;
  }
  console.log(5 + 6);
  if (typeof total === "number") throw new Error("no" + 7);
  res.json({ n: req.query.kind === "big" ? 1_000 : 2n });
});
export const half = (n) => n / 2;
export default app;
"""
JSX = """\
function Counter({ start = 0 }) {
  const [n, setN] = useState(start);
  return <button disabled={n >= 3} onClick={() => setN(n + 1)}>{n > 0 && "é"}</button>;
}
module.exports = { Counter };
"""
SQL = """\
-- é 1
SELECT c.name, COALESCE(SUM(o.cents * 2), 0) AS total, COUNT(*) AS n
FROM customers AS c
LEFT JOIN orders AS o ON o.customer_id = c.id
WHERE c.age BETWEEN 3 AND 5 AND c.name NOT IN ('a;b', 'WHERE') AND (o.x IS NOT NULL)
GROUP BY c.id
HAVING COUNT(DISTINCT o.id) > 1
UNION ALL
SELECT "AND", 1.5, 2
ORDER BY total DESC
LIMIT 3;
"""


def told(text: str, language: str) -> list[str]:
    return sorted(one.told.partition(", ")[2] for one in mutants(text, language, 1000))


def test_python_is_changed_in_each_way_and_nowhere_else() -> None:
    assert told(PYTHON, "python") == sorted(
        [
            "constant: `0` → `1`", "constant: `0` → `1`", "constant: `1` → `2`", "constant: `2` → `3`",
            "constant: `3` → `4`", "constant: `5` → `6`", "constant: `4` → `5`", "constant: `1` → `2`",
            "condition: `left > LIMIT` → `False`", "condition: `left` → `not (left)`", "condition: `not` → ``",
            "condition: `not value` → `not (not value)`",
            "condition: `value < 0 or value > top` → `not (value < 0 or value > top)`",
            "operator: `*` → `+`", "operator: `-` → ``", "operator: `-` → `+`", "operator: `<` → `<=`",
            "operator: `>` → `>=`", "operator: `>` → `>=`", "operator: `or` → `and`",
            "return: `-left if left else \"é\" + \"a\"` → `None`",
            "statement: `continue` → `pass`", "statement: `left += value * 2` → `pass`",
            'statement: `raise ValueError(f"bad {value + 1}")` → `pass`', "statement: `values.append(1)` → `pass`",
        ]
    )  # fmt: skip


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("x = a is not b", "operator: `is not` → `is`"),
        ("x = a not  in b", "operator: `not in` → `in`"),
        ("x = (a)<(b)", "operator: `<` → `<=`"),
        ("x = a // b", "operator: `//` → `*`"),
        ("x = a ** b", "operator: `**` → `*`"),
        ("x = kind == 'big'", "constant: `'big'` → `\"\"`"),
        ("x = kind == ''", "constant: `''` → `\"?\"`"),
        ("x = True", "constant: `True` → `False`"),
        ("x = [a for a in b if a]", "condition: `a` → `not (a)`"),
        ("a.b = c", "statement: `a.b = c` → `pass`"),
        ("del a[0]", "statement: `del a[0]` → `pass`"),
        ("async def f():\n    await g()", "statement: `await g()` → `pass`"),
    ],
)
def test_each_change_of_python(code: str, change: str) -> None:
    assert change in told(code, "python")


def test_scripts_are_changed_in_each_way_and_nowhere_else() -> None:
    assert told(SCRIPT, "javascript") == sorted(
        [
            "statement: `app.get(\"/é\", (req, res) => { if (!req.…` → `;`", "condition: `!` → ``",
            "condition: `(!req.query.a)` → `(!((!req.query.a)))`", "constant: `400` → `401`",
            "return: `res.status(400).json({ error: \"a\" })` → `res.end()`", "operator: `<` → `<=`",
            "constant: `0` → `1`", "constant: `3` → `4`", "statement: `total += i;` → `;`", "operator: `+=` → `-=`",
            "operator: `===` → `!==`",
            "condition: `(typeof total === \"number\")` → `(!((typeof total === \"number\")))`",
            "statement: `throw new Error(\"no\" + 7);` → `;`",
            "statement: `res.json({ n: req.query.kind === \"big\" …` → `res.end();`", "operator: `===` → `!==`",
            "constant: `\"big\"` → `\"\"`",
            "condition: `req.query.kind === \"big\"` → `(!(req.query.kind === \"big\"))`",
            "constant: `1_000` → `1001`", "constant: `2n` → `3n`", "operator: `/` → `*`", "constant: `2` → `3`",
            "return: `n / 2` → `undefined`",
        ]
    )  # fmt: skip


@pytest.mark.parametrize("language", ["tsx", "javascript"])
def test_components_are_changed(language: str) -> None:
    found = told(JSX, language)
    assert "operator: `>=` → `>`" in found
    assert "operator: `&&` → `||`" in found
    assert "return: `setN(n + 1)` → `undefined`" in found


def test_typescript_keeps_its_types() -> None:
    found = told("function f(a: 1 | 2, b: Array<3>): 4 {\n  return a + 5;\n}\n", "typescript")
    assert found == ["constant: `5` → `6`", "operator: `+` → `-`", "return: `a + 5` → `undefined`"]


def test_queries_are_changed_in_each_way_and_nowhere_else() -> None:
    assert told(SQL, "sql") == sorted(
        [
            "operator: `SUM` → `MAX`", "operator: `*` → `+`", "constant: `2` → `3`", "constant: `0` → `1`",
            "operator: `COUNT` → `MAX`", "operator: `LEFT` → ``", "operator: `=` → `<>`",
            "statement: `WHERE c.age BETWEEN 3 AND 5 AND c.name …` → ``", "condition: `` → `NOT`",
            "constant: `3` → `4`", "constant: `5` → `6`", "operator: `AND` → `OR`", "condition: `NOT` → ``",
            "constant: `'a;b'` → `'?'`", "constant: `'WHERE'` → `'?'`", "operator: `AND` → `OR`",
            "condition: `NOT` → ``", "statement: `HAVING COUNT(DISTINCT o.id) > 1` → ``", "condition: `` → `NOT`",
            "operator: `COUNT` → `MAX`", "statement: `DISTINCT` → ``", "operator: `>` → `>=`", "constant: `1` → `2`",
            "operator: `UNION ALL` → `UNION`", "constant: `1.5` → `(1.5 + 1)`", "constant: `2` → `3`",
            "operator: `DESC` → `ASC`", "constant: `3` → `4`",
        ]
    )  # fmt: skip


def test_a_clause_in_brackets_ends_with_them() -> None:
    found = told("SELECT a FROM t WHERE a IN (SELECT b FROM u WHERE b > 1) AND a < 9 LIMIT 5", "sql")
    assert "statement: `WHERE b > 1` → ``" in found
    assert "statement: `WHERE a IN (SELECT b FROM u WHERE b > 1…` → ``" in found


@pytest.mark.parametrize(("text", "language"), [(PYTHON, "python"), (SCRIPT, "javascript"), (JSX, "tsx"), (SQL, "sql")])
def test_the_choice_is_the_same_every_time_and_takes_the_kinds_in_turn(text: str, language: str) -> None:
    few = mutants(text, language, 5)
    assert few == mutants(text, language, 5) == mutants(text, language, 1000)[:5]
    assert len({one.told.split(", ")[1].partition(":")[0] for one in few}) >= 3
    assert len({one.text for one in few} | {text}) == 6


@pytest.mark.parametrize(("text", "language"), [(PYTHON, "python"), (SCRIPT, "javascript"), (JSX, "tsx"), (SQL, "sql")])
def test_every_change_is_a_program_of_its_own(text: str, language: str) -> None:
    every = [one.text for one in mutants(text, language, 1000)]
    assert len(set(every)) == len(every)
    module = programs._program(language)
    assert all(module.parses(one, language) for one in every)


@pytest.mark.parametrize(
    ("text", "language"),
    [("def f(:", "python"), ("const = 1;", "javascript"), ("SELEC 1", "sql"), ("x" * 20_001, "tsx")],
)
def test_what_is_no_program_is_refused(text: str, language: str) -> None:
    with pytest.raises(ValueError, match=r"not |longer than"):
        mutants(text, language, 3)


def test_a_stub_of_python_keeps_names_and_signatures() -> None:
    shell = stub(PYTHON, "python")
    [function] = [node for node in ast.parse(shell).body if isinstance(node, ast.FunctionDef)]
    assert ast.unparse(function.args) == "values: list[int], top=5"
    assert isinstance(function.body[0], ast.Pass)
    assert stub("print(1)\n", "python") == ""


def test_a_stub_of_a_script_keeps_exports_and_drops_calls_at_the_top() -> None:
    shell = stub(SCRIPT, "javascript")
    assert "app.get" not in shell
    assert "export const half = (n) => {};" in shell
    assert "export default app;" in shell
    assert stub(JSX, "tsx") == "function Counter({ start = 0 }) {}\nmodule.exports = { Counter };\n"
    assert stub("class A { m(x) { return x; } }\nexports.A = A;\n", "javascript") == (
        "class A { m(x) {} }\nexports.A = A;\n"
    )
    assert (
        stub('const app = express();\napp.get("/", (q, r) => r.end());\n', "javascript") == "const app = express();\n\n"
    )
    assert stub("const a = 1;\n", "javascript") == ""


def test_a_stub_of_a_query_has_its_columns_and_no_rows() -> None:
    assert stub("SELECT a, b AS c, COUNT(*) FROM t", "sql") == 'SELECT NULL AS "a", NULL AS "c", NULL WHERE 0'
    assert stub("DELETE FROM t", "sql") == ""
