"""JavaScript answers: odd but right ones pass, wrong ones and attacks do not, one attack a test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sluicegate.data import micro
from sluicegate.evaluators.functional_correctness import score
from sluicegate.records import Prediction, Sample
from sluicegate.sandbox import Limits, Outcome, javascript, packages

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed"),
]

TESTS = "assert.strictEqual(add(1, 2), 3);\nassert.strictEqual(add(-1, 1), 0);\n"
RIGHT = "function add(a, b) { return a + b; }\nmodule.exports = { add };\n"
GENEROUS = Limits(wall_s=60, cpu_s=30)
BRIEF = Limits(wall_s=1, cpu_s=30)
BUSY = Limits(wall_s=60, cpu_s=1)
YES = """\
const yes = new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => 3 : key === "then" ? undefined : yes),
  apply: () => yes, construct: () => yes, has: () => true,
});
"""


def outcome_of(program: str, tests: str = TESTS, reference: str = RIGHT, limits: Limits = GENEROUS) -> Outcome:
    return javascript.run(program, tests, reference=reference, limits=limits, backend="bwrap")


ODD_BUT_RIGHT = {
    "plain": RIGHT,
    "without exports": "function add(a, b) { return a + b; }",
    "an arrow": "const add = (a, b) => a + b;\nexports.add = add;",
    "a module": "import fs from 'node:fs';\nimport { join as j } from 'path';\nexport const add = (a, b) => a + b;",
    "a module that names a package's default and parts": (
        "import path, { join as j } from 'path';\nimport os, * as all from 'node:os';\nimport 'node:fs';\n"
        "export const add = (a, b) => (j('a', path.sep) && os.EOL === all.EOL ? a + b : 0);"
    ),
    "a script": f"#!/usr/bin/env node\n{RIGHT}",
    "two declarations on a line": "const none = 0; const add = (a, b) => a + b + none;",
    "indented": "  const none = 0;\n  function add(a, b) {\n    const process = a;\n    return process + b;\n  }",
    "a default export": "export default function add(a, b) { return a + b; }",
    "the function alone": "module.exports = function add(a, b) { return a + b; };",
    "a function without a name": "module.exports = (a, b) => a + b;",
    "a default export without a name": "export default function (a, b) { return a + b; }",
    "an export by another name": "const none = 0, sum = (a, b) => a + b;\nexport {\n  sum as add,\n  none,\n};",
    "the second declaration": "const none = (x, y) => [x, y], add = (a, b) => a + b;",
    "a part of an object": "const { sum: add, ...rest } = { sum: (a, b) => a + b };",
    "a part of an array": "let [\n  add,\n] = [(a, b) => a + b];",
    "set later": "let none, add;\nadd = (a, b) => a + b;",
    "not declared": "add = (a, b) => a + b;",
    "symbols": f"const A = Symbol('a'), ALL = {{ A, of: [A] }};\n{RIGHT}",
    "an open setInterval": f"setInterval(() => {{}}, 1000);\n{RIGHT}",
    "an open server": f"require('node:http').createServer().listen(0, '127.0.0.1');\n{RIGHT}",
    "exit code 7": f"process.exitCode = 7;\nprocess.on('exit', () => process.reallyExit(7));\n{RIGHT}",
    "a late fault": f"setTimeout(() => {{ throw new Error('late'); }}, 1);\n{RIGHT}",
    "a rejection that nobody handles": f"Promise.reject(new Error('x'));\n{RIGHT}",
    "noisy": f"console.log('x'.repeat(1e6)); console.error('FAILED');\n{RIGHT}",
    "strict": f"'use strict';\n{RIGHT}",
    "writes and reads a file": f"require('fs').writeFileSync('a', 'é'); require('fs').readFileSync('a');\n{RIGHT}",
    "a worker thread": (
        f"new (require('worker_threads').Worker)('setInterval(() => {{}}, 1e3)', {{ eval: true }});\n{RIGHT}"
    ),
    "a child": f"require('child_process').spawn('sleep', ['60']);\n{RIGHT}",
}


@pytest.mark.parametrize("program", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_odd_but_right_programs_pass(bwrap: str, program: str) -> None:
    assert outcome_of(program) == Outcome("pass", "", bwrap)


HOSTILE = {
    "exits": ("process.exit(0)", "error", "ended with exit code 0 before its tests did"),
    "exits when tested": ("function add() { process.exit(0); }", "error", "ended with exit code 0"),
    "exits really": ("process.reallyExit(0)", "error", "ended with exit code 0"),
    "throws": ("throw new Error('no')", "error", "Error: no"),
    "throws nothing": ("throw undefined", "error", "threw undefined"),
    "has no such function": ("const ad = 1;", "error", "ReferenceError: add is not defined"),
    "does not parse": ("function add(a, b { }", "error", "SyntaxError"),
    "is wrong": (RIGHT.replace("+", "-"), "fail", "AssertionError"),
    "prints success": ("console.log('pass');", "error", "ReferenceError"),
    "patches assert": (
        "const a = require('assert'); for (const k of Object.keys(a)) a[k] = () => {};\nfunction add() { return 7; }",
        "fail",
        "AssertionError",
    ),
    "patches every prototype": (
        "Object.is = () => true; Object.prototype.toString = () => '3'; Number.prototype.valueOf = () => 3;\n"
        "JSON.stringify = () => '3'; function add() { return 7; }",
        "error",
        "wrote to the pipe of the harness",
    ),
    "defines names of the tests": (
        "const assert = { strictEqual() {} }; const test = 1, process = 2, Object = 3;\nfunction add() { return 7; }",
        "fail",
        "AssertionError",
    ),
    "has no name and is wrong": ("module.exports = (a, b) => a - b;", "fail", "AssertionError"),
    "has another name": ("module.exports = function sum(a, b) { return a + b; };", "error", "add is not defined"),
    "returns an object that says yes": (YES + "function add() { return yes; }", "fail", "AssertionError"),
    "returns an object that is 3 when asked": (
        "function add() { return { valueOf() { return 3; }, toString() { return '3'; } }; }",
        "fail",
        "AssertionError",
    ),
    "returns an array that includes everything": (
        "function add() { const a = []; a.includes = () => true; return a; }",
        "fail",
        "AssertionError",
    ),
    "writes a frame of its own": (
        "require('fs').writeSync(3, Buffer.from([0, 0, 0, 2, 123, 125]));",
        "error",
        "wrote to the pipe of the harness",
    ),
    "writes a frame that is too long": (
        "require('fs').writeSync(3, Buffer.from([255, 255, 255, 255, 1, 1]));",
        "error",
        "wrote to the pipe of the harness",
    ),
    "writes a handle that there is not": (
        "const t = JSON.stringify({ r: { t: 'h', v: 9 }, changes: [], out: '' }), b = Buffer.alloc(4);\n"
        "b.writeUInt32BE(t.length); require('fs').writeSync(3, Buffer.concat([b, Buffer.from(t)]));",
        "error",
        "wrote to the pipe of the harness",
    ),
    "asks for the referee's insides": (
        "const t = JSON.stringify({ q: 'get', to: 0, args: { t: 'a', v: ['constructor'] } }), b = Buffer.alloc(4);\n"
        "b.writeUInt32BE(t.length); require('fs').writeSync(3, Buffer.concat([b, Buffer.from(t)]));",
        "error",
        "wrote to the pipe of the harness",
    ),
    "closes its socket": (f"require('fs').closeSync(3);\n{RIGHT}", "error", "ended with exit code"),
    "kills itself": ("process.kill(process.pid, 'SIGKILL')", "crash", "SIGKILL"),
    "aborts": ("process.abort()", "crash", "SIG"),
    "recurses": ("function f() { return f(); } f();", "error", "RangeError"),
    "returns too much": ("function add() { return 'x'.repeat(2 ** 25); }", "limit", "answer: "),
    "returns too deep": (
        "function add() { let x = []; for (let i = 0; i < 1e5; i++) x = [x]; return x; }",
        "limit",
        "answer: ",
    ),
    "returns itself": ("function add() { const x = []; x.push(x); return x; }", "fail", "AssertionError"),
    "returns __proto__": (
        'function add() { return JSON.parse(\'{"__proto__": {"polluted": 1}}\'); }',
        "fail",
        "AssertionError",
    ),
    "prints too much": (
        "for (;;) try { require('fs').writeSync(1, 'x'.repeat(2 ** 16)); } catch {}",
        "limit",
        "printed more than",
    ),
    "eats memory": ("const x = []; for (;;) x.push(Buffer.alloc(2 ** 22, 1));", "memory", "asked for more"),
    "eats its heap": ("const x = []; for (;;) x.push(new Array(1000).fill({}));", "crash", "SIG"),
    "says NUL and ANSI": ("throw new Error('\\x00\\x1b[2J\\n');", "error", r"Error: \x00\x1b[2J\n"),
    "has a hostile message": (
        "throw Object.defineProperty(new Error(), 'message', { get() { process.exit(0); } });",
        "error",
        "ended with exit code 0",
    ),
}


@pytest.mark.parametrize(("program", "kind", "why"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_programs_do_not_pass(bwrap: str, program: str, kind: str, why: str) -> None:
    outcome = outcome_of(program)
    assert (outcome.kind, why in outcome.why) == (kind, True), outcome
    assert outcome.why.isprintable()
    assert len(outcome.why) <= 300


@pytest.mark.parametrize("program", ["while (true) {}", "function add() { for (;;) {} }"])
def test_a_loop_ends_with_its_time(bwrap: str, program: str) -> None:
    assert outcome_of(program, limits=BUSY) == Outcome("timeout", "1 s of CPU", bwrap)


WAITING = {
    "stops itself": "process.kill(process.pid, 'SIGSTOP')",
    "waits for ever": "function add() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }",
}


@pytest.mark.parametrize("program", WAITING.values(), ids=WAITING)
def test_waiting_ends_with_the_clock(bwrap: str, program: str) -> None:
    assert outcome_of(program, limits=BRIEF) == Outcome("timeout", "1 s on the clock", bwrap)


def test_a_promise_that_never_settles_ends_with_the_clock(bwrap: str) -> None:
    program = "async function add() { await new Promise(() => setInterval(() => {}, 1e3)); }"
    right = "async function add(a, b) { return a + b; }"
    tests = "assert.strictEqual(await add(1, 2), 3);"
    assert outcome_of(right, tests, right).kind == "pass"
    assert outcome_of(program, tests, right, BRIEF).kind == "timeout"


REFUSED = {
    "reads the password file": "require('fs').readFileSync('/etc/passwd')",
    "sees the environment": (
        "if (Object.keys(process.env).some((k) => k !== 'TMPDIR')) throw 1; throw new Error('none')"
    ),
    "writes to /usr": "require('fs').writeFileSync('/usr/x', '')",
    "is root": "if (process.getuid() === 65534) throw new Error('nobody')",
    "kills the first process": "process.kill(1, 'SIGKILL'); throw new Error('ignored')",
}


@pytest.mark.parametrize("deed", REFUSED.values(), ids=REFUSED)
def test_what_a_program_must_not_do_fails(bwrap: str, deed: str) -> None:
    program = f"let refused = false;\ntry {{ {deed}; }} catch (fault) {{ refused = true; }}\n{RIGHT}"
    known = f"let refused = true;\n{RIGHT}"
    assert outcome_of(program, "assert(refused);\n" + TESTS, known) == Outcome("pass", "", bwrap)


BEHAVES = {
    "plain data": (
        "const f = (x) => x;",
        "for (const x of [1, -0, NaN, Infinity, 2n ** 70n, 'é', true, null, undefined, [1, [2]], { a: { b: 1 } "
        "}, new Map([[1, 2]]),\n"
        "  new Set([1]), new Date(5), /a+/gi, Buffer.from('x'), new Uint8Array([1])]) "
        "assert.deepStrictEqual(f(x), x);\n"
        "const o = {}; assert.strictEqual(f(o), o);",
    ),
    "arguments that are changed": (
        "const put = (a, o, m, s) => { a.push(1); o.k = [2]; delete o.x; m.set(1, 2); s.add(3); };",
        "const a = [], o = { x: 1 }, m = new Map(), s = new Set(); put(a, o, m, s);\n"
        "assert.deepStrictEqual([a, o, m, s], [[1], { k: [2] }, new Map([[1, 2]]), new Set([3])]);",
    ),
    "classes": (
        "class Base { hi() { return 'hi ' + this.name; } }\n"
        "class P extends Base { static make(n) { return new P(n); }\n"
        "  constructor(n) { super(); this.name = n; } get upper() { return this.name.toUpperCase(); }\n"
        "  *[Symbol.iterator]() { yield* this.name; } toString() { return `<${this.name}>`; } }",
        "const p = new P('ab'); assert(p instanceof P); assert.strictEqual(p.hi(), 'hi ab'); "
        "assert.strictEqual(p.upper, 'AB');\n"
        "assert.deepStrictEqual([...p], ['a', 'b']); assert.strictEqual(`${p}`, '<ab>'); p.name = 'c'; "
        "assert.strictEqual(p.name, 'c');\n"
        "assert.strictEqual(P.make('x').name, 'x'); assert('name' in p); assert.deepStrictEqual(Object.keys(p), "
        "['name']);",
    ),
    "objects that iterate or are a primitive by a symbol of their own": (
        "const upto = (n) => ({ n, [Symbol.iterator]() { let i = 0; "
        "return { next: () => (i < n ? { value: i++, done: false } : { value: undefined, done: true }) }; } });\n"
        "const price = (n) => ({ n, [Symbol.toPrimitive]: (hint) => (hint === 'number' ? n : `${n} $`) });",
        "assert.deepStrictEqual([...upto(3)], [0, 1, 2]); assert.strictEqual(upto(3).n, 3);\n"
        "assert.strictEqual(+price(4), 4); assert.strictEqual(`${price(4)}`, '4 $');",
    ),
    "errors": (
        "class Own extends TypeError { constructor(c) { super('code ' + c); this.code = c; } }\n"
        "const f = () => { throw new Own(7); };",
        "assert.throws(f, TypeError); assert.throws(f, Own); assert.throws(f, { message: 'code 7', code: 7 }); "
        "assert.throws(f, /code/);",
    ),
    "promises": (
        "const later = (x) => new Promise((r) => setTimeout(r, 5, x));\n"
        "async function bad() { throw new RangeError('no'); }",
        "assert.strictEqual(await later(3), 3); await assert.rejects(bad(), RangeError);\n"
        "assert.deepStrictEqual(await Promise.all([later(1), later(2)]), [1, 2]);",
    ),
    "functions both ways": (
        "const each = (f, xs) => xs.map((x) => f(x));\nconst adder = (n) => (x) => x + n;\n"
        "const once = (f) => { let d, v; return (...a) => "
        "(d ? v : ((d = true), (v = f(...a)))); };",
        "const seen = []; assert.deepStrictEqual(each((x) => (seen.push(x), x + 1), [1, 2]), [2, 3]); "
        "assert.deepStrictEqual(seen, [1, 2]);\n"
        "assert.strictEqual(adder(2)(3), 5); let n = 0; const f = once(() => ++n); f(); f(); "
        "assert.strictEqual(n, 1);\n"
        "assert.throws(() => each(() => { throw new RangeError('mine'); }, [1]), RangeError);",
    ),
    "generators": (
        "function* count() { let n = 0; for (;;) yield n++; }",
        "const got = []; for (const x of count()) { if (x > 3) break; got.push(x); } "
        "assert.deepStrictEqual(got, [0, 1, 2, 3]);",
    ),
    "promises both ways": (
        "async function retry(f, times) { for (;;) try { return await f(); } catch (e) { if (!--times) throw e; } }",
        "let n = 0; const late = async () => { if (++n < 3) throw new RangeError('no'); return new Promise((r) => "
        "setTimeout(r, 5, n)); };\nassert.strictEqual(await retry(late, 3), 3); n = 0; "
        "await assert.rejects(retry(late, 2), RangeError);\n"
        "const asked = fn().mockResolvedValueOnce(7).mockRejectedValue(new Error('off'));\n"
        "assert.strictEqual(await retry(asked, 1), 7); await assert.rejects(retry(asked, 2), /off/); "
        "assert.deepStrictEqual(asked.calls, [[], [], []]);",
    ),
    "timers while the tests wait": (
        "function after(ms, tell) { const timer = setTimeout(tell, ms); return () => clearTimeout(timer); }",
        "const seen = []; after(5, () => seen.push(1)); after(5, () => seen.push(2))(); "
        "await new Promise((r) => setTimeout(r, 60)); assert.deepStrictEqual(seen, [1]);",
    ),
    "tests in functions": (
        "const add = (a, b) => a + b;",
        "describe('add', () => { it('adds', () => assert.strictEqual(add(1, 1), 2)); test('later', async () => "
        "assert(add(1, 0))); });",
    ),
}


@pytest.mark.parametrize(("program", "tests"), BEHAVES.values(), ids=BEHAVES)
def test_a_proxy_behaves_as_what_it_stands_for(bwrap: str, program: str, tests: str) -> None:
    assert outcome_of(program, tests, program) == Outcome("pass", "", bwrap)


def test_a_failing_function_of_the_tests_fails(bwrap: str) -> None:
    tests = "test('adds', () => assert.strictEqual(add(1, 1), 3));"
    assert outcome_of(RIGHT, tests).kind == "fail"


def test_an_object_that_says_yes_is_not_text(bwrap: str) -> None:
    reference = "const greet = (name) => `Hello ${name}`;"
    for tests in (
        "assert(greet('Bob').startsWith('Hello'));",
        "assert(greet('Bob').includes('Bob'));",
        "assert.match(greet('Bob'), /Hello/);",
        "assert.strictEqual(greet('Bob').length, 9);",
        "assert(greet('Bob') > 'Hello');",
    ):
        assert outcome_of(reference, tests, reference).kind == "pass"
        assert outcome_of(YES + "const greet = () => yes;", tests, reference).kind != "pass", tests


def test_an_object_that_is_another_number_each_time_is_none(bwrap: str) -> None:
    tests = "const seen = add(1, 2); assert.ok(seen > 2 && seen < 4);"
    turns = "let n = 0;\nclass Turn { valueOf() { return n++ % 2 ? -1e9 : 1e9; } }\nconst add = () => new Turn();"
    assert outcome_of(RIGHT, tests).kind == "pass"
    assert outcome_of(turns, tests) == Outcome(
        "error", "Error: an object was used as the reference's answer never is: [Symbol.toPrimitive]", bwrap
    )


@pytest.mark.parametrize("judging", ["assert", "test"])
def test_what_judges_is_never_the_programs(bwrap: str, judging: str) -> None:
    known = f"const {judging} = require('node:{judging}');\n{RIGHT}"
    wrong = f"const {judging} = Object.assign(() => {{}}, {{ strictEqual() {{}} }});\nfunction add() {{ return 7; }}"
    ended = outcome_of(wrong, "test('adds', () => assert.strictEqual(add(1, 2), 3));", known)
    assert (ended.kind, ended.why.partition(":")[0]) == ("fail", "AssertionError")


def test_a_program_may_have_a_describe_of_its_own() -> None:
    known = "function describe(n) { return `number ${n}`; }"
    tests = "assert.strictEqual(describe(3), 'number 3');"
    assert outcome_of(known, tests, known).kind == "pass"
    assert outcome_of("const describe = () => 'number 4';", tests, known).kind == "fail"


def test_console_assert_of_the_tests_is_an_assertion(bwrap: str) -> None:
    tests = "console.assert(add(1, 2) === 3, 'the sum of %d', 2);\nconsole.assert(add(0, 1));\n"
    assert outcome_of(RIGHT, tests).kind == "pass"
    assert outcome_of("const add = () => 0;", tests) == Outcome("fail", "AssertionError: the sum of 2", bwrap)
    assert outcome_of("const add = (a, b) => a && a + b;", tests).kind == "fail"


def test_words_of_a_comment_are_no_packages(bwrap: str) -> None:
    told = "// Turns names, from 'zero' to 'nine', into a sum.\n/* imported\n   from \"words\" */\n"
    assert outcome_of(told + RIGHT, TESTS, told + RIGHT) == Outcome("pass", "", bwrap)


def test_what_the_tests_hand_out_keeps_its_methods(bwrap: str) -> None:
    tests = "const spy = { n: 0, up() { this.n++; }, verify() { assert.strictEqual(this.n, 1); } };\nclass Spy {\n"
    tests += "  constructor() { this.n = 0; } up() { this.n++; } verify() { assert.strictEqual(this.n, 1); } }\n"
    tests += "const own = new Spy(); work(own); own.verify();"
    right = "const work = (spy) => spy.up();"
    cheat = (
        "const work = (spy) => { try { spy.verify = () => {}; } catch {} try { "
        "spy.constructor.prototype.verify = 1; } catch {} };"
    )
    assert outcome_of(right, tests, right).kind == "pass"
    assert outcome_of(cheat, tests, right).kind == "fail"


def test_tests_that_cannot_be_run_and_packages_that_are_missing_are_told_apart(bwrap: str) -> None:
    assert outcome_of(RIGHT, "assert(").kind == "tests"
    said = outcome_of(RIGHT, TESTS, "const e = require('koa');")
    assert said == Outcome("tests", "the reference needs packages that are not here: koa")


def test_without_node_it_is_our_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert outcome_of(RIGHT).kind == "infra"


def test_without_a_sandbox_it_runs_too() -> None:
    said = javascript.run(RIGHT, TESTS, reference=RIGHT, limits=GENEROUS, backend="rlimits")
    assert said == Outcome("pass", "", "rlimits, UNSAFE")
    said = javascript.run("process.exit(0)", TESTS, reference=RIGHT, limits=GENEROUS, backend="rlimits")
    assert said.kind == "error"


def test_the_evaluator_runs_javascript() -> None:
    sample = Sample("s", "p", RIGHT, tests=TESTS, meta={"language": "javascript"})
    for text, value in ((f"```js\n{RIGHT}```", 1.0), (RIGHT.replace("+", "*"), 0.0)):
        assert score(sample, Prediction("s", "m", 0, text, 1, 0.1, "stop")).value == value


ROUTER_TESTS = """\
const ask = request(createUserRouter(new Map([["a@x.org", { id: 1 }]])), { at: "/users" });
const made = await ask.post("/users").send({ name: " Bob ", email: "Bob@X.org" }).expect(201)
  .expect("location", /^\\/users\\//);
assert.strictEqual(made.body.name, "Bob");
assert.strictEqual(made.body.email, "bob@x.org");
assert.strictEqual((await ask.post("/users").send({ name: "C", email: "A@x.org" })).status, 409);
const wrong = await ask.post("/users").send({});
assert.strictEqual(wrong.status, 400);
assert.strictEqual(wrong.body.faults.length, 2);
await ask.get("/users").expect(404);
"""
APPLICATION = """\
const express = require("express");
const app = express();
app.get("/sum", (request, response) => response.json({ sum: Number(request.query.a) + Number(request.query.b) }));
app.get("/boom", () => { throw new Error("x"); });
module.exports = { app };
"""
APPLICATION_TESTS = """\
await request(app).get("/sum").query({ a: 1, b: 2 }).expect(200, { sum: 3 });
assert.strictEqual((await request(app).get("/boom")).status, 500);
"""


@pytest.fixture
def express() -> None:
    try:
        packages.installed()
    except packages.MissingError as fault:
        pytest.skip(f"the locked node packages cannot be had: {fault}")


@pytest.mark.usefixtures("express")
def test_express_answers_are_asked_over_http(bwrap: str) -> None:
    right = micro.EXPRESS.completion
    assert outcome_of(right, ROUTER_TESTS, right) == Outcome("pass", "", bwrap)
    assert outcome_of(right.replace("409", "400"), ROUTER_TESTS, right).kind == "fail"
    assert outcome_of(APPLICATION, APPLICATION_TESTS, APPLICATION) == Outcome("pass", "", bwrap)


@pytest.mark.usefixtures("express")
def test_express_is_asked_as_with_supertest(bwrap: str) -> None:
    program, tests = (Path(__file__).with_name("express") / name for name in ("users.js", "users.test.js"))
    assert outcome_of(program.read_text(), tests.read_text(), program.read_text()) == Outcome("pass", "", bwrap)


@pytest.mark.usefixtures("express")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('res.clearCookie("sid");', ""),
        ("401", "403"),
        ('"X-Kind"', '"X-King"'),
        ("err.status || 500", "200"),
        ("audit(req.body.name);", ""),
    ],
)
def test_what_supertest_would_see_is_seen(bwrap: str, old: str, new: str) -> None:
    program, tests = (Path(__file__).with_name("express") / name for name in ("users.js", "users.test.js"))
    right = program.read_text()
    wrong = right.replace(old, new)
    assert wrong != right
    assert outcome_of(wrong, tests.read_text(), right).kind == "fail"


EXPRESS_HOSTILE = {
    "exits when asked": ("(_, response) => process.exit(0)", "error"),
    "says success to everything": ("(_, response) => response.status(200).json(true)", "fail"),
    "never answers": ("() => {}", "timeout"),
    "says it in headers": ("(_, r) => { r.set('x-status', '200'); r.status(500).json({ sum: 3 }); }", "fail"),
    "is no JSON": ("(_, r) => r.type('json').send('{')", "error"),
    "patches node's http": (
        "(_, r) => { const { ClientRequest } = require('http'); ClientRequest.prototype.end = () => {}; r.end(); }",
        "any",
    ),
    "knows every answer": ("(_, r) => r.status(500).json({ sum: 3, status: 500, 0: 3 })", "fail"),
    "writes a response of its own": (
        "(_, r) => r.socket.end('HTTP/1.1 200 OK\\r\\nstatus: 500\\r\\n__proto__: x\\r\\n\\r\\n{}')",
        "fail",
    ),
    "has headers without end": (
        "(_, r) => r.socket.write('HTTP/1.1 200 OK\\r\\n' + 'a: b\\r\\n'.repeat(1e5))",
        "error",
    ),
    "puts its own in http's place": (
        "(_, r) => { r.json({ sum: 3 });\n"
        "require('http').request = (_, tell) => ({ on() {}, end() { tell({ on() {}, statusCode: 500 }); } }); }",
        "any",
    ),
    "breaks off": ("(request) => request.socket.destroy()", "error"),
    "answers without end": (
        "(_, r) => { r.status(201); const f = () => { while (r.write('x'.repeat(1e6))); r.once('drain', f); }; f(); }",
        "any",
    ),
}


@pytest.mark.usefixtures("express")
@pytest.mark.parametrize(("answer", "kind"), EXPRESS_HOSTILE.values(), ids=EXPRESS_HOSTILE)
def test_hostile_applications_do_not_pass(bwrap: str, answer: str, kind: str) -> None:
    program = f"const app = require('express')();\napp.use({answer});\nmodule.exports = {{ app }};\n"
    limits = Limits(wall_s=6, cpu_s=5, memory_bytes=2**29)
    outcome = outcome_of(program, APPLICATION_TESTS, APPLICATION, limits)
    assert outcome.kind == kind or (kind == "any" and outcome.kind != "pass"), outcome
