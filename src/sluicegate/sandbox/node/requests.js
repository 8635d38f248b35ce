// What asks an application over HTTP inside the sandbox, used as supertest is: `request(app).get("/path").expect(200)`. The
// exchange comes back as plain data. `request(router, { at: "/users" })` asks a router that is mounted there.

const METHODS = ["get", "head", "post", "put", "patch", "delete", "options"];
const TYPES = { json: "application/json", form: "application/x-www-form-urlencoded", text: "text/plain", html: "text/html", xml: "application/xml" };

class Exchange {
  constructor(peer, target, asked, jar) {
    Object.assign(this, { peer, target, asked, jar, wanted: [] });
  }

  set(name, value) {
    const named = typeof name === "object" ? name : { [name]: value };
    for (const [key, one] of Object.entries(named)) this.asked.headers[key.toLowerCase()] = Array.isArray(one) ? one.map(String) : String(one);
    return this;
  }

  type(name) {
    return this.set("content-type", TYPES[name] ?? name);
  }

  accept(name) {
    return this.set("accept", TYPES[name] ?? name);
  }

  auth(name, password = "", { type = "basic" } = {}) {
    if (type === "bearer" || password?.type === "bearer") return this.set("authorization", `Bearer ${name}`);
    return this.set("authorization", `Basic ${Buffer.from(`${name}:${password}`).toString("base64")}`);
  }

  query(values) {
    const pairs = typeof values === "string" ? values : new URLSearchParams(Object.entries(values).flatMap(repeated));
    this.asked.path += `${this.asked.path.includes("?") ? "&" : "?"}${pairs}`;
    return this;
  }

  send(body) {
    if (typeof body === "string" || Buffer.isBuffer(body)) {
      this.asked.headers["content-type"] ??= typeof body === "string" ? TYPES.form : "application/octet-stream";
      this.asked.body = typeof this.asked.body === "string" && this.asked.body ? `${this.asked.body}&${body}` : body;
      return this;
    }
    this.asked.headers["content-type"] ??= TYPES.json;
    this.sent = Array.isArray(body) || body === null ? body : { ...this.sent, ...body };
    const isForm = this.asked.headers["content-type"] === TYPES.form;
    this.asked.body = isForm ? `${new URLSearchParams(Object.entries(this.sent).flatMap(repeated))}` : JSON.stringify(this.sent);
    return this;
  }

  expect(...wanted) {
    this.wanted.push(wanted);
    return this;
  }

  timeout() {
    return this; // the program's own time is the limit
  }

  end(tell) {
    this.made().then((response) => tell(null, response), tell);
    return this;
  }

  then(resolve, reject) {
    return this.made().then(resolve, reject);
  }

  catch(reject) {
    return this.made().catch(reject);
  }

  finally(run) {
    return this.made().finally(run);
  }

  made() {
    return (this.answer ??= this.asking());
  }

  async asking() {
    const { asked, jar } = this;
    if (jar?.size) asked.headers.cookie ??= [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const said = await this.peer.ask("http", 0, [this.target, asked]);
    const isWhole = said && Number.isInteger(said.status) && typeof said.text === "string" && Object.prototype.isPrototypeOf.call(Object.prototype, said.headers);
    if (!isWhole) throw this.peer.end(new ProtocolError("not an exchange"));
    const response = responseOf(said);
    if (jar) for (const line of [said.headers["set-cookie"] ?? []].flat()) keepCookie(jar, String(line));
    for (const one of this.wanted) check(response, one);
    return response;
  }
}

const repeated = ([name, value]) => (Array.isArray(value) ? value.map((one) => [name, one]) : value === undefined ? [] : [[name, value]]);

function responseOf({ status, headers, text }) {
  const kind = String(headers["content-type"] ?? "");
  let body = {};
  if (/[/+]json\b/.test(kind) && text) body = JSON.parse(text);
  else if (kind.startsWith(TYPES.form)) body = Object.fromEntries(new URLSearchParams(text));
  return {
    status,
    statusCode: status,
    headers,
    header: headers,
    text,
    body,
    type: kind.split(";")[0].trim(),
    ok: status >= 200 && status < 300,
    error: status >= 400,
    get: (name) => headers[name.toLowerCase()],
  };
}

/** Cookies of an agent: by name alone; one that has ended is forgotten. */
function keepCookie(jar, line) {
  const [pair, ...rest] = line.split(";").map((part) => part.trim());
  const [name, ...value] = pair.split("=");
  const words = Object.fromEntries(rest.map((part) => [part.split("=")[0].toLowerCase(), part.split("=").slice(1).join("=")]));
  const isOver = words["max-age"] !== undefined ? Number(words["max-age"]) <= 0 : Date.parse(words.expires) <= Date.now();
  if (isOver) jar.delete(name);
  else jar.set(name, value.join("="));
}

function check(response, [first, second]) {
  const assert = require("node:assert");
  if (typeof first === "function") {
    const fault = first(response);
    if (fault instanceof Error) throw fault;
  } else if (typeof first === "number") {
    assert.strictEqual(response.status, first, `wanted status ${first}, got ${response.status}: ${response.text.slice(0, 100)}`);
    if (second !== undefined) check(response, [second]);
  } else if (typeof first === "string" && second !== undefined) {
    const said = String(response.headers[first.toLowerCase()]);
    if (second instanceof RegExp) assert.match(said, second);
    else assert.strictEqual(said, String(second));
  } else if (first instanceof RegExp) assert.match(response.text, first);
  else if (typeof first === "string") assert.strictEqual(response.text, first);
  else assert.deepStrictEqual(response.body, first);
}

function asker(peer) {
  const asking = (target, { at } = {}, jar) => {
    if (!HOME.has(target)) throw new TypeError("request: wanted the candidate's application or router");
    const make = (method) => (path) => new Exchange(peer, target, { method: method.toUpperCase(), path, at, headers: {} }, jar);
    const made = Object.fromEntries(METHODS.map((method) => [method, make(method)]));
    return { ...made, del: made.delete };
  };
  const request = (target, options) => asking(target, options);
  request.agent = (target, options) => asking(target, options, new Map());
  return request;
}
