// The referee's end, after peer.js: runs the tests outside the sandbox, with proxies for the candidate's names, and
// tells how they ended as one line of JSON on the descriptor named in the request.

const TOLD = { names: [], steps: new Set() };

const PATIENCE_MS = 5;
const FAILURES = new WeakSet(); // what the tests' own tools threw because something was not as wanted

/** While a test waits, the program goes on: its timers run, and each end learns what the other's promises became. */
async function goOn(peer) {
  let pause;
  peer.waits = () => pause?.ref();
  while (!peer.fault) {
    await new Promise((resolve) => {
      pause = peer.waiting.size ? setImmediate(resolve) : setTimeout(resolve, 1).unref(); // alone it keeps no test waiting
    });
    peer.settle(peer.ask("tick", 0, [peer.settled.splice(0), PATIENCE_MS]));
  }
}

async function judge(request, equip) {
  let body;
  const known = request.reference;
  try {
    new (require("node:vm").Script)(`(async function () {${request.tests}\n})`);
  } catch (fault) {
    return { kind: "tests", why: described(fault) };
  }
  const peer = new Peer(request.stream, { guarded: true, allows: (step) => allowed(step, known) });
  peer.showOutput = (text) => process.stdout.write(text);
  const tests = [];
  const hooks = { beforeAll: [], beforeEach: [], afterEach: [], afterAll: [] };
  try {
    const own = { assert: require("node:assert"), request: asker(peer), fn, jest: { fn }, vi: { fn }, ...outline(tests, hooks) };
    const page = equip(peer, own);
    const found = new Map(peer.ask("load", 0, [request.candidate]));
    const tools = { supertest: own.request, "@jest/globals": own, "node:test": own, vitest: own, ...page.tools };
    own.require = (name) => required(name, tools, found);
    nameNameless(found, known);
    const names = [...found.keys()].filter((name) => isOpen(name, own, known));
    TOLD.names = names;
    for (const name of names) if (HOME.has(found.get(name))) PATHS.set(found.get(name), name);
    const given = { ...own, ...Object.fromEntries(names.map((name) => [name, found.get(name)])) };
    body = new Function(...Object.keys(given), `"use strict"; return (async () => {${request.tests}\n})();`);
    void goOn(peer).catch((fault) => tell(blamed(peer.fault ?? fault)));
    await body(...Object.values(given));
    await runAll(tests, hooks, page);
    if (peer.fault) throw peer.fault;
    return { kind: "pass", why: "" };
  } catch (fault) {
    return blamed(peer.fault ?? fault);
  }
}

function outline(tests, hooks) {
  const test = (name, run) => void tests.push(run);
  test.each = (rows) => (name, run) => rows.forEach((row) => tests.push(() => run(...[row].flat())));
  const describe = (name, run) => run();
  const own = { test, it: test, describe };
  for (const when of Object.keys(hooks)) own[when] = (run) => void hooks[when].push(run);
  return own;
}

async function runAll(tests, hooks, page) {
  for (const one of hooks.beforeAll) await one();
  for (const run of tests) {
    for (const one of hooks.beforeEach) await one();
    await run();
    for (const one of hooks.afterEach) await one();
    page.cleared();
  }
  for (const one of hooks.afterAll) await one();
}

