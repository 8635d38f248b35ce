// The referee's end for React, after referee.js: a page of its own, built from what the program's page is told to be.
// Queries and assertions are Testing Library's own and see this page alone. It is built node by node, without a parser,
// in a window that runs no scripts and loads nothing.

const NODE_LIMIT = 50_000;
const HTML = "http://www.w3.org/1999/xhtml";

class Element {
  constructor(type, props, children) {
    Object.assign(this, { type, props, children });
    Object.freeze(this);
  }
}

class BuiltIn {
  constructor(name) {
    this.name = name;
  }
}

class GivenFile {
  constructor(parts, name, options = {}) {
    this.body = Buffer.from(parts.join(""));
    Object.assign(this, { name, size: this.body.length, type: options.type ?? "", options });
  }
}

class Page {
  constructor(JSDOM, VirtualConsole) {
    const made = new JSDOM("<!doctype html>", { url: "http://localhost/", virtualConsole: new VirtualConsole() });
    this.reconfigure = (url) => made.reconfigure({ url });
    this.window = made.window;
    this.document = this.window.document;
    this.nodes = new Map();
    this.numbers = new WeakMap();
    const { focus, blur } = this.window.HTMLElement.prototype;
    Object.assign(this, { plainFocus: focus, plainBlur: blur });
  }

  number(node) {
    if (node === this.window) return "window";
    if (!this.numbers.has(node)) throw new TypeError("wanted an element of the page");
    return this.numbers.get(node);
  }

  named(number, name, space) {
    const known = this.nodes.get(number);
    if (known !== undefined && (known.localName ?? null) === name) return known;
    const made = name === null ? this.document.createTextNode("") : this.element(name, space);
    this.keep(number, made);
    return made;
  }

  element(name, space) {
    try {
      return this.document.createElementNS(space ?? HTML, name);
    } catch {
      return this.document.createElement("x-unnamed");
    }
  }

  keep(number, node) {
    if (!Number.isInteger(number) || number < 0 || this.nodes.size > 8 * NODE_LIMIT) throw new ProtocolError("no node");
    this.nodes.set(number, node);
    this.numbers.set(node, number);
  }

  show(text) {
    const { rows, page, focus, url } = JSON.parse(text);
    if (!Array.isArray(rows) || rows.length > NODE_LIMIT || rows.length === 0) throw new TooLargeError(`a page of more than ${NODE_LIMIT} nodes`);
    if (!this.nodes.has(page)) this.keep(page, this.document);
    if (!this.nodes.has(rows[0][0])) this.start(rows);
    const [children, placed] = [new Map(), new Set()];
    for (const row of rows) this.place(row, children, placed);
    for (const [number, list] of children) replace(this.nodes.get(number), list);
    for (const row of rows) if (row[5] !== null && row[5] !== undefined) setState(this.nodes.get(row[0]), row[5]);
    this.focus(this.nodes.get(focus));
    if (typeof url === "string" && url.startsWith("http://localhost/") && url !== this.window.location.href) this.reconfigure(url);
  }

  start(rows) {
    const { documentElement, head, body } = this.document;
    this.keep(rows[0][0], documentElement);
    for (const [number, , name] of rows) {
      if (name === "head") this.keep(number, head);
      if (name === "body") this.keep(number, body);
    }
  }

  place([number, parent, name, content, space], children, placed) {
    if (placed.has(number) || (parent === -1) !== (placed.size === 0)) throw new ProtocolError("a node in two places");
    placed.add(number);
    const node = this.named(number, name, space);
    if (name === null) {
      if (node.data !== String(content)) node.data = String(content);
    } else {
      children.set(number, []);
      setAttributes(node, content);
    }
    if (parent === -1) return;
    if (!children.has(parent)) throw new ProtocolError("a node without its parent");
    children.get(parent).push(node);
  }

  focus(node) {
    const { activeElement } = this.document;
    if (node === undefined || node === activeElement) return;
    if (node === this.document.body) this.plainBlur.call(activeElement);
    else this.plainFocus.call(node);
  }
}

