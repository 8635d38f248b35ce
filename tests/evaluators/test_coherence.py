import pytest

from answers import REFERENCES, judged
from sluicegate.evaluators.faults.sql import schema

NAME = "coherence"
TABLES = "Tables: users(id INTEGER, name TEXT)\n and orders(id, user_id, total REAL)"

SOUND = {
    "python": [
        "def f(a):\n    return a\n",
        "def f():\n    return\n    yield\n",
        "import os\n\n\ndef f(x):\n    try:\n        return os.path.join(x)\n    except OSError:\n        return ''\n",
        "x, y = 1, 2\nx, y = y, x\nx = x + 1\nx = x + 1\nprint(x, y)\n",
        "while True:\n    if input():\n        break\nprint('end')\n",
        "def f(a):\n    if a:\n        return 1\n    return 2\n",
        "class A:\n    def f(self):\n        return self.f\n\n    @property\n    def g(self):\n        return 1\n"
        "    @g.setter\n    def g(self, v):\n        self.v = v\n",
        "from typing import overload\n@overload\ndef f(a: int) -> int: ...\n@overload\ndef f(a: str) -> str: ...\n"
        "def f(a):\n    return a\n",
    ],
    "javascript": [
        "import React, { useState as use } from 'react';\nexport const A = ({ a = 1, ...rest }) => {\n"
        "  const [s, set] = use(a);\n  return <p onClick={() => set(rest.x)} {...rest}>{s}</p>;\n};",
        "const { a, b: { c } } = require('x');\nmodule.exports = { a, d: c };",
        "function f() { return g(); }\nfunction g() { return f; }",
        "if (typeof foo === 'undefined') { console.log(1); }",
        "outer: for (const x of [1]) { for (let y = 0; y < x; y++) { if (y) continue outer; } }",
        "try { f(); } catch { f(); } finally { f(); }\nfunction f() {}",
        "var a = 1; var a = 2;\nclass B extends Array { static x = 1; #p = 2; get p() { return this.#p; } }",
        "export default function () { return arguments.length; }",
        "export * as utils from './utils'; export { x as y } from './x';",
        "export const f = (x) => { const { a, ...rest } = x; return { '\"': rest, \"'\": 1 }; };",
        "const f = function me(n) { return n ? me(n - 1) : 0; };",
        "switch (x()) { case 1: { break; } default: }\nfunction x() { throw new Error('a'); }",
    ],
    "typescript": [
        "import type { A } from './a';\ninterface P<T> { a: string; f: (x: number) => T }\n"
        "export function f(p: P<A>): p is P<A> { return typeof p === 'object'; }",
        "function over(a: string): void;\nfunction over(a: number): void;\nfunction over(a: any) { return a; }",
        "enum E { A, B }\nexport abstract class K<T extends object> {\n"
        "  constructor(private readonly q: T, public z?: number) {}\n"
        "  abstract f(k: string): T;\n  [key: string]: any;\n}\nE.A;",
        "const t: [first: string, second?: number] = ['a'];\nconst m = {} as { [K in keyof typeof t]: string };\nm;",
        "declare const W: number;\nnamespace N { export const a = W; }\nN.a;",
        "import { L } from 'l';\ndeclare const a: { readonly b: L.Config };\nexport = a;",
        "export type { Q };\ntype Q = string;\nconst Q = 1;",
    ],
    "tsx": ["export const C = <T,>({ a }: { a: T[] }) => <>{a.map((x, i) => <b key={i}>{String(x)}</b>)}</>;"],
    "sql": [
        "SELECT u.name, (SELECT COUNT(*) FROM orders o WHERE o.user_id = u.id) AS n FROM users u ORDER BY n",
        "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 5) SELECT n FROM t",
        "WITH big AS (SELECT id, total FROM orders) SELECT b.id FROM big AS b WHERE b.total > 3",
        "SELECT name, ROW_NUMBER() OVER (PARTITION BY name ORDER BY id) AS r FROM users WHERE rowid = 1",
        "INSERT INTO users (id) SELECT user_id FROM orders",
        "DELETE FROM users WHERE id = 1",
        "SELECT j.value FROM users, json_each(users.name) AS j",
    ],
}
FAULTY = {
    "python": [
        ("def f(a):\n    return b\n", "line 2: undefined name 'b'"),
        ("import os\n", "line 1: 'os' imported but unused"),
        ("def f():\n    x = 1\n", "line 2: local variable 'x' is assigned to but never used"),
        ("def f():\n    return 1\n    print(2)\n", "line 3: code that is never reached"),
        ("while True:\n    pass\nprint(1)\n", "line 3: code that is never reached"),
        (
            "def f(a):\n    if a:\n        return 1\n    else:\n        raise a\n    a += 1\n",
            "line 6: code that is never",
        ),
        (
            "def f(a):\n    if a:\n        return 1\n    else:\n        return 1\n",
            "line 5: two branches that are the same",
        ),
        ("def f(a):\n    if a: return 1\n    elif a: return 2\n", "line 3: a condition that is given twice"),
        ("x = 1\nx = 1\n", "line 2: a statement that is given twice"),
        ("def f(): pass\ndef f(): pass\n", "line 2: redefinition of unused 'f'"),
        ("x = {'a': 1, 'a': 2}\n", "line 1: dictionary key 'a' repeated"),
        (
            "def f(a):\n    a += 1\n    a += 2\n    return a\ndef g(a):\n    a += 1\n    a += 2\n    return a\n",
            "line 5: a function with the body of another",
        ),
    ],
    "javascript": [
        ("export const f = (a) => b;", "line 1: undefined name b"),
        ("import a, { b } from 'x';\nb();", "line 1: a is never used"),
        ("function f() { const x = 1; }", "line 1: x is never used"),
        ("function f() { return 1;\n f(); }", "line 2: code that is never reached"),
        ("let a = 1;\nlet a = 2;", "line 2: a is declared twice"),
        ("function f(a) { if (a) { return 1; } else { return 1; } }", "line 1: two branches that are the same"),
        ("const x = { a: 1, 'a': 2 };", "line 1: key a given twice"),
        ("f(<Foo.Bar />);\nfunction f() {}", "line 1: undefined name Foo"),
        ("{ let inner = 1; inner; }\ninner;", "line 2: undefined name inner"),
        ("`${nope}`;", "line 1: undefined name nope"),
        ("({ nope });", "line 1: undefined name nope"),
    ],
    "typescript": [("import { A } from './a';\nexport const x: B = 1;", "line 1: A is never used")],
    "tsx": [("export const C = () => <Missing />;", "line 1: undefined name Missing")],
    "sql": [
        ("SELECT x.name FROM users u", "line 1: undefined table x"),
        ("SELECT u.nope FROM users u", "line 1: undefined column u.nope"),
        ("SELECT nope FROM users", "line 1: undefined column nope"),
        ("SELECT id\nFROM clients", "line 1: undefined table clients"),
        ("WITH a AS (SELECT id FROM users) SELECT id FROM users", "line 1: unused expression a"),
        ("SELECT id, id FROM users", "line 1: column id given twice"),
        ("SELECT id FROM users WHERE 1 = 2", "line 1: a condition that never holds"),
        ("SELECT id FROM users WHERE id = 1 AND id = 1", "line 1: a condition that is given twice"),
        ("SELECT id FROM users UNION SELECT id FROM users", "line 1: a query that is combined with itself"),
        ("INSERT INTO users (id) SELECT zed FROM orders", "line 1: undefined column zed"),
    ],
}


