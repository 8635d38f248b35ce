// Makes a bundle a function of what a module has, runs it as it will be run, and keeps what node compiled beside it:
// compile.js FOLDER NAME.

const fs = require("node:fs");
const [folder, name] = process.argv.slice(2);
const file = `${folder}/${name}.js`;
const source = `(function (exports, require, module, __filename, __dirname) {${fs.readFileSync(file, "latin1")}\n})`;
fs.writeFileSync(file, source, "latin1");
const script = new (require("node:vm").Script)(source, { filename: name });
const own = { exports: {} };
script.runInThisContext()(own.exports, (wanted) => require(wanted), own, "", "");
const parts = own.exports;
const { window } = new (parts.jsdom().JSDOM)("<!doctype html>", { url: "http://localhost/", pretendToBeVisual: true });
for (const key of Object.getOwnPropertyNames(window)) if (!(key in globalThis)) globalThis[key] = window[key];
Object.defineProperty(globalThis, "navigator", { value: window.navigator, configurable: true });
if (parts.packages) useInside();
else useReferee();
fs.writeFileSync(`${folder}/${name}.cache`, script.createCachedData());
process.exit(0);

function useInside() {
  const React = parts.packages.react();
  const { testing, user } = parts.library();
  parts.packages["react-dom/server"]().renderToStaticMarkup(React.createElement("p", null, "x"));
  const { container } = testing.render(React.createElement("input", { onChange() {} }));
  testing.fireEvent.change(container.firstChild, { target: { value: "x" } });
  void user.setup({ delay: null }).type(container.firstChild, "ab");
  testing.cleanup();
}

function useReferee() {
  const { screen } = parts.library();
  window.document.body.append(window.document.createElement("button"));
  screen.getByRole("button");
  parts.expect()(1).toBe(1);
}