function replace(parent, list) {
  list.forEach((child, at) => {
    const now = parent.childNodes[at] ?? null;
    if (now !== child) parent.insertBefore(child, now);
  });
  while (parent.childNodes.length > list.length) parent.lastChild.remove();
}

function setAttributes(node, list) {
  const wanted = new Map();
  for (let at = 0; at + 1 < list.length; at += 2) wanted.set(String(list[at]), String(list[at + 1]));
  for (const name of node.getAttributeNames()) if (!wanted.has(name)) node.removeAttribute(name);
  for (const [name, value] of wanted) {
    try {
      if (node.getAttribute(name) !== value) node.setAttribute(name, value);
    } catch {
      continue; // a name that a parser takes and setAttribute does not
    }
  }
}

function setState(node, state) {
  for (const name of ["value", "checked", "indeterminate", "selected"]) {
    if (!Object.hasOwn(state, name) || node[name] === state[name]) continue;
    try {
      node[name] = state[name];
    } catch {
      continue; // the value of a file input
    }
  }
}

// -- what the tests have

function equipPage(peer, own) {
  const parts = bundled(request.modules, "referee");
  const { JSDOM, VirtualConsole } = parts.jsdom();
  const page = new Page(JSDOM, VirtualConsole);
  const { window, document } = page;
  Object.assign(globalThis, { window, document });
  for (const name of Object.getOwnPropertyNames(window)) if (OF_PAGES.test(name)) globalThis[name] = window[name];
  const { ask } = peer;
  peer.ask = (op, ...rest) => seen(peer, page, ask, op, rest);
  peer.special = specialOf(peer, page);
  process.env.COLORS = "false"; // of what it prints of a page
  const library = parts.library();
  library.configure({ getElementError: (message) => failed(String(message)) });
  forward(peer, page);
  const React = reactOf(peer);
  const inside = remoteWindow(peer, page, []);
  const tools = { ...library, ...drawing(peer, page, library, React), ...doing(peer, inside, library) };
  const time = clockOf(peer, inside);
  const names = ["localStorage", "sessionStorage", "navigator", "location", "history"];
  Object.assign(own, tools, { React, ...pick(React, SHARED), File: GivenFile, document, jest: time, vi: time });
  Object.assign(own, { window: inside, global: inside, globalThis: inside });
  Object.assign(own, pick(window, EVENTS), Object.fromEntries(names.map((name) => [name, inside[name]])));
  if (/\bexpect\b/.test(request.tests)) own.expect = parts.expect();
  show(peer, page, ask);
  return { tools: imported(React, tools), cleared: () => peer.ask("clean", 0) };
}

function imported(React, tools) {
  return {
    react: React,
    "react-dom/server": { ...tools, default: tools },
    "@testing-library/react": tools,
    "@testing-library/dom": tools,
    "@testing-library/user-event": { default: tools.userEvent, userEvent: tools.userEvent },
    "@testing-library/jest-dom": {},
    "@testing-library/jest-dom/vitest": {},
  };
}

const OF_PAGES = /^(?:Node|(?:HTML|SVG)?\w*Element|MutationObserver|getComputedStyle)$/;
const SHARED = "Fragment StrictMode Suspense useState useEffect useMemo useCallback useReducer useContext createRef createContext".split(" ");
const EVENTS = "Event CustomEvent KeyboardEvent MouseEvent FocusEvent InputEvent StorageEvent".split(" ");
const pick = (thing, names) => Object.fromEntries(names.map((name) => [name, thing[name]]));

function failed(message) {
  const fault = new Error(message.split("\n\nIgnored nodes")[0].slice(0, 300));
  fault.name = "TestingLibraryElementError";
  FAILURES.add(fault);
  return fault;
}

/** After each request that no other waits for, the page is what the program's page is. */
function seen(peer, page, ask, op, rest) {
  try {
    return ask.call(peer, op, ...rest);
  } finally {
    if (peer.asking === 0 && !peer.fault && op !== "load") show(peer, page, ask);
  }
}

