"use strict";
// One end of the talk between a referee and a candidate, both in node: a typed format over a socket, handles for what
// is not plain, and proxies that stand for them. The same rules as for Python (`peer.py`, `proxies.py`): plain data are
// rebuilt from a closed list of types, the referee's end is guarded, and steps that the reference never took are
// refused. JSON.parse reads the frame; nothing that the other side names is required, called or evaluated.

const fs = require("node:fs");

const MESSAGE_LIMIT = 16 * 2 ** 20;
const DEPTH_LIMIT = 200;
const COUNT_LIMIT = 1_000_000;
const OBJECT_LIMIT = 200_000;
const ERRORS = { Error, TypeError, RangeError, SyntaxError, ReferenceError, EvalError, URIError, AggregateError };
const HOME = new WeakMap(); // proxy → its number at the other end
const { apply, construct, getPrototypeOf, ownKeys } = Reflect;
const { then } = Promise.prototype;

const KEPT_SYMBOLS = [Symbol.iterator, Symbol.toPrimitive]; // an object that has one is more than its data

class ProtocolError extends Error {}
class GoneError extends Error {}
class TooLargeError extends Error {}
class RefusedError extends Error {}

class Peer {
  constructor(stream, { guarded = false, allows = () => true } = {}) {
    Object.assign(this, { stream, guarded, allows, mine: [], numbers: new Map(), theirs: new Map(), extra: {} });
    this.takeOutput = () => "";
    this.showOutput = () => {};
    this.fault = null;
    this.asking = 0; // how many requests of this end wait for their answers
    this.waiting = new Map(); // number of a promise of the other end → what settles this end's
    this.settled = []; // promises of this end: number, whether it was kept, value
    [this.wake, this.waits] = [() => {}, () => {}];
    this.free = new Set(); // numbers of functions that are the harness's own
    this.special = { write: () => undefined, read: () => undefined };
  }

  // -- frames

  send(text) {
    const body = Buffer.from(text);
    if (body.length > MESSAGE_LIMIT) throw new TooLargeError(`more than ${MESSAGE_LIMIT} bytes`);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(body.length);
    const data = Buffer.concat([head, body]);
    for (let at = 0; at < data.length; ) {
      try {
        at += fs.writeSync(this.stream, data, at);
      } catch (fault) {
        if (fault.code !== "EAGAIN") throw this.end(new GoneError("gone"));
      }
    }
  }

  receive() {
    const size = this.exactly(4).readUInt32BE();
    if (size === 0 || size > MESSAGE_LIMIT + 2 ** 20) throw this.end(new ProtocolError(`a message of ${size} bytes`));
    try {
      return JSON.parse(this.exactly(size).toString());
    } catch (fault) {
      throw fault instanceof GoneError ? fault : this.end(new ProtocolError("not JSON"));
    }
  }

  exactly(size) {
    const data = Buffer.alloc(size);
    for (let at = 0; at < size; ) {
      let count = 0;
      try {
        count = fs.readSync(this.stream, data, at, size - at, null);
      } catch {
        count = 0;
      }
      if (count === 0) throw this.end(new GoneError("gone"));
      at += count;
    }
    return data;
  }

  end(fault) {
    this.fault ??= fault; // what ended the talk counts, whatever a test makes of the exception
    return fault;
  }

  // -- requests

  ask(op, target, args = [], path = "") {
    if (this.fault) throw this.fault;
    const known = { list: [], numbers: new Map() };
    this.send(JSON.stringify({ q: op, to: target, args: this.write(args, known, 0) }));
    this.asking += 1;
    try {
      for (;;) {
        const said = this.receive();
        if (said === null || typeof said !== "object") throw this.end(new ProtocolError("not a message"));
        if (typeof said.q !== "string") return this.answer(said, known, path);
        this.send(this.reply(said));
      }
    } finally {
      this.asking -= 1;
    }
  }

  // -- promises: each end tells the other at every tick which of its own were settled

  promised(promise) {
    const isNew = !this.numbers.has(promise);
    const number = this.number(promise);
    const tell = (isKept) => (value) => {
      this.settled.push([number, isKept, value]);
      this.wake();
    };
    if (isNew) apply(then, promise, [tell(true), tell(false)]);
    return number;
  }

  settle(list) {
    if (!Array.isArray(list)) throw this.end(new ProtocolError("not promises"));
    for (const one of list) {
      const waits = Array.isArray(one) ? this.waiting.get(one[0]) : undefined;
      if (waits === undefined) throw this.end(new ProtocolError("no such promise"));
      this.waiting.delete(one[0]);
      if (one[1] === true) waits.resolve(one[2]);
      else waits.reject(one[2]);
    }
  }

