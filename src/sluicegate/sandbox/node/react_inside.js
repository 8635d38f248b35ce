// The candidate's end for React, after inside.js: a page of jsdom with React in it. What the tests do to the page is
// done here by Testing Library; what they see of it is a list of its nodes, which the referee builds its own page from.

const PAGE = "http://localhost/";
const FOLDER = process.env.NODE_PATH || "/node_modules";
const BUILT_INS = ["Fragment", "StrictMode", "Suspense", "Profiler"];
const STYLES = /\.(?:css|scss|sass|less)$/;
const FILES = /\.(?:svg|png|jpe?g|gif|webp)$/;
const SHOWN_LIMIT = 8 * 2 ** 20;

function preparePage(peer) {
  const parts = bundled(FOLDER, "inside");
  const { JSDOM, VirtualConsole } = parts.jsdom();
  const page = new JSDOM("<!doctype html><html><head></head><body></body></html>", {
    url: PAGE,
    pretendToBeVisual: true,
    virtualConsole: new VirtualConsole(),
  });
  const { window } = page;
  tellOfEditing(window);
  takeGlobals(window);
  const library = parts.library();
  const React = parts.packages.react();
  const kept = { roots: [], clock: null, last: "" };
  peer.extra.load = (source) => found(load(source, requiring(parts.packages))).filter(([, value]) => canBeSent(peer, value));
  Object.assign(peer.extra, deeds(peer, window, { React, parts, ...library }, kept));
  peer.special = special(peer, window, React);
  wrapCalls(peer, library.testing.act);
}

// -- what the program sees

const TAKEN = // what node has too, and a page would not take from it
  "navigator Event EventTarget CustomEvent MessageEvent localStorage sessionStorage FormData Blob File DOMException AbortController AbortSignal WebSocket".split(" ");

function takeGlobals(window) {
  const keys = Object.getOwnPropertyNames(window).filter((key) => !(key in globalThis) && !/^\d/.test(key));
  for (const key of [...keys, ...TAKEN]) {
    Object.defineProperty(globalThis, key, { value: window[key], writable: true, configurable: true });
  }
  for (const key of ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "queueMicrotask", "fetch"]) {
    Object.defineProperty(window, key, {
      get: () => globalThis[key],
      set: (value) => (globalThis[key] = value),
      configurable: true,
    });
  }
  Object.assign(globalThis, { window, self: window, global: globalThis });
}

// jsdom does not know it, and programs ask it where keys are typed.
function tellOfEditing(window) {
  Object.defineProperty(window.HTMLElement.prototype, "isContentEditable", {
    get() {
      const told = this.closest("[contenteditable]");
      return told !== null && told.getAttribute("contenteditable").toLowerCase() !== "false";
    },
    configurable: true,
  });
}

function requiring(packages) {
  const made = new Map();
  return (name) => {
    if (STYLES.test(name)) return new Proxy({}, { get: (_, key) => (key === "__esModule" ? false : key) });
    if (FILES.test(name)) return name;
    if (!Object.hasOwn(packages, name)) return require(name);
    if (!made.has(name)) made.set(name, packages[name]());
    return made.get(name);
  };
}

function found(pairs) {
  const all = new Map(pairs.filter(([name]) => !/^(?:__|import_|stdin_)/.test(name)));
  const own = all.get("default");
  const inner = own && typeof own === "object" ? (own.type ?? own.render) : own;
  const name = typeof inner === "function" ? inner.displayName || inner.name : "";
  if (name && !all.has(name)) all.set(name, own);
  return [...all];
}

// -- what is sent beside plain data: elements, nodes of the page, files, and opaque things of React

function special(peer, window, React) {
  const { Node, File } = window;
  const components = new WeakMap();
  const component = (type) => {
    if (typeof type !== "function" || !HOME.has(type)) return type;
    if (!components.has(type)) components.set(type, (props) => type(props));
    return components.get(type);
  };
  return {
    write: (value) => {
      if (value instanceof Node) return ["node", numberOf(value), value.localName ?? null, value.namespaceURI ?? null];
      if (typeof value === "object" && typeof value.$$typeof === "symbol") return ["thing", peer.number(value)];
      return undefined;
    },
    read: ([kind, first, second, ...rest], read) => {
      if (kind === "element") return React.createElement(component(read(first)), read(second), ...rest.map(read));
      if (kind === "built-in" && BUILT_INS.includes(first)) return React[first];
      if (kind === "node") return NODES[first];
      if (kind === "file") return new File([Buffer.from(first, "base64")], ...read(second));
      return undefined;
    },
  };
}

const NUMBERS = new WeakMap();
const NODES = [];

function numberOf(node) {
  if (!NUMBERS.has(node)) {
    NUMBERS.set(node, NODES.length);
    NODES.push(node);
  }
  return NUMBERS.get(node);
}

/** A call of the tests is an act; one that is made while the program waits for the tests is a part of another. */
function wrapCalls(peer, act) {
  const serve = peer.serve.bind(peer);
  peer.serve = (op, number, args) => {
    if (op !== "call" || peer.asking > 0) return serve(op, number, args);
    let value;
    act(() => {
      value = serve(op, number, args);
    });
    return value;
  };
}

// -- what the tests may do