function show(peer, page, ask) {
  let text;
  try {
    text = ask.call(peer, "page", 0);
    if (text !== null) page.show(String(text));
  } catch (fault) {
    throw peer.end(fault instanceof TooLargeError || fault instanceof GoneError ? fault : new ProtocolError(`not a page: ${described(fault)}`));
  }
}

function specialOf(peer, page) {
  return {
    write: (value, write) => {
      if (value instanceof Element) return ["element", write(value.type), write(value.props), ...value.children.map(write)];
      if (value instanceof BuiltIn) return ["built-in", value.name];
      if (value instanceof GivenFile) return ["file", value.body.toString("base64"), write([value.name, value.options])];
      if (page.numbers.has(value)) return ["node", page.numbers.get(value)];
      return undefined;
    },
    read: (said) => {
      if (!Array.isArray(said)) return undefined;
      const [kind, number, name, space] = said;
      if (kind === "thing") return peer.proxy(number, () => remoteObject(peer, number, null, ""));
      if (kind !== "node" || !(name === null || typeof name === "string")) return undefined;
      return page.named(number, name, space);
    },
  };
}

// -- React, as the tests write it: elements are data, hooks are the program's own

function reactOf(peer) {
  const known = { createElement, createRef: () => peer.ask("ref", 0) };
  for (const name of ["Fragment", "StrictMode", "Suspense", "Profiler"]) known[name] = new BuiltIn(name);
  const React = new Proxy(known, {
    get: (_, key) => {
      if (typeof key !== "string" || Object.hasOwn(known, key)) return known[key];
      if (key === "default") return React;
      known[key] = peer.ask("member", 0, [key]);
      if (HOME.has(known[key])) peer.free.add(HOME.get(known[key]));
      return known[key];
    },
  });
  return React;
}

function createElement(type, props, ...children) {
  if (type === undefined || type === null) throw new TypeError("an element of nothing: is the component's name right?");
  return new Element(type, { ...props }, children);
}

// -- showing components

function drawing(peer, page, library, React) {
  const render = (element, { wrapper, container } = {}) => {
    const whole = (one) => (wrapper ? createElement(wrapper, null, one) : one);
    const [number, place] = peer.ask("react", 0, [whole(element), container]);
    return {
      container: place,
      baseElement: page.document.body,
      rerender: (one) => peer.ask("rerender", 0, [number, whole(one)]),
      unmount: () => peer.ask("unmount", 0, [number]),
      asFragment: () => page.document.createRange().createContextualFragment(place.innerHTML),
      debug: () => {},
      ...library.getQueriesForElement(page.document.body),
    };
  };
  const renderHook = (hook, { initialProps, wrapper } = {}) => {
    const result = { current: undefined };
    const Probe = ({ given }) => {
      result.current = hook(given);
      return null;
    };
    const shown = render(createElement(Probe, { given: initialProps }), { wrapper });
    return { result, rerender: (given = initialProps) => shown.rerender(createElement(Probe, { given })), unmount: shown.unmount };
  };
  return {
    render,
    renderHook,
    cleanup: () => peer.ask("clean", 0),
    renderToStaticMarkup: (element) => peer.ask("markup", 0, [element, true]),
    renderToString: (element) => peer.ask("markup", 0, [element, false]),
  };
}

// -- doing something to them

function doing(peer, inside, library) {
  const place = (node) => (node === inside ? "window" : node);
  const fireEvent = (node, event) => node.dispatchEvent(event);
  for (const name of Object.keys(library.fireEvent)) {
    fireEvent[name] = (node, init) => peer.ask("fire", 0, [place(node), name, init]);
  }
  const userEvent = { setup: () => userEvent };
  for (const name of USER) userEvent[name] = (...args) => peer.ask("user", 0, [name, args]);
  return { fireEvent, userEvent, act: (run) => act(peer, run) };
}