  answer(said, known, path) {
    const count = known.list.length;
    const reading = { list: [...known.list], count: 0, path };
    if (typeof said.out === "string" && said.out) this.showOutput(said.out);
    if (typeof said.large === "string") throw this.end(new TooLargeError(said.large.slice(0, 200)));
    const value = this.read("r" in said ? said.r : said.x, reading, 0);
    if (!Array.isArray(said.changes)) throw this.end(new ProtocolError("no changes"));
    for (const [number, parts] of said.changes) {
      if (!(number >= 0 && number < count) || !Array.isArray(parts)) throw this.end(new ProtocolError("no change"));
      refill(reading.list[number], parts.map((part) => this.read(part, reading, 0)));
    }
    if ("r" in said) return value;
    throw value;
  }

  reply(said) {
    const reading = { list: [], count: 0, path: "" };
    const args = this.read(said.args, reading, 0);
    const before = reading.list.map(contents);
    let value;
    let kind = "r";
    try {
      value = this.serve(said.q, said.to, args);
    } catch (fault) {
      if (fault instanceof GoneError || fault instanceof ProtocolError) throw fault;
      [kind, value] = ["x", fault];
    }
    return this.worded(kind, value, before, reading.list);
  }

  worded(kind, value, before, list) {
    const known = { list: [...list], numbers: new Map(list.map((thing, number) => [thing, number])) };
    try {
      const message = { [kind]: this.write(value, known, 0), changes: [], out: this.takeOutput() };
      before.forEach((old, number) => {
        const now = contents(list[number]);
        if (old.length !== now.length || old.some((part, at) => !Object.is(part, now[at]))) {
          message.changes.push([number, now.map((part) => this.write(part, known, 0))]);
        }
      });
      const text = JSON.stringify(message);
      if (text.length > MESSAGE_LIMIT) throw new TooLargeError(`more than ${MESSAGE_LIMIT} bytes`);
      return text;
    } catch (fault) {
      return JSON.stringify({ large: String(fault && fault.message).slice(0, 200), changes: [] });
    }
  }

  serve(op, number, args) {
    if (Object.hasOwn(this.extra, op)) return this.extra[op](...args);
    if (!Number.isInteger(number) || number < 0 || number >= this.mine.length || !Array.isArray(args)) {
      throw this.end(new ProtocolError("a handle that there is not"));
    }
    const target = this.mine[number];
    if (this.guarded) guard(op, target, args);
    if (!Object.hasOwn(SERVED, op)) throw this.end(new ProtocolError("an unknown request"));
    return SERVED[op](target, ...args);
  }

  // -- values

  write(value, known, depth) {
    if (depth > DEPTH_LIMIT) throw new TooLargeError(`nested more than ${DEPTH_LIMIT} deep`);
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (value === undefined) return { t: "u" };
    if (typeof value === "number") {
      return Number.isFinite(value) && !Object.is(value, -0) ? value : { t: "n", v: Object.is(value, -0) ? "-0" : `${value}` };
    }
    if (typeof value === "bigint") return { t: "b", v: value.toString() };
    if (typeof value === "symbol") throw new TypeError("a symbol cannot be sent");
    if (HOME.has(value)) return { t: "h", v: HOME.get(value) };
    if (known.numbers.has(value)) return { t: "@", v: known.numbers.get(value) };
    const special = this.special.write(value, (part) => this.write(part, known, depth + 1));
    if (special !== undefined) return { t: "x", v: special };
    return this.writeObject(value, known, depth);
  }

