// The referee's end, after peer.js: runs the tests outside the sandbox, with proxies for the candidate's names, and
// tells how they ended as one line of JSON on the descriptor named in the request.

const TOLD = { names: [], steps: new Set() };

// `request(app)` asks an application or, with `{ at: "/path" }`, a router over HTTP inside the sandbox; the exchange
// comes back as plain data: status, headers, text, body.
const METHODS = ["get", "head", "post", "put", "patch", "delete", "options"];

class Exchange {
  constructor(peer, target, asked) {
    Object.assign(this, { peer, target, asked, wanted: [] });
  }

  set(name, value) {
    const named = typeof name === "object" ? name : { [name]: value };
    for (const [key, one] of Object.entries(named)) this.asked.headers[key.toLowerCase()] = String(one);
    return this;
  }

  query(values) {
    this.asked.path += `${this.asked.path.includes("?") ? "&" : "?"}${new URLSearchParams(values)}`;
    return this;
  }

  send(body) {
    const isText = typeof body === "string";
    this.asked.headers["content-type"] ??= isText ? "text/plain" : "application/json";
    this.asked.body = isText ? body : JSON.stringify(body);
    return this;
  }

  expect(...wanted) {
    this.wanted.push(wanted);
    return this;
  }

  then(resolve, reject) {
    return this.made().then(resolve, reject);
  }

  async made() {
    const said = this.peer.ask("http", HOME.get(this.target), [this.asked]);
    const isWhole = said && Number.isInteger(said.status) && typeof said.text === "string" && typeof said.headers === "object";
    if (!isWhole) throw this.peer.end(new ProtocolError("not an exchange"));
    let body = {};
    if (/\bjson\b/.test(String(said.headers["content-type"]))) body = JSON.parse(said.text);
    for (const [first, second] of this.wanted) check(said, body, first, second);
    return { status: said.status, headers: said.headers, text: said.text, body, ok: said.status < 400 };
  }
}

function check(said, body, first, second) {
  const assert = require("node:assert");
  if (typeof first === "number") assert.strictEqual(said.status, first);
  else if (typeof first === "string" && second instanceof RegExp) assert.match(String(said.headers[first.toLowerCase()]), second);
  else if (typeof first === "string" && second !== undefined) assert.strictEqual(said.headers[first.toLowerCase()], String(second));
  else if (typeof first === "string") assert.strictEqual(said.text, first);
  else assert.deepStrictEqual(body, first);
  if (typeof first === "number" && second !== undefined) check(said, body, second);
}

function asker(peer) {
  return (target, { at } = {}) => {
    if (!HOME.has(target)) throw new TypeError("request: wanted the candidate's application or router");
    const make = (method) => (path) => new Exchange(peer, target, { method: method.toUpperCase(), path, at, headers: {} });
    return Object.fromEntries(METHODS.map((method) => [method, make(method)]));
  };
}

async function judge(request) {
  let body;
  const known = request.reference;
  try {
    new (require("node:vm").Script)(`(async function () {${request.tests}\n})`);
  } catch (fault) {
    return { kind: "tests", why: described(fault) };
  }
  const peer = new Peer(request.stream, { guarded: true, allows: (step) => allowed(step, known) });
  peer.showOutput = (text) => process.stdout.write(text);
  const waiting = [];
  const test = (name, run) => waiting.push(run);
  try {
    const found = new Map(peer.ask("load", 0, [request.candidate]));
    const own = { assert: require("node:assert"), require, request: asker(peer), test, it: test, describe: (name, run) => run() };
    const names = [...found.keys()].filter((name) => isOpen(name, own, known));
    TOLD.names = names;
    for (const name of names) if (HOME.has(found.get(name))) PATHS.set(found.get(name), name);
    const given = { ...own, ...Object.fromEntries(names.map((name) => [name, found.get(name)])) };
    body = new Function(...Object.keys(given), `"use strict"; return (async () => {${request.tests}\n})();`);
    await body(...Object.values(given));
    for (const run of waiting) await run();
    if (peer.fault) throw peer.fault;
    return { kind: "pass", why: "" };
  } catch (fault) {
    return blamed(peer.fault ?? fault);
  }
}

function isOpen(name, own, known) {
  if (!/^[A-Za-z_$][\w$]*$/.test(name) || RESERVED.has(name)) return false;
  if (known === null) return true;
  return known.names.includes(name) || (known.steps === null && !(name in own) && !(name in globalThis));
}

const RESERVED = new Set("arguments eval await yield let static enum this super null true false undefined".split(" "));

function allowed(step, known) {
  TOLD.steps.add(step);
  if (known === null || known.steps === null) return true;
  return known.steps.includes(step) || known.names.includes(step.replace(/\(\)$/, ""));
}

function blamed(fault) {
  if (fault instanceof GoneError) return { kind: "gone", why: "" };
  if (fault instanceof ProtocolError) return { kind: "error", why: `wrote to the pipe of the harness: ${fault.message}` };
  if (fault instanceof TooLargeError) return { kind: "limit", why: `answer: ${fault.message}` };
  const isFailed = fault instanceof require("node:assert").AssertionError;
  return { kind: isFailed ? "fail" : "error", why: described(fault) };
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
for (const event of ["uncaughtException", "unhandledRejection"]) {
  process.on(event, (fault) => tell(blamed(fault)));
}
process.on("beforeExit", () => tell({ kind: "error", why: "the tests wait for what never comes" }));
judge(request).then(tell);
