"""React answers: what tests may use; odd but right components pass, wrong ones and attacks do not, one a test."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from sluicegate.evaluators.functional_correctness import score
from sluicegate.records import Prediction, Sample
from sluicegate.sandbox import Limits, Outcome, packages, react

pytestmark = pytest.mark.process
GENEROUS = Limits(wall_s=120, cpu_s=30)
BUSY = Limits(wall_s=60, cpu_s=4)
BRIEF = Limits(wall_s=12, cpu_s=30)
PAGES = Path(__file__).with_name("react")


@pytest.fixture(autouse=True)
def bundles() -> None:
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    try:
        packages.bundles()
    except packages.MissingError as fault:
        pytest.skip(f"the locked node packages cannot be had: {fault}")


def outcome_of(program: str, tests: str, reference: str, limits: Limits = GENEROUS) -> Outcome:
    return react.run(program, tests, reference=reference, limits=limits, backend="bwrap")


@pytest.mark.parametrize("name", sorted(path.name.partition(".")[0] for path in PAGES.glob("*.test.tsx")))
def test_what_tests_may_use(bwrap: str, name: str) -> None:
    program, tests = ((PAGES / f"{name}.{kind}").read_text() for kind in ("tsx", "test.tsx"))
    assert outcome_of(program, tests, program) == Outcome("pass", "", bwrap)


RIGHT = """\
import { useState } from "react";
export function Counter({ start = 0, onChange }) {
  const [count, setCount] = useState(start);
  const change = (by) => { setCount(count + by); onChange?.(count + by); };
  return <div><p>Count: {count}</p><button onClick={() => change(1)}>+</button></div>;
}
"""
TESTS = """\
const onChange = fn();
const { container, unmount } = render(<Counter start={3} onChange={onChange} />);
const plus = screen.getByRole("button", { name: "+" });
assert.strictEqual(container.querySelector("p").textContent, "Count: 3");
fireEvent.click(plus);
assert.strictEqual(container.querySelector("p").textContent, "Count: 4");
await userEvent.click(plus);
assert.ok(await screen.findByText("Count: 5"));
assert.deepStrictEqual(onChange.calls, [[4], [5]]);
unmount();
assert.strictEqual(container.innerHTML, "");
assert.strictEqual(document.defaultView.hacked, undefined);
assert.strictEqual({}.hacked, undefined);
"""
BODY = "<><p>Count: {count}</p><button onClick={() => change(1)}>+</button></>"
ODD_BUT_RIGHT = {
    "a class": """
import React from "react";
import PropTypes from "prop-types";
class Counter extends React.Component {
  state = { count: this.props.start };
  change = () => this.setState(({ count }) => ({ count: count + 1 }), () => this.props.onChange(this.state.count));
  render() { return <div><p>Count: {this.state.count}</p><button onClick={this.change}>+</button></div>; }
}
Counter.propTypes = { start: PropTypes.number };
Counter.defaultProps = { start: 0 };
export default Counter;
""",
    "context and a reducer": """
import { createContext, useContext, useEffect, useReducer, useRef } from "react";
const Counts = createContext(null);
const Shown = () => <p>Count: {useContext(Counts).count}</p>;
const Plus = () => <button onClick={useContext(Counts).add}>+</button>;
const Counter = ({ start, onChange }) => {
  const [count, add] = useReducer((n) => n + 1, start);
  const isFirst = useRef(true);
  useEffect(() => { if (isFirst.current) isFirst.current = false; else onChange(count); }, [count]);
  return <Counts.Provider value={{ count, add }}><Shown /><Plus /></Counts.Provider>;
};
export { Counter };
""",
    "memo, forwardRef and StrictMode": RIGHT.replace("export function Counter", "function Inner").replace(
        "import {", "import { forwardRef, memo, StrictMode,"
    )
    + "export const Counter = memo(forwardRef((props, ref) => <StrictMode><Inner {...props} /></StrictMode>));\n",
    "written on the page by hand": """