  writeObject(value, known, depth) {
    const number = () => {
      known.numbers.set(value, known.list.length);
      known.list.push(value);
    };
    const all = (parts) => parts.map((part) => this.write(part, known, depth + 1));
    const kind = getPrototypeOf(value);
    if (kind === Array.prototype) return number(), { t: "a", v: all(contents(value)) };
    if ((kind === Object.prototype || kind === null) && !KEPT_SYMBOLS.some((key) => Object.hasOwn(value, key))) {
      return number(), { t: "o", v: all(contents(value)) };
    }
    if (kind === Map.prototype) return number(), { t: "m", v: all(contents(value)) };
    if (kind === Set.prototype) return number(), { t: "s", v: all(contents(value)) };
    if (kind === Date.prototype) return { t: "d", v: this.write(value.getTime(), known, depth) };
    if (kind === RegExp.prototype) return { t: "r", v: [value.source, value.flags] };
    if (kind === Uint8Array.prototype || kind === Buffer.prototype) {
      return { t: kind === Buffer.prototype ? "B" : "U", v: Buffer.from(value).toString("base64") };
    }
    if (value instanceof Error) {
      const names = Object.keys(value).slice(0, 20);
      return {
        t: "e",
        v: this.number(value),
        c: this.classOf(value),
        n: String(value.name).slice(0, 200),
        m: String(value.message).slice(0, 10_000),
        p: Object.fromEntries(names.map((name) => [name, this.write(value[name], known, depth + 1)])),
      };
    }
    if (typeof value === "function") return { t: "f", v: this.number(value), n: String(value.name).slice(0, 200) };
    if (value instanceof Promise) return { t: "p", v: this.promised(value) };
    return { t: "i", v: this.number(value), c: this.classOf(value) };
  }

  classOf(value) {
    const made = value.constructor;
    if (typeof made !== "function" || made === Object || Object.values(ERRORS).includes(made)) return null;
    return { t: "f", v: this.number(made), n: String(made.name).slice(0, 200) };
  }

  number(thing) {
    if (!this.numbers.has(thing)) {
      if (this.mine.length >= OBJECT_LIMIT) throw new TooLargeError(`more than ${OBJECT_LIMIT} objects`);
      this.numbers.set(thing, this.mine.length);
      this.mine.push(thing);
    }
    return this.numbers.get(thing);
  }

  read(said, reading, depth) {
    if (++reading.count > COUNT_LIMIT || depth > 2 * DEPTH_LIMIT) throw this.end(new ProtocolError("too large"));
    if (said === null || ["string", "boolean", "number"].includes(typeof said)) return said;
    if (typeof said !== "object" || Array.isArray(said) || typeof said.t !== "string" || !Object.hasOwn(READERS, said.t)) {
      throw this.end(new ProtocolError("an unknown tag"));
    }
    try {
      return READERS[said.t](this, said, reading, depth);
    } catch (fault) {
      throw fault instanceof GoneError ? fault : this.end(new ProtocolError(String(fault.message).slice(0, 200)));
    }
  }

  readClass(said, reading, depth) {
    if (said === null) return null;
    const made = this.read(said, reading, depth + 1);
    if (typeof made !== "function" || !HOME.has(made)) throw new ProtocolError("not a class of this end");
    return made;
  }

  filled(said, reading, depth, empty) {
    reading.list.push(empty);
    if (!Array.isArray(said.v)) throw new ProtocolError("no parts");
    refill(empty, said.v.map((part) => this.read(part, reading, depth + 1)));
    return empty;
  }

  proxy(number, make) {
    if (!Number.isInteger(number) || number < 0) throw new ProtocolError("no handle");
    if (!this.theirs.has(number)) {
      if (this.theirs.size >= 2 * OBJECT_LIMIT) throw new ProtocolError("too many objects");
      const made = make();
      HOME.set(made, number);
      this.theirs.set(number, made);
    }
    return this.theirs.get(number);
  }
}

const READERS = {
  u: () => undefined,
  n: (peer, said) => ({ NaN: NaN, Infinity: Infinity, "-Infinity": -Infinity, "-0": -0 })[String(said.v)],
  b: (peer, said) => BigInt(String(said.v).slice(0, 10_000)),
  h: (peer, said) => {
    if (!Number.isInteger(said.v) || said.v < 0 || said.v >= peer.mine.length) throw new ProtocolError("no such handle");
    return peer.mine[said.v];
  },
  "@": (peer, said, reading) => {
    if (!Number.isInteger(said.v) || said.v < 0 || said.v >= reading.list.length) throw new ProtocolError("no such part");
    return reading.list[said.v];
  },
  a: (peer, said, reading, depth) => peer.filled(said, reading, depth, []),
  o: (peer, said, reading, depth) => withoutMatchers(peer, peer.filled(said, reading, depth, {})),
  m: (peer, said, reading, depth) => peer.filled(said, reading, depth, new Map()),
  s: (peer, said, reading, depth) => peer.filled(said, reading, depth, new Set()),
  d: (peer, said, reading, depth) => new Date(Number(peer.read(said.v, reading, depth + 1))),
  r: (peer, said) => new RegExp(String(said.v[0]).slice(0, 1000), String(said.v[1])),
  B: (peer, said) => Buffer.from(String(said.v), "base64"),
  U: (peer, said) => new Uint8Array(Buffer.from(String(said.v), "base64")),
  f: (peer, said, reading) => peer.proxy(said.v, () => remoteFunction(peer, said.v, String(said.n), reading.path)),
  i: (peer, said, reading, depth) => {
    const made = peer.readClass(said.c, reading, depth);
    return peer.proxy(said.v, () => remoteObject(peer, said.v, made, reading.path));
  },
  e: (peer, said, reading, depth) => {
    const made = peer.readClass(said.c, reading, depth);
    return peer.proxy(said.v, () => remoteError(peer, said, made, reading, depth));
  },
  p: (peer, said) => {
    peer.waits();
    return peer.proxy(said.v, () => new Promise((resolve, reject) => peer.waiting.set(said.v, { resolve, reject })));
  },
  x: (peer, said, reading, depth) => {
    const value = peer.special.read(said.v, (part) => peer.read(part, reading, depth + 1));
    if (value === undefined) throw new ProtocolError("nothing special");
    return value;
  },
};

