// The candidate's end, after peer.js: runs the program, then requests until the referee is gone.

const STREAM = 3;
const OUTPUT_KEPT = 2 ** 20;
const [immediately, after] = [setImmediate, setTimeout]; // a program may put others in their places
const leave = process.reallyExit.bind(process);
const writeOut = process.stdout.write.bind(process.stdout);

function serveCandidate(prepare = () => {}) {
  const peer = new Peer(STREAM);
  let kept = "";
  process.stdout.write = (text, ...rest) => {
    if (kept.length < OUTPUT_KEPT) kept += String(text).slice(0, OUTPUT_KEPT);
    return writeOut(text, ...rest);
  };
  peer.takeOutput = () => {
    const text = kept;
    kept = "";
    return text;
  };
  Object.assign(peer.extra, { load: (source) => load(source).filter(([, value]) => canBeSent(peer, value)), http: (target, asked) => exchange(target, asked) });
  prepare(peer);
  fs.writeSync(STREAM, "R");
  process.on("uncaughtException", () => {}); // a late fault of a timer answers nothing
  process.on("unhandledRejection", () => {});
  void answerAll(peer);
}

async function answerAll(peer) {
  try {
    for (;;) {
      const said = peer.receive();
      peer.send(said.q === "tick" ? await ticked(peer, said) : peer.reply(said));
    }
  } finally {
    leave(70);
  }
}

async function ticked(peer, said) {
  const [settled, patience] = peer.read(said.args, { list: [], count: 0, path: "" }, 0);
  peer.settle(settled);
  await new Promise((resolve) => (peer.settled.length ? immediately(resolve) : later(peer, resolve, patience)));
  peer.wake = () => {};
  return peer.worded("r", peer.settled.splice(0), [], []);
}

function later(peer, resolve, patience) {
  peer.wake = resolve;
  after(resolve, patience);
}

/** A symbol, or what has one in it, cannot: no reason to lose the names beside it. */
function canBeSent(peer, value) {
  try {
    peer.write(value, { list: [], numbers: new Map() }, 0);
    return true;
  } catch {
    return false;
  }
}

const SERVERS = new Map(); // what answers → its server on the private loopback

async function exchange(target, asked) {
  const http = require("node:http");
  if (!SERVERS.has(target)) SERVERS.set(target, await served(http, target, asked.at));
  const url = new URL(asked.path, "http://127.0.0.1");
  const { method, headers, body } = asked;
  const path = url.pathname + url.search;
  return new Promise((resolve, reject) => {
    const options = { host: "127.0.0.1", port: SERVERS.get(target).address().port, method, path, headers, agent: false };
    const sent = http.request(options, (response) => {
      const parts = [];
      let size = 0;
      response.on("data", (part) => {
        size += part.length;
        if (size > MESSAGE_LIMIT) sent.destroy(new TooLargeError("a response without end"));
        else parts.push(part);
      });
      response.on("end", () => resolve({ status: response.statusCode, headers: { ...response.headers }, text: Buffer.concat(parts).toString() }));
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

async function served(http, target, at) {
  let answers = target;
  if (at !== undefined) {
    answers = require("express")();
    answers.use(at, target);
  }
  const server = answers instanceof http.Server ? answers : http.createServer(answers);
  if (!server.listening) server.listen(0, "127.0.0.1");
  if (!server.listening) await require("node:events").once(server, "listening");
  return server;
}

function load(source, required = require) {
  const module = { exports: {} };
  const script = asScript(source);
  const pairs = [...named(script).map((name) => [name, name]), ...renamed(source)];
  const picked = pairs.map(([as, name]) => `${as}: typeof ${name} === "undefined" ? undefined : ${name}`).join(", ");
  const body = new (require("node:vm").Script)(
    `(function (exports, require, module, __filename, __dirname) {${script}\n;return {${picked}};\n})`,
    { filename: "candidate.js" },
  ).runInThisContext();
  const found = body.call(module.exports, module.exports, required, module, "/tmp/work/candidate.js", "/tmp/work");
  const given = module.exports;
  const all = { ...found };
  if (typeof given === "function") Object.assign(all, { [given.name || "exported"]: given, "module.exports": given });
  if (given !== null && ["object", "function"].includes(typeof given)) {
    for (const name of Object.keys(given)) all[name] = given[name];
  }
  return Object.entries(all).filter(([name, value]) => value !== undefined && !isNodes(name, value));
}

const JUDGING = new Set("assert expect test it describe suite before after beforeAll beforeEach afterEach afterAll mock".split(" "));

/** Whether a program has such a name of node itself: what judges is not a program's to give, a `describe` of its own is. */
function isNodes(name, value) {
  if (!JUDGING.has(name)) return false;
  const parts = ["node:assert", "node:assert/strict", "node:test"].map((from) => require(from));
  return parts.some((part) => part === value || Object.values(part).includes(value));
}

function asScript(source) {
  return source
    .replace(/^#!.*/, "")
    .replace(/^import\s+([\w$]+)\s*,\s*(?=[{*])([^;"']*?)\s+from\s+(["'][^"']+["']);?/gm, "import $1 from $3;\nimport $2 from $3;")
    .replace(/^import\s+(["'][^"']+["']);?/gm, "require($1);")
    .replace(/^import\s+\*\s+as\s+([\w$]+)\s+from\s+(["'][^"']+["']);?/gm, "const $1 = require($2);")
    .replace(/^import\s+(\{[^}]*\})\s+from\s+(["'][^"']+["']);?/gm, (_, names, from) => `const ${names.replace(/\bas\b/g, ":")} = require(${from});`)
    .replace(/^import\s+([\w$]+)\s+from\s+(["'][^"']+["']);?/gm, "const $1 = require($2);")
    .replace(/^export\s+default\s+(?=(?:async\s+)?(?:function\b\*?|class)\s+[\w$])/gm, "")
    .replace(/^export\s+default\s+/gm, "module.exports.default = ")
    .replace(/^export\s+\{[^}]*\};?/gm, "")
    .replace(/^export\s+(?=(?:async\s+)?(?:function|class|const|let|var)\b)/gm, "");
}

/** What `export { name as other }` calls by another name: pairs of other and name. */
function renamed(source) {
  const lists = [...source.matchAll(/^export\s+\{([^}]*)\}/gm)].map(([, list]) => list);
  return lists.flatMap((list) => [...list.matchAll(/([A-Za-z_$][\w$]*)\s+as\s+([A-Za-z_$][\w$]*)/g)]).map(([, name, as]) => [as, name]);
}

/** Names that may be there when the program has run: those of declarations at the beginning of a line, then all other words that
 * node does not know by itself. What is not there at the top by then is undefined, and is left out. */
function named(script) {
  const words = (script.match(/[A-Za-z_$][\w$]*/g) ?? []).filter((word) => !(word in globalThis) && !NO_NAMES.has(word));
  return [...new Set([...declared(script), ...words])];
}

const NO_NAMES = new Set([...RESERVED, "exports", "require", "module", "__filename", "__dirname"]);

function declared(script) {
  const found = script.matchAll(/^(?:async\s+)?(?:function\s*\*?|class|const|let|var)\s+([A-Za-z_$][\w$]*)/gm);
  return [...found].map((match) => match[1]);
}