import { useEffect, useRef } from "react";
export function Counter({ start, onChange }) {
  const place = useRef(null);
  useEffect(() => {
    let count = start;
    const p = place.current.appendChild(document.createElement("p"));
    p.textContent = `Count: ${count}`;
    const plus = () => { p.textContent = `Count: ${++count}`; onChange(count); };
    const button = place.current.nextSibling;
    button.addEventListener("click", plus);
    return () => button.removeEventListener("click", plus);
  }, []);
  return <><div ref={place} /><button>+</button></>;
}
""",
    "lazy parts and a portal beside it": RIGHT.replace(
        "return <div>",
        "return <div><Suspense fallback={null}><Later /></Suspense>{createPortal(<i>aside</i>, document.body)}",
    ).replace(
        "import {",
        "import { createPortal } from 'react-dom';\nimport { lazy, Suspense,",
        1,
    )
    + "const Later = lazy(async () => ({ default: () => <i>later</i> }));\n",
    "an open setInterval and a socket": RIGHT + "setInterval(() => {}, 5);\nrequire('net').createServer().listen(0);\n",
    "a promise that never settles": RIGHT + "export const never = new Promise(() => {});\nawaited();\n"
    "async function awaited() { await never; }\n",
    "a late fault": RIGHT + "setTimeout(() => { throw new Error('late'); }, 1);\nPromise.reject(new Error('x'));\n",
    "noisy": RIGHT + "console.error('x'.repeat(1e5)); console.log('FAILED');\n",
    "styles and pictures": "import './a.css';\nimport styles from './b.module.css';\nimport logo from './c.svg';\n"
    + RIGHT.replace("<div>", "<div className={styles.box}><img src={logo} alt='' />"),
    "as for React 18 and before": "import React from 'react';\nimport ReactDOM from 'react-dom/client';\n"
    + RIGHT
    + "const root = document.getElementById('root');\nif (root) ReactDOM.createRoot(root).render(<Counter />);\n",
    "names of the prototype": RIGHT.replace(
        "<div>",
        "<div data-__proto__='x' ref={(n) => { n?.setAttribute('__proto__', '{\"hacked\":1}'); "
        "n?.setAttribute('constructor', 'x'); }}>",
    ).replace("start = 0,", "start = 0, __proto__: unused,"),
    "scripts, frames and faults of pictures": RIGHT.replace(
        "<div>",
        "<div><section dangerouslySetInnerHTML={{ __html: \"<img src=x onerror='hacked=1'><script>hacked=1<\\/script>"
        "<iframe srcdoc='<script>parent.hacked=1<\\/script>' src='javascript:parent.hacked=1'></iframe>"
        "<svg onload='hacked=1'><script>hacked=1<\\/script></svg><object data='data:text/html,x'></object>"
        "<link rel=stylesheet href='http://127.0.0.1:1/'><style>@import url(http://127.0.0.1:1/)</style>\" }} />",
    ),
    "what would leave a parser": RIGHT.replace(
        "<div>",
        "<div><b title='\"></b><script>hacked=1</script>'>{'</div></body><script>hacked=1</script><!-- --> ]]>'}</b>"
        "<span dangerouslySetInnerHTML={{ __html: '<x-a a\"b=1 <c=2 =d></x-a><a<b>y</a<b>' }} />",
    ),
    "control characters": RIGHT.replace("<div>", "<div><b>{'\\u0000\\u001b[2J\\ud800\\u202e'}</b>"),
}


@pytest.mark.parametrize("program", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_odd_but_right_components_pass(bwrap: str, program: str) -> None:
    assert outcome_of(program, TESTS, RIGHT) == Outcome("pass", "", bwrap)


STILL = "export function Counter() { return <div><p>Count: 3</p><button>+</button></div>; }\n"
YES = """\
const yes = new Proxy(function () {}, {
  get: (_, key) => (key === Symbol.toPrimitive ? () => 4 : key === "then" ? undefined : yes),
  apply: () => yes, construct: () => yes, has: () => true,
});
"""
HOSTILE = {
    "does nothing": (STILL, "fail", "AssertionError"),
    "has no such component": ("export const Count = () => null;", "error", "ReferenceError: Counter is not defined"),
    "does not parse": ("export const Counter = () => <p>;", "error", "SyntaxError: "),
    "throws when shown": (
        "export const Counter = () => { throw new Error('\\u001b[31mno\\u0000'); };",
        "error",
        "Error",
    ),
    "is no component": ("export const Counter = 7;", "error", ""),
    "prints success": (STILL + "console.log('{\"kind\":\"pass\"}'); process.stdout.write('pass\\n');", "fail", ""),
    "counts with what equals everything": (
        YES + RIGHT.replace("onChange?.(count + by)", "onChange(yes)"),
        "fail",
        "AssertionError",
    ),
    "patches the page's getters": (
        STILL + "for (const kind of [Node, Element, HTMLElement]) for (const key of ['textContent', 'innerHTML'])\n"
        "  Object.defineProperty(kind.prototype, key, { get: () => 'Count: 4', set() {}, configurable: true });",
        "fail",
        "TestingLibraryElementError",
    ),
    "patches Testing Library's names": (
        STILL + "globalThis.screen = globalThis.assert = new Proxy(() => {}, { get: () => () => true });\n"
        "globalThis.render = globalThis.expect = () => ({});",
        "fail",
        "",
    ),
    "patches React DOM": (
        STILL + "require('react-dom/client').createRoot = () => ({ render() { document.body.innerHTML = "
        "'<div><p>Count: 4</p><button>+</button></div>'; }, unmount() {} });",
        "fail",
        "AssertionError",
    ),
    "says another text each time it is read": (
        STILL + "const { get } = Object.getOwnPropertyDescriptor(CharacterData.prototype, 'data');\nlet n = 2;\n"
        "Object.defineProperty(CharacterData.prototype, 'data', {\n"
        "  get() { return get.call(this).replace('3', ++n); },\n});",
        "fail",
        "AssertionError",
    ),
    "counts clicks anywhere": (
        "import { useEffect, useRef } from 'react';\nexport function Counter() {\n  const shown = useRef();\n"
        "  useEffect(() => { let n = 3; document.addEventListener('click', () => { shown.current.textContent = "
        "`Count: ${++n}`; }, true); }, []);\n  return <div><p ref={shown}>Count: 3</p><button>+</button></div>;\n}",
        "fail",
        "AssertionError",
    ),
    "takes its page away": (
        STILL.replace("<div>", "<div ref={() => document.documentElement?.remove()}>"),
        "error",
        "wrote to the pipe of the harness: not a page",
    ),
    "forges the page": (
        STILL + 'const plain = JSON.stringify;\nJSON.stringify = (x) => x?.rows ? \'{"rows":[["x"]]}\' : plain(x);',
        "error",
        "wrote to the pipe of the harness: not a page",
    ),
    "forges a page that is its own child": (
        STILL + "const plain = JSON.stringify;\nJSON.stringify = (x) => x?.rows ? plain({ ...x, rows: [...x.rows, "
        "[x.rows[0][0], x.rows[2][0], 'html', [], null, null]] }) : plain(x);",
        "error",
        "wrote to the pipe of the harness: not a page",
    ),
    "writes frames of its own": (
        STILL + "require('fs').writeSync(3, Buffer.from('\\0\\0\\0\\x0d{\"r\":null,\"x\"'));",
        "error",
        "wrote to the pipe",
    ),
    "exits when loaded": ("process.exit(0)", "error", "ended with exit code 0"),
    "exits in an effect": (
        "import { useEffect } from 'react';\n"
        "export function Counter() { useEffect(() => process.exit(0)); return <p>Count: 3</p>; }",
        "error",
        "ended with exit code 0",
    ),
    "sets state in render for ever": (
        "import { useState } from 'react';\n"
        "export function Counter() { const [n, set] = useState(0); set(n + 1); return <p>{n}</p>; }",
        "error",
        "Error: Too many re-renders",
    ),
    "makes a page too large": (
        "export const Counter = () => <div>{Array.from({ length: 60_000 }, (_, n) => <b key={n}>{n}</b>)}</div>;",
        "limit",
        "answer: ",
    ),
    "makes a text too large": (
        "export const Counter = () => <p>{'x'.repeat(2e7)}</p>;",
        "error",
        "wrote to the pipe of the harness: not a page: RangeError",
    ),
    "nests without end": (
        "export const Counter = () => Array(30_000).fill().reduce((inner) => <b>{inner}</b>, 'x');",
        "error",
        "",
    ),
}


@pytest.mark.parametrize(("program", "kind", "why"), HOSTILE.values(), ids=HOSTILE)
def test_wrong_and_hostile_components_do_not_pass(bwrap: str, program: str, kind: str, why: str) -> None:
    outcome = outcome_of(program, TESTS, RIGHT)
    assert (outcome.kind, outcome.why.startswith(why)) == (kind, True), outcome
    assert outcome.why.isprintable()


EQUALITY = """\
const { result } = renderHook(() => useCount());
assert.strictEqual(result.current.again(), 4);
expect(result.current.count).toEqual(3);
const tell = fn();
tell(useCount().count);
expect(tell).toHaveBeenCalledWith(3);
"""
SAYS_IT_IS = {
    "data": "{ asymmetricMatch: () => true }",
    "an object": "new (class { asymmetricMatch() { return true; } })()",
    "a function": "Object.assign(() => 3, { asymmetricMatch: () => true })",
    "an error": "Object.assign(new Error('3'), { asymmetricMatch: () => true })",
}


@pytest.mark.parametrize("is_known", [True, False], ids=["with a reference", "without"])
@pytest.mark.parametrize("answer", SAYS_IT_IS.values(), ids=SAYS_IT_IS)
def test_answers_have_no_say_in_equality(bwrap: str, answer: str, is_known: bool) -> None:
    right = "export const useCount = () => ({ count: 3, again: () => 4 });"
    assert outcome_of(right.replace("3", answer), EQUALITY, right if is_known else "").kind == "fail"


ENDLESS = {
    "loops in render": ("export const Counter = () => { for (;;); };", BUSY),
    "effects that never rest": (
        "import { useEffect, useState } from 'react';\n"
        "export function Counter() { const [n, set] = useState(0); useEffect(() => set(n + 1)); return <p>{n}</p>; }",
        BUSY,
    ),
    "nodes that never end": (
        "export const Counter = () => <div ref={(div) => div && Object.defineProperty(div.firstChild, 'nextSibling',\n"
        "  { get() { return this; } })}><p>Count: 3</p></div>;",
        BUSY,
    ),
    "never answers": (
        "const wait = new Int32Array(new SharedArrayBuffer(4));\n"
        "export const Counter = () => { Atomics.wait(wait, 0, 0); return null; };",
        BRIEF,
    ),
}


@pytest.mark.parametrize(("program", "limits"), ENDLESS.values(), ids=ENDLESS)
def test_endless_components_meet_their_limit(bwrap: str, program: str, limits: Limits) -> None:
    assert outcome_of(program, TESTS, "", limits).kind == "timeout"


REFUSED = {
    "reading the tests": "fs.readFileSync('request.json')",
    "reading the users": "fs.readFileSync('/etc/passwd')",
    "other packages": "require(['ex', 'press'].join(''))",
    "the environment": "if (Object.keys(process.env).join() === 'TMPDIR') throw 0",
    "changing the packages": "fs.writeFileSync('/node_modules/inside.js', '')",
    "a process outside": "for (let n = 100; n < 32768; n++) try { process.kill(n, 0); return; } catch {} throw 0",
    "the network": "await fetch('http://1.1.1.1/')",
}


def test_what_is_not_the_programs_is_out_of_reach(bwrap: str) -> None:
    deeds = ",\n".join(f'"{name}": async () => {{ {deed}; }}' for name, deed in REFUSED.items())
    program = f"""\