// -- proxies

const MATCHERS = new Set(["asymmetricMatch", "isEqualNode"]); // what an assertion would ask the answer itself about equality

function withoutMatchers(peer, made) {
  if (peer.guarded) for (const name of MATCHERS) if (typeof made[name] === "function") delete made[name];
  return made;
}

function remoteFunction(peer, number, name, path) {
  const target = { [name]: function () {} }[name] ?? function () {};
  const step = () => `${PATHS.get(proxy) ?? path ?? name}()`;
  const proxy = new Proxy(target, {
    apply: (_, self, args) => {
      if (!peer.free.has(number) && !peer.allows(step())) throw new RefusedError(`an object was used as the reference's answer never is: ${step()}`);
      return peer.ask("call", number, [HOME.has(self) ? self : undefined, ...args], step());
    },
    construct: (_, args) => peer.ask("new", number, args, `${name}()`),
    get: (_, key) => {
      if (key === "prototype") return target.prototype;
      if (peer.guarded && MATCHERS.has(key)) return undefined;
      if (key === "name") return name;
      if (typeof key === "symbol" || key === "apply" || key === "call" || key === "bind") return target[key];
      return peer.ask("get", number, [key], `.${key}`);
    },
    set: (_, key, value) => (peer.ask("set", number, [key, value]), true),
    has: (_, key) => typeof key === "string" && peer.ask("has", number, [key]),
    getPrototypeOf: () => Function.prototype,
  });
  return proxy;
}

const PATHS = new WeakMap(); // proxy → the candidate's name that it is reached by

function remoteObject(peer, number, made, path) {
  const prototype = made === null ? Object.create(null) : made.prototype;
  const target = Object.create(prototype);
  return new Proxy(target, {
    get: (_, key) => {
      if (key === "constructor" && made !== null) return made;
      if (peer.guarded && MATCHERS.has(key)) return undefined;
      if (key === "then" && !peer.ask("has", number, [key])) return undefined;
      if (key === Symbol.iterator) return iterable(peer, number);
      if (key === Symbol.toPrimitive) return (hint) => asPrimitive(peer, number, hint, path);
      if (typeof key === "symbol") return undefined;
      return peer.ask("get", number, [key], `.${key}`);
    },
    set: (_, key, value) => (peer.ask("set", number, [key, value]), true),
    deleteProperty: (_, key) => (peer.ask("delete", number, [key]), true),
    has: (_, key) => typeof key === "string" && Boolean(peer.ask("has", number, [key])),
    ownKeys: () => peer.ask("keys", number),
    getOwnPropertyDescriptor: (_, key) =>
      typeof key === "string" && peer.ask("keys", number).includes(key)
        ? { value: peer.ask("get", number, [key], `.${key}`), writable: true, enumerable: true, configurable: true }
        : undefined,
    getPrototypeOf: () => prototype,
  });
}

/** What an object is as a number or text; one that may say so may say another each time, so only as the reference's are. */
function asPrimitive(peer, number, hint, path) {
  const step = "[Symbol.toPrimitive]";
  if (!peer.allows(step)) throw new RefusedError(`an object was used as the reference's answer never is: ${step}`);
  return peer.ask("primitive", number, [hint], path);
}

function iterable(peer, number) {
  if (!peer.ask("iterates", number)) return undefined;
  return () => {
    const iterator = peer.ask("iterator", number);
    return {
      next: (value) => {
        const step = peer.ask("next", HOME.get(iterator), value === undefined ? [] : [value]);
        return { done: Boolean(step && step.done), value: step && step.value };
      },
      return: (value) => ({ done: true, value }),
      [Symbol.iterator]() {
        return this;
      },
    };
  };
}