function deeds(peer, window, { React, parts, testing, user }, kept) {
  testing.configure({ asyncWrapper: (run) => freely(run), reactStrictMode: false });
  const mouse = () => (kept.user ??= user.setup({ delay: null, document: window.document }));
  return {
    member: (name) => React[name],
    ref: () => new Ref(),
    rest: () => freely(async () => {}),
    react: (element, into) => {
      const root = testing.render(element, { container: into ?? undefined, baseElement: window.document.body });
      kept.roots.push(root);
      return [kept.roots.length - 1, root.container];
    },
    rerender: (number, element) => void kept.roots[number].rerender(element),
    unmount: (number) => void kept.roots[number].unmount(),
    clean: () => {
      kept.clock?.uninstall();
      Object.assign(kept, { clock: null, user: null });
      testing.cleanup();
      window.document.body.replaceChildren();
      window.localStorage.clear();
      window.sessionStorage.clear();
    },
    fire: (node, name, init) => testing.fireEvent[name](node === "window" ? window : node, init),
    dispatch: (node, kind, name, init) => {
      const event = new window[kind](name, init);
      return testing.fireEvent(node === "window" ? window : node, event);
    },
    method: (node, name, args) => {
      let value;
      testing.act(() => {
        value = node[name](...args);
      });
      return value;
    },
    user: (name, args) => freely(async () => void (await mouse()[name](...args))),
    act: (run) => void testing.act(() => void run()),
    markup: (element, isStatic) => {
      const server = parts.packages["react-dom/server"]();
      return isStatic ? server.renderToStaticMarkup(element) : server.renderToString(element);
    },
    look: (path) => {
      const value = path.reduce((thing, key) => thing[key], window);
      if (value instanceof window.Node || value === null) return ["value", value];
      return typeof value === "function" || typeof value === "object" ? [typeof value] : ["value", value];
    },
    put: (path, value) => {
      const last = path.at(-1);
      const owner = path.slice(0, -1).reduce((thing, key) => thing[key], window);
      for (const place of owner === window ? [window, globalThis] : [owner]) {
        Object.defineProperty(place, last, { value, writable: true, configurable: true, enumerable: true });
      }
    },
    invoke: (path, args) => {
      const owner = path.slice(0, -1).reduce((thing, key) => thing[key], window);
      let value;
      testing.act(() => {
        value = owner[path.at(-1)](...args);
      });
      return value;
    },
    clock: (deed, amount) => {
      if (deed === "fake") kept.clock ??= parts.timers().install({ now: amount, toFake: FAKED });
      else if (deed === "real") kept.clock = void kept.clock?.uninstall();
      else if (kept.clock === null) throw new Error("wanted fake timers: useFakeTimers() comes first");
      else if (deed === "set") kept.clock.setSystemTime(amount);
      else pass(kept.clock, deed === "pass" ? kept.clock.now + amount : deed === "pending" ? last(kept.clock) : Infinity, testing.act);
    },
    page: () => {
      const text = shown(window.document);
      if (text === kept.last) return null;
      kept.last = text;
      return text;
    },
  };
}

class Ref {
  current = null;
}

const FAKED = ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "Date", "requestAnimationFrame", "cancelAnimationFrame", "performance"];

const TIMERS_LIMIT = 10_000;
const due = (clock) => [...(clock.timers?.values() ?? [])].map((timer) => timer.callAt);
const last = (clock) => Math.max(clock.now, ...due(clock));

/** Timer by timer, each an act of its own: what one changes may start the next. */
function pass(clock, until, act) {
  for (let count = 0; Math.min(...due(clock)) <= until && due(clock).length > 0; count += 1) {
    if (count === TIMERS_LIMIT) throw new Error(`more than ${TIMERS_LIMIT} timers`);
    act(() => void clock.next());
  }
  if (until !== Infinity) act(() => void clock.tick(until - clock.now));
}

/** Without act: what the program does meanwhile is done as in a browser. */
async function freely(run) {
  const before = globalThis.IS_REACT_ACT_ENVIRONMENT;
  globalThis.IS_REACT_ACT_ENVIRONMENT = false;
  try {
    return await run();
  } finally {
    await new Promise((resolve) => immediately(resolve));
    globalThis.IS_REACT_ACT_ENVIRONMENT = before;
  }
}

// -- the page as a list: number, number of the parent, name or null for text, text or attributes, properties

function shown(document) {
  const rows = [];
  const walk = (node, parent) => {
    const number = numberOf(node);
    if (node.nodeType === 3) rows.push([number, parent, null, node.data]);
    if (node.nodeType !== 1) return;
    const attributes = [];
    for (const { name, value } of node.attributes) attributes.push(name, value);
    const space = node.namespaceURI === "http://www.w3.org/1999/xhtml" ? null : node.namespaceURI;
    rows.push([number, parent, node.localName, attributes, space, state(node)]);
    for (let child = node.firstChild; child !== null; child = child.nextSibling) walk(child, number);
  };
  walk(document.documentElement, -1);
  const { activeElement, defaultView } = document;
  const text = JSON.stringify({ rows, page: numberOf(document), focus: activeElement ? numberOf(activeElement) : -1, url: String(defaultView.location) });
  if (text.length > SHOWN_LIMIT) throw new RangeError("the page is too large");
  return text;
}

function state(node) {
  if (node.localName === "input") return { value: node.value, checked: node.checked, indeterminate: node.indeterminate };
  if (node.localName === "textarea") return { value: node.value };
  if (node.localName === "option") return { selected: node.selected };
  return null;
}