const fs = require("fs");
const deeds = {{ {deeds} }};
export const tried = async () => {{
  const said = [];
  for (const name of Object.keys(deeds)) await deeds[name]().then(() => said.push(name), () => undefined);
  return said;
}};
"""
    assert outcome_of(program, "assert.deepStrictEqual(await tried(), []);", program) == Outcome("pass", "", bwrap)


def test_tests_that_cannot_be_run_and_packages_that_are_missing_are_told_apart(bwrap: str) -> None:
    assert outcome_of(RIGHT, "render(<Counter", RIGHT).kind == "tests"
    said = outcome_of(RIGHT, TESTS, "import axios from 'axios';")
    assert said == Outcome("tests", "the reference needs packages that are not here: axios")


def test_packages_that_cannot_be_bundled_are_our_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    packages.installed()
    cache = packages._cache()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "sluicegate").mkdir()
    for folder in cache.glob("node-*"):
        (tmp_path / "sluicegate" / folder.name).symlink_to(folder)

    def refuse(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "✘ no\n")

    monkeypatch.setattr(subprocess, "run", refuse)
    assert react.run(RIGHT, TESTS) == Outcome("infra", "no bundle for React: ✘ no")
    assert not list((tmp_path / "sluicegate").glob("*react-*"))


def test_without_node_it_is_our_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert react.run(RIGHT, TESTS).kind == "infra"


def test_without_a_sandbox_it_runs_too() -> None:
    said = react.run(RIGHT, TESTS, reference=RIGHT, limits=GENEROUS, backend="rlimits")
    assert said == Outcome("pass", "", "rlimits, UNSAFE")


@pytest.mark.parametrize("meta", [{"language": "jsx"}, {"language": "React"}, {"language": "tsx"}, {}])
def test_the_evaluator_runs_react(meta: dict[str, str]) -> None:
    sample = Sample("s", "p", RIGHT, scenario="react", tests=TESTS, meta=meta)
    assert score(sample, Prediction("s", "m", 0, f"Here:\n```jsx\n{RIGHT}```", 1, 0.1, "stop")).value == 1.0