const USER = "click dblClick tripleClick hover unhover tab keyboard copy cut paste pointer clear selectOptions deselectOptions type upload".split(" ");

function act(peer, run) {
  if (run.constructor.name !== "AsyncFunction") {
    let value;
    peer.ask("act", 0, [() => void (value = run())]);
    return Promise.resolve(value);
  }
  return run().then(async (value) => {
    await peer.ask("rest", 0);
    return value;
  });
}

/** What a test does to its own page by itself is done to the program's. */
function forward(peer, page) {
  const { window } = page;
  const methods = { HTMLElement: ["click", "focus", "blur", "scrollIntoView"], HTMLFormElement: ["requestSubmit", "reset"] };
  Object.assign(methods, { HTMLInputElement: ["select"], HTMLDialogElement: ["showModal", "close"] });
  for (const [kind, names] of Object.entries(methods)) {
    for (const name of names) {
      if (window[kind] === undefined) continue;
      window[kind].prototype[name] = function (...args) {
        return peer.ask("method", 0, [this, name, args]);
      };
    }
  }
  window.EventTarget.prototype.dispatchEvent = function (event) {
    return peer.ask("dispatch", 0, [page.number(this) === "window" ? "window" : this, ...worded(event)]);
  };
}

const WORDS =
  "bubbles cancelable composed detail key code keyCode ctrlKey shiftKey altKey metaKey button buttons clientX clientY data inputType newValue oldValue".split(" ");

function worded(event) {
  const init = Object.fromEntries(WORDS.filter((name) => event[name] !== undefined).map((name) => [name, event[name]]));
  return [event.constructor.name, event.type, init];
}

/** The program's window, asked by path. */
function remoteWindow(peer, page, path) {
  const dispatchEvent = (event) => peer.ask("dispatch", 0, ["window", ...worded(event)]);
  const own = path.length ? {} : { document: page.document, dispatchEvent, ...pick(page.window, EVENTS) };
  const put = (key, value) => (peer.ask("put", 0, [[...path, key], value]), true);
  return new Proxy(
    {},
    {
      get: (_, key) => {
        if (typeof key !== "string") return undefined;
        if (Object.hasOwn(own, key)) return own[key];
        const [kind, value] = peer.ask("look", 0, [[...path, key]]);
        if (kind === "function") return (...args) => peer.ask("invoke", 0, [[...path, key], args]);
        return kind === "object" ? remoteWindow(peer, page, [...path, key]) : value;
      },
      set: (_, key, value) => put(key, value),
      defineProperty: (_, key, told) => put(key, told.get ? told.get() : told.value),
      deleteProperty: (_, key) => put(key, undefined),
      has: (_, key) => peer.ask("look", 0, [[...path, key]])[1] !== undefined,
    },
  );
}

// -- time

function clockOf(peer, inside) {
  const clock = (deed, amount) => peer.ask("clock", 0, [deed, amount]);
  const later = async (deed, amount) => {
    clock(deed, amount);
    await peer.ask("rest", 0);
  };
  const time = {
    fn,
    spyOn: (owner, name) => spyOn(owner, name),
    useFakeTimers: ({ now } = {}) => (clock("fake", now === undefined ? undefined : Number(now)), time),
    useRealTimers: () => (clock("real"), time),
    setSystemTime: (now) => clock("set", Number(now)),
    advanceTimersByTime: (ms) => clock("pass", ms),
    runAllTimers: () => clock("all"),
    runOnlyPendingTimers: () => clock("pending"),
    advanceTimersByTimeAsync: (ms) => later("pass", ms),
    runAllTimersAsync: () => later("all"),
    clearAllMocks: () => MOCKS.forEach((mock) => mock.mockClear()),
    restoreAllMocks: () => MOCKS.forEach((mock) => mock.mockRestore()),
  };
  return time;
}

function spyOn(owner, name) {
  const before = owner[name];
  const mock = fn(before);
  mock.mockRestore = () => ((owner[name] = before), mock.mockReset());
  owner[name] = mock;
  return mock;
}