function remoteError(peer, said, made, reading, depth) {
  const base = Object.hasOwn(ERRORS, said.n) ? ERRORS[said.n] : Error;
  const error = base === AggregateError ? new AggregateError([], String(said.m)) : new base(String(said.m));
  if (made !== null) Object.setPrototypeOf(error, made.prototype);
  for (const key of Object.keys(said.p ?? {}).slice(0, 20)) {
    if (key !== "__proto__" && !MATCHERS.has(key)) error[key] = peer.read(said.p[key], reading, depth + 1);
  }
  if (error.name !== said.n) Object.defineProperty(error, "name", { value: String(said.n), configurable: true });
  if (made !== null) Object.setPrototypeOf(made.prototype, base.prototype);
  return error;
}

// -- serving

const SERVED = {
  call: (target, self, ...args) => apply(target, self, args),
  new: (target, ...args) => construct(target, args),
  get: (target, key) => target[key],
  set: (target, key, value) => void (target[key] = value),
  delete: (target, key) => delete target[key],
  has: (target, key) => key in target,
  keys: (target) => ownKeys(target).filter((key) => typeof key === "string"),
  primitive: (target, hint) =>
    hint === "string" ? String(target) : hint === "number" ? Number(target) : primitive(target),
  iterates: (target) => typeof target[Symbol.iterator] === "function",
  iterator: (target) => ({ __proto__: Stepper.prototype, steps: target[Symbol.iterator]() }),
  next: (target, ...args) => (target instanceof Stepper ? target.steps.next(...args) : target.next(...args)),
};

class Stepper {}

function primitive(target) {
  const value = target.valueOf();
  return value === null || typeof value !== "object" ? value : String(target);
}

function guard(op, target, args) {
  const [key] = args;
  const isFunction = typeof target === "function";
  if (op === "call" || op === "new") {
    if (!isFunction) throw new TypeError("not a function");
  } else if (["get", "set", "delete", "has"].includes(op)) {
    const isHidden = typeof key !== "string" || key.startsWith("_") || HIDDEN.has(key);
    if (isHidden || isFunction) throw new TypeError(`cannot ${op} ${String(key).slice(0, 50)}`);
    if (op !== "get" && op !== "has" && typeof target[key] === "function") throw new TypeError("methods stay");
  } else if (!["keys", "iterates", "iterator", "next", "primitive"].includes(op)) {
    throw new TypeError("not served");
  }
}

const HIDDEN = new Set(["constructor", "prototype", "caller", "callee", "arguments", "stack"]);

// -- containers

function contents(thing) {
  if (Array.isArray(thing)) return Array.from(thing);
  if (thing instanceof Map) return [...thing].flat(1);
  if (thing instanceof Set) return [...thing];
  return Object.entries(thing).flat(1);
}

function refill(thing, parts) {
  if (Array.isArray(thing)) {
    thing.length = 0;
    for (const part of parts) thing.push(part);
  } else if (thing instanceof Map) {
    thing.clear();
    for (let at = 0; at + 1 < parts.length; at += 2) thing.set(parts[at], parts[at + 1]);
  } else if (thing instanceof Set) {
    thing.clear();
    for (const part of parts) thing.add(part);
  } else {
    for (const key of Object.keys(thing)) delete thing[key];
    for (let at = 0; at + 1 < parts.length; at += 2) {
      Object.defineProperty(thing, String(parts[at]), { value: parts[at + 1], writable: true, enumerable: true, configurable: true });
    }
  }
}

const RESERVED = new Set(
  (
    "arguments await break case catch class const continue debugger default delete do else enum eval export extends false finally for " +
    "function if implements import in instanceof interface let new null package private protected public return static super switch " +
    "this throw true try typeof undefined var void while with yield"
  ).split(" "),
);

// -- packages

/** A bundle of packages, a function of what a module has; with its compiled code. */
function bundled(folder, name) {
  const source = fs.readFileSync(`${folder}/${name}.js`, "latin1");
  const cachedData = fs.readFileSync(`${folder}/${name}.cache`);
  const module = { exports: {} };
  const body = new (require("node:vm").Script)(source, { filename: name, cachedData }).runInThisContext();
  body(module.exports, (wanted) => require(wanted), module, "", "");
  return module.exports;
}