/** What `require` gives tests: the program for a path of their own, the tools for their packages, else what node has. */
function required(name, tools, found) {
  if (Object.hasOwn(tools, name)) return tools[name];
  if (!/^\.{1,2}\//.test(name)) return require(name);
  const first = [...found.values()].find((one) => HOME.has(one));
  return found.get("module.exports") ?? { ...Object.fromEntries(found), default: found.get("default") ?? first };
}

// -- functions that remember how they were called

const MOCKS = [];

function fn(deed = () => undefined) {
  const next = [];
  const state = { calls: [], results: [], instances: [] };
  let now = deed;
  const mock = function (...args) {
    state.calls.push(args);
    state.instances.push(this);
    try {
      const value = (next.shift() ?? now).apply(this, args);
      state.results.push({ type: "return", value });
      return value;
    } catch (fault) {
      state.results.push({ type: "throw", value: fault });
      throw fault;
    }
  };
  const clear = () => [state.calls, state.results, state.instances].forEach((list) => (list.length = 0));
  const always = (made) => (value) => ((now = made(value)), mock);
  const once = (made) => (value) => (next.push(made(value)), mock);
  const kinds = {
    Implementation: (run) => run,
    ReturnValue: (value) => () => value,
    ResolvedValue: (value) => async () => value,
    RejectedValue: (value) => async () => Promise.reject(value),
  };
  for (const [name, made] of Object.entries(kinds)) Object.assign(mock, { [`mock${name}`]: always(made), [`mock${name}Once`]: once(made) });
  const restore = () => ((now = deed), (next.length = 0), clear(), mock);
  Object.assign(mock, { _isMockFunction: true, mock: state, calls: state.calls, getMockName: () => "fn()" });
  Object.assign(mock, { mockClear: () => (clear(), mock), mockReset: restore, mockRestore: restore });
  MOCKS.push(mock);
  return mock;
}

/** A function without a name that is all a program exports has the one name that the tests use of the reference's. */
function nameNameless(found, known) {
  const words = new Set(request.tests.match(/[A-Za-z_$][\w$]*/g));
  const wanted = known?.names.filter((name) => words.has(name)) ?? [];
  const given = found.get("module.exports") ?? found.get("default");
  const isNameless = typeof given === "function" && NAMELESS.has(given.name);
  if (wanted.length === 1 && isNameless && !found.has(wanted[0])) found.set(wanted[0], given);
}

const NAMELESS = new Set(["", "default", "stdin_default"]); // the last is esbuild's

// -- verdicts

function isOpen(name, own, known) {
  if (!/^[A-Za-z_$][\w$]*$/.test(name) || RESERVED.has(name)) return false;
  if (known === null) return true;
  return known.names.includes(name) || (known.steps === null && !(name in own) && !(name in globalThis));
}

function allowed(step, known) {
  TOLD.steps.add(step);
  if (known === null || known.steps === null) return true;
  return known.steps.includes(step) || known.names.includes(step.replace(/\(\)$/, ""));
}

function blamed(fault) {
  if (fault instanceof GoneError) return { kind: "gone", why: "" };
  if (fault instanceof ProtocolError) return { kind: "error", why: `wrote to the pipe of the harness: ${fault.message}` };
  if (fault instanceof TooLargeError) return { kind: "limit", why: `answer: ${fault.message}` };
  return { kind: isFailure(fault) ? "fail" : "error", why: described(fault) };
}

function isFailure(fault) {
  if (!(fault instanceof Error)) return false;
  return fault instanceof require("node:assert").AssertionError || FAILURES.has(fault) || Object.hasOwn(fault, "matcherResult");
}

function described(fault) {
  try {
    return fault instanceof Error ? `${fault.name}: ${fault.message}` : `threw ${typeof fault}`;
  } catch {
    return "an error that cannot be described";
  }
}

function tell(said) {
  fs.writeSync(request.say, `${JSON.stringify({ ...said, names: TOLD.names, steps: [...TOLD.steps] })}\n`);
  process.reallyExit(0);
}

const request = JSON.parse(fs.readFileSync("request.json", "utf8"));

const held = require("node:assert").ok;
console.assert = (value, ...told) => held(value, ...(told.length ? [require("node:util").format(...told)] : [])); // node's only prints

function main(equip = () => ({ tools: {}, cleared() {} })) {
  for (const event of ["uncaughtException", "unhandledRejection"]) {
    process.on(event, (fault) => tell(blamed(fault)));
  }
  process.on("beforeExit", () => tell({ kind: "error", why: "the tests wait for what never comes" }));
  judge(request, equip).then(tell);
}