def of(language: str, text: str) -> tuple[float | None, str]:
    said = judged(NAME, language, text, "", prompt=TABLES)
    return said.value, said.why


@pytest.mark.parametrize(("language", "text"), [(name, text) for name in SOUND for text in SOUND[name]])
def test_what_hangs_together_is_1(language: str, text: str) -> None:
    assert of(language, text) == (1.0, "")


@pytest.mark.parametrize(("language", "text", "why"), [(name, *row) for name in FAULTY for row in FAULTY[name]])
def test_one_fault_halves_it(language: str, text: str, why: str) -> None:
    value, told = of(language, text)
    assert value == 0.5, told
    assert told.startswith(why)


def test_several_faults_and_padding() -> None:
    assert of("python", "import os\nprint(a, b)\n")[0] == 0.25
    assert of("python", "import os\nprint(a, b)\n" + "print(1)\n" * 50)[0] == 0.25
    assert of("python", "".join(f"print(name{n})\n" for n in range(9)))[1].endswith("; and 6 more")


@pytest.mark.parametrize("language", [name for name in REFERENCES if name != "yaml"])
def test_empty_comments_and_no_program_are_0(language: str) -> None:
    comment = {"python": "# x", "sql": "-- x"}.get(language, "// x")
    for text in ("", comment, "{ [ : ("):
        assert of(language, text)[0] == 0.0


def test_a_fault_of_the_reference_is_excused_and_no_other() -> None:
    reference = "import os\ndef f():\n    return given()\n"
    assert judged(NAME, "python", "def f():\n    return given() + 1\n", reference).value == 1.0
    assert judged(NAME, "python", "def f():\n    return taken()\n", reference).value == 0.5


def test_what_has_no_rules_is_not_judged() -> None:
    assert judged(NAME, "yaml", "a: 1").value is None


def test_linters_cannot_be_talked_out_of_it() -> None:
    assert of("python", "# pyflakes: noqa\nimport os  # noqa\n")[0] == 0.5


def test_the_tables_that_a_text_describes() -> None:
    told = schema([
        "Given `CREATE TABLE IF NOT EXISTS \"Users\" (id INT PRIMARY KEY, cost DECIMAL(1, 2), UNIQUE (id))`",
        "  customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL)\nCall f(1) or g().",
    ])  # fmt: skip
    assert told == {"users": {"id", "cost"}, "customers": {"id", "name"}}
    assert schema(["orders(id, total"]) == {}
