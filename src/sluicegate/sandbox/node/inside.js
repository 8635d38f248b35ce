// The candidate's end, after peer.js: runs the program, then requests until the referee is gone.

const STREAM = 3;
const OUTPUT_KEPT = 2 ** 20;
const leave = process.reallyExit.bind(process);
const writeOut = process.stdout.write.bind(process.stdout);

function serveCandidate() {
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
  peer.extra.load = load;
  fs.writeSync(STREAM, "R");
  process.on("uncaughtException", () => {}); // a late fault of a timer answers nothing
  process.on("unhandledRejection", () => {});
  void answerAll(peer);
}

async function answerAll(peer) {
  try {
    for (;;) {
      const said = peer.receive();
      if (said.q === "http") peer.send(await exchanged(peer, said));
      else if (said.q === "await") peer.send(await settled(peer, said));
      else peer.send(peer.reply(said));
    }
  } finally {
    leave(70);
  }
}

async function settled(peer, said) {
  try {
    return peer.worded("r", await peer.mine[said.to], [], []);
  } catch (fault) {
    return peer.worded("x", fault, [], []);
  }
}

const SERVERS = new Map(); // what answers → its server on the private loopback

async function exchanged(peer, said) {
  const reading = { list: [], count: 0, path: "" };
  try {
    const [asked] = peer.read(said.args, reading, 0);
    return peer.worded("r", await exchange(peer.mine[said.to], asked), [], []);
  } catch (fault) {
    return peer.worded("x", fault, [], []);
  }
}

async function exchange(target, asked) {
  if (!SERVERS.has(target)) SERVERS.set(target, await served(target, asked.at));
  const { port } = SERVERS.get(target).address();
  const { method, headers, body } = asked;
  const response = await fetch(`http://127.0.0.1:${port}${asked.path}`, { method, headers, body, redirect: "manual" });
  const text = await response.text();
  return { status: response.status, headers: Object.fromEntries(response.headers), text };
}

async function served(target, at) {
  let answers = target;
  if (at !== undefined) {
    answers = require("express")();
    answers.use(at, target);
  }
  const server = require("node:http").createServer(answers).listen(0, "127.0.0.1");
  await require("node:events").once(server, "listening");
  return server;
}

function load(source) {
  const module = { exports: {} };
  const script = asScript(source);
  const names = declared(script);
  const picked = names.map((name) => `${name}: typeof ${name} === "undefined" ? undefined : ${name}`).join(", ");
  const body = new (require("node:vm").Script)(
    `(function (exports, require, module, __filename, __dirname) {${script}\n;return {${picked}};\n})`,
    { filename: "candidate.js" },
  ).runInThisContext();
  const found = body.call(module.exports, module.exports, require, module, "/tmp/work/candidate.js", "/tmp/work");
  const given = module.exports;
  const all = { ...found };
  if (typeof given === "function") all[given.name || "exported"] = given;
  if (given !== null && ["object", "function"].includes(typeof given)) {
    for (const name of Object.keys(given)) all[name] = given[name];
  }
  return Object.entries(all).filter(([, value]) => value !== undefined);
}

function asScript(source) {
  return source
    .replace(/^import\s+\*\s+as\s+([\w$]+)\s+from\s+(["'][^"']+["']);?/gm, "const $1 = require($2);")
    .replace(/^import\s+(\{[^}]*\})\s+from\s+(["'][^"']+["']);?/gm, (_, names, from) => `const ${names.replace(/\bas\b/g, ":")} = require(${from});`)
    .replace(/^import\s+([\w$]+)\s+from\s+(["'][^"']+["']);?/gm, "const $1 = require($2);")
    .replace(/^export\s+default\s+(?=(?:async\s+)?(?:function\b\*?|class)\s+[\w$])/gm, "")
    .replace(/^export\s+default\s+/gm, "module.exports.default = ")
    .replace(/^export\s+\{[^}]*\};?/gm, "")
    .replace(/^export\s+(?=(?:async\s+)?(?:function|class|const|let|var)\b)/gm, "");
}

function declared(script) {
  const found = script.matchAll(/^(?:async\s+)?(?:function\s*\*?|class|const|let|var)\s+([A-Za-z_$][\w$]*)/gm);
  return [...new Set([...found].map((match) => match[1]))];
}

serveCandidate();
